"""`reconciler destroy`: removes everything that the spec made."""

from __future__ import annotations

from .exits import Exit
from .options import (
    DEFAULT_SPEC,
    AllowDelete,
    LogFile,
    Parallelism,
    SpecArgument,
    Targets,
    Verbose,
    Verify,
    Yes,
    log_calls,
)

NAME = "destroy"
EXAMPLES = "Examples: reconciler destroy; reconciler destroy --target 'sandbox.*' --yes"


def run(
    spec: SpecArgument = DEFAULT_SPEC,
    yes: Yes = False,
    target: Targets = None,
    allow_delete: AllowDelete = None,
    verify: Verify = False,
    log: LogFile = None,
    parallelism: Parallelism = 8,
    verbose: Verbose = False,
) -> int:
    """Remove what the spec's owner owns: protected repositories and those that hold images stop it, foreign things stay."""
    from reconciler.engine.apply import refuse
    from reconciler.engine.plan import Wishes, make_plan
    from reconciler.spec.loader import load_spec

    from .carry_out import carry_out, confirm
    from .plan import Format, print_plan

    log_calls(verbose)
    wishes = Wishes((), allow_delete or (), target or (), destroy=True, parallelism=parallelism)
    plan = make_plan(load_spec(spec), wishes)
    print_plan(plan, Format.TEXT)
    refuse(plan)
    if not plan.changes:
        return Exit.OK
    confirm(f"Destroy these {len(plan.changes)} resources?", yes)
    return carry_out(plan, parallelism=parallelism, saved=False, verify=verify, log=log)
