"""`reconciler apply`: makes the spec, or a saved plan, true."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from reconciler.words import counted

from .exits import told
from .options import (
    DEFAULT_SPEC,
    DEFAULT_TIMEOUT,
    Adopt,
    AllowDelete,
    LogFile,
    Parallelism,
    Rescue,
    Targets,
    Timeout,
    Verbose,
    Verify,
    Yes,
    folder_of_rescue,
    log_calls,
)

EXAMPLES = "Examples: reconciler apply; reconciler apply plan.json --yes; reconciler apply --yes --log outcomes.jsonl"
EXITS = told(
    ok="done, or nothing to do",
    error="an error, or a change that was not made",
    guard="a guard stops the plan",
    stale="the saved plan is stale, or a resource changed meanwhile",
    conflict="a conflict",
)


def run(
    source: Annotated[
        Path, typer.Argument(metavar="SPEC|PLAN", help="The spec, or a plan saved by plan --out; - is standard input.")
    ] = DEFAULT_SPEC,
    yes: Yes = False,
    target: Targets = None,
    adopt: Adopt = None,
    allow_delete: AllowDelete = None,
    skip_stale: Annotated[
        bool,
        typer.Option("--skip-stale", help="Skip the stale changes of a saved plan and apply the rest; exits with 4."),
    ] = False,
    verify: Verify = False,
    log: LogFile = None,
    rescue: Rescue = Path(),
    parallelism: Parallelism = 32,
    timeout: Timeout = DEFAULT_TIMEOUT,
    full: Annotated[bool, typer.Option("--full", help="Show every change, even where many are alike.")] = False,
    verbose: Verbose = 0,
) -> int:
    """Show the plan, ask, and carry it out. A saved plan is refused if any resource that it touches has changed since."""
    from reconciler.engine.plan import Plan
    from reconciler.engine.wishes import Wishes
    from reconciler.errors import ReconcilerError

    from .carry_out import ApplyOptions, apply_saved, plan_and_carry_out
    from .files import spec_or_plan

    log_calls(verbose)
    folder = folder_of_rescue(rescue)
    given = spec_or_plan(source)
    saved = isinstance(given, Plan)
    if saved and (target or adopt or allow_delete):
        raise ReconcilerError(
            "a saved plan is applied as it is: give --target, --adopt and --allow-delete to plan instead"
        )
    if skip_stale and not saved:
        raise ReconcilerError("--skip-stale needs a saved plan")
    options = ApplyOptions(
        parallelism=parallelism,
        timeout=timeout,
        saved=saved,
        skip_stale=skip_stale,
        verify=verify,
        log=log,
        rescue=folder,
        full=full,
        fold=True,
    )
    if isinstance(given, Plan):
        return apply_saved(given, options, yes, question)
    wishes = Wishes(
        adopt or (), allow_delete or (), target or (), parallelism=parallelism, timeout=timeout, rescue=folder
    )
    return plan_and_carry_out(given, wishes, options, yes, question)


def question(changes: int) -> str:
    """What is asked before that many changes."""
    return f"Apply {counted(changes, 'change')}?"
