"""The manifests, tags and referrers of a local registry's repositories.

What a manifest needs is marked once it is visible: the times of the manifests that it lists and of its subject, and those of the
links of its blobs. So whoever wants to remove something reads its time, then what refers to it, without the lock, and needs to
compare that time under the lock: if it is what it was, nothing that needs it has come since.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from itertools import chain, islice
from pathlib import Path
from typing import Any

from . import manifest as manifests
from .folder import Folder, touch
from .layout import below, digests_in, in_order, parsed
from .manifest import Manifest
from .refusals import Exists, Missing, Refused
from .store import encoded, sync_folder
from .times import FRESH, Times

#: of the digests that a pushed manifest lacks, so many are named
MISSING_SAID = 100


class Images(Folder):
    """Manifests, tags and referrers."""

    # -- manifests ----------------------------------------------------------------------------------------------

    def manifest(self, name: str, reference: str) -> tuple[str, Path]:
        """The digest and file of a manifest by tag or digest. Raises Missing."""
        digest = reference if ":" in reference else self._tagged(name, reference)
        path = self._manifest_path(name, digest)
        if not path.is_file():
            raise Missing(reference)
        return digest, path

    def missing(self, name: str, found: Manifest) -> list[str]:
        """Digests that the manifest needs and that the repository does not have: the first MISSING_SAID of them."""
        blobs = (digest for digest in dict.fromkeys(found.blobs) if not self._has_blob(name, digest))
        entries = (digest for digest in dict.fromkeys(found.manifests) if not self._has_entry(name, digest))
        return list(islice(chain(blobs, entries), MISSING_SAID))

    def _has_entry(self, name: str, digest: str) -> bool:
        """Whether the repository has what an index lists: a manifest, or a blob of a build cache
        (https://github.com/moby/buildkit/blob/master/README.md#registry-push-image-and-cache-separately)."""
        return self._manifest_path(name, digest).is_file() or self._has_blob(name, digest)

    def put_manifest(
        self,
        name: str,
        digest: str,
        body: bytes,
        found: Manifest,
        tags: Collection[str],
        movable: Callable[[str], bool],
        *,
        only_new: bool = False,
    ) -> list[str]:
        """Makes the manifest visible under its digest and the tags; if it needs what is missing, returns those digests instead.

        Raises Refused if a tag stands for another manifest and is not `movable`, and Deleted. With `only_new`, raises Exists if one
        of the tags is there; without tags, if the manifest is.
        """
        path = self._manifest_path(name, digest)
        # before the lock, too: who pushes what can't be taken keeps nobody waiting
        if not only_new and self.documents.repositories.read_again(name) and (missing := self.missing(name, found)):
            return missing
        with self.adding(name):
            if only_new and (any(self._read_tag(name, tag) for tag in tags) or (not tags and path.is_file())):
                raise Exists(digest)
            if missing := self.missing(name, found):
                return missing
            for tag in tags:
                before = self._read_tag(name, tag)
                # one that is damaged stands for nothing: a push mends it
                known = before is not None and manifests.is_digest(before)
                if known and before != digest and not movable(tag):
                    raise Refused(f"tag {tag} is immutable and already points to {before}")
            is_there = _holds(path, body)  # and is not damaged on the disk
            if not is_there:
                self._sync_blobs(name, found)
            if found.subject is not None:  # also where it is there: cut off in a removal, it may not be listed
                entry = json.dumps(found.descriptor(digest, len(body))).encode()
                listed = self._referrers(name, found.subject) / below(digest)
                if not _holds(listed, entry):
                    self._put(listed, entry)
            if not is_there:
                self._put(path, body)
            # after it is visible: whoever has read the time that this makes finds the manifest too
            self._mark_needed(name, found)
            # before the tags: cut off here, an old image would be one that retention takes under its new tag
            self.times.pushed(name, digest)
            new = [tag for tag in tags if self._read_tag(name, tag) != digest]
            for tag in new:
                self._put(self._tags(name) / tag, digest.encode())
            if new:  # and after them: whoever has read this time finds the tags too
                self.times.pushed(name, digest)
        return []

    def _mark_needed(self, name: str, found: Manifest) -> None:
        """Makes the times of all that a manifest refers to new: whoever is about to remove some of it keeps it. The caller holds
        the lock. At each push, however short ago the last was: a collection may have read in between."""
        for digest in found.refers_to:
            with suppress(FileNotFoundError):
                touch(self._link(name, digest))
        for digest in found.manifests if found.subject is None else (*found.manifests, found.subject):
            path = self._manifest_path(name, digest)
            if path.is_file():
                self.times.asked(name, digest, path)

    def is_due(self, name: str, digest: str) -> bool:
        """Whether it is time to call `keep_manifest` for a manifest that a client asks for. Raises Missing."""
        try:
            return time.time() - self.times.read(name, digest, self._manifest_path(name, digest)).asked > FRESH
        except FileNotFoundError:
            raise Missing(digest) from None

    def keep_manifest(self, name: str, digest: str) -> None:
        """Makes the manifest's grace start anew, as `keep_blob` does for a blob's. Raises Missing."""
        path = self._manifest_path(name, digest)
        with self.changing():
            if not path.is_file():
                raise Missing(digest)
            self.times.asked(name, digest, path)

    def each_manifest(self, name: str) -> Iterator[tuple[str, Manifest]]:
        """The repository's manifests with their digests, in any order; one that is removed meanwhile may be left out.

        Raises OSError for one that is damaged.
        """
        for digest, path in digests_in(self._manifests(name)):
            try:
                found = parsed(path)
            except FileNotFoundError:
                continue
            yield digest, found

    def count_manifests(self, name: str) -> int:
        """How many manifests the repository holds."""
        return sum(1 for _ in digests_in(self._manifests(name)))

    def times_of(self, name: str, digest: str) -> Times:
        """When the manifest was pushed and asked for. Raises OSError."""
        return self.times.read(name, digest, self._manifest_path(name, digest))

    def _manifests(self, name: str) -> Path:
        return self.root / "manifests" / encoded(name)

    def _sync_blobs(self, name: str, found: Manifest) -> None:
        """Returns once the disk has the blobs' names, so that a power cut can't leave the manifest without its blobs."""
        for algorithm in {digest.partition(":")[0] for digest in found.refers_to if self._has_blob(name, digest)}:
            sync_folder(self.root / "blobs" / algorithm)
            sync_folder(self.root / "links" / encoded(name) / algorithm)

    # -- tags and referrers -------------------------------------------------------------------------------------

    def tags(self, name: str) -> list[str]:
        """The repository's tags in lexical order. Raises OSError."""
        try:
            return sorted(os.listdir(self._tags(name)), key=in_order)
        except FileNotFoundError:
            return []

    def tagged(self, name: str) -> dict[str, str]:
        """Digest by tag."""
        found = ((tag, self._read_tag(name, tag)) for tag in self.tags(name))
        return {tag: digest for tag, digest in found if digest is not None}

    def each_tag(self, name: str) -> Iterator[tuple[str, str]]:
        """The repository's tags, each with its digest, in any order, as the disk lists them."""
        with suppress(FileNotFoundError), os.scandir(self._tags(name)) as found:
            for item in found:
                digest = self._read_tag(name, item.name)
                if digest is not None:
                    yield item.name, digest

    def referrers(self, name: str, subject: str, after: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
        """Digests and descriptors of the manifests whose subject it is, sorted by digest: those after `after`, one by one."""
        for digest, path in sorted(digests_in(self._referrers(name, subject))):
            if digest > after and self._manifest_path(name, digest).is_file():
                with suppress(OSError, ValueError):
                    yield digest, json.loads(path.read_bytes())

    def _tags(self, name: str) -> Path:
        return self.root / "tags" / encoded(name)

    def _referrers(self, name: str, subject: str) -> Path:
        return self.root.joinpath("referrers", encoded(name), below(subject))

    def _read_tag(self, name: str, tag: str) -> str | None:
        try:
            return (self._tags(name) / tag).read_text(errors="replace")
        except FileNotFoundError:  # anything else is no proof that there is no such tag
            return None

    def _tagged(self, name: str, tag: str) -> str:
        digest = self._read_tag(name, tag)
        if digest is None or not manifests.is_digest(digest):
            raise Missing(tag)
        return digest


def _holds(path: Path, body: bytes) -> bool:
    """Whether the file is there, with that in it."""
    try:
        return path.read_bytes() == body
    except OSError:
        return False
