"""The report as text for a terminal or a log."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import NamedTuple

from reconciler.model.change import Action
from reconciler.words import counted, one_line

from .change_item import ChangeItem, Meaning
from .escapes import no_command
from .report import Report, Section, Topic
from .sentences import MOST_NAMES


class Line(NamedTuple):
    """One line, whatever is in the plan, and its style: a name that a terminal may colour by."""

    text: str
    style: str = ""


_STYLES = {
    Action.CREATE: "green",
    Action.UPDATE: "yellow",
    Action.REPLACE: "magenta",
    Action.DELETE: "red",
    Action.ADOPT: "cyan",
    Action.RELEASE: "cyan",
}
#: details that stand out from their change
_DETAIL_STYLES = {Meaning.GAIN: "green", Meaning.LOSS: "red", Meaning.NOTE: "yellow"}
#: how the heading of a section looks, and what comes before each statement, and how that looks
_SECTIONS = {
    Topic.GAINS: ("bold", "+ ", "green"),
    Topic.LOSSES: ("bold", "- ", "red"),
    Topic.FOREIGN: ("bold", "", "yellow"),
    Topic.PENDING: ("bold yellow", "", "yellow"),
    Topic.PROBLEMS: ("bold red", "", "red"),
    Topic.IN_THE_WAY: ("bold red", "", "red"),
    Topic.VIOLATIONS: ("bold red", "", "red"),
    Topic.STRANGERS: ("bold red", "", "red"),
}
_WARNINGS = "Warnings"
_TITLE_COLUMN = 38
#: of many changes that are alike, so many are shown
_SHOWN = 3


def plan_lines(report: Report, *, full: bool = True) -> Iterator[Line]:
    """All that `plan` shows. Unless `full`, of many changes that are alike only some are shown, and the others named; whatever takes
    something away is always shown."""
    return map(_printable, _ended(_plan(report, full)))


def drift_lines(report: Report) -> Iterator[Line]:
    """All that `drift` shows: the changes by cause, each with its fields, live and in the spec."""
    return map(_printable, _drift(report))


def _ended(lines: Iterable[Line]) -> Iterator[Line]:
    """The lines without empty ones at the end."""
    empty: list[Line] = []
    for line in lines:
        if not line.text:
            empty.append(line)
            continue
        yield from (*empty, line)
        empty = []


def _printable(line: Line) -> Line:
    return Line(no_command(one_line(line.text)), line.style)


def _plan(report: Report, full: bool) -> Iterator[Line]:
    if report.quiet:
        yield Line(f"{report.headline}. {report.as_wanted}".rstrip(), "bold")
        yield Line("")
    for registry in report.registries:
        yield Line(registry.title, "bold")
        for shown, alike in [(change, ()) for change in registry.changes] if full else folded(registry.changes):
            yield from _change(shown)
            if alike:
                yield _and_others(shown, alike)
        yield Line("")
    if report.registries:
        yield from _section(report.gains)
        yield from _section(report.losses)
        if report.nobody:
            yield Line(report.nobody)
        yield Line("")
    yield from _around(report, report.problems)
    if report.registries:
        yield Line(f"Plan: {report.headline}, {report.unchanged} unchanged.", "bold")
    yield from _left_out(report)


def _drift(report: Report) -> Iterator[Line]:
    if report.well and report.strangers:
        yield Line(f"{report.no_drift}.", "bold")
    for section in report.by_cause:
        yield Line(section.heading, "bold")
        for change in section.changes:
            yield from _difference(change)
        yield Line("")
    yield from _around(report, report.in_the_way)
    yield Line(report.drift, "bold")
    yield from _left_out(report)


def joined(lines: Iterable[Line]) -> str:
    """The lines as plain text that ends in a newline."""
    return "".join(f"{line.text}\n" for line in lines)


def _change(change: ChangeItem) -> Iterator[Line]:
    style = _STYLES[change.action]
    said = f"  ({change.action})" if change.action in (Action.ADOPT, Action.RELEASE) else ""
    yield Line(f"  {change.sign:<3} {change.title:<{_TITLE_COLUMN}}  {change.address}{said}", style)
    for detail in change.details:
        yield Line(f"        {detail.text}", _DETAIL_STYLES.get(detail.meaning, style))


def _and_others(shown: ChangeItem, alike: Sequence[ChangeItem]) -> Line:
    names = ", ".join(item.address.partition(".")[2] for item in alike[:MOST_NAMES])
    more = f" and {len(alike) - MOST_NAMES} more" if len(alike) > MOST_NAMES else ""
    text = f"  {shown.sign:<3} and {counted(len(alike), 'change')} like this: {names}{more} (--full shows each)"
    return Line(text, _STYLES[shown.action])


def folded(changes: Sequence[ChangeItem]) -> Iterator[tuple[ChangeItem, Sequence[ChangeItem]]]:
    """The changes to show, in their order, the last one of many that are alike with those that it stands for."""
    alike: dict[Hashable, list[ChangeItem]] = {}
    for change in changes:
        alike.setdefault(_likeness(change), []).append(change)
    for change in changes:
        group = alike[_likeness(change)]
        if len(group) <= MOST_NAMES or change in group[: _SHOWN - 1]:
            yield change, ()
        elif change is group[_SHOWN - 1]:
            yield change, group[_SHOWN:]


def _likeness(change: ChangeItem) -> Hashable:
    """Equal for changes that say the same but for their own names. What takes something away, or has a note, is like no other."""
    if (
        change.action in (Action.DELETE, Action.REPLACE)
        or change.losses
        or change.foreign
        or change.notes
        or change.drifted
    ):
        return change.address
    # where a name stands in the platform's own is for each platform to know, and it follows from the address
    said = (detail.text for detail in change.details if detail.meaning is not Meaning.NATIVE_NAME)
    return change.action, change.kind, tuple(_nameless(text, change.address.name) for text in said)


def _nameless(text: str, name: str) -> str:
    """The text without the name where it is a word of it. A number is a value, also where a name is written like it."""
    if name.isdigit():
        return text
    return re.sub(rf"(?<![A-Za-z0-9_./-]){re.escape(name)}(?![A-Za-z0-9_-]|[./][A-Za-z0-9])", "…", text)


def _difference(change: ChangeItem) -> Iterator[Line]:
    style = _STYLES[change.action]
    yield Line(f"  {change.address} {change.state}", style)
    if change.action is not Action.CREATE:
        yield from (Line(f"      {item.compared}", style) for item in change.fields)
    yield from (Line(f"      {note}", _DETAIL_STYLES[Meaning.NOTE]) for note in (*change.by_hand, *change.notes))


def _section(section: Section) -> Iterator[Line]:
    if section:
        heading, sign, style = _SECTIONS[section.topic]
        yield Line(section.heading, heading)
        for statement in section.statements:
            yield Line(f"  {sign}{statement.subject}: {statement.text}", style)
        if section.note:
            yield Line(f"    ({section.note})")


def _around(report: Report, problems: Section) -> Iterator[Line]:
    """What there is to know beside the changes."""
    if report.foreign:
        yield from (*_section(report.foreign), Line(""))
    if report.left_alone:
        yield from (Line(report.left_alone), Line(""))
    for section in (report.strangers, report.pending, problems, report.violations):
        if section:
            yield from (*_section(section), Line(""))
    if report.warnings:
        yield Line(_WARNINGS, "bold yellow")
        yield from (*(Line(f"  {warning}", "yellow") for warning in report.warnings), Line(""))


def _left_out(report: Report) -> Iterator[Line]:
    if report.left_out:
        yield Line(report.left_out, "bold yellow")
