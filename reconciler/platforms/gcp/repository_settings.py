"""What an Artifact Registry repository is set to: from the spec, as it is sent, and from what Google answers. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from reconciler.model.address import Address
from reconciler.model.canonical import text
from reconciler.model.kind import Write
from reconciler.model.marks import Marks
from reconciler.model.resource import Live
from reconciler.spec.repository import Repository

from . import cleanup, labels, record
from .labels import DELETE_IMAGES, PROTECT, Labels
from .spec import GcpRegistry

Document = dict[str, Any]

KIND = "repository"
DOCKER, STANDARD = "DOCKER", "STANDARD_REPOSITORY"
#: what the note begins with that nothing is scanned, since the project's API is off
UNSCANNED = "images are not scanned: "
#: https://cloud.google.com/artifact-registry/docs/reference/rest/v1/projects.locations.repositories#EnablementConfig
INHERITED, DISABLED, UNSAID = "INHERITED", "DISABLED", "ENABLEMENT_CONFIG_UNSPECIFIED"


@dataclass(frozen=True, slots=True)
class RepositorySettings:
    """What an Artifact Registry repository can be set to.

    `scanning`: Google's word where `scan_on_push` can't say what it is; no spec asks for that. `encryption`: a key's name, "" for
    Google's own. `cleanup`: our cleanup policies as canonical JSON, "" if there are none.
    `dry_run`: whether they remove nothing; no spec asks for that. `format`, `mode`: no spec asks for another.
    """

    description: str = ""
    tags_immutable: bool = False
    scan_on_push: bool = False
    scanning: str = ""
    encryption: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    protect: bool = False
    delete_images: bool = False
    cleanup: str = ""
    dry_run: bool = False
    format: str = DOCKER
    mode: str = STANDARD

    @property
    def movable_tags(self) -> tuple[str, ...]:
        """None: Artifact Registry has no exceptions from immutable tags."""
        return ()


def settings_of(registry: GcpRegistry, repositories: Sequence[Repository]) -> RepositorySettings:
    """The settings that the spec asks for, of the repositories that are one on Google Cloud; a rule of the spec sees to it that these
    are set alike. It is protected if one of them is, and goes with its images only if all may."""
    first = repositories[0]
    return RepositorySettings(
        description=first.description if registry.layout == "repository" else "",
        tags_immutable=first.tags_immutable,
        scan_on_push=first.scan_on_push,
        encryption=first.encryption.kms_key if first.encryption is not None else "",
        labels=tuple(sorted(first.labels.items())),
        protect=any(item.protect for item in repositories),
        delete_images=all(item.delete_images for item in repositories),
        cleanup=cleanup.of_retention(first.retention) if first.retention is not None else "",
    )


def setting_labels(wanted: RepositorySettings) -> Labels:
    """The labels that stand for settings: those of the spec, and what Artifact Registry has no setting for."""
    found = labels.of_spec(dict(wanted.labels))
    if wanted.protect:
        found[PROTECT] = "true"
    if wanted.delete_images:
        found[DELETE_IMAGES] = "true"
    return found


def labels_taken(wanted: RepositorySettings, adopted: bool) -> int:
    """How many labels are ours beside the record of the policy's members: those of settings, marks, and the mark of the policy."""
    return len(setting_labels(wanted)) + len(Marks("o", "spec", "h", "r", adopted=adopted).texts()) + 1


def own_labels(wanted: RepositorySettings, marks: Marks, others: Mapping[str, str]) -> Labels:
    """All labels that a write puts on the repository, with those that keep what others have under the keys of ours."""
    kept = labels.displaced(others, (key for key, _ in wanted.labels))
    return {**setting_labels(wanted), **kept, **marks.texts()}


def labels_after(write: Write, live: Live, there: Mapping[str, str]) -> dict[str, str]:
    """All labels of the repository after an update: ours, those of others, and what is noted of the policy."""
    wanted: RepositorySettings = write.desired.settings
    others = labels.foreign(there)
    # the same was applied before: what says just that is ours, whatever lists it
    if live.marks.applied == write.marks.applied:
        others = {key: value for key, value in others.items() if (key, value) not in wanted.labels}
    noted = {key: value for key, value in there.items() if key.startswith("reconciler-applied-")}
    noted |= {key: there[key] for key in record.keys(labels.ACCESS, there)}
    return {**others, **own_labels(wanted, write.marks, others), **noted}


def sent(wanted: RepositorySettings, all_labels: Labels) -> Document:
    """The repository as it is made."""
    policies = cleanup.written(wanted.cleanup)
    found: Document = {
        "format": DOCKER,
        "mode": STANDARD,
        "description": wanted.description,
        "labels": all_labels,
        "dockerConfig": docker_config(wanted),
        "vulnerabilityScanningConfig": scanning(wanted),
    }
    if wanted.encryption:
        found["kmsKeyName"] = wanted.encryption
    return found | ({"cleanupPolicies": policies, "cleanupPolicyDryRun": False} if policies else {})


def docker_config(wanted: RepositorySettings) -> Document:
    """As it is sent."""
    return {"immutableTags": wanted.tags_immutable}


def scanning(wanted: RepositorySettings) -> Document:
    """As it is sent: a repository can't switch scanning on, only leave it to the project."""
    return {"enablementConfig": INHERITED if wanted.scan_on_push else DISABLED}


def live_of(at: Address, found: Mapping[str, Any]) -> Live:
    """The repository as Google answers it: of settings alone, so that it is the same from create, patch, get and list."""
    there: Labels = dict(found.get("labels") or {})
    policies: Mapping[str, Any] = found.get("cleanupPolicies") or {}
    own = cleanup.ours(policies)
    dry_run = bool(found.get("cleanupPolicyDryRun", False))
    config = found.get("vulnerabilityScanningConfig") or {}
    said = str(config.get("enablementConfig") or INHERITED)
    scans = said != DISABLED
    others = cleanup.foreign(policies)
    # a dry run of policies of ours alone is a setting
    theirs = {"labels": labels.foreign(there), "cleanup": others, "dry_run": bool(others) and dry_run}
    rest = {key: value for key, value in theirs.items() if value}
    project, location, _ = parts_of(str(found["name"]))
    notes = []
    if scans and config.get("enablementState") == "SCANNING_DISABLED":
        reason = str(config.get("enablementStateReason", "")).rstrip(".")
        notes.append(
            f"{UNSCANNED}{reason or 'scanning is off in the project'}; to scan them, run"
            f" `gcloud services enable containerscanning.googleapis.com --project {project}`"
        )
    return Live(
        address=at,
        kind=KIND,
        settings=RepositorySettings(
            description=str(found.get("description", "")),
            tags_immutable=bool((found.get("dockerConfig") or {}).get("immutableTags", False)),
            scan_on_push=scans,
            scanning="" if said in (INHERITED, DISABLED, UNSAID) else said,
            encryption=str(found.get("kmsKeyName", "")),
            labels=tuple(sorted(labels.own_labels(there).items())),
            protect=there.get(PROTECT) == "true",
            delete_images=there.get(DELETE_IMAGES) == "true",
            cleanup=own,
            dry_run=bool(own) and dry_run,
            format=str(found.get("format", DOCKER)),
            mode=str(found.get("mode", STANDARD)),
        ),
        marks=Marks.of(there),
        native=str(found["name"]),
        needs=(Address.of(at.registry, "location", location),),
        rest=text(rest) if rest else "",
        notes=tuple(notes),
        created_at=_time(found.get("createTime")),
    )


def _time(text: Any) -> datetime | None:
    """A time as Google writes it, with up to nine digits of a second; None if it is none."""
    try:
        made = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return made if made.tzinfo is not None else None


def parts_of(name: str) -> tuple[str, str, str]:
    """Project, location and id of a repository's full name."""
    _, project, _, location, _, identifier = name.split("/")
    return project, location, identifier


def others_on(live: Live) -> Labels:
    """The labels of others, also those whose place a label of ours has taken."""
    found: Labels = json.loads(live.rest or "{}").get("labels", {})
    return found


def foreign_cleanup(live: Live) -> Document:
    """The cleanup policies of others."""
    found: Document = json.loads(live.rest or "{}").get("cleanup", {})
    return found


def in_dry_run(live: Live) -> bool:
    """Whether the cleanup policies of others delete nothing now."""
    return bool(json.loads(live.rest or "{}").get("dry_run", False))
