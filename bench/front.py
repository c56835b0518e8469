"""A server between the command and moto: each operation has a rate, as AWS's have, or each answer takes its time on the way.

moto alone answers a few hundred calls a second. So what is only read can be answered from memory once it was asked: what is
measured then is the command, not moto.
"""

from __future__ import annotations

import asyncio
import re
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event, Thread
from typing import Any, cast
from urllib.error import HTTPError

import uvloop

READS = ("Get", "List", "Describe")
QUERY = {"iam", "sts"}


@dataclass
class Front:
    """`rate`: calls a second that each operation may take (0: any number), `burst` at once. `latency`: seconds that each answer
    takes. `remember`: whether reads are answered from memory. `taken` and `refused`: how many calls of each operation were.
    """

    target: str
    rate: float = 0.0
    burst: float = 0.0
    latency: float = 0.0
    remember: bool = False
    taken: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    tokens: dict[tuple[str, str], tuple[float, float]] = field(default_factory=dict)
    known: dict[tuple[str, str, bytes], bytes] = field(default_factory=dict)

    def forget(self) -> None:
        """Fills the buckets and forgets what was counted and answered."""
        for each in (self.taken, self.refused, self.tokens, self.known):
            each.clear()

    def refuses(self, region: str, operation: str, now: float) -> bool:
        """Takes a token of the operation, and says whether there was none."""
        if not self.rate:
            return False
        tokens, then = self.tokens.get((region, operation), (self.burst, now))
        tokens = min(self.burst, tokens + (now - then) * self.rate)
        self.tokens[region, operation] = (tokens - 1 if tokens >= 1 else tokens, now)
        return tokens < 1


class _Connection(asyncio.Protocol):
    """One connection, which is kept: botocore sends a request once it has the answer to the one before."""

    def __init__(self, front: Front) -> None:
        self.front, self.data = front, b""
        self.loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.data += data
        head, found, body = self.data.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
        if not found or len(body) < int(length[1] if length else 0):
            return
        self.data = b""
        front = self.front
        scope = re.search(rb"Credential=[^/]+/\d+/([^/]+)/([^/]+)/", head)
        region, service = (part.decode() for part in scope.groups()) if scope else ("", "")
        named = re.search(rb"(?i)\r\nx-amz-target: [^\r]*\.(\w+)", head) or re.search(rb"Action=(\w+)", body)
        operation = named[1].decode() if named else ""
        if front.refuses(region, operation, self.loop.time()):
            front.refused[operation] += 1
            self.answer(_refusal(service))
            return
        front.taken[operation] += 1
        key = (region, operation, body)
        known = front.known.get(key)
        if known is not None:
            self.answer(known)
            return
        asked = self.loop.run_in_executor(None, _forward, front.target, head, body)
        asked.add_done_callback(lambda done: self.forwarded(key, done.result()))

    def forwarded(self, key: tuple[str, str, bytes], answer: bytes) -> None:
        if self.front.remember and key[1].startswith(READS):
            self.front.known[key] = answer
        self.answer(answer)

    def answer(self, data: bytes) -> None:
        if self.front.latency:
            self.loop.call_later(self.front.latency, self.transport.write, data)
        else:
            self.transport.write(data)


def _refusal(service: str) -> bytes:
    if service in QUERY:
        body = b"<ErrorResponse><Error><Code>Throttling</Code><Message>Rate exceeded</Message></Error></ErrorResponse>"
        return _written(400, "text/xml", body)
    return _written(400, "application/x-amz-json-1.1", b'{"__type": "ThrottlingException", "message": "Rate exceeded"}')


def _written(status: int, kind: str, body: bytes) -> bytes:
    return f"HTTP/1.1 {status} -\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


def _forward(target: str, head: bytes, body: bytes) -> bytes:
    lines = [line.partition(": ") for line in head.decode("latin-1").split("\r\n")[1:]]
    headers = {key: value for key, _, value in lines if key.lower() not in ("content-length", "connection")}
    try:
        with urllib.request.urlopen(urllib.request.Request(target, body, headers), timeout=60) as reply:
            return _written(reply.status, reply.headers["Content-Type"] or "text/xml", reply.read())
    except HTTPError as error:
        return _written(error.code, error.headers["Content-Type"] or "text/xml", error.read())


@contextmanager
def served(front: Front) -> Iterator[str]:
    """Serves in a thread of this process; yields the URL."""
    loop, ready, urls = uvloop.new_event_loop(), Event(), []

    async def serve() -> None:
        server: Any = await loop.create_server(lambda: _Connection(front), "127.0.0.1", 0)
        urls.append("http://{}:{}".format(*server.sockets[0].getsockname()[:2]))
        ready.set()

    def run() -> None:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(serve())
        loop.run_forever()

    thread = Thread(target=run, daemon=True)
    thread.start()
    ready.wait(20)
    try:
        yield urls[0]
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
