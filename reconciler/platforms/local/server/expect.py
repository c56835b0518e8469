"""Clients that ask before they send a body: `Expect: 100-continue` (https://www.rfc-editor.org/rfc/rfc9110#section-10.1.1).

They are asked to go on once they may do what they want; if they may not, they send nothing, and the connection ends.
"""

from __future__ import annotations

from aiohttp import HttpVersion11, web

from .errors import ApiError

_WAITS: web.RequestKey[bool] = web.RequestKey("waits", bool)


async def expect(request: web.Request) -> web.StreamResponse | None:
    """Notes that the client waits; refuses what else it may expect. aiohttp's own handler asks for the body at once."""
    if request.version < HttpVersion11:
        return None
    if request.headers["Expect"].lower() != "100-continue":
        return ApiError(417, "UNSUPPORTED", "the only supported expectation is 100-continue").response()
    request[_WAITS] = True
    return None


async def go_on(request: web.Request) -> None:
    """Asks the client for its body, if it waits for that."""
    if waits(request):
        request[_WAITS] = False
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")


def waits(request: web.Request) -> bool:
    """Whether the client still waits: its body will not come."""
    return bool(request.get(_WAITS, False))
