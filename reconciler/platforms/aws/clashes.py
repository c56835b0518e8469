"""Registries of one spec in one account: where they would get in each other's way."""

from __future__ import annotations

from collections.abc import Mapping

from .registry_fields import RegistryFields
from .replication_spec import ALL


def of(registry: RegistryFields, other: RegistryFields) -> str | None:
    """Why the two would get in each other's way, or None."""
    shared = sorted(set(registry.regions) & set(other.regions))
    mine, theirs = registry.scanning, other.scanning
    if shared and mine is not None and theirs is not None and mine.type != theirs.type:
        return (
            f"its scanning is {mine.type}, and that of registry {other.name} in the same account and region"
            f" ({', '.join(shared)}) is {theirs.type}: an account has one type in a region"
        )
    for field, places in _by_prefix(registry).items():
        if both := places & _by_prefix(other)[field]:
            region, prefix = min(both)
            return f"its {field} has '{prefix}', as has registry {other.name} in the same account and region ({region})"
    if registry.copied_prefix == other.copied_prefix == ALL and registry.region == other.region:
        return (
            f"it replicates all repositories of the account, and so does registry {other.name} in the same account and region"
            f" ({registry.region}): an account has one rule for all"
        )
    if _copies_from(registry, other) and other.name_prefix.startswith(registry.name_prefix):
        return (
            f"it replicates '{registry.name_prefix}*', which includes '{other.name_prefix}*' of registry {other.name}"
            f" in the same account and region ({registry.region}): give one of them another prefix"
        )
    return None


def _by_prefix(registry: RegistryFields) -> Mapping[str, set[tuple[str, str]]]:
    """The regions and prefixes of what an account has one of for each, without the / that is assumed at their end."""
    templates = ((item, item.regions(registry.region, registry.copied_to)) for item in registry.creation_templates)
    return {
        "pull_through_cache": {(registry.region, item.prefix.rstrip("/")) for item in registry.pull_through_cache},
        "creation_templates": {(region, item.prefix.rstrip("/")) for item, regions in templates for region in regions},
    }


def _copies_from(registry: RegistryFields, other: RegistryFields) -> bool:
    """Whether its replication rule is for a region that the other, in the same account, has repositories in."""
    return registry.copies_by_prefix and registry.region in other.regions


def of_name(registry: RegistryFields, other: RegistryFields, native: str) -> str | None:
    """Why a repository of the other can't have this name because of the registry, or None."""
    if native == registry.ledger_name and registry.region in other.regions:
        return f"on AWS it is '{native}', in which marks of registry {registry.name} stand if it has no roles"
    if not _copies_from(registry, other):
        return None
    if other.name_prefix.startswith(registry.name_prefix) or not native.startswith(registry.name_prefix):
        return None  # all of the other's are, which is said of the registries
    return (
        f"on AWS it is '{native}', and registry {registry.name} replicates '{registry.name_prefix}*' from the same account and region"
        f" ({registry.region}): give it another name"
    )


def names_shared(registry: RegistryFields, other: RegistryFields) -> str:
    """Where both have their names in common, in words; "" if nowhere."""
    shared = sorted(set(registry.regions) & set(other.regions))
    return f"in the same account and region ({', '.join(shared)})" if shared else ""
