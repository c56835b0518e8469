"""What the resources of one kind in a registry give beside each other: access that one loses and another gives is no loss. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from reconciler.model.access import Access, Given, Principal
from reconciler.model.address import Address
from reconciler.model.kind import GivesAccess, Home, Kind, Trait
from reconciler.model.resource import Live

from .picture import Picture


class Beside:
    """The access that all resources of a kind give, before and after, each looked at once."""

    def __init__(self, picture: Picture) -> None:
        self._picture = picture
        self._known: dict[tuple[str, str], tuple[_Given, _Given]] = {}

    def changed(
        self, kind: Kind, at: Address, before: Given, after: Given, home: Home
    ) -> tuple[tuple[Access, ...], tuple[Access, ...]]:
        """Who gains and who loses by what a resource gives before and after: of what several give, what no other gave or gives."""
        if not isinstance(kind, GivesAccess) or before == after:
            return (), ()
        if around := self._picture.neighbours.get(at):
            before, after = (replace(item, neighbours=around) for item in (before, after))
        gains, losses = map(set, kind.gains_and_losses(at, before, after, home))
        if Trait.OVERLAPS in kind.traits:
            then, now = self._given(kind, at.registry)
            gains = set(kind.beyond(gains, then.but(at, gains)))
            losses = set(kind.beyond(losses, now.but(at, losses)))
        return tuple(sorted(gains)), tuple(sorted(losses))

    def _given(self, kind: Kind, registry: str) -> tuple[_Given, _Given]:
        key = registry, kind.name
        if key not in self._known:
            before, after = _Given(), _Given()
            live, desired = self._picture.live, self._picture.desired
            if isinstance(kind, GivesAccess):
                for item in live.values():
                    if (item.address.registry, item.kind) == key and not item.vacant:
                        before.add(item.address, kind.access(item.address, item.settings))
                for wanted in desired.values():
                    if (wanted.address.registry, wanted.kind) == key:
                        fitted = kind.fitted(wanted, live.get(wanted.address))
                        after.add(wanted.address, kind.access(wanted.address, fitted.settings))
            self._known[key] = before, after
        return self._known[key]


class _Given:
    """Access, by the addresses that give it, and by who has it."""

    def __init__(self) -> None:
        self._by: dict[Principal, dict[Access, set[Address]]] = {}

    def add(self, at: Address, found: Iterable[Access]) -> None:
        """Takes what an address gives."""
        for item in found:
            self._by.setdefault(item.principal, {}).setdefault(item, set()).add(at)

    def but(self, at: Address, these: Iterable[Access]) -> set[Access]:
        """What others than this address give to whoever has these."""
        known = (self._by.get(principal, {}) for principal in {item.principal for item in these})
        return {item for found in known for item, by in found.items() if by != {at}}


def given(live: Live | None) -> Given:
    """All that a live resource gives access by."""
    return live.given if live is not None else Given()
