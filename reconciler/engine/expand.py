"""From a spec to what is wanted: each registry's desired resources. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.errors import PlatformError, ReadFailed, ReconcilerError
from reconciler.model.address import Address
from reconciler.model.kind import Kind
from reconciler.model.platform import PARALLELISM, TIMEOUT, Estate, Platform, Platforms
from reconciler.model.resource import Desired
from reconciler.spec.models import Spec

#: the kinds of each registry's platform
Kinds = Mapping[str, Mapping[str, Kind]]
#: each registry's desired resources
Wanted = Mapping[str, Mapping[Address, Desired]]


def platform_of(platforms: Platforms, name: str) -> Platform:
    """The platform of that name. Raises PlatformError if this build does not have it."""
    try:
        return platforms[name]
    except KeyError:
        raise PlatformError(f"platform {name} is not available in this build") from None


def estate_of(spec: Spec, parallelism: int = PARALLELISM, timeout: float = TIMEOUT, rescue: str = ".") -> Estate:
    """What the sessions must know of a spec."""
    registries = tuple(sorted(spec.registries, key=lambda item: item.name))
    examples = {
        item.name: tuple(found.name for found in spec.repositories_by_registry[item.name][: item.tried_with])
        for item in registries
        if item.tried_with and spec.repositories_by_registry[item.name]
    }
    named = {name: frozenset(item.name for item in found) for name, found in spec.repositories_by_registry.items()}
    return Estate(
        spec.name,
        spec.base,
        registries,
        parallelism,
        timeout,
        rescue,
        clusters=spec.clusters,
        examples=examples,
        named=named,
    )


def expand(spec: Spec, platforms: Platforms) -> tuple[Kinds, dict[str, dict[Address, Desired]]]:
    """Per registry: the kinds of its platform, and its desired resources by address.

    Raises ReadFailed, naming each registry whose platform this build does not have.
    """
    kinds: dict[str, Mapping[str, Kind]] = {}
    desired: dict[str, dict[Address, Desired]] = {}
    failures: dict[str, ReconcilerError] = {}
    for registry in sorted(spec.registries, key=lambda item: item.name):
        try:
            platform = platform_of(platforms, registry.platform)
        except PlatformError as error:
            failures[registry.name] = error
            continue
        kinds[registry.name] = platform.kinds
        desired[registry.name] = {item.address: item for item in platform.expand(spec, registry)}
    if failures:
        raise ReadFailed(failures)
    return kinds, desired
