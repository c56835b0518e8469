"""A saved plan computed again from what it will write, by the functions that made it. Pure."""

from __future__ import annotations

from dataclasses import replace
from graphlib import CycleError, TopologicalSorter
from itertools import chain

from reconciler.model.address import Address
from reconciler.model.change import Action, Change
from reconciler.model.counting import DecidesWhatCounts
from reconciler.model.kind import HoldsImages
from reconciler.model.resource import Desired, Live

from .basis import images_may_go
from .counting import given_after, leans, overlaps
from .diff import diff
from .expand import Kinds
from .expiring import expires
from .logins import with_other_logins
from .picture import Picture
from .plan import Plan, homes_of, judged
from .reach import reaching, with_reach
from .required import unsaid
from .weaker import with_expiring
from .whole import ending_by, note_of, released_inside


def again(said: Plan, kinds: Kinds) -> Plan:
    """The plan that follows from the desired and the live resources of `said`, whatever else that says.

    What only the platform knows is taken as it is said: how many images there are, what others gave, and what is not in the
    plan's changes; apply reads it again, and what moved is stale. Raises ValueError if `said` is no plan that could be made.
    """
    given = {change.address: change for change in said.changes}
    _refuse_unasked(said, kinds)
    seen = _picture(said, kinds)
    _refuse_circles(seen)
    _refuse_undecided(said, seen)
    adopt = [change.address for change in said.changes if change.action is Action.ADOPT]
    found = diff(seen, said.owner, adopt)
    # what stays beside the changes does so be it as the spec wants it or not
    odd = sorted(given.keys() ^ (found.changes.keys() - seen.staying.keys()))
    if odd:
        raise ValueError(f"the change of {odd[0]} does not follow from the desired and live resources")
    problems = {*found.problems, *released_inside(found.changes, kinds)} - set(said.problems)
    hidden = sorted(item for item in problems if item.address not in seen.staying)
    if hidden:
        raise ValueError(f"it does not say that {hidden[0].address} has a problem: {hidden[0].message}")
    if missing := next(unsaid(found.changes.values(), said.basis, kinds, said.registries), None):
        raise ValueError(missing)
    there = (*said.basis.reaching, *(change.live for change in said.changes if change.live is not None))
    by = reaching(there, found.changes, kinds, said.owner)
    reached = with_other_logins(with_reach(found.changes, by, kinds, seen.homes, said.owner), kinds)
    changes = {address: _counted(reached[address], given[address], said, seen) for address in given}
    return judged(said, changes, kinds)


def _refuse_unasked(said: Plan, kinds: Kinds) -> None:
    registries = {registry.name: registry for registry in said.registries}
    for change in said.changes:
        if change.desired is not None:
            kind = kinds[change.registry][change.kind]
            if unasked := kind.unasked(change.desired, registries[change.registry]):
                raise ValueError(f"{change.address}: {unasked} is not what registry {change.registry} asks for")


def _picture(said: Plan, kinds: Kinds) -> Picture:
    """What the plan was made from, as far as its changes are about it."""
    along = {address for change in said.changes for address in change.along}
    live: dict[Address, Live] = {}
    for item in (*(change.live for change in said.changes if change.live is not None), *said.basis.beside):
        if item.address in live:
            raise ValueError(f"{item.address} is listed twice")
        live[item.address] = item
    # what a change's access hangs on stays, however it is; what only gives the same is in no other way part of the plan
    beside = {item.address: item for item in said.basis.beside if item.address not in along and _leans(item, kinds)}
    live = {at: item for at, item in live.items() if at not in beside or not overlaps(kinds[at.registry][item.kind])}
    # what stands above a change and has none of its own is as it is wanted
    above = [
        item for item in said.basis.beside if item.address not in along and not item.vacant and item.address in live
    ]
    for item in above:
        if item.address not in beside and (altered := kinds[item.address.registry][item.kind].altered(item.settings)):
            raise ValueError(f"{item.address}: {altered} is not as any spec has it, and the plan does not change it")
    desired = {item.address: Desired(item.address, item.kind, item.settings) for item in above}
    desired |= {change.address: change.desired for change in said.changes if change.desired is not None}
    released = frozenset(change.address for change in said.changes if change.action is Action.RELEASE)
    homes = homes_of(said.owner, said.registries)
    pushers = dict(said.basis.pushers)
    staying: dict[Address, Live | None] = {item.address: item for item in said.basis.sharing}
    if twice := sorted((live.keys() | beside.keys()) & staying.keys()):
        raise ValueError(f"{twice[0]} is listed twice")
    staying |= beside
    foreign = given_after(said.foreign, {change.address for change in said.changes})
    ending = ending_by(said.changes, kinds)
    return Picture(
        kinds,
        desired,
        live,
        foreign,
        homes=homes,
        released=released,
        pushers=pushers,
        staying=staying,
        ending=ending,
    )


def _leans(item: Live, kinds: Kinds) -> bool:
    return leans(kinds[item.address.registry][item.kind])


def _refuse_undecided(said: Plan, seen: Picture) -> None:
    """A file may have been edited to keep quiet about what decides which access counts."""
    for registry in sorted(
        {change.registry for change in said.changes if overlaps(seen.kinds[change.registry][change.kind])}
    ):
        there = {at.kind for at in chain(seen.live, seen.desired, seen.staying) if at.registry == registry}
        made = {
            change.kind for change in said.changes if change.registry == registry and change.action is Action.CREATE
        }
        for name, kind in seen.kinds[registry].items():
            if isinstance(kind, DecidesWhatCounts) and name not in there and made.isdisjoint(kind.after):
                raise ValueError(f"it does not say which {name} registry {registry} has")


def _refuse_circles(seen: Picture) -> None:
    for resources in (seen.desired, seen.live):
        above = {address: [item.parent] for address, item in resources.items() if item.parent is not None}
        try:
            TopologicalSorter(above).prepare()
        except CycleError as error:
            raise ValueError(f"parents form a cycle ({error.args[1][0]})") from None


def _counted(change: Change, said: Change, plan: Plan, seen: Picture) -> Change:
    """The change with its images, which were counted where they would go, and with the permission that follows."""
    kind = seen.kinds[change.registry][change.kind]
    if said.expiring is not None:
        if not expires(seen, change):
            raise ValueError(f"the change of {change.address} counts images that expire, and none do by it")
        change = with_expiring(change, said.expiring)
    if not (change.removes and isinstance(kind, HoldsImages)):
        return change
    if said.images is None:
        raise ValueError(f"the change of {change.address} does not say how many images are lost")
    # why it was not counted, only whoever counted knows
    uncounted = [note for note in said.notes[-1:] if said.images and note.startswith(note_of(said.images, ""))]
    allowed = images_may_go(change, kind, plan.basis.allow_delete)
    return replace(change, images=said.images, force=allowed, notes=(*change.notes, *uncounted))
