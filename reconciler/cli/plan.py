"""`reconciler plan`: what would apply do?"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .exits import Exit, of_problems, told
from .options import (
    DEFAULT_SPEC,
    DEFAULT_TIMEOUT,
    Adopt,
    Allow,
    AllowDelete,
    Full,
    Parallelism,
    Rescue,
    SpecArgument,
    Targets,
    Timeout,
    Verbose,
    folder_of_rescue,
    log_calls,
)

if TYPE_CHECKING:
    from reconciler.engine.plan import Plan

EXAMPLES = (
    "Examples: reconciler plan; reconciler plan --out plan.json --detailed-exitcode;"
    " reconciler plan specs/ --format markdown; reconciler plan --target 'images.access.*'"
)
EXITS = told(
    ok="fine",
    changes="changes, or something pending (with --detailed-exitcode)",
    guard="a guard stops the plan",
    conflict="a conflict",
)


class Format(StrEnum):
    """How a plan is printed."""

    TEXT = "text"
    JSON = "json"
    MARKDOWN = "markdown"


FormatOption = Annotated[Format, typer.Option("--format", help="The output format.")]


def run(
    spec: SpecArgument = DEFAULT_SPEC,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Save the plan to this file, for apply.")
    ] = None,
    form: FormatOption = Format.TEXT,
    destroy: Annotated[
        bool, typer.Option("--destroy", help="Plan the deletion of everything that this spec owns.")
    ] = False,
    detailed_exitcode: Annotated[
        bool, typer.Option("--detailed-exitcode", help="Exit with 2 if there are changes, or something is pending.")
    ] = False,
    target: Targets = None,
    adopt: Adopt = None,
    allow_delete: AllowDelete = None,
    allow: Allow = None,
    count_expiring: Annotated[
        bool,
        typer.Option("--count-expiring", help="Count the images that expire by a changed retention; it takes a while."),
    ] = False,
    rescue: Rescue = Path(),
    parallelism: Parallelism = 32,
    timeout: Timeout = DEFAULT_TIMEOUT,
    full: Full = False,
    verbose: Verbose = 0,
) -> int:
    """Show what apply would change, and who gains or loses access. Also shows what the guards say. Writes nothing."""
    from reconciler.api.plan import plan as make_plan
    from reconciler.api.spec import load_spec
    from reconciler.engine.wishes import Wishes
    from reconciler.errors import ReconcilerError

    from .reading import reading

    log_calls(verbose)
    folder = folder_of_rescue(rescue)
    if str(out) == "-":
        raise ReconcilerError("--out takes a file; to print the plan file on standard output, use --format json")
    wishes = Wishes(
        adopt or (),
        allow_delete or (),
        target or (),
        destroy=destroy,
        parallelism=parallelism,
        timeout=timeout,
        rescue=folder,
        count_expiring=count_expiring,
        allow=allow or (),
    )
    loaded = load_spec(spec)
    with reading(registry.name for registry in loaded.registries) as on_read:
        plan = make_plan(loaded, wishes, on_read=on_read)
    if out is not None:
        save(plan, out)
    print_plan(plan, form, full=full)
    if out is not None and form is Format.TEXT:
        typer.echo(saved(plan, out))
    return exit_code(plan, detailed_exitcode)


def saved(plan: Plan, path: Path) -> str:
    """What is said below a plan that was saved: how to apply it, or where it stands what must be changed before."""
    from reconciler.render.report import HEADINGS, Topic

    if not (plan.problems or plan.violations):
        return f"Saved to {path}. To apply exactly this plan: reconciler apply {path}"
    topics = [topic for topic, there in ((Topic.PROBLEMS, plan.problems), (Topic.VIOLATIONS, plan.violations)) if there]
    above = " and ".join(f'"{HEADINGS[topic]}"' for topic in topics)
    return f"Saved to {path}; apply will refuse it. Fix what is listed above under {above}, then plan again."


def save(plan: Plan, path: Path) -> None:
    """Writes the plan file, for its owner alone. Raises ReconcilerError if it can't be written."""
    from reconciler.engine.plan_file import dumps
    from reconciler.errors import ReconcilerError
    from reconciler.spec.source import real_folder_of

    from .files import open_private

    text = dumps(plan, real_folder_of(path))
    try:
        with open_private(path, "w") as file:
            file.write(text)
    except OSError as error:
        raise ReconcilerError(f"{path} can't be written: {error.strerror}") from None


def print_plan(plan: Plan, form: Format, *, full: bool, fold: bool = False) -> None:
    """Prints the plan in a form. Unless `full`, a sentence on gains names some of many repositories; as text, and if `fold`, changes
    and principals that are alike are folded too."""
    if form is Format.JSON:
        from reconciler.engine.plan_file import dumps

        typer.echo(dumps(plan), nl=False)
    elif form is Format.MARKDOWN:
        from reconciler.render.markdown import plan_markdown
        from reconciler.render.report import report_of

        typer.echo(plan_markdown(report_of(plan, gathered=not full)), nl=False)
    else:
        from reconciler.render.report import report_of
        from reconciler.render.text import plan_lines

        from .printing import print_lines

        each = full or not fold
        print_lines(plan_lines(report_of(plan, full=each, gathered=not full), full=each))


def exit_code(plan: Plan, detailed: bool) -> Exit:
    """What a plan that was shown exits with."""
    if plan.problems:
        return of_problems(plan)
    if plan.violations:
        return Exit.GUARD
    return Exit.CHANGES if detailed and (plan.changes or plan.pending) else Exit.OK
