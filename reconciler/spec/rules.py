"""What must hold between the parts of a spec. Pure; works on whatever parts are valid, so that all errors come at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from graphlib import CycleError, TopologicalSorter

from reconciler.words import any_of, did_you_mean

from .cluster import Cluster
from .fields import Absent, Fault, each
from .models import Grant
from .registry import GrantTarget, RegistryBase
from .repository import Repository, RepositoryDefaults
from .selection import covered, is_glob


@dataclass
class Parts:
    """The valid parts of a spec by their index in the text, and the names that the text gives, valid or not.

    `name`: the spec's; "" where that is wrong. `base`: the folder that relative paths in it start from. `defaults`: those of
    repositories. `all_registries`, `all_repositories`, `all_clusters`: whether the names are all that there are; else one that is not
    among them may stand in a file that can't be read, or in a row whose name is wrong. `checked`: repositories that are right by
    themselves, and for their registry.
    """

    registries: Mapping[int, RegistryBase]
    repositories: Mapping[int, Repository]
    grants: Mapping[int, Grant]
    registry_names: frozenset[str]
    repository_names: Mapping[str, frozenset[str]] = field(default_factory=dict)
    name: str = ""
    base: str = "."
    defaults: RepositoryDefaults = field(default_factory=RepositoryDefaults)
    all_registries: bool = True
    all_repositories: bool = True
    checked: frozenset[int] = frozenset()
    clusters: Mapping[int, Cluster] = field(default_factory=dict)
    cluster_names: frozenset[str] = frozenset()
    all_clusters: bool = True

    @cached_property
    def known(self) -> Mapping[str, RegistryBase]:
        """The registries by name."""
        return {item.name: item for item in self.registries.values() if "name" in item.__dict__}

    @cached_property
    def ordered(self) -> Mapping[str, list[str]]:
        """Each registry's repositories, sorted by name."""
        return {name: sorted(names) for name, names in self.repository_names.items()}


def faults(parts: Parts) -> Iterator[Fault]:
    """Every fault, each with its full path. What asks for a field that is not valid finds nothing."""
    yield from _registry_faults(parts)
    yield from _same_names(parts)
    for index, repository in parts.repositories.items():
        if index not in parts.checked:
            yield from each(_repository_faults(("repositories", index), repository, parts))
    yield from _together_faults(parts)
    for index, grant in parts.grants.items():
        at = ("grants", index)
        yield from each(
            _target_faults((*at, "to"), grant),
            _target_cluster((*at, "to"), grant, parts),
            _grant_faults(at, grant, parts),
        )
    yield from _targets_together(parts)
    yield from each(_one_cluster_twice(parts), _own_secrets(parts))


def _repository_faults(at: tuple[str, int], repository: Repository, parts: Parts) -> Iterator[Fault]:
    yield from _below(at, repository.faults())
    if repository.registry not in parts.registry_names:
        yield from _unnamed(at, repository.registry, parts)
    elif (registry := parts.known.get(repository.registry)) is not None:
        yield from each(_name_faults(at, repository, registry), _below(at, registry.repository_faults(repository)))


def _together_faults(parts: Parts) -> Iterator[Fault]:
    """What is wrong between the repositories of one registry."""
    rows: dict[str, list[Repository]] = {}
    index_of: dict[int, int] = {}
    for index, item in parts.repositories.items():
        with suppress(Absent):
            if item.registry in parts.known:
                rows.setdefault(item.registry, []).append(item)
                index_of[id(item)] = index
    for name, items in rows.items():
        with suppress(Absent):
            for item, fault in parts.known[name].together_faults(items):
                yield Fault(("repositories", index_of[id(item)], *fault.loc), fault.message)


def _name_faults(at: tuple[str, int], repository: Repository, registry: RegistryBase) -> Iterator[Fault]:
    if repository.native_name is not None:
        reason = registry.name_fault(repository.native_name)
    else:
        reason = registry.name_fault(registry.native_name(repository.name))
    if reason is not None:
        yield Fault((*at, _naming(repository)), reason)


def _naming(repository: Repository) -> str:
    """The field that its name on the platform comes from."""
    return "name" if repository.native_name is None else "native_name"


def _same_names(parts: Parts) -> Iterator[Fault]:
    """Repositories that would be one on the platform, each with the other's place in the spec."""
    named = _native_names(parts)
    for name, registry in parts.known.items():
        yield from _twice_in_one(registry, named[name], parts)
        others = (other for other in parts.known.values() if other.name != name)
        yield from each(*(_in_both(registry, other, named[name], named[other.name], parts) for other in others))


def _twice_in_one(registry: RegistryBase, named: Mapping[int, str], parts: Parts) -> Iterator[Fault]:
    first: dict[str, int] = {}
    for index, native in named.items():
        other = parts.repositories[first.setdefault(native, index)]
        if other.name != parts.repositories[index].name:  # else it is the same repository, defined twice
            yield _same(index, native, f"repository {other.name} of this registry", registry, parts)


def _in_both(
    registry: RegistryBase, other: RegistryBase, named: Mapping[int, str], theirs: Mapping[int, str], parts: Parts
) -> Iterator[Fault]:
    where = registry.names_shared_with(other)
    there = {native: index for index, native in theirs.items()} if where else {}
    for index, native in named.items() if where else ():
        if native in there:
            name = parts.repositories[there[native]].name
            yield _same(index, native, f"repository {name} of registry {other.name}, {where}", registry, parts)
        elif reason := other.name_clash(registry, native):
            yield Fault(("repositories", index, _naming(parts.repositories[index])), reason)


def _native_names(parts: Parts) -> Mapping[str, Mapping[int, str]]:
    """By registry, its repositories' names on the platform, by their index: of those that have both names."""
    found: dict[str, dict[int, str]] = {name: {} for name in parts.known}
    for index, item in parts.repositories.items():
        with suppress(Absent):
            registry = parts.known.get(item.registry)
            if registry is not None and item.name:
                found[registry.name][index] = item.native_name or registry.native_name(item.name)
    return found


def _same(index: int, native: str, other: str, registry: RegistryBase, parts: Parts) -> Fault:
    at = ("repositories", index, _naming(parts.repositories[index]))
    return Fault(at, f"on the platform it is '{native}', as is {other}: give one of them another {registry.naming}")


def _target_faults(at: tuple[str | int, ...], grant: Grant) -> Iterator[Fault]:
    yield from _below(at, grant.to.faults())


def _target_cluster(at: tuple[str | int, ...], grant: Grant, parts: Parts) -> Iterator[Fault]:
    yield from _cluster_unknown(at, grant.to, parts)


def _cluster_unknown(at: tuple[str | int, ...], names: RegistryBase | GrantTarget, parts: Parts) -> Iterator[Fault]:
    """`names`: what may name a cluster, which stands at the path."""
    named = names.named_cluster
    if named is None or named[1] in parts.cluster_names or not parts.all_clusters:
        return
    where, name = named
    if not parts.cluster_names:
        said = "the spec has no clusters: add `clusters: [{name: " + name + ", context: ...}]`"
    else:
        said = f"no cluster is named '{name}'{did_you_mean(name, parts.cluster_names)}"
    yield Fault((*at, *where), said)


def _own_secrets(parts: Parts) -> Iterator[Fault]:
    """Registries whose login is read from a secret that the spec itself makes, and deletes with its grant."""
    made: dict[tuple[str, str, str], str] = {}
    for grant in parts.grants.values():
        with suppress(Absent):
            made |= dict.fromkeys(grant.to.secrets(parts.name, grant.name), grant.name)
    for index, registry in parts.registries.items():
        with suppress(Absent):
            named, secret = registry.named_cluster, registry.login_secret
            if named is not None and secret in made:
                yield Fault(
                    ("registries", index, *named[0][:-1]),
                    f"is the pull secret that this spec makes for grant {made[secret]}, and deletes with it, and nothing else would"
                    " have the login then: keep the login in a secret of another name",
                )


def _one_cluster_twice(parts: Parts) -> Iterator[Fault]:
    first: dict[tuple[str, ...], Cluster] = {}
    for index, item in parts.clusters.items():
        with suppress(Absent):
            if item.fault() is not None:
                continue  # how it is reached is not known
            other = first.setdefault(item.reached(parts.base), item)
            if other.name != item.name:
                yield Fault(
                    ("clusters", index),
                    f"it is reached as cluster {other.name} is, so it is the same, and what is made in it would have two names:"
                    " remove it, and name the other in grants",
                )


def _registry_faults(parts: Parts) -> Iterator[Fault]:
    items = sorted(parts.registries.items())
    for index, registry in items:
        others = [item for _, item in items if item is not registry]
        clashes = (_clash(index, registry, other, parts.base) for other in others)
        gone = (_retired(index, registry, other) for other in others)
        own = (registry.faults(), registry.default_faults(parts.defaults))
        cluster = _cluster_unknown(("registries", index), registry, parts)
        yield from each(*(_below(("registries", index), found) for found in own), cluster, *clashes, *gone)
    yield from each(_circle(items))


def _clash(index: int, registry: RegistryBase, other: RegistryBase, base: str) -> Iterator[Fault]:
    reason = registry.clashes(other, base) if other.name != registry.name else None
    if reason is not None:
        yield Fault(("registries", index), reason)


def _retired(index: int, registry: RegistryBase, other: RegistryBase) -> Iterator[Fault]:
    if other.retired and not registry.retired and registry.waits_for(other):
        yield Fault(
            ("registries", index),
            f"registry {registry.name} trusts roles of registry {other.name}, which is retired: stop trusting them first",
        )


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
            f"registries {named} trust roles of each other, and a role must exist before it can be trusted:"
            " remove one of these trusts",
        )


def _grant_faults(at: tuple[str, int], grant: Grant, parts: Parts) -> Iterator[Fault]:
    if grant.registry not in parts.registry_names:
        yield from _unnamed(at, grant.registry, parts)
    elif (registry := parts.known.get(grant.registry)) is not None:
        names = parts.repository_names.get(grant.registry, frozenset())
        yield from each(
            _repositories_unknown(at, grant, registry, names) if parts.all_repositories else iter(()),
            _not_honoured(at, grant, registry, names, parts),
        )


def _targets_together(parts: Parts) -> Iterator[Fault]:
    """What is wrong between the grants of one registry."""
    rows: dict[str, list[tuple[int, Grant]]] = {}
    for index, item in parts.grants.items():
        with suppress(Absent):
            if item.registry in parts.known and item.to.whole and item.name:
                rows.setdefault(item.registry, []).append((index, item))
    for name, items in rows.items():
        for at, fault in parts.known[name].targets_faults([(item.name, item.to) for _, item in items]):
            yield Fault(("grants", items[at][0], "to", *fault.loc), fault.message)


def _repositories_unknown(
    at: tuple[str, int], grant: Grant, registry: RegistryBase, names: frozenset[str]
) -> Iterator[Fault]:
    for position, pattern in enumerate(grant.repositories or ()):
        if not is_glob(pattern) and pattern not in names:
            yield Fault(
                (*at, "repositories", position),
                f"registry {registry.name} has no repository named '{pattern}'{did_you_mean(pattern, names)}",
            )


def _not_honoured(
    at: tuple[str, int], grant: Grant, registry: RegistryBase, names: frozenset[str], parts: Parts
) -> Iterator[Fault]:
    if grant.to.type not in registry.grant_types:
        yield Fault(
            (*at, "to", "type"),
            f"a grant to '{grant.to.type}' is not supported by registry {registry.name}, which can grant to"
            f" {any_of(registry.grant_types)}",
        )
        return
    if registry.whole_login and grant.to.named_cluster is not None:
        yield from _whole_login(at, grant, registry.whole_login)
        yield from _below(at, registry.grant_faults(grant.to, [], False))
        return
    for key, given, known in (
        ("permission", (grant.permission,), registry.permissions),
        ("also", grant.also, registry.beside),
    ):
        for item in given:
            if item not in known:
                they = f"takes {' or '.join(known)}" if known else f"takes no `{key}`"
                yield Fault(
                    (*at, key), f"'{item}' can't be granted on {registry.platform}; registry {registry.name} {they}"
                )
    chosen = list(covered(grant.repositories, parts.ordered.get(grant.registry, []), names))
    yield from _below(at, registry.named_faults(grant.to, grant.name))
    yield from _below(at, registry.grant_faults(grant.to, chosen, grant.repositories is not None))


def _whole_login(at: tuple[str, int], grant: Grant, why: str) -> Iterator[Fault]:
    """What would narrow or widen a login that can do what it can."""
    for key, given in (("repositories", grant.repositories is not None), ("also", bool(grant.also))):
        if given:
            yield Fault((*at, key), f"{why}: remove `{key}`")
    if grant.permission != "pull":
        yield Fault((*at, "permission"), f"{why}: remove `permission`")


def _unnamed(at: tuple[str, int], name: str, parts: Parts) -> Iterator[Fault]:
    if parts.all_registries:
        yield Fault((*at, "registry"), f"no registry is named '{name}'{did_you_mean(name, parts.registry_names)}")


def _below(at: tuple[str | int, ...], found: Iterator[Fault]) -> Iterator[Fault]:
    for fault in found:
        yield Fault((*at, *fault.loc), fault.message)
