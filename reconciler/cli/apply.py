"""`reconciler apply`: makes the spec, or a saved plan, true."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reconciler.words import counted

from .options import (
    DEFAULT_SPEC,
    Adopt,
    AllowDelete,
    LogFile,
    Parallelism,
    Rescue,
    Targets,
    Verbose,
    Verify,
    Yes,
    is_plan_file,
    log_calls,
)

EXAMPLES = "Examples: reconciler apply; reconciler apply plan.json --yes; reconciler apply --yes --log outcomes.jsonl"


def run(
    source: Annotated[
        Path, typer.Argument(metavar="SPEC|PLAN", help="The spec, or a plan saved by plan --out.")
    ] = DEFAULT_SPEC,
    yes: Yes = False,
    target: Targets = None,
    adopt: Adopt = None,
    allow_delete: AllowDelete = None,
    verify: Verify = False,
    log: LogFile = None,
    rescue: Rescue = Path(),
    parallelism: Parallelism = 8,
    verbose: Verbose = False,
) -> int:
    """Show the plan, ask, and carry it out. A saved plan is refused if anything that it touches has moved since."""
    from reconciler.api.plan_file import read_plan
    from reconciler.api.spec import load_spec
    from reconciler.engine.plan import Wishes
    from reconciler.errors import ReconcilerError

    from .carry_out import ApplyOptions, plan_and_carry_out, show_and_carry_out

    log_calls(verbose)
    saved = is_plan_file(source)
    if saved and (target or adopt or allow_delete):
        raise ReconcilerError("--target, --adopt and --allow-delete belong to plan; a saved plan is applied as it is")
    options = ApplyOptions(parallelism=parallelism, saved=saved, verify=verify, log=log, rescue=str(rescue))
    if saved:
        return show_and_carry_out(read_plan(source), None, options, yes, question)
    wishes = Wishes(adopt or (), allow_delete or (), target or (), parallelism=parallelism, rescue=str(rescue))
    return plan_and_carry_out(load_spec(source), wishes, options, yes, question)


def question(changes: int) -> str:
    """What is asked before that many changes."""
    return f"Apply {counted(changes, 'change')}?"
