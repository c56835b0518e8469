"""Garbage collection of a local registry, beside pushes and pulls.

A repository is read without the registry's lock, and what is to go is decided. Then it is removed in short batches under the lock.
What was pushed, tagged or asked for since, and what something that was pushed since needs, has another time than the one that was
read (removal.py): it stays, with all that belongs to it. An index goes before its images, and images before their blobs, so that
whatever is there at any moment, and after a crash, is whole.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import TypeVar

from reconciler.errors import PlatformError
from reconciler.model.service import GRACE, Collected
from reconciler.spec.selection import matches_any

from .content import Content
from .documents import RepositoryDocument, RepositorySettings
from .layout import Damaged, listed_subject, refers_by, subject_of, tagged_subject
from .manifest import OCI_INDEX, is_digest
from .removal import Reading
from .retention import Belongings, Image, Rules, expired
from .store import COLLECTING, LOCK_POLL
from .times import FRESH

#: seconds after which an upload to which nothing was added is removed
IDLE_UPLOAD = 24 * 3600.0
#: images, and files without content, that are removed while the lock is held once: some 10 ms
IMAGES_AT_ONCE, FILES_AT_ONCE = 64, 256
#: files that are read before other threads get their turn
READ_AT_ONCE = 256
#: seconds for which the lock is left alone after each batch, so that whoever waits finds it free; other processes look now and then
LET_GO = 2 * LOCK_POLL
#: seconds for which other threads of this process get their turn
BREATH = 0.001

T = TypeVar("T")
#: work that is done bit by bit: it gives the seconds to wait before the next bit, and in the end what came of it
Steps = Generator[float, None, T]


def collect(
    content: Content, *, grace: float, dry_run: bool = False, end: threading.Event | None = None
) -> list[Collected]:
    """Carries out each repository's retention, then removes blobs that no image needs and uploads that were abandoned.

    Returns what was removed, or would be with `dry_run`: an item for each repository where that is anything, and one for the
    registry as a whole. What was pushed, asked for or referred to by a push within `grace` seconds stays: what needs it may be on its
    way. Once `end` is set, it stops where it is and returns nothing. If another process is collecting, that is the `trouble` of the
    only item. Raises PlatformError if another process keeps the registry's lock, and OSError if the disk fails.
    """
    collection = Collection(content, grace=grace, dry_run=dry_run)
    if dry_run:
        return _run(collection.steps(), end or threading.Event())
    with content.store.claiming(COLLECTING) as alone:  # two would each see the other's work half done
        if not alone:
            return [
                Collected("", trouble="nothing was removed: another process is collecting garbage in this registry")
            ]
        return _run(collection.steps(), end or threading.Event())


def expiring(content: Content, name: str, settings: RepositorySettings) -> int:
    """How many images of a repository a collection would remove now if it had these settings. Raises PlatformError and OSError if
    something of it is damaged."""
    steps = Collection(content, grace=GRACE, dry_run=True).expiring(name, _rules_of(settings))
    while True:
        try:
            next(steps)
        except StopIteration as done:
            return len(done.value)


def _run(steps: Steps[list[Collected]], end: threading.Event) -> list[Collected]:
    while True:
        try:
            seconds = next(steps)
        except StopIteration as done:
            found: list[Collected] = done.value
            return found
        if end.wait(seconds):
            return []


@dataclass(slots=True)
class _Found:
    """What a repository holds. `needs`: the digests that each manifest refers to, by its own."""

    images: dict[str, Image] = field(default_factory=dict)
    needs: dict[str, tuple[str, ...]] = field(default_factory=dict)
    reading: Reading = field(default_factory=Reading)


class Collection:
    """One collection."""

    def __init__(self, content: Content, *, grace: float, dry_run: bool = False) -> None:
        self.content = content
        self.dry_run = dry_run
        self.now = time.time()
        #: seconds since 1970: what has a time from then on stays
        # an asking is noted at most once in FRESH seconds
        self.young = self.now - grace - min(FRESH, grace)

    def steps(self) -> Steps[list[Collected]]:
        """The whole collection. The lock is free between any two steps."""
        missing = self.content.missing_folder()
        if missing is not None:
            return [
                Collected(
                    "",
                    trouble=f"nothing was removed: the folder {missing}/ does not exist; is the registry still being copied here?",
                )
            ]
        done = []
        for name in self.content.documents.repositories.names():
            done.append((yield from self._repository(name)))  # noqa: PERF401 - a comprehension can't yield
        done.append((yield from self._content()))
        return [item for item in done if item.images or item.blobs or item.uploads or item.trouble]

    # -- a repository -------------------------------------------------------------------------------------------

    def _repository(self, name: str) -> Steps[Collected]:
        try:
            rules = self._rules(name)
            found = yield from self._read(name, rules)
        except (OSError, PlatformError) as error:  # what is kept, or what a manifest needs, is unknown: so nothing goes
            return Collected(name, trouble=f"nothing was removed: {error}")
        gone: set[str] = set()
        links, trouble = 0, ""
        try:
            links = yield from self._remove(name, rules, found, gone)
        except (OSError, PlatformError) as error:  # other repositories are collected all the same
            trouble = f"nothing more was removed: {error}"
        tags = {digest: tuple(sorted(found.reading.tags[digest])) for digest in gone if digest in found.reading.tags}
        return Collected(name, tuple(sorted(gone)), links, trouble=trouble, tags=tags)

    def _remove(self, name: str, rules: Rules, found: _Found, gone: set[str]) -> Steps[int]:
        """Removes what the rules say, then what nothing needs. Adds the digests of images to `gone`; returns how many blobs went."""
        belongings = Belongings(found.images)
        levels = list(belongings.levels(expired(found.images.values(), rules, self.now)))
        if self.dry_run:
            gone.update(digest for level in levels for digest in level)
        else:
            yield from self._remove_images(name, rules, found, belongings, levels, gone)
            yield from self._remove_leftovers(name, found)
        needed = {blob for digest, blobs in found.needs.items() if digest not in gone for blob in blobs}
        return (yield from self._remove_links(name, needed))

    def _rules(self, name: str) -> Rules:
        """The repository's retention as it is now. Raises PlatformError if its document is damaged."""
        return _rules_of((self.content.documents.repositories.read_again(name) or RepositoryDocument(name)).settings)

    def expiring(self, name: str, rules: Rules) -> Steps[set[str]]:
        """The digests of the images that would be removed now if the repository had these rules."""
        found = yield from self._read(name, rules)
        return expired(found.images.values(), rules, self.now)

    def _read(self, name: str, rules: Rules) -> Steps[_Found]:
        found = _Found()
        indexes: list[str] = []
        shared: dict[str, str] = {}  # each text is held once, however many manifests have it
        for number, (tag, digest) in enumerate(self.content.each_tag(name)):
            if not is_digest(digest):  # what it stood for would count as untagged
                raise Damaged(f"the tag {tag} is damaged: push its image again, or delete the tag")
            found.reading.tags.setdefault(shared.setdefault(digest, digest), []).append(tag)
            if number % READ_AT_ONCE == 0:
                yield BREATH
        for number, (digest, item) in enumerate(self.content.each_manifest(name)):
            if number % READ_AT_ONCE == 0:
                yield BREATH
            try:
                times = self.content.times_of(name, digest)
            except FileNotFoundError:  # removed meanwhile
                continue
            digest = shared.setdefault(digest, digest)
            children = tuple(shared.setdefault(child, child) for child in item.manifests)
            in_use = max(times.pushed, times.asked) >= self.young
            tags = tuple(found.reading.tags.get(digest, ()))
            subject = None if item.subject is None else shared.setdefault(item.subject, item.subject)
            by_tag = subject_of(tags) if subject is None else None
            found.images[digest] = Image(digest, times.pushed, tags, children, subject or by_tag, in_use)
            if item.media_type == OCI_INDEX and subject is None:
                indexes.append(digest)
            found.needs[digest] = tuple(shared.setdefault(blob, blob) for blob in item.refers_to)
            found.reading.times[digest] = times
            if subject is not None:
                found.reading.subjects[digest] = subject
        for digest in indexes:
            listed = self._listed_subject(name, found, digest)
            if listed is not None:
                found.images[digest] = replace(found.images[digest], subject=listed)
        for digest, image in found.images.items():
            if image.subject is not None and image.tags:
                # such a tag is none that somebody pulls by: it holds the manifest only if the rules say so
                held = [
                    item for item in image.tags if _is_name(item, image.subject) or matches_any(item, rules.keep_tags)
                ]
                found.images[digest] = replace(image, tags=tuple(held))
        return found

    def _listed_subject(self, name: str, found: _Found, digest: str) -> str | None:
        """The subject of an index that is a list of its referrers, as `layout.listed_subject`."""
        image = found.images[digest]
        named = tagged_subject(image.tags, found.images)
        if named is not None and named != digest:
            return named
        entries = [found.reading.subjects.get(child) for child in image.children if child in found.images]
        if not entries and any(self.content.has_blob(name, child) for child in image.children):
            return None  # a build cache
        return listed_subject(image.tags, entries)

    def _remove_images(
        self,
        name: str,
        rules: Rules,
        found: _Found,
        belongings: Belongings,
        levels: Iterable[list[str]],
        gone: set[str],
    ) -> Steps[None]:
        """Adds the digests of those that were removed to `gone`."""
        spared: set[str] = set()
        # no level in one batch with the next: the disk has it that an index is gone before one of its images goes
        for level in levels:
            for batch in _batches(level, IMAGES_AT_ONCE):
                with self.content.changing():
                    if not self._still(name, rules):
                        return
                    for digest in batch:
                        if digest in spared:
                            continue
                        if self.content.remove_read(name, digest, found.reading):
                            gone.add(digest)
                        else:
                            belongings.add(spared, [digest])
                self.content.finish_removal(name, found.reading)
                yield LET_GO

    def _still(self, name: str, rules: Rules) -> bool:
        try:
            return self._rules(name) == rules and not self._clock_went_back()
        except PlatformError:
            return False

    def _clock_went_back(self) -> bool:
        """Whether what is pushed now would look older than this collection: then nothing can be told by its time."""
        return time.time() < self.now

    def _remove_leftovers(self, name: str, found: _Found) -> Steps[None]:
        """Removes tags and notes of manifests that are no longer there."""
        for batch in _batches(self.content.leftovers(name, found.reading), IMAGES_AT_ONCE):
            with self.content.changing():
                for digest, path in batch:
                    self.content.remove_leftover(name, digest, path)
            yield LET_GO
        for folders in _batches(self.content.subjects(name), IMAGES_AT_ONCE):
            with self.content.changing():
                self.content.forget_empty_subjects(folders)
            yield LET_GO

    def _remove_links(self, name: str, needed: set[str]) -> Steps[int]:
        """Removes blobs that no manifest needs from the repository; returns how many."""
        old = yield from self._old(self.content.links(name), needed)
        if self.dry_run:
            return len(old)
        count = 0
        for batch in _batches(old, FILES_AT_ONCE):
            with self.content.changing():
                if self._clock_went_back():
                    return count
                count += sum(self.content.remove_link(name, digest, seen) for digest, seen in batch)
            yield LET_GO
        return count

    def _old(self, files: Iterable[tuple[str, Path]], needed: set[str]) -> Steps[list[tuple[str, int]]]:
        """The digests of those that are not needed and not young, each with its file's time in nanoseconds."""
        found = []
        for number, (digest, path) in enumerate(files):
            if number % READ_AT_ONCE == 0:
                yield BREATH
            if digest not in needed:
                with suppress(FileNotFoundError):
                    stat = path.stat()
                    if stat.st_mtime < self.young:
                        found.append((digest, stat.st_mtime_ns))
        return found

    # -- content ------------------------------------------------------------------------------------------------

    def _content(self) -> Steps[Collected]:
        """Removes content that no repository has, abandoned uploads, and what a crash left half-written."""
        try:
            blobs, size = yield from self._remove_blobs()
        except OSError as error:  # whose content it is is unknown
            return Collected("", trouble=f"nothing more was removed: {error}")
        idle = [path for path in self.content.uploads() if _old(path, self.now - IDLE_UPLOAD)]
        half = [path for path in (self.content.root / "temporary").glob("*") if _old(path, self.now - IDLE_UPLOAD)]
        for path in (*idle, *half):
            with suppress(OSError):
                size += path.stat().st_size
                if self.dry_run:
                    continue
                if path.is_dir():  # what a repository held that was deleted
                    self.content.discard([path])
                else:
                    path.unlink()
        return Collected("", (), blobs, len(idle), size)

    def _remove_blobs(self) -> Steps[tuple[int, int]]:
        """Removes content that no repository has; returns how many blobs, and their bytes."""
        needed: set[str] = set()
        for name in self.content.repositories():
            for number, (digest, _) in enumerate(self.content.links(name)):
                if number % READ_AT_ONCE == 0:
                    yield BREATH
                needed.add(digest)
        old = yield from self._old(self.content.blobs(), needed)
        count = size = 0
        for batch in _batches(old, FILES_AT_ONCE):
            if self.dry_run:
                paths = [self.content.blob_path(digest) for digest, _ in batch]
            else:
                with self.content.changing():
                    if self._clock_went_back():
                        break
                    taken = [self.content.take_blob(digest, seen) for digest, seen in batch]
                paths = [path for path in taken if path is not None]
            for path in paths:
                with suppress(FileNotFoundError):
                    size += path.stat().st_size
                    count += 1
                    if not self.dry_run:
                        path.unlink()
            yield LET_GO
        return count, size


def _rules_of(settings: RepositorySettings) -> Rules:
    # `or ()`: whoever edits the file by hand may write null
    return Rules(settings.keep_last, settings.untagged_days, tuple(settings.keep_tags or ()))


def _is_name(tag: str, subject: str) -> bool:
    """Whether a manifest that refers to the subject is called so, and the tag does not only say what it refers to."""
    return not (refers_by(tag, subject) if subject else subject_of([tag]))


def _batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    rest = iter(items)
    while batch := list(islice(rest, size)):
        yield batch


def _old(path: Path, oldest: float) -> bool:
    try:
        return os.stat(path).st_mtime <= oldest
    except OSError:
        return False
