"""Azure in the spec: one Azure Container Registry, and who on Azure a grant can be for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from reconciler.spec.fields import Fault, Text, each, repeated
from reconciler.spec.registry import GrantTarget, RegistryBase, refused
from reconciler.spec.repository import Repository

_UUID = r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
Uuid = Annotated[str, Text(_UUID, "a UUID")]
Location = Annotated[str, Text(r"[a-z0-9]+", "an Azure location, such as westeurope")]
ResourceGroup = Annotated[str, Text(r"[\w().-]{0,89}[\w()-]", "a resource group's name", 90)]
AcrName = Annotated[str, Text(r"[A-Za-z0-9]{5,50}", "5 to 50 letters and digits")]


class AzureRegistry(RegistryBase):
    """One Azure Container Registry."""

    grant_types = ("azure", "azure-token")

    platform: Literal["azure"] = Field(description="Azure Container Registry.")
    subscription_id: Uuid = Field(description="The subscription that holds the registry.")
    resource_group: ResourceGroup = Field(description="The resource group that holds the registry.")
    location: Location = Field(description="The home location.")
    registry_name: AcrName = Field(description="The global name: 5 to 50 letters and digits.")
    sku: Literal["Basic", "Standard", "Premium"] = Field("Basic", description="The pricing tier.")
    replication_regions: tuple[Location, ...] = Field((), description="Locations of geo-replications; Premium only.")

    def place(self, base: str, start: str | None = None) -> tuple[str, ...]:
        return (self.registry_name, self.location)

    def native_name(self, repository: str) -> str:
        return repository

    def faults(self) -> Iterator[Fault]:
        yield from each(repeated(self, "replication_regions"), self._tier(), self._home())

    def _tier(self) -> Iterator[Fault]:
        if self.replication_regions and self.sku != "Premium":
            yield Fault(("sku",), f"geo-replication needs sku: Premium, not {self.sku}")

    def _home(self) -> Iterator[Fault]:
        if self.location in self.replication_regions:
            at = self.replication_regions.index(self.location)
            yield Fault(("replication_regions", at), f"{self.location} is the registry's own location")

    def repository_faults(self, repository: Repository) -> Iterator[Fault]:
        yield from each(
            self._retention(repository),
            refused(repository, "lifecycle_policy", "is for AWS; use retention on Azure"),
            refused(repository, "native_name", "is for AWS; on Azure, name is the repository's own name"),
            refused(repository, "encryption", "Azure encrypts whole registries, not single repositories"),
        )

    def _retention(self, repository: Repository) -> Iterator[Fault]:
        if repository.retention is not None and self.sku != "Premium":
            yield Fault(("retention",), f"retention needs sku: Premium, not {self.sku}")

    def clashes(self, other: RegistryBase, base: str) -> str | None:
        if isinstance(other, AzureRegistry) and other.registry_name.lower() == self.registry_name.lower():
            return f"registry {other.name} has the same registry_name"
        return None


class AzureTarget(GrantTarget):
    """Principals of the registry's own tenant, by role assignment."""

    type: Literal["azure"] = Field(description="Principals of the tenant, by role assignment.")
    principal_ids: tuple[Uuid, ...] = Field(min_length=1, description="Object ids of users, groups or identities.")

    def faults(self) -> Iterator[Fault]:
        yield from repeated(self, "principal_ids")


class AzureTokenTarget(GrantTarget):
    """Whoever holds the repository-scoped token that the grant becomes."""

    type: Literal["azure-token"] = Field(description="A repository-scoped token: works across tenants.")
