"""`reconciler drift`: did somebody change the platforms by hand, or has the spec moved on?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from .exits import Exit, told
from .options import DEFAULT_SPEC, DEFAULT_TIMEOUT, Parallelism, SpecArgument, Targets, Timeout, Verbose, log_calls
from .plan import Format, print_plan

if TYPE_CHECKING:
    from reconciler.engine.plan import Plan

EXAMPLES = (
    "Examples: reconciler drift; reconciler drift --target 'images.*' || notify; reconciler drift --format markdown"
)
EXITS = told(ok="no drift", error="an error or a conflict", changes="drift or pending")


def run(
    spec: SpecArgument = DEFAULT_SPEC,
    target: Targets = None,
    parallelism: Parallelism = 32,
    timeout: Timeout = DEFAULT_TIMEOUT,
    form: Annotated[Format, typer.Option("--format", help="How the differences are printed.")] = Format.TEXT,
    verbose: Verbose = 0,
) -> int:
    """Show what differs from the spec, field by field. Drift (changed since the last apply) stands apart from
    pending (the spec moved on); exits with 2 if there is any, or foreign access that guards would not let the spec give."""
    from reconciler.api.plan import plan as make_plan
    from reconciler.api.spec import load_spec
    from reconciler.engine.plan import Wishes

    from .reading import reading

    log_calls(verbose)
    loaded = load_spec(spec)
    wishes = Wishes(targets=target or (), parallelism=parallelism, timeout=timeout)
    with reading(registry.name for registry in loaded.registries) as on_read:
        plan = make_plan(loaded, wishes, on_read=on_read)
    _print(plan, form)
    if plan.problems:
        return Exit.ERROR
    return Exit.CHANGES if plan.changes or plan.strangers else Exit.OK


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
