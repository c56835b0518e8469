"""Documents that an account has one of in each region, and that all registries there have parts of. Pure."""

from __future__ import annotations

from reconciler.model.address import Address
from reconciler.spec.registry import RegistryBase

from .spec import AwsRegistry


def document_of(address: Address, registry: RegistryBase) -> str:
    """The account and the region: parts of one document are of the same."""
    home = registry.region if isinstance(registry, AwsRegistry) else ""
    return f"{registry.own_account} {address.where or home}"
