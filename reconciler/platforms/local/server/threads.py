"""Where the server's calls that wait run: beside the event loop, and apart from each other."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import ParamSpec, TypeVar

from reconciler.errors import PlatformError

#: calls that change the registry at once; they hold its lock in turn, and sync files side by side
CHANGES = 8
#: calls at once that go through many files: lists, pages of them
LISTS = 2
#: seconds that a read waits for what it wants noted
NOTING = 2.0

P = ParamSpec("P")
T = TypeVar("T")


async def to_its_end(call: Awaitable[T]) -> T:
    """What a call in a thread returns, or raises. If the request is cancelled, since the server ends, that is raised once the thread
    is done: what the thread works on is nobody else's until then."""
    running = asyncio.ensure_future(call)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        while not running.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait({running})
        if not running.cancelled():
            running.exception()  # nobody is left to hear of it
        raise


class Threads:
    """Threads for calls that may wait for the registry's lock, and for those that go through many files. All other reads have the
    loop's own (`asyncio.to_thread`), so that they wait for neither."""

    def __init__(self) -> None:
        self._changes = ThreadPoolExecutor(CHANGES, "changes")
        self._lists = ThreadPoolExecutor(LISTS, "lists")
        # of one thread: nobody is kept from the tags of their repository by those who list all repositories
        self._catalog = ThreadPoolExecutor(1, "catalog")

    async def list(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What the function, which reads many files, returns, or raises."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._lists, lambda: function(*args, **kwargs))

    async def catalog(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What the function, which looks at many repositories, returns, or raises."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._catalog, lambda: function(*args, **kwargs))

    async def note(self, function: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
        """Has the function note something, if that can be done soon: a read does not fail for it. Raises what is no matter of the
        disk or the lock."""
        with suppress(TimeoutError, PlatformError, OSError):
            async with asyncio.timeout(NOTING):
                await self.change(function, *args, **kwargs)

    async def change(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What the function returns, or raises."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._changes, lambda: function(*args, **kwargs))

    def close(self) -> None:
        """Ends the threads, once what they do is done."""
        self._changes.shutdown(cancel_futures=True)
        self._lists.shutdown(cancel_futures=True)
        self._catalog.shutdown(cancel_futures=True)
