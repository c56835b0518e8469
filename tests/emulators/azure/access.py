"""Who can do what with images: roles with their conditions, and scope maps, as a registry's mode honours them."""

from __future__ import annotations

import re

from .assignments import CATALOG, ROLES
from .conditions import lets
from .state import Registry, State

_DATA = "Microsoft.ContainerRegistry/registries/repositories"
#: what pull, push and delete are in mode abac, and in legacy
ABAC = {
    "pull": (f"{_DATA}/content/read", f"{_DATA}/metadata/read"),
    "push": (f"{_DATA}/content/write", f"{_DATA}/metadata/write"),
    "delete": (f"{_DATA}/content/delete",),
}
LEGACY = {"pull": "pull/read", "push": "push/write", "delete": "artifacts/delete"}


def may(state: State, principal: str, registry: Registry, repository: str, action: str) -> bool:
    """Whether a principal can `pull` from, `push` to or `delete` in a repository now."""
    if registry.abac:
        return all(_data(state, principal, registry, repository, item) for item in ABAC[action])
    wanted = f"Microsoft.ContainerRegistry/registries/{LEGACY[action]}"
    return any(
        any(re.fullmatch(re.escape(pattern).replace(r"\*", ".*"), wanted) for pattern in ROLES[item.role][2])
        for item in _of(state, principal, registry)
    )


def may_list(state: State, principal: str, registry: Registry) -> bool:
    """Whether a principal can read the catalog."""
    if registry.abac:
        return any(CATALOG[0] in ROLES[item.role][1] for item in _of(state, principal, registry))
    return may(state, principal, registry, "", "pull")


def _data(state: State, principal: str, registry: Registry, repository: str, action: str) -> bool:
    return any(
        action in ROLES[item.role][1]
        and (not item.properties.get("condition") or lets(item.properties["condition"], action, repository))
        for item in _of(state, principal, registry)
    )


def _of(state: State, principal: str, registry: Registry) -> list:  # type: ignore[type-arg]
    """The role assignments of a principal that reach a registry."""
    return [
        item
        for item in state.assignments.values()
        if item.principal == principal.lower()
        and item.role in ROLES
        and f"{registry.id.lower()}/".startswith(item.scope.lower().rstrip("/") + "/")
    ]


def token_may(registry: Registry, token: str, repository: str, action: str) -> bool:
    """Whether a token can `pull` from, `push` to or `delete` in a repository now."""
    found = registry.tokens.get(token.lower())
    if found is None or found.properties["status"] != "enabled":
        return False
    scope_map = registry.scope_maps.get(found.properties["scopeMapId"].rpartition("/")[2].lower())
    if scope_map is None:
        return False
    needed = {"pull": "content/read", "push": "content/write", "delete": "content/delete"}[action]
    for item in scope_map.properties["actions"]:
        match = re.fullmatch(rf"repositories/(.+)/{needed}", item)
        if match and (match[1] == repository or (match[1].endswith("*") and repository.startswith(match[1][:-1]))):
            return True
    return False
