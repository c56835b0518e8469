"""Who comes to a repository by its marks, or no longer does: access that is given to whatever carries the registry's. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace

from reconciler.model.access import Access
from reconciler.model.address import Address
from reconciler.model.change import Change
from reconciler.model.kind import GivesAccess, HoldsImages, Home, ReachesMarked
from reconciler.model.resource import Live

from .expand import Kinds


def reaching(live: Iterable[Live], changes: Mapping[Address, Change], kinds: Kinds, owner: str) -> tuple[Live, ...]:
    """The live resources by which somebody reaches what gets or loses marks by the changes, and those that may deny it, in the order
    of their addresses."""
    crossed = {change.address for change in crossing(changes.values(), kinds, owner)}
    registries = {address.registry for address in crossed}
    found = [item for item in live if item.address.registry in registries and _counts(item, crossed, kinds)]
    return tuple(sorted(found, key=lambda item: item.address))


def _counts(item: Live, crossed: Collection[Address], kinds: Kinds) -> bool:
    """Whether somebody reaches all that is marked by the resource, or it may deny that to them where it stands."""
    kind = kinds[item.address.registry].get(item.kind)
    if isinstance(kind, ReachesMarked):
        return not item.vacant
    return item.parent in crossed and isinstance(kind, GivesAccess) and kind.may_deny(item.given) != ""


def with_reach(
    changes: Mapping[Address, Change], by: Iterable[Live], kinds: Kinds, homes: Mapping[str, Home], owner: str
) -> dict[Address, Change]:
    """The changes; those by which a resource gets the registry's marks, or loses them, with the access that this gives or takes away.

    `by`: as `reaching` has them. Only what is in force both before and after the plan counts: where somebody comes to all of the
    registry by the plan, or leaves it, the change that does so says it.
    """
    reach: dict[str, set[Access]] = {}
    first: dict[str, set[Address]] = {}
    denied: dict[Address, str] = {}
    for live in by:
        here = live.address.registry
        kind = kinds[here][live.kind]
        if live.parent is not None and isinstance(kind, GivesAccess) and (why := kind.may_deny(live.given)):
            denied[live.parent] = why
        own = changes.get(live.address)
        if own is not None and own.desired is not None and isinstance(kind, ReachesMarked):
            first.setdefault(here, set()).add(live.address)
        reach.setdefault(here, set()).update(_lasting(live, own, kinds, homes.get(here) or Home(owner)))
    found = dict(changes)
    for change in crossing(changes.values(), kinds, owner):
        at = change.address
        if not change.lets_go and at.registry in first:
            # who gains by the marks is as the plan has it only once what gives that is as it has it
            change = replace(change, needs=tuple(sorted(first[at.registry].union(change.needs))))
            found[at] = change
        access = {replace(item, repository=at.name) for item in reach.get(at.registry, ()) if item.where == at.where}
        if why := denied.get(at, ""):
            end = f"which {why} may have denied before" if change.lets_go else f"unless {why} denies it"
            access = {replace(item, may=True, note=", ".join(filter(None, (item.note, end)))) for item in access}
        if access and change.lets_go:
            found[at] = replace(change, losses=tuple(sorted(access.union(change.losses))))
        elif access:
            found[at] = replace(change, gains=tuple(sorted(access.union(change.gains))))
    return found


def crossing(changes: Iterable[Change], kinds: Kinds, owner: str) -> Iterator[Change]:
    """The changes of what holds images by which it gets or loses the marks of its registry."""
    for change in changes:
        live = change.live
        marked = (
            live is not None and not live.vacant and (live.marks.owner, live.marks.registry) == (owner, change.registry)
        )
        if marked == change.lets_go and isinstance(kinds[change.registry][change.kind], HoldsImages):
            yield change


def _lasting(live: Live, change: Change | None, kinds: Kinds, home: Home) -> set[Access]:
    """What is given to all that is marked by one resource, both now and after the plan."""
    kind = kinds[live.address.registry][live.kind]
    if not isinstance(kind, ReachesMarked):
        return set()
    now = set(kind.reaches(live.address, live.given, home))
    if change is None:
        return now
    wanted = change.desired.settings if change.desired is not None else None
    return now.intersection(kind.reaches(live.address, live.given.of(wanted), home))
