"""What an ECR repository is set to, and the tags that say so: from the spec, and from what ECR answers. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reconciler.model.address import Address
from reconciler.model.canonical import text
from reconciler.model.kind import Write
from reconciler.model.marks import LABELS, Marks
from reconciler.model.resource import Desired, Live
from reconciler.spec.repository import Repository
from reconciler.words import counted

from . import names, native
from .tags import (
    DELETE_IMAGES,
    DESCRIPTION,
    MAX_KEY,
    MAX_TAGS,
    PROTECT,
    WAS,
    Tags,
    decoded,
    displaced,
    encoded,
    foreign,
    own_labels,
)

KIND = "repository"
#: tags for the marks of what stands below: the lifecycle policy and the repository policy
NOTES = 2


@dataclass(frozen=True, slots=True)
class RepositorySettings:
    """What an ECR repository can be set to.

    `encryption`: a KMS key's ARN, "" for ECR's own AES-256, or ECR's words for an encryption that no spec can ask for.
    `mutability`: ECR's words where `tags_immutable` and `movable_tags` can't say what they are; no spec asks for that.
    """

    description: str = ""
    tags_immutable: bool = False
    movable_tags: tuple[str, ...] = ()
    scan_on_push: bool = False
    encryption: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    protect: bool = False
    delete_images: bool = False
    mutability: str = ""


def settings_of(repository: Repository, region: str) -> RepositorySettings:
    """The settings that the spec asks for in a region."""
    key = repository.encryption.kms_key if repository.encryption else ""
    if key:
        # a multi-Region key has the same id everywhere; the spec's rules refuse any other for a replicated registry
        arn = key.split(":", 5)
        key = ":".join([*arn[:3], region, *arn[4:]])
    return RepositorySettings(
        description=repository.description,
        tags_immutable=repository.tags_immutable,
        movable_tags=repository.movable_tags,
        scan_on_push=repository.scan_on_push,
        encryption=key,
        labels=tuple(sorted(repository.labels.items())),
        protect=repository.protect,
        delete_images=repository.delete_images,
    )


def too_many_tags(desired: Desired, live: Live | None, others: Tags) -> str | None:
    """ECR's 50 tags, whosoever they are. What others have under the key of a label is kept in a tag of its own; a lifecycle policy
    and a repository policy may each add a mark later."""
    labels = len(desired.settings.labels)
    adopted = live is not None and not live.vacant and (live.marks.adopted or live.marks.owner is None)
    ours = Marks(registry=desired.address.registry, adopted=adopted)
    marks = len(setting_tags(desired.settings)) - labels + len(ours.texts()) + NOTES
    theirs = sum(1 for key in others if not key.startswith("aws:"))
    count = theirs + labels + marks
    if count <= MAX_TAGS:
        return None
    return (
        f"the repository would have {count} tags, ECR takes at most {MAX_TAGS}: {theirs} that somebody else put"
        f" there, {counted(labels, 'label')}, and {marks} for this tool's marks"
    )


def too_long_to_keep(wanted: RepositorySettings, others: Tags) -> str | None:
    """Why what others have under the key of a label can't be kept beside it, in words; None if it can."""
    long = sorted(key for key, _ in wanted.labels if key in others and len(WAS + key) > MAX_KEY)
    if not long:
        return None
    return (
        f"the tag {long[0]} was set by somebody else, and what it says can't be kept: with '{WAS}' before it, its key is"
        f" longer than AWS's {MAX_KEY} characters; take it out of the labels, or remove that tag first"
    )


def live_of(at: Address, repository: Mapping[str, Any], tags: Mapping[str, str]) -> Live:
    """The repository as ECR describes it, with its tags."""
    others = foreign(tags)
    image_tags = native.mutability_of(repository)
    return Live(
        address=at,
        kind=KIND,
        settings=RepositorySettings(
            description=decoded(tags.get(DESCRIPTION, "")),
            tags_immutable=image_tags.immutable,
            movable_tags=image_tags.movable,
            scan_on_push=repository.get("imageScanningConfiguration", {}).get("scanOnPush", False),
            encryption=native.encryption_of(repository),
            labels=tuple(sorted(own_labels(tags).items())),
            protect=tags.get(PROTECT) == "true",
            delete_images=tags.get(DELETE_IMAGES) == "true",
            mutability=image_tags.other,
        ),
        marks=Marks.of(tags),
        native=repository["repositoryArn"],
        needs=(Address.of(at.registry, "region", names.arn_part(repository["repositoryArn"], 3)),),
        rest=text(others) if others else "",
    )


def setting_tags(wanted: RepositorySettings) -> Tags:
    """The tags that stand for settings: labels, and what ECR has no setting for."""
    tags = dict(wanted.labels)
    if wanted.labels:
        tags[LABELS] = " ".join(key for key, _ in wanted.labels)
    if wanted.description:
        tags[DESCRIPTION] = encoded(wanted.description)
    if wanted.protect:
        tags[PROTECT] = "true"
    if wanted.delete_images:
        tags[DELETE_IMAGES] = "true"
    return tags


def own_tags(write: Write, others: Mapping[str, str]) -> Tags:
    """All tags that a write puts on the repository, with those that keep what others have under the keys of our labels."""
    wanted: RepositorySettings = write.desired.settings
    kept = displaced(others, (key for key, _ in wanted.labels))
    return {**setting_tags(wanted), **kept, **write.marks.texts()}


def others_on(live: Live) -> Tags:
    """The tags of others, also those whose place a label of ours has taken."""
    found: Tags = json.loads(live.rest or "{}")
    return found
