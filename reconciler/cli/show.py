"""`reconciler show`: a saved plan, printed. Reads the file only."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .exits import Exit
from .options import Full
from .plan import Format, FormatOption, print_plan

EXAMPLES = "Examples: reconciler show plan.json; reconciler show plan.json --format markdown"


def run(
    plan: Annotated[Path, typer.Argument(metavar="PLAN", help="A plan saved by plan --out; - is standard input.")],
    form: FormatOption = Format.TEXT,
    full: Full = False,
) -> int:
    """Print a saved plan."""
    from reconciler.api.plan_file import read_plan

    print_plan(read_plan(plan), form, full=full)
    return Exit.OK
