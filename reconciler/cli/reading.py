"""A bar for each registry while it is read: on standard error, on a terminal, not in CI and not beside the log of calls."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING

from .stopping import stopping

if TYPE_CHECKING:
    from reconciler.engine.observe import OnRead


def wanted() -> bool:
    """Whether somebody looks: a terminal that can move its cursor, and no CI (most of them set CI,
    https://docs.github.com/actions/reference/workflows-and-actions/variables)."""
    logged = logging.getLogger("reconciler.calls").isEnabledFor(logging.INFO)
    return sys.stderr.isatty() and not os.environ.get("CI") and os.environ.get("TERM") != "dumb" and not logged


@contextmanager
def reading(registries: Iterable[str]) -> Iterator[OnRead | None]:
    """Gives what takes the counts of reads that are done and known of, or None where nobody looks."""
    if not wanted():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("reading {task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    # `stopping` shows the cursor again, which a bar hides
    with stopping(), Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        bars = {name: progress.add_task(name, total=0) for name in registries}
        known = dict.fromkeys(bars, 0)
        lock = Lock()

        def count(registry: str, done: int, more: int) -> None:
            with lock:
                known[registry] += more
                progress.update(bars[registry], advance=done, total=known[registry])

        yield count
