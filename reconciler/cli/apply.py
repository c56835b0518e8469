"""`reconciler apply`: makes the spec, or a saved plan, true."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reconciler.words import counted

if TYPE_CHECKING:
    from reconciler.engine.plan import Plan

from .exits import told
from .options import (
    DEFAULT_SPEC,
    DEFAULT_TIMEOUT,
    Adopt,
    Allow,
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
    allow: Allow = None,
    skip_stale: Annotated[
        bool,
        typer.Option("--skip-stale", help="Skip the stale changes of a saved plan and apply the rest; exits with 4."),
    ] = False,
    spec: Annotated[
        Path | None,
        typer.Option(
            "--spec",
            metavar="SPEC",
            help="Apply a saved plan only if it was made from this spec: the one that is checked out. Exits with 4 if not.",
        ),
    ] = None,
    verify: Verify = False,
    log: LogFile = None,
    rescue: Rescue = Path(),
    parallelism: Parallelism = 32,
    timeout: Timeout = DEFAULT_TIMEOUT,
    job_summary: Annotated[
        bool,
        typer.Option(
            "--job-summary",
            help="Write the outcomes to $GITHUB_STEP_SUMMARY, and changed, widens and gains (JSON) to $GITHUB_OUTPUT.",
        ),
    ] = False,
    full: Annotated[bool, typer.Option("--full", help="Show every change, even where many are alike.")] = False,
    verbose: Verbose = 0,
) -> int:
    """Show the plan, ask, and carry it out. A saved plan is refused if any resource that it touches has changed since."""
    from reconciler.engine.plan import Plan
    from reconciler.engine.wishes import Wishes
    from reconciler.errors import ReconcilerError

    from .carry_out import ApplyOptions, apply_saved, plan_and_carry_out
    from .files import spec_or_plan
    from .job_summary import check

    log_calls(verbose)
    folder = folder_of_rescue(rescue)
    given = spec_or_plan(source)
    saved = isinstance(given, Plan)
    if saved and (target or adopt or allow_delete or allow):
        raise ReconcilerError(
            "a saved plan is applied as it is: give --target, --adopt, --allow-delete and --allow to plan instead"
        )
    if skip_stale and not saved:
        raise ReconcilerError("--skip-stale needs a saved plan")
    if spec is not None and not isinstance(given, Plan):
        raise ReconcilerError("--spec is for a saved plan; the spec itself is applied as it is")
    if isinstance(given, Plan) and spec is not None:
        refuse_other_spec(given, spec)
    if job_summary:
        check()
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
        job_summary=job_summary,
    )
    if isinstance(given, Plan):
        return apply_saved(given, options, yes, question)
    wishes = Wishes(
        adopt or (),
        allow_delete or (),
        target or (),
        parallelism=parallelism,
        timeout=timeout,
        rescue=folder,
        allow=allow or (),
    )
    return plan_and_carry_out(given, wishes, options, yes, question)


def refuse_other_spec(plan: Plan, path: Path) -> None:
    """Raises OtherSpec, with what differs, unless the plan was made from the spec at a path."""
    from reconciler.api.spec import load_spec
    from reconciler.engine.approved import differing
    from reconciler.errors import OtherSpec
    from reconciler.platforms.catalog import CATALOG
    from reconciler.spec.source import name_of

    if found := differing(plan, load_spec(path), CATALOG):
        raise OtherSpec(name_of(path), found)


def question(changes: int) -> str:
    """What is asked before that many changes."""
    return f"Apply {counted(changes, 'change')}?"
