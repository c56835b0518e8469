"""How a local registry's manifests and tags are removed.

What refers to something is read without the lock, with its times; under the lock only the times are compared (see images.py).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from reconciler.errors import PlatformError

from . import manifest as manifests
from .images import Images
from .layout import Damaged, below, digests_in, fallback_tag, listed_subject, parsed
from .manifest import OCI_INDEX
from .refusals import Missing, Refused
from .store import encoded, sync_folder
from .times import Times

#: how often something is read again that changes while it is being removed
TRIES = 10


@dataclass(slots=True)
class Reading:
    """What was read of a repository without the lock. By digest: a manifest's times, its tags, its subject.

    `aside`: the files that were put aside since. `earlier`: by digest, lists of its subject's referrers that others have replaced.
    """

    times: dict[str, Times] = field(default_factory=dict)
    tags: dict[str, list[str]] = field(default_factory=dict)
    subjects: dict[str, str] = field(default_factory=dict)
    aside: list[Path] = field(default_factory=list)
    earlier: dict[str, list[str]] = field(default_factory=dict)


class Removal(Images):
    """Images that can be removed."""

    def remove_tag(self, name: str, tag: str) -> None:
        """Removes a tag; the manifest stays. Raises Missing."""
        with self.changing():
            try:
                (self._tags(name) / tag).unlink()
            except FileNotFoundError:
                raise Missing(tag) from None
            sync_folder(self._tags(name))

    def remove_manifest(self, name: str, digest: str) -> None:
        """Removes a manifest with its tags and from its subject's referrers. Raises Missing, and Refused while an index lists it."""
        for _ in range(TRIES):
            reading = self._read_to_remove(name, digest)
            with self.changing():
                if self.remove_read(name, digest, reading):
                    break
        else:
            raise Refused(f"{digest} keeps being pushed by others")
        self.finish_removal(name, reading)

    def _read_to_remove(self, name: str, digest: str) -> Reading:
        """What `remove_read` must know of one manifest. Raises Missing and Refused as `remove_manifest`."""
        path = self._manifest_path(name, digest)
        try:
            # the times first: what comes after them makes them others
            reading = Reading({digest: self.times.read(name, digest, path)})
            subject = parsed(path).subject
        except FileNotFoundError:
            raise Missing(digest) from None
        except Damaged:  # what it referred to is unknown; it can go
            subject = None
        lists: list[str] = []
        if subject is not None:
            reading.subjects[digest] = subject
            # the list of a subject's referrers is mended when one of them goes, and those that it has replaced go
            for user in self.references.users(name, digest):
                if self._is_only_a_list(name, user, subject):
                    with suppress(FileNotFoundError):
                        reading.times[user] = self.times_of(name, user)
                        lists.append(user)
            fallback = self._read_tag(name, fallback_tag(subject))
            reading.earlier[digest] = [item for item in lists if item != fallback]
        self._refuse_part(name, digest, lists)
        for tag, tagged in self.each_tag(name):
            if tagged in reading.times:
                reading.tags.setdefault(tagged, []).append(tag)
        return reading

    def _is_only_a_list(self, name: str, digest: str, subject: str) -> bool:
        """Whether a manifest is a list of a subject's referrers, the one in force or an earlier one, and nothing else: neither tagged
        otherwise nor a part of something."""
        try:
            found = parsed(self._manifest_path(name, digest))
        except OSError:
            return False
        if found.media_type != OCI_INDEX or found.subject is not None:
            return False
        tags = [tag for tag, tagged in self.each_tag(name) if tagged == digest]
        if self.references.users(name, digest):
            return False
        return tags == [fallback_tag(subject)] or (
            not tags and listed_subject((), list(self._subjects_of(name, found.manifests))) == subject
        )

    def _subjects_of(self, name: str, digests: Iterable[str]) -> Iterator[str | None]:
        for digest in digests:
            with suppress(OSError):  # it is gone, or damaged: it says nothing
                yield parsed(self._manifest_path(name, digest)).subject

    def _refuse_part(self, name: str, digest: str, but: Collection[str] = ()) -> None:
        """Raises Refused if a manifest of the repository refers to the digest. `but`: the digests of those that may."""
        for user in self.references.users(name, digest):
            if user != digest and user not in but:
                tags = ", ".join(tag for tag, tagged in self.tagged(name).items() if tagged == user)
                raise Refused(f"{digest} is part of {user}{f' ({tags})' if tags else ''}; delete that manifest first")

    def remove_read(self, name: str, digest: str, reading: Reading) -> bool:
        """Removes a manifest whose removal was decided by what was read. The caller holds the lock, then calls `finish_removal`.

        False if it is gone, or was pushed, tagged, asked for or referred to since: the reading no longer holds for it.
        """
        path = self._manifest_path(name, digest)
        if not path.is_file() or self.times_of(name, digest) != reading.times.get(digest):
            return False
        before = len(reading.aside)
        moved: list[tuple[Path, Path]] = []
        try:
            self._remove_all(name, digest, reading, moved)
        except (OSError, PlatformError):  # the disk fails: what can be put back is there as before
            for path, aside in reversed(moved):
                with suppress(OSError):
                    aside.rename(path)
            del reading.aside[before:]
            raise
        return True

    def _remove_all(self, name: str, digest: str, reading: Reading, moved: list[tuple[Path, Path]]) -> None:
        subject = reading.subjects.get(digest)
        for tag in reading.tags.get(digest, ()):
            if self._read_tag(name, tag) == digest:
                self._remove(self._tags(name) / tag, reading, moved)
        if subject is not None:  # first what lists it: cut off here, the list is whole
            self._clean_fallback(name, subject, digest, reading, moved)
            for earlier in reading.earlier.get(digest, ()):
                self._remove_list(name, earlier, reading, moved)
        self._remove(self._manifest_path(name, digest), reading, moved)
        if subject is not None:  # and after it what is not shown without it
            self._remove(self._referrers(name, subject) / below(digest), reading, moved)
        self._remove(self.times.path(name, digest), reading, moved)

    def _remove(self, path: Path, reading: Reading, moved: list[tuple[Path, Path]]) -> None:
        aside = self.put_aside(path)
        if aside is not None:
            reading.aside.append(aside)
            moved.append((path, aside))

    def _remove_list(self, name: str, digest: str, reading: Reading, moved: list[tuple[Path, Path]]) -> None:
        """Removes a list of referrers, unless it was pushed, tagged or asked for since the reading."""
        path = self._manifest_path(name, digest)
        if path.is_file() and reading.times.get(digest) == self.times_of(name, digest):
            self._remove(path, reading, moved)
            self._remove(self.times.path(name, digest), reading, moved)

    def finish_removal(self, name: str, reading: Reading) -> None:
        """Returns once the disk has it that manifests were removed: only then may what they needed go. Without the lock."""
        for algorithm in ("sha256", "sha512"):
            with suppress(FileNotFoundError):
                sync_folder(self._manifests(name) / algorithm)
        for path in reading.aside:
            path.unlink(missing_ok=True)
        reading.aside.clear()

    def _clean_fallback(
        self, name: str, subject: str, digest: str, reading: Reading, moved: list[tuple[Path, Path]]
    ) -> None:
        """Takes the manifest out of the index that a client without the referrers API keeps under the tag of the subject."""
        tag = fallback_tag(subject)
        before = self._read_tag(name, tag)
        if before is None:
            return
        path = self._manifest_path(name, before)
        try:
            times = self.times_of(name, before)
            document = json.loads(path.read_bytes())
            if parsed(path).media_type != OCI_INDEX:
                return
        except (OSError, ValueError):
            return
        kept = [item for item in document.get("manifests") or [] if item["digest"] != digest]
        if len(kept) == len(document.get("manifests") or []):
            return
        if kept:
            body = json.dumps({**document, "manifests": kept}, separators=(",", ":")).encode()
            after = f"sha256:{hashlib.sha256(body).hexdigest()}"
            self._put_fallback(name, tag, after, body, times, reading)
        else:
            self._remove(self._tags(name) / tag, reading, moved)
        others = (item for item in reading.tags.get(before, ()) if item != tag)
        # one that was tagged since the reading has other times now, and stays
        if reading.times.get(before) == times and not any(self._read_tag(name, item) == before for item in others):
            self._remove(path, reading, moved)
            self._remove(self.times.path(name, before), reading, moved)

    def _put_fallback(self, name: str, tag: str, after: str, body: bytes, before: Times, reading: Reading) -> None:
        """Puts the shorter list in the place of the one before. It is as old as that, and the reading knows of it."""
        path = self._manifest_path(name, after)
        known = not path.exists() or self.times_of(name, after) == reading.times.get(after)
        self._put(path, body)
        self._put(self._tags(name) / tag, after.encode())
        self.times.take_over(name, after, before.pushed)
        if known:
            reading.times[after] = self.times_of(name, after)
            reading.tags.setdefault(after, []).append(tag)

    # -- what a crash or a hand left ----------------------------------------------------------------------------

    def leftovers(self, name: str, reading: Reading) -> Iterator[tuple[str, Path]]:
        """What is kept for manifests that are not among those read: their digests, each with a file for `remove_leftover`."""
        for digest, tags in reading.tags.items():
            if digest not in reading.times:
                yield from ((digest, self._tags(name) / tag) for tag in tags)
        for folder in (self.root / "times" / encoded(name), *self.subjects(name)):
            for digest, path in digests_in(folder):
                if digest not in reading.times:
                    yield digest, path

    def forget_empty_subjects(self, folders: Iterable[Path]) -> None:
        """Removes the folders of subjects that nothing refers to any more. The caller holds the lock."""
        for folder in folders:
            for path in (*(folder / algorithm for algorithm in ("sha256", "sha512")), folder):
                with suppress(OSError):  # not empty, or not there
                    path.rmdir()

    def subjects(self, name: str) -> Iterator[Path]:
        """The folders of subjects, with the notes of what refers to each."""
        for _, folder in digests_in(self.root / "referrers" / encoded(name)):
            yield folder

    def remove_leftover(self, name: str, digest: str, path: Path) -> None:
        """Removes what is kept for a manifest, unless there is one by now. The caller holds the lock."""
        if path.parent == self._tags(name) and self._read_tag(name, path.name) != digest:
            return
        if path.is_file() and not (manifests.is_digest(digest) and self._manifest_path(name, digest).is_file()):
            path.unlink()
