"""A blob on its way into a local registry."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

from .store import PRIVATE_FILE


class Upload:
    """A blob on its way: a file that grows, and the hash of what is in it. `offset`: how many bytes have arrived."""

    def __init__(self, name: str, path: Path, algorithm: str = "sha256", *, resumed: bool = False) -> None:
        self.name = name
        self.id = path.name
        self.path = path
        self.algorithm = algorithm
        self.offset = path.stat().st_size if resumed else 0
        self._hash: Any = None if resumed else hashlib.new(algorithm)
        self._file = path.open("r+b" if resumed else "xb", buffering=0)
        if not resumed:
            path.chmod(PRIVATE_FILE)  # before anything is in it
        self._file.seek(self.offset)

    def use(self, algorithm: str) -> None:
        """Hashes with this algorithm; before the first block."""
        if algorithm != self.algorithm or self._hash is None:
            self.algorithm, self._hash = algorithm, hashlib.new(algorithm)

    def append(self, block: bytes) -> None:
        """Adds a block. Raises OSError if the disk fails or is full; the upload is then as long as it was."""
        try:
            view = memoryview(block)
            while view:
                view = view[self._file.write(view) :]
        except OSError:
            self.truncate(self.offset)
            raise
        if self._hash is not None:
            self._hash.update(block)
        self.offset += len(block)

    def truncate(self, offset: int) -> None:
        """Forgets what came after `offset` bytes."""
        self._file.truncate(offset)
        self._file.seek(offset)
        if offset != self.offset:
            self._hash = None  # a hash can't go back; `digest` makes a new one
            self.offset = offset

    def digest(self, algorithm: str) -> str:
        """The digest of all that has arrived."""
        if self._hash is not None and self.algorithm == algorithm:
            return f"{algorithm}:{self._hash.hexdigest()}"
        with self.path.open("rb") as file:
            return f"{algorithm}:{hashlib.file_digest(file, algorithm).hexdigest()}"

    def sync(self) -> None:
        """Returns once the disk has it all."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Closes the file; it stays, so that the upload can be resumed."""
        self._file.close()
