"""The command line. `main` is the console script."""

from __future__ import annotations

import os
import sys

# by name: the command's module `gc` becomes an attribute of this package
from gc import freeze, set_threshold


def collect_seldom() -> None:
    """A run is short and builds large trees that stay: collecting garbage as often as a server would is wasted time."""
    set_threshold(500_000, 50, 100)


def main() -> None:
    """Runs the command line and exits with its code; the only place that turns errors into text and exit codes."""
    collect_seldom()
    # pydantic would load every plugin that is installed beside it at each start, and run it over the spec
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    from .app import run

    code = run(sys.argv[1:])
    freeze()  # the process ends: this spares the interpreter its last search for garbage
    sys.exit(code)
