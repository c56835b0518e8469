"""The stand-in on a real socket: a thread that serves HTTP, beside it what tests tell the stand-in."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any

from aiohttp import web

from tests.emulators.proxy import Answer, Behaviour, Call

from .cloud import Cloud, Found, find
from .control import PREFIX, control
from .wire import HTTP_CODES, Asked, Refusal, asked, refused

#: dropping connections is what behaviours do; the server need not say so each time
logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)

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


class Server:
    """A running stand-in: its `url`, its `cloud`, the `calls` so far, and `behaviours`, which tests put in and take out.

    Behaviours are those of tests/emulators/proxy.py; they see calls one after the other.
    """

    def __init__(self, port: int = 0) -> None:
        self.cloud = Cloud()
        self.calls: list[Call] = []
        self.behaviours: list[Behaviour] = []
        self.url = ""
        self._port = port
        self._failure: OSError | None = None
        self._loop = asyncio.new_event_loop()
        self._ready = Event()
        self._stop: asyncio.Event | None = None
        self._thread = Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Serves in a thread of its own. Raises OSError if the port is taken."""
        self._thread.start()
        if not self._ready.wait(20):
            raise RuntimeError("the stand-in did not start")
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """Stops serving."""
        if self._stop is not None:
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    def reset(self) -> None:
        """Forgets everything: what there is, how it misbehaves, and the calls."""
        self.cloud.reset()
        self.calls.clear()
        self.behaviours.clear()

    def operations(self) -> list[str]:
        """The operations called so far, as `artifactregistry:CreateRepository`."""
        return [f"{call.service}:{call.operation}" for call in self.calls]

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        runner = web.ServerRunner(web.Server(self._handle))
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", self._port).start()
            self.url = "http://{}:{}".format(*runner.addresses[0][:2])
        except OSError as error:
            self._failure = error
            self._stop.set()
        self._ready.set()
        await self._stop.wait()
        await runner.cleanup()

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
        for behaviour in tuple(self.behaviours):
            instead = behaviour.before(call)
            if instead is not None:
                return _instead(request, found.asked, instead)
        status, body = self.cloud.answer(found)
        for behaviour in tuple(self.behaviours):
            instead = behaviour.after(call)
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
        if request.transport is not None:
            request.transport.close()
        raise ConnectionResetError("dropped on purpose")
    if answer.text:
        return web.Response(status=answer.status, text=answer.text, content_type="text/html")
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
    server = Server(port)
    server.start()
    try:
        yield server
    finally:
        server.stop()
