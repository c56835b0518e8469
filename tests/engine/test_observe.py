"""Listing and reading: which kinds run when, what a failure does, and that a read asks one kind alone."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from reconciler.engine.observe import list_registry, observe, read
from reconciler.errors import Halted, PlatformError, ReadFailed
from reconciler.model.address import Address
from reconciler.model.call_log import current_address
from reconciler.model.kind import Found, Kind, Write
from reconciler.model.marks import Marks
from reconciler.model.platform import Estate, Output, Platform, Session
from reconciler.model.resource import Desired, Live
from reconciler.platforms.local.spec import LocalRegistry
from reconciler.spec.models import Spec
from reconciler.spec.registry import RegistryBase

REGISTRY = LocalRegistry(name="r", platform="local", path="x")


@dataclass(frozen=True, slots=True)
class Nothing:
    pass


class Scripted(Kind):
    """A kind whose listing runs a function that is given what was found before."""

    settings = Nothing

    def __init__(
        self, name: str, after: tuple[str, ...] = (), script: Callable[[Found], Any] = lambda found: None
    ) -> None:
        self.name = name  # type: ignore[misc]  # each of them has another
        self.after = after  # type: ignore[misc]  # as the name
        self.script = script
        self.reads: list[Address] = []

    def list(self, session: Session, wanted: Mapping[Address, Desired], found: Found) -> Iterator[Live]:
        self.script(found)
        yield Live(Address.of(session.name, self.name, "x"), self.name, Nothing(), Marks())

    def read(self, session: Session, addresses: Sequence[Address]) -> Iterator[Live]:
        self.reads += addresses
        yield from (Live(at, self.name, Nothing(), Marks()) for at in addresses)

    def create(self, session: Any, write: Write) -> Live:
        raise AssertionError

    def update(self, session: Any, write: Write, live: Live) -> Live:
        raise AssertionError

    def delete(self, session: Any, live: Live, *, force: bool) -> None:
        raise AssertionError


class PlainSession(Session):
    def check(self) -> None:
        pass


class ScriptedPlatform(Platform):
    name = "scripted"
    registry = LocalRegistry

    def __init__(self, *kinds: Kind) -> None:
        self.kinds = {kind.name: kind for kind in kinds}

    def expand(self, spec: Spec, registry: RegistryBase) -> Iterator[Desired]:
        yield from ()

    def open(self, estate: Estate, registry: RegistryBase) -> Session:
        return PlainSession(self, estate, registry)

    def outputs(self, spec: Spec, registry: RegistryBase) -> Iterator[Output]:
        yield from ()


def session(*kinds: Kind) -> Session:
    return ScriptedPlatform(*kinds).open(Estate("me", "", (REGISTRY,)), REGISTRY)


def test_kinds_that_do_not_wait_for_each_other_are_listed_at_the_same_time() -> None:
    together = threading.Barrier(2, timeout=20)  # breaks unless both are there at once
    kinds = [Scripted("a", script=lambda found: together.wait()), Scripted("b", script=lambda found: together.wait())]
    assert list(list_registry(session(*kinds), {})) == ["r.a.x", "r.b.x"]


def test_a_kind_gets_what_those_before_it_have_found() -> None:
    seen: list[list[str]] = []
    third = Scripted("third", ("first", "second"), lambda found: seen.append(sorted(found)))
    kinds = [third, Scripted("second", ("first",)), Scripted("first")]
    assert list(list_registry(session(*kinds), {})) == ["r.third.x", "r.second.x", "r.first.x"], (
        "in the platform's order"
    )
    assert seen == [["first", "second"]]


def test_calls_are_made_for_the_registry_in_every_thread() -> None:
    addresses: list[str] = []
    kinds = [Scripted(name, script=lambda found: addresses.append(current_address())) for name in "abc"]
    list_registry(session(*kinds), {})
    assert addresses == ["r", "r", "r"]


def fails(message: str) -> Callable[[Found], None]:
    def fail(found: Found) -> None:
        raise PlatformError(message)

    return fail


def test_of_several_kinds_that_fail_the_first_one_is_reported_and_later_ones_never_start() -> None:
    both = threading.Barrier(2, timeout=20)
    started: list[str] = []

    def fail(message: str) -> Callable[[Found], None]:
        def run(found: Found) -> None:
            both.wait()
            raise PlatformError(message)

        return run

    for _ in range(10):
        later = Scripted("later", ("a",), lambda found: started.append("later"))
        opened = session(Scripted("a", script=fail("from a")), Scripted("b", script=fail("from b")), later)
        with pytest.raises(PlatformError, match="from a"):
            list_registry(opened, {})
    assert started == []


def test_a_kind_that_was_stopped_by_anothers_failure_does_not_hide_it() -> None:
    opened = session(*[])

    def wait_for_the_halt(found: Found) -> None:
        assert opened.halt.wait(20)
        raise Halted("given up")

    kinds = [Scripted("a", script=wait_for_the_halt), Scripted("b", script=fails("from b"))]
    opened.platform.kinds = {kind.name: kind for kind in kinds}
    with pytest.raises(ReadFailed) as failed:
        observe({"r": opened}, {"r": {}})
    assert str(failed.value) == "registry r: from b"


def test_what_a_session_does_after_a_failed_listing_is_not_stopped_by_it() -> None:
    opened = session(Scripted("a", script=fails("no")), Scripted("b"))
    with pytest.raises(PlatformError):
        list_registry(opened, {})
    assert not opened.halt.is_set()


def test_a_read_gives_the_resource_that_was_asked_for_or_nothing() -> None:
    """What is read is written next: another resource than the one asked for would be deleted in its place."""

    class Careless(Scripted):
        def read(self, session: Session, addresses: Sequence[Address]) -> Iterator[Live]:
            yield from (Live(Address.of("r", self.name, "real"), self.name, Nothing(), Marks()) for _ in addresses)

    kind = Careless("a")
    copy, real = Address.of("r", "a", "real", "backup"), Address.of("r", "a", "real")
    opened = session(kind)
    assert kind.read_one(opened, copy) is None
    assert list(read(opened, [copy])) == []
    assert kind.read_one(opened, real) is not None


def test_a_session_that_failed_can_list_again() -> None:
    trouble = [True]

    def fail_once(found: Found) -> None:
        if trouble.pop() if trouble else False:
            raise PlatformError("once")

    opened = session(Scripted("a", script=fail_once), Scripted("b"))
    with pytest.raises(PlatformError):
        list_registry(opened, {})
    assert list(list_registry(opened, {})) == ["r.a.x", "r.b.x"]


def test_reading_addresses_asks_their_kinds_and_no_other() -> None:
    one, other = Scripted("one", script=fails("listed")), Scripted("other", script=fails("listed"))
    wanted = [Address.of("r", "one", "y"), Address.of("r", "one", "x")]
    assert [live.address for live in read(session(one, other), wanted)] == sorted(wanted)
    assert (one.reads, other.reads) == (sorted(wanted), [])
