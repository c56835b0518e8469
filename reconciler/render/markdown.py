"""The report as markdown for a pull request: who gains and loses first, then every change as a diff."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from reconciler.model.change import Action
from reconciler.words import one_line

from .change_item import ChangeItem
from .escapes import code, first_in_markdown, in_html, in_markdown
from .report import RegistrySection, Report, Section, Topic

#: what a diff colours a line by
_MARKS = {
    Action.CREATE: "+",
    Action.DELETE: "-",
    Action.UPDATE: "!",
    Action.REPLACE: "!",
    Action.ADOPT: "!",
    Action.RELEASE: "!",
}


def _bold(text: str) -> str:
    return f"**{in_markdown(text)}**"


#: what comes before a section's heading, and how each statement's subject looks
_SECTIONS: dict[Topic, tuple[str, Callable[[str], str]]] = {
    Topic.PENDING: (":hourglass: ", code),
    Topic.PROBLEMS: (":no_entry: ", code),
    Topic.IN_THE_WAY: (":no_entry: ", code),
    Topic.VIOLATIONS: (":no_entry: ", _bold),
    Topic.STRANGERS: (":warning: ", _bold),
    Topic.GAINS: ("", first_in_markdown),
    Topic.LOSSES: ("", first_in_markdown),
    Topic.FOREIGN: ("", code),
}
_TITLE_COLUMN = 38


def plan_markdown(report: Report) -> str:
    """The whole report."""
    return "".join(f"{line}\n" for line in _lines(report))


def drift_markdown(report: Report) -> str:
    """What differs, by cause: what `drift` shows."""
    return "".join(f"{line}\n" for line in _drift(report))


def _drift(report: Report) -> Iterator[str]:
    yield f"### {in_markdown(report.owner)}: {report.no_drift if report.well else in_markdown(report.drift_totals)}"
    yield ""
    for cause in report.by_cause:
        yield f"#### {cause.heading}"
        yield ""
        yield "```diff"
        for change in cause.changes:
            yield from _difference(change)
        yield "```"
        yield ""
    for section in (report.foreign, report.strangers, report.pending, report.in_the_way, report.violations):
        if section:
            yield from _section(section)
    yield from _beside(report)
    yield " ".join(part for part in (in_markdown(report.drift), report.left_out) if part)


def _difference(change: ChangeItem) -> Iterator[str]:
    mark = _MARKS[change.action]
    yield one_line(f"{mark} {change.address} {change.state}")
    if change.action is not Action.CREATE:
        yield from (one_line(f"{mark}     {item.compared}") for item in change.fields)
    yield from (one_line(f"{mark}     {note}") for note in (*change.by_hand, *change.notes))


def _lines(report: Report) -> Iterator[str]:
    yield f"### {in_markdown(report.owner)}: {in_markdown(report.headline)}"
    yield ""
    ahead = (report.strangers, report.problems, report.violations, report.pending)
    for section in (*ahead, report.gains, report.losses, report.foreign):
        if section:
            yield from _section(section)
    if report.nobody:
        yield from (report.nobody, "")
    for registry in report.registries:
        yield from _registry(registry)
    yield from _beside(report)
    yield " ".join(part for part in (f"{report.unchanged} unchanged.", report.left_out) if part)


def _beside(report: Report) -> Iterator[str]:
    if report.left_alone:
        yield from (in_markdown(report.left_alone), "")
    if report.warnings:
        yield from ("#### :warning: Warnings", "", *(f"- {in_markdown(line)}" for line in report.warnings), "")


def _section(section: Section) -> Iterator[str]:
    icon, shown = _SECTIONS[section.topic]
    yield f"#### {icon}{section.heading}"
    yield ""
    for statement in section.statements:
        yield f"- {shown(statement.subject)}: {in_markdown(statement.text)}"
    yield ""
    if section.note:
        yield from (f"({in_markdown(section.note)})", "")


def _registry(registry: RegistrySection) -> Iterator[str]:
    yield f"<details><summary>{in_html(registry.title)}: {in_html(registry.size)}</summary>"
    yield ""
    yield "```diff"
    for change in registry.changes:
        yield from _change(change)
    yield "```"
    yield ""
    yield "</details>"
    yield ""


def _change(change: ChangeItem) -> Iterator[str]:
    # each line begins with a mark, so none of them can end the fence
    mark = _MARKS[change.action]
    said = f"  ({change.action})" if change.action in (Action.ADOPT, Action.RELEASE) else ""
    yield one_line(f"{mark} {change.sign:<3} {change.title:<{_TITLE_COLUMN}}  {change.address}{said}")
    yield from (one_line(f"{mark}       {detail.text}") for detail in change.details)
