"""Role assignments and role definitions."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote

from .state import TENANT, Assignment, State, now
from .wire import Asked, Document, Refusal, Reply, invalid

#: name, data actions and actions of the roles that matter here, by id: https://learn.microsoft.com/azure/role-based-access-control/
#: built-in-roles/containers, and ../../shared/azure/facts.md
_R = "Microsoft.ContainerRegistry/registries"
READ = (f"{_R}/repositories/content/read", f"{_R}/repositories/metadata/read")
WRITE = (*READ, f"{_R}/repositories/content/write", f"{_R}/repositories/metadata/write")
DELETE = (*WRITE, f"{_R}/repositories/content/delete", f"{_R}/repositories/metadata/delete")
CATALOG = (f"{_R}/catalog/read",)
ROLES: dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    "b93aa761-3e63-49ed-ac28-beffa264f7ac": ("Container Registry Repository Reader", READ, ()),
    "2a1e307c-b015-4ebd-883e-5b7698a07328": ("Container Registry Repository Writer", WRITE, ()),
    "2efddaa5-3f1f-4df3-97df-af3f13818f4c": ("Container Registry Repository Contributor", DELETE, ()),
    "bfdb9389-c9a5-478a-bb2f-ba9ca092c3c7": ("Container Registry Repository Catalog Lister", CATALOG, ()),
    "7f951dda-4ed3-4680-a7ca-43fe172d538d": ("AcrPull", (), (f"{_R}/pull/read",)),
    "8311e382-0749-4cb8-b61a-304f252e45ec": ("AcrPush", (), (f"{_R}/pull/read", f"{_R}/push/write")),
    "c2f4ef07-c644-48eb-af81-4b1b4947fb11": ("AcrDelete", (), (f"{_R}/artifacts/delete",)),
    "8e3af657-a8ff-443c-a75c-2fe8c4bcb635": ("Owner", (), ("*",)),
    "b24988ac-6180-42a0-ab88-20f7382dd24c": ("Contributor", (), ("*",)),
    "acdd72a7-3385-48ef-bd42-f606fba81ae7": ("Reader", (), ("*/read",)),
}
#: as recorded
_DESCRIPTIONS = {
    "acdd72a7-3385-48ef-bd42-f606fba81ae7": "View all resources, but does not allow you to make any changes.",
}
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
#: azure-mgmt-authorization 4, PrincipalType
TYPES = ("User", "Group", "ServicePrincipal", "ForeignGroup", "Device")
MAX_CONDITION, MAX_DESCRIPTION = 4096, 2048


def scope_of(asked: Asked) -> str:
    """The scope that an assignment is at, as it was written."""
    return asked.names["scope"] or "/"


def put(state: State, asked: Asked) -> Reply:
    """201, or 200 for one that is there: condition, description and what belongs to it may change in place, the rest may not
    (https://learn.microsoft.com/azure/role-based-access-control/troubleshooting)."""
    name, given = asked.names["assignment"].lower(), asked.properties()
    if not _UUID.fullmatch(name):
        raise invalid(
            f"The role assignment ID '{name}' is not valid. The role assignment ID must be a GUID.",
            "InvalidRoleAssignmentId",
        )
    role = str(given.get("roleDefinitionId", "")).rpartition("/")[2].lower()
    principal = str(given.get("principalId", "")).lower()
    if not _UUID.fullmatch(role):
        raise Refusal(
            404, "RoleDefinitionDoesNotExist", f"The specified role definition with ID '{role}' does not exist."
        )
    _check(state, principal, given)
    scope = scope_of(asked)
    found = state.assignments.get(name)
    time = now().replace("+00:00", "Z")
    if found is not None:
        if (found.role, found.principal, found.scope.lower()) != (role, principal, scope.lower()):
            raise invalid(
                "Tenant ID, application ID, principal ID, and scope are not allowed to be updated.",
                "RoleAssignmentUpdateNotPermitted",
            )
    elif any(
        (one.role, one.principal, one.scope.lower()) == (role, principal, scope.lower())
        for one in state.assignments.values()
    ):
        raise Refusal(409, "RoleAssignmentExists", "The role assignment already exists.")
    else:
        _check_name(state, name)
    made = Assignment(
        name,
        scope,
        role,
        principal,
        {
            "roleDefinitionId": given["roleDefinitionId"],
            "principalId": principal,
            "principalType": given.get("principalType") or "ServicePrincipal",
            "scope": scope,
            "condition": given.get("condition"),
            "conditionVersion": given.get("conditionVersion"),
            "createdOn": found.properties["createdOn"] if found is not None else time,
            "updatedOn": time,
            "createdBy": found.properties["createdBy"] if found is not None else None,
            "updatedBy": "6d97229a-391f-473a-893f-f0608b592d7b",
            "delegatedManagedIdentityResourceId": given.get("delegatedManagedIdentityResourceId"),
            "description": given.get("description"),
        },
    )
    state.assignments[name] = made
    return Reply(200 if found is not None else 201, shown(state, made))


def _check_name(state: State, name: str) -> None:
    """Some names can't be taken, "it still happens on retry": https://github.com/Azure/ARO-RP/issues/670 (code and words:
    https://github.com/microsoft/AzureTRE/issues/1592)."""
    if len(state.refused_names) < state.knobs.refused_names:
        state.refused_names.add(name)
    if name in state.refused_names:
        raise invalid(
            "A hash conflict was encountered for the role Assignment ID. Please use a new Guid.",
            "HashConflictOnDifferentRoleAssignmentIds",
        )


def _check(state: State, principal: str, given: Document) -> None:
    fresh = state.knobs.fresh and any(
        item.properties["principalId"] == principal and item.state == "Fresh" for item in state.identities.values()
    )
    if principal in {item.lower() for item in state.knobs.unknown_principals} or (
        fresh and not given.get("principalType")
    ):
        raise invalid(
            f"Principal {principal.replace('-', '')} does not exist in the directory {TENANT}. Check that you have the correct"
            " principal ID. If you are creating this principal and then immediately assigning a role, this error might be"
            " related to a replication delay. In this case, set the role assignment principalType property to a value, such as"
            " ServicePrincipal, User, or Group."
            "  See https://aka.ms/docs-principaltype",
            "PrincipalNotFound",
        )
    _check_type(state, principal, given.get("principalType"))
    if given.get("condition"):
        if given.get("conditionVersion") != "2.0":
            # words, not the code: https://github.com/MicrosoftDocs/azure-docs/issues/119449
            raise invalid("The given role assignment condition is invalid.", "InvalidConditionVersion")
        if len(str(given["condition"])) > MAX_CONDITION:
            raise invalid(f"A condition has at most {MAX_CONDITION} characters.", "ConditionTooLong")
    if len(str(given.get("description") or "")) > MAX_DESCRIPTION:
        raise invalid(f"A description has at most {MAX_DESCRIPTION} characters.", "DescriptionTooLong")


def _check_type(state: State, principal: str, said: Any) -> None:
    """Code and words: https://github.com/Azure/modern-web-app-pattern-dotnet/issues/129; that 'MSI' is refused, not how:
    https://github.com/Azure/azure-cli/issues/11594."""
    if said is None:
        return
    if said not in TYPES:
        raise invalid(f"The principal type '{said}' is not known.", "InvalidPrincipalType")
    known = state.knobs.principal_types.get(principal)
    if known not in (None, said):
        raise invalid(
            f"The PrincipalId '{principal.replace('-', '')}' has type '{known}' , which is different from specified PrinciaplType"
            f" '{said}'.",
            "UnmatchedPrincipalType",
        )


def get(state: State, asked: Asked) -> Reply:
    found = _at(state, asked)
    if found is None:
        raise Refusal(404, "RoleAssignmentNotFound", f"The role assignment '{asked.names['assignment']}' is not found.")
    return Reply(200, shown(state, found))


def delete(state: State, asked: Asked) -> Reply:
    """Answers what it was, or 204."""
    found = _at(state, asked)
    if found is None:
        return Reply(204)
    del state.assignments[found.name]
    return Reply(200, shown(state, found))


def _at(state: State, asked: Asked) -> Assignment | None:
    found = state.assignments.get(asked.names["assignment"].lower())
    return found if found is not None and found.scope.lower() == scope_of(asked).lower() else None


def listed(state: State, asked: Asked) -> list[Document]:
    """At, above and below the scope; with `atScope()` not below it (https://learn.microsoft.com/rest/api/authorization/role-assignments/
    list-for-scope)."""
    scope, wanted = scope_of(asked).lower().rstrip("/"), unquote(asked.query.get("$filter", ""))
    principal = re.search(r"(?:principalId eq|assignedTo\()\s*'([^']+)'", wanted)
    found = []
    for item in state.assignments.values():
        own = item.scope.lower().rstrip("/")
        above = f"{scope}/".startswith(f"{own}/")
        below = own.startswith(f"{scope}/") and "atscope()" not in wanted.lower()
        if (above or below) and (principal is None or item.principal == principal[1].lower()):
            found.append(shown(state, item))
    return found


def shown(state: State, item: Assignment) -> Document:
    identifier = item.id.replace("/resourceGroups/", "/resourcegroups/") if state.knobs.odd_casing else item.id
    return {
        "properties": dict(item.properties),
        "id": identifier,
        "type": "Microsoft.Authorization/roleAssignments",
        "name": item.name,
    }


def definitions(state: State, asked: Asked) -> list[Document]:
    """The roles that are known here, by name if the filter says one."""
    wanted = re.search(r"roleName eq '([^']+)'", unquote(asked.query.get("$filter", "")), re.IGNORECASE)
    return [
        definition(asked, guid)
        for guid, (name, *_) in ROLES.items()
        if wanted is None or name.lower() == wanted[1].lower()
    ]


def get_definition(state: State, asked: Asked) -> Reply:
    guid = asked.names["role"].lower()
    if guid not in ROLES:
        raise Refusal(
            404, "RoleDefinitionDoesNotExist", f"The specified role definition with ID '{guid}' does not exist."
        )
    return Reply(200, definition(asked, guid))


def definition(asked: Asked, guid: str) -> Document:
    name, data, actions = ROLES[guid]
    scope = re.match(r"/subscriptions/[^/]+", asked.names.get("scope") or "", re.IGNORECASE)
    permissions: list[dict[str, Any]] = [
        {"actions": list(actions), "notActions": [], "dataActions": list(data), "notDataActions": []}
    ]
    return {
        "properties": {
            "roleName": name,
            "type": "BuiltInRole",
            "description": _DESCRIPTIONS.get(guid, name),
            "assignableScopes": ["/"],
            "permissions": permissions,
            "createdOn": "2015-02-02T21:55:09.8806423Z",
            "updatedOn": "2020-08-14T20:16:04.3791205Z",
            "createdBy": None,
            "updatedBy": None,
        },
        "id": f"{scope[0] if scope else ''}/providers/Microsoft.Authorization/roleDefinitions/{guid}",
        "type": "Microsoft.Authorization/roleDefinitions",
        "name": guid,
    }
