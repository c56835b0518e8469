"""What the guards require of every repository of the spec, whether a change is about it or not. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, TypeGuard

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
#: what a repository's kind is called, also where it holds nothing of ours
_REPOSITORY = "repository"


def required(spec: Spec, seen: Picture) -> Iterator[Verdict]:
    """The guards' verdicts on repositories that lack what is required, each with all the addresses that it is about."""
    guards = spec.guards
    registries = {item.name: item for item in spec.registries}
    for key in guards.require_labels:
        lacking = _where(spec, seen, partial(_lacks_label, registries, key))
        for found, why in _by_reason(lacking, registries, labels={key: "any"}):
            reason = f": {why}" if why else ""
            message = f"{_have(found, 'no label')} '{key}', which guards.require_labels lists{reason}"
            yield _verdict("require_labels", found, message)
    if guards.require_immutable_tags:
        lacking = _where(spec, seen, lambda item: not item.tags_immutable or any(map(excepts_all, item.movable_tags)))
        for found, why in _by_reason(lacking, registries, immutable_tags=True):
            wants = "where guards.require_immutable_tags wants immutable_tags: true (exceptions may be listed)"
            never = f"and nothing there can meet guards.require_immutable_tags: {why}; give such a registry a spec of its own"
            message = f"tags of {_named(found)} can be moved, {f'{never}, without it' if why else wants}"
            yield _verdict("require_immutable_tags", found, message)
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


def _by_reason(
    lacking: Iterable[Address], registries: Mapping[str, RegistryBase], **asked: Any
) -> Iterator[tuple[list[Address], str]]:
    """The repositories that lack what a guard requires, by why their registries' platforms do not have it; last those whose have it,
    with "". `asked`: what a repository would have to be set to."""
    (field,) = asked
    never: dict[str, str] = {}
    for name, registry in registries.items():
        faults = registry.repository_faults(Repository(name="any", registry=name, **asked))
        never[name] = next((item.message for item in faults if item.loc == (field,)), "")
    found: dict[str, list[Address]] = {}
    for at in lacking:
        found.setdefault(never[at.registry], []).append(at)
    yield from ((found[why], why) for why in sorted(found, key=lambda why: (not why, why)))


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
        and (_is_repository(seen.kinds[address.registry][wanted.kind]) or wanted.kind == _REPOSITORY)
    )


def _verdict(name: str, found: Iterable[Address], message: str) -> Verdict:
    return Verdict(name, False, message, tuple(found))


def _have(found: list[Address], what: str) -> str:
    return f"{_named(found)} {plural(len(found), 'has', 'have')} {what}"


def _named(found: list[Address]) -> str:
    more = len(found) - MOST_NAMED
    return all_of([*found[:MOST_NAMED], *([f"{more} more"] if more > 0 else [])])
