"""The stand-in on a real socket: a thread that serves HTTP, beside it what tests tell the stand-in."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from aiohttp import web

from tests.emulators.serving import Answer, Call, Handler, Serving, dropped, served

from .cloud import Cloud, Found, find
from .control import PREFIX, control
from .wire import HTTP_CODES, Asked, Refusal, asked, refused

#: as recorded
HEADERS = (
    ("Server", "ESF"),
    ("Vary", "Origin"),
    ("Vary", "X-Origin"),
    ("Vary", "Referer"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "SAMEORIGIN"),
    ("X-Xss-Protection", "0"),
)
NO_PAGE = (
    "<!DOCTYPE html><title>Error 404 (Not Found)!!1</title>"
    "<p><b>404.</b> That is an error.<p>The requested URL was not found on this server."
)


class Server(Serving):
    """A running stand-in, and its `cloud`. Behaviours see calls one after the other."""

    def __init__(self, port: int = 0) -> None:
        super().__init__(port)
        self.cloud = Cloud()

    def reset(self) -> None:
        """Forgets everything: what there is, how it misbehaves, and the calls."""
        super().reset()
        self.cloud.reset()

    @asynccontextmanager
    async def handler(self) -> AsyncIterator[Handler]:
        yield self._handle

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        headers = {key.lower(): value for key, value in request.headers.items()}
        data = await request.read()
        try:
            one = asked(request.method, request.path_qs, headers, data)
        except Refusal as refusal:
            return _written(HTTP_CODES[refusal.status], refused(refusal, False))
        if one.path.startswith(PREFIX):
            return _written(*control(self, one))
        found = find(one)
        if found is None:
            return web.Response(status=404, text=NO_PAGE, content_type="text/html")
        return self._answer(request, found)

    def _answer(self, request: web.BaseRequest, found: Found) -> web.StreamResponse:
        call = call_of(found)
        self.calls.append(call)
        instead = self.answer_before(call)
        if instead is not None:
            return _instead(request, found.asked, instead)
        status, body = self.cloud.answer(found)
        instead = self.answer_after(call)
        if instead is not None:
            return _instead(request, found.asked, instead)
        return _written(status, body)


def call_of(found: Found) -> Call:
    """A call as behaviours see it: `region` is the location, `body` has the path, the query and the JSON that was sent."""
    one = found.asked
    body = {"path": one.path, "query": dict(one.query), "json": one.body}
    return Call(found.route.service, found.route.operation, one.names.get("location") or "", body, one.headers)


def _instead(request: web.BaseRequest, one: Asked, answer: Answer) -> web.StreamResponse:
    if answer.drop:
        raise dropped(request)
    if answer.text:
        return web.Response(
            status=answer.status, text=answer.text, content_type="text/html", headers=dict(answer.headers)
        )
    if answer.error:
        refusal = Refusal(answer.error, str(answer.body.get("message", "")))
        return _written(HTTP_CODES[answer.error], refused(refusal, one.errors_too))
    return _written(answer.status, answer.body)


def _written(status: int, body: dict[str, Any]) -> web.Response:
    response = web.Response(status=status, text=json.dumps(body, indent=2) + "\n")
    response.headers["Content-Type"] = "application/json; charset=UTF-8"
    for name, value in HEADERS:
        response.headers.add(name, value)
    return response


@contextmanager
def serving(port: int = 0) -> Iterator[Server]:
    """A stand-in that serves until the block is over."""
    with served(Server(port)) as server:
        yield server
