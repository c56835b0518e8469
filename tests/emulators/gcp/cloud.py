"""The stand-in without its socket: which call a request is, who may make it, and what is answered."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from threading import RLock

from . import images, operations, policies, projects, repositories, service_accounts, tokens
from .places import TITLES
from .policies import Owner
from .state import State, project_number
from .wire import HTTP_CODES, Asked, Document, Refusal, refused

Handler = Callable[[State, Asked], Document]

P = r"/v1/projects/(?P<project>[^/]+)"
L = rf"{P}/locations/(?P<location>[^/]+)"
R = rf"{L}/repositories/(?P<repository>[^/:]+)"
A = rf"{P}/serviceAccounts/(?P<account>[^/:]+)"
K = rf"{P}/locations/[^/]+/keyRings/[^/:]+(/cryptoKeys/[^/:]+)?"
# a domain-scoped project's id has a colon, and so have the verbs of a project
OF_PROJECT = r"/v1/projects/(?P<project>(?:[^/:]+:)?[^/:]+)"
S = rf"{P}/services/(?P<service>[^/:]+)"

REGISTRY, IAM, MANAGER, KMS, USAGE = "artifactregistry", "iam", "cloudresourcemanager", "cloudkms", "serviceusage"
CREDENTIALS, TOKENS = "iamcredentials", "sts"


@dataclass(frozen=True)
class Route:
    """A method of an API. `permission`: what it needs, or "" for what the stand-in lets everybody do."""

    http: str
    path: str
    service: str
    operation: str
    permission: str
    handler: Handler


@dataclass(frozen=True)
class Found:
    """A request's route, and the request with the names that its path has."""

    route: Route
    asked: Asked

    @property
    def resource(self) -> str:
        """What the call is about, as messages name it."""
        return self.asked.path.partition("/")[2].partition("/")[2].partition(":get")[0].partition(":set")[0]


def _policy(kind: str, write: bool) -> Handler:
    """Reads or writes the policy of a resource of this kind, which must be there."""

    def handle(state: State, asked: Asked) -> Document:
        owner = _owner(state, asked, kind)
        if write:
            asked.only()
            return policies.put(state, owner, asked)
        asked.only("options.requestedPolicyVersion")
        return policies.get(state, owner, asked)

    return handle


def _owner(state: State, asked: Asked, kind: str) -> Owner:
    project = asked.names["project"]
    if kind == "repository":
        found = repositories.existing(state, asked)
        return Owner(found.name, project, ("roles/artifactregistry.",), strict=True)
    if kind == "account":
        account = service_accounts.existing(state, asked)
        account.flaps = account.flaps if asked.path.endswith(":getIamPolicy") else []
        return Owner(account.name, account.project, ("roles/iam.",), strict=True, masks=True)
    resource = re.sub(r":[a-zA-Z]+$", "", asked.path.removeprefix("/v1/"))
    return Owner(resource, project, masks=True)


def _test(kind: str) -> Handler:
    def handle(state: State, asked: Asked) -> Document:
        owner = _owner(state, asked, kind)
        return policies.test(
            asked, (known for known, pattern in state.knobs.denied if re.search(pattern, owner.resource))
        )

    return handle


def _of_policies(http_get: str, path: str, service: str, kind: str, permission: str) -> tuple[Route, ...]:
    return (
        Route(
            http_get,
            rf"{path}:getIamPolicy",
            service,
            "GetIamPolicy",
            f"{permission}.getIamPolicy",
            _policy(kind, False),
        ),
        Route(
            "POST", rf"{path}:setIamPolicy", service, "SetIamPolicy", f"{permission}.setIamPolicy", _policy(kind, True)
        ),
        Route("POST", rf"{path}:testIamPermissions", service, "TestIamPermissions", "", _test(kind)),
    )


def _no_keys(state: State, asked: Asked) -> Document:
    """Of KMS the stand-in has the policies of keys, and no keys."""
    raise _is_off(asked.names["project"], f"{KMS}.googleapis.com")


_REPOSITORY, _ACCOUNT = "artifactregistry.repositories", "iam.serviceAccounts"
ROUTES = (
    Route("POST", rf"{L}/repositories", REGISTRY, "CreateRepository", f"{_REPOSITORY}.create", repositories.create),
    Route("GET", rf"{L}/repositories", REGISTRY, "ListRepositories", f"{_REPOSITORY}.list", repositories.list_all),
    Route("GET", R, REGISTRY, "GetRepository", f"{_REPOSITORY}.get", repositories.get),
    Route("PATCH", R, REGISTRY, "UpdateRepository", f"{_REPOSITORY}.update", repositories.patch),
    Route("DELETE", R, REGISTRY, "DeleteRepository", f"{_REPOSITORY}.delete", repositories.delete),
    *_of_policies("GET", R, REGISTRY, "repository", _REPOSITORY),
    Route("GET", rf"{R}/packages", REGISTRY, "ListPackages", "artifactregistry.packages.list", images.packages),
    Route(
        "GET",
        rf"{R}/dockerImages",
        REGISTRY,
        "ListDockerImages",
        "artifactregistry.dockerimages.list",
        images.docker_images,
    ),
    Route("GET", rf"{L}/operations/[^/]+", REGISTRY, "GetOperation", "", operations.get),
    Route("GET", rf"{P}/locations".replace("v1", "v1(beta2)?"), REGISTRY, "ListLocations", "", projects.locations),
    Route("GET", L.replace("v1", "v1(beta2)?"), REGISTRY, "GetLocation", "", projects.location),
    Route("GET", rf"{P}/projectSettings", REGISTRY, "GetProjectSettings", "", projects.settings),
    Route("PATCH", rf"{P}/projectSettings", REGISTRY, "UpdateProjectSettings", "", projects.patch_settings),
    Route("POST", rf"{P}/serviceAccounts", IAM, "CreateServiceAccount", f"{_ACCOUNT}.create", service_accounts.create),
    Route("GET", rf"{P}/serviceAccounts", IAM, "ListServiceAccounts", f"{_ACCOUNT}.list", service_accounts.list_all),
    Route("GET", A, IAM, "GetServiceAccount", f"{_ACCOUNT}.get", service_accounts.get),
    Route("PATCH", A, IAM, "PatchServiceAccount", f"{_ACCOUNT}.update", service_accounts.patch),
    Route("DELETE", A, IAM, "DeleteServiceAccount", f"{_ACCOUNT}.delete", service_accounts.delete),
    Route("POST", rf"{A}:disable", IAM, "DisableServiceAccount", f"{_ACCOUNT}.disable", service_accounts.disable),
    Route("POST", rf"{A}:enable", IAM, "EnableServiceAccount", f"{_ACCOUNT}.enable", service_accounts.enable),
    *_of_policies("POST", A, IAM, "account", _ACCOUNT),
    Route(
        "POST",
        rf"{A}:generateAccessToken",
        CREDENTIALS,
        "GenerateAccessToken",
        f"{_ACCOUNT}.getAccessToken",
        tokens.generate,
    ),
    Route("POST", r"/v1/token", TOKENS, "Token", "", tokens.exchange),
    Route("GET", r"/v1/roles", IAM, "ListRoles", "", projects.roles),
    Route("GET", OF_PROJECT, MANAGER, "GetProject", "", projects.get_project),
    Route("GET", OF_PROJECT.replace("v1", "v3"), MANAGER, "GetProject", "", projects.get_project_v3),
    *_of_policies("POST", OF_PROJECT, MANAGER, "project", "resourcemanager.projects"),
    *_of_policies("GET", K, KMS, "key", "cloudkms.cryptoKeys"),
    Route("GET", K, KMS, "GetKey", "", _no_keys),
    Route("GET", rf"{P}/services", USAGE, "ListServices", "", projects.services),
    Route("GET", S, USAGE, "GetService", "", projects.service),
    Route("POST", rf"{S}:(?P<verb>enable|disable)", USAGE, "SwitchService", "", projects.switch_service),
)


def find(asked: Asked) -> Found | None:
    """The call that a request makes, or None for a path that no API has."""
    for route in ROUTES:
        match = re.fullmatch(route.path, asked.path) if route.http == asked.method else None
        if match is not None:
            return Found(route, replace(asked, names=match.groupdict()))
    return None


class Cloud:
    """The stand-in. Its `state` may be read and changed by whoever holds its `lock`."""

    def __init__(self) -> None:
        self.state = State()
        self.lock = RLock()

    def reset(self) -> None:
        """Forgets everything."""
        with self.lock:
            self.state = State()

    def answer(self, found: Found) -> tuple[int, Document]:
        """Carries a call out: an HTTP status and a body."""
        with self.lock:
            try:
                self.state.tick()
                _check_service(self.state, found)
                _check_permission(self.state, found)
                return 200, found.route.handler(self.state, found.asked)
            except Refusal as refusal:
                return HTTP_CODES[refusal.status], refused(refusal, found.asked.errors_too)


def _check_service(state: State, found: Found) -> None:
    """An API that is off refuses everything; Service Usage, which turns it on, is never off."""
    name = f"{found.route.service}.googleapis.com"
    project = found.asked.names.get("project", "-")
    if project != "-" and found.route.service != USAGE and not state.is_on(project, name):
        raise _is_off(project, name)


def _is_off(project: str, name: str) -> Refusal:
    """In the recorded words: evidence/gcp/errors-403.http.log."""
    number = project_number(project)
    return Refusal(
        "PERMISSION_DENIED",
        f"{TITLES[name]} has not been used in project {number} before or it is disabled. Enable it by visiting "
        f"https://console.developers.google.com/apis/api/{name}/overview?project={number} then retry. If you enabled this API "
        "recently, wait a few minutes for the action to propagate to our systems and retry.",
    )


def _check_permission(state: State, found: Found) -> None:
    """Without the permission all is refused, whether the resource is there or not: the words of KMS are recorded, those of IAM are
    https://github.com/hashicorp/terraform-provider-google/issues/11068, and Artifact Registry names resources in full:
    https://github.com/hashicorp/terraform-provider-google/issues/12640."""
    permission = found.route.permission
    if not permission or not state.knobs.denies(permission, found.resource):
        return
    if found.route.service == IAM:
        text = f"Permission {permission} is required to perform this operation on service account {found.resource}."
    elif found.route.service == CREDENTIALS:
        text = tokens.DENIED
    else:
        full = f"//{REGISTRY}.googleapis.com/{found.resource}" if found.route.service == REGISTRY else found.resource
        text = f"Permission '{permission}' denied on resource '{full}' (or it may not exist)."
    raise Refusal("PERMISSION_DENIED", text)
