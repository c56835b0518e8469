"""What the server writes to its log about requests: one line for each, and never a header's value."""

from __future__ import annotations

import logging
from collections.abc import MutableMapping
from typing import Any

from aiohttp import http_exceptions as faults
from aiohttp import web
from aiohttp.abc import AbstractAccessLogger

LOGGER = logging.getLogger("reconciler.requests")
#: what the parser's errors mean; their own texts quote what was sent, which may be a secret
_REASONS = {
    faults.BadHttpMethod: "not HTTP",
    faults.LineTooLong: "its first line, or a header, is too long",
    faults.InvalidHeader: "a header is malformed",
    faults.TransferEncodingError: "the sizes of the body's chunks are malformed",
    faults.ContentLengthError: "the body is shorter than its Content-Length",
    faults.InvalidURLError: "the address is malformed",
    faults.BadStatusLine: "its first line is malformed",
    faults.HttpProcessingError: "a header, or the size of a chunk, is malformed",
}


#: what of a query is shown
_SHOWN = frozenset(
    {"digest", "digest-algorithm", "mount", "from", "n", "last", "scope", "service", "account", "artifactType", "tag"}
)
#: the client's address, as trusted proxies say it
CLIENT = web.RequestKey("client", str)


class AccessLog(AbstractAccessLogger):
    """One line for each request. Milliseconds are what the event loop's clock knows (uvloop's has no more)."""

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        client = request.get(CLIENT) or request.remote
        line = f"{request.method} {_shown(request)} HTTP/{request.version.major}.{request.version.minor}"
        self.logger.info('%s "%s" %s %s %.0f ms', client, line, response.status, response.body_length, time * 1000)


def _shown(request: web.BaseRequest) -> str:
    """The path, and what of the query is no secret: clients may send a password there."""
    path, _, query = request.path_qs.partition("?")
    shown = "&".join(part for part in query.split("&") if part.partition("=")[0] in _SHOWN)
    return f"{path}?{shown}" if shown else path


class HttpLog(logging.LoggerAdapter[logging.Logger]):
    """aiohttp's own log. For a request that it can't read it has a traceback, in which the request is quoted: one line is left.
    `args`: the client's address."""

    def log(self, level: int, msg: object, *args: object, **more: Any) -> None:
        fault, client = more.get("exc_info"), args[0] if args else "a client"
        if isinstance(fault, faults.HttpProcessingError):
            self.logger.info("%s: malformed request: %s", client, _reason(fault))
        elif isinstance(fault, web.RequestPayloadError):
            self.logger.debug("the rest of a malformed body was not read")
        elif isinstance(fault, ConnectionError):
            self.logger.info("%s: disconnected before the end of the request or the response", client)
        else:
            super().log(level, msg, *args, **more)

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        return msg, kwargs


def _reason(fault: faults.HttpProcessingError) -> str:
    """Why a request could not be read, without a word of it."""
    return next(text for kind, text in _REASONS.items() if isinstance(fault, kind))
