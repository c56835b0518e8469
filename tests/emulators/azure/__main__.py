"""`python -m tests.emulators.azure --port P --ca-out FILE`: the stand-in as a process.

Prints `ready https://localhost:P` when it serves, and ends with SIGTERM or SIGINT. FILE has the certificate that clients must trust.
"""

from __future__ import annotations

import argparse
import signal
from pathlib import Path
from threading import Event

from .server import serving


def main() -> int:
    """Serves until it is told to end."""
    parser = argparse.ArgumentParser(prog="python -m tests.emulators.azure", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="the port of localhost to serve on; 0: any free one")
    parser.add_argument("--ca-out", type=Path, required=True, help="where the CA's certificate is written")
    parser.add_argument(
        "--login-server",
        default="{here}",
        help="what login servers are: {name}, {hash} and {here} stand for themselves",
    )
    arguments = parser.parse_args()
    over = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    try:
        with serving(arguments.ca_out, arguments.port) as server:
            server.cloud.state.knobs.login_server = arguments.login_server
            print(f"ready {server.url}", flush=True)
            over.wait()
    except OSError as error:
        parser.error(
            f"can't serve on port {arguments.port}: {error.strerror}; choose another with --port, or 0 for any free one"
        )
    return 0


raise SystemExit(main())
