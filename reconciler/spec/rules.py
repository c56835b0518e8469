"""What must hold between the parts of a spec. Pure; works on whatever parts are valid, so that all errors come at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter

from reconciler.words import did_you_mean

from .fields import Fault
from .models import Grant
from .registry import RegistryBase
from .repository import Repository
from .selection import covered, is_glob


@dataclass
class Parts:
    """The valid parts of a spec by their index in the text, and the names that the text gives, valid or not.

    `base`: the folder that relative paths in it start from.
    """

    registries: Mapping[int, RegistryBase]
    repositories: Mapping[int, Repository]
    grants: Mapping[int, Grant]
    registry_names: frozenset[str]
    repository_names: Mapping[str, frozenset[str]] = field(default_factory=dict)
    base: str = "."


def faults(parts: Parts) -> Iterator[Fault]:
    """Every fault, each with its full path."""
    known = {registry.name: registry for registry in parts.registries.values()}
    ordered = {name: sorted(names) for name, names in parts.repository_names.items()}
    yield from _registry_faults(parts)
    for index, repository in parts.repositories.items():
        at = ("repositories", index)
        if repository.registry not in parts.registry_names:
            yield _unnamed(at, repository.registry, parts)
        elif (registry := known.get(repository.registry)) is not None:
            reason = registry.name_fault(registry.native_name(repository.name))
            if reason is not None:
                yield Fault((*at, "name"), reason)
            yield from _below(at, registry.repository_faults(repository))
    for index, grant in parts.grants.items():
        at = ("grants", index)
        yield from _below((*at, "to"), grant.to.faults())
        if grant.registry not in parts.registry_names:
            yield _unnamed(at, grant.registry, parts)
        elif (registry := known.get(grant.registry)) is not None:
            names = parts.repository_names.get(grant.registry, frozenset())
            yield from _grant_faults(at, grant, registry, names, ordered.get(grant.registry, []))


def _registry_faults(parts: Parts) -> Iterator[Fault]:
    items = sorted(parts.registries.items())
    for index, registry in items:
        yield from _below(("registries", index), registry.faults())
        for _, other in items:
            if other is registry or other.name == registry.name:
                continue
            reason = registry.clashes(other, parts.base)
            if reason is not None:
                yield Fault(("registries", index), reason)
    yield from _circle(items)


def _circle(items: list[tuple[int, RegistryBase]]) -> Iterator[Fault]:
    """Registries that wait for each other: none of them could be made first."""
    before = {
        index: [at for at, other in items if other is not registry and registry.waits_for(other)]
        for index, registry in items
    }
    try:
        TopologicalSorter(before).prepare()
    except CycleError as error:
        # it names each after the one that waits for it, and the first again at the end
        circle = [int(index) for index in error.args[1][:-1]]
        named = ", ".join(sorted(registry.name for index, registry in items if index in circle))
        yield Fault(
            ("registries", min(circle)),
            f"registries {named} trust roles of each other, and a role can only be trusted once it is there: leave one of them out",
        )


def _grant_faults(
    at: tuple[str, int], grant: Grant, registry: RegistryBase, names: frozenset[str], ordered: list[str]
) -> Iterator[Fault]:
    if grant.to.type not in registry.grant_types:
        yield Fault(
            (*at, "to", "type"),
            f"a grant to '{grant.to.type}' can't be honoured by registry {registry.name}, which can grant to"
            f" {' or '.join(registry.grant_types)}",
        )
        return
    for position, pattern in enumerate(grant.repositories or ()):
        if not is_glob(pattern) and pattern not in names:
            yield Fault(
                (*at, "repositories", position),
                f"registry {registry.name} has no repository named '{pattern}'{did_you_mean(pattern, names)}",
            )
    chosen = list(covered(grant.repositories, ordered, names))
    yield from _below(at, registry.grant_faults(grant.to, chosen, grant.repositories is not None))


def _unnamed(at: tuple[str, int], name: str, parts: Parts) -> Fault:
    return Fault((*at, "registry"), f"no registry is named '{name}'{did_you_mean(name, parts.registry_names)}")


def _below(at: tuple[str | int, ...], found: Iterator[Fault]) -> Iterator[Fault]:
    for fault in found:
        yield Fault((*at, *fault.loc), fault.message)
