"""From a spec to what is wanted and what is there: expands it, opens a session per registry, reads them side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import TypeVar

from reconciler.errors import PlatformError, ReadFailed, ReconcilerError
from reconciler.model.access import ForeignAccess
from reconciler.model.address import Address
from reconciler.model.call_log import working_on
from reconciler.model.platform import Kind, Session
from reconciler.model.resource import Desired, Estate, Live, Observation, Scope
from reconciler.platforms.catalog import load
from reconciler.spec.models import Spec
from reconciler.words import did_you_mean

Kinds = Mapping[str, Mapping[str, Kind]]
T = TypeVar("T")


@dataclass(frozen=True)
class Picture:
    """All that a plan is made from: `kinds` by registry, desired and live by address."""

    kinds: Kinds
    desired: Mapping[Address, Desired]
    live: Mapping[Address, Live]
    foreign: tuple[ForeignAccess, ...] = ()
    recorded: Mapping[Address, str] | None = None
    unowned: Mapping[str, int] | None = None


def estate_of(spec: Spec, parallelism: int = 8) -> Estate:
    """What the sessions must know of a spec."""
    return Estate(spec.name, spec.base, tuple(sorted(spec.registries, key=lambda item: item.name)), parallelism)


def expand(spec: Spec) -> tuple[Kinds, dict[str, dict[Address, Desired]]]:
    """Per registry: the kinds of its platform, and its desired resources by address. Pure.

    Raises ReadFailed, naming each registry whose platform this build does not have.
    """
    kinds: dict[str, Mapping[str, Kind]] = {}
    desired: dict[str, dict[Address, Desired]] = {}
    failures: dict[str, ReconcilerError] = {}
    for registry in sorted(spec.registries, key=lambda item: item.name):
        try:
            platform = load(registry.platform)
        except PlatformError as error:
            failures[registry.name] = error
            continue
        kinds[registry.name] = platform.kinds
        desired[registry.name] = {item.address: item for item in platform.expand(spec, registry)}
    if failures:
        raise ReadFailed(failures)
    return kinds, desired


def open_session(estate: Estate, name: str) -> Session:
    """A session for one of the estate's registries. Raises PlatformError if the platform is not in this build."""
    registry = estate.registry(name)
    return load(registry.platform).open(estate, registry)


@contextmanager
def session(spec: Spec, name: str | None = None) -> Iterator[Session]:
    """A session with one of the spec's registries, closed at the end; the name is not needed where there is one alone.

    Raises ReconcilerError if there is no such registry, and PlatformError if its platform is not in this build.
    """
    names = [registry.name for registry in spec.registries]
    if name is None and len(names) != 1:
        raise ReconcilerError(f"say which registry: the spec has {', '.join(names) or 'none'}")
    if name is not None and name not in names:
        known = ", ".join(names) or "none"
        raise ReconcilerError(f"no registry is named {name!r}{did_you_mean(name, names)}; the spec has {known}")
    found = open_session(estate_of(spec), name or names[0])
    try:
        yield found
    finally:
        found.close()


@contextmanager
def sessions_of(estate: Estate) -> Iterator[dict[str, Session]]:
    """A session for each registry, closed at the end."""
    sessions = {registry.name: open_session(estate, registry.name) for registry in estate.registries}
    try:
        yield sessions
    finally:
        for session in sessions.values():
            session.close()


def observe_one(session: Session, scope: Scope) -> Observation:
    """Checks and reads one registry. A function of its own, so that any executor can run it."""
    with working_on(session.name):
        session.check()
        return session.observe(scope)


def observe(
    sessions: Mapping[str, Session], scopes: Mapping[str, Scope], executor: Executor | None = None
) -> dict[str, Observation]:
    """Reads every registry of `scopes`, side by side.

    Raises ReadFailed with every registry that could not be read: nothing is planned on half a picture.
    """
    failures: dict[str, ReconcilerError] = {}
    found: dict[str, Observation] = {}

    def gather(run: Callable[[str], Callable[[], Observation]]) -> None:
        pending = {name: run(name) for name in scopes}
        for name, result in pending.items():
            try:
                found[name] = result()
            except ReconcilerError as error:
                failures[name] = error

    if executor is not None:
        gather(lambda name: executor.submit(observe_one, sessions[name], scopes[name]).result)
    else:
        with ThreadPoolExecutor(max(1, min(len(scopes), 16)), thread_name_prefix="observe") as pool:
            gather(lambda name: pool.submit(observe_one, sessions[name], scopes[name]).result)
    if failures:
        raise ReadFailed(failures)
    return found


def picture(
    kinds: Kinds, desired: Mapping[str, Mapping[Address, Desired]], observations: Mapping[str, Observation]
) -> Picture:
    """Puts the registries' parts together. Pure."""
    return Picture(
        kinds=kinds,
        desired=_joined(desired.values()),
        live=_joined(found.live for found in observations.values()),
        foreign=tuple(sorted(item for found in observations.values() for item in found.foreign)),
        recorded=_joined(found.recorded for found in observations.values()),
        unowned={name: len(found.unowned) for name, found in observations.items() if found.unowned},
    )


def _joined(groups: Iterable[Mapping[Address, T]]) -> Mapping[Address, T]:
    """The groups as one; a group that is alone is not copied."""
    all_of_them = list(groups)
    if len(all_of_them) == 1:
        return all_of_them[0]
    return dict(chain.from_iterable(group.items() for group in all_of_them))
