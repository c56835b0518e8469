"""Ctrl-C, SIGTERM and SIGHUP: while a command reads they end it; while it writes, what is under way is finished first."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Event
from types import FrameType

import typer

_SIGNALS = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
_SHOW_CURSOR = b"\x1b[?25h"


class Stopping:
    """`asked`: set by the first signal after `writing` became true."""

    def __init__(self) -> None:
        self.asked = Event()
        self.writing = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """The signals' handler."""
        if not self.writing:
            if number == signal.SIGINT:
                raise KeyboardInterrupt
            _end_by(number)
        if not self.asked.is_set():
            self.asked.set()
            typer.echo("Stopping: finishing what is under way; nothing new is started.", err=True)
        elif number in (signal.SIGINT, signal.SIGTERM):  # a terminal that closes sends SIGHUP more than once
            _end_by(number)


@contextmanager
def stopping() -> Iterator[Stopping]:
    """The signals ask for a stop inside. What the caller ignores (nohup, say) stays ignored."""
    found = Stopping()
    before = {number: handler for number in _SIGNALS if (handler := signal.getsignal(number)) != signal.SIG_IGN}
    for number in before:
        signal.signal(number, found)
    try:
        yield found
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end_by(number: int) -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            if stream.isatty():  # a progress bar hides it
                os.write(stream.fileno(), _SHOW_CURSOR)
    signal.signal(number, signal.SIG_DFL)
    signal.raise_signal(number)
