"""The routes of the server, and what every request goes through: counting, and errors in the specification's form."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from urllib.parse import parse_qs

from aiohttp import web
from aiohttp.typedefs import Handler

from reconciler.errors import PlatformError
from reconciler.platforms.local.content import Content
from reconciler.platforms.local.refusals import Deleted
from reconciler.words import one_line

from .auth import Doorkeeper
from .blobs import Blobs
from .errors import ApiError
from .expect import expect, go_on, waits
from .front import NO_PROXY, Front
from .logs import CLIENT
from .manifests import Manifests
from .threads import Threads

LOGGER = logging.getLogger("reconciler.requests")
#: bytes of a body that is read as a whole, such as the form of the token endpoint
FORM_MOST = 1 << 16
#: seconds in which it must have arrived
FORM_SECONDS = 10.0


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
        """Returns once none is, or after that many seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._none.wait()


UNDER_WAY = web.AppKey("under_way", UnderWay)
FRONT = web.AppKey("front", Front)


class Entrance:
    """The endpoints where clients log in: /v2/ and /token."""

    def __init__(self, door: Doorkeeper) -> None:
        self.door = door

    async def base(self, request: web.Request) -> web.Response:
        """GET /v2/"""
        caller = await self.door.caller(request)
        if caller.issued is None and caller.scopes is None:
            # also where everyone may pull: clients ask here whether to log in at all
            raise self.door.challenge(request, "log in, or get a token without credentials for what anyone may do")
        return web.json_response({})

    async def token(self, request: web.Request) -> web.Response:
        """GET /token, and POST with OAuth's password grant"""
        if request.method == "POST":
            if request.content_type != "application/x-www-form-urlencoded":
                raise ApiError(415, "UNSUPPORTED", "the password grant is sent as application/x-www-form-urlencoded")
            await go_on(request)
            form = parse_qs((await _form(request)).decode(errors="replace"))
            if form.get("grant_type") != ["password"]:
                raise ApiError(400, "UNSUPPORTED", "grant_type must be password")
            caller = await self.door.login(request, form.get("username", [""])[0], form.get("password", [""])[0])
            scopes = form.get("scope", [])
        else:
            if request.headers.get("Authorization", "").partition(" ")[0].lower() not in ("", "basic"):
                raise self.door.challenge(request, "a token request needs a user name and a password")
            caller = await self.door.caller(request)
            scopes = request.query.getall("scope", [])
        token = await asyncio.to_thread(self.door.token, caller, scopes)
        return web.json_response(token, headers={"Cache-Control": "no-store"})


async def _form(request: web.Request) -> bytes:
    try:
        async with asyncio.timeout(FORM_SECONDS):
            return await request.read()
    except TimeoutError:
        message = f"the form did not arrive within {FORM_SECONDS:.0f} seconds"
        raise ApiError(408, "UNSUPPORTED", message, headers={"Connection": "close"}) from None


def application(name: str, content: Content, front: Front = NO_PROXY) -> web.Application:
    """The application that serves the registry of that name. Raises PlatformError if the registry's disk fails."""
    door, threads = Doorkeeper(name, content.documents, front), Threads()
    entrance, blobs, manifests = Entrance(door), Blobs(door, content, threads), Manifests(door, content, threads)
    app = web.Application(middlewares=[_answers], client_max_size=FORM_MOST)
    app.on_response_prepare.append(_headers)
    app[UNDER_WAY], app[FRONT] = UnderWay(), front
    for path, handlers in _routes(entrance, blobs, manifests).items():
        if "GET" in handlers:
            handlers = {**handlers, "HEAD": handlers["GET"]}
        for method, handler in {**handlers, "*": _no_such_method(handlers) if handlers else _nothing_here}.items():
            app.router.add_route(method, path, handler, expect_handler=expect)

    async def close(app: web.Application) -> None:
        blobs.close()
        threads.close()
        door.close()

    app.on_cleanup.append(close)
    return app


def _routes(entrance: Entrance, blobs: Blobs, manifests: Manifests) -> dict[str, dict[str, Handler]]:
    """Handlers by path and method, in the order in which paths are tried. HEAD goes where GET goes."""
    repository = r"/v2/{name:(?s:.+)}"
    return {
        "/v2/": {"GET": entrance.base},
        "/v2": {"GET": entrance.base},
        "/token": {"GET": entrance.token, "POST": entrance.token},
        "/v2/_catalog": {"GET": manifests.catalog},
        f"{repository}/blobs/uploads/": {"POST": blobs.start},
        f"{repository}/blobs/uploads": {"POST": blobs.start},
        f"{repository}/blobs/uploads/{{upload}}": {
            "GET": blobs.status,
            "PATCH": blobs.append,
            "PUT": blobs.finish,
            "DELETE": blobs.cancel,
        },
        f"{repository}/blobs/{{digest}}": {"GET": blobs.get, "DELETE": blobs.delete},
        f"{repository}/manifests/{{reference}}": {
            "GET": manifests.get,
            "PUT": manifests.put,
            "DELETE": manifests.delete,
        },
        f"{repository}/tags/list": {"GET": manifests.tags},
        f"{repository}/referrers/{{digest}}": {"GET": manifests.referrers},
        "/{nothing:(?s:.*)}": {},
    }


def _no_such_method(handlers: dict[str, Handler]) -> Handler:
    methods = ", ".join(handlers)

    async def answer(request: web.Request) -> web.StreamResponse:
        raise ApiError(405, "UNSUPPORTED", f"this path allows only: {methods}", headers={"Allow": methods})

    return answer


async def _nothing_here(request: web.Request) -> web.StreamResponse:
    raise ApiError(404, "UNSUPPORTED", "the registry's endpoints are below /v2/")


@web.middleware
async def _answers(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Errors in the specification's form."""
    request[CLIENT] = request.app[FRONT].client(request)
    try:
        with request.app[UNDER_WAY]:
            response = await handler(request)
    except ApiError as refusal:
        response = refusal.response()
    except web.HTTPException as error:  # a form that is too large
        code = "SIZE_INVALID" if error.status == 413 else "UNSUPPORTED"
        response = ApiError(error.status, code, error.reason).response()
    except web.RequestPayloadError:
        response = ApiError(400, "SIZE_INVALID", "the sizes of the body's chunks are malformed").response()
    except Deleted as error:
        response = ApiError(404, "NAME_UNKNOWN", f"the repository {error} has been deleted meanwhile").response()
    except PlatformError as error:
        LOGGER.error("%s %s: %s", request.method, request.rel_url.raw_path[:200], one_line(str(error)))
        # what is wrong names files: it is for who runs the server
        response = ApiError(503, "UNAVAILABLE", "the registry can't do this now; its log says why").response()
    except OSError as error:
        if request.transport is None or request.transport.is_closing():
            raise  # the client has gone
        LOGGER.error("%s %s: %s", request.method, request.rel_url.raw_path[:200], one_line(str(error)))
        response = ApiError(507, "UNAVAILABLE", f"the registry's disk: {error.strerror}").response()
    if waits(request):
        # the body was never asked for: the next request could not be told from it
        response.force_close()
        request.content.feed_eof()  # or aiohttp waits ten seconds for it
    return response


async def _headers(request: web.Request, response: web.StreamResponse) -> None:
    """Adds what every answer has, before it is sent."""
    response.headers["Docker-Distribution-Api-Version"] = "registry/2.0"
    response.headers["X-Content-Type-Options"] = "nosniff"
