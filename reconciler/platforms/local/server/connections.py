"""The server's connections: how many there may be, and how long each may take to ask.

aiohttp has no limit for the time of a header or for the number of connections. So each of its protocols is wrapped in one that sees
when bytes arrive, and connections are accepted here, where they can be counted before anything is read (also before TLS).
"""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import ssl
import sys
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable
from functools import partial
from ipaddress import IPv4Network, IPv6Network
from typing import Any, Literal, cast

from aiohttp import web
from aiohttp.typedefs import Handler

from . import sending
from .errors import error
from .front import Front, counted_as
from .turns import Turns

LOGGER = logging.getLogger("reconciler.requests")
#: seconds in which TLS must have been agreed on, and a request's header must have arrived
HANDSHAKE, HEADER = 10.0, 20.0
#: seconds for which nothing of a body may arrive: a little more than handlers allow, which have an answer for it
BODY = 65.0
#: seconds that a connection may wait for its next request
IDLE = 75.0
#: seconds between two looks at all connections
SWEEP = 1.0
#: connections beyond a limit that are told so (503); those beyond these are closed without a word
TOLD = 32
#: seconds after which a client that was refused may try again
RETRY = 10
#: connections that wait to be accepted, and that are accepted at a time
BACKLOG, BURST = 512, 4
#: file descriptors that are no connection's: those of uploads (blobs.py), and what else a process has open
RESERVE = 640
#: connections that there may be in any case
FEWEST = 64
#: seconds that the server waits to accept more when the system has no descriptor left
RESPITE = 0.2

Network = IPv4Network | IPv6Network


class Connection(asyncio.Protocol):
    """One connection: aiohttp's protocol, and since when the client owes something. Without `inner`, it is told to come again."""

    def __init__(self, address: str, ended: Callable[[Connection], None]) -> None:
        self.inner: asyncio.Protocol | None = None
        self.address = address
        self.transport: asyncio.Transport | None = None
        self.request: web.Request | None = None
        self._ended = ended
        self._now = asyncio.get_running_loop().time
        self._since = self._now()
        #: what is awaited of the client; a new connection has as long as a header: it has nothing to wait for
        self._awaited: Literal["header", "body", "next request"] = "header"

    # -- as asyncio calls it ------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport, self._since = cast("asyncio.Transport", transport), self._now()
        client = transport.get_extra_info("socket")
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            # the kernel ends the connection of a client that reads nothing: https://www.rfc-editor.org/rfc/rfc5482
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(sending.PATIENCE * 1000))
        if self.inner is not None:
            self.inner.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if self.inner is None:
            self._refuse()
            return
        if self.request is not None:
            self._since = self._now()
        elif self._awaited == "next request":
            self._since, self._awaited = self._now(), "header"
        self.inner.data_received(data)
        # While a body arrives, nothing but aiohttp's note that it is malformed can come next; the body itself is never told
        # (aiohttp 3.14), and its reader would wait until it loses patience.
        if self.request is not None and not self.request.content.is_eof() and getattr(self.inner, "_messages", None):
            LOGGER.info("%s: malformed request: the sizes of the body's chunks", self.address)
            self.request.content.set_exception(web.RequestPayloadError())

    def eof_received(self) -> bool | None:
        return self.inner.eof_received() if self.inner is not None else None

    def connection_lost(self, exc: Exception | None) -> None:
        if self.inner is not None:
            self.inner.connection_lost(exc)
        self.ended()

    def pause_writing(self) -> None:
        if self.inner is not None:
            self.inner.pause_writing()

    def resume_writing(self) -> None:
        if self.inner is not None:
            self.inner.resume_writing()

    # -- as the server calls it ---------------------------------------------------------------------------------

    def begin(self, request: web.Request) -> None:
        """A request has arrived, its header at least."""
        self.request, self._since, self._awaited = request, self._now(), "body"

    def end(self) -> None:
        """It has been handled."""
        self.request, self._since, self._awaited = None, self._now(), "next request"

    def ended(self) -> None:
        """Forgets the connection."""
        self._ended(self)

    def sweep(self) -> None:
        """Ends the connection if the client has had its time."""
        if self.transport is None:  # TLS has a limit of its own
            return
        if self._is_served(self.transport):
            self._since = self._now()
        limit = {"header": HEADER, "body": BODY, "next request": IDLE}[self._awaited]
        if self._now() - self._since > limit:
            if self._awaited != "next request" and self.inner is not None:
                LOGGER.info("%s: no %s has arrived for %.0f seconds", self.address, self._awaited, limit)
            self.transport.abort()

    def _is_served(self, transport: asyncio.Transport) -> bool:
        """Whether it is the server's turn, or the client still reads an answer (for which the kernel has a limit)."""
        if self.request is not None:
            return self.request.content.is_eof() or not transport.is_reading()
        return self._awaited == "next request" and transport.get_write_buffer_size() > 0

    def _refuse(self) -> None:
        """Answers what has been asked, whatever that is; an answer before the question may get lost with the connection's end."""
        assert self.transport is not None
        message = f"too many connections; try again in {RETRY} seconds"
        body = json.dumps({"errors": [error("UNAVAILABLE", message)]}).encode()
        self.transport.write(
            b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json; charset=utf-8\r\n"
            b"Docker-Distribution-Api-Version: registry/2.0\r\nConnection: close\r\n"
            b"Retry-After: %d\r\nContent-Length: %d\r\n\r\n%b" % (RETRY, len(body), body)
        )
        self.transport.close()


class Connections:
    """All connections of a server. `factory` makes aiohttp's protocols. `most`: at once; `per_address`: of one client, unless it is a
    proxy of `proxies`. It is made and used in the event loop."""

    def __init__(
        self,
        factory: Callable[[], asyncio.Protocol],
        *,
        most: int,
        per_address: int,
        proxies: tuple[Network, ...] = (),
    ) -> None:
        self._factory = factory
        self.most = most
        self.per_address = per_address
        self.proxies = proxies
        #: by aiohttp's protocol, or by itself if it is refused; also those that still agree on TLS
        self._open: dict[object, Connection] = {}
        self._number: Counter[str] = Counter()
        self._turns = Turns()
        self._loop = asyncio.get_running_loop()
        self._context: ssl.SSLContext | None = None
        self._listening: list[socket.socket] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._start(self._sweep())

    def listen(self, sockets: Iterable[socket.socket], context: ssl.SSLContext | None) -> None:
        """Accepts connections to these sockets, which listen, from now on."""
        self._context = context
        for item in sockets:
            item.setblocking(False)
            self._listening.append(item)
            self._loop.add_reader(item, self._accept, item)

    def stop_listening(self) -> None:
        """Accepts no more."""
        for item in self._listening:
            self._loop.remove_reader(item)
            item.close()
        self._listening.clear()

    async def close(self) -> None:
        """Ends what aiohttp does not know of: connections that are refused, or agree on TLS. Then everything is closed."""
        self.stop_listening()
        self._turns.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for connection in list(self._open.values()):
            if connection.transport is not None:
                connection.transport.abort()

    @web.middleware
    async def watch(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Middleware: while a request is handled, its connection is not idle."""
        connection = self._open.get(request.protocol)
        if connection is None:  # the client has gone
            return await handler(request)
        connection.begin(request)
        try:
            response = await handler(request)
        finally:
            connection.end()
        basic = request.headers.get("Authorization", "")[:5].lower() == "basic"
        if response.status in (401, 429) and (basic or (request.method == "POST" and request.path == "/token")):
            self._turns.guessed(counted_as(connection.address))
        return response

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _accept(self, listening: socket.socket) -> None:
        """Takes the connections that wait, some at a time: others want their turn."""
        for _ in range(BURST):
            try:
                client, address = listening.accept()
            except (BlockingIOError, ConnectionError):  # there are no more, or it has gone already
                return
            except OSError as problem:  # no descriptor is left
                LOGGER.error("can't accept connections: %s", problem.strerror)
                self._loop.remove_reader(listening)
                self._loop.call_later(RESPITE, self._accept_again, listening)
                return
            client.setblocking(False)
            self._take(client, address[0])

    def _accept_again(self, listening: socket.socket) -> None:
        if listening in self._listening:  # it may have been closed meanwhile
            self._loop.add_reader(listening, self._accept, listening)

    def _take(self, client: socket.socket, address: str) -> None:
        counted = counted_as(address)
        beyond = len(self._open) - self.most
        alone = not Front(proxies=self.proxies).trusts(address)
        if alone:
            beyond = max(beyond, self._number[counted] - self.per_address)
        if beyond >= TOLD:
            client.close()
            return
        connection = Connection(address, partial(self._ended, counted))
        self._open[connection] = connection
        self._number[counted] += 1
        begin = partial(self._begin, connection, client, is_refused=beyond >= 0)
        if alone:
            self._turns.take(counted, client, begin, connection.ended)
        else:
            begin()

    def _begin(self, connection: Connection, client: socket.socket, *, is_refused: bool) -> None:
        if not is_refused:
            connection.inner = self._factory()
            self._open[connection.inner] = self._open.pop(connection)
        self._start(self._connect(connection, client))

    async def _connect(self, connection: Connection, client: socket.socket) -> None:
        seconds = HANDSHAKE if self._context is not None else None
        try:
            await self._loop.connect_accepted_socket(
                lambda: connection, client, ssl=self._context, ssl_handshake_timeout=seconds
            )
        except OSError as problem:  # it has gone, or speaks no TLS
            LOGGER.info("%s: connection failed: %s", connection.address, getattr(problem, "reason", None) or problem)
        finally:
            if connection.transport is None:
                connection.ended()

    def _ended(self, counted: str, connection: Connection) -> None:
        if self._open.pop(connection.inner or connection, None) is not None:
            self._number[counted] -= 1
            if not self._number[counted]:
                del self._number[counted]

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP)
            self._turns.sweep()
            for connection in list(self._open.values()):
                connection.sweep()


def bound(host: str, port: int) -> list[socket.socket]:
    """Sockets that listen at all addresses of the host. Raises OSError."""
    found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    made: list[socket.socket] = []
    try:
        for family, address in dict.fromkeys((family, address) for family, _, _, _, address in found):
            where = (address[0], port, *address[2:])
            made.append(socket.create_server(where, family=family, backlog=BACKLOG))
            port = made[0].getsockname()[1]  # one port for all, if it is any free one
    except BaseException:
        for item in made:
            item.close()
        raise
    return made


def most_connections() -> int:
    """How many connections the process has file descriptors for: one and two files for each, and the files of uploads."""
    return max((_descriptors() - RESERVE) // 3, FEWEST)


def _descriptors() -> int:
    if sys.platform == "win32":
        return 2048
    import resource

    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
