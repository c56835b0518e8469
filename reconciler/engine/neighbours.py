"""What registries of one spec have in one native document, beside each other: what one of them takes away may stay by another.

A sentence that something stays, or is no news, must not hang on what a plan leaves out or has moved since: what it hangs on is done
before it, or is looked at again before the plan is carried out. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache, partial
from itertools import chain
from typing import TypeVar

from reconciler.model.access import Neighbour
from reconciler.model.address import Address
from reconciler.model.kind import Kind, Trait
from reconciler.model.resource import Desired, Live, Settings

from .difference import Difference
from .picture import Picture
from .turns import Turn, ended, turns
from .weaker import weakenings

T = TypeVar("T")
#: a document: its platform, the kind of the resources that are parts of it, and what that kind calls it
_Document = tuple[str, str, str]


def with_neighbours(seen: Picture, owner: str) -> Picture:
    """The picture that says of each resource what other registries have in the same document."""
    neighbours = {}
    for group in _documents(seen).values():
        found = [Neighbour(at, *_before_and_after(seen, at, owner)) for at in group]
        there = [item for item in found if (item.before, item.after) != (None, None)]
        for at in group:
            if others := tuple(item for item in there if item.address.registry != at.registry):
                neighbours[at] = others
    return _beside(seen, neighbours) if neighbours else seen


def _beside(seen: Picture, neighbours: Mapping[Address, tuple[Neighbour, ...]]) -> Picture:
    live = {at: replace(seen.live[at], neighbours=found) for at, found in neighbours.items() if at in seen.live}
    return replace(seen, live={**seen.live, **live}, neighbours=neighbours)


def hanging(seen: Picture, found: Difference, differ: Callable[[Picture], Difference]) -> Difference:
    """What was found, in which each change that would say something else without its neighbours knows what it waits for and what it
    leans on, and says what is missing until others are done. `differ`: what is found in a part of the picture."""
    near = seen.neighbours
    if not near:
        return found
    said = _said(seen, differ)

    def words(at: Address, around: tuple[Neighbour, ...]) -> object:
        return said(at, around).words

    for group in _documents(seen).values():
        changing = {at: near[at] for at in group if at in near and at in found.changes and words(at, near[at])}
        turn = turns(changing, lambda at, around: said(at, around).lost)
        for at, around in changing.items():
            here, change = turn.get(at, Turn()), found.changes[at]
            found.changes[at] = replace(
                change,
                waits=here.waits,
                leans=tuple(_leans(around, here.waits, partial(words, at))),
                notes=(*change.notes, *here.notes),
            )
    return found


@dataclass(frozen=True, slots=True)
class _Said:
    """What a change says: who gains and who loses, and its notes; `lost`: what it takes away, in sentences."""

    words: tuple[object, ...] = ()
    lost: frozenset[str] = frozenset()


def _said(seen: Picture, differ: Callable[[Picture], Difference]) -> Callable[[Address, tuple[Neighbour, ...]], _Said]:
    """What each change says beside any neighbours."""

    @cache
    def said(at: Address, around: tuple[Neighbour, ...]) -> _Said:
        part = replace(seen, live=_only(seen.live, (at,)), desired=_only(seen.desired, (at,)))
        part = _beside(part, {at: around})
        change = differ(part).changes.get(at)
        if change is None:
            return _Said()
        weaker = frozenset(item.what for item in weakenings(part, change))
        return _Said((change.gains, change.losses, change.notes), weaker.union(ended(item) for item in change.losses))

    return said


def _leans(
    around: Collection[Neighbour], waits: Collection[Address], words: Callable[[tuple[Neighbour, ...]], object]
) -> Iterator[Address]:
    """The neighbours by which a change says something else than without any: by what they have, and do not only get first."""
    alone = words(())
    if words(tuple(around)) == alone:
        return
    for item in around:
        by = replace(item, after=None) if item.address in waits else item
        if words((by,)) != alone:
            yield item.address


def _only(some: Mapping[Address, T], these: Collection[Address]) -> Mapping[Address, T]:
    return {at: item for at, item in some.items() if at in these}


def left_out(seen: Picture, changes: Collection[Address]) -> Mapping[Address, Live | None]:
    """What registries have of documents that others have parts of too, and no change is about, as it stays."""
    parts = chain.from_iterable(_documents(seen).values())
    return {at: seen.live.get(at) for at in parts if at not in changes}


def sharing(seen: Picture, changes: Iterable[Address]) -> tuple[Live, ...]:
    """What other registries have of the documents of these changes, and that no change has."""
    own = set(changes)
    groups = (group for group in _documents(seen).values() if not own.isdisjoint(group))
    found = (seen.live.get(at) for group in groups for at in group if at not in own)
    return tuple(
        sorted((item for item in found if item is not None and not item.vacant), key=lambda item: item.address)
    )


def _documents(seen: Picture) -> Mapping[_Document, list[Address]]:
    """The addresses of the parts of each document that several registries have parts of, sorted."""
    common = {
        name: {kind.name: kind for kind in kinds.values() if Trait.COMMON in kind.traits}
        for name, kinds in seen.kinds.items()
        if name in seen.homes
    }
    found: dict[_Document, set[Address]] = {}
    if sum(map(bool, common.values())) > 1:
        for at in chain(seen.live, seen.desired, seen.staying):
            kind = common.get(at.registry, {}).get(at.kind)
            registry = seen.homes[at.registry].registry if kind is not None else None
            if kind is not None and registry is not None:
                found.setdefault((registry.platform, kind.name, kind.document(at, registry)), set()).add(at)
    return {key: sorted(group) for key, group in found.items() if len({at.registry for at in group}) > 1}


def _before_and_after(seen: Picture, at: Address, owner: str) -> tuple[Settings | None, Settings | None]:
    if at in seen.staying:
        there = _there(seen.staying[at])
        return there, there
    live, wanted = seen.live.get(at), seen.desired.get(at)
    if wanted is not None:
        return _there(live), _kind(seen, wanted).fitted(wanted, live).settings
    goes = live is not None and live.marks.owner == owner and live.marks.origin == "spec"
    return _there(live), None if goes else _there(live)


def _kind(seen: Picture, item: Desired) -> Kind:
    return seen.kinds[item.address.registry][item.kind]


def _there(live: Live | None) -> Settings | None:
    return live.settings if live is not None and not live.vacant else None
