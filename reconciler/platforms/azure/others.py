"""Role assignments that others gave: on the registry, and above it where they reach somebody whom a grant narrows. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from reconciler.model.access import ADMIN, PUSH, Access, ForeignAccess, Principal
from reconciler.model.address import Address
from reconciler.model.marks import OWNER
from reconciler.platforms import described

from . import assignment_settings, roles
from .assignment_settings import WHOLE, AssignmentSettings
from .documents import properties

Document = Mapping[str, Any]
#: what the other roles that reach images let somebody do, by the mode in which they do: an owner and a contributor of a registry in
#: mode abac reach no image, and can give themselves and others any role or key
#: https://learn.microsoft.com/azure/container-registry/container-registry-rbac-abac-repository-permissions
_OTHERS: Mapping[str, tuple[str, Mapping[str, tuple[str, ...]]]] = {
    "2efddaa5-3f1f-4df3-97df-af3f13818f4c": (
        "Container Registry Repository Contributor",
        {"abac": (roles.PULL, PUSH, ADMIN)},
    ),
    "c2f4ef07-c644-48eb-af81-4b1b4947fb11": ("AcrDelete", {"legacy": (ADMIN,)}),
    "8e3af657-a8ff-443c-a75c-2fe8c4bcb635": ("Owner", {"legacy": (roles.PULL, PUSH, ADMIN), "abac": (ADMIN,)}),
    "b24988ac-6180-42a0-ab88-20f7382dd24c": ("Contributor", {"legacy": (roles.PULL, PUSH, ADMIN), "abac": (ADMIN,)}),
    "acdd72a7-3385-48ef-bd42-f606fba81ae7": ("Reader", {"legacy": (roles.PULL,)}),
}


def foreign(at: Address, items: Iterable[Document], resource: str, owner: str, mode: str) -> Iterator[ForeignAccess]:
    """What others gave. `resource`: the registry's id; `mode`: which roles count there."""
    listed = sorted(items, key=lambda item: str(item.get("id", "")).lower())
    ours = {_principal(item) for item in listed if _is_ours(item, owner)}
    for item in listed:
        if _is_ours(item, owner):
            continue
        scope = str(properties(item).get("scope", ""))
        here = scope.lower() == resource.lower()
        if not here and _principal(item) not in ours:
            continue
        given = tuple(_access(at, item, mode))
        if here or given:
            voids = not properties(item).get("condition") and _principal(item) in ours and bool(given)
            what = f"{_role(item)} of {_who(item)} on {'the registry' if here else scope or '/'}"
            more = ", which reaches every repository whatever its grants say" if voids else ""
            removal = f"run `az role assignment delete --ids {item.get('id', '')}`"
            yield ForeignAccess(at, f"{what}{more}", given, removal)


def ignored(items: Iterable[Document], after: str) -> Iterator[str]:
    """A sentence for each role assignment at the registry and above it that counts now and counts no longer in another mode."""
    before = roles.other_mode(after)
    for item in sorted(items, key=lambda item: str(item.get("id", "")).lower()):
        role = roles.of_guid(_guid(item))
        known = _OTHERS.get(_guid(item), ("", {}))[1]
        reached = {verb for verb in known.get(before, ()) if verb not in known.get(after, ())}
        if (role is not None and role.mode == before) or reached:
            scope = str(properties(item).get("scope", "")) or "/"
            lets = "lets nobody pull or push" if role is not None or reached - {ADMIN} else "lets nobody delete images"
            if role is not None and role.job == roles.LIST:
                lets = "lets nobody list repositories"
            yield f"{_role(item)} of {_who(item)} on {scope} {lets} any longer"


def _is_ours(item: Document, owner: str) -> bool:
    return described.parsed(str(properties(item).get("description") or "")).texts.get(OWNER) == owner


def _principal(item: Document) -> str:
    return str(properties(item).get("principalId", "")).lower()


def _who(item: Document) -> str:
    kind = str(properties(item).get("principalType") or "ServicePrincipal")
    return assignment_settings.principal_of(AssignmentSettings(_principal(item), kind), "").label


def _guid(item: Document) -> str:
    return str(properties(item).get("roleDefinitionId", "")).rpartition("/")[2].lower()


def _role(item: Document) -> str:
    role = roles.of_guid(_guid(item))
    return role.name if role is not None else _OTHERS.get(_guid(item), (f"role {_guid(item)}", {}))[0]


def _access(at: Address, item: Document, mode: str) -> Iterator[Access]:
    """What it lets somebody do in this mode; of a role that is not known here, nothing is known."""
    kind = str(properties(item).get("principalType") or "ServicePrincipal")
    role = roles.of_guid(_guid(item))
    if role is not None:
        if role.mode == mode:
            said = assignment_settings.read_condition(str(properties(item).get("condition") or ""), role)
            yield from assignment_settings.access(
                at, AssignmentSettings(_principal(item), kind, role.job, mode, **said)
            )
        return
    who = Principal(_who(item))
    for verb in _OTHERS.get(_guid(item), ("", {}))[1].get(mode, ()):
        yield Access(who, verb if verb == ADMIN else f"{verb} {WHOLE}", at.registry, "")
