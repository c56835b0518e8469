"""What must hold before anything is written: no problem, no guard's refusal, and for a saved plan that nothing has moved."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.errors import GuardViolation, PlanRefused, StalePlan
from reconciler.model.address import Address
from reconciler.model.change import Action, Change
from reconciler.model.kind import Trait
from reconciler.words import one_line

from .observe import read, read_again
from .plan import Plan
from .sessions import Sessions
from .write import moved_since


def refuse(plan: Plan) -> None:
    """Raises PlanRefused or GuardViolation unless the plan may be applied."""
    if plan.problems:
        lines = [one_line(f"{problem.address}: {problem.message}") for problem in plan.problems]
        raise PlanRefused("the plan can't be applied:\n  " + "\n  ".join(lines))
    if plan.violations:
        lines = [one_line(f"{verdict.guard}: {verdict.message}") for verdict in plan.violations]
        raise GuardViolation("a guard stops the plan; nothing was written:\n  " + "\n  ".join(lines))


def refuse_altered(plan: Plan, sessions: Sessions) -> None:
    """Raises PlanRefused if any change would write something else than it says: no spec makes such a plan."""
    lines = []
    for change in plan.changes:
        kind = sessions[change.registry].platform.kinds[change.kind]
        altered = kind.altered(change.desired.settings) if change.desired is not None else None
        if altered:
            lines.append(one_line(f"{change.address}: {altered} would not be written as it stands there"))
    if lines:
        raise PlanRefused("the plan can't be applied:\n  " + "\n  ".join(lines))


def refuse_stale(plan: Plan, sessions: Sessions) -> None:
    """Reads everything that the plan touches again. Raises StalePlan, naming all that moved, if anything did."""
    moved = stale(plan, sessions)
    if moved:
        raise StalePlan(moved)


def stale(plan: Plan, sessions: Sessions) -> dict[str, str]:
    """Reads everything that the plan touches again; returns what moved, by address, in words."""
    made = {change.address: change for change in plan.changes if change.makes}
    touched = [change for change in plan.changes if not _appears_with(change, made)]
    moved: dict[str, str] = {}
    for change, now in read_again(touched, sessions):
        what = moved_since(change, now, sessions[change.registry])
        if what:
            moved[change.address] = what
    moved = _lacking(plan, sessions) | _unsaid(plan, sessions) | moved
    return moved | _elsewhere(plan, sessions, moved)


def _elsewhere(plan: Plan, sessions: Sessions, moved: Mapping[str, str]) -> dict[str, str]:
    """The changes of what was there, where nothing of the registry is any more, in words: most likely the file stands elsewhere."""
    absent = {name: why for name, session in sessions.items() if (why := session.absent())}
    return {
        change.address: f"registry {change.registry}: {absent[change.registry]}; a saved plan must stand in the same place beside the"
        " spec's folder"
        for change in plan.changes
        if change.registry in absent and (change.address in moved or (change.live and not change.live.vacant))
    }


def _unsaid(plan: Plan, sessions: Sessions) -> dict[str, str]:
    """The deletes that take along what the plan does not name, in words: a file may have been edited to keep quiet about it."""
    found: dict[str, str] = {}
    for name, session in sessions.items():
        going = {
            change.address: change
            for change in plan.changes
            if change.registry == name and change.action is Action.DELETE
        }
        carried = [kind for kind in session.platform.kinds.values() if Trait.INHERITS in kind.traits]
        below = [address.sibling(kind.name) for address in going for kind in carried]
        for live in read(session, below) if below else ():
            change = going.get(live.parent) if live.parent is not None else None
            if change is None or live.vacant or live.marks.owner != plan.owner or live.address in change.along:
                continue
            found[change.address] = f"{live.address} goes along with it, and the plan does not say so"
    return found


def _lacking(plan: Plan, sessions: Sessions) -> dict[str, str]:
    """The changes whose needs, beside those that the plan itself makes, are not there or not the owner's, in words.

    A plan is refused where such a need is in conflict; a file may have been edited to keep quiet about it.
    """
    own = {change.address for change in plan.changes}
    needs: dict[Address, list[Change]] = {}
    for change in plan.changes:
        if change.desired is not None:
            parent = change.desired.parent
            for need in {*change.needs, *([parent] if parent is not None else [])} - own:
                needs.setdefault(need, []).append(change)
    found: dict[str, str] = {}
    for name, session in sessions.items():
        here = [need for need in needs if need.registry == name]
        there = {live.address: live for live in read(session, here)} if here else {}
        for need in sorted(here):
            live = there.get(need)
            if live is None or live.vacant:
                why = f"{need}, which it needs, is not there"
            elif live.marks.owner != plan.owner or live.marks.elsewhere(name):
                why = f"{need}, which it needs, is not this spec's"
            else:
                continue
            found |= {change.address: why for change in needs[need]}
    return found


def _appears_with(change: Change, made: Mapping[Address, Change]) -> bool:
    """Whether the change is of something that can't be there yet, or goes first, since what it stands below is made anew."""
    parent = change.desired.parent if change.desired is not None else None
    if parent is None or parent not in made:
        return False
    # a file can name any parent: that of another name says nothing about what is there
    return made[parent].action is Action.REPLACE or parent.sibling(change.kind) == change.address
