"""Who on Azure a grant can be for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Annotated, Literal, get_args

from pydantic import Field

from reconciler.platforms.kubernetes.spec import KubernetesTarget
from reconciler.spec.fields import Fault, Text
from reconciler.spec.registry import GrantTarget

_UUID = r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
Uuid = Annotated[str, Text(_UUID, "a UUID")]


def _no_object_id(value: str) -> str | None:
    """What is wrong with a name in the place of an object id, where more can be said than that."""
    if value == "*":
        return "must be the object id of one principal, not '*': Azure has no grant to everyone"
    if not re.fullmatch(r"[\w.+-]+@[\w.-]+", value):
        return None
    return f"must be the principal's object id, a UUID: `az ad user show --id {value} --query id` says it"


ObjectId = Annotated[str, Text(_UUID, "the principal's object id, a UUID", why=_no_object_id)]
PrincipalType = Literal["ServicePrincipal", "Group", "User"]


class AzureTarget(GrantTarget):
    """Principals of the registry's own tenant, by role assignment."""

    type: Literal["azure"] = Field(description="Principals of the tenant, by role assignment.")
    principal_ids: tuple[ObjectId, ...] = Field(
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


#: those whose grant becomes a token of its own: what a cluster pulls by is one
TOKEN_TARGETS = (AzureTokenTarget, KubernetesTarget)
#: how a spec writes them, in words
TOKEN_TYPES = " or ".join(get_args(item.model_fields["type"].annotation)[0] for item in TOKEN_TARGETS)
