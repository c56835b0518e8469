"""A thread that serves HTTP, for the stand-ins of clouds and the proxy in front of others, and what each of them offers tests."""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from ssl import SSLContext
from threading import Event, Thread
from typing import Any, Protocol, TypeVar

from aiohttp import web

#: dropping connections is what behaviours do; the server need not say so each time
logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


@dataclass
class Call:
    """What a request asks of the cloud. `headers`: the request's, with lower-case keys."""

    service: str
    operation: str
    region: str
    body: dict[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Answer:
    """What a behaviour answers instead of the server. `text`: a body that no cloud sends. `drop`: close the connection instead.

    A proxy heeds two more: `delay`, the seconds that pass before, and `own`: what comes then is the server's own answer.
    """

    status: int = 200
    body: dict[str, Any] = field(default_factory=dict)
    error: str = ""
    drop: bool = False
    text: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    own: bool = False


class Behaviour(Protocol):
    """Looks at each call before it is carried out."""

    def before(self, call: Call) -> Answer | None:
        """An answer to give instead of carrying the call out, or None."""

    def after(self, call: Call) -> Answer | None:
        """An answer to give although the call has been carried out, or None."""


class Serving(ABC):
    """A server in a thread of its own: its `url`, the `calls` so far, and its `behaviours`, which tests put in and take out.

    `tls`: with which it serves, None in clear. `host`: what its url names it.
    """

    tls: SSLContext | None = None
    host = "127.0.0.1"

    def __init__(self, port: int = 0) -> None:
        self.url = ""
        self.calls: list[Call] = []
        self.behaviours: list[Behaviour] = []
        self._port = port
        self._failure: BaseException | None = None
        self._loop = asyncio.new_event_loop()
        self._ready = Event()
        self._stop: asyncio.Event | None = None
        self._thread = Thread(target=self._run, daemon=True)

    @abstractmethod
    def handler(self) -> AbstractAsyncContextManager[Handler]:
        """What answers requests, for as long as the server runs."""

    def start(self) -> None:
        """Starts the thread, and waits until it serves. Raises what it failed with: OSError if the port is taken."""
        self._thread.start()
        if not self._ready.wait(20):
            raise RuntimeError("the server did not start within 20 seconds")
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """Stops serving."""
        if self._stop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    def reset(self) -> None:
        """Forgets calls and behaviours."""
        self.calls.clear()
        self.behaviours.clear()

    def operations(self) -> list[str]:
        """The operations called so far, as `ecr:CreateRepository`."""
        return [f"{call.service}:{call.operation}" for call in self.calls]

    def answer_before(self, call: Call) -> Answer | None:
        """What a behaviour answers instead of the server."""
        answers = (behaviour.before(call) for behaviour in tuple(self.behaviours))
        return next((answer for answer in answers if answer is not None), None)

    def answer_after(self, call: Call) -> Answer | None:
        """What a behaviour answers although the call was carried out."""
        answers = (behaviour.after(call) for behaviour in tuple(self.behaviours))
        return next((answer for answer in answers if answer is not None), None)

    async def pause(self, seconds: float) -> None:
        """Lets time pass, unless the server stops."""
        assert self._stop is not None
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), seconds)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        except BaseException as error:  # the thread that waits for the start raises it
            self._failure = error
        finally:
            self._loop.close()
            self._ready.set()

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        async with self.handler() as handle:
            server = web.Server(handle)
            runner = web.ServerRunner(server)
            await runner.setup()
            try:
                await web.TCPSite(runner, "127.0.0.1", self._port, ssl_context=self.tls).start()
                self.url = f"{'http' if self.tls is None else 'https'}://{self.host}:{runner.addresses[0][1]}"
                self._ready.set()
                await self._stop.wait()
            finally:
                # over TLS, a connection that is only closed waits for its client, and outlives the loop
                for connection in tuple(server.connections):
                    if connection.transport is not None:
                        connection.transport.abort()
                await runner.cleanup()
                await asyncio.sleep(0)


Server = TypeVar("Server", bound=Serving)


@contextmanager
def served(server: Server) -> Iterator[Server]:
    """The server, which serves until the block is over."""
    server.start()
    try:
        yield server
    finally:
        server.stop()


def dropped(request: web.BaseRequest) -> ConnectionResetError:
    """Closes the connection of a request; the error that ends its handler."""
    if request.transport is not None:
        request.transport.close()
    return ConnectionResetError("dropped on purpose")
