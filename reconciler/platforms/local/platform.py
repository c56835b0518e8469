"""The local platform: what a registry in a folder consists of."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.model.address import Address
from reconciler.model.platform import Estate, Output, Platform, Session
from reconciler.model.resource import Desired
from reconciler.model.service import not_served
from reconciler.spec.models import Spec
from reconciler.spec.registry import RegistryBase

from . import access, repository
from .access import AccessKind
from .repository import RepositoryKind
from .runtime_access import RuntimeSession
from .session import DEFAULT_PLACE, LocalSession
from .spec import LocalRegistry


class LocalPlatform(Platform):
    """Repositories and their access, as files."""

    name = "local"
    registry = LocalRegistry
    kinds = {kind.name: kind for kind in (RepositoryKind(), AccessKind())}

    def expand(self, spec: Spec, registry: RegistryBase) -> Iterator[Desired]:
        for wanted in spec.repositories_by_registry[registry.name]:
            home = Address.of(registry.name, RepositoryKind.name, wanted.name)
            source = spec.source(registry.name, wanted.name)
            settings = repository.settings_of(wanted)
            yield Desired(home, RepositoryKind.name, settings, adopt=wanted.adopt, source=source)
            grants = spec.grants_by_repository.get((registry.name, wanted.name), ())
            if grants:
                at = home.sibling(AccessKind.name)
                source = spec.source(registry.name, wanted.name, grants)
                entries = access.settings_of(grants)
                yield Desired(at, AccessKind.name, entries, (home,), home, wanted.adopt, source)

    def open(self, estate: Estate, registry: RegistryBase) -> Session:
        return RuntimeSession(self, estate, _local(registry))

    def outputs(self, spec: Spec, registry: RegistryBase) -> Iterator[Output]:
        session = LocalSession(self, Estate(spec.name, spec.base, spec.registries), _local(registry))
        place = session.documents.served_at()
        note = "" if place else not_served(registry.name, DEFAULT_PLACE)
        for wanted in spec.repositories_by_registry[registry.name]:
            at = Address.of(registry.name, RepositoryKind.name, wanted.name)
            yield Output(at, "name", wanted.name)
            yield Output(at, "uri", f"{place or DEFAULT_PLACE}/{wanted.name}", note)


def _local(registry: RegistryBase) -> LocalRegistry:
    if not isinstance(registry, LocalRegistry):
        raise TypeError(f"registry {registry.name} is not local")
    return registry


PLATFORM = LocalPlatform()
