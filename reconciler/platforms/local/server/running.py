"""The server as a whole: its routes, its start and its end."""

from __future__ import annotations

import asyncio
import logging
import ssl
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Self
from urllib.parse import parse_qs

from aiohttp import web
from aiohttp.typedefs import Handler

from reconciler.errors import PlatformError
from reconciler.model.service import Server, ServerOptions
from reconciler.platforms.local.content import Content, Deleted
from reconciler.platforms.local.store import Store

from .auth import Doorkeeper
from .blobs import Blobs
from .errors import ApiError
from .manifests import Manifests

LOGGER = logging.getLogger("reconciler.requests")
#: seconds that requests under way have to arrive, and then to be answered, when the server stops
LAST_REQUESTS = 30.0
#: turns of the event loop in which what waits in the sockets is surely read
TURNS = 10
#: bytes that a connection may have waiting: blocks of this size are hashed and written at once
READ_AHEAD = 1 << 20


def application(name: str, store: Store, content: Content) -> web.Application:
    """The registry's routes."""
    door = Doorkeeper(name, store)
    blobs, manifests = Blobs(door, content), Manifests(door, content)

    async def base(request: web.Request) -> web.Response:
        """GET /v2/"""
        caller = await door.caller(request)
        if caller.record is None and caller.scopes is None:
            # also where everyone may pull: clients ask here whether to log in at all
            raise door.challenge(request, "log in; clients without credentials get a token for what everyone may do")
        return web.json_response({})

    async def token(request: web.Request) -> web.Response:
        """GET /token, and POST with OAuth's password grant"""
        if request.method == "POST":
            if request.content_type != "application/x-www-form-urlencoded":
                raise ApiError(415, "UNSUPPORTED", "the password grant is sent as application/x-www-form-urlencoded")
            form = parse_qs((await request.read()).decode(errors="replace"))
            if form.get("grant_type") != ["password"]:
                raise ApiError(400, "UNSUPPORTED", "grant_type must be password")
            caller = await door.login(request, form.get("username", [""])[0], form.get("password", [""])[0])
            scopes = form.get("scope", [])
        else:
            header = request.headers.get("Authorization", "")
            scheme, _, value = header.partition(" ")
            if header and scheme.lower() != "basic":
                raise door.challenge(request, "a token is given for a user name and a password")
            caller = await door.basic(request, value) if header else await door.login(request, "", "")
            scopes = request.query.getall("scope", [])
        return web.json_response(door.token(caller, scopes), headers={"Cache-Control": "no-store"})

    app = web.Application(middlewares=[_answers], client_max_size=1 << 16)
    repository = r"/v2/{name:.+}"
    upload: dict[str, Handler] = {
        "GET": blobs.status,
        "PATCH": blobs.append,
        "PUT": blobs.finish,
        "DELETE": blobs.cancel,
    }
    routes: dict[str, dict[str, Handler]] = {
        "/v2/": {"GET": base},
        "/v2": {"GET": base},
        "/token": {"GET": token, "POST": token},
        "/v2/_catalog": {"GET": manifests.catalog},
        f"{repository}/blobs/uploads/": {"POST": blobs.start},
        f"{repository}/blobs/uploads": {"POST": blobs.start},
        f"{repository}/blobs/uploads/{{upload}}": upload,
        f"{repository}/blobs/{{digest}}": {"GET": blobs.get, "DELETE": blobs.delete},
        f"{repository}/manifests/{{reference}}": {
            "GET": manifests.get,
            "PUT": manifests.put,
            "DELETE": manifests.delete,
        },
        f"{repository}/tags/list": {"GET": manifests.tags},
        f"{repository}/referrers/{{digest}}": {"GET": manifests.referrers},
        "/{nothing:.*}": {},
    }
    for path, handlers in routes.items():
        if "GET" in handlers:
            handlers = {**handlers, "HEAD": handlers["GET"]}
        for method, handler in {**handlers, "*": _no_such_method(handlers) if handlers else _nothing_here}.items():
            app.router.add_route(method, path, handler, expect_handler=_expect)

    async def close(app: web.Application) -> None:
        blobs.close()

    app.on_cleanup.append(close)
    app[UNDER_WAY] = UnderWay()
    return app


class UnderWay:
    """How many requests are being read and handled."""

    def __init__(self) -> None:
        self.number = 0
        self._none = asyncio.Event()
        self._none.set()

    def __enter__(self) -> None:
        self.number += 1
        self._none.clear()

    def __exit__(self, *exception: object) -> None:
        self.number -= 1
        if not self.number:
            self._none.set()

    async def end(self, seconds: float) -> None:
        """Returns once none is, or after some seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._none.wait()


UNDER_WAY = web.AppKey("under_way", UnderWay)


def _no_such_method(handlers: dict[str, Handler]) -> Handler:
    async def answer(request: web.Request) -> web.StreamResponse:
        raise ApiError(
            405, "UNSUPPORTED", f"this path knows {', '.join(handlers)} only", headers={"Allow": ", ".join(handlers)}
        )

    return answer


async def _nothing_here(request: web.Request) -> web.StreamResponse:
    raise ApiError(404, "UNSUPPORTED", "the registry's endpoints are below /v2/")


async def _expect(request: web.Request) -> web.StreamResponse | None:
    """Goes on after `Expect: 100-continue`; aiohttp's own handler trips over other values that are not ASCII."""
    if request.headers["Expect"].lower() != "100-continue":
        return ApiError(417, "UNSUPPORTED", "the only expectation that is met is 100-continue").response()
    await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    return None


@web.middleware
async def _answers(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Errors in the specification's form; and what every answer says."""
    try:
        with request.app[UNDER_WAY]:
            response = await handler(request)
    except ApiError as refusal:
        response = refusal.response()
    except web.HTTPException as error:  # a form that is too large
        response = ApiError(error.status, "SIZE_INVALID", error.reason).response()
    except Deleted as error:
        response = ApiError(404, "NAME_UNKNOWN", f"the repository {error} was deleted meanwhile").response()
    except PlatformError as error:
        LOGGER.error("%s %s: %s", request.method, request.path[:200], error)
        response = ApiError(503, "UNAVAILABLE", error.message).response()
    except OSError as error:
        if request.transport is None or request.transport.is_closing():
            raise  # the client has gone
        LOGGER.error("%s %s: %s", request.method, request.path[:200], error)
        response = ApiError(507, "UNAVAILABLE", f"the registry's disk: {error.strerror}").response()
    if not response.prepared:
        response.headers["Docker-Distribution-Api-Version"] = "registry/2.0"
        response.headers["X-Content-Type-Options"] = "nosniff"
    return response


class LocalServer(Server):
    """A local registry's server: a context manager that answers while its block runs, in a thread of its own."""

    def __init__(
        self, name: str, content: Content, options: ServerOptions, collect: Callable[[], Any] | None = None
    ) -> None:
        self.name = name
        self.content = content
        self.options = options
        self.url = ""
        self._collect = collect
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
        app = application(self.name, self.content.store, self.content)
        runner = web.AppRunner(
            app,
            access_log=LOGGER if options.log_requests else None,
            access_log_format='"%r" %s %b %Dus',
            auto_decompress=False,  # a blob is what was sent
            read_bufsize=READ_AHEAD,
            keepalive_timeout=75.0,
            shutdown_timeout=LAST_REQUESTS,
        )
        await runner.setup()
        try:
            await self._listen(runner)
            with self.content.store.serving(self.url.partition("://")[2]):
                ready()
                collecting = asyncio.create_task(self._collect_again_and_again())
                await self._stop.wait()
            collecting.cancel()
            await self._end(app[UNDER_WAY], runner)
        finally:
            await runner.cleanup()

    async def _end(self, under_way: UnderWay, runner: web.AppRunner) -> None:
        """Lets the requests that have been sent arrive and be answered; takes no new ones.

        aiohttp's own end waits for answers, but drops what still arrives of a request's body: so all of that comes
        first. What was sent before the end began may still wait in the sockets, and takes some turns of the loop
        (accept, read, parse, handle) to be counted as under way.
        """
        for _ in range(TURNS):
            await asyncio.sleep(0.01)
        for site in list(runner.sites):
            await site.stop()
        await under_way.end(LAST_REQUESTS)

    async def _listen(self, runner: web.AppRunner) -> None:
        options = self.options
        try:
            context = _tls(options)
            site = web.TCPSite(runner, options.host, options.port, ssl_context=context, backlog=512)
            await site.start()
        except (OSError, ValueError) as error:
            raise PlatformError(
                f"can't listen on {options.host}:{options.port}: {error}",
                address=self.name,
                operation="serve",
                hint="choose another address with --host and --port (0 is any free port), or check the certificate",
            ) from None
        host, port = runner.addresses[0][:2]
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - where a client of this machine finds it
        shown = f"[{host}]" if ":" in host else host
        self.url = f"{'https' if context is not None else 'http'}://{shown}:{port}"

    async def _collect_again_and_again(self) -> None:
        while self._collect is not None:
            await asyncio.sleep(self.options.collect_every)
            try:
                await asyncio.to_thread(self._collect)
            except (PlatformError, OSError) as error:
                LOGGER.error("garbage collection: %s", error)


def _loop() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop, where it is to be had: pulls and pushes are up to a tenth faster with it (script/bench registry)."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def _tls(options: ServerOptions) -> ssl.SSLContext | None:
    if not options.certificate:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(options.certificate, options.key or None)
    return context
