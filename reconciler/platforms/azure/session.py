"""A session with Azure for one registry: the library's client over connections of our own, and every call's errors in words."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from threading import Lock
from typing import Any, TypeVar, cast
from urllib.parse import quote

import requests
from azure.core.exceptions import HttpResponseError
from azure.core.pipeline.transport import RequestsTransport
from azure.core.rest import HttpRequest
from azure.mgmt.containerregistry import ContainerRegistryManagementClient
from azure.mgmt.core import ARMPipelineClient
from requests.adapters import HTTPAdapter

from reconciler.errors import PlatformError
from reconciler.model.address import Address
from reconciler.model.call_log import working_on
from reconciler.model.marks import Marks
from reconciler.model.platform import Estate, Platform
from reconciler.platforms.http import CONNECT_TIMEOUT, READ_TIMEOUT, HttpSession
from reconciler.platforms.rescue import Rescue

from . import endpoints, lists, operations, roles, tags
from .documents import mode_of, plain, properties
from .hints import NO_GROUP
from .others_roles import BUILT_IN, OtherRole, of_definition
from .pipeline import Calls, Sending, policies
from .remembered import Remembered
from .spec import AzureRegistry
from .troubles import FAILURES, NotAzure, code_of, is_absent, translated

T = TypeVar("T")
Document = dict[str, Any]
Arm = ARMPipelineClient[Any, Any]

#: seconds between two looks at an operation, where Azure asks for no other: azure-core's own are 30
POLLING: float = 2
#: https://learn.microsoft.com/rest/api/authorization/role-assignments, https://learn.microsoft.com/rest/api/managedidentity
ASSIGNMENTS, IDENTITIES = "2022-04-01", "2024-11-30"


class AzureSession(HttpSession):
    """Calls for one registry's subscription."""

    #: a list of Azure Resource Manager may lag behind:
    #: https://learn.microsoft.com/azure/role-based-access-control/troubleshooting
    behind = 60.0

    def __init__(self, platform: Platform, estate: Estate, registry: AzureRegistry) -> None:
        super().__init__(platform, estate, registry)
        self.registry = registry
        self._lock = Lock()
        self._known: tuple[ContainerRegistryManagementClient, endpoints.InTenant, Arm] | None = None
        self._http: requests.Session | None = None
        #: the registry's properties, as they were last read
        self.home: Document = {}
        #: whether Azure has said that it has no such resource group
        self.groupless = False
        self._principals: dict[str, str] = {}
        self.remembered = Remembered()
        #: keeps the tags of others while what has them is made anew
        self.rescue = Rescue(estate.rescue, self.owner)
        #: held by whoever writes the registry's tags, which are one map
        self.tagging = Lock()
        self._parts: dict[Any, Any] = {}
        self._roles: dict[str, OtherRole] = {}
        self.sending = Sending(self, self.registry)

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
                self.transport: Any = RequestsTransport(
                    session=self._http,
                    session_owner=False,
                    connection_timeout=CONNECT_TIMEOUT,
                    read_timeout=READ_TIMEOUT,
                )
                client = ContainerRegistryManagementClient(
                    credentials,
                    self.registry.subscription_id,
                    where.manager,
                    credential_scopes=[where.scope],
                    transport=self.transport,
                    policies=policies(credentials, where.scope, Calls(self.sending)),
                )
                arm: Arm = ARMPipelineClient(
                    where.manager,
                    transport=self.transport,
                    policies=policies(credentials, where.scope, Calls(self.sending)),
                )
                self._known = client, credentials, arm
            return self._known

    @property
    def client(self) -> ContainerRegistryManagementClient:
        """The library's client. Its errors are put into words by `asking`."""
        return self._connected[0]

    @property
    def signed_in(self) -> endpoints.InTenant:
        """As whom calls are made."""
        return self._connected[1]

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
                    self.groupless = self.groupless or code_of(error) == NO_GROUP
                    return None
                raise

    # -- Azure Container Registry -------------------------------------------------------------------------------

    @property
    def group(self) -> tuple[str, str]:
        """What the library's calls begin with: the resource group and the registry."""
        return self.registry.resource_group, self.registry.registry_name

    def own_address(self) -> Address:
        """The address of the registry's own resource."""
        return Address.of(self.name, "registry", self.registry.registry_name.lower())

    def mode_address(self) -> Address:
        """The address of its role assignment mode."""
        return Address.of(self.name, "mode", self.registry.registry_name.lower())

    def acr(self, at: str) -> Document | None:
        """The registry as JSON, read now; None if it is not there. Raises PlatformError."""
        found = self.found_plain(at, "registries:get", partial(self.client.registries.get, *self.group))
        with self._lock:
            self.home = properties(found or {})
        return found

    def fresh(self, at: str) -> Document:
        """The registry, read now, which must be there. Raises PlatformError."""
        found = self.acr(at)
        if found is None:
            raise PlatformError("the registry is gone", address=at, operation="registries:get", hint="make a new plan")
        return found

    @property
    def login_server(self) -> str:
        """What the registry's images are pulled from, as Azure says it; "" if it is not known. Raises PlatformError."""
        if not self.home.get("loginServer"):
            self.acr(self.own_address())
        return str(self.home.get("loginServer") or "")

    def patch_registry(self, at: str, body: Document) -> Document:
        """The registry after a PATCH. Raises PlatformError."""
        begin = partial(self.client.registries.begin_update, *self.group, body)
        found = self.done(at, "registries:update", begin)
        return found or self.fresh(at)

    def name_is_free(self, at: str) -> None:
        """Raises PlatformError if somebody else has the registry's name, which is one in all of Azure."""
        name = self.registry.registry_name
        body = {"name": name, "type": "Microsoft.ContainerRegistry/registries"}
        with self.asking(at, "registries:checkName"):
            found = plain(self.client.registries.check_name_availability(body))
        if not found.get("nameAvailable", True):
            raise PlatformError(
                f"the name {name} can't be had: {found.get('message') or found.get('reason')}",
                address=at,
                operation="registries:checkName",
                code=str(found.get("reason", "")),
                hint="registry names are one in all of Azure: choose another registry_name, or, if it is yours, the subscription and"
                " resource group that it is in",
            )

    def scope_maps(self, at: str) -> list[Document]:
        """All scope maps of the registry, read now; none if it is not there. Raises PlatformError."""
        return self.listed(at, "scopeMaps:list", partial(self.client.scope_maps.list, *self.group))

    def tokens(self, at: str) -> list[Document]:
        """All tokens of the registry, read now. Raises PlatformError."""
        return self.listed(at, "tokens:list", partial(self.client.tokens.list, *self.group))

    def replications(self, at: str) -> list[Document]:
        """All replications of the registry, read now, that of its home location too. Raises PlatformError."""
        return self.listed(at, "replications:list", partial(self.client.replications.list, *self.group))

    def once(self, name: str, read: Callable[[], T]) -> T:
        """What several kinds list from, read once in a listing. The session's first listing of a registry forgets it."""
        return self.remembered.once(name, read)

    def part(self, make: Callable[[AzureSession], T]) -> T:
        """What stands on the session and has a file of its own, made when it is first asked for."""
        with self._lock:
            found = self._parts.get(make)
            return cast(T, found if found is not None else self._parts.setdefault(make, make(self)))

    def begin_listing(self) -> None:
        """A listing begins: nothing of an earlier one is remembered."""
        self.groupless = False
        self.remembered.clear()

    def found_plain(self, at: str, operation: str, ask: Callable[[], Any]) -> Document | None:
        """The resource that a call answers, as JSON; None if it is not there. Raises PlatformError."""
        found = self.found(at, operation, ask)
        return plain(found) if found is not None else None

    def done(self, at: str, operation: str, begin: Callable[..., Any]) -> Document | None:
        """What a long-running operation ends with, as JSON; None if what it is of is not there. `begin`: the library's call. Raises
        PlatformError if it fails, with Azure's code and request id."""
        return self.found(at, operation, partial(self._carried_out, at, operation, begin))

    def _carried_out(self, at: str, operation: str, begin: Callable[..., Any]) -> Document:
        """Waits in this thread, whose calls are known to be for this address and change; the library would in one of its own."""
        initial: Any = begin(polling=False, cls=lambda response, *_: response).result()

        def look() -> Document:
            return operations.outcome(self._arm, initial, operations.Polling(POLLING, at, operation))

        try:
            return self.patiently(look, operations.is_unseen, self.behind)
        except operations.Unseen:
            begun = initial.http_request
            read = partial(self.json, "GET", operation, str(begun.url), at=at, version="")
            return operations.seen_by_itself(self, at, operation, begun.method, read)

    def listed(self, at: str, operation: str, ask: Callable[[], Any]) -> list[Document]:
        """All pages of a list, as JSON; empty if the registry is not there. Raises PlatformError."""
        return self.found(at, operation, lambda: lists.resources(at, operation, lists.pages_of(ask()))) or []

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

    def pages(self, operation: str, path: str, *, at: str, version: str, query: str = "") -> list[Document]:
        """The items of a list and its further pages; none if what it is of is not there. Raises PlatformError."""

        def read() -> Iterator[tuple[list[Document], str | None]]:
            page = self.json("GET", operation, path, at=at, version=version, query=query)
            while page is not None:
                following = page.get("nextLink")
                yield page.get("value") or [], following
                page = self.json("GET", operation, str(following), at=at, version=version) if following else None

        return lists.resources(at, operation, read())

    def assignments(self, at: str, scope: str = "") -> list[Document]:
        """All role assignments at the registry (or `scope`) and above it. Raises PlatformError."""
        path = f"{scope or self.registry.resource}/providers/Microsoft.Authorization/roleAssignments"
        query = f"&$filter={quote('atScope()')}"
        return self.pages("roleAssignments:list", path, at=at, version=ASSIGNMENTS, query=query)

    def other_roles(self, guids: Iterable[str]) -> Mapping[str, OtherRole]:
        """What roles that we don't assign allow: the built-in ones, and these, each asked for once. One that these credentials may
        not ask for allows what nobody knows. Raises PlatformError."""
        for guid in sorted(guids):
            if guid not in self._roles:
                path = f"/subscriptions/{self.registry.subscription_id}/providers/Microsoft.Authorization/roleDefinitions/{guid}"
                try:
                    found = self.json("GET", "roleDefinitions:get", path, at=self.own_address(), version=ASSIGNMENTS)
                except PlatformError as error:
                    if error.code != "AuthorizationFailed":
                        raise
                    found = None
                self._roles[guid] = of_definition(guid, found)
        return {**BUILT_IN, **self._roles}

    def assignment(self, verb: str, at: str, path: str, body: Document | None = None) -> Document:
        """A role assignment after a GET, a PUT or a DELETE; empty if it is not there. Raises PlatformError."""
        action = f"roleAssignments:{verb.lower()}"
        return self.json(verb, action, path, at=at, version=ASSIGNMENTS, body=body) or {}

    def wanted_mode(self) -> str:
        """The role assignment mode that the registry is to have: what the spec says, else what is there in one that was there before,
        and `abac` in one that we made. Raises PlatformError."""
        if self.registry.role_assignment_mode is not None:
            return self.registry.role_assignment_mode
        found = self.once("registry", lambda: self.acr(self.own_address()))
        marks = Marks.of(tags.read(found.get("tags"))) if found else None
        if found is None or marks is None or not (marks.adopted or marks.owner is None):
            return "abac"
        return mode_of(found)

    def identities(self, at: str) -> list[Document]:
        """All managed identities of the resource group. Raises PlatformError."""
        path = f"{self.registry.group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities"
        return self.pages("userAssignedIdentities:list", path, at=at, version=IDENTITIES)

    def identity_path(self, job: str) -> str:
        """The id of one of the registry's two managed identities."""
        name = self.registry.identity_name(job)
        return f"{self.registry.group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/{name}"

    def identity(self, at: Address) -> Document | None:
        """A managed identity, read now; None if it is not there. Raises PlatformError."""
        path = self.identity_path(at.name)
        return self.json("GET", "userAssignedIdentities:get", path, at=at, version=IDENTITIES)

    def write_identity(self, verb: str, at: Address, body: Document) -> Document:
        """A managed identity after a PUT or a PATCH. Raises PlatformError."""
        path, action = self.identity_path(at.name), f"userAssignedIdentities:{verb.lower()}"
        return self.json(verb, action, path, at=at, version=IDENTITIES, body=body) or {}

    def delete_identity(self, at: Address) -> None:
        """Deletes a managed identity; none is no error. Raises PlatformError."""
        path = self.identity_path(at.name)
        self.json("DELETE", "userAssignedIdentities:delete", path, at=at, version=IDENTITIES)

    def learn_principal(self, job: str, principal: str) -> None:
        """Remembers the object id of one of the registry's identities; "" if it is not there."""
        with self._lock:
            self._principals[job] = principal

    def principal(self, job: str) -> str:
        """The object id of one of the registry's identities; "" if it is not there. Raises PlatformError."""
        if job not in self._principals:
            found = self.identity(Address.of(self.name, "identity", job))
            with self._lock:  # one that was made since this was asked is known better
                self._principals.setdefault(job, str(properties(found or {}).get("principalId", "")).lower())
        return self._principals[job]

    def role_definition(self, role: roles.Role) -> str:
        """The id of a role's definition."""
        return roles.definition(self.registry.subscription_id, role)

    def close(self) -> None:
        super().close()
        for part in self._parts.values():
            part.close()
        if self._known is not None:
            client, credentials, _ = self._known
            client.close()
            credentials.close()
        if self._http is not None:
            self._http.close()
