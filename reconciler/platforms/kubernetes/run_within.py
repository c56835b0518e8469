"""A program of its own: runs a command that a kubeconfig names for its login, and ends it if it takes too long.

    python run_within.py ALONE ASKING COMMAND [ARGUMENT ...]

The command has ALONE seconds, or ASKING if somebody is there to be asked: then it has the terminal. Else it has none: it reads an
empty input, and can't open `/dev/tty`. The client library itself sets no limit (`kubernetes.config.exec_provider`).
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from threading import Thread

#: the exit codes of timeout(1): the command took too long, and could not be run
OVERDUE, MISSING = 124, 127
#: bytes that are kept of what the command says: a login is far shorter, and some go on for ever
KEPT = 1 << 20

#: the signals that end a process unless it handles them, and that somebody sends
ENDING = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


def asked() -> bool:
    """Whether the client library says that somebody can be asked.

    https://kubernetes.io/docs/reference/access-authn-authz/authentication/#input-and-output-formats
    """
    try:
        return bool(json.loads(os.environ["KUBERNETES_EXEC_INFO"])["spec"]["interactive"])
    except (KeyError, TypeError, ValueError):
        return False


def main(arguments: Sequence[str]) -> int:
    """Runs the command; its exit code."""
    alone, asking, *command = arguments
    terminal = asked()
    for name in ENDING:  # whoever runs this may be ended by it, and the command, in a session of its own, would go on
        signal.signal(name, _ended)
    try:
        process = subprocess.Popen(  # noqa: S603 - what the user's own kubeconfig names, as kubectl runs it
            command,
            stdin=None if terminal else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=None if terminal else subprocess.PIPE,
            start_new_session=not terminal,
        )
    except OSError:
        return MISSING
    try:
        # until nobody holds its output any more: the client library waits for that
        output, errors = _said(process, float(asking if terminal else alone))
    except subprocess.TimeoutExpired:
        return OVERDUE
    finally:
        if process.returncode is None:
            _end(process, group=not terminal)
    sys.stdout.buffer.write(output)
    sys.stderr.buffer.write(errors)
    return process.returncode if process.returncode >= 0 else 128 - process.returncode


def _said(process: subprocess.Popen[bytes], limit: float) -> Sequence[bytes]:
    """What a command writes to its output and to its errors, the first KEPT bytes of each. Raises TimeoutExpired."""
    end = time.monotonic() + limit
    kept = bytearray(), bytearray()
    readers = [
        Thread(target=_read, args=(stream.fileno(), into), daemon=True)
        for stream, into in zip((process.stdout, process.stderr), kept, strict=True)
        if stream is not None
    ]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join(max(0.0, end - time.monotonic()))
        if reader.is_alive():
            raise subprocess.TimeoutExpired(process.args, limit)
    process.wait(max(0.0, end - time.monotonic()))
    return tuple(map(bytes, kept))


def _read(stream: int, into: bytearray) -> None:
    while found := os.read(stream, 1 << 16):
        into += found[: max(0, KEPT - len(into))]


def _ended(number: int, frame: object) -> None:
    """Ends this program by way of what is to be done at its end."""
    sys.exit(128 + number)


def _end(process: subprocess.Popen[bytes], *, group: bool) -> None:
    """Ends a command, and what it has started itself if all that is one group."""
    try:
        if group and hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    except ProcessLookupError:
        return
    process.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
