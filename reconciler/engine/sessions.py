"""Sessions: opened by the catalog of platforms that is handed in, and closed again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from reconciler.errors import ReadFailed, ReconcilerError, RegistryNotFound
from reconciler.model.call_log import working_on
from reconciler.model.platform import Estate, Platforms, Session
from reconciler.spec.models import Spec
from reconciler.words import did_you_mean

from .expand import estate_of, platform_of

Sessions = Mapping[str, Session]


def open_session(estate: Estate, name: str, *, platforms: Platforms) -> Session:
    """A session for one of the estate's registries. Raises PlatformError if the platform is not in this build."""
    registry = estate.registry(name)
    return platform_of(platforms, registry.platform).open(estate, registry)


def registry_name(spec: Spec, name: str | None) -> str:
    """The name of one of the spec's registries; it need not be given where there is only one. Raises RegistryNotFound."""
    names = [registry.name for registry in spec.registries]
    if name is None and len(names) != 1:
        raise RegistryNotFound(f"name a registry: the spec has {', '.join(names) or 'none'}")
    if name is not None and name not in names:
        known = ", ".join(names) or "none"
        raise RegistryNotFound(f"no registry is named {name!r}{did_you_mean(name, names)}; the spec has {known}")
    return name or names[0]


@contextmanager
def session(spec: Spec, name: str | None = None, *, platforms: Platforms) -> Iterator[Session]:
    """A session with one of the spec's registries, closed at the end; the name is not needed where there is only one.

    Raises RegistryNotFound if there is no such registry, and PlatformError if its platform is not in this build.
    """
    found = open_session(estate_of(spec), registry_name(spec, name), platforms=platforms)
    try:
        yield found
    finally:
        found.close()


@contextmanager
def sessions_of(estate: Estate, *, platforms: Platforms) -> Iterator[Sessions]:
    """A session for each registry, closed at the end."""
    sessions = {
        registry.name: open_session(estate, registry.name, platforms=platforms) for registry in estate.registries
    }
    try:
        yield sessions
    finally:
        for opened in sessions.values():
            opened.close()


def check(registries: Iterable[str], sessions: Sessions) -> None:
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
