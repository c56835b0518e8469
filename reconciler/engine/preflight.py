"""What must hold before anything is written: no problem, no guard's refusal, and for a saved plan that nothing has moved."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from reconciler.errors import (
    GuardViolation,
    PlanConflict,
    PlanRefused,
    PlatformError,
    ReadFailed,
    ReconcilerError,
    StalePlan,
)
from reconciler.model.address import Address
from reconciler.model.call_log import working_on
from reconciler.model.change import Action, Change
from reconciler.model.counting import DecidesWhatCounts
from reconciler.model.kind import ReachesMarked, Trait
from reconciler.model.placed import Placed, apart
from reconciler.model.platform import Session
from reconciler.model.resource import Desired, Live
from reconciler.words import one_line

from .basis import had_by
from .counting import overlaps
from .observe import places_of, read, read_again
from .plan import Plan
from .reach import crossing
from .sessions import Sessions
from .whole import ending_by, going_with
from .write import moved_since, unconverged


def known(plan: Plan) -> Iterator[Desired | Live]:
    """Every resource that the plan names, as it is there before it is applied; what is not there, as it will be."""
    yield from plan.basis.beside
    yield from (item for change in plan.changes if (item := at_first(change)) is not None)


def at_first(change: Change) -> Desired | Live | None:
    """What the change is about as it is there, or as it will be if it is not there."""
    there = change.live is not None and not change.live.vacant
    return change.live if there else change.desired or change.live


def refuse(plan: Plan) -> None:
    """Raises PlanRefused (PlanConflict, if it is for conflicts alone) or GuardViolation unless the plan may be applied."""
    if plan.problems:
        lines = [one_line(f"{problem.address}: {problem.message}") for problem in plan.problems]
        refused = PlanConflict if plan.conflicting else PlanRefused
        raise refused("the plan can't be applied:\n  " + "\n  ".join(lines))
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
            lines.append(one_line(f"{change.address}: {altered} would not be written as shown"))
    if lines:
        raise PlanRefused("the plan can't be applied:\n  " + "\n  ".join(lines))


def refuse_elsewhere(plan: Plan, sessions: Sessions) -> None:
    """Raises ReadFailed, as for an account that is not the spec's, if changes are in places, such as clusters, that can't be taken
    for those that the plan was made of."""
    failures: dict[str, ReconcilerError] = {}
    for name in sorted({change.registry for change in plan.changes}):
        try:
            with working_on(name):
                _check_places(plan, sessions[name], [item.address for item in plan.changes if item.registry == name])
        except ReconcilerError as error:
            failures[name] = error
    if failures:
        raise ReadFailed(failures)


def _check_places(plan: Plan, session: Session, addresses: Iterable[Address]) -> None:
    here = sorted(addresses)
    now = places_of(session, here)
    for at in here:
        kind = session.platform.kinds[at.kind]
        place = kind.place_of(at) if isinstance(kind, Placed) else ""
        if place and (how := apart(plan.places.get(place, {}), now[place])):
            raise PlatformError(
                f"{place} can't be taken for the one that the plan was made of: {how}; nothing was written",
                address=at,
                hint="reach the one that was reviewed, or make a new plan and review it",
            )


def refuse_stale(plan: Plan, sessions: Sessions) -> None:
    """Reads everything that the plan touches again. Raises StalePlan, naming all that moved, if anything did."""
    moved = stale(plan, sessions)
    if moved:
        raise StalePlan(moved, applied=_applied(plan, sessions))


def _applied(plan: Plan, sessions: Sessions) -> bool:
    """Whether every resource that the plan changes is as the plan would leave it, in a place that is there."""
    return not any(session.absent() for session in sessions.values()) and not any(
        unconverged(change, now, sessions[change.registry]) for change, now in read_again(plan.changes, sessions)
    )


def stale(plan: Plan, sessions: Sessions) -> dict[str, str]:
    """Reads everything that the plan touches again; returns what moved, by address, in words."""
    made = {change.address: change for change in plan.changes if change.makes}
    touched = [change for change in plan.changes if not _appears_with(change, made)]
    moved: dict[str, str] = {}
    kinds = {name: session.platform.kinds for name, session in sessions.items()}
    for change, now in read_again(touched, sessions):
        what = moved_since(change, now, sessions[change.registry], going_with(plan.changes, change, kinds))
        if what:
            moved[change.address] = what
    besides = (_otherwise_given, _otherwise_held, _otherwise_reached, _lacking, _unsaid, _left_by_others)
    moved = {address: what for found in besides for address, what in found(plan, sessions).items()} | moved
    return moved | _elsewhere(plan, sessions, moved)


def _elsewhere(plan: Plan, sessions: Sessions, moved: Mapping[str, str]) -> dict[str, str]:
    """The changes of what was there, where nothing of the registry is any more, in words: most likely the file stands elsewhere."""
    absent = {name: why for name, session in sessions.items() if (why := session.absent())}
    return {
        change.address: f"registry {change.registry}: {absent[change.registry]}; a saved plan must be in the same place relative to"
        " the spec's folder"
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
            found[change.address] = f"{live.address} would be deleted with it, and the plan does not say so"
    return found


def _otherwise_given(plan: Plan, sessions: Sessions) -> dict[str, str]:
    """The changes beside which another resource gives something else than the plan has it, in words: what they give or take hangs on
    that, and a file may have been edited to keep quiet about it."""
    found: dict[str, str] = {}
    for name, session in sessions.items():
        kinds = {kind.name: kind for kind in session.platform.kinds.values() if overlaps(kind)}
        said = [item for item in plan.basis.beside if item.address.registry == name and item.kind in kinds]
        there = {live.address: live for live in read(session, [item.address for item in said])} if said else {}
        beside = [change.address for change in plan.changes if change.registry == name and change.kind in kinds]
        for item in said:
            kind = kinds[item.kind]
            if kind.fingerprint(there.get(item.address)) != kind.fingerprint(item):
                what = "decides what counts" if isinstance(kind, DecidesWhatCounts) else "gives some of the same"
                found |= dict.fromkeys(beside, f"{item.address}, which {what}, is not as the plan has it")
    return found


def _otherwise_held(plan: Plan, sessions: Sessions) -> dict[str, str]:
    """The changes of what somebody has by another resource than the plan has it, in words: who gains or loses hangs on that, and a
    file may have been edited to keep quiet about it."""
    kinds = {name: session.platform.kinds for name, session in sessions.items()}
    said = {item.address: item for item in plan.basis.beside}
    own = {change.address for change in plan.changes}
    own |= {at for change in plan.changes for at in change.along}
    held = {
        at: change.address
        for change in plan.changes
        if (by := had_by(kinds, change)) and (at := change.address.sibling(by)) not in own
    }
    found: dict[str, str] = {}
    for name, session in sessions.items():
        here = [at for at in held if at.registry == name]
        there = {live.address: live for live in read(session, here)} if here else {}
        for at in here:
            kind = kinds[name][at.kind]
            if kind.fingerprint(there.get(at)) != kind.fingerprint(said.get(at)):
                found[held[at]] = f"{at}, by which somebody has it, is not as the plan has it"
    return found


def _otherwise_reached(plan: Plan, sessions: Sessions) -> dict[str, str]:
    """The changes of marks by which others gain or lose access than the plan says, in words: what gives it has changed, or a file was
    edited to keep quiet about it."""
    kinds = {name: session.platform.kinds for name, session in sessions.items()}
    said = {item.address: item for item in plan.basis.reaching}
    own = {change.address for change in plan.changes}
    found: dict[str, str] = {}
    marked: dict[str, list[Address]] = {}
    for change in crossing(plan.changes, kinds, plan.owner):
        marked.setdefault(change.registry, []).append(change.address)
    for name, addresses in marked.items():
        for kind in kinds[name].values():
            by = [at for at in kind.all_of(name) if at not in own] if isinstance(kind, ReachesMarked) else []
            there = {live.address: live for live in read(sessions[name], by)} if by else {}
            for at in by:
                if kind.fingerprint(there.get(at)) != kind.fingerprint(said.get(at)):
                    found |= dict.fromkeys(addresses, f"{at}, which gives access to it, is not as the plan has it")
    return found


def _left_by_others(plan: Plan, sessions: Sessions) -> dict[str, str]:
    """The changes that say of something that it stays, or is no news, since another registry has it too, where that has changed, in
    words."""
    said = {change.address: change.live for change in plan.changes} | {
        item.address: item for item in plan.basis.sharing
    }
    leaning: dict[Address, list[Change]] = {}
    for change in plan.changes:
        for at in change.leans:
            leaning.setdefault(at, []).append(change)
    found: dict[str, str] = {}
    for name, session in sessions.items():
        here = sorted(at for at in leaning if at.registry == name)
        there = {live.address: live for live in read(session, here)} if here else {}
        for at in here:
            kind = session.platform.kinds[at.kind]
            if kind.fingerprint(there.get(at)) != kind.fingerprint(said.get(at)):
                why = f"{at}, which is a part of the same document, is not as the plan has it"
                found |= {change.address: why for change in leaning[at]}
    return found


def forgotten(plan: Plan, sessions: Sessions) -> dict[str, str]:
    """For a plan of this run, of which each resource is read again right before it is written: the creates that need a note that the
    plan does not write and that is gone by now, in words. What is made without it, no later plan would find."""

    def notes(change: Change) -> Iterator[Address]:
        kinds = sessions[change.registry].platform.kinds
        if change.action is Action.CREATE:
            yield from (need for need in change.needs if Trait.INHERITS in kinds[need.kind].traits)

    # and what is said to stay by something else is looked at, too: no write of this plan reads that
    gone = _lacking(plan, sessions, notes) | _left_by_others(plan, sessions)
    return {at: f"{why}; make a new plan" for at, why in gone.items()} | _wholes_moved(plan, sessions)


def _wholes_moved(plan: Plan, sessions: Sessions) -> dict[str, str]:
    """The changes of a registry of which all is deleted, where what goes with it is not what the plan says, in words."""
    kinds = {name: session.platform.kinds for name, session in sessions.items()}
    homes = set(ending_by(plan.changes, kinds).values())
    found: dict[str, str] = {}
    for home, now in read_again([change for change in plan.changes if change.address in homes], sessions):
        if what := moved_since(home, now, sessions[home.registry], going_with(plan.changes, home, kinds)):
            found[home.address] = what
    return with_wholes(plan, sessions, found)


def with_wholes(plan: Plan, sessions: Sessions, moved: Mapping[str, str]) -> dict[str, str]:
    """What moved, in words, with all other changes of a registry of which all was to be deleted and that moved: it stays, and must
    not be without what the plan deletes before it. Pure."""
    found = dict(moved)
    for home in ending_by(plan.changes, {name: session.platform.kinds for name, session in sessions.items()}).values():
        for change in plan.changes if home in moved else ():
            if change.registry == home.registry:
                found.setdefault(change.address, f"{home}, in which it is, has moved: {moved[home]}")
    return found


def _needs(change: Change) -> Iterator[Address]:
    """All that must be there for a write."""
    if change.desired is not None:
        yield from change.needs
        if change.desired.parent is not None:
            yield change.desired.parent


def _lacking(
    plan: Plan, sessions: Sessions, needs_of: Callable[[Change], Iterable[Address]] = _needs
) -> dict[str, str]:
    """The changes whose needs, beside those that the plan itself makes, are not there or not the owner's, in words.

    A plan is refused where such a need is in conflict; a file may have been edited to keep quiet about it.
    """
    own = {change.address for change in plan.changes}
    needs: dict[Address, list[Change]] = {}
    for change in plan.changes:
        for need in {*needs_of(change)} - own:
            needs.setdefault(need, []).append(change)
    found: dict[str, str] = {}
    for name, session in sessions.items():
        here = [need for need in needs if need.registry == name]
        there = {live.address: live for live in read(session, here)} if here else {}
        for need in sorted(here):
            live = there.get(need)
            if live is not None and live.moot:
                continue
            if live is None or live.vacant:
                why = f"{need}, which it needs, does not exist"
            elif live.marks.owner != plan.owner or live.marks.elsewhere(name):
                why = f"{need}, which it needs, is not owned by this spec"
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
