"""The plan as markdown for a pull request: who gains and loses first, then every change as a diff."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.engine.plan import Plan
from reconciler.model.change import Action

from . import words
from .text import Line, change_lines, joined, reading_order, registry_title

_DIFF = {Action.CREATE: "+", Action.DELETE: "-", Action.UPDATE: "!", Action.REPLACE: "!", Action.ADOPT: "!"}


def plan_markdown(plan: Plan) -> str:
    """The whole plan."""
    return joined(Line(text) for text in _lines(plan))


def _lines(plan: Plan) -> Iterator[str]:
    head = "No changes" if not plan.changes and not plan.problems else words.totals(plan)
    yield f"### {plan.owner}: {head}"
    yield ""
    for heading, items in (
        (
            ":no_entry: The plan can't be applied",
            [f"`{item.address}`: {item.message}" for item in plan.problems],
        ),
        (
            ":no_entry: Guards that stop the plan",
            [f"**{item.guard}**: {item.message}" for item in plan.violations],
        ),
        ("Who gains access", [f"{item.registry}: {item.text}" for item in words.all_gains(plan)]),
        ("Who loses access", [f"{item.registry}: {item.text}" for item in words.all_losses(plan)]),
        (
            "Foreign access (given by somebody else, kept)",
            [f"`{item.address}`: {text}" for item in plan.kept for text in words.given(item)],
        ),
    ):
        if items:
            yield f"#### {heading}"
            yield ""
            yield from (f"- {_escaped(item)}" for item in items)
            yield ""
    for registry in plan.registries:
        changes = [change for change in plan.changes if change.registry == registry.name]
        if not changes:
            continue
        yield f"<details><summary>{registry_title(registry)}: {len(changes)} changes</summary>"
        yield ""
        yield "```diff"
        for change in sorted(changes, key=reading_order):
            for line in change_lines(change):
                yield (f"{_DIFF[change.action]} {line.text.strip()}" if line.text.startswith("  ") else line.text)
        yield "```"
        yield ""
        yield "</details>"
        yield ""
    yield f"{plan.unchanged} unchanged. {words.left_out(plan)}".rstrip()


def _escaped(text: str) -> str:
    # a label or statement id comes from the cloud: it must not open a tag or a mention
    return text.replace("<", "&lt;").replace("@", "&#64;")
