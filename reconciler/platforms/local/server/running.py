"""The server's start and end: it listens in a thread of its own, and collects garbage meanwhile."""

from __future__ import annotations

import asyncio
import errno
import os
import ssl
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from aiohttp import web

from reconciler.errors import PlatformError, reason
from reconciler.model.service import Server, ServerOptions
from reconciler.platforms.local.content import Content

from .connections import Connections, bound, most_connections
from .front import Front
from .logs import AccessLog, HttpLog
from .routes import LOGGER, UNDER_WAY, UnderWay, application

#: seconds that requests under way have to arrive and to be answered when the server stops, and then seconds for what is left
LAST_REQUESTS, LAST_WORDS = 30.0, 2.0
#: turns of the event loop after which all that waited in the sockets has been read
TURNS = 10
#: bytes that a connection may have waiting: blocks of this size are hashed and written at once
READ_AHEAD = 1 << 18


class LocalServer(Server):
    """A local registry's server: a context manager that answers while its block runs, in a thread of its own.

    `collect` is called every `options.collect_every` seconds, and stops once its event is set. `url` is "" until the server listens.
    """

    def __init__(
        self,
        name: str,
        content: Content,
        options: ServerOptions,
        collect: Callable[[threading.Event], Any] | None = None,
    ) -> None:
        self.name = name
        self.content = content
        self.options = options
        self.url = ""
        self._collect = collect
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._failure: PlatformError | None = None

    def __enter__(self) -> Self:
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(ready,), name=f"registry-{self.name}", daemon=True)
        self._thread.start()
        ready.wait()
        if self._failure is not None:
            self._thread.join()
            raise self._failure
        return self

    def __exit__(self, *exception: object) -> None:
        self._ending.set()
        if self._loop is not None and self._stop is not None and self._thread is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()

    def _run(self, ready: threading.Event) -> None:
        try:
            with asyncio.Runner(loop_factory=_loop()) as runner:
                runner.run(self._serve(ready.set))
        except PlatformError as error:
            self._failure = error
        finally:
            ready.set()

    async def _serve(self, ready: Callable[[], None]) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        options = self.options
        app = application(self.name, self.content, Front(options.url, options.trusted_proxies))
        runner = web.AppRunner(
            app,
            access_log=LOGGER if options.log_requests else None,
            access_log_class=AccessLog,
            logger=HttpLog(LOGGER),
            auto_decompress=False,  # a blob is what was sent
            read_bufsize=READ_AHEAD,
            shutdown_timeout=LAST_WORDS,
        )
        connections = Connections(
            lambda: _protocol(runner),
            most=most_connections(),
            per_address=options.connections_per_address,
            proxies=options.trusted_proxies,
        )
        app.middlewares.insert(0, connections.watch)
        await runner.setup()
        try:
            self._listen(connections)
            with self.content.documents.serving((options.url or self.url).partition("://")[2]):
                ready()
                collecting = asyncio.create_task(self._collect_again_and_again())
                await self._stop.wait()
            collecting.cancel()
            await self._end(app[UNDER_WAY], connections)
        finally:
            connections.stop_listening()
            await runner.cleanup()
            await connections.close()

    async def _end(self, under_way: UnderWay, connections: Connections) -> None:
        """Lets the requests that have been sent arrive and be answered; takes no new ones.

        aiohttp's own end waits for answers, but drops what still arrives of a request's body: so all of that comes
        first. What was sent before the end began may still wait in the sockets, and takes some turns of the loop
        (accept, read, parse, handle) to be counted as under way.
        """
        for _ in range(TURNS):
            await asyncio.sleep(0.01)
        connections.stop_listening()
        await under_way.end(LAST_REQUESTS)

    def _listen(self, connections: Connections) -> None:
        options = self.options
        context = _tls(options, self.name)
        try:
            sockets = bound(options.host, options.port)
        except (OSError, ValueError) as error:
            raise PlatformError(
                f"can't listen on {options.host}:{options.port}: {_why(error)}",
                address=self.name,
                operation="serve",
                hint="choose another address with --host and --port (0 is any free port)",
            ) from None
        host, port = sockets[0].getsockname()[:2]
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - where a client of this machine finds it
        shown = f"[{host}]" if ":" in host else host
        self.url = f"{'https' if context is not None else 'http'}://{shown}:{port}"
        connections.listen(sockets, context)

    async def _collect_again_and_again(self) -> None:
        while self._collect is not None and self.options.collect_every:
            await asyncio.sleep(self.options.collect_every)
            try:
                found = await asyncio.to_thread(self._collect, self._ending)
            except (PlatformError, OSError) as error:
                LOGGER.error("garbage collection: %s", error)
                continue
            except Exception:  # the next one may do better: nobody else would notice that there is none
                LOGGER.exception("garbage collection: internal error; please report it")
                continue
            for item in found:
                # at a level that is seen without -v: images go
                LOGGER.warning("garbage collection: %s", "; ".join([item.said(), *item.names()]))


def _protocol(runner: web.AppRunner) -> asyncio.Protocol:
    assert runner.server is not None
    return runner.server()


def _loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop, where it is installed: pulls and pushes are up to a tenth faster with it (script/bench registry)."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def _tls(options: ServerOptions, name: str) -> ssl.SSLContext | None:
    """What HTTPS needs, or None for HTTP. Raises PlatformError that names the file."""
    if not options.certificate:
        return None
    files = {"the certificate": options.certificate, "the private key": options.key}
    for what, path in files.items():
        try:
            if path:
                Path(path).read_bytes()
        except (OSError, ValueError) as error:
            said = getattr(error, "strerror", None) or error
            raise PlatformError(f"{what} {path} can't be read: {said}", address=name, operation="serve") from None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(options.certificate, options.key or None)
    except (OSError, ValueError) as error:
        said = " with ".join(f"{what} {path}" for what, path in files.items() if path)
        why = "" if isinstance(error, ssl.SSLError) else f": {reason(error)}"  # the library's words for it say nothing
        raise PlatformError(
            f"{said} can't be used{why}",
            address=name,
            operation="serve",
            hint="both must be PEM, and the key must match the certificate; one file may hold both",
        ) from None
    return context


def _why(error: OSError | ValueError) -> str:
    """Why nothing can listen there, in words."""
    number = error.errno if isinstance(error, OSError) else None
    if number == errno.EADDRINUSE:
        return "something else listens there already"
    if number is not None and number > 0:
        return os.strerror(number)
    return getattr(error, "strerror", None) or str(error)  # a name that is not known has a number of its own
