"""Where the server's calls that wait run: beside the event loop, and apart from each other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

#: calls that change the registry at once; they hold its lock in turn, and sync files side by side
CHANGES = 8

P = ParamSpec("P")
T = TypeVar("T")


class Threads:
    """Threads for calls that may wait for the registry's lock. Reads have the loop's own (`asyncio.to_thread`), so that they never
    wait for a change."""

    def __init__(self) -> None:
        self._changes = ThreadPoolExecutor(CHANGES, "changes")

    async def change(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What the function returns, or raises."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._changes, lambda: function(*args, **kwargs))

    def close(self) -> None:
        """Ends the threads, once what they do is done."""
        self._changes.shutdown()
