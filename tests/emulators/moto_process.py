"""moto as a server that keeps connections: `python -m tests.emulators.moto_process PORT`, until SIGTERM.

moto's own server, Werkzeug's for development, makes a connection and a thread for each request, which is as much work as the answer
itself; and moto answers some hundred thousand requests in a run of the tests. It prints a line for each request, as that does.
"""

from __future__ import annotations

import logging
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from io import BytesIO
from threading import Event
from typing import Any
from urllib.parse import unquote_to_bytes

import moto.backends
import moto.core.responses
from aiohttp import web
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

from .serving import Handler, Serving, served


class Moto(Serving):
    """All of moto behind one port, one request after the other."""

    @asynccontextmanager
    async def handler(self) -> AsyncIterator[Handler]:
        application = DomainDispatcherApplication(create_backend_app)

        async def handle(request: web.BaseRequest) -> web.StreamResponse:
            answer = _answer(application, request, await request.read())
            # bench counts these
            print(f'"{request.method} {request.raw_path} HTTP/1.1" {answer.status}', flush=True)
            return answer

        yield handle


def _answer(application: Any, request: web.BaseRequest, body: bytes) -> web.Response:
    started: list[Any] = []
    content = application(_environ(request, body), lambda *arguments: started.extend(arguments))
    try:
        data = b"".join(content)
    finally:
        content.close()
    status, headers = started[:2]
    response = web.Response(status=int(status.split()[0]), body=data)
    response.headers.clear()
    for key, value in headers:
        if key.lower() != "content-length":
            response.headers.add(key, value)
    return response


def _environ(request: web.BaseRequest, body: bytes) -> dict[str, Any]:
    """The request as WSGI has it. https://peps.python.org/pep-3333/#environ-variables"""
    path, _, query = request.raw_path.partition("?")
    host, _, port = request.host.partition(":")
    headers = {f"HTTP_{key.upper().replace('-', '_')}": value for key, value in request.headers.items()}
    return {
        **headers,
        "REQUEST_METHOD": request.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query,
        "RAW_URI": request.raw_path,
        "REQUEST_URI": request.raw_path,
        "SERVER_NAME": host,
        "SERVER_PORT": port or "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "CONTENT_TYPE": headers.get("HTTP_CONTENT_TYPE", ""),
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }


def _know_once() -> None:
    """What moto asks anew for each request, and never changes: which folders it has, and which methods its classes."""
    folders = tuple(moto.backends.list_of_moto_modules())
    moto.backends.list_of_moto_modules = lambda: folders
    responses = vars(moto.core.responses)
    responses["method_names_from_class"] = cache(responses["method_names_from_class"])


def main() -> None:
    """Serves at the port that the command line says."""
    stopped = Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    logging.getLogger("aiohttp.server").setLevel(logging.ERROR)  # a failure of moto's own is in the log
    _know_once()
    with served(Moto(int(sys.argv[1]))):
        stopped.wait()


if __name__ == "__main__":
    main()
