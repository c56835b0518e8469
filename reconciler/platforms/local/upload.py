"""A blob on its way into a local registry."""

from __future__ import annotations

import hashlib
import os
import secrets
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

try:
    import fcntl
except ImportError:  # Windows, where one server has a folder for itself
    fcntl = None  # type: ignore[assignment]  # there is no such module

from .refusals import Missing
from .store import PRIVATE_FILE


class Upload:
    """A blob on its way: a file that grows, and the hash of what is in it. `offset`: how many bytes have arrived.

    Several servers may have the same upload open. Whoever adds to it, cuts it or ends it holds its lock (`claim`, `release`).
    """

    def __init__(self, name: str, path: Path, algorithm: str = "sha256", *, resumed: bool = False) -> None:
        self.name = name
        self.id = path.name
        self.path = path
        self.algorithm = algorithm
        self.offset = 0
        self.lost = False
        self._hash: Any = None if resumed else hashlib.new(algorithm)
        self._file = path.open("r+b" if resumed else "xb", buffering=0)
        try:
            if not resumed:
                path.chmod(PRIVATE_FILE)  # before anything is in it
            self._seen = self._state()
            self.offset = self._seen[0]
            self._file.seek(self.offset)
        except BaseException:
            self._file.close()
            raise

    # -- among servers ------------------------------------------------------------------------------------------

    def claim(self) -> bool:
        """Takes the upload's lock, among all servers on the folder, and measures it again; False if another has the lock.

        Raises Missing if the upload has ended meanwhile, here or at another server.
        """
        if self._file.closed:
            raise Missing(self.id)
        if fcntl is not None:
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
        if not self._still_there():  # what was the upload may be somebody's blob by now
            self.close()
            raise Missing(self.id)
        found = self._state()
        if found != self._seen:
            self.offset, self._hash = found[0], None
            self._file.seek(self.offset)
        return True

    def release(self) -> None:
        """Lets go of the lock. The file's time becomes one of its own, by which another server's writing is noticed, however short
        after it came."""
        if self._file.closed:
            return
        with suppress(OSError):  # the disk is full, say: the next one hashes again, no more
            second = 1_000_000_000
            now = time.time_ns() // second * second + secrets.randbelow(second)
            os.utime(self._file.fileno(), ns=(now, now))
            self._seen = self._state()
        if fcntl is not None:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def arrived(self) -> int:
        """How many bytes have arrived, at whichever server. Raises Missing if the upload has ended."""
        if self._file.closed or not self._still_there():
            raise Missing(self.id)
        return self._state()[0]

    def _state(self) -> tuple[int, int]:
        found = os.fstat(self._file.fileno())
        return found.st_size, found.st_mtime_ns

    def _still_there(self) -> bool:
        try:
            return os.path.samestat(self.path.stat(), os.fstat(self._file.fileno()))
        except FileNotFoundError:
            return False

    # -- what is in it ------------------------------------------------------------------------------------------

    def use(self, algorithm: str) -> None:
        """Hashes with this algorithm; before the first block."""
        if algorithm != self.algorithm or self._hash is None:
            self.algorithm, self._hash = algorithm, hashlib.new(algorithm)

    def append(self, block: bytes) -> None:
        """Adds a block. Raises OSError if the disk fails or is full; the upload is then as long as it was, or lost."""
        try:
            view = memoryview(block)
            while view:
                view = view[self._file.write(view) :]
        except OSError:
            try:
                self.truncate(self.offset)
            except OSError:
                self.lost = True
            raise
        if self._hash is not None:
            self._hash.update(block)
        self.offset += len(block)

    def take_back(self, offset: int) -> None:
        """As `truncate`, if it still is an upload: cut off in the middle of its end, it may be a blob."""
        if not self._file.closed and self._still_there():
            self.truncate(offset)

    def truncate(self, offset: int) -> None:
        """Forgets what came after `offset` bytes."""
        self._file.truncate(offset)
        self._file.seek(offset)
        if offset != self.offset:
            self._hash = None  # a hash can't go back; `digest` makes a new one
            self.offset = offset

    def size(self) -> int:
        """How many bytes the file has."""
        return self._state()[0]

    def digest(self, algorithm: str) -> str:
        """The digest of all that has arrived."""
        if self._hash is not None and self.algorithm == algorithm:
            return f"{algorithm}:{self._hash.hexdigest()}"
        with self.path.open("rb") as file:
            return f"{algorithm}:{hashlib.file_digest(file, algorithm).hexdigest()}"

    def sync(self) -> None:
        """Returns once the disk has it all. Raises OSError: the upload is lost then, for a disk reports a failure once, and what it
        has of the file is not known (https://wiki.postgresql.org/wiki/Fsync_Errors)."""
        try:
            os.fsync(self._file.fileno())
        except OSError:
            self.lost = True
            raise

    def close(self) -> None:
        """Closes the file; it stays, so that the upload can be resumed."""
        self._file.close()
