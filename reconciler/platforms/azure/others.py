"""Role assignments that others gave: on the registry, and above it where they reach somebody whom a grant narrows. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from reconciler.model.access import ADMIN, Access, ForeignAccess, Principal
from reconciler.model.address import Address
from reconciler.model.marks import OWNER
from reconciler.platforms import described

from . import assignment_settings, roles
from .assignment_settings import AssignmentSettings
from .documents import properties
from .others_roles import BUILT_IN, OtherRole
from .reach import WHOLE

Document = Mapping[str, Any]
#: what they let somebody do, by the ids of their definitions
Known = Mapping[str, OtherRole]


def unknown(items: Iterable[Document], resource: str, owner: str) -> set[str]:
    """The ids of the roles of which it must be asked what they allow: on the registry, and above it of those to whom we give access,
    unless we assign them or they are built in and known."""
    listed = list(items)
    ours = {_principal(item) for item in listed if _is_ours(item, owner)}
    reaching = (item for item in listed if _is_here(item, resource) or _principal(item) in ours)
    return {_guid(item) for item in reaching if roles.of_guid(_guid(item)) is None} - BUILT_IN.keys()


def foreign(
    at: Address, items: Iterable[Document], resource: str, owner: str, mode: str, known: Known = BUILT_IN
) -> Iterator[ForeignAccess]:
    """What others gave. `resource`: the registry's id; `mode`: which roles count there; `known`: what other roles allow."""
    listed = sorted(items, key=lambda item: str(item.get("id", "")).lower())
    ours = {_principal(item) for item in listed if _is_ours(item, owner)}
    for item in listed:
        if _is_ours(item, owner):
            continue
        here = _is_here(item, resource)
        if not here and _principal(item) not in ours:
            continue
        given = tuple(_access(at, item, mode, known))
        if here or given:
            sure = any(not access.may for access in given)
            voids = not properties(item).get("condition") and _principal(item) in ours and sure
            what = f"{_role(item, known)} of {_who(item)} on {_place(item, resource)}"
            more = ", which reaches every repository whatever its grants say" if voids else ""
            removal = f"run `az role assignment delete --ids {item.get('id', '')}`"
            yield ForeignAccess(at, f"{what}{more}", given, removal)


def ignored(items: Iterable[Document], after: str, resource: str, owner: str, known: Known = BUILT_IN) -> Iterator[str]:
    """A sentence for each role assignment at the registry and above it that counts now and counts no longer in another mode."""
    before = roles.other_mode(after)
    for item in sorted(items, key=lambda item: str(item.get("id", "")).lower()):
        role, other = roles.of_guid(_guid(item)), known.get(_guid(item), OtherRole(""))
        reached = {verb for verb in other.verbs.get(before, ()) if verb not in other.verbs.get(after, ())}
        if (role is not None and role.mode == before) or reached:
            ours = ", and another one takes its place" if _is_ours(item, owner) else ""
            lets = "" if role is not None or reached - {ADMIN} else " for deleting images"
            yield f"{_role(item, known)} of {_who(item)} on {_place(item, resource)} counts no longer{lets}{ours}"


def _is_here(item: Document, resource: str) -> bool:
    return str(properties(item).get("scope", "")).lower() == resource.lower()


def _place(item: Document, resource: str) -> str:
    return "the registry" if _is_here(item, resource) else str(properties(item).get("scope", "")) or "/"


def _is_ours(item: Document, owner: str) -> bool:
    return described.parsed(str(properties(item).get("description") or "")).texts.get(OWNER) == owner


def _principal(item: Document) -> str:
    return str(properties(item).get("principalId", "")).lower()


def _who(item: Document) -> str:
    kind = str(properties(item).get("principalType") or "ServicePrincipal")
    return assignment_settings.principal_of(AssignmentSettings(_principal(item), kind), "").label


def _guid(item: Document) -> str:
    return str(properties(item).get("roleDefinitionId", "")).rpartition("/")[2].lower()


def _role(item: Document, known: Known) -> str:
    role = roles.of_guid(_guid(item)) or known.get(_guid(item))
    return role.name if role is not None else f"role {_guid(item)}"


def _access(at: Address, item: Document, mode: str, known: Known) -> Iterator[Access]:
    """What it lets somebody do in this mode."""
    kind = str(properties(item).get("principalType") or "ServicePrincipal")
    role = roles.of_guid(_guid(item))
    if role is not None:
        if role.mode == mode:
            said = assignment_settings.read_condition(str(properties(item).get("condition") or ""), role)
            yield from assignment_settings.access(
                at, AssignmentSettings(_principal(item), kind, role.job, mode, **said)
            )
        return
    who, other = Principal(_who(item)), known.get(_guid(item), OtherRole(f"role {_guid(item)}", known=False))
    # a condition of a role that is not ours is not read
    note = "where its condition allows it" if properties(item).get("condition") else ""
    for verb in other.verbs.get(mode, ()):
        yield Access(who, verb if verb == ADMIN else f"{verb} {WHOLE}", at.registry, "", may=bool(note), note=note)
    if not other.known:
        what = f"do what {other.name} allows with {WHOLE}"
        yield Access(who, what, at.registry, "", may=True, note="which these credentials may not ask")
