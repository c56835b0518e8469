"""A plan made true: its changes on an executor, in the order of the graph. Scheduling only; `write.py` makes one change."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from contextlib import nullcontext, suppress
from dataclasses import replace
from graphlib import TopologicalSorter
from threading import Event
from typing import TypeVar

from reconciler.errors import ReconcilerError
from reconciler.model.address import Address
from reconciler.model.call_log import working_on
from reconciler.model.change import Action, Change
from reconciler.model.marks import Origin
from reconciler.model.platform import PARALLELISM, TIMEOUT, Platforms
from reconciler.model.resource import Desired, Live

from .observe import read_again
from .plan import Plan
from .preflight import (
    at_first,
    forgotten,
    known,
    refuse,
    refuse_altered,
    refuse_elsewhere,
    refuse_stale,
    stale,
    with_wholes,
)
from .sessions import Sessions, check, sessions_of
from .whole import going_with
from .write import Outcome, Status, Task, carry_out, unconverged

T = TypeVar("T")
#: changes that are verified between two looks for a stop
VERIFIED_AT_ONCE = 100


def apply(
    plan: Plan,
    *,
    platforms: Platforms,
    sessions: Sessions | None = None,
    executor: Executor | None = None,
    parallelism: int = PARALLELISM,
    timeout: float = TIMEOUT,
    saved: bool = False,
    skip_stale: bool = False,
    verify: bool = False,
    rescue: str = ".",
    stop: Event | None = None,
    on_start: Callable[[Change], None] = lambda change: None,
    on_outcome: Callable[[Outcome], None] = lambda outcome: None,
) -> list[Outcome]:
    """Carries the plan out and returns an outcome for each change, in the plan's order.

    `platforms`: the catalog that sessions are opened by. `sessions`: those that the plan was made with, already checked; opened
    and closed here if None. `executor`: where changes are carried out (threads if None). `parallelism`: how many at once, and
    where sessions limit their calls to that themselves, how many of each kind: changes of one kind may have to wait for the rate
    of an operation, and others go on meanwhile. `timeout`: for how many seconds what is throttled is tried, where sessions are
    opened here; it starts anew once everything was read. `saved`: the plan comes from a file, so everything that it touches is
    read again first, and nothing is written if anything moved; `skip_stale`: what has moved, and what depends on it, is left as it
    is, and the rest is carried out. `verify`: everything touched is read once more at the end. `rescue`: the folder for what others
    had put on a resource, while it is replaced. `stop`: once set, nothing new is started and what is under way is finished.
    `on_start`, `on_outcome`: whoever reports; they decide nothing, so what one of them raises is raised once every change is settled.

    Raises PlanRefused, GuardViolation, ReadFailed or StalePlan before anything is written.
    """
    refuse(plan)
    if not plan.changes:
        return []
    estate = replace(plan.estate, parallelism=parallelism, timeout=timeout, rescue=rescue)
    with nullcontext(sessions) if sessions is not None else sessions_of(estate, platforms=platforms) as opened:
        if sessions is None:
            check({change.registry for change in plan.changes}, opened)
        for name, session in opened.items():
            session.learn(item for item in known(plan) if item.address.registry == name)
        refuse_altered(plan, opened)
        if saved:
            refuse_elsewhere(plan, opened)
        moved: Mapping[str, str] = {}
        if saved and skip_stale:
            moved = with_wholes(plan, opened, stale(plan, opened))
        elif saved:
            refuse_stale(plan, opened)
        else:  # somebody may have thought about it for long
            moved = forgotten(plan, opened)
        for registry in {change.registry for change in plan.changes}:
            opened[registry].begin()
            opened[registry].stop = stop or Event()
        run = _Run(plan, opened, moved, stop or Event(), on_start, on_outcome)
        if executor is not None:
            run.go(executor, parallelism)
        else:
            apart = all(opened[change.registry].limits_calls for change in plan.changes)
            kinds = {(change.registry, change.kind) for change in plan.changes} if apart else {()}
            with ThreadPoolExecutor(parallelism * len(kinds), thread_name_prefix="apply") as pool:
                run.go(pool, parallelism, apart=apart)
        run.take_back()
        if verify:
            run.verify()
    if run.unreported is not None:
        raise run.unreported
    return [run.outcomes[change.address] for change in plan.changes]


def at_once(plan: Plan, sessions: Sessions, *, origin: Origin) -> list[Outcome]:
    """Carries out a plan that was made in this moment from what is wanted alone, and nothing of which was read: an outcome for each
    change. `origin`: what the resources will say made them.

    Raises PlanRefused or GuardViolation before anything is written.
    """
    refuse(plan)
    for name, session in sessions.items():
        session.learn(item for item in known(plan) if item.address.registry == name)
    refuse_altered(plan, sessions)
    run = _Run(plan, sessions, {}, Event(), origin=origin)
    with ThreadPoolExecutor(max(1, len(plan.changes)), thread_name_prefix="runtime") as pool:
        run.go(pool, len(plan.changes))
    run.take_back()
    return [run.outcomes[change.address] for change in plan.changes]


def _nothing(_: object) -> None:
    """Nobody wants a report."""


#: what became of what comes first, where that was not done
_FATES = {Status.FAILED: "failed", Status.SKIPPED: "was skipped", Status.STALE: "was stale"}


class _Run:
    def __init__(
        self,
        plan: Plan,
        sessions: Sessions,
        moved: Mapping[str, str],
        stop: Event,
        on_start: Callable[[Change], None] = _nothing,
        on_outcome: Callable[[Outcome], None] = _nothing,
        origin: Origin = "spec",
    ) -> None:
        self.plan = plan
        self.origin = origin
        self.stop = stop
        self.sessions = sessions
        self.moved = moved
        self.on_start = on_start
        self.on_outcome = on_outcome
        self.changes = {change.address: change for change in plan.changes}
        self.kinds = {name: session.platform.kinds for name, session in sessions.items()}
        self.before: dict[Address, list[Address]] = {address: [] for address in self.changes}
        for first, then in plan.graph:
            self.before[then].append(first)
        self.children: dict[Address, list[Desired]] = {}
        self.outcomes: dict[Address, Outcome] = {}
        self.time_is_up = False
        self.unreported: Exception | None = None
        self.above = {item.address: item for item in plan.basis.beside}
        self.made = {change.address for change in plan.changes if change.makes}
        #: these get back what others had put on them, so what stands below is read before it is written
        self.remade = {change.address for change in plan.changes if change.action is Action.REPLACE or _owed(change)}
        for change in plan.changes:
            wanted = change.desired
            if change.action is not Action.CREATE or wanted is None or wanted.parent is None:
                continue
            if wanted.parent in self.changes and wanted.parent not in self.remade:
                self.children.setdefault(wanted.parent, []).append(wanted)

    def go(self, executor: Executor, parallelism: int, *, apart: bool = False) -> None:
        """Carries everything out, `parallelism` changes at once. `apart`: that many of each kind of a registry."""
        sorter = TopologicalSorter(self.before)
        sorter.prepare()
        ready: dict[Hashable, deque[Address]] = {}
        running: dict[Future[Outcome], Address] = {}
        under_way: Counter[Hashable] = Counter()

        def group(address: Address) -> Hashable:
            return (address.registry, address.kind) if apart else ()

        while sorter.is_active():
            for address in sorted(sorter.get_ready()):
                ready.setdefault(group(address), deque()).append(address)
            skipped = False
            for name, queue in ready.items():
                while queue and under_way[name] < parallelism:
                    address = queue.popleft()
                    blocked = self.blocked(address)
                    if blocked is not None:
                        self.settle(blocked)
                        sorter.done(address)
                        skipped = True
                        continue
                    running[self.start(executor, address)] = address
                    under_way[name] += 1
            if running and not skipped:
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in done:
                    address = running.pop(future)
                    under_way[group(address)] -= 1
                    self.settle(future.result())
                    sorter.done(address)

    def start(self, executor: Executor, address: Address) -> Future[Outcome]:
        change = self.changes[address]
        self.report(self.on_start, change)
        return executor.submit(carry_out, self.sessions[change.registry], self.task(change))

    def blocked(self, address: Address) -> Outcome | None:
        """The outcome of a change that is not even started, or None."""
        change = self.changes[address]
        if address in self.moved:
            return Outcome(address, change.action, Status.STALE, self.moved[address])
        for need in self.before[address]:
            status = self.outcomes[need].status
            if status is not Status.DONE:
                return Outcome(address, change.action, Status.SKIPPED, f"it depends on {need}, which {_FATES[status]}")
        if self.stop.is_set():
            return Outcome(address, change.action, Status.SKIPPED, "interrupted before it started")
        if self.time_is_up:
            return Outcome(address, change.action, Status.SKIPPED, "the time limit ran out before it started")
        return None

    def task(self, change: Change) -> Task:
        parent = change.desired.parent if change.desired is not None else None
        return Task(
            change,
            self.plan.owner,
            self.origin,
            children=tuple(self.children.get(change.address, ())),
            carried=parent in self.made and parent not in self.remade,
            remade=parent in self.remade,
            fresh=frozenset(self.made.intersection(change.needs)),
            known=tuple(self.known(change)),
            going=going_with(self.plan.changes, change, self.kinds),
        )

    def known(self, change: Change) -> Iterator[Desired | Live]:
        """The change's resource as it is there, else as it will be, and the same of what it stands below: that one was changed
        before."""
        item = change.desired or change.live
        if item is not None and item.parent is not None:
            above = self.changes.get(item.parent)
            there = (above.desired or above.live) if above is not None else self.above.get(item.parent)
            if there is not None:
                yield there
        if (now := at_first(change)) is not None:
            yield now

    def settle(self, outcome: Outcome) -> None:
        self.time_is_up = self.time_is_up or outcome.time_is_up
        self.outcomes[outcome.address] = outcome
        self.report(self.on_outcome, outcome)

    def report(self, say: Callable[[T], None], item: T) -> None:
        """Reports. That this fails is no reason to leave a change undone; the first failure is kept."""
        try:
            say(item)
        except Exception as error:
            self.unreported = self.unreported or error

    def take_back(self) -> None:
        """Takes the notes of what was skipped off the resources that were made with them."""
        for address, change in self.changes.items():
            if self.outcomes[address].status is not Status.SKIPPED or not self.task(change).carried:
                continue
            parent = change.desired.parent if change.desired is not None else None
            if parent is not None and self.outcomes[parent].status is Status.DONE:
                session = self.sessions[change.registry]
                with working_on(address), suppress(ReconcilerError):  # its outcome is settled
                    session.platform.kinds[change.kind].take_back(session, address)

    def verify(self) -> None:
        """Reads everything that was touched again, until a stop is asked for; what is not as wanted becomes a failed outcome."""
        done = [change for change in self.plan.changes if self.outcomes[change.address].status is Status.DONE]
        for name, session in self.sessions.items():
            session.learn(item.desired for item in done if item.registry == name and item.desired is not None)
        for start in range(0, len(done), VERIFIED_AT_ONCE):
            if self.stop.is_set():
                return
            for change, wrong in self.unconverged(done[start : start + VERIFIED_AT_ONCE]):
                self.settle(Outcome(change.address, change.action, Status.FAILED, f"did not converge: {wrong}"))

    def unconverged(self, changes: Sequence[Change]) -> Sequence[tuple[Change, str]]:
        """What is not as wanted, and how, looked at again for as long as what is read may be behind what was written; nothing once a
        stop is asked for."""
        begun, pause = time.monotonic(), 1.0
        while True:
            wrong = [
                (change, how)
                for change, now in read_again(changes, self.sessions)
                if (how := unconverged(change, now, self.sessions[change.registry]))
            ]
            patience = max((self.sessions[change.registry].behind for change, _ in wrong), default=0.0)
            left = begun + patience - time.monotonic()
            if left <= 0:
                return wrong
            if self.stop.wait(min(pause, left)):
                return ()
            changes, pause = [change for change, _ in wrong], min(2 * pause, 10.0)


def _owed(change: Change) -> bool:
    return change.live is not None and change.live.owed


def succeeded(outcomes: Iterable[Outcome]) -> bool:
    """Whether every change was done."""
    return all(outcome.status is Status.DONE for outcome in outcomes)
