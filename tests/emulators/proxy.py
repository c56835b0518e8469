"""An HTTP proxy in front of a cloud stand-in: counts calls, and lets behaviours answer, fail or kill before it forwards.

It knows no cloud: the `Wire` that it is given says which call a request is, and how an answer to it is written.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event, Thread
from typing import Any, Protocol

from aiohttp import ClientSession, web

#: dropping connections is what behaviours do; the server need not say so each time
logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)


@dataclass(frozen=True)
class Request:
    """One HTTP request. `path`: with its query; `headers`: with lower-case keys."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


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
    """What a behaviour answers instead of the server. `text`: a body that no cloud sends. `drop`: close the connection instead."""

    status: int = 200
    body: dict[str, Any] = field(default_factory=dict)
    error: str = ""
    drop: bool = False
    text: str = ""


class Wire(Protocol):
    """How a cloud's API travels over HTTP."""

    def call(self, request: Request) -> Call | None:
        """The call that the request makes, or None if it makes none: it is forwarded unseen."""

    def response(self, call: Call, answer: Answer) -> web.Response:
        """An answer that is not dropped, as the cloud would write it."""


class Behaviour(Protocol):
    """Looks at each call before it is forwarded."""

    def before(self, call: Call) -> Answer | None:
        """An answer to give instead of forwarding, or None."""

    def after(self, call: Call) -> Answer | None:
        """An answer to give although the server has carried the call out, or None."""


class Proxy:
    """A running proxy: `url`, the `calls` so far, and its `behaviours`, which tests put in and take out. `stand_ins` carry calls out
    in the place of the server, between what behaviours do before and after."""

    def __init__(self, target: str, wire: Wire) -> None:
        self.target = target
        self.wire = wire
        self.url = ""
        self.calls: list[Call] = []
        self.behaviours: list[Behaviour] = []
        self.stand_ins: list[Behaviour] = []
        self._loop = asyncio.new_event_loop()
        self._ready = Event()
        self._stop: asyncio.Event | None = None
        self._thread = Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Starts the thread that serves, and waits until it does."""
        self._thread.start()
        if not self._ready.wait(20):
            raise RuntimeError("the proxy did not start")

    def stop(self) -> None:
        """Stops serving."""
        if self._stop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    def reset(self) -> None:
        """Forgets calls, behaviours and stand-ins."""
        self.calls.clear()
        self.behaviours.clear()
        self.stand_ins.clear()

    def operations(self) -> list[str]:
        """The operations called so far, as `ecr:CreateRepository`."""
        return [f"{call.service}:{call.operation}" for call in self.calls]

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        async with ClientSession(auto_decompress=False) as client:

            async def handle(request: web.BaseRequest) -> web.StreamResponse:
                return await self._handle(request, client)

            runner = web.ServerRunner(web.Server(handle))
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            self.url = "http://{}:{}".format(*runner.addresses[0][:2])
            self._ready.set()
            await self._stop.wait()
            await runner.cleanup()

    async def _handle(self, request: web.BaseRequest, client: ClientSession) -> web.StreamResponse:
        data = await request.read()
        headers = {key.lower(): value for key, value in request.headers.items()}
        call = self.wire.call(Request(request.method, request.path_qs, headers, data))
        if call is not None:
            self.calls.append(call)
            for behaviour in tuple(self.behaviours):
                answer = behaviour.before(call)
                if answer is not None:
                    return self._answer(request, call, answer)
            for stand_in in tuple(self.stand_ins):
                carried_out = stand_in.before(call)
                if carried_out is not None:
                    return self._answer(request, call, self._after(call) or carried_out)
        sent = {key: value for key, value in request.headers.items() if key.lower() != "content-length"}
        async with client.request(request.method, self.target + request.path_qs, data=data, headers=sent) as reply:
            body = await reply.read()
            if call is not None:
                instead = self._after(call)
                if instead is not None:
                    return self._answer(request, call, instead)
            skipped = ("transfer-encoding", "content-length", "connection", "server", "date")
            kept = {key: value for key, value in reply.headers.items() if key.lower() not in skipped}
            return web.Response(status=reply.status, body=body, headers=kept)

    def _after(self, call: Call) -> Answer | None:
        """What a behaviour answers although the call was carried out."""
        answers = (behaviour.after(call) for behaviour in tuple(self.behaviours))
        return next((answer for answer in answers if answer is not None), None)

    def _answer(self, request: web.BaseRequest, call: Call, answer: Answer) -> web.StreamResponse:
        if answer.drop:
            if request.transport is not None:
                request.transport.close()
            raise ConnectionResetError("dropped on purpose")
        return self.wire.response(call, answer)


@contextmanager
def proxy_to(target: str, wire: Wire) -> Iterator[Proxy]:
    """A proxy in front of `target`, whose requests `wire` reads."""
    proxy = Proxy(target, wire)
    proxy.start()
    try:
        yield proxy
    finally:
        proxy.stop()
