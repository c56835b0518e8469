"""The stand-in on a real socket: a thread that serves HTTP over TLS, with a certificate of a CA of its own."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import trustme
from aiohttp import web

from tests.emulators.serving import Answer, Call, Handler, Serving, dropped, served

from .cloud import Cloud, Found, find
from .wire import NULL, Refusal, Reply, asked, refused, usual_headers


class Server(Serving):
    """A running stand-in, and its `cloud`. `ca`: the file with the certificate that clients must trust."""

    host = "localhost"

    def __init__(self, port: int, ca: Path) -> None:
        super().__init__(port)
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(ca))
        self.ca = ca
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost", "*.localhost", "127.0.0.1").configure_cert(self.tls)
        self.cloud = Cloud()

    def start(self) -> None:
        super().start()
        self.cloud.here = self.url.removeprefix("https://")
        self.cloud.reset()

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
            return _written(request, refused(refusal))
        found = find(one)
        if found is None:
            unknown = Refusal(
                404, "InvalidResourceType", f"The resource type could not be found: {one.method} {one.path}"
            )
            return _written(request, refused(unknown))
        call = call_of(found)
        self.calls.append(call)
        instead = self.answer_before(call)
        if instead is not None:
            return _instead(request, instead)
        reply = self.cloud.answer(found)
        instead = self.answer_after(call)
        if instead is not None:
            return _instead(request, instead)
        return _written(request, reply)


def call_of(found: Found) -> Call:
    """A call as behaviours see it: `operation` is its route's name, `body` has the path, the query and the JSON that was sent."""
    one, name = found.asked, found.route.name
    body = {"path": one.path, "query": dict(one.query), "json": one.body}
    return Call(name.partition(":")[0], name, "", body, one.headers)


def _instead(request: web.BaseRequest, answer: Answer) -> web.StreamResponse:
    if answer.drop:
        raise dropped(request)
    if answer.text:
        return web.Response(
            status=answer.status, text=answer.text, content_type="text/html", headers=dict(answer.headers)
        )
    return _written(request, Reply(answer.status, answer.body, answer.headers))


def _written(request: web.BaseRequest, reply: Reply) -> web.Response:
    headers = {**usual_headers(request.method, request.path), **reply.headers}
    if reply.body is None or request.method == "HEAD":
        return web.Response(status=reply.status, headers=headers)
    headers.setdefault("Content-Type", "application/json; charset=utf-8")
    text = "null" if reply.body is NULL else json.dumps(reply.body)
    return web.Response(status=reply.status, body=text.encode(), headers=headers)


@contextmanager
def serving(ca: Path, port: int = 0) -> Iterator[Server]:
    """A stand-in that serves until the block is over."""
    with served(Server(port, ca)) as server:
        yield server
