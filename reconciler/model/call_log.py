"""What calls are made for: an address, and a change that is made as a whole. And the log of API calls that `-v` shows: which address,
which call, how long, which request id, never a body or a header."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from threading import Event

LOGGER = logging.getLogger("reconciler.calls")
_address: ContextVar[str] = ContextVar("address", default="")
#: an object of its own, so that threads which a change is made by share it
_written: ContextVar[Event | None] = ContextVar("written", default=None)
_watched: ContextVar[tuple[Event, ...]] = ContextVar("watched", default=())


@contextmanager
def working_on(address: str) -> Iterator[None]:
    """Calls made inside are for this address."""
    token = _address.set(address)
    try:
        yield
    finally:
        _address.reset(token)


@contextmanager
def changing() -> Iterator[None]:
    """What is called inside makes one change: once something of it is written, the rest is not left undone for a stop."""
    token = _written.set(Event())
    try:
        yield
    finally:
        _written.reset(token)


@contextmanager
def watching() -> Iterator[Event]:
    """Set once something that is called inside is written, or may be: no answer came, or one that does not say."""
    watch = Event()
    token = _watched.set((*_watched.get(), watch))
    try:
        yield watch
    finally:
        _watched.reset(token)


def wrote() -> None:
    """Something of the change that is being made is written, or may be."""
    written = _written.get()
    if written is not None:
        written.set()
    for watch in _watched.get():
        watch.set()


def half_written() -> bool:
    """Whether a change is being made of which something is written."""
    written = _written.get()
    return written is not None and written.is_set()


def current_address() -> str:
    """The address that calls are made for now, or ""."""
    return _address.get()


def log_call(operation: str, seconds: float, result: str, request_id: str = "") -> None:
    """Notes one call. `seconds`: how long it took; `result`: an HTTP status or an error's code."""
    LOGGER.info(
        "%s %s %.0f ms %s%s",
        current_address(),
        operation,
        seconds * 1000,
        result,
        f" request-id={request_id}" if request_id else "",
    )
