"""The command line. `main` is the console script."""

from __future__ import annotations

import gc
import sys


def collect_seldom() -> None:
    """A run is short and builds large trees that stay: collecting garbage as often as a server would is wasted time."""
    gc.set_threshold(100_000, 50, 100)


def main() -> None:
    """Runs the command line and exits with its code; the only place that turns errors into text and exit codes."""
    collect_seldom()
    from .app import run

    sys.exit(run(sys.argv[1:]))
