"""Repositories."""

from __future__ import annotations

import re

from . import operations
from .fields import mask_paths, masked, read, written
from .paging import page
from .places import project_path
from .rules import check_mask, check_name, check_place, check_settings, check_unchanged
from .schemas import IMMUTABLE, MUTABLE, REPOSITORY
from .state import Repository, State, now
from .wire import Asked, Document, Refusal, invalid, not_found

SCANNING_API = "containerscanning.googleapis.com"


def create(state: State, asked: Asked) -> Document:
    """Starts a create. A mode that is not said is STANDARD_REPOSITORY, unless `disallowUnspecifiedMode`."""
    asked.only("repositoryId")
    location, identifier = asked.names["location"], asked.parameter("repositoryId")
    settings = read(REPOSITORY, asked.body, "repository")
    check_place(location)
    if settings.pop("disallowUnspecifiedMode", False) and "mode" not in settings:
        raise invalid("mode: a mode is needed")
    settings.setdefault("mode", "STANDARD_REPOSITORY")
    settings.pop("name", None)
    check_name(identifier, location, settings.get("format", ""))
    check_settings(settings, location)
    _fill_ids(settings)
    if settings.get("kmsKeyName") in state.knobs.denied_keys:
        # the text: https://github.com/hashicorp/terraform-provider-google/issues/13008
        raise Refusal(
            "PERMISSION_DENIED",
            "Permission denied on Cloud KMS key. Please ensure your Artifact Registry service account has been authorized to use "
            "the configured key.",
        )
    name = f"projects/{asked.names['project']}/locations/{location}/repositories/{identifier}"
    if name in state.repositories:
        # the text: gcloud shows it as `ALREADY_EXISTS: the repository already exists`
        raise Refusal("ALREADY_EXISTS", "the repository already exists")
    time = now()
    made = Repository(name, settings, time, time, visible=False)
    state.repositories[name] = made

    def finish() -> Document:
        made.visible = True
        # recorded: without its times and its URI
        return {"@type": f"{operations.TYPE}Repository", **_shown(state, made)}

    parent = name.partition("/repositories/")[0]
    return operations.started(state.start(parent, finish, lambda: state.repositories.pop(name)))


def get(state: State, asked: Asked) -> Document:
    """The repository with its URI, which only this call answers."""
    asked.only()
    found = existing(state, asked)
    return _answer(state, found, asked) | {"registryUri": registry_uri(found)}


def list_all(state: State, asked: Asked) -> Document:
    """A page of a location's repositories: 1,000 at most, by name. https://artifactregistry.googleapis.com/$discovery/rest?version=v1"""
    asked.only("filter", "orderBy", "pageSize", "pageToken")
    check_place(asked.names["location"])
    parent = asked.path.removeprefix("/v1/")
    wanted = _filter(asked.parameter("filter"))
    if asked.parameter("orderBy") not in ("", "name"):
        raise invalid("order_by: the stand-in orders by name only")
    there = {
        name: found
        for name, found in state.repositories.items()
        if found.visible and name.rpartition("/")[0] == parent and wanted.fullmatch(name)
    }
    items, token = page(asked, there, default=100, most=1000)
    answer: Document = {"repositories": [_answer(state, item, asked) for item in items]} if items else {}
    return answer | ({"nextPageToken": token} if token else {})


def patch(state: State, asked: Asked) -> Document:
    """The repository at once: no operation, and without its URI, as recorded.

    What the mask names is taken from the body; without a mask all that can change is, as gcloud's delete-cleanup-policies wants it
    (Google Cloud SDK 528, command_lib/artifacts/cleanup_policy_util.py).
    """
    asked.only("updateMask")
    found = existing(state, asked)
    sent = read(REPOSITORY, asked.body, "repository")
    paths = mask_paths(asked.parameter("updateMask"))
    if paths in ((), ("*",)):
        paths = (*MUTABLE, *(name for name in IMMUTABLE if name in sent))
    check_mask(paths)
    after = masked(found.settings, sent, paths)
    check_unchanged(found.settings, after)
    check_settings(after, found.parts[1])
    _fill_ids(after)
    found.settings, found.updated = after, now()
    return _answer(state, found, asked)


def delete(state: State, asked: Asked) -> Document:
    """Starts a delete, which takes the images along: the method has no parameter that asks."""
    asked.only()
    found = existing(state, asked)

    def finish() -> Document:
        # a second delete that was under way may have been quicker, and a new repository of the name is another one
        if state.repositories.get(found.name) is found:
            del state.repositories[found.name]
            state.policies.pop(found.name, None)
        return operations.EMPTY

    parent = found.name.partition("/repositories/")[0]
    return operations.started(state.start(parent, finish, lambda: None))


def existing(state: State, asked: Asked) -> Repository:
    """The repository that the path names. Raises Refusal if it is not there (yet)."""
    names = asked.names
    found = state.repositories.get(
        f"projects/{names['project']}/locations/{names['location']}/repositories/{names['repository']}"
    )
    if found is None or not found.visible:
        raise not_found()
    return found


def registry_uri(found: Repository) -> str:
    """Where its packages are pushed to. https://cloud.google.com/artifact-registry/docs/docker/names"""
    project, location, repository = found.parts
    return f"{location}-{found.settings['format'].lower()}.pkg.dev/{project_path(project)}/{repository}"


def _answer(state: State, found: Repository, asked: Asked) -> Document:
    answer = _shown(state, found) | {"createTime": found.created, "updateTime": found.updated}
    size = sum(image.size for image in found.images)
    if size:
        # recorded: a string, and not there while it is 0
        answer["sizeBytes"] = str(size)
    shown: Document = written(REPOSITORY, answer, asked.numbers)
    return shown


def _shown(state: State, found: Repository) -> Document:
    scanning = found.settings.get("vulnerabilityScanningConfig", {}) | {"lastEnableTime": found.created}
    scanning |= _scanning(found.settings, state.is_on(found.parts[0], SCANNING_API))
    return {**found.settings, "name": found.name, "satisfiesPzi": True, "vulnerabilityScanningConfig": scanning}


def _scanning(settings: Document, api_on: bool) -> dict[str, str]:
    """Whether images are scanned, and why not. The reasons of a mode and of the API are recorded; the other two follow them."""
    mode, form = settings["mode"], settings["format"]
    if mode == "VIRTUAL_REPOSITORY":
        return _state("UNSUPPORTED", f"Repository mode {mode} is not supported.")
    if form != "DOCKER":
        return _state("UNSUPPORTED", f"Repository format {form} is not supported.")
    if settings.get("vulnerabilityScanningConfig", {}).get("enablementConfig") == "DISABLED":
        return _state("DISABLED", "Scanning is disabled for the repository.")
    if not api_on:
        return _state("DISABLED", f"API {SCANNING_API} is not enabled.")
    return {"enablementState": "SCANNING_ACTIVE"}


def _state(word: str, reason: str) -> dict[str, str]:
    return {"enablementState": f"SCANNING_{word}", "enablementStateReason": reason}


def _fill_ids(settings: Document) -> None:
    """A policy's id is its key in the map."""
    for key, policy in settings.get("cleanupPolicies", {}).items():
        policy["id"] = key


def _filter(text: str) -> re.Pattern[str]:
    """What names a filter lets through: `name="projects/P/locations/L/repositories/images-*"`, whatever the case."""
    if not text:
        return re.compile(".*")
    found = re.fullmatch(r'\s*name\s*=\s*"([^"]*)"\s*', text)
    if found is None:
        raise invalid("filter: the stand-in filters by name only")
    parts = (re.escape(part) for part in found.group(1).split("*"))
    return re.compile(".*".join(parts), re.IGNORECASE)
