"""What is there: registries listed side by side, and in each of them the kinds that don't wait for each other; or a few
addresses read again."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextvars import copy_context
from functools import partial
from graphlib import TopologicalSorter

from reconciler.errors import Halted, PlatformError, ReadFailed, ReconcilerError, os_sentence
from reconciler.model.address import Address
from reconciler.model.call_log import working_on
from reconciler.model.change import Change
from reconciler.model.kind import Kind
from reconciler.model.placed import Known, Placed, Places, apart
from reconciler.model.platform import Session
from reconciler.model.resource import Desired, Live

from .expand import Wanted
from .sessions import Sessions


class Listed(dict[Address, Live]):
    """A registry's live resources by address. `refused`: what the platform would not take of what is wanted, in words. `unseen`:
    what of that was not looked at, as in Session. `notices`: what else there is to know, in sentences. `places`: those that the spec
    only names, and by what they are known."""

    refused: Mapping[Address, str] = {}
    unseen: Mapping[Address, str] = {}
    notices: Sequence[str] = ()
    places: Places = {}


#: takes a registry's name, how many of its reads are done, and of how many more it is known now that they are to be done;
#: it is called by many threads
OnRead = Callable[[str, int, int], None]


def observe(
    sessions: Sessions, wanted: Wanted, executor: Executor | None = None, on_read: OnRead | None = None
) -> dict[str, Listed]:
    """Lists every registry of `wanted`, side by side: its live resources by address. `on_read`: who counts, without an executor.

    Raises ReadFailed with every registry that could not be read: nothing is planned on half a picture. Ctrl-C goes up at once: the
    sessions are given up then, their calls under way end by themselves, and no further one is started.
    """
    failures: dict[str, ReconcilerError] = {}
    found: dict[str, Listed] = {}

    def gather(run: Callable[[str], Callable[[], Listed]]) -> None:
        pending = {name: run(name) for name in wanted}
        for name, result in pending.items():
            try:
                found[name] = result()
            except ReconcilerError as error:
                failures[name] = error

    if executor is not None:
        gather(lambda name: executor.submit(list_registry, sessions[name], wanted[name]).result)
    else:
        if on_read is not None:
            for name in wanted:
                sessions[name].on_step = partial(on_read, name)
        pool = ThreadPoolExecutor(max(1, min(len(wanted), 16)), thread_name_prefix="observe")
        try:
            gather(lambda name: pool.submit(list_registry, sessions[name], wanted[name]).result)
        except BaseException:  # Ctrl-C: nobody waits for an answer that may never come
            for name in wanted:
                sessions[name].give_up()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        pool.shutdown()
    if failures:
        raise ReadFailed(failures)
    return found


def list_registry(session: Session, wanted: Mapping[Address, Desired], only: Collection[str] | None = None) -> Listed:
    """Checks one registry and lists it. A function of its own, so that any executor can run it. `only`: these kinds, and those that
    must be listed before them (None: all)."""
    with working_on(session.name):
        try:
            session.check()
            if session.given_up:
                raise Halted(f"registry {session.name}: stopped reading")
            found = Listed((live.address, live) for group in _kinds(session, wanted, only).values() for live in group)
            found.refused, found.unseen = dict(session.refused), dict(session.unseen)
            # kinds are listed side by side: which of them is faster is no part of a plan
            found.notices = tuple(sorted(session.notices))
            found.places = places_of(session, {*wanted, *found} - session.unseen.keys())
            return found
        except OSError as error:
            raise PlatformError(os_sentence(error), operation="read") from error


def places_of(session: Session, addresses: Iterable[Address]) -> Places:
    """By what the places of these resources are known. Raises PlatformError."""
    found: dict[str, Known] = {}
    for at in sorted(addresses):
        kind = session.platform.kinds[at.kind]
        if isinstance(kind, Placed) and (place := kind.place_of(at)) and place not in found:
            found[place] = kind.known_by(session, at)
    return found


def together(listed: Mapping[str, Listed]) -> Places:
    """The places of several registries. Raises ReadFailed if one was another for one registry than for another: its name has come to
    lead elsewhere meanwhile."""
    places: dict[str, Known] = {}
    failures: dict[str, ReconcilerError] = {}
    for registry, found in listed.items():
        for place, known in found.places.items():
            if how := apart(places.setdefault(place, known), known):
                said = f"{place} became another one while it was read: {how}"
                failures[registry] = PlatformError(said, address=registry, hint="run again")
    if failures:
        raise ReadFailed(failures)
    return places


def _kinds(
    session: Session, wanted: Mapping[Address, Desired], only: Collection[str] | None
) -> dict[str, Sequence[Live]]:
    """Each kind's live resources, in the platform's order of kinds."""
    chosen = session.platform.kinds if only is None else set(_with_first(session.platform.kinds, only))
    kinds = {name: kind for name, kind in session.platform.kinds.items() if name in chosen}
    found: dict[str, Sequence[Live]] = {}

    def listed(name: str) -> Sequence[Live]:
        live = tuple(kinds[name].list(session, wanted, found))
        session.on_step(1, 0)
        return live

    session.on_step(0, len(kinds))
    sorter = TopologicalSorter({name: kind.after for name, kind in kinds.items()})
    sorter.prepare()
    order = list(kinds)
    try:
        while sorter.is_active() and not session.given_up:
            together = sorted(sorter.get_ready(), key=order.index)
            if len(together) == 1:
                found[together[0]] = listed(together[0])
            else:
                found |= _side_by_side(session, listed, together)
            sorter.done(*together)
    finally:
        if not session.given_up:
            session.halt.clear()  # nothing of this listing runs any more; what the session does next is another matter
    if session.given_up:
        raise Halted(f"registry {session.name}: stopped reading")
    return {name: found[name] for name in kinds}


def _with_first(kinds: Mapping[str, Kind], names: Iterable[str]) -> Iterator[str]:
    """These kinds, and those that must be listed before them."""
    for name in names:
        yield name
        yield from _with_first(kinds, kinds[name].after)


def _side_by_side(
    session: Session, listed: Callable[[str], Sequence[Live]], names: Sequence[str]
) -> dict[str, Sequence[Live]]:
    """Lists several kinds at once. After a failure no further call is started; the first kind's own failure is raised."""

    def run(name: str) -> Sequence[Live]:
        try:
            return listed(name)
        except BaseException:
            session.halt.set()
            raise

    with ThreadPoolExecutor(len(names), thread_name_prefix=f"list-{session.name}") as pool:
        tasks = {name: pool.submit(copy_context().run, run, name) for name in names}
    failures = [failure for task in tasks.values() if (failure := task.exception()) is not None]
    for failure in failures:
        if not isinstance(failure, Halted):
            raise failure
    return {name: task.result() for name, task in tasks.items()}


def read(session: Session, addresses: Iterable[Address]) -> Iterator[Live]:
    """Exactly these resources of one registry, as they are now."""
    by_kind: dict[str, list[Address]] = {}
    for address in sorted(addresses):
        by_kind.setdefault(address.kind, []).append(address)
    for kind, group in by_kind.items():
        asked = set(group)
        yield from (live for live in session.platform.kinds[kind].read(session, group) if live.address in asked)


def read_again(changes: Iterable[Change], sessions: Sessions) -> Iterator[tuple[Change, Live | None]]:
    """Each change with what is there now, read registry by registry."""
    grouped: dict[str, list[Change]] = {}
    for change in changes:
        grouped.setdefault(change.registry, []).append(change)
    for name, group in sorted(grouped.items()):
        with working_on(name):
            live = {item.address: item for item in read(sessions[name], (change.address for change in group))}
        yield from ((change, live.get(change.address)) for change in group)
