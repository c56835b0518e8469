"""What others had put on a resource that is replaced, in a file until it is back on the new one: between the delete and the create
it stands nowhere else."""

from __future__ import annotations

import json
import os
import stat
import tempfile
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from reconciler.errors import Halted, PlatformError, reason
from reconciler.model.address import Address
from reconciler.model.call_log import watching
from reconciler.model.canonical import digest

FORMAT = 1
#: what a plan says of a file whose resource is deleted
GOES_ALONG = "that file is deleted with it, and nothing in it is restored"
_KEYS = ("format", "owner", "address", "native", "others")


class Rescue:
    """The rescue files of one spec in one folder, each for one resource. Only their owner may read them."""

    def __init__(self, folder: str, owner: str) -> None:
        self.folder = Path(folder)
        self.owner = owner

    def path(self, at: Address, native: str) -> Path:
        """Where the file of a resource is, or would be. `native`: another environment's resource may have the same address."""
        return self.folder / f"reconciler-rescue-{_name(self.owner, at)}-{digest([self.owner, at, native])}.json"

    def keep(self, at: Address, native: str, what: dict[str, Any]) -> Path:
        """Writes the file; returns once the disk has it. Raises PlatformError if that fails."""
        path = self.path(at, native)
        document = {"format": FORMAT, "owner": self.owner, "address": at, "native": native, "others": what}
        temporary = ""
        try:
            handle, temporary = tempfile.mkstemp(dir=self.folder, prefix=".reconciler-rescue-")
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(document, file, indent=1, sort_keys=True)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except OSError as error:
            if temporary:
                with suppress(OSError):
                    os.unlink(temporary)
            raise PlatformError(
                f"what others put on it can't be saved in {path}: {error.strerror}",
                address=at,
                operation="rescue",
                hint="nothing was deleted; name a writable folder with --rescue DIR",
            ) from None
        return path

    def kept(self, at: Address, native: str) -> dict[str, Any] | None:
        """What the file of a resource holds; None if there is none.

        Raises PlatformError if it can't be read.
        """
        path = self.path(at, native)
        try:
            document = json.loads(_private(path))
            if [document[key] for key in _KEYS[:-1]] != [FORMAT, self.owner, at, native]:
                raise ValueError("it belongs to another resource")
            found: dict[str, Any] = document["others"]
            if not isinstance(found, dict):
                raise ValueError("it holds nothing that others set")
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise PlatformError(
                f"{path}, which keeps what others put on it before it was replaced, can't be read: {reason(error)}",
                address=at,
                operation="rescue",
                hint="repair the file, or restore by hand what it holds and delete the file",
            ) from None
        return found

    def strays(self, registry: str, known: Collection[Path]) -> Iterator[tuple[Path, str, dict[str, Any], str]]:
        """The files of a registry's resources beside those that are known, sorted: each with the platform's own name of its resource
        and what it holds, or with why it can't be read ("" if it can)."""
        start = f"reconciler-rescue-{_name(self.owner, Address(f'{registry}.'))}"
        try:
            names = sorted(item.name for item in os.scandir(self.folder) if item.name.startswith(start))
        except OSError:  # there is no such folder yet
            return
        for path in (self.folder / name for name in names):
            if path in known:
                continue
            try:
                document = json.loads(_private(path))
                given, owner, at, native, what = (document[key] for key in _KEYS)
                if given != FORMAT or not isinstance(what, dict):
                    raise ValueError("it holds nothing that others set")
            except FileNotFoundError:
                continue
            except (OSError, ValueError, KeyError, TypeError) as error:
                yield path, "", {}, reason(error)
            else:
                if owner == self.owner and str(at).startswith(f"{registry}."):
                    yield path, str(native), what, ""

    def notices(
        self, registry: str, known: Collection[Path], noun: str, home: str, named: Callable[[dict[str, Any]], str]
    ) -> Iterator[str]:
        """What is to be said of the files of a registry's resources that no apply puts back, since the registry moved meanwhile, say.

        `noun`: what they are; `home`: what the platform's own names begin with in this environment; `named`: what there is of what a
        file holds, "" if it can't be said."""
        for path, native, found, why in self.strays(registry, known):
            if why:
                yield f"{path}, which keeps what others put on a {noun} before it was replaced, can't be read: {why}"
            elif native.startswith(home):  # else that of another environment
                said = f" ({what})" if (what := named(found)) else ""
                yield (
                    f"a replacement of {native} was interrupted: what others put on it{said} is kept in {path}. No apply puts it"
                    f" back, since the spec has no {noun} of its own there: put back by hand what is still needed, then delete the"
                    " file"
                )

    def note(self, at: Address, native: str, named: str, what: dict[str, Any]) -> str:
        """What a plan says of what the file of a resource holds. `named`: what there is of it, in words."""
        path = self.path(at, native)
        return f"a replacement was interrupted: what others put on it ({named}) is kept in {path} ({digest(what)})"

    def unfit(self, at: Address, native: str, why: str) -> PlatformError:
        """The error of a file that says what this tool has not written."""
        return PlatformError(
            f"{self.path(at, native)} was not written by reconciler: {why}",
            address=at,
            operation="rescue",
            hint="delete it, and restore by hand what is right in it",
        )

    @contextmanager
    def deleting(self, at: Address, native: str, *, owed: bool) -> Iterator[None]:
        """A delete inside that was refused, or not sent, leaves all of it on the resource, so that the file goes: unless something of
        it waited before (`owed`). One that was sent goes on by itself: what is still there now may be gone in a moment."""
        with watching() as sent:
            try:
                yield
            except (Halted, PlatformError):
                if not (sent.is_set() or owed):
                    self.drop(at, native)
                raise

    def drop(self, at: Address, native: str) -> None:
        """Removes the file: all that it held is back, or has no place any more."""
        with suppress(OSError):
            self.path(at, native).unlink(missing_ok=True)


def _name(owner: str, at: Address) -> str:
    """Shortened, since a file's name may have 255 bytes; a digest keeps it apart from others."""
    return f"{quote(owner, safe='')}-{quote(at, safe='@')}"[:180]


@contextmanager
def naming(kept: Path | None) -> Iterator[None]:
    """An error inside names the file that keeps what others had put on what is replaced."""
    try:
        yield
    except PlatformError as error:
        if kept is not None:
            found = f"what others put on it is kept in {kept}, and the next apply restores it"
            error.hint = f"{found}; {error.hint}" if error.hint else found
        raise


def _private(path: Path) -> bytes:
    """What is in a file that only we may read. What came from elsewhere, with a checkout say, is none that this tool has written, and
    would be put on a repository by whoever made it. Raises OSError and ValueError."""
    with path.open("rb") as file:
        status = os.fstat(file.fileno())
        if status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & 0o077:
            raise ValueError("users other than you can read or write it, so it may not be yours (if it is: chmod 600)")
        return file.read()
