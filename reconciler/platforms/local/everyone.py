"""Which repositories of a local registry are open to everyone: looked up, so that no request reads all access documents."""

from __future__ import annotations

import time
from collections.abc import Iterator
from threading import Lock

from .documents import Documents
from .store import SETTLED, Stamp

#: nanoseconds after which the documents are looked at again in any case: a file that is edited in place leaves its folder as it is
AGAIN = 30_000_000_000


class OpenToEveryone:
    """The names of repositories with an entry for everyone. May be asked by several threads."""

    def __init__(self, documents: Documents) -> None:
        self._access = documents.access
        self._lock = Lock()
        self._seen: dict[str, tuple[Stamp, bool]] = {}
        self._names: frozenset[str] = frozenset()
        self._changed: int | None = None
        self._read_at = 0

    def names(self) -> frozenset[str]:
        """The names. Whoever acts on one looks at its document: it may have changed. Raises PlatformError if one is damaged."""
        with self._lock:
            now, changed = time.time_ns(), self._access.changed()
            settled = changed is None or self._read_at - changed > SETTLED
            if not (self._read_at and settled and changed == self._changed and 0 <= now - self._read_at < AGAIN):
                self._seen = dict(self._look())
                self._names = frozenset(name for name, (_, is_open) in self._seen.items() if is_open)
                self._changed, self._read_at = changed, now
            return self._names

    def _look(self) -> Iterator[tuple[str, tuple[Stamp, bool]]]:
        """Each document's file, and whether it is open to everyone; it is read only if it is another one than the last time."""
        for name in self._access.names():
            stamp = self._access.stamp(name)
            before = self._seen.get(name)
            if stamp is None:
                continue
            if before is not None and before[0] == stamp and stamp.time < time.time_ns() - SETTLED:
                yield name, before
            else:
                found = self._access.read(name)
                yield name, (stamp, found is not None and found.open_to_everyone)
