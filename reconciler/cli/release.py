"""`reconciler release`: lets go of a repository, which stays as it is."""

from __future__ import annotations

from typing import Annotated

import typer

from reconciler.words import counted

from .exits import Exit, told
from .options import (
    DEFAULT_SPEC,
    DEFAULT_TIMEOUT,
    LogFile,
    Parallelism,
    SpecArgument,
    Timeout,
    Verbose,
    Verify,
    Yes,
    log_calls,
)

EXAMPLES = (
    "Examples: reconciler release images.repository.app-a; reconciler release images.repository.app-a specs/ --yes"
)
EXITS = told(
    ok="done",
    error="an error, a conflict, or something that was not done",
    guard="a guard stops it",
    stale="what a change is about moved meanwhile",
)


def run(
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="The repository, as a plan names it.")],
    spec: SpecArgument = DEFAULT_SPEC,
    yes: Yes = False,
    verify: Verify = False,
    log: LogFile = None,
    parallelism: Parallelism = 32,
    timeout: Timeout = DEFAULT_TIMEOUT,
    verbose: Verbose = 0,
) -> int:
    """Let go of a repository, which stays with its images. Marks and grants go; take it out of the spec afterwards."""
    from reconciler.api.spec import load_spec
    from reconciler.engine.plan import Wishes
    from reconciler.model.address import Address

    from .carry_out import ApplyOptions, plan_and_carry_out

    log_calls(verbose)
    wishes = Wishes(release=(address,), parallelism=parallelism, timeout=timeout)
    options = ApplyOptions(parallelism=parallelism, timeout=timeout, verify=verify, log=log)
    loaded = load_spec(spec)
    code = plan_and_carry_out(loaded, wishes, options, yes, question)
    at = Address(address)
    wanted = [item for item in loaded.repositories if (item.registry, item.name) == (at.registry, at.name)]
    if code is Exit.OK and any(not item.release for item in wanted):
        typer.echo(
            f"Take repository {at.name} out of the spec now: a plan would find one that exists and that nobody owns."
        )
    return code


def question(changes: int) -> str:
    """What is asked before it is done."""
    return f"Make {counted(changes, 'change')}?"
