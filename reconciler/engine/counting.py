"""What the resources of a registry that can give the same access are set to before and after a plan, and what of it counts. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import chain

from reconciler.model.access import Access, ForeignAccess, Given
from reconciler.model.address import Address
from reconciler.model.counting import DecidesWhatCounts
from reconciler.model.kind import GivesAccess, Kind, Trait
from reconciler.model.resource import Live, Settings

from .picture import Picture

#: what something is set to before and after; None: nothing is there, or what is there is vacant
_Both = tuple[Settings | None, Settings | None]


class Counting:
    """What can give the same access in one registry, and what counts of it."""

    def __init__(self, picture: Picture, registry: str) -> None:
        self._kinds: dict[str, GivesAccess] = {}
        self._decides: DecidesWhatCounts | None = None
        self._deciding: _Both = None, None
        self._settings: dict[Address, _Both] = {}
        for name, kind in picture.kinds[registry].items():
            if isinstance(kind, GivesAccess) and overlaps(kind):
                self._kinds[name] = kind
        for at in chain(picture.live, picture.desired, picture.staying) if self._kinds else ():
            if at.registry == registry and at.kind in self._kinds and at not in self._settings:
                self._settings[at] = before_and_after(picture, at)
        for at, both in self._settings.items():
            decides = self._kinds[at.kind]
            if isinstance(decides, DecidesWhatCounts):
                self._decides, self._deciding = decides, both

    def idle(self, settings: Settings) -> tuple[str, str]:
        """Why what is set to this counts for nothing, before and after, as sentences without their ends."""
        then, now = (
            self._decides.idle(item, settings) if self._decides is not None and item is not None else ""
            for item in self._deciding
        )
        return then, now

    def both(self, before: Given, after: Given) -> tuple[Given, Given]:
        """What gives access before and after, without settings that count for nothing at their time."""
        then, now = (
            item.of(None) if item.settings is not None and self.idle(item.settings)[when] else item
            for when, item in enumerate((before, after))
        )
        return then, now

    def given(self, when: int) -> Iterator[tuple[Address, Iterable[Access]]]:
        """Who can do what, by the addresses that give it: before (0) or after (1)."""
        for at, both in self._settings.items():
            settings = both[when]
            if settings is not None and not self.idle(settings)[when]:
                yield at, self._kinds[at.kind].access(at, settings)

    def switched(self) -> tuple[set[Access], set[Access]]:
        """What resources that stay as they are give only after it, and what they give only before."""
        come: set[Access] = set()
        gone: set[Access] = set()
        for at, (before, after) in self._settings.items():
            if before is None or before != after:
                continue
            then, now = map(bool, self.idle(before))
            if then != now:
                (come if then else gone).update(self._kinds[at.kind].access(at, before))
        return come, gone


def overlaps(kind: Kind | GivesAccess) -> bool:
    """Whether several resources of the kind can give the same access."""
    return isinstance(kind, Kind) and Trait.OVERLAPS in kind.traits


def leans(kind: Kind) -> bool:
    """Whether who gains or loses by a resource of this kind hangs on others of its registry."""
    return overlaps(kind) or (isinstance(kind, GivesAccess) and kind.by != "")


def before_and_after(picture: Picture, at: Address) -> _Both:
    """What a resource is set to."""
    if at in picture.staying:
        there = _settings(picture.staying[at])
        return there, there
    live, wanted = picture.live.get(at), picture.desired.get(at)
    after = picture.kinds[at.registry][at.kind].fitted(wanted, live).settings if wanted is not None else None
    return _settings(live), after


def _settings(live: Live | None) -> Settings | None:
    return live.settings if live is not None and not live.vacant else None


def left_alone(picture: Picture, changes: Collection[Address]) -> Mapping[Address, Live | None]:
    """What gives access beside or by other resources, and no change is about, as it stays."""
    return {
        at: picture.live.get(at)
        for at in chain(picture.live, picture.desired)
        if at not in changes and leans(picture.kinds[at.registry][at.kind])
    }


def given_after(found: Iterable[ForeignAccess], changes: Collection[Address]) -> tuple[ForeignAccess, ...]:
    """What others gave: only by a change of the resource that it stands with, it gives something else afterwards."""
    return tuple(item if item.address in changes else replace(item, after=None) for item in found)
