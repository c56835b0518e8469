"""The roles by which Azure lets principals pull and push, in each of a registry's two modes. Pure.

https://learn.microsoft.com/azure/container-registry/container-registry-rbac-abac-repository-permissions (which mode honours which
role, and which data actions each has), https://learn.microsoft.com/azure/role-based-access-control/built-in-roles/containers (ids)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

_REPOSITORIES = "Microsoft.ContainerRegistry/registries/repositories"
READ = (f"{_REPOSITORIES}/content/read", f"{_REPOSITORIES}/metadata/read")
WRITE = (*READ, f"{_REPOSITORIES}/content/write", f"{_REPOSITORIES}/metadata/write")
#: of a whole registry: no condition can narrow it
CATALOG = ("Microsoft.ContainerRegistry/registries/catalog/read",)
PULL, PUSH, LIST = "pull", "push", "catalog"
#: the jobs that grants can give
GRANTED = (PULL, PUSH)


@dataclass(frozen=True, slots=True)
class Role:
    """A built-in role. `job`: what it is for; `mode`: of which mode; `actions`: its data actions, which a condition must name all."""

    name: str
    guid: str
    job: str
    mode: str
    actions: tuple[str, ...] = ()


ROLES = (
    Role("Container Registry Repository Reader", "b93aa761-3e63-49ed-ac28-beffa264f7ac", PULL, "abac", READ),
    Role("Container Registry Repository Writer", "2a1e307c-b015-4ebd-883e-5b7698a07328", PUSH, "abac", WRITE),
    Role("Container Registry Repository Catalog Lister", "bfdb9389-c9a5-478a-bb2f-ba9ca092c3c7", LIST, "abac", CATALOG),
    Role("AcrPull", "7f951dda-4ed3-4680-a7ca-43fe172d538d", PULL, "legacy"),
    Role("AcrPush", "8311e382-0749-4cb8-b61a-304f252e45ec", PUSH, "legacy"),
)
_BY_GUID = {role.guid: role for role in ROLES}
_BY_JOB = {(role.mode, role.job): role for role in ROLES}


def of_guid(guid: str) -> Role | None:
    """The role that we assign with this id, in any case; None if we assign none such."""
    return _BY_GUID.get(guid.lower())


def of_job(mode: str, job: str) -> Role | None:
    """The role for a job in a mode; None where the mode needs none (`catalog` in legacy: AcrPull has it)."""
    return _BY_JOB.get((mode, job))


def jobs(name: str) -> Iterator[str]:
    """The jobs of one of the registry's own identities: `pull` or `push`. AcrPull is Reader and Catalog Lister."""
    yield name
    if name == PULL:
        yield LIST


def definition(subscription: str, role: Role) -> str:
    """The id of the role's definition."""
    return f"/subscriptions/{subscription}/providers/Microsoft.Authorization/roleDefinitions/{role.guid}"


def other_mode(mode: str) -> str:
    """The mode that it is not."""
    return "legacy" if mode == "abac" else "abac"
