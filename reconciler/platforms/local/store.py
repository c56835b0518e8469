"""The local registry's folder: small JSON files, written atomically, one writer at a time.

    PATH/control/repositories/NAME.json   a repository's settings, marks and labels
    PATH/control/access/NAME.json         who may use it: entries of ours, each with its grant, and foreign ones
    PATH/control/credentials/ID.json      what was issued to log in with: whose it is, until when, a salted hash of the secret
    PATH/manifests/NAME/ALGORITHM/HEX     one file per image manifest; content.py tells of the rest of the images
    PATH/temporary/                       files that are being written

NAME is percent-encoded, so that a name with slashes is one file.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from filelock import FileLock, Timeout

from reconciler.errors import PlatformError

#: seconds to wait for another process that writes to the same registry
LOCK_TIMEOUT = 30.0

Document = dict[str, Any]

#: the section and name of the document that tells where the registry is served
_SERVED = ("server", "running")


class Store:
    """Documents by section and name in a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._seen: dict[Path, tuple[tuple[int, int, int], Document]] = {}

    def check(self) -> None:
        """Raises PlatformError if the folder can't be used. An absent folder is an empty registry."""
        nearest = next(path for path in (self.root, *self.root.parents) if path.exists())
        if not nearest.is_dir() or not os.access(nearest, os.R_OK | os.X_OK):
            raise PlatformError(
                f"the folder {self.root} can't be read",
                operation="open",
                hint=f"make {nearest} a folder that you may read and write, or change the registry's path",
            )

    def names(self, section: str) -> list[str]:
        """The names that the section has, sorted."""
        folder = self.root / "control" / section
        if not folder.is_dir():
            return []
        return sorted(unquote(item.name[:-5]) for item in folder.iterdir() if item.name.endswith(".json"))

    def read(self, section: str, name: str) -> Document | None:
        """The document, or None. Raises PlatformError if it is damaged."""
        path = self._path(section, name)
        try:
            document = json.loads(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise PlatformError(
                f"{path} can't be read: {error}",
                operation="read",
                hint="repair the file, or remove it and apply again",
            ) from None
        if not isinstance(document, dict):
            raise PlatformError(f"{path} is not a JSON object", operation="read", hint="repair or remove the file")
        return document

    def read_again(self, section: str, name: str) -> Document | None:
        """As `read`, for whoever asks often: the file is parsed only if it is another one than the last time. Don't change it."""
        path = self._path(section, name)
        try:
            found = path.stat()
        except OSError:  # not there; or the name is too long to ever be
            return None
        state = (found.st_mtime_ns, found.st_ino, found.st_size)
        seen = self._seen.get(path)
        if seen is not None and seen[0] == state:
            return seen[1]
        document = self.read(section, name)
        if document is not None:
            if len(self._seen) >= 4096:
                self._seen.clear()
            self._seen[path] = (state, document)
        return document

    def write(self, section: str, name: str, document: Document) -> None:
        """Puts the document in place at once: a temporary file, synced, then renamed."""
        path = self._path(section, name)
        try:
            put_file(path, json.dumps(document, indent=1, sort_keys=True).encode(), self.root)
        except OSError as error:
            raise write_error(path, error) from None

    def remove(self, section: str, name: str) -> None:
        """Removes the document; it is no error if there is none."""
        path = self._path(section, name)
        try:
            path.unlink(missing_ok=True)
            if path.parent.is_dir():
                sync_folder(path.parent)
        except OSError as error:
            raise write_error(path, error) from None

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Holds the lock that every writer takes. Raises PlatformError after LOCK_TIMEOUT seconds."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            with FileLock(self.root / ".lock", timeout=LOCK_TIMEOUT):
                yield
        except Timeout:
            raise PlatformError(
                f"another process has been writing to {self.root} for {LOCK_TIMEOUT:.0f} seconds",
                operation="lock",
                hint="wait for it, or end it, and run again",
            ) from None
        except OSError as error:
            raise write_error(self.root, error) from None

    @contextmanager
    def serving(self, place: str) -> Iterator[None]:
        """Tells while the block runs where the registry is served; if another server does so already, that one stays."""
        self.root.mkdir(parents=True, exist_ok=True)
        with ExitStack() as stack:
            with suppress(Timeout):
                stack.enter_context(FileLock(self.root / ".serving", timeout=0))
                self.write(*_SERVED, {"place": place})
                stack.callback(self.remove, *_SERVED)
            yield

    def served_at(self) -> str | None:
        """Host and port of a server that runs now. A server that was killed holds its lock no more."""
        document = self.read(*_SERVED)
        if document is None:
            return None
        try:
            with FileLock(self.root / ".serving", timeout=0):
                return None
        except Timeout:
            return str(document.get("place"))

    def manifests(self, name: str) -> list[Path]:
        """The files of a repository's image manifests."""
        folder = self.root / "manifests" / encoded(name)
        return sorted(item for item in folder.glob("*/*") if item.is_file())

    def _path(self, section: str, name: str) -> Path:
        return self.root / "control" / section / f"{encoded(name)}.json"


def put_file(path: Path, body: bytes, root: Path) -> None:
    """Puts a file in place at once: a temporary file below the registry's root, synced, then renamed. Only the owner reads it.

    Raises OSError.
    """
    (root / "temporary").mkdir(parents=True, exist_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=root / "temporary")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise
    sync_folder(path.parent)


def encoded(name: str) -> str:
    """The name as one file name: a slash becomes %2F."""
    # quote() leaves dots alone, and "." and ".." are no names of ours (the spec's pattern wants letters or digits first)
    return quote(name, safe="")


def sync_folder(folder: Path) -> None:
    """Returns once the disk has the folder's names."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_error(path: Path, error: OSError) -> PlatformError:
    """The error for people."""
    return PlatformError(
        f"{path} can't be written: {error.strerror}",
        operation="write",
        hint="check the folder's permissions and free space",
    )
