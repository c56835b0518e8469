"""External registries: what the spec makes of one that somebody else runs, which is nothing in the registry itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from reconciler.model.address import Address
from reconciler.model.platform import Estate, Output, Platform
from reconciler.model.resource import Desired
from reconciler.platforms.extras import needing
from reconciler.platforms.kubernetes.link import LinkKind
from reconciler.platforms.kubernetes.secret import SecretKind
from reconciler.platforms.kubernetes.settings import desired
from reconciler.spec.models import Spec
from reconciler.spec.registry import RegistryBase

from .repository import RepositoryKind, RepositorySettings, uri_of
from .spec import ExternalRegistry

if TYPE_CHECKING:
    from .session import ExternalSession


def _identity(registry: RegistryBase, grant: str) -> str:
    return _external(registry).whose_login


class ExternalPlatform(Platform):
    """Repositories that are looked for, and pull secrets in clusters."""

    name = "external"
    registry = ExternalRegistry
    kinds = {kind.name: kind for kind in (RepositoryKind(), SecretKind(identity=_identity), LinkKind())}

    def expand(self, spec: Spec, registry: RegistryBase) -> Iterator[Desired]:
        here = _external(registry)
        for wanted in spec.repositories_by_registry[here.name]:
            at = Address.of(here.name, RepositoryKind.name, wanted.name)
            yield Desired(at, RepositoryKind.name, RepositorySettings(), source=spec.source(here.name, wanted.name))
        yield from desired(spec, here, lambda grant: here.whose_login)

    def open(self, estate: Estate, registry: RegistryBase) -> ExternalSession:
        with needing("external", registry.name, "an external registry"):
            from .session import ExternalSession

        return ExternalSession(self, estate, _external(registry))

    def outputs(self, spec: Spec, registry: RegistryBase) -> Iterator[Output]:
        here = _external(registry)
        for wanted in spec.repositories_by_registry[here.name]:
            at = Address.of(here.name, RepositoryKind.name, wanted.name)
            yield Output(at, "name", wanted.name)
            yield Output(at, "uri", uri_of(here, wanted.name))


def _external(registry: RegistryBase) -> ExternalRegistry:
    if not isinstance(registry, ExternalRegistry):
        raise TypeError(f"registry {registry.name} is not an external one")
    return registry


PLATFORM = ExternalPlatform()
