"""`reconciler destroy`: removes everything that the spec made."""

from __future__ import annotations

from reconciler.words import counted

from .exits import told
from .options import (
    DEFAULT_SPEC,
    DEFAULT_TIMEOUT,
    AllowDelete,
    Full,
    LogFile,
    Parallelism,
    SpecArgument,
    Targets,
    Timeout,
    Verbose,
    Verify,
    Yes,
    log_calls,
)

EXAMPLES = "Examples: reconciler destroy; reconciler destroy --target 'sandbox.*' --yes"
EXITS = told(
    ok="done, or nothing to do",
    error="an error, or a change that was not made",
    guard="a guard stops it",
    stale="a resource changed meanwhile",
)


def run(
    spec: SpecArgument = DEFAULT_SPEC,
    yes: Yes = False,
    target: Targets = None,
    allow_delete: AllowDelete = None,
    verify: Verify = False,
    log: LogFile = None,
    parallelism: Parallelism = 32,
    timeout: Timeout = DEFAULT_TIMEOUT,
    full: Full = False,
    verbose: Verbose = 0,
) -> int:
    """Delete what the spec owns. Protected repositories and those that hold images stop it; what others made is kept."""
    from reconciler.api.spec import load_spec
    from reconciler.engine.wishes import Wishes

    from .carry_out import ApplyOptions, plan_and_carry_out

    log_calls(verbose)
    wishes = Wishes((), allow_delete or (), target or (), destroy=True, parallelism=parallelism, timeout=timeout)
    options = ApplyOptions(parallelism=parallelism, timeout=timeout, verify=verify, log=log, full=full)
    return plan_and_carry_out(load_spec(spec), wishes, options, yes, question)


def question(resources: int) -> str:
    """What is asked before that many resources go."""
    return f"Destroy {counted(resources, 'resource')}?"
