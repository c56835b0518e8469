"""Who on Azure a grant can be for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from reconciler.spec.fields import Fault, Text
from reconciler.spec.registry import GrantTarget

_UUID = r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
Uuid = Annotated[str, Text(_UUID, "a UUID")]
PrincipalType = Literal["ServicePrincipal", "Group", "User"]


class AzureTarget(GrantTarget):
    """Principals of the registry's own tenant, by role assignment."""

    type: Literal["azure"] = Field(description="Principals of the tenant, by role assignment.")
    principal_ids: tuple[Uuid, ...] = Field(
        min_length=1,
        description="Object ids of service principals, managed identities, groups or users. Of an AKS cluster it is that of the"
        " kubelet's identity.",
    )
    principal_type: PrincipalType = Field(
        "ServicePrincipal",
        description="What they all are. A managed identity is a ServicePrincipal.",
    )

    def faults(self) -> Iterator[Fault]:
        seen: set[str] = set()
        for index, principal in enumerate(self.principal_ids):
            if principal.lower() in seen:
                yield Fault(("principal_ids", index), f"'{principal}' is listed twice")
            seen.add(principal.lower())


class AzureTokenTarget(GrantTarget):
    """Whoever holds the repository-scoped token that the grant becomes."""

    type: Literal["azure-token"] = Field(description="A repository-scoped token: works across tenants.")
