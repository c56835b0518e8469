"""Protections that get weaker by a change, in words. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import chain

from reconciler.model.access import PUSH, Access, Given
from reconciler.model.address import Address
from reconciler.model.change import Action, Change
from reconciler.model.kind import GivesAccess, HoldsImages, Home, ReachesMarked
from reconciler.model.resource import Desired
from reconciler.model.weakening import Weakening
from reconciler.words import SHOWN_NAMES, all_of, counted, plural, some_of

from .picture import Picture

#: what is said of images that expire, as long as nobody has counted them
UNCOUNTED = "; plan --count-expiring asks how many"


def weakenings(seen: Picture, change: Change) -> Iterator[Weakening]:
    """What is weaker after a change of something that is there, or of what stands below it."""
    live, desired = change.live, change.desired
    there = live is not None and not live.vacant
    if change.action is Action.DELETE and live is not None and there:
        yield from seen.kinds[change.registry][change.kind].weakens_gone(live)
        return
    if desired is None or _is_emptied(seen, change) or not (there or _below_what_is_there(seen, change)):
        return
    kind = seen.kinds[change.registry][change.kind]
    if live is not None and there:
        yield from kind.weakens_there(live, desired)
    else:
        yield from kind.weakens(None, desired.settings)


def _is_emptied(seen: Picture, change: Change) -> bool:
    """Whether images go with a replacement: that is said of it, and nothing is left to protect."""
    return change.action is Action.REPLACE and isinstance(seen.kinds[change.registry][change.kind], HoldsImages)


def _below_what_is_there(seen: Picture, change: Change) -> bool:
    parent = change.desired.parent if change.desired is not None else None
    if parent is None and not isinstance(seen.kinds[change.registry][change.kind], HoldsImages):
        # what is made of a registry as a whole may be about what it has
        return any(at.registry == change.registry and not live.vacant for at, live in seen.live.items())
    above = seen.live.get(parent) if parent is not None else None
    # what is made again with its parent stands in an empty repository
    return above is not None and not above.vacant and above.marks.owner is not None and not change.again


def with_expiring(change: Change, expiring: int) -> Change:
    """The change with the number of images that expire by it."""
    notes = (note.removesuffix(UNCOUNTED) for note in change.notes)
    number = f"{counted(expiring, 'image')} {plural(expiring, 'expires', 'expire')}" if expiring else "no image expires"
    return replace(change, expiring=expiring, notes=(*notes, f"{number} by it, of those that are there now"))


def said(item: Weakening, who: Sequence[str] | None = None) -> str:
    """The weakening as a sentence. `who`: those who can push; None: they aren't known."""
    if not item.overwrites:
        return f"{item.what}{UNCOUNTED if item.expires else ''}"
    if who is not None and not who:
        return f"{item.what}; the spec lets nobody push"
    return f"{item.what}: {_names(who) if who else 'whoever can push'} can overwrite them"


def _names(who: Sequence[str]) -> str:
    return all_of(who) if len(who) <= SHOWN_NAMES else some_of(who)


class Pushers:
    """Who can push to each repository by what a picture wants, and by what others gave."""

    def __init__(self, seen: Picture) -> None:
        self._seen = seen
        #: who can overwrite tags, of each change that was asked for
        self.asked: dict[Address, tuple[str, ...]] = {}

    def said(self, change: Change, item: Weakening) -> str:
        """What gets weaker by a change as a sentence; who can overwrite tags is noted."""
        known = self._seen.pushers
        if not item.overwrites or (known is not None and change.address not in known):
            return said(item)
        who = self.asked[change.address] = tuple(self.of(change.address)) if known is None else known[change.address]
        return said(item, who)

    def of(self, at: Address) -> list[str]:
        """Their names, sorted; first those by what is wanted."""
        wanted = {access.principal.label for access in self._pushing(at)}
        others = {access.principal.label for access in self._foreign.get((at.registry, at.name, at.where), ())}
        return [*sorted(wanted), *(f"{name} (by what others gave)" for name in sorted(others - wanted))]

    @cached_property
    def _foreign(self) -> Mapping[tuple[str, str, str], list[Access]]:
        found: dict[tuple[str, str, str], list[Access]] = {}
        for access in chain.from_iterable(item.access for item in self._seen.foreign):
            if access.verb == PUSH:
                found.setdefault((access.registry, access.repository, access.where), []).append(access)
        return found

    def _pushing(self, at: Address) -> Iterator[Access]:
        """Who can push to a repository by what is wanted."""
        for item in self._giving.get(at, ()):
            kind = self._seen.kinds[at.registry][item.kind]
            given: Iterable[Access] = ()
            if isinstance(kind, GivesAccess):
                given = kind.access(item.address, item.settings)
            yield from (access for access in given if access.verb == PUSH)
        for access in self._reaching.get(at.registry, ()):
            if access.verb == PUSH and access.where == at.where:
                yield access

    @cached_property
    def _giving(self) -> Mapping[Address, list[Desired]]:
        """What gives access to one resource, by that."""
        found: dict[Address, list[Desired]] = {}
        for item in self._seen.desired.values():
            if item.parent is not None and isinstance(self._seen.kinds[item.address.registry][item.kind], GivesAccess):
                found.setdefault(item.parent, []).append(item)
        return found

    @cached_property
    def _reaching(self) -> Mapping[str, list[Access]]:
        """What is given to all of a registry, by its name."""
        found: dict[str, list[Access]] = {}
        for item in self._seen.desired.values():
            registry = item.address.registry
            kind = self._seen.kinds[registry][item.kind]
            if isinstance(kind, ReachesMarked):
                home = self._seen.homes.get(registry) or Home("")
                found.setdefault(registry, []).extend(kind.reaches(item.address, Given(item.settings), home))
        return found
