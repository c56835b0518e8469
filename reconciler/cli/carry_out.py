"""What apply and destroy share: ask, carry out with progress, log, and report what became of it."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

import typer

from reconciler.api.apply import apply
from reconciler.api.plan import plan as make_plan
from reconciler.api.plan import sessions_of
from reconciler.engine.apply import succeeded
from reconciler.engine.expand import estate_of
from reconciler.engine.preflight import refuse
from reconciler.engine.write import Outcome, Status
from reconciler.errors import ReconcilerError
from reconciler.render.outcome import closing_line, outcome_line, outcome_record

from .exits import Exit
from .files import open_private
from .plan import Format, print_plan

if TYPE_CHECKING:
    from reconciler.engine.plan import Plan, Wishes
    from reconciler.model.change import Change
    from reconciler.model.platform import Session
    from reconciler.spec.models import Spec


def confirm(question: str, yes: bool) -> None:
    """Asks on a terminal. Raises ReconcilerError without one, unless `yes`."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise ReconcilerError("there is no terminal to ask on; nothing was written. Review the plan, then add --yes")
    if typer.prompt(f"{question} Only 'yes' will do it", default="no") != "yes":
        raise ReconcilerError("not confirmed; nothing was written")


@dataclass(frozen=True)
class ApplyOptions:
    """How a plan is carried out; as for engine.apply."""

    parallelism: int
    timeout: float
    saved: bool = False
    skip_stale: bool = False
    verify: bool = False
    log: Path | None = None
    rescue: str = "."


#: what to ask before that many changes
Question = Callable[[int], str]


def plan_and_carry_out(spec: Spec, wishes: Wishes, options: ApplyOptions, yes: bool, question: Question) -> Exit:
    """Plans, shows, asks and carries out, all with the same sessions; returns the exit code."""
    estate = estate_of(spec, wishes.parallelism, wishes.timeout, wishes.rescue)
    with sessions_of(estate) as sessions:
        plan = make_plan(spec, wishes, sessions=sessions)
        return show_and_carry_out(plan, sessions, options, yes, question)


def show_and_carry_out(
    plan: Plan, sessions: Mapping[str, Session] | None, options: ApplyOptions, yes: bool, question: Question
) -> Exit:
    """Shows the plan, refuses what may not be applied, asks, and carries out."""
    print_plan(plan, Format.TEXT)
    refuse(plan)
    if not plan.changes:
        return Exit.OK
    confirm(question(len(plan.changes)), yes)
    with ExitStack() as stack:
        stop = stack.enter_context(_interruptible())
        log = stack.enter_context(_log(options.log))
        start, done = stack.enter_context(_progress(len(plan.changes)))

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
            stop=stop,
            on_start=start,
            on_outcome=finish,
        )
    typer.echo(closing_line(outcomes, interrupted=stop.is_set(), destroy=plan.destroy))
    return _exit_code(outcomes)


def _exit_code(outcomes: list[Outcome]) -> Exit:
    found = {outcome.status for outcome in outcomes}
    if Status.STALE in found and Status.FAILED not in found:
        return Exit.STALE
    return Exit.OK if succeeded(outcomes) else Exit.ERROR


@contextmanager
def _interruptible() -> Iterator[Event]:
    """Ctrl-C and SIGTERM ask for a stop: what is under way is finished. A second one ends the process at once."""
    stop = Event()
    before = {}

    def ask(number: int, frame: object) -> None:
        if stop.is_set():
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        stop.set()
        typer.echo("Stopping: what is under way is finished, nothing new is started.", err=True)

    for number in (signal.SIGINT, signal.SIGTERM):
        before[number] = signal.signal(number, ask)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _log(path: Path | None) -> Iterator[Callable[[Outcome], None]]:
    if path is None:
        yield lambda outcome: None
        return
    with open_private(path, "a") as file:

        def log(outcome: Outcome) -> None:
            file.write(json.dumps({"time": datetime.now(UTC).isoformat(), **outcome_record(outcome)}) + "\n")
            file.flush()

        yield log


@contextmanager
def _progress(total: int) -> Iterator[tuple[Callable[[Change], None], Callable[[Outcome], None]]]:
    if not sys.stdout.isatty():
        yield (lambda change: None), (lambda outcome: typer.echo(outcome_line(outcome)))
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(highlight=False, soft_wrap=True)
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
