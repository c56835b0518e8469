"""`reconciler show`: a saved plan, printed. Reads the file only."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .exits import Exit
from .plan import Format, FormatOption, print_plan

EXAMPLES = "Examples: reconciler show plan.json; reconciler show plan.json --format markdown"


def run(
    plan: Annotated[Path, typer.Argument(metavar="PLAN", help="A plan saved by plan --out.")],
    form: FormatOption = Format.TEXT,
) -> int:
    """Print a saved plan."""
    from reconciler.engine import plan_file

    print_plan(plan_file.read(plan), form)
    return Exit.OK
