"""What others had put on a resource that is replaced, in a file until it is back on the new one: between the delete and the create
it stands nowhere else."""

from __future__ import annotations

import json
import os
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from reconciler.errors import PlatformError
from reconciler.model.address import Address
from reconciler.model.canonical import digest

FORMAT = 1


class Rescue:
    """The rescue files of one spec in one folder, each for one resource. Only their owner may read them."""

    def __init__(self, folder: str, owner: str) -> None:
        self.folder = Path(folder)
        self.owner = owner

    def path(self, at: Address) -> Path:
        """Where the file of a resource is, or would be."""
        # shortened, since a file's name may have 255 bytes; the digest keeps it apart from others
        name = f"{quote(self.owner, safe='')}-{quote(at, safe='@')}"[:180]
        return self.folder / f"reconciler-rescue-{name}-{digest([self.owner, at])}.json"

    def keep(self, at: Address, native: str, what: dict[str, Any]) -> Path:
        """Writes the file; returns once the disk has it. Raises PlatformError if that fails."""
        path = self.path(at)
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
                f"what others had put on it can't be kept in {path}: {error.strerror}",
                address=at,
                operation="rescue",
                hint="nothing was deleted; give a folder that can be written: --rescue DIR",
            ) from None
        return path

    def kept(self, at: Address, native: str) -> dict[str, Any] | None:
        """What the file of a resource holds; None if there is none, or if it is of another resource than this native one.

        Raises PlatformError if it can't be read.
        """
        path = self.path(at)
        try:
            document = json.loads(path.read_bytes())
            if document["format"] != FORMAT or document["owner"] != self.owner or document["address"] != at:
                raise ValueError("it is of something else")
            found: dict[str, Any] = document["others"]
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise PlatformError(
                f"{path}, which keeps what others had put on it before it was replaced, can't be read: {error}",
                address=at,
                operation="rescue",
                hint="repair the file; or put back by hand what it holds, and remove it",
            ) from None
        return found if document["native"] == native else None

    def drop(self, at: Address) -> None:
        """Removes the file: all that it held is back."""
        with suppress(OSError):
            self.path(at).unlink(missing_ok=True)
