"""What the resources of a registry give beside each other: access that one loses and another gives is no loss. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import cached_property

from reconciler.model.access import Access, ForeignAccess, Given, Principal
from reconciler.model.address import Address
from reconciler.model.change import Change
from reconciler.model.counting import DecidesWhatCounts
from reconciler.model.kind import GivesAccess, Home, Kind, Trait
from reconciler.model.resource import Live, Settings

from .counting import Counting, counting_of, lasting, overlapping
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
        before, after = self.counting(at.registry).both(self._untaken(before), self._untaken(after))
        if kind.by:
            before, after = self._held(kind, at, before, after)
        if around := self._picture.neighbours.get(at):
            before, after = (replace(item, neighbours=around) for item in (before, after))
        gains, losses = map(set, kind.gains_and_losses(at, before, after, home))
        if isinstance(kind, DecidesWhatCounts):
            come, go = self._by_what_counts(at.registry)
            gains = set(kind.beyond(gains | come, {access for item in before.foreign for access in item.access}))
            losses = set(kind.beyond(losses | go, {access for item in after.foreign for access in item.left}))
        if Trait.OVERLAPS in kind.traits:
            then, now = self._given(at.registry)
            gains = set(kind.beyond(gains, then.but(at, gains)))
            left = now.but(at, losses)
            losses = set(kind.beyond(losses, left))
            own = set(kind.access(at, after.settings)) if after.settings is not None else set()
            own.update(access for item in self._untaken(after).foreign for access in item.left)
            gains = set(kind.had(gains, self._others.of(gains)))
            losses = set(kind.kept(losses, {*left, *own}, self._others.of(losses)))
        return tuple(sorted(gains)), tuple(sorted(losses))

    def counting(self, registry: str) -> Counting:
        """What counts in a registry before and after."""
        if registry not in self._counting:
            self._counting[registry] = counting_of(self._picture, registry)
        return self._counting[registry]

    def idle(self, change: Change) -> Iterator[str]:
        """Why what a change gives counts for nothing, as a sentence without its name."""
        kind = self._picture.kinds[change.registry][change.kind]
        if change.desired is None or Trait.OVERLAPS not in kind.traits:
            return
        if why := self.counting(change.registry).idle(change.desired.settings):
            yield why

    def _held(self, kind: GivesAccess, at: Address, before: Given, after: Given) -> tuple[Given, Given]:
        """With what others have through it, and with that by which it is had."""
        through = self._untaken(Given(foreign=self._through.get(at, ()))).foreign
        then, now = self._picture.live.get(at.sibling(kind.by)), self._picture.desired.get(at.sibling(kind.by))
        fitted = self._picture.kinds[at.registry][kind.by].fitted(now, then) if now is not None else None
        return (
            replace(
                before,
                foreign=(*before.foreign, *through),
                by=then.settings if then is not None and not then.vacant else None,
            ),
            replace(after, foreign=(*after.foreign, *through), by=fitted.settings if fitted is not None else None),
        )

    @cached_property
    def _through(self) -> Mapping[Address, tuple[ForeignAccess, ...]]:
        """What others gave that changes with something that can be taken over, by its address."""
        found: dict[Address, tuple[ForeignAccess, ...]] = {}
        for item in self._picture.foreign:
            if item.through is not None:
                found[item.through] = (*found.get(item.through, ()), item)
        return found

    def _by_what_counts(self, registry: str) -> tuple[set[Access], set[Access]]:
        """What is given from then on, and no longer, by what stays as it is."""
        counting = self.counting(registry)
        gains: set[Access] = set()
        losses: set[Access] = set()
        for item in lasting(self._picture, registry):
            then, now = counting.before(item.settings), counting.after(item.settings)
            if then != now:
                (gains if now else losses).update(item.kind.access(item.address, item.settings))
        return gains, losses

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
        return frozenset(at for at, item in self._picture.desired.items() if item.adopt or at in self._adopt)

    def _untaken(self, given: Given) -> Given:
        left = tuple(item for item in given.foreign if item.place not in self._taken)
        return given if left == given.foreign else replace(given, foreign=left)

    def _given(self, registry: str) -> tuple[_Given, _Given]:
        if registry not in self._known:
            before, after = _Given(), _Given()
            live, desired = self._picture.live, self._picture.desired
            kinds, counting = overlapping(self._picture.kinds, registry), self.counting(registry)
            for item in live.values():
                kind = kinds.get(item.kind) if item.address.registry == registry else None
                if isinstance(kind, GivesAccess) and not item.vacant and counting.before(item.settings):
                    before.add(item.address, kind.access(item.address, item.settings))
            for wanted in desired.values():
                kind = kinds.get(wanted.kind) if wanted.address.registry == registry else None
                if kind is not None and isinstance(kind, GivesAccess):
                    settings: Settings = kind.fitted(wanted, live.get(wanted.address)).settings
                    after.add(wanted.address, kind.access(wanted.address, settings) if counting.after(settings) else ())
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
