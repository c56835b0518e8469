"""Lines on standard output: in colour on a terminal, plain elsewhere and with NO_COLOR."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reconciler.render.text import Line


def coloured() -> bool:
    """Whether standard output is a terminal that wants colour (https://no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def print_lines(lines: Iterable[Line]) -> None:
    """Prints the lines."""
    if not coloured():
        sys.stdout.writelines(f"{line.text}\n" for line in lines)
        return
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True, emoji=False)
    for line in lines:
        console.print(line.text, style=line.style or None, markup=False)
