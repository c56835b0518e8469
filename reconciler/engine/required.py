"""What the guards require of every repository of the spec, whether a change is about it or not. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import TypeGuard

from reconciler.model.address import Address
from reconciler.model.change import Change
from reconciler.model.kind import HoldsImages, Kind
from reconciler.model.released import ReleasesAll
from reconciler.spec.models import Spec
from reconciler.spec.registry import RegistryBase
from reconciler.spec.repository import Repository, excepts_all
from reconciler.words import all_of, counted, plural

from .basis import Basis
from .expand import Kinds
from .guard import Verdict
from .picture import Picture

#: repositories that one verdict names; the others are counted
MOST_NAMED = 3


def required(spec: Spec, seen: Picture) -> Iterator[Verdict]:
    """The guards' verdicts on repositories that lack what is required, each with all the addresses that it is about."""
    guards = spec.guards
    registries = {item.name: item for item in spec.registries}
    for key in guards.require_labels:
        found = _where(spec, seen, partial(_lacks_label, registries, key))
        if found:
            yield _verdict(
                "require_labels", found, f"{_have(found, 'no label')} '{key}', which guards.require_labels lists"
            )
    if guards.require_immutable_tags:
        found = _where(spec, seen, lambda item: not item.tags_immutable or any(map(excepts_all, item.movable_tags)))
        never = {name: why for name, item in registries.items() if (why := _no_immutable_tags(item))}
        for why in sorted(set(never.values())):
            those = [at for at in found if never.get(at.registry) == why]
            if those:
                message = f"tags of {_named(those)} can be moved, and nothing there can meet guards.require_immutable_tags: {why}"
                yield _verdict(
                    "require_immutable_tags", those, f"{message}; give such a registry a spec of its own, without it"
                )
        found = [at for at in found if at.registry not in never]
        if found:
            why = "where guards.require_immutable_tags wants immutable_tags: true (exceptions may be listed)"
            yield _verdict("require_immutable_tags", found, f"tags of {_named(found)} can be moved, {why}")
    if guards.max_grants_per_repository is not None:
        yield from _with_many_grants(spec, seen, guards.max_grants_per_repository)


def unsaid(changes: Iterable[Change], basis: Basis, kinds: Kinds, registries: Iterable[RegistryBase]) -> Iterator[str]:
    """What of what is required the changes lack and a plan file does not say, or says the guards let pass, in words."""
    common = {item.name: item.common_labels for item in registries}
    said: dict[str, set[Address]] = {}
    for verdict in basis.required:
        said.setdefault(verdict.guard, set()).update(verdict.addresses)
        if verdict.passed:
            yield f"the guard '{verdict.guard}' is said to let pass what it is listed for"
    for change in () if basis.destroy else changes:
        kind = kinds[change.registry][change.kind]
        if change.desired is None or change.address.where or not _is_repository(kind):
            continue
        settings = change.desired.settings
        has = {*kind.labels(settings), *common.get(change.registry, {})}
        lacking = {key: f"it has no label '{key}'" for key in basis.rules.require_labels if key not in has}
        found = {"require_labels": ", ".join(lacking.values())}
        if basis.rules.require_immutable_tags and kind.tags_movable(settings):
            found["require_immutable_tags"] = "its tags can be moved"
        for name, why in found.items():
            if why and change.address not in said.get(name, ()):
                yield f"it does not say that guards.{name} stops {change.address}: {why}"


def _with_many_grants(spec: Spec, seen: Picture, most: int) -> Iterator[Verdict]:
    for (registry, name), grants in sorted(spec.grants_by_repository.items()):
        found = _where(spec, seen, partial(_is_at, registry, name)) if len(grants) > most else []
        if found:
            names = ", ".join(grant.name for grant in grants)
            message = (
                f"{_named(found)} has {counted(len(grants), 'grant')} ({names}), at most {most}"
                f" {plural(most, 'is', 'are')} allowed (max_grants_per_repository)"
            )
            yield _verdict("max_grants_per_repository", found, message)


def _lacks_label(registries: Mapping[str, RegistryBase], key: str, item: Repository) -> bool:
    return key not in item.labels and key not in registries[item.registry].common_labels


def _no_immutable_tags(registry: RegistryBase) -> str:
    """Why the registry's platform has no immutable tags; "" if it has."""
    asked = Repository(name="any", registry=registry.name, immutable_tags=True)
    return next((item.message for item in registry.repository_faults(asked) if item.loc == ("immutable_tags",)), "")


def _is_repository(kind: Kind) -> TypeGuard[HoldsImages]:
    """Not a registry that holds images itself, beside those of its repositories."""
    return isinstance(kind, HoldsImages) and not isinstance(kind, ReleasesAll)


def _is_at(registry: str, name: str, item: Repository) -> bool:
    return (item.registry, item.name) == (registry, name)


def _where(spec: Spec, seen: Picture, lacking: Callable[[Repository], bool]) -> list[Address]:
    """The addresses of the spec's repositories that lack something: those in their home region, of what the plan is to make so."""
    lack = {(item.registry, item.name) for item in spec.repositories if lacking(item)}
    return sorted(
        address
        for address, wanted in seen.desired.items()
        if (address.registry, address.name) in lack
        and not address.where
        and _is_repository(seen.kinds[address.registry][wanted.kind])
    )


def _verdict(name: str, found: Iterable[Address], message: str) -> Verdict:
    return Verdict(name, False, message, tuple(found))


def _have(found: list[Address], what: str) -> str:
    return f"{_named(found)} {plural(len(found), 'has', 'have')} {what}"


def _named(found: list[Address]) -> str:
    more = len(found) - MOST_NAMED
    return all_of([*found[:MOST_NAMED], *([f"{more} more"] if more > 0 else [])])
