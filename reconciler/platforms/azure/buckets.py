"""How often Azure Resource Manager lets itself be called: buckets of tokens, one for reads and one for writes.

https://learn.microsoft.com/azure/azure-resource-manager/management/request-limits-and-throttling: per subscription, principal and
region, 250 reads and 25 more each second, 200 writes and 10 more each second (deletes likewise).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from threading import Lock

#: calls that may be made at once, and calls a second from then on
READS, WRITES = (250, 25.0), (200, 10.0)


class Bucket:
    """Tokens: each call takes one. `clock`: seconds, never backwards."""

    def __init__(self, size: int, refill: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._size, self._refill, self._clock = size, refill, clock
        self._lock = Lock()
        self._left = float(size)
        self._at = clock()

    def wait(self, pause: Callable[[float], None]) -> None:
        """Returns when it is this call's turn. `pause` sleeps for some seconds; what it raises ends the wait."""
        with self._lock:
            now = self._clock()
            self._left = min(self._size, self._left + (now - self._at) * self._refill) - 1
            self._at = now
            seconds = -self._left / self._refill
        if seconds > 0:
            pause(seconds)

    def refused(self, seconds: float) -> None:
        """Azure asks for a pause: nobody's turn is sooner."""
        with self._lock:
            now = self._clock()
            self._left = min(self._left, -seconds * self._refill)
            self._at = now
