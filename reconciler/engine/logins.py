"""Who gets another login by what takes the place of something that gave one. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

from reconciler.model.address import Address
from reconciler.model.change import Change
from reconciler.model.renewal import Renewable

from .expand import Kinds


def with_other_logins(
    changes: Mapping[Address, Change], kinds: Kinds, stood: Mapping[Address, Collection[Address]] | None = None
) -> dict[Address, Change]:
    """The changes, of which one that makes what holds a login says who gains by it where that is another one than what it takes the
    place of holds: by what needs the one and stands where that stood which needs the other.

    `stood`: where what goes stands, of which that is not known otherwise.
    """
    found = dict(changes)
    leaving: dict[str, list[Change]] = {}
    for at, change in changes.items():
        if change.lets_go and change.live is not None:
            places = (change.live.stands_at,) if change.live.stands_at is not None else (stood or {}).get(at, ())
            for place in places:
                leaving.setdefault(place.anywhere, []).append(change)
    for change in changes.values() if leaving else ():
        for place in change.desired.instead_of if change.desired is not None else ():
            for gone in leaving.get(place.anywhere, ()):
                for now, then in _holders(change, gone, changes):
                    found[now.address] = _gaining(found[now.address], then, kinds)
    return found


def _holders(change: Change, gone: Change, changes: Mapping[Address, Change]) -> Iterator[tuple[Change, Change]]:
    """Of what is needed by what comes and by what goes, the changes that are of one kind and registry."""
    there = gone.live.needs if gone.live is not None else ()
    for first in (changes[at] for at in change.needs if at in changes):
        for other in (changes[at] for at in there if at in changes):
            if (first.registry, first.kind) == (other.registry, other.kind) and first is not other:
                yield first, other


def _gaining(change: Change, other: Change, kinds: Kinds) -> Change:
    kind = kinds[change.registry][change.kind]
    if not isinstance(kind, Renewable) or change.desired is None or other.live is None or other.live.vacant:
        return change
    more = kind.another_login(change.address, other.live.settings, change.desired.settings)
    return replace(change, gains=tuple(sorted({*change.gains, *more})))
