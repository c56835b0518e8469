"""The command line. `main` is the console script."""

from __future__ import annotations

import os
import sys

# by name: the command's module `gc` becomes an attribute of this package
from gc import freeze, set_threshold

#: 128 and SIGINT's number, as shells have it
_INTERRUPTED = 130


def collect_seldom() -> None:
    """A run is short and builds large trees that stay: collecting garbage as often as a server would is wasted time."""
    set_threshold(500_000, 50, 100)


def main() -> None:
    """Runs the command line and exits with its code; the only place that turns errors into text and exit codes."""
    collect_seldom()
    # pydantic would load every plugin that is installed beside it at each start, and run it over the spec
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    try:
        from .app import run
        from .streams import occupy, settle

        occupy()
        code = run(sys.argv[1:])
        settle()
    except KeyboardInterrupt:  # once more, while the first one was being reported
        code = _INTERRUPTED
    if code == _INTERRUPTED:
        os._exit(code)  # the interpreter would wait for the answers of calls that are under way
    freeze()  # the process ends: this spares the interpreter its last search for garbage
    sys.exit(code)
