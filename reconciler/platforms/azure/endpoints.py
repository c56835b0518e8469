"""Which of Azure's clouds calls go to, and as whom they are made."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from reconciler.errors import PlatformError

from .spec import AzureRegistry

#: Azure's own variables: https://learn.microsoft.com/python/api/overview/azure/identity-readme#environment-variables for the second
MANAGER, AUTHORITY = "AZURE_RESOURCE_MANAGER_ENDPOINT", "AZURE_AUTHORITY_HOST"


# what azure-identity has to say is in its errors; without a handler, Python prints it
logging.getLogger("azure").addHandler(logging.NullHandler())


@dataclass(frozen=True)
class Cloud:
    """Where Azure answers. `manager`: Azure Resource Manager, without a slash at the end; `authority`: Entra, a URL; `audience`: whom
    tokens are for; `known`: whether Entra's discovery knows the authority."""

    manager: str
    authority: str
    audience: str
    known: bool = True

    @property
    def scope(self) -> str:
        """The scope of its tokens."""
        return f"{self.audience}/.default"


def _of(manager: str, authority: str) -> Cloud:
    return Cloud(f"https://{manager}", f"https://{authority}", f"https://{manager}")


#: https://learn.microsoft.com/azure/developer/python/sdk/authentication/sovereign-domain
CLOUDS = {
    "public": _of("management.azure.com", "login.microsoftonline.com"),
    "china": _of("management.chinacloudapi.cn", "login.chinacloudapi.cn"),
    "government": _of("management.usgovcloudapi.net", "login.microsoftonline.us"),
}


#: whom tokens are for with which a registry can be asked for images alone; of every cloud, as azure-cli has it (acr/_docker_utils.py)
_IMAGES = "https://containerregistry.azure.net"


def image_audience(registry: AzureRegistry, found: Mapping[str, Any]) -> str:
    """Whom tokens are for that the registry's own endpoint takes: Azure Resource Manager, unless the registry's properties say that
    it takes none of these: https://learn.microsoft.com/azure/container-registry/container-registry-disable-authentication-as-arm"""
    policy = (found.get("policies") or {}).get("azureADAuthenticationAsArmPolicy") or {}
    disabled = str(policy.get("status", "")).lower() == "disabled"
    return _IMAGES if disabled else cloud(registry).audience


def cloud(registry: AzureRegistry) -> Cloud:
    """The registry's cloud, or what the two variables say. Raises PlatformError for what is no https URL: a token is sent there."""
    found = CLOUDS[registry.cloud]
    manager, authority = _override(MANAGER), _override(AUTHORITY)
    return Cloud(manager or found.manager, authority or found.authority, found.audience, not authority)


def _override(name: str) -> str:
    given = os.environ.get(name, "")
    if not given:
        return ""
    url = given if "://" in given or name == MANAGER else f"https://{given}"
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname:
        raise PlatformError(f"{name} is '{given}'", operation="configuration", hint="give an https URL")
    return url.rstrip("/")


class InTenant:
    """Credentials whose tokens are of one tenant."""

    def __init__(self, credentials: Any, tenant: str | None) -> None:
        self._credentials = credentials
        self._tenant = tenant

    def get_token(self, *scopes: str, **options: Any) -> Any:
        """A token, as azure-identity gives it. Raises its errors."""
        tenant = {"tenant_id": self._tenant} if self._tenant is not None else {}
        return self._credentials.get_token(*scopes, **{**options, **tenant})

    def close(self) -> None:
        """Lets go of connections."""
        self._credentials.close()


def credentials(registry: AzureRegistry) -> InTenant:
    """Whatever credentials this machine has: of the environment, a federated workload, a managed identity, or `az login`."""
    from azure.identity import DefaultAzureCredential

    where = cloud(registry)
    found = DefaultAzureCredential(
        authority=where.authority,
        disable_instance_discovery=not where.known,
        additionally_allowed_tenants=["*"],
        exclude_interactive_browser_credential=True,
    )
    return InTenant(found, registry.tenant_id)
