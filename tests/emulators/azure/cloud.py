"""The stand-in without its socket: which call a request is, and what is answered. Any api-version is taken, none is refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from threading import RLock
from typing import Any

from . import assignments, children, data, entra, operations, registries, resources
from .state import State
from .wire import Asked, Document, Refusal, Reply, refused

Handler = Callable[[State, Asked], Reply]
Lister = Callable[[State, Asked], list[Document]]

_SUB = r"/subscriptions/(?P<subscription>[^/]+)"
_GROUP = rf"{_SUB}/resourceGroups/(?P<group>[^/]+)"
_ACR = "/providers/Microsoft.ContainerRegistry"
_ONE = rf"{_GROUP}{_ACR}/registries/(?P<registry>[^/]+)"
_IDENTITIES = rf"{_GROUP}/providers/Microsoft.ManagedIdentity/userAssignedIdentities"
_ROLES = r"(?P<scope>(?:/.*)?)/providers/Microsoft.Authorization"
_LOOK = r"/operationStatuses/(?P<operation>[^/]+)"
_NAME = r"(?P<repository>[a-z0-9._/-]+)"


@dataclass(frozen=True)
class Route:
    """A method of an API, by the name that faults and tests call it: `registries:GET`. `data`: of a registry's own endpoint."""

    http: str
    path: str
    name: str
    handler: Handler
    data: bool = False


def _list(path: str, name: str, lister: Lister) -> Route:
    def handle(state: State, asked: Asked) -> Reply:
        return _page(state, asked, state.shuffled(lister(state, asked)))

    return Route("GET", path, f"{name}:list", handle)


def _page(state: State, asked: Asked, items: list[Document]) -> Reply:
    """One page, and where the next is."""
    start = int(asked.query.get("$skipToken", 0))
    end = start + state.knobs.page
    body: Document = {"value": items[start:end]}
    if end < len(items):
        rest = asked.target.partition("?")[2]
        rest = "&".join(part for part in rest.split("&") if not part.lower().startswith(("$skiptoken", "%24skiptoken")))
        body["nextLink"] = f"https://{state.here}{asked.target.partition('?')[0]}?{rest}&$skipToken={end}"
    return Reply(200, body)


def _of_group(state: State, asked: Asked) -> list[Document]:
    start = asked.path.lower().partition("/providers/")[0] + "/"
    return [registries.shown(state, item) for item in state.registries.values() if item.id.lower().startswith(start)]


def _replications(state: State, asked: Asked) -> list[Document]:
    home = registries.existing(state, asked)
    items = [registries.own_replication(home), *home.replications.values()] if home.sku == "Premium" else []
    return [registries.shown_replication(state, item) for item in items]


def _maps(state: State, asked: Asked) -> list[Document]:
    return [children.shown_scope_map(state, item) for item in registries.existing(state, asked).scope_maps.values()]


def _tokens(state: State, asked: Asked) -> list[Document]:
    return [children.shown_token(state, item) for item in registries.existing(state, asked).tokens.values()]


_REPLICATION, _MAP, _TOKEN = (
    rf"{_ONE}/replications/(?P<replication>[^/]+)",
    rf"{_ONE}/scopeMaps/(?P<scope_map>[^/]+)",
    rf"{_ONE}/tokens/(?P<token>[^/]+)",
)
_IDENTITY, _ASSIGNMENT = rf"{_IDENTITIES}/(?P<identity>[^/]+)", rf"{_ROLES}/roleAssignments/(?P<assignment>[^/]+)"
ROUTES = (
    Route("POST", rf"{_SUB}{_ACR}/checkNameAvailability", "registries:checkName", registries.check_name),
    _list(rf"{_GROUP}{_ACR}/registries", "registries", _of_group),
    _list(rf"{_SUB}{_ACR}/registries", "registries", _of_group),
    Route("GET", rf"{_ONE}", "registries:GET", registries.get),
    Route("PUT", rf"{_ONE}", "registries:PUT", registries.put),
    Route("PATCH", rf"{_ONE}", "registries:PATCH", registries.patch),
    Route("DELETE", rf"{_ONE}", "registries:DELETE", registries.delete),
    Route("GET", rf"{_ONE}/listUsages", "registries:usages", registries.usages),
    Route("GET", rf"{_ONE}/providers/Microsoft.Resources/tags/default", "tags:GET", resources.get_tags),
    Route("PATCH", rf"{_ONE}/providers/Microsoft.Resources/tags/default", "tags:PATCH", resources.patch_tags),
    Route("POST", rf"{_ONE}/generateCredentials", "registries:generateCredentials", children.generate),
    _list(rf"{_ONE}/replications", "replications", _replications),
    Route("GET", _REPLICATION, "replications:GET", registries.get_replication),
    Route("PUT", _REPLICATION, "replications:PUT", registries.put_replication),
    Route("PATCH", _REPLICATION, "replications:PATCH", registries.patch_replication),
    Route("DELETE", _REPLICATION, "replications:DELETE", registries.delete_replication),
    _list(rf"{_ONE}/scopeMaps", "scopeMaps", _maps),
    Route("GET", _MAP, "scopeMaps:GET", children.get_scope_map),
    Route("PUT", _MAP, "scopeMaps:PUT", children.put_scope_map),
    Route("PATCH", _MAP, "scopeMaps:PATCH", children.patch_scope_map),
    Route("DELETE", _MAP, "scopeMaps:DELETE", children.delete_scope_map),
    _list(rf"{_ONE}/tokens", "tokens", _tokens),
    Route("GET", _TOKEN, "tokens:GET", children.get_token),
    Route("PUT", _TOKEN, "tokens:PUT", children.put_token),
    Route("PATCH", _TOKEN, "tokens:PATCH", children.patch_token),
    Route("DELETE", _TOKEN, "tokens:DELETE", children.delete_token),
    *(Route("GET", f"{path}{_LOOK}", "operations:GET", operations.look) for path in (_ONE, _REPLICATION, _MAP, _TOKEN)),
    Route(
        "GET",
        rf"{_SUB}{_ACR}/locations/[^/]+/operationResults/(?P<operation>[^/]+)",
        "operationResults:GET",
        operations.result,
    ),
    _list(rf"{_ROLES}/roleAssignments", "roleAssignments", assignments.listed),
    Route("GET", _ASSIGNMENT, "roleAssignments:GET", assignments.get),
    Route("PUT", _ASSIGNMENT, "roleAssignments:PUT", assignments.put),
    Route("DELETE", _ASSIGNMENT, "roleAssignments:DELETE", assignments.delete),
    _list(rf"{_ROLES}/roleDefinitions", "roleDefinitions", assignments.definitions),
    Route("GET", rf"{_ROLES}/roleDefinitions/(?P<role>[^/]+)", "roleDefinitions:GET", assignments.get_definition),
    _list(_IDENTITIES, "userAssignedIdentities", resources.listed_identities),
    Route("GET", _IDENTITY, "userAssignedIdentities:GET", resources.get_identity),
    Route("PUT", _IDENTITY, "userAssignedIdentities:PUT", resources.put_identity),
    Route("PATCH", _IDENTITY, "userAssignedIdentities:PATCH", resources.patch_identity),
    Route("DELETE", _IDENTITY, "userAssignedIdentities:DELETE", resources.delete_identity),
    Route("GET", _GROUP, "resourceGroups:GET", resources.get_group),
    _list(rf"{_GROUP}/resources", "resources", resources.everything),
    _list(rf"{_SUB}/resources", "resources", resources.everything),
    _list(r"/subscriptions", "subscriptions", resources.subscriptions),
    Route("GET", r"/metadata/endpoints", "metadata:GET", resources.metadata),
    Route("POST", r"/v1.0/directoryObjects/getByIds", "graph:getByIds", resources.named),
    Route("GET", r"/common/discovery/instance", "entra:discovery", entra.discovery),
    Route(
        "GET", r"/(?P<tenant>[^/]+)/v2.0/.well-known/openid-configuration", "entra:configuration", entra.configuration
    ),
    Route("POST", r"/(?P<tenant>[^/]+)/oauth2(/v2.0)?/token", "entra:token", entra.token),
    Route("POST", r"/oauth2/exchange", "data:exchange", data.exchange, data=True),
    Route("POST", r"/oauth2/token", "data:token", data.token, data=True),
    Route("GET", r"/oauth2/token", "data:token", data.token, data=True),
    Route("GET", r"/v2/?", "data:base", data.base, data=True),
    Route("GET", r"/(v2|acr/v1)/_catalog", "data:catalog", data.catalog, data=True),
    Route("GET", rf"/v2/{_NAME}/tags/list", "data:tags", data.tags, data=True),
    Route("GET", rf"/v2/{_NAME}/manifests/(?P<reference>[^/]+)", "data:manifest", data.manifest, data=True),
    Route("HEAD", rf"/v2/{_NAME}/manifests/(?P<reference>[^/]+)", "data:manifest", data.manifest, data=True),
    Route("GET", rf"/acr/v1/{_NAME}", "data:attributes", data.attributes, data=True),
    Route("DELETE", rf"/acr/v1/{_NAME}", "data:delete", data.delete_repository, data=True),
)


@dataclass(frozen=True)
class Found:
    """A request's route, and the request with the names that its path has."""

    route: Route
    asked: Asked


def find(asked: Asked) -> Found | None:
    """The call that a request makes, or None for a path that no API has. Paths have no case."""
    for route in ROUTES:
        match = (
            re.fullmatch(route.path, asked.path.rstrip("/") or "/", re.IGNORECASE)
            if route.http == asked.method
            else None
        )
        if match is not None:
            return Found(route, replace(asked, names=match.groupdict()))
    return None


#: what is not of Azure Resource Manager: no api-version, and no token of Entra
_OPEN = ("metadata:", "entra:", "graph:", "data:")


class Cloud:
    """The stand-in. Its `state` may be read and changed by whoever holds its `lock`."""

    def __init__(self) -> None:
        self.here = "localhost"
        self.state = State()
        self.lock = RLock()

    def reset(self) -> None:
        """Forgets everything."""
        with self.lock:
            self.state = State(self.here)

    def answer(self, found: Found) -> Reply:
        """Carries a call out."""
        with self.lock:
            try:
                self._check(found)
                self.state.tick()
                return found.route.handler(self.state, found.asked)
            except Refusal as refusal:
                return _data_refusal(refusal) if found.route.data else refused(refusal)

    def _check(self, found: Found) -> None:
        route, one = found.route, found.asked
        if route.name.startswith(_OPEN):
            return
        if "api-version" not in one.query and not one.path.endswith("/token"):
            raise Refusal(
                400,
                "MissingApiVersionParameter",
                "The api-version query parameter (?api-version=) is required for all requests.",
            )
        if one.headers and not one.headers.get("authorization", "").lower().startswith("bearer "):
            raise Refusal(401, "AuthenticationFailed", "Authentication failed. The 'Authorization' header is missing.")
        if any(route.name.startswith(item) for item in self.state.knobs.denied):
            raise Refusal(
                403,
                "AuthorizationFailed",
                f"The client 'x' with object id 'x' does not have authorization to perform action '{route.name}' over scope"
                f" '{one.path}' or the scope is invalid. If access was recently granted, please refresh your credentials.",
            )
        group = one.names.get("group")
        if group and group.lower() in self.state.knobs.missing_groups:
            raise Refusal(404, "ResourceGroupNotFound", f"Resource group '{group}' could not be found.")


def _data_refusal(refusal: Refusal) -> Reply:
    """In the registry's own form; a challenge stands in a header."""
    more: dict[str, Any] = dict(refusal.more)
    challenge = more.pop("challenge", None)
    body = more or {"errors": [{"code": refusal.code, "message": refusal.message}]}
    return Reply(refusal.http, body, {"WWW-Authenticate": challenge} if challenge else {})
