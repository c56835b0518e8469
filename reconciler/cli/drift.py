"""`reconciler drift`: did somebody change the platforms by hand, or has the spec moved on?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from .exits import Exit, of_problems, told
from .options import DEFAULT_SPEC, DEFAULT_TIMEOUT, Parallelism, SpecArgument, Targets, Timeout, Verbose, log_calls
from .plan import Format, print_plan

if TYPE_CHECKING:
    from reconciler.engine.plan import Plan

EXAMPLES = (
    "Examples: reconciler drift; reconciler drift --target 'images.*'; reconciler drift --format markdown > drift.md"
)
EXITS = told(ok="no drift", changes="drift or pending", conflict="a conflict")


def run(
    spec: SpecArgument = DEFAULT_SPEC,
    target: Targets = None,
    parallelism: Parallelism = 32,
    timeout: Timeout = DEFAULT_TIMEOUT,
    form: Annotated[Format, typer.Option("--format", help="The output format.")] = Format.TEXT,
    verbose: Verbose = 0,
) -> int:
    """Show what differs from the spec, field by field. Drift (changed since the last apply) is shown apart from outdated (a login
    ends, or is to be another one) and pending (the spec has changed, or waits for what is not there yet). Exits
    with 2 if there is any of these, or foreign access that the guards would not allow in the spec."""
    from reconciler.api.plan import plan as make_plan
    from reconciler.api.spec import load_spec
    from reconciler.engine.wishes import Wishes

    from .reading import reading

    log_calls(verbose)
    loaded = load_spec(spec)
    wishes = Wishes(targets=target or (), parallelism=parallelism, timeout=timeout)
    with reading(registry.name for registry in loaded.registries) as on_read:
        plan = make_plan(loaded, wishes, on_read=on_read)
    _print(plan, form)
    if plan.problems:
        return of_problems(plan)
    return Exit.CHANGES if plan.changes or plan.strangers or plan.pending else Exit.OK


def _print(plan: Plan, form: Format) -> None:
    from reconciler.render.report import report_of

    if form is Format.JSON:
        print_plan(plan, form, full=True)
    elif form is Format.MARKDOWN:
        from reconciler.render.markdown import drift_markdown

        typer.echo(drift_markdown(report_of(plan)), nl=False)
    else:
        from reconciler.render.text import drift_lines

        from .printing import print_lines

        print_lines(drift_lines(report_of(plan)))
