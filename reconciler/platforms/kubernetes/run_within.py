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
from collections.abc import Sequence

#: the exit codes of timeout(1): the command took too long, and could not be run
OVERDUE, MISSING = 124, 127

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
        output, errors = process.communicate(timeout=float(asking if terminal else alone))
    except subprocess.TimeoutExpired:
        return OVERDUE
    finally:
        if process.returncode is None:
            _end(process, group=not terminal)
    sys.stdout.buffer.write(output)
    sys.stderr.buffer.write(errors or b"")
    return process.returncode if process.returncode >= 0 else 128 - process.returncode


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
