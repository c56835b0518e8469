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
from reconciler.model.resource import Desired, Live, NativeName
from reconciler.spec.repository import Repository
from reconciler.words import counted

from . import names, native
from .spec import AwsRegistry
from .tags import (
    DELETE_IMAGES,
    DESCRIPTION,
    MAX_KEY,
    MAX_TAGS,
    PROTECT,
    REPOSITORY,
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
    `native_name`: what ECR calls it, "" where that is the registry's name, a dash and the name in the spec. `known_as`: which name in
    the spec its tag says, where that is not the one of its address; no spec asks for that.
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
    native_name: str = ""
    known_as: str = ""


def name_of(registry: AwsRegistry, at: Address, name: str) -> NativeName:
    """What ECR calls the repository, and where its images are pulled from. `name`: its native name."""
    return NativeName(name, names.repository_uri(registry.account_id, at.where or registry.region, name))


def native_name(registry: AwsRegistry, repository: Repository) -> str:
    """What ECR calls a repository of the spec."""
    return repository.native_name or registry.native_name(repository.name)


def native_of(registry: AwsRegistry, at: Address, settings: RepositorySettings) -> str:
    """What ECR calls the repository at an address that is set like this."""
    return settings.native_name or registry.usual_prefix + at.name


def settings_of(registry: AwsRegistry, repository: Repository, region: str) -> RepositorySettings:
    """The settings that the spec asks for in a region."""
    name = native_name(registry, repository)
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
        native_name="" if name == registry.usual_prefix + repository.name else name,
    )


def too_many_tags(desired: Desired, live: Live | None, others: Tags) -> str | None:
    """ECR's 50 tags, whoever owns them. What others have under the key of a label is kept in a tag of its own; a lifecycle policy
    and a repository policy may each add a mark later."""
    labels = len(desired.settings.labels)
    adopted = live is not None and not live.vacant and (live.marks.adopted or live.marks.owner is None)
    ours = Marks(registry=desired.address.registry, adopted=adopted)
    marks = len(setting_tags(desired.address, desired.settings)) - labels + len(ours.texts()) + NOTES
    theirs = sum(1 for key in others if not key.startswith("aws:"))
    count = theirs + labels + marks
    if count <= MAX_TAGS:
        return None
    return (
        f"the repository would have {count} tags; ECR allows at most {MAX_TAGS}: {theirs} set by somebody else,"
        f" {counted(labels, 'label')}, and {marks} for reconciler's marks"
    )


def too_long_to_keep(wanted: RepositorySettings, others: Tags) -> str | None:
    """Why what others have under the key of a label can't be kept beside it, in words; None if it can."""
    long = sorted(key for key, _ in wanted.labels if key in others and len(WAS + key) > MAX_KEY)
    if not long:
        return None
    return (
        f"the tag {long[0]} was set by somebody else, and its value can't be kept: with '{WAS}' before it, its key is"
        f" longer than AWS's {MAX_KEY} characters; remove it from the labels, or remove that tag first"
    )


#: where its tag should say the name in the spec, and there is none; no name has parentheses
NOT_SAID = "(none)"


def _known_as(at: Address, native_name: str, tags: Mapping[str, str]) -> str:
    """Which name in the spec the tag says, unless it is what it should be: that of the address, or none where it follows."""
    said = tags.get(REPOSITORY)
    return "" if said == (at.name if native_name else None) else (said or NOT_SAID)


def live_of(registry: AwsRegistry, at: Address, repository: Mapping[str, Any], tags: Mapping[str, str]) -> Live:
    """The repository as ECR describes it, with its tags."""
    name: str = repository["repositoryName"]
    own_name = "" if name == registry.usual_prefix + at.name else name
    marks = Marks.of(tags)
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
            native_name=own_name,
            # what nobody owns says nothing of names
            known_as=_known_as(at, own_name, tags) if marks.owner is not None else "",
        ),
        marks=marks,
        native=repository["repositoryArn"],
        needs=(Address.of(at.registry, "region", names.arn_part(repository["repositoryArn"], 3)),),
        rest=text(others) if others else "",
        created_at=repository.get("createdAt"),
    )


def setting_tags(at: Address, wanted: RepositorySettings) -> Tags:
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
    if wanted.native_name:
        tags[REPOSITORY] = at.name
    return tags


def own_tags(write: Write, others: Mapping[str, str]) -> Tags:
    """All tags that a write puts on the repository, with those that keep what others have under the keys of our labels."""
    wanted: RepositorySettings = write.desired.settings
    kept = displaced(others, (key for key, _ in wanted.labels))
    return {**setting_tags(write.desired.address, wanted), **kept, **write.marks.texts()}


def others_on(live: Live) -> Tags:
    """The tags of others, also those whose place a label of ours has taken."""
    found: Tags = json.loads(live.rest or "{}")
    return found
