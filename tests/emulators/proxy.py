"""An HTTP proxy in front of a cloud stand-in: counts calls, and lets behaviours answer, fail or kill before it forwards.

It knows no cloud: the `Wire` that it is given says which call a request is, and how an answer to it is written.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from ssl import SSLContext
from typing import Protocol

from aiohttp import ClientSession, TCPConnector, web

from .serving import Answer, Behaviour, Call, Handler, Serving, dropped, served

__all__ = ["Answer", "Behaviour", "Call", "Proxy", "Request", "Wire", "proxy_to"]


@dataclass(frozen=True)
class Request:
    """One HTTP request. `path`: with its query; `headers`: with lower-case keys."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


class Wire(Protocol):
    """How a cloud's API travels over HTTP."""

    def call(self, request: Request) -> Call | None:
        """The call that the request makes, or None if it makes none: it is forwarded unseen."""

    def response(self, call: Call, answer: Answer) -> web.Response:
        """An answer that is not dropped, as the cloud would write it."""


class Proxy(Serving):
    """A running proxy. `stand_ins` carry calls out in the place of the server, between what behaviours do before and after.

    `trusted`: with which the target's TLS is checked.
    """

    def __init__(self, target: str, wire: Wire, trusted: SSLContext | None = None) -> None:
        super().__init__()
        self.target = target
        self.wire = wire
        self.trusted = trusted
        self.stand_ins: list[Behaviour] = []

    def reset(self) -> None:
        """Forgets calls, behaviours and stand-ins."""
        super().reset()
        self.stand_ins.clear()

    @asynccontextmanager
    async def handler(self) -> AsyncIterator[Handler]:
        connector = TCPConnector(ssl=self.trusted or True)
        # a request goes on with its own headers alone: a GET of a Content-Type is refused by Kubernetes' /version
        added = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
        async with ClientSession(connector=connector, skip_auto_headers=added, auto_decompress=False) as client:

            async def handle(request: web.BaseRequest) -> web.StreamResponse:
                return await self._handle(request, client)

            yield handle

    async def _handle(self, request: web.BaseRequest, client: ClientSession) -> web.StreamResponse:
        data = await request.read()
        headers = {key.lower(): value for key, value in request.headers.items()}
        call = self.wire.call(Request(request.method, request.path_qs, headers, data))
        if call is not None:
            self.calls.append(call)
            if (instead := await self._instead(request, call, self.answer_before(call))) is not None:
                return instead
            for stand_in in tuple(self.stand_ins):
                carried_out = stand_in.before(call)
                if carried_out is not None:
                    instead = await self._instead(request, call, self.answer_after(call))
                    return self._answer(request, call, carried_out) if instead is None else instead
        sent = {key: value for key, value in request.headers.items() if key.lower() != "content-length"}
        async with client.request(request.method, self.target + request.path_qs, data=data, headers=sent) as reply:
            body = await reply.read()
            instead = None if call is None else await self._instead(request, call, self.answer_after(call))
            if instead is not None:
                return instead
            skipped = ("transfer-encoding", "content-length", "connection", "server", "date")
            kept = {key: value for key, value in reply.headers.items() if key.lower() not in skipped}
            return web.Response(status=reply.status, body=body, headers=kept)

    async def _instead(self, request: web.BaseRequest, call: Call, answer: Answer | None) -> web.StreamResponse | None:
        """A behaviour's answer when its time has come, None if it has none or it is the server's own."""
        if answer is None:
            return None
        if answer.delay:
            await self.pause(answer.delay)
        return None if answer.own else self._answer(request, call, answer)

    def _answer(self, request: web.BaseRequest, call: Call, answer: Answer) -> web.StreamResponse:
        if answer.drop:
            raise dropped(request)
        return self.wire.response(call, answer)


@contextmanager
def proxy_to(target: str, wire: Wire) -> Iterator[Proxy]:
    """A proxy in front of `target`, whose requests `wire` reads."""
    with served(Proxy(target, wire)) as proxy:
        yield proxy
