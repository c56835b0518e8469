"""What settings protected before and do not protect after: images that expire, tags that can be moved, scans that end. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Protocol

from reconciler.words import all_of, counted


@dataclass(frozen=True, slots=True)
class Weakening:
    """One protection that gets weaker.

    `setting`: the key of the repository in the spec (`retention.keep_last`), or of the registry. `what`: what is then so, as a
    sentence without its subject's name. `overwrites`: whether it lets whoever can push overwrite tags. `may`: whether it can't be
    decided that it is weaker. `expires`: whether images expire by it. `quiet`: whether nothing is weaker, and what the settings did
    merely ends.
    """

    setting: str
    what: str
    overwrites: bool = False
    may: bool = False
    expires: bool = False
    quiet: bool = False


class Protecting(Protocol):
    """The settings of a repository, as each platform has them."""

    @property
    def tags_immutable(self) -> bool: ...
    @property
    def movable_tags(self) -> tuple[str, ...]: ...
    @property
    def scan_on_push(self) -> bool: ...
    @property
    def protect(self) -> bool: ...
    @property
    def delete_images(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Kept:
    """Which images are kept. None: no such rule."""

    keep_last: int | None = None
    untagged_days: int | None = None
    keep_tags: tuple[str, ...] = ()


def of_repository(before: Protecting, after: Protecting) -> Iterator[Weakening]:
    """What a repository's own settings protected."""
    moved = [item for item in after.movable_tags if not _within(item, before.movable_tags)]
    if before.tags_immutable and not after.tags_immutable:
        yield Weakening("immutable_tags", "tags can be moved from the apply on", overwrites=True)
    elif before.tags_immutable and moved:
        which = "every tag" if any(not item.strip("*") for item in moved) else f"tags like {all_of(moved)}"
        yield Weakening("immutable_tags", f"{which} can be moved from the apply on", overwrites=True)
    if before.scan_on_push and not after.scan_on_push:
        yield Weakening("scan_on_push", "new images are not scanned from the apply on")
    if before.protect and not after.protect:
        yield Weakening("protect", "a later plan may delete or replace it")
    if after.delete_images and not before.delete_images:
        yield Weakening("delete_images", "a later plan may delete it with all its images, and with what others gave")


def of_retention(before: Kept, after: Kept, *, shields: bool = False) -> Iterator[Weakening]:
    """Images that expire by a retention and did not before. `shields`: whether what `untagged_days` is about does not expire by
    `keep_last`."""
    if after.keep_last is not None and (before.keep_last is None or after.keep_last < before.keep_last):
        newest = "the newest one" if after.keep_last == 1 else f"the newest {after.keep_last}"
        which = (
            f"all images but {newest}{_and_tagged(after)}"
            if before.keep_last is None
            else f"images {_between(after, before.keep_last)}, counted from the newest,"
        )
        change = f"keep_last: {before.keep_last or 'none'} → {after.keep_last}"
        yield Weakening("retention.keep_last", f"{which} expire after the apply ({change})", expires=True)
    days = after.untagged_days
    if days is not None and (before.untagged_days is None or days < before.untagged_days):
        if before.untagged_days is not None:
            instead = f"instead of {before.untagged_days}"
        elif before.keep_last is None:
            instead = "and were kept before"
        else:
            instead = f"those among the newest {before.keep_last} too, which were kept before"
        yield Weakening(
            "retention.untagged_days",
            f"untagged images expire {counted(days, 'day')} after their push, {instead}",
            expires=True,
        )
    if shields and days is None and before.untagged_days is not None and after.keep_last is not None:
        newest = "the newest one" if after.keep_last == 1 else f"the newest {after.keep_last}"
        what = f"untagged images expire like all others, unless they are among {newest}"
        was = f"{counted(before.untagged_days, 'day')} after their push before"
        yield Weakening("retention.untagged_days", f"{what}; {was}", expires=True)
    gone = [item for item in before.keep_tags if not _within(item, after.keep_tags)]
    if gone and (after.keep_last is not None or after.untagged_days is not None):
        yield Weakening("retention.keep_tags", f"images with tags like {all_of(gone)} may expire too", expires=True)


def _and_tagged(after: Kept) -> str:
    """Those that are kept by their tags beside the newest ones."""
    return f", and those with tags like {all_of(after.keep_tags)}," if after.keep_tags else ""


def _within(pattern: str, others: Sequence[str]) -> bool:
    """Whether what matches a pattern matches one of the others too."""
    return any(fnmatchcase(pattern, other) for other in others)


def _between(after: Kept, before: int) -> str:
    first = (after.keep_last or 0) + 1
    return f"{first} to {before}" if first < before else str(before)


def no_longer(before: Sequence[str], after: Sequence[str], setting: str, what: str) -> Iterator[Weakening]:
    """A weakening for each that is gone. `what`: a sentence with {} for it."""
    yield from (Weakening(setting, what.format(item)) for item in before if item not in after)
