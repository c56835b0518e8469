"""How much of an answer is read: a registry may send without end, or little that unpacks to much."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

import httpx

#: bytes of an answer, unpacked: a catalog that comes whole, whatever was asked for, of some 300,000 names
LONGEST = 16 << 20
#: what is asked for and read: one encoding, whose unpacking can be cut off
ENCODING = "gzip"
#: bytes that are unpacked at a time
_PIECE = 1 << 16


class TooLong(httpx.DecodingError):
    """An answer is longer than what is read of it."""


def limited(answer: httpx.Response) -> None:
    """What httpx calls with each answer (https://www.python-httpx.org/advanced/event-hooks/). From then on, reading the answer raises
    TooLong; DecodingError if it is packed as nobody asked for."""
    packed = answer.headers.pop("Content-Encoding", "").strip().lower()
    if packed not in ("", "identity", ENCODING):
        raise httpx.DecodingError("an encoding that was not asked for", request=answer.request)
    assert isinstance(answer.stream, httpx.SyncByteStream)
    answer.stream = _Limited(answer.stream, packed=packed == ENCODING)


class _Limited(httpx.SyncByteStream):
    """The bytes of an answer, unpacked."""

    def __init__(self, stream: httpx.SyncByteStream, *, packed: bool) -> None:
        self._stream, self._packed = stream, packed

    def __iter__(self) -> Iterator[bytes]:
        length = 0
        for piece in self._unpacked() if self._packed else self._stream:
            length += len(piece)
            if length > LONGEST:
                raise TooLong("too long")
            yield piece

    def close(self) -> None:
        self._stream.close()

    def _unpacked(self) -> Iterator[bytes]:
        unpacking = zlib.decompressobj(zlib.MAX_WBITS | 16)  # with a header as gzip has it
        try:
            for piece in self._stream:
                rest = piece
                while rest:
                    yield unpacking.decompress(rest, _PIECE)
                    rest = unpacking.unconsumed_tail
            yield unpacking.flush()
        except zlib.error:
            raise httpx.DecodingError("it can't be unpacked") from None
