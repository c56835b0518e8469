"""Files as answers: whole, one range of them, or only that the client has them already.

https://www.rfc-editor.org/rfc/rfc9110, sections 13 (conditions) and 14 (ranges)
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

from .errors import ApiError

LOGGER = logging.getLogger("reconciler.requests")
#: seconds after which a client that reads nothing loses its connection
PATIENCE = 60.0
#: bytes up to which a file is read at once, and sent together with the header
SMALL = 1 << 16
#: bytes that one call in a thread sends at most: the threads are for all clients
STEP = 4 << 20
#: bytes of an answer that are copied to the socket, a piece at a time, before the kernel sends the rest of the file itself. Sent so
#: from the first byte, loopback fills the client's receive buffer before the client reads: on Linux 6.18 it then stays at 128 KiB and
#: the segments at 33 KiB (`ss -tmi`), and skopeo pulls 200 MB up to 10 % slower. After pieces, segments are 64 KiB.
COPIED = 1 << 20
PIECE = 1 << 16
#: seconds after which it is looked whether a client that takes nothing is still there
LOOK = 1.0
#: bytes of a block, where the kernel can't send the file itself
BLOCK = 1 << 18
_RANGE = re.compile(r"bytes=\s*(\d*)-(\d*)\s*", re.ASCII | re.IGNORECASE)


class OpenFile:
    """A file to send, open: it is sent whole even if it is removed meanwhile. `size` in bytes; `body`: all of it, if it is small.

    Its methods wait for the disk, and so are for threads. Raises OSError, FileNotFoundError if there is no such file.
    """

    def __init__(self, path: Path) -> None:
        self._file: BinaryIO = path.open("rb", buffering=0)
        self._outlet: socket.socket | None = None
        self._busy = threading.Lock()
        self._to_copy = COPIED
        try:
            self.size = os.fstat(self._file.fileno()).st_size
            self.body = self._file.read(self.size) if self.size <= SMALL else b""
        except BaseException:
            self._file.close()
            raise
        if self.size <= SMALL:
            self._file.close()

    def outlet(self, transport: asyncio.Transport | None) -> socket.socket | None:
        """The client's socket, if the kernel can send files to it: plain TCP. It is a copy of the connection's descriptor, which
        stays this client's when the connection is closed while a thread still sends."""
        client = transport.get_extra_info("socket") if transport is not None else None
        if transport is None or client is None or transport.get_extra_info("sslcontext") or not hasattr(os, "sendfile"):
            return None
        self._outlet = socket.socket(fileno=os.dup(client.fileno()))
        return self._outlet

    def send(self, start: int, end: int) -> int:
        """Sends to the outlet what it takes now, at most STEP bytes; returns where to go on."""
        with self._busy:
            if self._outlet is None:  # closed meanwhile
                raise ConnectionResetError
            most = min(end, start + STEP)
            while start < most:
                try:
                    sent = self._send_some(self._outlet, start, most - start)
                except BlockingIOError:
                    break
                if not sent:
                    raise EOFError("the file is shorter than it was")
                start += sent
            return start

    def _send_some(self, outlet: socket.socket, start: int, most: int) -> int:
        if self._to_copy <= 0:
            return os.sendfile(outlet.fileno(), self._file.fileno(), start, most)
        piece = os.pread(self._file.fileno(), min(PIECE, most), start)
        sent = outlet.send(piece) if piece else 0
        self._to_copy -= sent
        return sent

    def read(self, start: int, end: int) -> bytes:
        """The next block."""
        with self._busy:
            self._file.seek(start)
            block = self._file.read(min(BLOCK, end - start))
        if not block:
            raise EOFError("the file is shorter than it was")
        return block

    @property
    def closed(self) -> bool:
        """Whether it is; a small one is from the beginning."""
        return self._file.closed

    def close(self) -> None:
        """Closes it, once a thread that uses it is done."""
        with self._busy:
            self._file.close()
            if self._outlet is not None:
                self._outlet.close()
                self._outlet = None


async def answer(request: web.Request, file: OpenFile, digest: str, headers: Mapping[str, str]) -> web.StreamResponse:
    """Answers GET or HEAD with a file whose content has that digest, and closes it. What comes back may have been sent already.

    The digest is the ETag. Raises ApiError for a range that is outside of the file, and if the client wants only another content.
    """
    try:
        status, start, end = _wanted(request, file.size, digest)
        headers = {**headers, "ETag": f'"{digest}"', "Accept-Ranges": "bytes"}
        if status == 304:
            return web.Response(status=304, headers=headers)
        if status == 206:
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{file.size}"
        if file.size <= SMALL and request.method != "HEAD":
            return web.Response(status=status, headers=headers, body=file.body[start:end])
        response = web.StreamResponse(status=status, headers=headers)
        response.content_length = end - start
        if request.method != "HEAD":
            await _send(request, response, file, start, end)
        return response
    finally:
        if not file.closed:
            await asyncio.shield(asyncio.to_thread(file.close))


def _wanted(request: web.Request, size: int, digest: str) -> tuple[int, int, int]:
    """The status, and the part of the file: from where, and up to where. Raises ApiError."""
    headers = request.headers
    if request.if_match is not None and not {digest, "*"} & {tag.value for tag in request.if_match if not tag.is_weak}:
        raise ApiError(412, "UNSUPPORTED", f"the content's ETag is {digest}, which does not match If-Match")
    # some clients leave out the quotes
    if headers.get("If-None-Match", "").strip() == digest or {digest, "*"} & {
        tag.value for tag in request.if_none_match or ()
    }:
        return 304, 0, size
    # a range is for GET alone; dates can't match, since there is no Last-Modified; several ranges, other units and what can't be read
    # may be ignored: RFC 9110, 14.2
    asked = _RANGE.fullmatch(headers.get("Range", "").strip())
    if asked is None or request.method != "GET" or headers.get("If-Range", f'"{digest}"').strip() != f'"{digest}"':
        return 200, 0, size
    part = _part(asked[1], asked[2], size)
    if part is None:
        return 200, 0, size
    if part[0] >= part[1]:
        refusal = ApiError(416, "SIZE_INVALID", f"the content has {size:,} bytes, and the range is beyond them")
        refusal.headers["Content-Range"] = f"bytes */{size}"
        raise refusal
    return 206, *part


def _part(first: str, last: str, size: int) -> tuple[int, int] | None:
    """From where and up to where a range goes, which is nothing if it begins after the end, or ends before its beginning (that may be
    refused: RFC 9110, 14.2; the conformance program of OCI wants it so); None if it is not a range."""
    if len(first) > 18 or len(last) > 18 or not (first or last):
        return None
    if not first:
        return (max(size - int(last), 0), size)
    return int(first), min(int(last) + 1, size) if last else size


async def _send(request: web.Request, response: web.StreamResponse, file: OpenFile, start: int, end: int) -> None:
    """Sends header and body. If the client leaves or the disk fails, the connection ends with less than the header says."""
    writer = await response.prepare(request)
    assert writer is not None
    transport = request.transport
    try:
        outlet = file.outlet(transport)
        if outlet is None:
            await _send_blocks(writer, file, start, end)
        else:
            await _send_file(request, writer, file, outlet, start, end)
        await response.write_eof()
    except (OSError, EOFError) as error:
        if not isinstance(error, (ConnectionError, TimeoutError)):
            LOGGER.error("%s %s: the response was cut short: %s", request.method, request.path[:200], error)
        response.force_close()
        if transport is not None:
            transport.abort()


async def _send_blocks(writer: AbstractStreamWriter, file: OpenFile, start: int, end: int) -> None:
    while start < end:
        block = await asyncio.to_thread(file.read, start, end)
        start += len(block)
        async with _patience():
            await writer.write(block)
            await writer.drain()


async def _send_file(
    request: web.Request, writer: AbstractStreamWriter, file: OpenFile, outlet: socket.socket, start: int, end: int
) -> None:
    """The kernel copies the file to the socket: past the event loop's transport, which must have nothing left to write."""
    async with _patience():
        await _send_header(writer, request.transport)
    while start < end:
        before = start
        start = await asyncio.to_thread(file.send, start, end)
        writer.output_size += start - before  # for the log
        if request.transport is None or request.transport.is_closing():
            raise ConnectionResetError
        if start < end:
            async with _patience():
                await _writable(request, outlet)


async def _send_header(writer: AbstractStreamWriter, transport: asyncio.Transport | None) -> None:
    """Returns once the transport has written all it had."""
    if transport is None:
        raise ConnectionResetError
    low, high = transport.get_write_buffer_limits()
    transport.set_write_buffer_limits(high=0)
    try:
        writer.send_headers()
        await writer.drain()
    finally:
        transport.set_write_buffer_limits(high=high, low=low)


async def _writable(request: web.Request, outlet: socket.socket) -> None:
    """Returns once the socket takes more, or has failed. Raises ConnectionResetError soon after the client has left: the outlet is
    a copy of its socket, which nobody tells."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_writer(outlet, ready.set)
    try:
        while not ready.is_set():
            if request.transport is None or request.transport.is_closing():
                raise ConnectionResetError
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK):
                    await ready.wait()
    finally:
        loop.remove_writer(outlet)


def _patience() -> asyncio.Timeout:
    """A limit of PATIENCE seconds where the kernel has none of its own (connections.py), which counts what the client has read."""
    return asyncio.timeout(None if hasattr(socket, "TCP_USER_TIMEOUT") else PATIENCE)
