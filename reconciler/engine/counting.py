"""What of the access that resources of a registry give counts before and after a plan, as one of them may decide. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from reconciler.model.access import Given
from reconciler.model.address import Address
from reconciler.model.counting import DecidesWhatCounts
from reconciler.model.kind import GivesAccess, Kind, Trait
from reconciler.model.resource import Desired, Live, Settings

from .expand import Kinds
from .picture import Picture


@dataclass(frozen=True)
class Counting:
    """What counts in a registry. `decides`: the kind that says it (None: all counts), with the settings that it has `now` and `then`
    (None: it is not there)."""

    decides: DecidesWhatCounts | None = None
    now: Settings | None = None
    then: Settings | None = None

    def before(self, settings: Settings) -> bool:
        """Whether it counts before the plan."""
        return self.decides is None or self.now is None or self.decides.counts(self.now, settings)

    def after(self, settings: Settings) -> bool:
        """Whether it counts after it."""
        return self.decides is None or self.then is None or self.decides.counts(self.then, settings)

    def both(self, before: Given, after: Given) -> tuple[Given, Given]:
        """What gives access before and after, without settings that count for nothing."""
        return (
            before if before.settings is None or self.before(before.settings) else before.of(None),
            after if after.settings is None or self.after(after.settings) else after.of(None),
        )

    def idle(self, settings: Settings) -> str:
        """Why what these settings give counts for nothing after the plan, as a sentence without its name; "" if it counts."""
        if self.decides is None or self.then is None or self.after(settings):
            return ""
        return self.decides.idle(self.then, settings)


def counting_of(seen: Picture, registry: str) -> Counting:
    """What counts in a registry before and after."""
    found = next(((name, kind) for name, kind in seen.kinds[registry].items() if _decides(kind)), None)
    if found is None:
        return Counting()
    name, kind = found
    live = next((item for at, item in seen.live.items() if (at.registry, item.kind) == (registry, name)), None)
    wanted = next((item for at, item in seen.desired.items() if (at.registry, item.kind) == (registry, name)), None)
    now = live.settings if live is not None and not live.vacant else None
    then = kind.fitted(wanted, live).settings if wanted is not None else now
    return Counting(kind if isinstance(kind, DecidesWhatCounts) else None, now, then)


def _decides(kind: Kind) -> bool:
    return isinstance(kind, DecidesWhatCounts)


class Lasting(NamedTuple):
    """A resource that is the same before and after."""

    address: Address
    kind: GivesAccess
    settings: Settings


def lasting(seen: Picture, registry: str) -> Iterator[Lasting]:
    """What gives access in a registry beside other resources, and is there and wanted alike: no change says what it gives."""
    kinds = overlapping(seen.kinds, registry)
    for at, live in seen.live.items():
        wanted = seen.desired.get(at) if at.registry == registry and not live.vacant and not live.moot else None
        kind = kinds.get(live.kind)
        if wanted is None or not isinstance(kind, GivesAccess) or isinstance(kind, DecidesWhatCounts):
            continue
        if kind.fitted(wanted, live).settings == live.settings:
            yield Lasting(at, kind, live.settings)


def overlapping(kinds: Kinds, registry: str) -> Mapping[str, Kind]:
    """The kinds of a registry of which several resources can give the same access."""
    return {name: kind for name, kind in kinds[registry].items() if Trait.OVERLAPS in kind.traits}


def leans(kind: Kind) -> bool:
    """Whether who gains or loses by a resource of this kind hangs on others of its registry."""
    return Trait.OVERLAPS in kind.traits or (isinstance(kind, GivesAccess) and kind.by != "")


def as_it_stays(seen: Picture, changes: Collection[Address]) -> Picture:
    """The picture, where what gives access beside or by other resources and has none of these changes stays as it is; the same
    picture if nothing is left out so."""
    known = {name: {at for at, kind in kinds.items() if leans(kind)} for name, kinds in seen.kinds.items()}
    if not any(known.values()):
        return seen

    def stays(at: Address, item: Desired | Live) -> bool:
        return at not in changes and item.kind in known[at.registry]

    kept = {at: item for at, item in seen.desired.items() if not stays(at, item)}
    there = {at: item for at, item in seen.live.items() if stays(at, item) and not (item.vacant or item.moot)}
    same = {
        at: replace(wanted, settings=item.settings, adopt=False)
        if (wanted := seen.desired.get(at))
        else _as_it_is(item)
        for at, item in there.items()
    }
    # what others gave gives something else after it by a change alone
    foreign = tuple(item if item.address in changes else replace(item, after=None) for item in seen.foreign)
    return replace(seen, desired={**kept, **same}, foreign=foreign, left=frozenset(same))


def _as_it_is(live: Live) -> Desired:
    return Desired(live.address, live.kind, live.settings)
