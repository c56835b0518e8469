"""What the resources of a registry give beside each other: access that one loses and another gives is no loss. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from functools import cached_property

from reconciler.model.access import Access, ForeignAccess, Given, Principal
from reconciler.model.address import Address
from reconciler.model.counting import DecidesWhatCounts
from reconciler.model.kind import GivesAccess, Home, Kind
from reconciler.model.resource import Desired, Live

from .counting import Counting, before_and_after, overlaps
from .picture import Picture


class Beside:
    """The access that all resources give whose kinds overlap, before and after, each looked at once.

    `adopt`: addresses that may be taken over.
    """

    def __init__(self, picture: Picture, adopt: Collection[str] = ()) -> None:
        self._picture = picture
        self._adopt = adopt
        self._known: dict[str, tuple[_Given, _Given]] = {}
        self._counting: dict[str, Counting] = {}

    def changed(
        self, kind: Kind, at: Address, before: Given, after: Given, home: Home
    ) -> tuple[tuple[Access, ...], tuple[Access, ...]]:
        """Who gains and who loses by what a resource gives before and after: of what several give, what no other gave or gives."""
        if not isinstance(kind, GivesAccess) or before == after:
            return (), ()
        counting = self._counts(at.registry) if overlaps(kind) else None
        before, after = self._untaken(before), self._untaken(after)
        if counting is not None:
            before, after = counting.both(before, after)
        if kind.by:
            before, after = self._held(kind, at, before, after)
        if around := self._picture.neighbours.get(at):
            before, after = (replace(item, neighbours=around) for item in (before, after))
        gains, losses = map(set, kind.gains_and_losses(at, before, after, home))
        if counting is not None:
            then, now = self._given(at.registry)
            if decides := isinstance(kind, DecidesWhatCounts):
                come, gone = counting.switched()
                gains |= come
                losses |= gone
            # what others gave stands with what decides, which may take by one of those what it gives by another
            had, left = (
                known.of(these) if decides else known.but(at, these) for known, these in ((then, gains), (now, losses))
            )
            gains = set(kind.beyond(gains, had))
            losses = set(kind.beyond(losses, left))
            own = set(kind.access(at, after.settings)) if after.settings is not None else set()
            own.update(access for item in self._untaken(after).foreign for access in item.left)
            gains = set(kind.had(gains, self._others.of(gains)))
            losses = set(kind.kept(losses, {*left, *own}, self._others.of(losses)))
        return tuple(sorted(gains)), tuple(sorted(losses))

    def _held(self, kind: GivesAccess, at: Address, before: Given, after: Given) -> tuple[Given, Given]:
        """With what others have through it, and with that by which it is had."""
        through = self._untaken(Given(foreign=self._through.get(at, ()))).foreign
        then, now = before_and_after(self._picture, at.sibling(kind.by))
        return (
            replace(before, foreign=(*before.foreign, *through), by=then),
            replace(after, foreign=(*after.foreign, *through), by=now),
        )

    @cached_property
    def _through(self) -> Mapping[Address, tuple[ForeignAccess, ...]]:
        """What others gave that changes with something that can be taken over, by its address."""
        found: dict[Address, tuple[ForeignAccess, ...]] = {}
        for item in self._picture.foreign:
            if item.through is not None:
                found[item.through] = (*found.get(item.through, ()), item)
        return found

    @cached_property
    def going(self) -> tuple[ForeignAccess, ...]:
        """What others gave that goes with the resource that has it."""
        return tuple(item for item in self._picture.foreign if not item.stays)

    @cached_property
    def above(self) -> Mapping[Address, list[ForeignAccess]]:
        """What others gave above a resource, by its address."""
        found: dict[Address, list[ForeignAccess]] = {}
        for item in self._picture.foreign:
            if item.stays:
                found.setdefault(item.address, []).append(item)
        return found

    def waiting(self, live: Live | None) -> set[Access]:
        """What others will have again once what waits is put back; they have it now if the replacement did not come to the delete."""
        if live is None or not live.owed:
            return set()
        there = {access for item in self._picture.foreign if item.address != live.address for access in item.access}
        return {access for item in live.foreign for access in item.access} - there

    @cached_property
    def _others(self) -> _Given:
        """What others give before and after."""
        found = _Given()
        for item in self._theirs:
            found.add(item.address, set(item.access).intersection(item.left))
        return found

    @cached_property
    def _theirs(self) -> tuple[ForeignAccess, ...]:
        """What others gave, but for what is taken over."""
        return tuple(item for item in self._picture.foreign if item.place not in self._taken)

    @cached_property
    def _taken(self) -> frozenset[Address]:
        desired, staying = self._picture.desired, self._picture.staying
        return frozenset(at for at, item in desired.items() if at not in staying and (item.adopt or at in self._adopt))

    def idle(self, item: Desired) -> str:
        """Why what a resource is set to counts for nothing after the plan, as a sentence without its end; "" if it counts."""
        here = item.address.registry
        kind = self._picture.kinds[here][item.kind]
        return self._counts(here).idle(item.settings)[1] if overlaps(kind) else ""

    def _counts(self, registry: str) -> Counting:
        if registry not in self._counting:
            self._counting[registry] = Counting(self._picture, registry)
        return self._counting[registry]

    def _untaken(self, given: Given) -> Given:
        left = tuple(item for item in given.foreign if item.place not in self._taken)
        return given if left == given.foreign else replace(given, foreign=left)

    def _given(self, registry: str) -> tuple[_Given, _Given]:
        if registry not in self._known:
            before, after = _Given(), _Given()
            for when, known in enumerate((before, after)):
                for at, access in self._counts(registry).given(when):
                    known.add(at, access)
            for found in self._theirs:
                if found.after is not None and found.address.registry == registry:
                    before.add(found.address, set(found.access).difference(found.after))
                    after.add(found.address, set(found.after).difference(found.access))
            self._known[registry] = before, after
        return self._known[registry]


class _Given:
    """Access, by the addresses that give it, and by who has it."""

    def __init__(self) -> None:
        self._by: dict[Principal, dict[Access, set[Address]]] = {}

    def add(self, at: Address, found: Iterable[Access]) -> None:
        """Takes what an address gives."""
        for item in found:
            self._by.setdefault(item.principal, {}).setdefault(item, set()).add(at)

    def of(self, these: Iterable[Access]) -> set[Access]:
        """What is given to whoever has these."""
        return {found for who in {item.principal for item in these} for found in self._by.get(who, ())}

    def but(self, at: Address, these: Iterable[Access]) -> set[Access]:
        """What others than this address give to whoever has these."""
        known = (self._by.get(principal, {}) for principal in {item.principal for item in these})
        return {item for found in known for item, by in found.items() if by != {at}}


def given(live: Live | None) -> Given:
    """All that a live resource gives access by."""
    return live.given if live is not None else Given()
