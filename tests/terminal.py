"""A reader at a terminal: `python -m tests.terminal FILE COMMAND…` runs a command in a terminal of its own.

Asked for a password, it types what is in FILE, once. It ends as the command does. https://docs.python.org/3/library/pty.html
"""

from __future__ import annotations

import os
import pty
import sys
import termios
import time
from pathlib import Path


def at_a_terminal(secret: Path, command: list[str]) -> int:
    """Runs the command; its exit code."""
    shown, typed = b"", False

    def show(terminal: int) -> bytes:
        nonlocal shown, typed
        some = os.read(terminal, 4096)
        shown += some
        if shown.lower().endswith(b"password: ") and not typed:
            _unseen(terminal)
            os.write(terminal, secret.read_bytes() + b"\n")
            typed = True
        return some

    return os.waitstatus_to_exitcode(pty.spawn(command, show))


def _unseen(terminal: int) -> None:
    """Waits until what is typed is no longer shown: programs ask first, and then turn it off."""
    for _ in range(500):
        if not termios.tcgetattr(terminal)[3] & termios.ECHO:
            return
        time.sleep(0.01)


if __name__ == "__main__":
    sys.exit(at_a_terminal(Path(sys.argv[1]), sys.argv[2:]))
