"""What the resources of a registry that can give the same access are set to before and after a plan, and which of it counts. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import chain

from reconciler.model.access import Access, ForeignAccess, Given
from reconciler.model.address import Address
from reconciler.model.kind import GivesAccess, Kind, Trait
from reconciler.model.resource import Live, Settings

from .picture import Picture

#: what something is before and after
_Both = tuple[Settings | None, Settings | None]


class Overlapping:
    """What can give the same access in one registry."""

    def __init__(self, picture: Picture, registry: str) -> None:
        self._kinds: dict[str, GivesAccess] = {}
        self._governor: GivesAccess | None = None
        self._governing: _Both = None, None
        #: by address; None: nothing is there, or what is there is vacant
        self.settings: dict[Address, _Both] = {}
        for name, kind in picture.kinds[registry].items():
            if isinstance(kind, GivesAccess) and overlaps(kind):
                self._kinds[name] = kind
        for at in chain(picture.live, picture.desired, picture.staying) if self._kinds else ():
            if at.registry == registry and at.kind in self._kinds and at not in self.settings:
                self.settings[at] = _before_and_after(picture, at)
        for at, both in self.settings.items():
            if self._kinds[at.kind].governs:
                self._governor, self._governing = self._kinds[at.kind], both

    def silence(self, settings: Settings) -> tuple[str, str]:
        """Why what is set to this gives nothing, before and after, as sentences without their ends."""
        then, now = (
            self._governor.silences(item, settings) if self._governor is not None and item is not None else ""
            for item in self._governing
        )
        return then, now

    def heard(self, before: Given, after: Given) -> tuple[Given, Given]:
        """The same without settings that give nothing at their time."""
        then, now = (
            item.of(None) if item.settings is not None and self.silence(item.settings)[when] else item
            for when, item in enumerate((before, after))
        )
        return then, now

    def given(self, when: int) -> Iterator[tuple[Address, Iterable[Access]]]:
        """Who can do what, by the addresses that give it: before (0) or after (1)."""
        for at, both in self.settings.items():
            settings = both[when]
            if settings is not None and not self.silence(settings)[when]:
                yield at, self._kinds[at.kind].access(at, settings)

    def switched(self) -> tuple[set[Access], set[Access]]:
        """What resources that stay as they are give only after it, and what they give only before."""
        woken: set[Access] = set()
        silenced: set[Access] = set()
        for at, (before, after) in self.settings.items():
            if before is None or before != after:
                continue
            then, now = map(bool, self.silence(before))
            if then != now:
                (woken if then else silenced).update(self._kinds[at.kind].access(at, before))
        return woken, silenced


def overlaps(kind: Kind | GivesAccess) -> bool:
    """Whether several resources of the kind can give the same access."""
    return isinstance(kind, Kind) and Trait.OVERLAPS in kind.traits


def _before_and_after(picture: Picture, at: Address) -> _Both:
    if at in picture.staying:
        there = _settings(picture.staying[at])
        return there, there
    live, wanted = picture.live.get(at), picture.desired.get(at)
    after = picture.kinds[at.registry][at.kind].fitted(wanted, live).settings if wanted is not None else None
    return _settings(live), after


def _settings(live: Live | None) -> Settings | None:
    return live.settings if live is not None and not live.vacant else None


def left_alone(picture: Picture, changes: Collection[Address]) -> Mapping[Address, Live | None]:
    """What gives access that others can give too, and no change is about, as it stays."""
    return {
        at: picture.live.get(at)
        for at in chain(picture.live, picture.desired)
        if at not in changes and overlaps(picture.kinds[at.registry][at.kind])
    }


def given_after(found: Iterable[ForeignAccess], changes: Collection[Address]) -> tuple[ForeignAccess, ...]:
    """What others gave: only by a change of the resource that it stands with, it gives something else afterwards."""
    return tuple(item if item.address in changes else replace(item, after=None) for item in found)
