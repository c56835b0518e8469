"""Who can do what by a spec, and by which of its grants. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from reconciler.model.access import Access, Given, Principal
from reconciler.model.kind import GivesAccess, Home, Kind, ReachesMarked
from reconciler.model.platform import Platforms
from reconciler.model.resource import Desired
from reconciler.spec.models import Spec

from .expand import expand

#: in the place of a repository: each that the registry has, or will have
EVERY = "*"


@dataclass(frozen=True, slots=True, order=True)
class GivenBy:
    """One thing that one principal can do, and the grant that gives it ("": the registry's own settings). `native`: what the platform
    itself calls the principal, such as by an ARN, where it does."""

    access: Access
    grant: str
    native: str = ""


def who_can(spec: Spec, platforms: Platforms) -> list[GivenBy]:
    """All that the spec gives, in order, each by each grant that gives it.

    Raises ReadFailed, naming each registry whose platform this build does not have."""
    kinds, desired = expand(spec, platforms)
    homes = {registry.name: Home(spec.name, registry) for registry in spec.registries if not registry.retired}
    return sorted(
        GivenBy(access, grant, natives.get(access.principal.label, ""))
        for name, home in homes.items()
        for item in desired[name].values()
        for natives in (_natives(kinds[name][item.kind], item),)
        for grant, access in _given_by(kinds[name][item.kind], item, home)
    )


def _natives(kind: Kind, item: Desired) -> Mapping[str, str]:
    return kind.native_principals(item.settings) if isinstance(kind, GivesAccess) else {}


def _given_by(kind: Kind, item: Desired, home: Home) -> Iterable[tuple[str, Access]]:
    if isinstance(kind, ReachesMarked):  # who gets to the repositories in the end, and by what
        found = kind.reaches(item.address, Given(item.settings), home)
        return (("", replace(access, repository=EVERY)) for access in found)
    if not isinstance(kind, GivesAccess):
        return ()
    given = kind.access_by_grant(item.address, item.settings)
    if home.registry is None or not home.registry.is_one:
        return given
    # what they are together on the platform has a name of its own, which the spec need not know
    return ((grant, replace(access, repository=access.repository and EVERY)) for grant, access in given)


def chosen(
    given: list[GivenBy],
    verb: str | None,
    repository: str | None,
    principal: str | Callable[[Principal], bool] | None,
) -> Iterator[GivenBy]:
    """Those that allow a verb, on a repository (a glob), to a principal (part of what it is called, or its account; or what says
    whether one is, or includes, the one that is asked for).

    None: any. What is given for all of a registry is given for each repository; what is given to everyone, to each principal; and
    whether a principal belongs to an organization is not known here.
    """
    for item in given:
        access = item.access
        if verb is not None and verb not in access.verb.split():
            continue
        at_all = access.repository in ("", EVERY)
        if repository is not None and not at_all and not is_named(repository, access.registry, access.repository):
            continue
        if principal is None or _may_be(access.principal, principal):
            yield item


def is_named(asked: str, registry: str, repository: str) -> bool:
    """Whether a repository is asked for: by its name or `REGISTRY/NAME`, each of which may be a glob."""
    return fnmatchcase(repository, asked) or fnmatchcase(f"{registry}/{repository}", asked)


def asked_as(platforms: Platforms, spec: Spec, principal: str) -> Callable[[Principal], bool] | None:
    """Whether a principal is, or includes, the one that a platform of the spec writes like that; None if none does."""
    known = {item.platform for item in spec.registries if not item.retired}
    return next((found for name in sorted(known) if (found := platforms[name].known_as(principal))), None)


def _may_be(found: Principal, asked: str | Callable[[Principal], bool]) -> bool:
    if not isinstance(asked, str):
        return asked(found)
    return (
        found.public or bool(found.organization) or asked.casefold() in found.label.casefold() or asked == found.account
    )
