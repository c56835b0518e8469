"""What of an account's scanning is ours, what others have beside it, and what a change of it means in words. Pure."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from reconciler.model.access import Neighbour
from reconciler.model.canonical import text
from reconciler.model.resource import Live
from reconciler.model.weakening import Weakening
from reconciler.words import all_of, plural

from .scanning_spec import CONTINUOUS, ON_PUSH, Entry

BASIC = "BASIC"
#: https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-scanning-enhanced.html
TYPES = {"ENHANCED": "enhanced (Amazon Inspector, which costs money)"}
NAMES = {ON_PUSH: "on_push", CONTINUOUS: "continuous"}
#: at which frequencies a repository is scanned when an image is pushed, and all the time: continuous scanning does both
#: https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-scanning-enhanced.html
_DOES = {
    ON_PUSH: ((ON_PUSH, CONTINUOUS), "when they are pushed"),
    CONTINUOUS: ((CONTINUOUS,), "continuously"),
}


@dataclass(frozen=True, slots=True)
class ScanningSettings:
    """How the account scans in a region, and by which filters of ours it chooses repositories, sorted. `type`: in AWS's words."""

    type: str = BASIC
    on_push: tuple[str, ...] = ()
    continuous: tuple[str, ...] = ()

    @property
    def entries(self) -> frozenset[Entry]:
        """Each filter with its frequency."""
        return frozenset((ON_PUSH, item) for item in self.on_push) | frozenset(
            (CONTINUOUS, item) for item in self.continuous
        )


def of_type(kind: str, entries: Iterable[Entry]) -> set[Entry]:
    """The filters as a type has them: basic scanning scans nothing continuously. `MANUAL`, which others may have, stays as it is."""
    return {(ON_PUSH if kind == BASIC and frequency == CONTINUOUS else frequency, item) for frequency, item in entries}


def rest_of(entries: Iterable[Entry]) -> str:
    """The filters of others as text; "" for none."""
    found = sorted(entries)
    return text(found) if found else ""


def of_rest(rest: str) -> frozenset[Entry]:
    """The filters of others that a text says, those that are ours too among them."""
    return frozenset((str(item[0]), str(item[1])) for item in json.loads(rest or "[]"))


def beside(live: Live, wanted: ScanningSettings | None) -> set[Entry]:
    """What others choose beside ours, and what other registries of the spec do: it is scanned whatever ours choose."""
    theirs = of_rest(live.rest).union(*(item.after.entries for item in _after(live)))
    types = [wanted.type] if wanted is not None else [*(one.type for one in turned(live)), live.settings.type]
    return of_type(types[0], theirs)


def turned(live: Live) -> Iterator[ScanningSettings]:
    """Ours as it stands once another registry of the spec has changed the type."""
    there: ScanningSettings = live.settings
    for kind in sorted({item.after.type for item in _after(live)} - {there.type}):
        entries = of_type(kind, there.entries)
        found = {name: tuple(sorted(item for which, item in entries if which == key)) for key, name in NAMES.items()}
        yield ScanningSettings(kind, **found)


def turns(live: Live, wanted: ScanningSettings) -> Iterator[str]:
    """Whose scanning changes with the type, which the account has one of."""
    names = [item.address.registry for item in _after(live) if item.before is not None]
    if names and wanted.type != live.settings.type:
        yield f"the account has one type of scanning, so it changes for {all_of(names)} too"


def kept(live: Live, wanted: ScanningSettings | None) -> Iterator[str]:
    """Which filters that leave the registry others of the spec have too."""
    gone = live.settings.entries - (wanted or ScanningSettings()).entries
    for item in _after(live):
        if both := _names(gone & item.after.entries):
            filters = f"the {plural(len(both), 'filter')} {all_of(both)}"
            they = "it stays, and what it chooses" if len(both) == 1 else "they stay, and what they choose"
            yield f"registry {item.address.registry} has {filters} too: {they} is still scanned"


def _after(live: Live) -> list[Neighbour]:
    return [item for item in live.neighbours if item.after is not None]


def weaker(
    before: ScanningSettings | None, after: ScanningSettings | None, others: Collection[Entry] = ()
) -> Iterator[Weakening]:
    """What was scanned by our filters and is not after, by ours or by those of others."""
    if before is None:
        return
    now = after or ScanningSettings()
    # where all of ours goes, that is said below; the type stays if others have filters
    if after is not None and before.type != after.type and before.type in TYPES:
        what = "scanning is basic instead of enhanced: packages of programming languages are no longer scanned"
        yield Weakening("scanning.type", what)
    entries = now.entries.union(others)
    for frequency, (by, how) in _DOES.items():
        still = sorted({_pattern(item) for which, item in entries if which in by})
        gone = [
            item
            for which, item in sorted(before.entries)
            if which == frequency and not any(fnmatchcase(item, other) for other in still)
        ]
        if gone:
            some = [item for item in still if any(fnmatchcase(item, other) for other in gone)]
            but = f", but those like {all_of(some)} still are" if some else ""
            what = f"repositories like {all_of(gone)} are no longer scanned {how}{but}"
            yield Weakening(f"scanning.{NAMES[frequency]}", what)


def _pattern(item: str) -> str:
    """The names that a filter chooses: without a `*`, all that contain it.

    https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-scanning-filters.html
    """
    return item if "*" in item else f"*{item}*"


def shared(wanted: ScanningSettings, rest: str) -> Iterator[str]:
    """That filters which the spec asks for are there already, and not known to be its own."""
    if both := _names(wanted.entries & of_rest(rest)):
        one = len(both) == 1
        yield (
            f"the {plural(len(both), 'filter')} {all_of(both)} {'was' if one else 'were'} there already, and no note says that"
            f" {'it is' if one else 'they are'} the spec's alone: {'it stays' if one else 'they stay'} when the spec no longer has"
            f" {'it' if one else 'them'}"
        )


def left(before: ScanningSettings, after: ScanningSettings | None, rest: str) -> Iterator[str]:
    """That filters which leave the spec stay, since somebody else may have them."""
    now = (after or ScanningSettings()).entries
    if stay := _names((before.entries - now) & of_rest(rest)):
        one = len(stay) == 1
        yield (
            f"the {plural(len(stay), 'filter')} {all_of(stay)} {'stays' if one else 'stay'}, since"
            f" {'it was' if one else 'they were'} there before the spec's note of {'it' if one else 'them'}: if nobody else needs"
            f" {'it' if one else 'them'}, remove {'it' if one else 'them'} by hand"
        )


def _names(entries: Iterable[Entry]) -> list[str]:
    return sorted({item for _, item in entries})
