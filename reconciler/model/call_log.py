"""The log of API calls that `-v` shows: which address, which call, how long, which request id. Never a body or a header."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

LOGGER = logging.getLogger("reconciler.calls")
_address: ContextVar[str] = ContextVar("address", default="")


@contextmanager
def working_on(address: str) -> Iterator[None]:
    """Calls made inside are for this address."""
    token = _address.set(address)
    try:
        yield
    finally:
        _address.reset(token)


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
