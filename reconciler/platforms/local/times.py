"""When each manifest of a local registry was pushed, and when a client last asked whether it is there.

    PATH/times/NAME/ALGORITHM/HEX     JSON: {"pushed": seconds since 1970, "asked": seconds since 1970}

Times are data: those of files are lost when a folder is copied, and retention would take the newest image for the oldest.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from .store import encoded, make_folder

#: seconds after which a manifest that is asked for counts as asked for again; a shorter time would write at each HEAD
FRESH = 60.0
PART = "times"


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds since 1970. `pushed`: the last push, with a tag or without. `asked`: the last HEAD; the push, if none came after."""

    pushed: float
    asked: float


class TimesKept:
    """The times of a registry's manifests. Whoever writes them holds the registry's lock."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def read(self, name: str, digest: str, manifest: Path) -> Times:
        """A manifest's times; those of its file, where an earlier build pushed it. Raises OSError if that is gone."""
        try:
            found = json.loads(self.path(name, digest).read_bytes())
            return Times(float(found["pushed"]), float(found["asked"]))
        except (OSError, ValueError, KeyError, TypeError):
            then = manifest.stat().st_mtime
            return Times(then, then)

    def pushed(self, name: str, digest: str) -> None:
        """It is pushed now, for the first time or again. Raises OSError."""
        now = time.time()
        self._write(name, digest, Times(now, now))

    def asked(self, name: str, digest: str, manifest: Path) -> None:
        """A client asks for it now, most likely to push something that needs it. Raises OSError."""
        self._write(name, digest, Times(self.read(name, digest, manifest).pushed, time.time()))

    def take_over(self, name: str, digest: str, pushed: float) -> None:
        """It takes the place of another manifest now, one that was pushed then (seconds since 1970). Raises OSError."""
        self._write(name, digest, Times(pushed, time.time()))

    def path(self, name: str, digest: str) -> Path:
        """Where a manifest's times are, or would be."""
        algorithm, _, hexadecimal = digest.partition(":")
        return self.root.joinpath(PART, encoded(name), algorithm, hexadecimal)

    def _write(self, name: str, digest: str, times: Times) -> None:
        """At once, so that no reader finds half of it. Not synced: what a power cut takes is read from the manifest's file."""
        path = self.path(name, digest)
        make_folder(path.parent)
        make_folder(self.root / "temporary")
        handle, temporary = tempfile.mkstemp(dir=self.root / "temporary")
        try:
            with os.fdopen(handle, "w") as file:
                json.dump({"pushed": times.pushed, "asked": times.asked}, file)
            os.replace(temporary, path)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)
            raise
