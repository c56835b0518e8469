"""What everything in a local registry's folder shares: its lock, and where the files of a repository are."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

from .documents import Documents
from .layout import below
from .references import References
from .refusals import Deleted
from .store import LOCK_TIMEOUT, PRIVATE_FILE, Store, encoded, locked, make_folder, put_file
from .times import TimesKept

#: nanoseconds between two times of a file on any file system
COARSEST = 2_000_000_000
#: what says whose content is: where there is content, all of them are, so that a copy that lacks one is noticed
NEEDED = ("links", "manifests", "tags")


class Folder:
    """A registry's folder and its lock."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.documents = Documents(store)
        self.root = store.root
        self.times = TimesKept(self.root)
        self.references = References(self.root)
        self._busy = Lock()

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Holds the registry's lock, among this process's threads first: they wait without asking the disk again and again.

        Raises PlatformError if another process keeps the lock for too long.
        """
        end = time.monotonic() + LOCK_TIMEOUT
        if not self._busy.acquire(timeout=LOCK_TIMEOUT):
            raise locked(self.root)
        try:
            with self.store.writing(max(end - time.monotonic(), 0)):
                yield
        finally:
            self._busy.release()

    @contextmanager
    def adding(self, name: str) -> Iterator[None]:
        """As `changing`, to add to a repository. Raises Deleted if it was deleted meanwhile: otherwise the next repository of its
        name would begin with what was added."""
        with self.changing():
            if self.documents.repositories.read_again(name) is None:
                raise Deleted(name)
            yield

    def blob_path(self, digest: str) -> Path:
        """Where the content is; ask `Content.blob` first."""
        return self.root.joinpath("blobs", below(digest))

    def _link(self, name: str, digest: str) -> Path:
        return self.root.joinpath("links", encoded(name), below(digest))

    def _put_link(self, name: str, digest: str) -> None:
        """Puts the blob into the repository. The caller holds the lock."""
        link = self._link(name, digest)
        for part in NEEDED:
            make_folder(self.root / part)
        make_folder(link.parent)
        link.touch(mode=PRIVATE_FILE)
        touch(link)
        # `collect` may have seen that no repository has the content, and be about to remove it
        touch(self.blob_path(digest))

    def _has_blob(self, name: str, digest: str) -> bool:
        return self._link(name, digest).exists() and self.blob_path(digest).exists()

    def _manifest_path(self, name: str, digest: str) -> Path:
        return self.root.joinpath("manifests", encoded(name), below(digest))

    def put_aside(self, path: Path) -> Path | None:
        """Takes a file out of sight, and returns where it is now, to be unlinked without the lock: a disk can take long to free what
        a file held. None if there is none. What a crash leaves aside is collected."""
        aside = self.root.joinpath("temporary", uuid.uuid4().hex)
        make_folder(aside.parent)
        try:
            path.rename(aside)
        except FileNotFoundError:
            return None
        return aside

    def _put(self, path: Path, body: bytes) -> None:
        put_file(path, body, self.root)


def touch(path: Path) -> None:
    """Makes the file's time now, and another than it was: the kernel's own "now" can be 10 ms old, and some file systems keep whole
    seconds, or two. Raises OSError."""
    before, now = path.stat().st_mtime_ns, time.time_ns()
    os.utime(path, ns=(now, now))
    if path.stat().st_mtime_ns == before:
        os.utime(path, ns=(now, before + COARSEST))


def unlink_unchanged(path: Path, seen: int) -> bool:
    """Removes the file if its time is still `seen`, nanoseconds; whether it did. The caller holds the lock. Raises OSError."""
    try:
        if path.stat().st_mtime_ns != seen:
            return False
        path.unlink()
    except FileNotFoundError:
        return False
    return True
