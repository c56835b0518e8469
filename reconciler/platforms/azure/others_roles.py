"""What roles that we do not assign let somebody do with images, in each mode: built-in ones, and any other by its definition. Pure.

https://learn.microsoft.com/azure/container-registry/container-registry-rbac-abac-repository-permissions,
https://learn.microsoft.com/azure/role-based-access-control/role-definitions
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from reconciler.model.access import ADMIN, PUSH

from . import roles

_REGISTRIES = "Microsoft.ContainerRegistry/registries"
_DATA = f"{_REGISTRIES}/repositories"
#: the actions by which somebody can do something, in each mode, and whether they are data actions
_ACTIONS: Mapping[str, tuple[bool, Mapping[str, tuple[str, ...]]]] = {
    "abac": (
        True,
        {
            roles.PULL: (f"{_DATA}/content/read",),
            PUSH: (f"{_DATA}/content/write",),
            ADMIN: (f"{_DATA}/content/delete", f"{_DATA}/metadata/delete"),
        },
    ),
    "legacy": (
        False,
        {
            roles.PULL: (f"{_REGISTRIES}/pull/read",),
            PUSH: (f"{_REGISTRIES}/push/write",),
            ADMIN: (f"{_REGISTRIES}/artifacts/delete",),
        },
    ),
}
#: what lets somebody in, in either mode: keys of the registry, tokens, and role assignments
_LETS_IN = (
    f"{_REGISTRIES}/listCredentials/action",
    f"{_REGISTRIES}/generateCredentials/action",
    f"{_REGISTRIES}/write",
    "Microsoft.Authorization/roleAssignments/write",
)


@dataclass(frozen=True, slots=True)
class OtherRole:
    """A role by its name, and what it lets somebody do by mode. `known`: whether Azure said what it allows."""

    name: str
    verbs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    known: bool = True


#: an owner and a contributor of a registry in mode abac reach no image, and can give themselves and others any role or key
BUILT_IN: Mapping[str, OtherRole] = {
    "2efddaa5-3f1f-4df3-97df-af3f13818f4c": OtherRole(
        "Container Registry Repository Contributor", {"abac": (roles.PULL, PUSH, ADMIN)}
    ),
    "c2f4ef07-c644-48eb-af81-4b1b4947fb11": OtherRole("AcrDelete", {"legacy": (ADMIN,)}),
    "8e3af657-a8ff-443c-a75c-2fe8c4bcb635": OtherRole("Owner", {"legacy": (roles.PULL, PUSH, ADMIN), "abac": (ADMIN,)}),
    "b24988ac-6180-42a0-ab88-20f7382dd24c": OtherRole(
        "Contributor", {"legacy": (roles.PULL, PUSH, ADMIN), "abac": (ADMIN,)}
    ),
    "acdd72a7-3385-48ef-bd42-f606fba81ae7": OtherRole("Reader", {"legacy": (roles.PULL,)}),
}


def of_definition(guid: str, found: Mapping[str, Any] | None) -> OtherRole:
    """A role by its definition, as Azure answers it; None: it does not say."""
    said = (found or {}).get("properties") or {}
    if not said:
        return OtherRole(f"role {guid}", known=False)
    permissions = said.get("permissions") or ()
    verbs = {mode: tuple(_verbs(permissions, mode)) for mode in _ACTIONS}
    return OtherRole(str(said.get("roleName") or f"role {guid}"), verbs)


def _verbs(permissions: Any, mode: str) -> Iterator[str]:
    data, by_verb = _ACTIONS[mode]
    allows, denies = ("dataActions", "notDataActions") if data else ("actions", "notActions")
    for verb, wanted in by_verb.items():
        lets_in = verb == ADMIN and any(_allowed(permissions, "actions", "notActions", item) for item in _LETS_IN)
        if lets_in or any(_allowed(permissions, allows, denies, item) for item in wanted):
            yield verb


def _allowed(permissions: Any, allows: str, denies: str, action: str) -> bool:
    """Whether one of a role's permissions has an action: what it denies is taken from what that one allows."""
    return any(
        any(_matches(pattern, action) for pattern in item.get(allows) or ())
        and not any(_matches(pattern, action) for pattern in item.get(denies) or ())
        for item in permissions
    )


def _matches(pattern: str, action: str) -> bool:
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), action, re.IGNORECASE) is not None
