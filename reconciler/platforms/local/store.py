"""The local registry's folder: small JSON files, written atomically, one writer at a time.

    PATH/control/SECTION/NAME.json   a document; documents.py knows the sections, and what is in a document
    PATH/.token-key                  what the registry's servers sign tokens with
    PATH/temporary/                  files that are being written

NAME is percent-encoded, so that a name with slashes is one file. content.py lists the rest of the folder.
"""

from __future__ import annotations

import json
import os
import secrets
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Generic, NamedTuple, Protocol, TypeVar
from urllib.parse import quote, unquote

from filelock import FileLock, Timeout

from reconciler.errors import PlatformError, reason

#: the mode of a folder that its owner alone may look into, and of a file that they alone may read
PRIVATE, PRIVATE_FILE = 0o700, 0o600
#: the lock of whoever collects garbage
COLLECTING = ".collecting"
#: the folders in that of a registry
PARTS = ("control", "blobs", "links", "manifests", "tags", "referrers", "uploads", "times", "temporary")
#: seconds to wait for another process that writes to the same registry
LOCK_TIMEOUT = 30.0
#: seconds between two looks whether another process has let go of the lock
LOCK_POLL = 0.01
#: nanoseconds after which a change of a file or a folder is sure to have a time of its own: some file systems have clocks of 2 s
SETTLED = 2_000_000_000
#: bytes of documents that are kept parsed, and what each is taken to need beside its file's bytes
SEEN_MOST, SEEN_BESIDE = 32 << 20, 1 << 10
#: bytes of the key that tokens are signed with: as many as SHA-256 gives (https://www.rfc-editor.org/rfc/rfc2104#section-3)
KEY_SIZE = 32

#: what a file below PATH/control holds: a JSON object
Document = dict[str, Any]
T = TypeVar("T")


class Stamp(NamedTuple):
    """A file, as it was looked at. `time`: its last change, nanoseconds since 1970. `size`: bytes."""

    time: int
    file: int
    size: int


class Store:
    """Documents by section and name in a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._private = False
        self._seen: dict[Path, tuple[Stamp, Any]] = {}
        self._seen_bytes = 0

    def check(self) -> None:
        """Raises PlatformError if the folder can't be used. An absent folder is an empty registry."""
        try:
            nearest = next(path for path in (self.root, *self.root.parents) if path.exists())
        except OSError as error:  # a folder above that may not be searched, a name that is too long
            raise PlatformError(
                f"the folder {self.root} can't be read: {error.strerror}",
                operation="open",
                hint="check its permissions, or change the registry's path",
            ) from None
        if not nearest.is_dir() or not os.access(nearest, os.R_OK | os.X_OK):
            raise PlatformError(
                f"the folder {self.root} can't be read",
                operation="open",
                hint=f"make {nearest} a folder that you can read and write, or change the registry's path",
            )

    def names(self, section: str) -> list[str]:
        """The names of the section's documents, sorted."""
        folder = self.root / "control" / section
        if not folder.is_dir():
            return []
        return sorted(unquote(item.name[:-5]) for item in folder.iterdir() if item.name.endswith(".json"))

    def changed(self, section: str) -> int | None:
        """When a document of the section was put in place or removed for the last time, in nanoseconds since 1970; None if there
        never was one."""
        try:
            return (self.root / "control" / section).stat().st_mtime_ns
        except OSError:
            return None

    def key(self) -> bytes:
        """KEY_SIZE random bytes that all processes on the folder share, made by the first that asks. Raises PlatformError."""
        path = self.root / ".token-key"
        with self.writing():
            with suppress(OSError):
                found = path.read_bytes()
                if len(found) == KEY_SIZE:
                    return found
            made = secrets.token_bytes(KEY_SIZE)
            put_file(path, made, self.root)
            return made

    def read(self, section: str, name: str) -> Document | None:
        """The document; None if there is none. Raises PlatformError if it is damaged."""
        path = self.path(section, name)
        try:
            document = json.loads(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise PlatformError(
                f"{path} can't be read: {reason(error)}",
                operation="read",
                hint="repair the file, or remove it and apply again",
            ) from None
        if not isinstance(document, dict):
            raise PlatformError(f"{path} is not a JSON object", operation="read", hint="repair or remove the file")
        return document

    def read_again(self, section: str, name: str, parse: Callable[[str, Document], T]) -> T | None:
        """What `parse` makes of the name and its document; None if there is none. Raises PlatformError if it is damaged.

        For whoever asks often: the file is read and parsed only if it has changed since the last time. So the answer is shared and
        must not be changed, and a section always has the same `parse`.
        """
        path = self.path(section, name)
        stamp = self.stamp(section, name)
        if stamp is None:
            return None
        seen = self._seen.get(path)
        if seen is not None and seen[0] == stamp:
            known: T = seen[1]
            return known
        document = self.read(section, name)
        if document is None:
            return None
        parsed = parse(name, document)
        if not 0 <= stamp.time < time.time_ns() - SETTLED:  # the next change may look the same, where times are coarse
            return parsed
        size = stamp.size + SEEN_BESIDE
        if self._seen_bytes + size > SEEN_MOST:
            self._seen.clear()
            self._seen_bytes = 0
        self._seen[path] = (stamp, parsed)
        self._seen_bytes += size
        return parsed

    def stamp(self, section: str, name: str) -> Stamp | None:
        """What tells a document's file from the one that was there before; None if there is none."""
        try:
            found = self.path(section, name).stat()
        except OSError:  # not there; or the name is too long to ever be
            return None
        return Stamp(found.st_mtime_ns, found.st_ino, found.st_size)

    def write(self, section: str, name: str, document: Document) -> None:
        """Puts the document in place at once: a temporary file, synced, then renamed. Raises PlatformError if the disk fails."""
        path = self.path(section, name)
        try:
            put_file(path, json.dumps(document, indent=1, sort_keys=True).encode(), self.root)
        except OSError as error:
            raise write_error(path, error) from None

    def remove(self, section: str, name: str) -> None:
        """Removes the document; it is no error if there is none. Raises PlatformError if the disk fails."""
        path = self.path(section, name)
        try:
            path.unlink(missing_ok=True)
            if path.parent.is_dir():
                sync_folder(path.parent)
        except OSError as error:
            raise write_error(path, error) from None

    def _make_root(self) -> None:
        """Makes the registry's folder; what is in it is its owner's alone, also what an earlier build made for all to read."""
        if self._private:
            return
        self.root.parent.mkdir(parents=True, exist_ok=True)
        make_folder(self.root)
        for part in PARTS:
            with suppress(FileNotFoundError):
                (self.root / part).chmod(PRIVATE)
        # now: on a disk that is full nothing could be collected
        with suppress(OSError):
            (self.root / COLLECTING).touch(mode=PRIVATE_FILE)
        self._private = True

    @contextmanager
    def writing(self, seconds: float | None = None) -> Iterator[None]:
        """Holds the lock that every writer takes. Raises PlatformError after that many seconds (None: LOCK_TIMEOUT)."""
        try:
            self._make_root()
            timeout = LOCK_TIMEOUT if seconds is None else seconds
            with FileLock(self.root / ".lock", timeout=timeout, poll_interval=LOCK_POLL, mode=PRIVATE_FILE):
                yield
        except Timeout:
            raise locked(self.root) from None
        except OSError as error:
            raise write_error(self.root, error) from None

    @contextmanager
    def claiming(self, lock: str) -> Iterator[bool]:
        """Holds the lock of that file name while the block runs; gives False, without waiting, if somebody else holds it."""
        self._make_root()
        with ExitStack() as stack:
            try:
                stack.enter_context(FileLock(self.root / lock, timeout=0, mode=PRIVATE_FILE))
                claimed = True
            except Timeout:
                claimed = False
            yield claimed

    def path(self, section: str, name: str) -> Path:
        """Where the document is, or would be."""
        return self.root / "control" / section / f"{encoded(name)}.json"


class Stored(Protocol):
    """A document that can be written."""

    @property
    def name(self) -> str: ...

    def to_json(self) -> Document: ...


D = TypeVar("D", bound=Stored)


class Section(Generic[D]):
    """The documents of one section, typed. Its methods raise PlatformError if the disk fails, or if a file is damaged."""

    def __init__(self, store: Store, name: str, parse: Callable[[str, Document], D | None]) -> None:
        self.name = name
        self._store = store
        self._parse = parse

    def names(self) -> list[str]:
        """The names of its documents, sorted."""
        return self._store.names(self.name)

    def changed(self) -> int | None:
        """When a document was put in place or removed for the last time, in nanoseconds since 1970; None if there never was one."""
        return self._store.changed(self.name)

    def read(self, name: str) -> D | None:
        """The document; None if there is none."""
        document = self._store.read(self.name, name)
        return None if document is None else self._parsed(name, document)

    def each(self, names: Iterable[str]) -> Iterator[D]:
        """The documents of those names, where there are any; with an @ it is no name but somebody's copy of a file, say."""
        found = (self.read(name) for name in names if "@" not in name)
        return (document for document in found if document is not None)

    def read_again(self, name: str) -> D | None:
        """As `read`, for whoever asks often: it is parsed only if its file is another one than the last time."""
        return self._store.read_again(self.name, name, self._parsed)

    def stamp(self, name: str) -> Stamp | None:
        """What tells the document's file from the one that was there before; None if there is none."""
        return self._store.stamp(self.name, name)

    def _parsed(self, name: str, document: Document) -> D | None:
        try:
            return self._parse(name, document)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise PlatformError(
                f"{self._store.path(self.name, name)} is not a valid document of a registry: {reason(error)}",
                operation="read",
                hint="repair the file, or remove it and apply again",
            ) from None

    def write(self, document: D) -> None:
        """Puts the document in the place of the one with its name."""
        self._store.write(self.name, document.name, document.to_json())

    def remove(self, name: str) -> None:
        """Removes the document; it is no error if there is none."""
        self._store.remove(self.name, name)


def put_file(path: Path, body: bytes, root: Path) -> None:
    """Puts a file in place at once: a temporary file below the registry's root, synced, then renamed. Only the owner reads it.

    Raises OSError.
    """
    make_folder(root / "temporary")
    make_folder(path.parent)
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


def make_folder(folder: Path) -> None:
    """Makes the folder, and those above it that are missing, for their owner alone, whatever the umask. Raises OSError."""
    if folder.is_dir():
        return
    make_folder(folder.parent)
    with suppress(FileExistsError):
        folder.mkdir(mode=PRIVATE)
        folder.chmod(PRIVATE)
        sync_folder(folder.parent)


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


def locked(root: Path) -> PlatformError:
    """The error for people: somebody else keeps the registry's lock."""
    return PlatformError(
        f"another process has been writing to {root} for {LOCK_TIMEOUT:.0f} seconds",
        operation="lock",
        hint="wait for it or stop it, then run again",
    )


def write_error(path: Path, error: OSError) -> PlatformError:
    """The error for people."""
    return PlatformError(
        f"{path} can't be written: {error.strerror}",
        operation="write",
        hint="check the folder's permissions and free space",
    )
