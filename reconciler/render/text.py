"""The plan as text for a terminal or a log."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from reconciler.engine.plan import Plan
from reconciler.model.change import Action, Cause, Change
from reconciler.spec.registry import RegistryBase
from reconciler.words import plural

from . import words


class Line(NamedTuple):
    """One line and its style: a name that a terminal may colour by."""

    text: str
    style: str = ""


STYLES = {
    Action.CREATE: "green",
    Action.UPDATE: "yellow",
    Action.REPLACE: "magenta",
    Action.DELETE: "red",
    Action.ADOPT: "cyan",
}
ADDRESS_COLUMN = 44


def plan_lines(plan: Plan) -> Iterator[Line]:
    """The whole plan."""
    if not plan.changes and not plan.problems:
        yield Line(f"No changes. {_as_wanted(plan)}", "bold")
    for registry in plan.registries:
        changes = [change for change in plan.changes if change.registry == registry.name]
        if changes:
            yield Line(registry_title(registry), "bold")
            for change in sorted(changes, key=reading_order):
                yield from change_lines(change)
            yield Line("")
    yield from _access_lines(plan)
    yield from _left_alone_lines(plan)
    yield from _problem_lines(plan)
    if plan.changes:
        yield Line(f"Plan: {words.totals(plan)}, {plan.unchanged} unchanged.", "bold")
    if left_out := words.left_out(plan):
        yield Line(left_out, "bold yellow")


def reading_order(change: Change) -> tuple[bool, str, str]:
    """What belongs to the registry as a whole first, then repository by repository, each with what stands below it."""
    where = change.address
    resource = change.desired or change.live
    below = where.kind == "repository" or (resource is not None and ".repository." in (resource.parent or ""))
    return (
        below,
        f"{where.name}@{where.where}" if below else change.address,
        change.address if where.kind != "repository" else "",
    )


def registry_title(registry: RegistryBase) -> str:
    """`registry images (aws 123456789012 us-east-1)`."""
    return f"registry {registry.name} ({' '.join((registry.platform, *registry.place))})"


def _as_wanted(plan: Plan) -> str:
    verb, them = ("is", "it") if plan.unchanged == 1 else ("are", "them")
    return f"{plan.unchanged} {plural(plan.unchanged, 'resource')} {verb} as the spec wants {them}."


def change_lines(change: Change) -> Iterator[Line]:
    """One change: its sign, its address, its fields, and what it means for access and images."""
    style = STYLES[change.action]
    sign = words.SIGNS[change.action]
    adopting = "  (adopt)" if change.action is Action.ADOPT else ""
    head = f"  {sign:<3} {words.title(change)}"
    yield Line(f"{head:<{ADDRESS_COLUMN}}  {change.address}{adopting}", style)
    gains, losses = words.gained(change.gains), words.lost(change.losses)
    # a new grant is told by its words alone; for anything else the fields say exactly what is written
    if change.action is not Action.CREATE or not gains:
        for item in change.fields:
            yield Line(f"        {words.field_line(item, new=change.action is Action.CREATE)}", style)
    for gain in gains:
        yield Line(f"        {gain.text}", "green")
    for loss in losses:
        yield Line(f"        {loss.text}", "red")
    if change.action is Action.REPLACE:
        yield Line("        is deleted and created again", style)
    if removal := words.removal(change):
        yield Line(f"        {removal}", style)
    if change.along:
        names = ", ".join(address.split(".", 1)[1] for address in change.along)
        yield Line(f"        takes along {names}", style)
    for given in change.foreign:
        for sentence in words.given(given):
            yield Line(f"        takes along what somebody else gave: {sentence}", style)
    for note in change.notes:
        yield Line(f"        {note}", "yellow")
    if change.cause in (Cause.DRIFT, Cause.BOTH):
        yield Line("        changed by hand since the last apply", "yellow")


def _access_lines(plan: Plan) -> Iterator[Line]:
    if not plan.changes:
        return
    gains, losses = words.all_gains(plan), words.all_losses(plan)
    for heading, sign, sentences, style in (
        ("Who gains access", "+", gains, "green"),
        ("Who loses access", "-", losses, "red"),
    ):
        if sentences:
            yield Line(heading, "bold")
            for sentence in sentences:
                yield Line(f"  {sign} {sentence.registry}: {sentence.text}", style)
    if gains or losses:
        yield Line("")
    else:
        yield Line("Nobody gains or loses access.")
        yield Line("")


def _left_alone_lines(plan: Plan) -> Iterator[Line]:
    if plan.kept:
        yield Line("Foreign access (given by somebody else, kept)", "bold")
        for item in plan.kept:
            yield from (Line(f"  {item.address}: {text}", "yellow") for text in words.given(item))
        yield Line("")
    notes = [
        f"{count} {plural(count, 'repository').replace('ys', 'ies')} of registry {name} that nobody owns"
        for name, count in plan.unowned.items()
    ]
    if plan.runtime:
        notes.append(f"{len(plan.runtime)} {plural(len(plan.runtime), 'resource')} created at run time")
    if notes:
        yield Line(f"Left alone: {', '.join(notes)}.")
        yield Line("")


def _problem_lines(plan: Plan) -> Iterator[Line]:
    if plan.problems:
        yield Line("The plan can't be applied", "bold red")
        for problem in plan.problems:
            yield Line(f"  {problem.address}: {problem.message}", "red")
        yield Line("")
    if plan.violations:
        yield Line("Guards that stop the plan", "bold red")
        for verdict in plan.violations:
            yield Line(f"  {verdict.guard}: {verdict.message}", "red")
        yield Line("")


DRIFT_GROUPS = (
    (Cause.DRIFT, "Drift: changed by hand since the last apply"),
    (Cause.BOTH, "Drift and pending: changed by hand, and the spec has moved on too"),
    (Cause.CHANGED, "Changed: differs, and nothing recorded what was last applied, so nobody can tell why"),
    (Cause.PENDING, "Pending: the spec has moved on since the last apply"),
)


def drift_lines(plan: Plan) -> Iterator[Line]:
    """The plan's changes by cause, each with its fields: live → spec."""
    if not plan.changes and not plan.problems:
        yield Line(f"No drift. {_as_wanted(plan)}", "bold")
    for cause, heading in DRIFT_GROUPS:
        changes = [change for change in plan.changes if change.cause is cause]
        if not changes:
            continue
        yield Line(heading, "bold")
        for change in sorted(changes, key=lambda item: item.address):
            yield from _drift_change(change)
        yield Line("")
    yield from _left_alone_lines(plan)
    yield from _problem_lines(plan)
    if left_out := words.left_out(plan):
        yield Line(left_out, "bold yellow")


def _drift_change(change: Change) -> Iterator[Line]:
    style = STYLES[change.action]
    what = {
        Action.CREATE: "is not there",
        Action.DELETE: "is no longer in the spec",
        Action.REPLACE: "differs in what can't be changed",
        Action.ADOPT: "is there and is to be adopted",
        Action.UPDATE: "differs",
    }[change.action]
    if change.action is Action.CREATE and change.cause is Cause.DRIFT:
        what = "was removed by hand, or the apply that was to make it was cut off"
    elif change.action is Action.CREATE and change.cause is Cause.CHANGED:
        what = "is not there: new in the spec, or removed by hand"
    yield Line(f"  {change.address} {what}", style)
    if change.action is not Action.CREATE:
        for item in change.fields:
            yield Line(f"      {item.path}: {words.value(item.old)} (live), {words.value(item.new)} (spec)", style)
    for note in change.notes:
        yield Line(f"      {note}", "yellow")


def joined(lines: Iterable[Line]) -> str:
    """The lines as plain text that ends in a newline."""
    return "".join(f"{line.text}\n" for line in lines)
