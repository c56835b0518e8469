"""What sessions with a platform over HTTP share: time limits, the limit of calls under way, work over many items at once, the
log of calls, and what to do about an error."""

from __future__ import annotations

import contextvars
import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from enum import Enum
from logging import INFO
from threading import BoundedSemaphore, local
from typing import Any, TypeVar

from reconciler.errors import Halted, TimeIsUp
from reconciler.model.call_log import LOGGER, current_address, half_written, log_call
from reconciler.model.platform import Estate, Platform, Session
from reconciler.spec.registry import RegistryBase
from reconciler.words import duration

#: whether this thread is one of a session's workers
_worker = local()
T = TypeVar("T")
R = TypeVar("R")

#: seconds; no call waits longer, whatever the network does
CONNECT_TIMEOUT, READ_TIMEOUT = 10, 60
#: threads for each call that may be under way
SPARE = 3


#: seconds until what may pass is asked for again the first time
_FIRST = 0.2
#: seconds; what is to be asked again later than that was not asked until the end of the time limit
_SOON = 10.0
#: seconds; how soon a wait hears of a stop
_LISTEN = 0.2


class Trouble(Enum):
    """What a platform's error means for people, and what they can do about it."""

    EXPIRED = "the credentials have expired: log in again"
    LOGIN = "log in again"
    DENIED = "allow {operation} to these credentials in {account}"
    THROTTLED = "{cloud} throttles {operation}: run again with a longer --timeout; changes already made are kept"
    LATER = "to wait for it, run with a longer --timeout: changes already made are kept"
    QUOTA = "a quota of {account} is used up: request an increase"
    NOT_EMPTY = "images were pushed since the plan was made: make a new plan"
    IN_USE = "something else still uses it: remove that first"
    SERVER = "{cloud} failed: run again; changes already made are kept"

    def hint(self, **words: str) -> str:
        """The sentence. `words`: operation, cloud, account, as far as the sentence has them."""
        return self.value.format(**words)


class HttpSession(Session):
    """A session whose calls go over HTTP: at most `parallelism` of them under way, whichever thread makes them."""

    limits_calls = True

    def __init__(self, platform: Platform, estate: Estate, registry: RegistryBase) -> None:
        super().__init__(platform, estate, registry)
        #: held while a call is under way
        self.under_way = BoundedSemaphore(estate.parallelism)
        # more threads than calls under way: one that waits for the rate of its operation must not keep another operation waiting
        threads = SPARE * estate.parallelism
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=f"{platform.name}-{registry.name}")

    def map(self, function: Callable[[T], R], items: Iterable[T]) -> list[R]:
        """The function's results in the items' order. Calls run side by side; none starts after one has failed, and of
        several that fail the first item's error is raised. Raises Halted if what is listed beside it has failed."""
        return self.maps((function, items))[0]

    def maps(self, *jobs: tuple[Callable[[Any], Any], Iterable[Any]]) -> list[list[Any]]:
        """`map` for several functions at once, each with workers of its own: one that waits for the rate of its operation keeps no
        other from going on."""
        todo = [deque(enumerate(items)) for _, items in jobs]
        functions = [function for function, _ in jobs]
        number = sum(map(len, todo))
        # a worker that waited for the others would wait for itself
        if number <= 1 or getattr(_worker, "busy", False):
            return [[function(item) for _, item in items] for function, items in zip(functions, todo, strict=True)]
        self.on_step(0, number)
        done: list[dict[int, Any]] = [{} for _ in jobs]
        failed: dict[tuple[int, int], Exception] = {}

        def work(job: int) -> None:
            _worker.busy = True
            function, items, answers = functions[job], todo[job], done[job]
            while items and not failed and not self.halt.is_set():
                try:
                    at, item = items.popleft()
                except IndexError:  # another worker was faster
                    return
                try:
                    answers[at] = function(item)
                    self.on_step(1, 0)
                except Exception as error:
                    failed[job, at] = error

        # as many tasks as workers, which take one item after another: a task for each item costs a twentieth of a plan's CPU. There
        # are no more of them than places, but one for each job at least: more threads and connections cost CPU and gain nothing
        shares = [min(len(items), max(1, round(self.estate.parallelism * len(items) / number))) for items in todo]
        workers = [job for job, share in enumerate(shares) for _ in range(share)]
        try:
            tasks = [self._pool.submit(contextvars.copy_context().run, work, job) for job in workers]
            for task in tasks:
                task.result()
        except BaseException:  # Ctrl-C
            self.give_up()
            raise
        finally:
            left = sum(map(len, todo))
            for items in todo:
                items.clear()
        if failed:
            raise failed[min(failed)]
        if left:
            raise Halted(f"registry {self.name}: stopped reading")
        return [[answers[at] for at in range(len(answers))] for answers in done]

    def patiently(
        self, make: Callable[[], R], passes: Callable[[BaseException], bool], seconds: float, most: float = 10.0
    ) -> R:
        """What `make` answers, asked again while `passes` says that its error will pass: for some seconds, or until a stop is asked
        for and nothing of the change is written yet; then that error is raised. `most`: seconds between two questions."""
        try:
            return make()
        except Exception as error:
            if not passes(error):
                raise
        import tenacity  # here: few runs need it. And not stamina, which nothing wakes when a stop is asked for

        def over(state: tenacity.RetryCallState) -> bool:
            return (state.seconds_since_start or 0) >= seconds or (self.stop.is_set() and not half_written())

        def sleep(pause: float) -> None:
            if half_written():
                time.sleep(pause)
            else:
                self.stop.wait(pause)

        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(passes),
            stop=over,
            wait=tenacity.wait_exponential(_FIRST, max=most) + tenacity.wait_random(0, _FIRST),
            sleep=sleep,
            reraise=True,
        )
        return retrying(make)

    def pause(self, seconds: float, operation: str, cloud: str) -> None:
        """Sleeps before a call that is throttled. Raises TimeIsUp, without a sleep, if that would be over after the time limit, and
        Halted if reading is given up, or if a stop is asked meanwhile and nothing of the change is written yet."""
        left = self.until - time.monotonic()
        if seconds >= left and not self.halt.is_set():
            limit = f"the time limit of {duration(self.estate.timeout)}"
            soon = seconds < _SOON
            raise TimeIsUp(
                f"{cloud} throttled it until {limit} ran out"
                if soon
                else f"{cloud} throttles it, and is to be asked again in {duration(math.ceil(seconds))}: {limit} is over before",
                address=current_address(),
                operation=operation,
                hint=Trouble.THROTTLED.hint(operation=operation, cloud=cloud) if soon else Trouble.LATER.hint(),
            )
        end = time.monotonic() + seconds
        while (rest := end - time.monotonic()) > 0 or self.halt.is_set():
            if self.halt.wait(max(0, min(rest, _LISTEN))):
                raise Halted(f"registry {self.name}: stopped waiting for {operation}")
            if self.stop.is_set() and not half_written():
                raise Halted(f"interrupted while {operation} was waiting because {cloud} throttles it; it was not sent")

    def close(self) -> None:
        self._pool.shutdown(wait=not self.given_up, cancel_futures=True)
        for ledger in self._ledgers.values():
            ledger.close()


class LogLine:
    """The line of one call in the log of calls, while the call is being made."""

    def __init__(self) -> None:
        self.result, self.request_id = "", ""

    def answered(self, result: str, request_id: str = "") -> None:
        """What came of it: an HTTP status or an error's code."""
        self.result, self.request_id = result, request_id


@contextmanager
def logged(operation: str) -> Iterator[LogLine]:
    """Notes the call that the block makes in the log of calls, if anybody wants that log."""
    line = LogLine()
    if not LOGGER.isEnabledFor(INFO):
        yield line
        return
    started = time.monotonic()
    try:
        yield line
    except Exception as error:
        line.result = line.result or type(error).__name__
        raise
    finally:
        log_call(operation, time.monotonic() - started, line.result, line.request_id)
