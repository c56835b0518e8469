"""A plan made true: every change re-read, written, and checked, on an executor, in the order of the graph."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from contextlib import nullcontext
from dataclasses import dataclass, field
from enum import StrEnum
from graphlib import TopologicalSorter
from threading import Event

from reconciler.errors import GuardViolation, PlanRefused, PlatformError, ReadFailed, ReconcilerError, StalePlan
from reconciler.model.call_log import working_on
from reconciler.model.canonical import applied_hash, fingerprint
from reconciler.model.change import Action, Change
from reconciler.model.platform import Session, Write
from reconciler.model.resource import Live, Marks, Scope

from .diff import changed_settings
from .fields import differences
from .observe import sessions_of
from .plan import Plan

PARALLELISM = 8


class Status(StrEnum):
    """What became of a change."""

    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"  # something it needs failed, or the run was interrupted
    STALE = "stale"  # its resource moved since the plan was made; nothing was written


@dataclass(frozen=True, slots=True)
class Outcome:
    """What apply did with one change. `seconds`: how long it took. `grants`: whose lines an error should name."""

    address: str
    action: Action
    status: Status
    message: str = ""
    seconds: float = 0.0
    request_id: str = ""
    grants: tuple[str, ...] = ()


@dataclass(frozen=True)
class Task:
    """All that one change needs on its way to wherever it is carried out.

    `carried`: its parent was made in this run, with its mark. `remade`: its parent was replaced in this run, and holds what
    others had put there.
    """

    change: Change
    owner: str
    children: Mapping[str, str] = field(default_factory=dict)
    carried: bool = False
    remade: bool = False
    fresh: frozenset[str] = frozenset()


def refuse(plan: Plan) -> None:
    """Raises PlanRefused or GuardViolation unless the plan may be applied."""
    if plan.problems:
        lines = [f"{problem.address}: {problem.message}" for problem in plan.problems]
        raise PlanRefused("the plan can't be applied:\n  " + "\n  ".join(lines))
    if plan.violations:
        lines = [f"{verdict.guard}: {verdict.message}" for verdict in plan.violations]
        raise GuardViolation("a guard stops the plan; nothing was written:\n  " + "\n  ".join(lines))


def check(registries: Iterable[str], sessions: Mapping[str, Session]) -> None:
    """Makes sure, before anything is written, that each registry can be reached as who the spec says. Raises ReadFailed."""
    failures: dict[str, ReconcilerError] = {}
    for name in sorted(registries):
        try:
            with working_on(name):
                sessions[name].check()
        except ReconcilerError as error:
            failures[name] = error
    if failures:
        raise ReadFailed(failures)


def refuse_stale(plan: Plan, sessions: Mapping[str, Session]) -> None:
    """Reads everything that the plan touches again. Raises StalePlan, naming all that moved, if anything did."""
    made = {change.address for change in plan.changes if change.makes}
    touched = [change for change in plan.changes if change.desired is None or change.desired.parent not in made]
    moved: dict[str, str] = {}
    for change, now in read_again(touched, sessions):
        what = moved_since(change, now, sessions[change.registry])
        if what:
            moved[change.address] = what
    if moved:
        raise StalePlan(moved)


def read_again(changes: Iterable[Change], sessions: Mapping[str, Session]) -> Iterator[tuple[Change, Live | None]]:
    """Each change with what is there now, read registry by registry."""
    grouped: dict[str, list[Change]] = {}
    for change in changes:
        grouped.setdefault(change.registry, []).append(change)
    for name, group in sorted(grouped.items()):
        with working_on(name):
            live = sessions[name].observe(Scope({}, frozenset(change.address for change in group))).live
        yield from ((change, live.get(change.address)) for change in group)


def moved_since(change: Change, now: Live | None, session: Session) -> str:
    """What moved between the plan and now, in words; "" if nothing did, or if what was to be deleted is gone already."""
    if now is None and change.action is Action.DELETE:
        return ""
    if fingerprint(now) != change.fingerprint:
        before = change.live
        if now is None:
            return "it is gone since the plan was made"
        if before is None:
            return "it exists now; it did not when the plan was made"
        kind = session.platform.kinds[change.kind]
        fields = differences(kind.shown(before.settings), kind.shown(now.settings))
        if fields:
            return "; ".join(f"{item.path} was {item.old!r}, is {item.new!r} now" for item in fields)
        if before.rest != now.rest:
            return "what others keep in the same document changed"
        return "its owner's marks changed"
    if change.removes and change.images is not None and now is not None:
        count = session.count_images(now)
        if count > change.images:
            return f"it holds {count} images now, {change.images} when the plan was made"
        # a replacement keeps what others gave
        given = session.platform.kinds[change.kind].given_by_others(session, now) if change.desired is None else ()
        new = ", ".join(item.what for item in given if item not in change.foreign)
        if new:
            return f"somebody else gave access since the plan was made: {new}"
    return ""


def apply(
    plan: Plan,
    *,
    sessions: Mapping[str, Session] | None = None,
    executor: Executor | None = None,
    parallelism: int = PARALLELISM,
    saved: bool = False,
    verify: bool = False,
    stop: Event | None = None,
    on_start: Callable[[Change], None] = lambda change: None,
    on_outcome: Callable[[Outcome], None] = lambda outcome: None,
) -> list[Outcome]:
    """Carries the plan out and returns an outcome for each change, in the plan's order.

    `sessions`: those that the plan was made with, already checked; opened and closed here if None. `executor`: where changes
    are carried out (threads, `parallelism` of them, if None). `saved`: the plan comes from a file,
    so everything that it touches is read again first, and nothing is written if anything moved. `verify`: everything touched
    is read once more at the end. `stop`: once set, nothing new is started and what is under way is finished.

    Raises PlanRefused, GuardViolation, ReadFailed or StalePlan before anything is written.
    """
    refuse(plan)
    if not plan.changes:
        return []
    with nullcontext(sessions) if sessions is not None else sessions_of(plan.estate) as opened:
        if sessions is None:
            check({change.registry for change in plan.changes}, opened)
        if saved:
            refuse_stale(plan, opened)
        run = _Run(plan, opened, stop or Event(), on_start, on_outcome)
        if executor is not None:
            run.go(executor, parallelism)
        else:
            with ThreadPoolExecutor(parallelism, thread_name_prefix="apply") as pool:
                run.go(pool, parallelism)
        if verify:
            run.verify()
    return [run.outcomes[change.address] for change in plan.changes]


class _Run:
    def __init__(
        self,
        plan: Plan,
        sessions: Mapping[str, Session],
        stop: Event,
        on_start: Callable[[Change], None],
        on_outcome: Callable[[Outcome], None],
    ) -> None:
        self.plan = plan
        self.stop = stop
        self.sessions = sessions
        self.on_start = on_start
        self.on_outcome = on_outcome
        self.changes = {change.address: change for change in plan.changes}
        self.before: dict[str, list[str]] = {address: [] for address in self.changes}
        for first, then in plan.graph:
            self.before[then].append(first)
        self.children: dict[str, dict[str, str]] = {}
        self.outcomes: dict[str, Outcome] = {}
        self.made = {change.address for change in plan.changes if change.makes}
        self.replaced = {change.address for change in plan.changes if change.action is Action.REPLACE}
        for change in plan.changes:
            wanted = change.desired
            if change.action is not Action.CREATE or wanted is None or wanted.parent is None:
                continue
            if wanted.parent in self.changes and wanted.parent not in self.replaced:
                self.children.setdefault(wanted.parent, {})[change.address] = applied_hash(wanted.settings)

    def go(self, executor: Executor, parallelism: int) -> None:
        sorter = TopologicalSorter(self.before)
        sorter.prepare()
        ready: deque[str] = deque()
        running: dict[Future[Outcome], str] = {}
        while sorter.is_active():
            ready.extend(sorted(sorter.get_ready()))
            while ready and len(running) < parallelism:
                address = ready.popleft()
                blocked = self.blocked(address)
                if blocked is not None:
                    self.settle(blocked)
                    sorter.done(address)
                    ready.extend(sorted(sorter.get_ready()))
                    continue
                change = self.changes[address]
                self.on_start(change)
                running[executor.submit(carry_out, self.sessions[change.registry], self.task(change))] = address
            if running:
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    address = running.pop(future)
                    self.settle(future.result())
                    sorter.done(address)

    def blocked(self, address: str) -> Outcome | None:
        """The outcome of a change that is not even started, or None."""
        change = self.changes[address]
        for need in self.before[address]:
            status = self.outcomes[need].status
            if status is not Status.DONE:
                return Outcome(address, change.action, Status.SKIPPED, f"{need}, which comes first, was {status.value}")
        if self.stop.is_set():
            return Outcome(address, change.action, Status.SKIPPED, "interrupted before it was started")
        return None

    def task(self, change: Change) -> Task:
        parent = change.desired.parent if change.desired is not None else None
        return Task(
            change,
            self.plan.owner,
            self.children.get(change.address, {}),
            carried=parent in self.made and parent not in self.replaced,
            remade=parent in self.replaced,
            fresh=frozenset(self.made.intersection(change.needs)),
        )

    def settle(self, outcome: Outcome) -> None:
        self.outcomes[outcome.address] = outcome
        self.on_outcome(outcome)

    def verify(self) -> None:
        """Reads everything that was touched again; what is not as wanted becomes a failed outcome."""
        done = [change for change in self.plan.changes if self.outcomes[change.address].status is Status.DONE]
        for change, now in read_again(done, self.sessions):
            wrong = unconverged(change, now, self.sessions[change.registry])
            if wrong:
                self.settle(Outcome(change.address, change.action, Status.FAILED, f"did not converge: {wrong}"))


def unconverged(change: Change, now: Live | None, session: Session) -> str:
    """How the resource differs from what was wanted, in words; "" if it does not."""
    wanted = change.desired
    if wanted is None:
        return "" if now is None or now.vacant or now.marks.owner != session.owner else "it is still there"
    if now is None:
        return "it is not there"
    if now.settings == wanted.settings:
        return ""
    kind = session.platform.kinds[change.kind]
    fields = differences(kind.shown(now.settings), kind.shown(wanted.settings))
    return "; ".join(f"{item.path} is {item.old!r}, not {item.new!r}" for item in fields)


def carry_out(session: Session, task: Task) -> Outcome:
    """Carries one change out and never raises what a platform says. A function of its own, so that any executor can run it."""
    change = task.change
    started = time.monotonic()
    status, message, request_id = Status.DONE, "", ""
    grants: tuple[str, ...] = ()
    with working_on(change.address):
        try:
            _write(session, task)
        except PlatformError as error:
            status, message, request_id, grants = Status.FAILED, str(error), error.request_id, error.grants
        except _Moved as moved:
            status, message = Status.STALE, str(moved)
        except ReconcilerError as error:
            status, message = Status.FAILED, str(error)
    return Outcome(change.address, change.action, status, message, time.monotonic() - started, request_id, grants)


class _Moved(ReconcilerError):
    """The resource is not what the plan saw. Nothing was written."""


class _NotConverged(ReconcilerError):
    """The platform accepted the write and answered something else than was asked for."""


def _write(session: Session, task: Task) -> None:
    change = task.change
    kind = session.platform.kinds[change.kind]
    live = change.live
    if task.remade:
        live = session.read(change.address)  # whatever is there, the replacement has just put there
    elif not task.carried and (live is not None or kind.upserts):
        live = session.read(change.address)
        moved = moved_since(change, live, session)
        if moved:
            raise _Moved(moved)
    wanted = change.desired
    if wanted is None:
        if live is not None:
            kind.delete(session, live, force=change.force)
        return
    marks = Marks(task.owner, "spec", applied_hash(wanted.settings))
    write = Write(wanted, marks, changed_settings(wanted, live), task.children, task.carried, task.fresh)
    if live is None:
        now = kind.create(session, write)
    elif change.action is Action.REPLACE:
        now = kind.replace(session, write, live, force=change.force)
    else:
        now = kind.update(session, write, live)
    wrong = unconverged(change, now, session)
    if wrong:
        raise _NotConverged(f"did not converge: the platform answered that {wrong}")


def succeeded(outcomes: Iterable[Outcome]) -> bool:
    """Whether every change was done."""
    return all(outcome.status is Status.DONE for outcome in outcomes)
