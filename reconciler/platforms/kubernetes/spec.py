"""Grants to the service accounts of a Kubernetes cluster, as the spec has them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from reconciler.spec.cluster import Namespace, ObjectName
from reconciler.spec.fields import Fault, RegistryName, each, repeated
from reconciler.spec.registry import GrantTarget

#: the type of such a grant
TYPE = "kubernetes"


def secret_name(owner: str, grant: str) -> str:
    """What a spec calls the pull secrets of a grant."""
    return f"{owner}-{grant}"


class KubernetesTarget(GrantTarget):
    """Service accounts in namespaces of a cluster, by an image pull secret."""

    type: Literal["kubernetes"] = Field(description="Service accounts of a Kubernetes cluster.")
    cluster: RegistryName = Field(description="The cluster, by its name in this spec.")
    namespaces: tuple[Namespace, ...] = Field(min_length=1, description="The namespaces.")
    service_accounts: tuple[ObjectName, ...] = Field(
        ("default",), min_length=1, description="The service accounts in each namespace."
    )

    @property
    def named_cluster(self) -> tuple[tuple[str, ...], str] | None:
        return ("cluster",), self.cluster

    def secrets(self, owner: str, grant: str) -> Iterator[tuple[str, str, str]]:
        return ((self.cluster, namespace, secret_name(owner, grant)) for namespace in self.namespaces)

    def faults(self) -> Iterator[Fault]:
        yield from each(repeated(self, "namespaces"), repeated(self, "service_accounts"))
