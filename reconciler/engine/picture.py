"""All that a plan is made from, put together. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import TypeVar

from reconciler.model.access import ForeignAccess, Neighbour
from reconciler.model.address import Address
from reconciler.model.kind import HoldsImages, Home
from reconciler.model.resource import Desired, Live
from reconciler.words import natural

from .expand import Kinds, Wanted

T = TypeVar("T")


@dataclass(frozen=True)
class Picture:
    """Desired and live by address. `kinds`: by registry. `unowned`: per registry, names of repositories that nobody owns or wants.

    `twice`: addresses that stand for one and the same native object, each with the other. `homes`: whose the registries' resources
    are. `refused`: what its platform would not take of what is wanted, in words. `unseen`: what of that was not looked at, as in
    Session. `released`: what is to be let go of. `pushers`: who can push, where that is known otherwise than by what is wanted and
    what others gave. `staying`: what registries have of native documents that others have parts of too, and what gives access beside
    or by others, where the plan leaves it as it is (None: nothing). `neighbours`: what other registries have in the same native
    document, by address. `elsewhere`: what the spec describes, wants no more, and is by its mark of a registry that the spec does not
    have. `ending`: the registries of which all is deleted, each with the resource that holds it.
    """

    kinds: Kinds
    desired: Mapping[Address, Desired]
    live: Mapping[Address, Live]
    foreign: tuple[ForeignAccess, ...] = ()
    unowned: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    twice: Mapping[Address, Address] = field(default_factory=dict)
    homes: Mapping[str, Home] = field(default_factory=dict)
    refused: Mapping[Address, str] = field(default_factory=dict)
    unseen: Mapping[Address, str] = field(default_factory=dict)
    released: frozenset[Address] = frozenset()
    pushers: Mapping[Address, tuple[str, ...]] | None = None
    staying: Mapping[Address, Live | None] = field(default_factory=dict)
    neighbours: Mapping[Address, tuple[Neighbour, ...]] = field(default_factory=dict)
    elsewhere: Mapping[Address, Live] = field(default_factory=dict)
    ending: Mapping[str, Address] = field(default_factory=dict)


def picture(
    kinds: Kinds,
    desired: Wanted,
    listed: Mapping[str, Mapping[Address, Live]],
    *,
    destroy: bool = False,
    retired: Collection[str] = (),
    released: frozenset[Address] = frozenset(),
    homes: Mapping[str, Home] | None = None,
    refused: Mapping[Address, str] | None = None,
    unseen: Mapping[Address, str] | None = None,
) -> Picture:
    """The registries' parts as one picture. `destroy`: nothing is wanted any more. `retired`: registries of which nothing is.
    `released`, `homes`, `refused`, `unseen`: as in Picture."""
    wanted = {} if destroy else _joined([found for name, found in desired.items() if name not in retired])
    wanted = _without(wanted, released)
    everything = _joined(listed.values())
    live = _own(everything, wanted)
    return Picture(
        kinds=kinds,
        desired=wanted,
        live=live,
        foreign=tuple(sorted(chain.from_iterable(item.foreign for item in live.values() if item.foreign))),
        unowned={
            name: names
            for name, found in listed.items()
            if (names := _unowned(kinds[name], desired[name], {at: item for at, item in found.items() if at in live}))
        },
        twice=_twice(live),
        homes=homes or {},
        refused=refused or {},
        unseen=unseen or {},
        released=released,
        elsewhere=_elsewhere(everything, live, _joined(desired.values())),
    )


def _without(wanted: Mapping[Address, Desired], released: frozenset[Address]) -> Mapping[Address, Desired]:
    """Without what is let go of, what stands below it, and that anything needs it."""
    if not released:
        return wanted
    return {
        address: replace(item, needs=tuple(need for need in item.needs if need not in released))
        for address, item in wanted.items()
        if address not in released and item.parent not in released
    }


def _own(live: Mapping[Address, Live], wanted: Mapping[Address, Desired]) -> Mapping[Address, Live]:
    """Without what is another registry's by its mark, whatever its name begins with, and what nobody owns and another registry
    wants; what is wanted here stays: a conflict."""
    others = _wanted_elsewhere(live, wanted)
    if not others and not any(
        item.marks.elsewhere(address.registry) for address, item in live.items() if item.marks.registry
    ):
        return live
    return {
        address: item
        for address, item in live.items()
        if address in wanted or not (item.marks.elsewhere(address.registry) or address in others)
    }


def _elsewhere(
    there: Mapping[Address, Live], own: Mapping[Address, Live], described: Mapping[Address, Desired]
) -> Mapping[Address, Live]:
    """Of what is there and described, what no registry of the spec has. `own`: what they have."""
    if len(own) == len(there):
        return {}
    known = {item.native for item in own.values()}
    return {
        address: item
        for address, item in there.items()
        if address in described and address not in own and item.native not in known and item.marks.registry
    }


def _wanted_elsewhere(live: Mapping[Address, Live], wanted: Mapping[Address, Desired]) -> set[Address]:
    """The addresses of what nobody owns and no registry wants there, while one does at another address."""
    if len({address.registry for address in live}) < 2:
        return set()
    elsewhere = {item.native for address, item in live.items() if item.native and address in wanted}
    return {
        address
        for address, item in live.items()
        if item.marks.owner is None and item.native in elsewhere and address not in wanted
    }


def _twice(live: Mapping[Address, Live]) -> Mapping[Address, Address]:
    if len({address.registry for address in live}) < 2:
        return {}  # within one registry, an address is made from the native name
    first: dict[str, Address] = {}
    found: dict[Address, Address] = {}
    for address, item in live.items():
        other = first.setdefault(item.native, address) if item.native else address
        if other != address:
            found |= {address: other, other: address}
    return found


def _unowned(
    kinds: Mapping[str, object], desired: Mapping[Address, Desired], found: Mapping[Address, Live]
) -> tuple[str, ...]:
    holders = {name for name, kind in kinds.items() if isinstance(kind, HoldsImages)}
    nobodys = (item for item in found.values() if item.marks.owner is None and item.kind in holders)
    names = (item.address.split(".", 2)[2] for item in nobodys if item.address not in desired)
    return tuple(sorted(names, key=natural))


def _joined(groups: Iterable[Mapping[Address, T]]) -> Mapping[Address, T]:
    """The groups as one; a group that is alone is not copied."""
    all_of_them = list(groups)
    if len(all_of_them) == 1:
        return all_of_them[0]
    return dict(chain.from_iterable(group.items() for group in all_of_them))
