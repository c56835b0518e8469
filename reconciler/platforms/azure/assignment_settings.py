"""What a role assignment gives: to whom, which job, for which repositories. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, get_args
from uuid import UUID, uuid5

from reconciler.model.access import PUSH, Access, Principal
from reconciler.model.address import Address
from reconciler.model.canonical import plain
from reconciler.spec.fields import GRANT, REPOSITORY, Text
from reconciler.spec.models import Grant
from reconciler.words import Named

from . import condition, roles, rules
from .condition import Names
from .reach import WHOLE, reached
from .roles import Role
from .spec import AzureRegistry
from .target import AzureTarget, PrincipalType

KIND = "assignment"
#: the key, in a description, of the names of the grants that an assignment is for
GRANTS = "reconciler-grants"
#: of names: https://learn.microsoft.com/azure/role-based-access-control/role-assignments-list (any GUID)
_NAMES = UUID("3d1c9c5e-58a6-4f0d-8d2b-0a6c6e5a7b11")
#: how many names there are for one assignment. About one in 1,000 Azure can't take, however often it is asked:
#: https://github.com/Azure/azure-cli/issues/13368, https://github.com/Azure/ARO-RP/issues/670
_NAMES_EACH = 3
#: characters: "2 KB" in azure-docs' conditions FAQ until 2025-02-26, since then "a recommended maximum of 512 characters"
MAX_DESCRIPTION = 2048


@dataclass(frozen=True, slots=True)
class AssignmentSettings:
    """Who has which job.

    `principal`: an object id, or `pull` or `push` for one of the registry's own identities. `job`: pull, push, or catalog. `mode`:
    whose role it is, "" where the registry's mode decides. `names`: the repositories, sorted; `prefixes`: beginnings of names, each
    with its slash; `whole`: all repositories, without a condition. `unnarrowed`: that no grant names repositories, where the mode is
    not known; `found`: and that the registry was there before. `grants`: whose names stand in its description. `other`: a condition
    that is none of ours, as it stands there. `by`: which repositories each grant is for, which no assignment says. `orphan`: whether
    it was for one of the registry's own identities, and that is gone.
    """

    principal: str
    principal_type: str = "ServicePrincipal"
    job: str = roles.PULL
    mode: str = "abac"
    names: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    whole: bool = False
    unnarrowed: bool = False
    found: bool = False
    grants: tuple[str, ...] = ()
    other: str = ""
    by: tuple[tuple[str, tuple[str, ...]], ...] = field(default=(), compare=False)
    orphan: bool = field(default=False, compare=False)

    def as_v1(self) -> dict[str, Any]:
        """What the mark is a hash of: what stands on the platform."""
        found: dict[str, Any] = plain(replace(self, by=(), orphan=False))
        return found

    @property
    def own(self) -> bool:
        """Whether it is for one of the registry's own identities."""
        return self.principal in ("pull", PUSH)

    @property
    def repositories(self) -> Names:
        """Which repositories it is for, where it is not for all."""
        return Names(frozenset(self.names), frozenset(self.prefixes))

    def in_mode(self, mode: str) -> AssignmentSettings:
        """The same in a mode that is known: in mode legacy there is no condition."""
        if self.mode:
            return self
        known = replace(self, mode=mode, unnarrowed=False, found=False)
        if mode == "legacy" and self.unnarrowed:
            return replace(known, names=(), prefixes=(), whole=True, by=())
        return known

    def in_either(self) -> AssignmentSettings:
        """The same where nobody has asked which mode the registry has: abac, unless it was there before."""
        return replace(self.in_mode("abac"), unnarrowed=self.unnarrowed and self.found, found=self.found)


@dataclass
class _Wanted:
    """What the grants ask for one principal and job together."""

    principal: str
    principal_type: str
    job: str
    by: dict[str, tuple[str, ...]] = field(default_factory=dict)
    grants: list[Grant] = field(default_factory=list)
    narrowed: bool = False


def address_of(registry: str, principal: str, job: str) -> Address:
    """The address of the assignment of a job to a principal."""
    return Address.of(registry, KIND, f"{principal}-{job}")


def address_in(registry: str, principal: str, role: Role, mode: str) -> Address:
    """The address of the assignment of a role to a principal, in a registry that is to have this mode."""
    suffix = "" if role.mode == mode else f"-{role.mode}"
    return Address.of(registry, KIND, f"{principal}-{role.job}{suffix}")


def named_in(at: Address, mode: str) -> tuple[str, Role | None]:
    """The principal and the role of an address in a registry that is to have this mode; None where that has no such role."""
    name, suffix = at.name, mode
    for other in rules.MODES:
        if at.name.endswith(f"-{other}"):
            name, suffix = at.name.removesuffix(f"-{other}"), other
    who, _, job = name.rpartition("-")
    return who, roles.of_job(suffix, job)


def of_identities(registry: AzureRegistry) -> Iterator[AssignmentSettings]:
    """What the registry's own identities can do: everything that their names say, everywhere in the registry."""
    mode = registry.role_assignment_mode or ""
    for job in ("pull", PUSH):
        for item in roles.jobs(job):
            if roles.of_job(mode or "abac", item) is not None:
                yield AssignmentSettings(job, job=item, mode=mode, whole=True)


def of_grants(
    registry: AzureRegistry, grants: Iterable[tuple[Grant, Sequence[str]]]
) -> Iterator[tuple[AssignmentSettings, tuple[Grant, ...]]]:
    """One assignment for each principal and job that grants are for, with these. `grants`: each with the names that it covers."""
    found: dict[tuple[str, str], _Wanted] = {}
    for grant, names in grants:
        target = grant.to
        if not isinstance(target, AzureTarget):
            continue
        job = PUSH if grant.permission == "push-pull" else roles.PULL
        for principal in target.principal_ids:
            key = principal.lower(), job
            wanted = found.setdefault(key, _Wanted(*key[:1], target.principal_type, job))
            wanted.by[grant.name] = tuple(names)
            wanted.grants.append(grant)
            wanted.narrowed = wanted.narrowed or grant.repositories is not None
    mode = registry.role_assignment_mode or ""
    for _, item in sorted(found.items()):
        settings = AssignmentSettings(
            item.principal,
            item.principal_type,
            item.job,
            mode,
            names=tuple(sorted({name for names in item.by.values() for name in names})) if mode != "legacy" else (),
            whole=mode == "legacy",
            unnarrowed=not mode and not item.narrowed,
            found=not mode and registry.adopt,
            grants=tuple(sorted(grant.name for grant in item.grants)),
            by=tuple(sorted(item.by.items())) if mode != "legacy" else (),
        )
        yield settings, tuple(item.grants)


def unasked(settings: AssignmentSettings) -> str | None:
    """Which part no spec asks for, or None."""
    if settings.principal_type not in get_args(PrincipalType):
        return "principal_type"
    if settings.prefixes or not _asked(settings.names, REPOSITORY):
        return "names"
    if not _asked(settings.grants, GRANT) or (settings.own and settings.grants):
        return "grants"
    if settings.by and (
        [name for name, _ in settings.by] != list(settings.grants) or _names(settings) != settings.names
    ):
        return "by"
    return "unnarrowed" if settings.unnarrowed and settings.mode else None


def _names(settings: AssignmentSettings) -> tuple[str, ...]:
    return tuple(sorted({name for _, names in settings.by for name in names}))


def _asked(names: Sequence[str], rule: Text) -> bool:
    """Whether a spec has such names, in this order."""
    return list(names) == sorted(set(names)) and all(map(rule.fits, names))


def role_of(settings: AssignmentSettings) -> Role:
    """The role that it assigns. Raises ValueError for a job that its mode has no role for."""
    found = roles.of_job(settings.mode or "abac", settings.job)
    if found is None:
        raise ValueError(f"mode {settings.mode} has no role for {settings.job}")
    return found


def native_names(scope: str, principal: str, role: Role) -> Iterator[str]:
    """The GUIDs that the assignment of a role to a principal at a scope is called by us: the first that Azure takes."""
    of = f"{scope.lower()} {principal.lower()} {role.guid}"
    return (str(uuid5(_NAMES, f"{of} {number}" if number else of)) for number in range(_NAMES_EACH))


def condition_of(settings: AssignmentSettings) -> str:
    """The condition that it is written with; "" for none."""
    return "" if settings.whole else condition.written(settings.repositories, role_of(settings).actions)


def read_condition(text: str, role: Role) -> dict[str, Any]:
    """What a condition says, as fields of the settings."""
    if not text:
        return {"whole": True}
    meant = condition.meaning(text, role.actions)
    found = set(meant.values()) if meant is not None else set()
    only = next(iter(found)) if len(found) == 1 else None
    if only is None:
        return {"whole": bool(found) and found == {None}, "other": "" if found == {None} else text}
    return {"names": tuple(sorted(only.exact)), "prefixes": tuple(sorted(only.prefixes))}


#: what a principal is called, by its type: azure-mgmt-authorization 4, PrincipalType
_WHAT = {
    "ServicePrincipal": "service principal",
    "Group": "group",
    "User": "user",
    "ForeignGroup": "foreign group",
    "Device": "device",
}


def principal_of(settings: AssignmentSettings, registry: str) -> Principal:
    """Who it is for, as access names it."""
    if settings.own:
        return Principal(f"managed identity {registry}-{settings.principal}")
    return Principal(f"{_WHAT.get(settings.principal_type, 'principal')} {settings.principal}")


def access(at: Address, settings: AssignmentSettings) -> Iterator[Access]:
    """Who can do what because of it; the catalog's names are none of that, and nobody is who is gone."""
    if settings.job == roles.LIST or settings.orphan:
        return
    who = principal_of(settings, at.registry)
    for verb in (roles.PULL, PUSH) if settings.job == PUSH else (roles.PULL,):
        if settings.other:
            note = f"where the condition allows it that somebody wrote: {settings.other}"
            yield Access(who, f"{verb} {WHOLE}", at.registry, "", may=True, note=note)
        if settings.unnarrowed:
            yield Access(who, f"{verb} {WHOLE}", at.registry, "", may=True, note="if the registry is in mode legacy")
        prefixes = ("",) if settings.whole and not settings.other else settings.prefixes
        yield from reached(who, verb, at.registry, names=settings.names, prefixes=prefixes)


def access_by_grant(at: Address, settings: AssignmentSettings) -> Iterator[tuple[str, Access]]:
    """The same, each with the grant that gives it: as the spec has them, or all of its grants where only the assignment is known."""
    if not settings.by:
        yield from ((name, item) for item in access(at, settings) for name in settings.grants or ("",))
    for name, names in settings.by:
        yield from ((name, item) for item in access(at, replace(settings, names=names)))


def shown(settings: AssignmentSettings) -> Mapping[str, Any]:
    """The settings for people."""
    where: Any = list(settings.names) + [f"{prefix}*" for prefix in settings.prefixes]
    if settings.whole:
        where = Named("*", WHOLE)
    if settings.other:
        where = Named(settings.other, f"a condition that is not ours: {settings.other}")
    role = roles.of_job(settings.mode or "abac", settings.job)
    return {
        "role": role.name if role is not None else settings.job,
        "repositories": where,
        "grants": list(settings.grants),
        "principal_type": settings.principal_type,
    }
