"""A session with Azure for one registry: the library's client over connections of our own, and every call's errors in words."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from threading import Lock
from typing import Any, TypeVar
from urllib.parse import quote

import requests
from azure.core.exceptions import HttpResponseError
from azure.core.pipeline.transport import RequestsTransport
from azure.core.rest import HttpRequest
from azure.mgmt.containerregistry import ContainerRegistryManagementClient
from azure.mgmt.core import ARMPipelineClient
from azure.mgmt.core.polling.arm_polling import ARMPolling
from requests.adapters import HTTPAdapter

from reconciler.errors import PlatformError
from reconciler.model.call_log import working_on
from reconciler.model.platform import Estate, Platform
from reconciler.platforms.http import CONNECT_TIMEOUT, READ_TIMEOUT, HttpSession

from . import endpoints, roles
from .pipeline import Calls, policies
from .spec import AzureRegistry
from .troubles import FAILURES, NotAzure, is_absent, translated

T = TypeVar("T")
Document = dict[str, Any]
Arm = ARMPipelineClient[Any, Any]

#: seconds between two looks at an operation, where Azure asks for no other: azure-core's own are 30
POLLING = 2
#: seconds in which an operation must be carried out: geo-replications take minutes (terraform-provider-azurerm waits 30)
OPERATION = 1800.0
#: https://learn.microsoft.com/rest/api/authorization/role-assignments, https://learn.microsoft.com/rest/api/managedidentity
ASSIGNMENTS, IDENTITIES = "2022-04-01", "2024-11-30"


class AzureSession(HttpSession):
    """Calls for one registry's subscription."""

    def __init__(self, platform: Platform, estate: Estate, registry: AzureRegistry) -> None:
        super().__init__(platform, estate, registry)
        self.registry = registry
        self._lock = Lock()
        self._known: tuple[ContainerRegistryManagementClient, endpoints.InTenant, Arm] | None = None
        self._http: requests.Session | None = None
        self.calls = Calls(self)

    def check(self) -> None:
        """Fails unless there are credentials that give a token; makes no other call."""
        _, credentials, _ = self._connected
        with self.asking("", "credentials"):
            credentials.get_token(endpoints.cloud(self.registry).scope)

    @property
    def _connected(self) -> tuple[ContainerRegistryManagementClient, endpoints.InTenant, Arm]:
        with self._lock:
            if self._known is None:
                where = endpoints.cloud(self.registry)
                credentials = endpoints.credentials(self.registry)
                # the library keeps 10 connections
                adapter = HTTPAdapter(pool_connections=4, pool_maxsize=self.estate.parallelism)
                self._http = requests.Session()
                self._http.mount("https://", adapter)
                transport: Any = RequestsTransport(
                    session=self._http,
                    session_owner=False,
                    connection_timeout=CONNECT_TIMEOUT,
                    read_timeout=READ_TIMEOUT,
                )
                through = policies(credentials, where.scope, self.calls)
                client = ContainerRegistryManagementClient(
                    credentials,
                    self.registry.subscription_id,
                    where.manager,
                    credential_scopes=[where.scope],
                    transport=transport,
                    policies=through,
                )
                arm: Arm = ARMPipelineClient(where.manager, transport=transport, policies=through)
                self._known = client, credentials, arm
            return self._known

    @property
    def client(self) -> ContainerRegistryManagementClient:
        """The library's client. Its errors are put into words by `asking`."""
        return self._connected[0]

    @property
    def _arm(self) -> Arm:
        """What sends requests of our own, through the same policies."""
        return self._connected[2]

    @contextmanager
    def asking(self, at: str, operation: str) -> Iterator[None]:
        """Calls made inside are for this address; what goes wrong with them is a PlatformError."""
        try:
            with working_on(at):
                yield
        except FAILURES as error:
            raise translated(error, at, operation, self.registry) from None

    def found(self, at: str, operation: str, ask: Callable[[], T]) -> T | None:
        """What a call answers; None if Azure says that it is not there. Raises PlatformError."""
        with self.asking(at, operation):
            try:
                return ask()
            except HttpResponseError as error:
                if is_absent(error):
                    return None
                raise

    # -- Azure Container Registry -------------------------------------------------------------------------------

    @property
    def _group(self) -> tuple[str, str]:
        return self.registry.resource_group, self.registry.registry_name

    def acr(self, at: str) -> Document | None:
        """The registry as JSON; None if it is not there. Raises PlatformError."""
        found = self.found(at, "registries:get", partial(self.client.registries.get, *self._group))
        return plain(found) if found is not None else None

    def done(self, at: str, operation: str, begin: Callable[..., Any]) -> Document | None:
        """What a long-running operation ends with, as JSON; None if what it is of is not there. `begin`: the library's call. Raises
        PlatformError if it fails, with Azure's code and request id."""
        return self.found(at, operation, partial(self._carried_out, at, operation, begin))

    def _carried_out(self, at: str, operation: str, begin: Callable[..., Any]) -> Document:
        """Waits in this thread, whose calls are known to be for this address and change; the library would in one of its own."""
        initial = begin(polling=False, cls=lambda response, *_: response).result()
        polling = Polling(POLLING, at, operation)
        polling.initialize(self._arm, initial, lambda response: response)
        polling.run()
        final: Any = polling.resource()
        text = final.http_response.text() if final is not None else ""
        found = json.loads(text) if text.strip() else {}
        return found if isinstance(found, dict) else {}

    def listed(self, at: str, operation: str, ask: Callable[[], Any]) -> list[Document]:
        """All pages of a list, as JSON; empty if the registry is not there. Raises PlatformError."""
        return self.found(at, operation, lambda: [plain(item) for item in ask()]) or []

    # -- what is read and written as JSON, over the same connections --------------------------------------------

    def json(
        self, verb: str, operation: str, path: str, *, at: str, version: str, body: Any = None, query: str = ""
    ) -> Document | None:
        """The JSON of one call to Azure Resource Manager; None if what is asked for is not there. `path`: an id. Raises
        PlatformError."""
        url = path if path.startswith("https://") else f"{quote(path)}?api-version={version}{query}"
        full = self._arm.format_url(url)
        request = HttpRequest(verb, full, json=body) if body is not None else HttpRequest(verb, full)

        def ask() -> Document:
            response: Any = self._arm.send_request(request)
            if response.status_code == 204:
                return {}
            if response.status_code >= 300:
                raise HttpResponseError(response=response)
            try:
                found = json.loads(response.text() or "{}")
            except ValueError:
                raise NotAzure from None
            if not isinstance(found, dict):
                raise NotAzure
            return found

        return self.found(at, operation, ask)

    def pages(self, operation: str, path: str, *, at: str, version: str, query: str = "") -> Iterator[Document]:
        """The items of a list and its further pages; none if what it is of is not there. Raises PlatformError."""
        page = self.json("GET", operation, path, at=at, version=version, query=query)
        while page is not None:
            yield from page.get("value", ())
            following = page.get("nextLink")
            if not following:
                return
            page = self.json("GET", operation, str(following), at=at, version=version)

    def assignments(self, at: str) -> list[Document]:
        """All role assignments at the registry and above it. Raises PlatformError."""
        path = f"{self.registry.resource}/providers/Microsoft.Authorization/roleAssignments"
        query = f"&$filter={quote('atScope()')}"
        return list(self.pages("roleAssignments:list", path, at=at, version=ASSIGNMENTS, query=query))

    def identities(self, at: str) -> list[Document]:
        """All managed identities of the resource group. Raises PlatformError."""
        path = f"{self.registry.group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities"
        return list(self.pages("userAssignedIdentities:list", path, at=at, version=IDENTITIES))

    def identity_path(self, job: str) -> str:
        """The id of one of the registry's two managed identities."""
        name = self.registry.identity_name(job)
        return f"{self.registry.group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{name}"

    def role_definition(self, role: roles.Role) -> str:
        """The id of a role's definition."""
        return roles.definition(self.registry.subscription_id, role)

    def close(self) -> None:
        super().close()
        if self._known is not None:
            client, credentials, _ = self._known
            client.close()
            credentials.close()
        if self._http is not None:
            self._http.close()


class Polling(ARMPolling):
    """Looks at an operation until it is done, for so long as an operation may take. Raises PlatformError after that."""

    def __init__(self, timeout: float, at: str, operation: str) -> None:
        super().__init__(timeout)
        self._at, self._action = at, operation
        self._until = time.monotonic() + OPERATION

    def _sleep(self, delay: float) -> None:
        if time.monotonic() + delay > self._until:
            raise PlatformError(
                f"it is not done after {OPERATION:.0f} seconds",
                address=self._at,
                operation=self._action,
                hint="Azure may still carry it out: run again in some minutes",
            )
        super()._sleep(delay)


def plain(found: Any) -> Document:
    """A model of the library as the JSON that came, with what the library does not know."""
    document: Document = found.as_dict() if hasattr(found, "as_dict") else dict(found)
    return document


def properties(document: Mapping[str, Any]) -> Document:
    """The `properties` of a resource; empty if it has none."""
    return dict(document.get("properties") or {})
