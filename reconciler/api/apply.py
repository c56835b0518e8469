"""Apply, with this build's platforms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from threading import Event

from reconciler.engine import apply as engine
from reconciler.engine.plan import Plan
from reconciler.engine.sessions import Sessions
from reconciler.engine.write import Outcome, Status
from reconciler.errors import ReconcilerError
from reconciler.model.change import Change
from reconciler.model.platform import PARALLELISM, TIMEOUT
from reconciler.platforms.catalog import CATALOG
from reconciler.words import counted, one_line


class ApplyFailed(ReconcilerError):
    """Not every change was made. `outcomes`: what became of each change, including those that were made."""

    def __init__(self, outcomes: Sequence[Outcome]) -> None:
        self.outcomes = tuple(outcomes)
        rest = [outcome for outcome in self.outcomes if outcome.status is not Status.DONE]
        lines = (one_line(f"{item.address} {item.status.value}: {item.message}") for item in rest)
        count = f"{len(rest)} of {counted(len(self.outcomes), 'change')}"
        super().__init__("\n  ".join((f"{count} {'was' if len(rest) == 1 else 'were'} not done:", *lines)))

    def __reduce__(self) -> tuple[object, ...]:
        return (ApplyFailed, (self.outcomes,))  # Exception's own pickling would hand on the text alone


def apply(
    plan: Plan,
    *,
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
    raise_on_failure: bool = True,
) -> list[Outcome]:
    """Carries the plan out and returns an outcome for each change, in the plan's order.

    `sessions`: those that the plan was made with; opened and closed here if None. `executor`: where changes are carried out (threads
    if None). `parallelism`: how many at once. `timeout`: for how many seconds throttled calls are retried.
    `saved`: the plan comes from a file, so everything that it touches is read again first, and nothing is written if anything moved;
    `skip_stale`: what has moved, and what depends on it, is left as it is, and the rest is carried out. `verify`: everything touched
    is read again at the end. `rescue`: the folder for what others put on a resource while it is replaced. `stop`: once set,
    nothing new is started and what is under way is finished. `on_start`, `on_outcome`: called with each change and each outcome.

    Raises PlanRefused, GuardViolation, ReadFailed or StalePlan before anything is written; and at the end, if a change failed, was
    skipped or was stale, ApplyFailed, which holds all outcomes. With `raise_on_failure=False` they are returned then too.
    """
    outcomes = engine.apply(
        plan,
        platforms=CATALOG,
        sessions=sessions,
        executor=executor,
        parallelism=parallelism,
        timeout=timeout,
        saved=saved,
        skip_stale=skip_stale,
        verify=verify,
        rescue=rescue,
        stop=stop,
        on_start=on_start,
        on_outcome=on_outcome,
    )
    if raise_on_failure and not engine.succeeded(outcomes):
        raise ApplyFailed(outcomes)
    return outcomes
