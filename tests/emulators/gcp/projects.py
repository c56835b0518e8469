"""What clients ask of projects: locations, settings, which APIs are on, numbers."""

from __future__ import annotations

from .fields import mask_paths, masked, read, unknown_paths, written
from .paging import page
from .places import LOCATIONS, TITLES
from .rules import check_place
from .schemas import PROJECT_SETTINGS
from .state import State, project_number
from .wire import Asked, Document, invalid


def get_project(state: State, asked: Asked) -> Document:
    """A project of Resource Manager v1. https://cloud.google.com/resource-manager/reference/rest/v1/projects"""
    project = asked.names["project"]
    return {
        "projectId": project,
        "projectNumber": project_number(project),
        "lifecycleState": "ACTIVE",
        "name": project,
        "createTime": "2026-01-01T00:00:00.000Z",
    }


def get_project_v3(state: State, asked: Asked) -> Document:
    """A project of Resource Manager v3. https://cloud.google.com/resource-manager/reference/rest/v3/projects"""
    project = asked.names["project"]
    name = f"projects/{project_number(project)}"
    return {"name": name, "projectId": project, "displayName": project, "state": "ACTIVE"}


def locations(state: State, asked: Asked) -> Document:
    """A page of the locations. https://artifactregistry.googleapis.com/$discovery/rest?version=v1"""
    asked.only("filter", "pageSize", "pageToken", "extraLocationTypes")
    items, token = page(asked, {name: name for name in LOCATIONS}, default=200, most=1000)
    found: Document = {"locations": [_location(asked.names["project"], name) for name in items]}
    return found | ({"nextPageToken": token} if token else {})


def location(state: State, asked: Asked) -> Document:
    """One location."""
    check_place(asked.names["location"])
    return _location(asked.names["project"], asked.names["location"])


def _location(project: str, name: str) -> Document:
    return {"name": f"projects/{project}/locations/{name}", "locationId": name, "displayName": name}


def settings(state: State, asked: Asked) -> Document:
    """Artifact Registry's settings of the project."""
    project = asked.names["project"]
    found = {"legacyRedirectionState": "REDIRECTION_FROM_GCR_IO_DISABLED"} | state.project_settings.get(project, {})
    answer: Document = written(PROJECT_SETTINGS, found, asked.numbers)
    return answer | {"name": f"projects/{project}/projectSettings"}


def patch_settings(state: State, asked: Asked) -> Document:
    """The settings after the patch."""
    asked.only("updateMask")
    project = asked.names["project"]
    sent = read(PROJECT_SETTINGS, asked.body, "project_settings")
    sent.pop("name", None)
    paths = mask_paths(asked.parameter("updateMask")) or tuple(sent)
    for path in unknown_paths(PROJECT_SETTINGS, paths):
        raise invalid(f"Invalid field mask: {path}")
    state.project_settings[project] = masked(state.project_settings.get(project, {}), sent, paths)
    return settings(state, asked)


def service(state: State, asked: Asked) -> Document:
    """Whether an API is on. https://cloud.google.com/service-usage/docs/reference/rest/v1/services"""
    return _service(state, asked.names["project"], asked.names["service"])


def services(state: State, asked: Asked) -> Document:
    """The APIs that the stand-in knows, or those of them that are on or off: `filter=state:ENABLED`."""
    asked.only("filter", "pageSize", "pageToken")
    wanted = asked.parameter("filter").replace(" ", "").partition("state:")[2]
    found = {name: _service(state, asked.names["project"], name) for name in TITLES}
    there = {name: one for name, one in found.items() if wanted in ("", one["state"])}
    items, token = page(asked, there, default=50, most=200)
    answer: Document = {"services": list(items)} if items else {}
    return answer | ({"nextPageToken": token} if token else {})


def switch_service(state: State, asked: Asked) -> Document:
    """Turns an API on or off: an operation that is done at once."""
    project, name, verb = (asked.names[part] for part in ("project", "service", "verb"))
    state.switch(project, name, verb == "enable")
    kind = f"type.googleapis.com/google.api.serviceusage.v1.{verb.capitalize()}ServiceResponse"
    response = {"@type": kind, "service": _service(state, project, name)}
    return {"name": "operations/noop.DONE_OPERATION", "done": True, "response": response}


def _service(state: State, project: str, name: str) -> Document:
    parent = f"projects/{project_number(project)}"
    return {
        "name": f"{parent}/services/{name}",
        "parent": parent,
        "state": "ENABLED" if state.is_on(project, name) else "DISABLED",
        "config": {"name": name, "title": TITLES.get(name, name)},
    }


#: roles of IAM v1, as far as they are listed: the recorded one, and those of Artifact Registry.
#: https://cloud.google.com/iam/docs/roles-permissions/artifactregistry
ROLES = {
    "roles/accesscontextmanager.policyAdmin": (
        "Access Context Manager Admin",
        "Full access to policies, access levels, and access zones",
    ),
    "roles/artifactregistry.admin": (
        "Artifact Registry Administrator",
        "Administrator access to create and manage repositories.",
    ),
    "roles/artifactregistry.reader": ("Artifact Registry Reader", "Access to read repository items."),
    "roles/artifactregistry.repoAdmin": (
        "Artifact Registry Repository Administrator",
        "Access to manage artifacts in repositories.",
    ),
    "roles/artifactregistry.writer": ("Artifact Registry Writer", "Access to read and write repository items."),
}


def roles(state: State, asked: Asked) -> Document:
    """A page of the predefined roles. https://iam.googleapis.com/$discovery/rest?version=v1: 300 by default, 1,000 at most"""
    asked.only("pageSize", "pageToken", "parent", "showDeleted", "view")
    found = {
        name: {"name": name, "title": title, "description": text, "stage": "GA", "etag": "AA=="}
        for name, (title, text) in ROLES.items()
    }
    items, token = page(asked, found, default=300, most=1000)
    return {"roles": list(items)} | ({"nextPageToken": token} if token else {})
