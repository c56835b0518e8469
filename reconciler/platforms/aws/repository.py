"""An ECR repository, in the home region or in a replication region: its settings and tags, created in one call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from reconciler.errors import PlatformError
from reconciler.model.access import ForeignAccess
from reconciler.model.address import Address
from reconciler.model.canonical import applied_hash, text
from reconciler.model.platform import Kind, Write
from reconciler.model.resource import Live, Observation, Scope
from reconciler.spec.repository import Repository, shown_tags

from . import access
from . import marks as tagging
from .marks import Tags
from .others import others_of, put_back
from .session import AwsSession

GONE = ("RepositoryNotFoundException",)
MUTABLE, IMMUTABLE, EXCEPT = "MUTABLE", "IMMUTABLE", "IMMUTABLE_WITH_EXCLUSION"


@dataclass(frozen=True, slots=True)
class RepositorySettings:
    """What an ECR repository can be set to. `encryption`: a KMS key's ARN, or "" for ECR's own AES-256."""

    description: str = ""
    tags_immutable: bool = False
    movable_tags: tuple[str, ...] = ()
    scan_on_push: bool = False
    encryption: str = ""
    labels: tuple[tuple[str, str], ...] = ()
    protect: bool = False
    delete_images: bool = False


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


class RepositoryKind(Kind):
    """The repository itself."""

    name = "repository"
    settings = RepositorySettings
    immutable = frozenset({"encryption"})
    holds_images = True

    def shown(self, settings: RepositorySettings) -> dict[str, Any]:
        shown = super().shown(settings)
        tags = shown_tags(shown.pop("tags_immutable"), shown.pop("movable_tags"))
        return {**shown, "immutable_tags": tags, "labels": dict(settings.labels)}

    def protected(self, settings: RepositorySettings) -> bool:
        return settings.protect

    def images_may_go(self, settings: RepositorySettings) -> bool:
        return settings.delete_images

    def observe(self, session: AwsSession, scope: Scope, found: Observation) -> Iterator[Live]:
        tags_by_address: dict[Address, Tags] = found.extra.setdefault("tags", {})
        regions = _regions(session, scope, found)
        for described in session.map(lambda region: _described(session, scope, region), regions):
            tags = _tags(session, scope, described)
            for at, repository in described.items():
                live = _live(session, at, repository, tags[at])
                tags_by_address[at] = tags[at]
                if live.marks.owner is None and at not in scope.desired and scope.only is None:
                    found.unowned.append(repository["repositoryName"])
                    continue
                yield live

    def create(self, session: AwsSession, write: Write) -> Live:
        return self._make(session, write, {})

    def _make(self, session: AwsSession, write: Write, others: Tags) -> Live:
        wanted: RepositorySettings = write.desired.settings
        at = write.desired.address
        children = {tagging.applied_key(below.kind): mark for below, mark in write.children.items()}
        tags = {**others, **_own_tags(write), **children}
        created = session.repository_call(
            "create_repository",
            at,
            absent=("RepositoryAlreadyExistsException",),
            tags=tagging.as_list(tags),
            imageScanningConfiguration={"scanOnPush": wanted.scan_on_push},
            encryptionConfiguration=_encryption(wanted),
            **_mutability(wanted),
        )
        if created is None:
            return self._already(session, write)
        return _live(session, at, created["repository"], tags)

    def _already(self, session: AwsSession, write: Write) -> Live:
        """It exists: an answer to our own call was lost on the way (fine), or somebody else was faster (an error)."""
        at = write.desired.address
        live = session.read(at)
        if live is None or live.marks != write.marks or live.settings != write.desired.settings:
            raise _exists(at)
        return live

    def update(self, session: AwsSession, write: Write, live: Live) -> Live:
        wanted: RepositorySettings = write.desired.settings
        at = live.address
        if {"tags_immutable", "movable_tags"} & write.changed:
            session.repository_call("put_image_tag_mutability", at, **_mutability(wanted))
        if "scan_on_push" in write.changed:
            scanning = {"scanOnPush": wanted.scan_on_push}
            session.repository_call("put_image_scanning_configuration", at, imageScanningConfiguration=scanning)
        own = _own_tags(write)
        gone = [key for key, _ in live.settings.labels if key not in own]
        optional = (tagging.DESCRIPTION, tagging.PROTECT, tagging.DELETE_IMAGES, tagging.LABELS)
        before = tagging.tags_of_marks(live.marks).keys() | _setting_tags(live.settings).keys()
        gone += [key for key in optional if key in before and key not in own]
        tagging.write_tags(session, at, own, gone)
        # tagging answers nothing, and the setters answer parts: one read of what they did not return
        return session.read(at) or live

    def delete(self, session: AwsSession, live: Live, *, force: bool) -> None:
        session.repository_call("delete_repository", live.address, absent=GONE, force=force)

    def replace(self, session: AwsSession, write: Write, live: Live, *, force: bool) -> Live:
        others = others_of(session, live.address)
        self.delete(session, live, force=force)
        made = self._make(session, write, others.tags)
        put_back(session, live.address, others)
        return made

    def given_by_others(self, session: AwsSession, live: Live) -> tuple[ForeignAccess, ...]:
        at = live.address.sibling(access.AccessKind.name)
        return tuple(access.foreign(at, access.read(session, at) or {}))


def _exists(at: Address) -> PlatformError:
    return PlatformError(
        "somebody else created it since the plan was made",
        address=at,
        operation="ecr:CreateRepository",
        hint="make a new plan; if the repository is to be this spec's, adopt it",
    )


def _regions(session: AwsSession, scope: Scope, found: Observation) -> list[str]:
    """The regions to read: the spec's, and those that the registry once extended to."""
    if scope.only is not None:
        return sorted({session.region_of(at) for at in scope.only if at.kind == RepositoryKind.name})
    marked = {at.name for at, live in found.live.items() if live.kind == "region"}
    return sorted(marked | set(session.registry.regions))


def _described(session: AwsSession, scope: Scope, region: str) -> dict[Address, dict[str, Any]]:
    """The repositories of a region that are the registry's, by address and sorted by name."""
    prefix = session.registry.prefix
    if scope.only is None:
        at = Address.of(session.name, "region", region)
        found = session.pages("ecr", "describe_repositories", "repositories", region, address=at, maxResults=1000)
    else:
        found = []
        for name in scope.names(RepositoryKind.name, session.where(region)):
            answer = session.call("ecr", "describe_repositories", region, absent=GONE, repositoryNames=[prefix + name])
            found += answer["repositories"] if answer else []
    return {
        Address.of(
            session.name, RepositoryKind.name, item["repositoryName"].removeprefix(prefix), session.where(region)
        ): item
        for item in sorted(found, key=lambda item: str(item["repositoryName"]))
        if item["repositoryName"].startswith(prefix)
    }


def _tags(session: AwsSession, scope: Scope, described: Mapping[Address, dict[str, Any]]) -> dict[Address, Tags]:
    """Each repository's tags: in bulk where the tagging API lists it and nothing hangs on it, one by one elsewhere.

    GetResources is eventually consistent, so whatever would lead to a change, a conflict or a delete is asked for again.
    https://docs.aws.amazon.com/resourcegroupstagging/latest/APIReference/overview.html
    """
    listed: dict[str, Tags] = {}
    if scope.only is None and described:
        listed = _listed(session, session.region_of(next(iter(described))))
    known: dict[Address, Tags] = {}
    doubtful: list[Address] = []
    for at, repository in described.items():
        tags = listed.get(repository["repositoryArn"])
        if tags is not None and _settled(session, scope, at, repository, tags):
            known[at] = tags
        else:
            doubtful.append(at)
    known.update(zip(doubtful, session.map(lambda at: tagging.read_tags(session, at), doubtful), strict=True))
    return known


def _listed(session: AwsSession, region: str) -> dict[str, Tags]:
    """By ARN, the tags of the owner's repositories that the tagging API knows of."""
    found = session.pages(
        "resourcegroupstaggingapi",
        "get_resources",
        "ResourceTagMappingList",
        region,
        address=Address.of(session.name, "region", region),
        ResourceTypeFilters=["ecr:repository"],
        TagFilters=[{"Key": tagging.OWNER, "Values": [session.owner]}],
        ResourcesPerPage=100,
    )
    return {item["ResourceARN"]: tagging.as_dict(item["Tags"]) for item in found}


def _settled(session: AwsSession, scope: Scope, at: Address, repository: dict[str, Any], tags: Tags) -> bool:
    """Whether these tags, right or late, lead to no change: then they are not asked for again."""
    live = _live(session, at, repository, tags)
    if live.marks.origin == "runtime" and at not in scope.desired:
        return True
    below = [wanted for kind in ("lifecycle", "access") if (wanted := scope.desired.get(at.sibling(kind))) is not None]
    wanted = scope.desired.get(at)
    return (
        wanted is not None
        and live.marks.owner == session.owner
        and live.settings == wanted.settings
        and live.marks.applied == applied_hash(wanted.settings)
        and all(tags.get(tagging.applied_key(item.kind)) == applied_hash(item.settings) for item in below)
    )


def _below(at: Address, kind: str) -> Address:
    """The address of what stands below the repository at an address."""
    where = at
    return Address.of(where.registry, kind, where.name, where.where)


def _live(session: AwsSession, at: Address, repository: dict[str, Any], tags: Tags) -> Live:
    where = at
    foreign = tagging.foreign(tags)
    filters = repository.get("imageTagMutabilityExclusionFilters") or ()
    mutability = repository.get("imageTagMutability", MUTABLE)
    return Live(
        address=at,
        kind=RepositoryKind.name,
        settings=RepositorySettings(
            description=tags.get(tagging.DESCRIPTION, ""),
            tags_immutable=mutability != MUTABLE,
            movable_tags=tuple(sorted(item["filter"] for item in filters)) if mutability == EXCEPT else (),
            scan_on_push=repository.get("imageScanningConfiguration", {}).get("scanOnPush", False),
            encryption=_key_of(repository.get("encryptionConfiguration", {})),
            labels=tuple(sorted(tagging.own_labels(tags).items())),
            protect=tags.get(tagging.PROTECT) == "true",
            delete_images=tags.get(tagging.DELETE_IMAGES) == "true",
        ),
        marks=tagging.marks_of(tags),
        native=repository["repositoryArn"],
        needs=(Address.of(where.registry, "region", where.where or session.registry.region),),
        rest=text(foreign) if foreign else "",
    )


def _key_of(encryption: Mapping[str, str]) -> str:
    kind = encryption.get("encryptionType", "AES256")
    if kind == "AES256":
        return ""
    key = encryption.get("kmsKey", "the AWS managed key")
    return key if kind == "KMS" else f"{kind} {key}"


def _encryption(wanted: RepositorySettings) -> dict[str, str]:
    return {"encryptionType": "KMS", "kmsKey": wanted.encryption} if wanted.encryption else {"encryptionType": "AES256"}


def _mutability(wanted: RepositorySettings) -> dict[str, Any]:
    if not wanted.movable_tags:
        return {"imageTagMutability": IMMUTABLE if wanted.tags_immutable else MUTABLE}
    filters = [{"filterType": "WILDCARD", "filter": pattern} for pattern in wanted.movable_tags]
    return {"imageTagMutability": EXCEPT, "imageTagMutabilityExclusionFilters": filters}


def _setting_tags(wanted: RepositorySettings) -> Tags:
    tags = dict(wanted.labels)
    if wanted.labels:
        tags[tagging.LABELS] = " ".join(key for key, _ in wanted.labels)
    if wanted.description:
        tags[tagging.DESCRIPTION] = wanted.description
    if wanted.protect:
        tags[tagging.PROTECT] = "true"
    if wanted.delete_images:
        tags[tagging.DELETE_IMAGES] = "true"
    return tags


def _own_tags(write: Write) -> Tags:
    return {**_setting_tags(write.desired.settings), **tagging.tags_of_marks(write.marks)}
