"""What roles that we do not assign let somebody do with images, in each mode: built-in ones, and any other by its definition. Pure.

https://learn.microsoft.com/azure/container-registry/container-registry-rbac-abac-repository-permissions,
https://learn.microsoft.com/azure/role-based-access-control/role-definitions
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from reconciler.model.access import ADMIN, DELETE_IMAGES, PUSH

from . import roles

_REGISTRIES = "Microsoft.ContainerRegistry/registries"
_DATA = f"{_REGISTRIES}/repositories"
#: the verb of whoever has Azure copy images of another registry into this one, which is no push
IMPORT = "import images into"
#: a run of a task. In mode legacy it can do all with images; in mode abac only what whoever starts it can do, or the task's identity:
#: https://learn.microsoft.com/azure/container-registry/container-registry-rbac-abac-repository-permissions
_RUNS = (f"{_REGISTRIES}/scheduleRun/action", f"{_REGISTRIES}/tasks/write", f"{_REGISTRIES}/taskRuns/write")
#: the data actions by which somebody can do something, in each mode
_BY_DATA: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "abac": {
        roles.PULL: (f"{_DATA}/content/read",),
        PUSH: (f"{_DATA}/content/write",),
        DELETE_IMAGES: (f"{_DATA}/content/delete", f"{_DATA}/metadata/delete"),
    },
    "legacy": {},
}
#: the other actions by which somebody can, in each mode. What a registry holds goes with it, and an import needs no data action:
#: https://learn.microsoft.com/azure/container-registry/container-registry-rbac-built-in-roles-directory-reference
_BY_ACTION: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "abac": {IMPORT: (f"{_REGISTRIES}/importImage/action",), DELETE_IMAGES: (f"{_REGISTRIES}/delete",)},
    "legacy": {
        roles.PULL: (f"{_REGISTRIES}/pull/read", *_RUNS),
        PUSH: (f"{_REGISTRIES}/push/write", *_RUNS),
        IMPORT: (f"{_REGISTRIES}/importImage/action",),
        DELETE_IMAGES: (f"{_REGISTRIES}/artifacts/delete", f"{_REGISTRIES}/delete", *_RUNS),
    },
}
#: what lets somebody in, in either mode: keys of the registry, what tokens reach, role assignments, and what roles allow
_LETS_IN = (
    f"{_REGISTRIES}/listCredentials/action",
    f"{_REGISTRIES}/generateCredentials/action",
    f"{_REGISTRIES}/write",
    f"{_REGISTRIES}/scopeMaps/write",
    f"{_REGISTRIES}/tokens/write",
    "Microsoft.Authorization/roleAssignments/write",
    "Microsoft.Authorization/roleDefinitions/write",
)
#: a verb that says all that another one does
_SAYS_MORE = {IMPORT: PUSH, DELETE_IMAGES: ADMIN}


@dataclass(frozen=True, slots=True)
class OtherRole:
    """A role by its name, and what it lets somebody do by mode. `known`: whether Azure said what it allows."""

    name: str
    verbs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    known: bool = True


#: an owner and a contributor of a registry in mode abac reach no image but by an import, and can give themselves and others any role
#: or key
BUILT_IN: Mapping[str, OtherRole] = {
    "2efddaa5-3f1f-4df3-97df-af3f13818f4c": OtherRole(
        "Container Registry Repository Contributor", {"abac": (roles.PULL, PUSH, DELETE_IMAGES)}
    ),
    "c2f4ef07-c644-48eb-af81-4b1b4947fb11": OtherRole("AcrDelete", {"legacy": (DELETE_IMAGES,)}),
    "8e3af657-a8ff-443c-a75c-2fe8c4bcb635": OtherRole(
        "Owner", {"legacy": (roles.PULL, PUSH, ADMIN), "abac": (IMPORT, ADMIN)}
    ),
    "b24988ac-6180-42a0-ab88-20f7382dd24c": OtherRole(
        "Contributor", {"legacy": (roles.PULL, PUSH, ADMIN), "abac": (IMPORT, ADMIN)}
    ),
    "acdd72a7-3385-48ef-bd42-f606fba81ae7": OtherRole("Reader", {"legacy": (roles.PULL,)}),
}


def of_definition(guid: str, found: Mapping[str, Any] | None) -> OtherRole:
    """A role by its definition, as Azure answers it; None: it does not say."""
    said = (found or {}).get("properties") or {}
    if not said:
        return OtherRole(f"role {guid}", known=False)
    permissions = said.get("permissions") or ()
    verbs = {mode: tuple(_verbs(permissions, mode)) for mode in _BY_ACTION}
    return OtherRole(str(said.get("roleName") or f"role {guid}"), verbs)


def _verbs(permissions: Any, mode: str) -> list[str]:
    can = [
        verb
        for verb in (roles.PULL, PUSH, IMPORT, DELETE_IMAGES)
        if any(_allowed(permissions, "dataActions", "notDataActions", item) for item in _BY_DATA[mode].get(verb, ()))
        or any(_allowed(permissions, "actions", "notActions", item) for item in _BY_ACTION[mode].get(verb, ()))
    ]
    if any(_allowed(permissions, "actions", "notActions", item) for item in _LETS_IN):
        can.append(ADMIN)
    return [verb for verb in can if _SAYS_MORE.get(verb) not in can]


def _allowed(permissions: Any, allows: str, denies: str, action: str) -> bool:
    """Whether one of a role's permissions has an action: what it denies is taken from what that one allows."""
    return any(
        any(_matches(pattern, action) for pattern in item.get(allows) or ())
        and not any(_matches(pattern, action) for pattern in item.get(denies) or ())
        for item in permissions
    )


def _matches(pattern: str, action: str) -> bool:
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), action, re.IGNORECASE) is not None
