"""The report as markdown for a pull request: who gains and loses first, then every change as a diff."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.model.change import Action

from .change_item import ChangeItem
from .report import RegistrySection, Report, Section, Topic

#: what a diff colours a line by
_MARKS = {Action.CREATE: "+", Action.DELETE: "-", Action.UPDATE: "!", Action.REPLACE: "!", Action.ADOPT: "!"}
#: what comes before a section's heading, and what stands around each statement's subject
_SECTIONS = {
    Topic.PROBLEMS: (":no_entry: ", "`"),
    Topic.VIOLATIONS: (":no_entry: ", "**"),
    Topic.GAINS: ("", ""),
    Topic.LOSSES: ("", ""),
    Topic.FOREIGN: ("", "`"),
}
_TITLE_COLUMN = 38


def plan_markdown(report: Report) -> str:
    """The whole report."""
    return "".join(f"{line}\n" for line in _lines(report))


def _lines(report: Report) -> Iterator[str]:
    yield f"### {report.owner}: {report.headline}"
    yield ""
    for section in (report.problems, report.violations, report.gains, report.losses, report.foreign):
        if section:
            yield from _section(section)
    for registry in report.registries:
        yield from _registry(registry)
    yield " ".join(part for part in (f"{report.unchanged} unchanged.", report.left_out) if part)


def _section(section: Section) -> Iterator[str]:
    icon, around = _SECTIONS[section.topic]
    yield f"#### {icon}{section.heading}"
    yield ""
    for statement in section.statements:
        yield f"- {_escaped(f'{around}{statement.subject}{around}: {statement.text}')}"
    yield ""


def _registry(registry: RegistrySection) -> Iterator[str]:
    yield f"<details><summary>{registry.title}: {registry.size}</summary>"
    yield ""
    yield "```diff"
    for change in registry.changes:
        yield from _change(change)
    yield "```"
    yield ""
    yield "</details>"
    yield ""


def _change(change: ChangeItem) -> Iterator[str]:
    mark = _MARKS[change.action]
    adopting = "  (adopt)" if change.action is Action.ADOPT else ""
    yield f"{mark} {change.sign:<3} {change.title:<{_TITLE_COLUMN}}  {change.address}{adopting}"
    yield from (f"{mark} {detail.text}" for detail in change.details)


def _escaped(text: str) -> str:
    # a label or statement id comes from the cloud: it must not open a tag or a mention
    return text.replace("<", "&lt;").replace("@", "&#64;")
