"""`python -m tests.emulators.gcp --port P`: the stand-in as a process.

Prints `ready http://127.0.0.1:P` when it serves, and ends with SIGTERM or SIGINT.
"""

from __future__ import annotations

import argparse
import signal
from threading import Event

from .server import serving


def main() -> int:
    """Serves until it is told to end."""
    parser = argparse.ArgumentParser(prog="python -m tests.emulators.gcp", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="the port of 127.0.0.1 to serve on; 0: any free one")
    parser.add_argument("--steady", action="store_true", help="fresh service accounts are known at once and always")
    arguments = parser.parse_args()
    over = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    try:
        with serving(arguments.port) as server:
            if arguments.steady:
                server.cloud.state.knobs.flaps = ()
            print(f"ready {server.url}", flush=True)
            over.wait()
    except OSError as error:
        parser.error(
            f"can't serve on port {arguments.port}: {error.strerror}; choose another with --port, or 0 for any free one"
        )
    return 0


raise SystemExit(main())
