"""What a plan was made from beside its changes: with both, all that it says can be computed again. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field

from reconciler.model.access import Access, Principal
from reconciler.model.address import Address
from reconciler.model.change import Change
from reconciler.model.counting import DecidesWhatCounts
from reconciler.model.kind import GivesAccess, HoldsImages, Kind
from reconciler.model.resource import Live
from reconciler.spec.models import Guards

from .counting import overlaps
from .expand import Kinds
from .guard import Verdict
from .picture import Picture


@dataclass(frozen=True)
class Basis:
    """What a plan was made from beside its changes.

    `rules`: the guards'. `owned`: how many resources the owner owns. `destroy`, `allow_delete`, `allow`: as in Wishes. `granted`:
    access that a guard objects to and that no change gives. `required`: what guards say of the spec itself, changes or none.
    `beside`: the live resources that changes take along or stand below, or that give the same access. `reaching`: those that give
    access to all that is marked, where a change marks something or takes its marks away. `sharing`: the live resources of other
    registries that are parts of the same native document as what changes, and that no change has. `pushers`: who can overwrite tags
    of what changes so that they can be overwritten.
    """

    rules: Guards = field(default_factory=Guards)
    owned: int = 0
    destroy: bool = False
    allow_delete: tuple[Address, ...] = ()
    allow: tuple[Address, ...] = ()
    granted: tuple[tuple[Address, Access], ...] = ()
    required: tuple[Verdict, ...] = ()
    beside: tuple[Live, ...] = ()
    reaching: tuple[Live, ...] = ()
    pushers: tuple[tuple[Address, tuple[str, ...]], ...] = ()
    sharing: tuple[Live, ...] = ()


def beside(seen: Picture, changes: Mapping[Address, Change]) -> tuple[Live, ...]:
    """The live resources that stand below what goes, or above what changes, or give something to those to whom a change gives or from
    whom it takes something, and that no change has."""
    wanted = _below(seen, {address for address, change in changes.items() if change.removes})
    wanted |= {change.desired.parent for change in changes.values() if change.desired and change.desired.parent}
    wanted |= _overlapping(seen, changes)
    wanted |= {at.sibling(by) for at, change in changes.items() if (by := had_by(seen.kinds, change))}
    had = {address for address, change in changes.items() if change.live is not None}
    return tuple(seen.live[address] for address in sorted(wanted - had) if address in seen.live)


def had_by(kinds: Kinds, change: Change) -> str:
    """The kind of the resource by which somebody has what a change gives; "" if there is none."""
    kind = kinds[change.registry][change.kind]
    return kind.by if isinstance(kind, GivesAccess) else ""


def _overlapping(seen: Picture, changes: Mapping[Address, Change]) -> set[Address]:
    """What gives access to somebody whose access changes, where several resources can give the same, and what decides what of it
    counts; all that gives access, where that changes."""
    who: set[tuple[str, Principal]] = set()
    asking: set[str] = set()
    switched: set[str] = set()
    for change in changes.values():
        kind = seen.kinds[change.registry][change.kind]
        if isinstance(kind, GivesAccess) and overlaps(kind):
            asking.add(change.registry)
            switched.update((change.registry,) if isinstance(kind, DecidesWhatCounts) else ())
            given = (item.settings for item in (change.desired, change.live) if item is not None)
            found = [access for settings in given for access in kind.access(change.address, settings)]
            found += (
                access for item in (change.live.foreign if change.live else ()) for access in (*item.access, *item.left)
            )
            who.update((change.registry, access.principal) for access in found)

    def matters(item: Live) -> bool:
        here = item.address.registry
        if isinstance(seen.kinds[here][item.kind], DecidesWhatCounts):
            return True
        has = set(_has(seen, item))
        return bool(has if here in switched else has & who)

    there = seen.live.items() if asking else ()
    return {address for address, item in there if address.registry in asking and matters(item)}


def _has(seen: Picture, item: Live) -> Iterator[tuple[str, Principal]]:
    """Who has access by a resource that can give the same as others."""
    kind = seen.kinds[item.address.registry][item.kind]
    if isinstance(kind, GivesAccess) and overlaps(kind) and not item.vacant:
        yield from ((item.address.registry, access.principal) for access in kind.access(item.address, item.settings))


def _below(seen: Picture, going: set[Address]) -> set[Address]:
    """What stands below resources that go, what is vacant too: others may lose access by it."""
    children: dict[Address, list[Address]] = {}
    for address, item in seen.live.items() if going else ():
        if item.parent is not None:
            children.setdefault(item.parent, []).append(address)
    found: set[Address] = set()
    left = list(going)
    while left:
        new = [address for address in children.get(left.pop(), ()) if address not in found]
        found.update(new)
        left += new
    return found


def images_may_go(change: Change, kind: Kind, allow_delete: Collection[str]) -> bool:
    """Whether the images, and what others gave, may go with what is deleted or replaced.

    A permission in the spec counts once it was applied, as `protect: false` does: one commit must not both allow and delete.
    """
    if not (change.removes and isinstance(kind, HoldsImages) and change.live is not None):
        return False
    return change.address in allow_delete or kind.images_may_go(change.live.settings)
