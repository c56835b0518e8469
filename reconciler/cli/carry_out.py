"""What apply and destroy share: ask, carry out with progress, log, and report what became of it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Self, TextIO

import typer

from reconciler.api.apply import apply
from reconciler.api.plan import plan as make_plan
from reconciler.api.plan import sessions_of
from reconciler.engine.apply import succeeded
from reconciler.engine.expand import estate_of
from reconciler.engine.guard import ABOUT
from reconciler.engine.preflight import refuse
from reconciler.engine.write import Outcome, Status
from reconciler.errors import GuardViolation, PlanRefused, ReconcilerError
from reconciler.render.outcome import closing_line, outcome_line, outcome_record
from reconciler.render.report import HEADINGS, Topic
from reconciler.words import all_of

from . import streams
from .exits import Exit
from .files import open_private
from .job_summary import leave
from .plan import Format, print_plan
from .reading import reading
from .stopping import Stopping, stopping

if TYPE_CHECKING:
    from reconciler.engine.plan import Plan
    from reconciler.engine.wishes import Wishes
    from reconciler.model.change import Change
    from reconciler.model.platform import Session
    from reconciler.spec.models import Spec


def confirm(question: str, yes: bool) -> None:
    """Asks on a terminal. Raises ReconcilerError without one, unless `yes`."""
    if yes:
        return
    if streams.failed():
        raise ReconcilerError("the plan can't be shown; nothing was written")
    if sys.stdin is None or not sys.stdin.isatty():
        raise ReconcilerError(
            "there is no terminal to confirm on; nothing was written. Review the plan, then add --yes"
        )
    if typer.prompt(f"{question} Only 'yes' is accepted", default="no") != "yes":
        raise ReconcilerError("not confirmed; nothing was written")


@dataclass(frozen=True)
class ApplyOptions:
    """How a plan is carried out; as for engine.apply. `full`, `fold`: how it is shown before, as for `print_plan`.
    `job_summary`: whether a summary is left for the workflow that it runs in."""

    parallelism: int
    timeout: float
    saved: bool = False
    skip_stale: bool = False
    verify: bool = False
    log: Path | None = None
    rescue: str = "."
    full: bool = False
    fold: bool = False
    job_summary: bool = False


#: what to ask before that many changes
Question = Callable[[int], str]


def plan_and_carry_out(spec: Spec, wishes: Wishes, options: ApplyOptions, yes: bool, question: Question) -> Exit:
    """Plans, shows, asks and carries out, all with the same sessions; returns the exit code."""
    estate = estate_of(spec, wishes.parallelism, wishes.timeout, wishes.rescue)
    with stopping() as stop, sessions_of(estate) as sessions:
        with reading(sessions) as on_read:
            plan = make_plan(spec, wishes, sessions=sessions, on_read=on_read)
        return _show_and_carry_out(plan, sessions, options, yes, question, stop)


def apply_saved(plan: Plan, options: ApplyOptions, yes: bool, question: Question) -> Exit:
    """Shows, asks and carries out a plan that was made earlier; returns the exit code."""
    with stopping() as stop:
        return _show_and_carry_out(plan, None, options, yes, question, stop)


def _show_and_carry_out(
    plan: Plan,
    sessions: Mapping[str, Session] | None,
    options: ApplyOptions,
    yes: bool,
    question: Question,
    stop: Stopping,
) -> Exit:
    print_plan(plan, Format.TEXT, full=options.full, fold=options.fold)
    sys.stdout.flush()  # whoever reads along sees the plan before anything is written
    _refuse(plan)
    if not plan.changes:
        with _Log(options.log):  # whoever uploads the file finds one
            if options.job_summary:
                leave(plan, (), closing_line((), interrupted=False, pending=len(plan.pending)))
            return Exit.OK
    confirm(question(len(plan.changes)), yes)
    with _Log(options.log) as log, _progress(len(plan.changes)) as (start, done):

        def begin(change: Change) -> None:
            stop.writing = True
            start(change)

        def finish(outcome: Outcome) -> None:
            log(outcome)
            done(outcome)

        outcomes = apply(
            plan,
            sessions=sessions,
            parallelism=options.parallelism,
            timeout=options.timeout,
            saved=options.saved,
            skip_stale=options.skip_stale,
            verify=options.verify,
            rescue=options.rescue,
            stop=stop.asked,
            on_start=begin,
            on_outcome=finish,
            raise_on_failure=False,
        )
    interrupted = stop.asked.is_set()
    closing = closing_line(outcomes, interrupted=interrupted, destroy=plan.destroy, pending=len(plan.pending))
    typer.echo(closing)
    if options.job_summary:
        leave(plan, outcomes, closing)
    if streams.failed():  # whoever reads the error learns the end of it at least
        typer.echo(closing, err=True)
    if log.failure:
        typer.echo(
            f"Error: {log.path} can't be written: {log.failure}. It lacks some outcomes; the changes themselves are finished.",
            err=True,
        )
        return Exit.ERROR
    if options.verify and stop.asked.is_set():
        typer.echo("Error: interrupted before everything was verified; run `reconciler plan` to check.", err=True)
        return Exit.ERROR
    return _exit_code(outcomes)


def _refuse(plan: Plan) -> None:
    """Raises as `refuse` does, with the reasons by name: the plan that was shown above says them in full."""
    try:
        refuse(plan)
    except PlanRefused as error:
        raise type(error)(f"the plan can't be applied: {_shown_under(Topic.PROBLEMS)}; nothing was written") from None
    except GuardViolation:
        names = sorted({verdict.guard for verdict in plan.violations})
        guards = all_of([f"'{name}' ({ABOUT[name]})" for name in names])
        stop = f"the guard {guards} stops" if len(names) == 1 else f"the guards {guards} stop"
        raise GuardViolation(f"{stop} the plan: {_shown_under(Topic.VIOLATIONS)}; nothing was written") from None


def _shown_under(topic: Topic) -> str:
    return f'see "{HEADINGS[topic]}" above'


def _exit_code(outcomes: list[Outcome]) -> Exit:
    found = {outcome.status for outcome in outcomes}
    if Status.STALE in found and Status.FAILED not in found:
        return Exit.STALE
    return Exit.OK if succeeded(outcomes) else Exit.ERROR


class _Log:
    """Outcomes as lines of JSON in a file, up to the first that can't be written. `failure`: why it couldn't."""

    def __init__(self, path: Path | None) -> None:
        self.path, self.failure = path, ""
        self._file: TextIO | None = None

    def __enter__(self) -> Self:
        """Raises ReconcilerError if the file can't be opened."""
        if self.path is not None:
            self._file = open_private(self.path, "a")
        return self

    def __call__(self, outcome: Outcome) -> None:
        if self._file is None or self.failure:
            return
        try:
            self._file.write(json.dumps({"time": datetime.now(UTC).isoformat(), **outcome_record(outcome)}) + "\n")
            self._file.flush()
        except (OSError, ValueError) as error:
            self.failure = _reason(error)

    def __exit__(self, *raised: object) -> None:
        if self._file is not None:
            with suppress(OSError):  # the rest of what could not be written
                self._file.close()


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


@contextmanager
def _progress(total: int) -> Iterator[tuple[Callable[[Change], None], Callable[[Outcome], None]]]:
    if not sys.stdout.isatty():
        yield (lambda change: None), (lambda outcome: typer.echo(outcome_line(outcome)))
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(highlight=False, soft_wrap=True, emoji=False)
    columns = (
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}", markup=False),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task("", total=total)

        def done(outcome: Outcome) -> None:
            style = None if outcome.status is Status.DONE else "red"
            progress.console.print(outcome_line(outcome), style=style, markup=False)
            progress.advance(bar)

        yield (lambda change: progress.update(bar, description=change.address)), done
