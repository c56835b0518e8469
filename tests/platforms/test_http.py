"""What sessions over HTTP share: the limit of calls under way, work over many items, the log of calls, hints."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from reconciler.engine.observe import observe
from reconciler.errors import Halted
from reconciler.model.call_log import working_on
from reconciler.model.platform import Estate
from reconciler.platforms.http import HttpSession, Trouble, logged
from reconciler.platforms.local.platform import PLATFORM
from reconciler.platforms.local.spec import LocalRegistry
from tests.engine.test_observe import Scripted, ScriptedPlatform

REGISTRY = LocalRegistry(name="r", platform="local", path="x")


class PlainSession(HttpSession):
    def check(self) -> None:
        pass


@contextmanager
def opened(parallelism: int = 3) -> Iterator[PlainSession]:
    session = PlainSession(PLATFORM, Estate("me", "", (REGISTRY,), parallelism), REGISTRY)
    try:
        yield session
    finally:
        session.close()


def test_the_limit_of_calls_under_way_holds_for_all_kinds_of_a_session_together() -> None:
    guard = threading.Lock()
    now, most = 0, 0
    full = threading.Barrier(3, timeout=20)

    def call(number: int) -> int:
        nonlocal now, most
        with session.under_way:
            with guard:
                now += 1
                most = max(most, now)
            if number < 3:
                full.wait()  # as many as are allowed do run at once
            with guard:
                now -= 1
        return number

    with opened(3) as session:
        kinds = [threading.Thread(target=session.map, args=(call, range(start, start + 40))) for start in (0, 100)]
        direct = [threading.Thread(target=call, args=(200 + number,)) for number in range(5)]
        for thread in (*kinds, *direct):
            thread.start()
        for thread in (*kinds, *direct):
            thread.join(30)
        assert not any(thread.is_alive() for thread in (*kinds, *direct))
    assert most == 3


def test_results_come_in_the_order_of_the_items_and_one_item_needs_no_thread() -> None:
    with opened() as session:
        assert session.map(str, range(50)) == [str(number) for number in range(50)]
        assert session.map(str, []) == []
        here = threading.current_thread()
        assert session.map(lambda _: threading.current_thread(), [1]) == [here]


def test_work_that_asks_for_more_work_does_not_wait_for_itself() -> None:
    with opened(1) as session:
        found = session.map(lambda number: session.map(str, range(number)), range(4))
    assert found == [[], ["0"], ["0", "1"], ["0", "1", "2"]]


def test_several_lists_are_worked_on_at_once_and_each_has_workers_of_its_own() -> None:
    last = threading.Event()

    def late(number: int) -> int:
        assert last.wait(20)
        return number

    def other(number: int) -> str:
        if number == 9:
            last.set()
        return str(number)

    with opened(2) as session:
        first, second, third = session.maps((late, range(5)), (other, range(10)), (other, ()))
    assert (first, second, third) == (list(range(5)), [str(number) for number in range(10)], [])


def test_a_failure_in_one_list_stops_the_others_and_the_first_lists_error_is_raised() -> None:
    done: list[int] = []
    failed = threading.Event()

    def fails(number: int) -> None:
        failed.set()
        raise KeyError(number)

    def work(number: int) -> None:
        assert failed.wait(20)
        done.append(number)
        if number == 1:
            raise IndexError

    with opened(1) as session, pytest.raises(KeyError):
        session.maps((fails, range(5)), (work, range(1000)))
    assert len(done) < 1000


def test_nothing_is_started_once_what_is_listed_beside_it_has_failed() -> None:
    done: list[int] = []

    def work(number: int) -> None:
        done.append(number)
        session.halt.set()

    with opened(1) as session:
        with pytest.raises(Halted):
            session.map(work, range(10))
        assert done == [0]


def test_a_call_is_one_line_of_the_log_with_its_address_and_what_came_of_it(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "reconciler.calls")
    with working_on("r.repository.a"):
        with logged("registries.get") as line:
            line.answered("200", "id-1")
        with pytest.raises(TimeoutError), logged("registries.list"):
            raise TimeoutError
    first, second = [record.getMessage() for record in caplog.records]
    assert first.startswith("r.repository.a registries.get ")
    assert first.endswith(" ms 200 request-id=id-1")
    assert second.startswith("r.repository.a registries.list ")
    assert second.endswith(" ms TimeoutError")


@pytest.mark.parametrize("trouble", Trouble)
def test_every_hint_is_a_sentence_that_says_what_to_do(trouble: Trouble) -> None:
    hint = trouble.hint(operation="ecr:CreateRepository", cloud="AWS", account="account 1")
    assert "{" not in hint
    assert ":" in hint or "log in" in hint or "allow" in hint


def test_ctrl_c_while_a_registry_is_listed_starts_no_further_call() -> None:
    calls: list[int] = []

    def call(number: int) -> None:
        calls.append(number)
        if number == 2:
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            assert session.halt.wait(20)

    usual = signal.signal(signal.SIGINT, signal.default_int_handler)  # pytest-xdist's workers ignore it
    try:
        with opened(1) as session:
            kind = Scripted("a", script=lambda found: session.map(call, range(50)))
            session.platform = ScriptedPlatform(kind)
            with pytest.raises(KeyboardInterrupt):
                observe({"r": session}, {"r": {}})
            assert session.given_up, "whoever goes on opens another session"
    finally:
        signal.signal(signal.SIGINT, usual)
    assert calls == [0, 1, 2]


@pytest.mark.parametrize("alone", [True, False])
def test_ctrl_c_waits_for_no_call_that_hangs(alone: bool) -> None:
    """Neither where a registry is listed nor, before a saved plan is applied, where the main thread reads."""
    answered, hanging = threading.Event(), threading.Barrier(4, action=lambda: ctrl_c())

    def ctrl_c() -> None:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    def call(number: int) -> None:
        hanging.wait(20)
        assert answered.wait(60)

    usual = signal.signal(signal.SIGINT, signal.default_int_handler)  # pytest-xdist's workers ignore it
    try:
        with opened(4) as session:
            session.platform = ScriptedPlatform(Scripted("a", script=lambda found: session.map(call, range(4))))
            with pytest.raises(KeyboardInterrupt):
                session.map(call, range(4)) if alone else observe({"r": session}, {"r": {}})
            assert session.given_up, "else it waits for them when it is closed"
        assert not answered.is_set()
    finally:
        answered.set()
        signal.signal(signal.SIGINT, usual)
