"""An ECR repository, in the home region or in a replication region: its settings and tags, created in one call."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any

from reconciler.errors import PlatformError
from reconciler.model.access import ForeignAccess
from reconciler.model.address import Address
from reconciler.model.canonical import applied_hash, text
from reconciler.model.kind import Found, HoldsImages, Kind, Verb, Write
from reconciler.model.marks import LABELS, OWNER, Marks
from reconciler.model.resource import Desired, Live
from reconciler.spec.repository import Repository, shown_tags
from reconciler.words import counted

from . import access, lifecycle, native
from .ledgers import RepositoryLedger, repository_arn
from .others import Others, others_of, put_back, put_on_new
from .spec import AwsRegistry
from .tags import (
    DELETE_IMAGES,
    DESCRIPTION,
    MAX_KEY,
    MAX_TAGS,
    PROTECT,
    WAS,
    Tags,
    as_dict,
    as_list,
    decoded,
    displaced,
    encoded,
    foreign,
    own_labels,
)

if TYPE_CHECKING:
    from .session import AwsSession

GONE = ("RepositoryNotFoundException",)
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


_READ = ("ecr:DescribeRepositories", "ecr:ListTagsForResource")
#: what ECR does with a key of the spec, in the caller's name: https://docs.aws.amazon.com/AmazonECR/latest/userguide/encryption-at-rest.html
_KEY = ("kms:DescribeKey", "kms:CreateGrant")


class RepositoryKind(Kind, HoldsImages):
    """The repository itself."""

    name = "repository"
    settings = RepositorySettings
    immutable = frozenset({"encryption"})
    after = ("region",)
    permissions = {
        # the policies that the spec wants are read beside the tags
        Verb.LIST: (*_READ, "tag:GetResources", "ecr:GetLifecyclePolicy", "ecr:GetRepositoryPolicy"),
        Verb.READ: _READ,
        Verb.CREATE: ("ecr:CreateRepository", "ecr:TagResource", *_KEY, *_READ),
        Verb.UPDATE: (
            "ecr:PutImageTagMutability",
            "ecr:PutImageScanningConfiguration",
            "ecr:TagResource",
            "ecr:UntagResource",
            *_READ,
            # after a replacement that was cut off
            *("ecr:CreateRepository", "ecr:GetRepositoryPolicy", "ecr:GetLifecyclePolicy"),
            *("ecr:SetRepositoryPolicy", "ecr:PutLifecyclePolicy", *_KEY),
        ),
        Verb.COUNT: ("ecr:ListImages", "ecr:GetRepositoryPolicy"),
        Verb.DELETE: ("ecr:DeleteRepository", "kms:RetireGrant"),
        Verb.REPLACE: (
            # what others have on it, before and after
            *("ecr:ListTagsForResource", "ecr:GetRepositoryPolicy", "ecr:GetLifecyclePolicy"),
            *("ecr:SetRepositoryPolicy", "ecr:PutLifecyclePolicy"),
            *("ecr:DeleteRepository", "ecr:CreateRepository", "ecr:TagResource", "kms:RetireGrant", *_KEY),
        ),
    }

    def shown(self, settings: RepositorySettings) -> dict[str, Any]:
        shown = super().shown(settings)
        tags = shown_tags(shown.pop("tags_immutable"), shown.pop("movable_tags"))
        tags = shown.pop("mutability") or tags
        return {**shown, "immutable_tags": tags, "labels": dict(settings.labels)}

    def beside(self, live: Live) -> Mapping[str, Any]:
        return {f"labels.{key}": value for key, value in _others(live).items()}

    def limit(self, desired: Desired, live: Live | None) -> str | None:
        others = _others(live) if live is not None else {}
        return _too_many_tags(desired, others) or _too_long_to_keep(desired.settings, others)

    def protected(self, settings: RepositorySettings) -> bool:
        return settings.protect

    def images_may_go(self, settings: RepositorySettings) -> bool:
        return settings.delete_images

    def list(self, session: AwsSession, wanted: Mapping[Address, Desired], found: Found) -> Iterator[Live]:
        ledger = session.ledger(RepositoryLedger)
        # the spec's regions, and those that the registry once extended to
        regions = sorted({*(item.address.name for item in found["region"]), *session.registry.regions})
        described = dict(zip(regions, session.map(lambda region: _in_region(session, region), regions), strict=True))
        tags = _tags(session, wanted, described)
        there = dict(chain.from_iterable(found.items() for found in described.values()))
        for at, repository in there.items():
            live = _live(session, at, repository, tags[at])
            if at in wanted or live.marks.registry is not None or _longest_prefix(session, at):
                ledger.learn(at, tags[at])
                yield _owing(session, live)
        yield from _gone(session, (at for at in wanted if at.kind == self.name and at not in there))

    def read(self, session: AwsSession, addresses: Sequence[Address]) -> Iterator[Live]:
        there = {
            at: answer["repositories"][0]
            for at, answer in zip(addresses, session.map(lambda at: _described(session, at), addresses), strict=True)
            if answer is not None
        }
        for at, tags in zip(there, session.ledger(RepositoryLedger).read(list(there)), strict=True):
            yield _owing(session, _live(session, at, there[at], tags))
        yield from _gone(session, (at for at in addresses if at not in there))

    def create(self, session: AwsSession, write: Write) -> Live:
        return self._make(session, write, {})

    def _make(self, session: AwsSession, write: Write, others: Tags) -> Live:
        wanted: RepositorySettings = write.desired.settings
        at = write.desired.address
        tags = {**others, **_own_tags(write, others), **session.ledger(RepositoryLedger).carried(write.children)}
        created = session.repository_call(
            "create_repository",
            at,
            absent=("RepositoryAlreadyExistsException",),
            tags=as_list(tags),
            imageScanningConfiguration={"scanOnPush": wanted.scan_on_push},
            encryptionConfiguration=native.encryption_for(wanted.encryption),
            **native.mutability_for(wanted.tags_immutable, wanted.movable_tags),
        )
        if created is None:
            return self._already(session, write)
        made = created["repository"]
        session.made("ecr", session.region_of(at), made["repositoryName"], made["repositoryArn"])
        return _live(session, at, made, tags)

    def _already(self, session: AwsSession, write: Write) -> Live:
        """It exists: an answer to our own call was lost on the way (fine), or somebody else was faster (an error)."""
        at = write.desired.address
        live = self.read_one(session, at)
        if live is None or live.marks != write.marks or live.settings != write.desired.settings:
            raise _exists(at)
        return live

    def update(self, session: AwsSession, write: Write, live: Live) -> Live:
        wanted: RepositorySettings = write.desired.settings
        at = live.address
        if live.owed:
            live = self._rescued(session, write, live)
        if {"tags_immutable", "movable_tags", "mutability"} & write.changed:
            session.repository_call(
                "put_image_tag_mutability", at, **native.mutability_for(wanted.tags_immutable, wanted.movable_tags)
            )
        if "scan_on_push" in write.changed:
            scanning = {"scanOnPush": wanted.scan_on_push}
            session.repository_call("put_image_scanning_configuration", at, imageScanningConfiguration=scanning)
        own, others = _own_tags(write, _others(live)), _others(live)
        dropped = [key for key, _ in live.settings.labels if key not in own]
        own |= {key: others[key] for key in dropped if key in others}  # given back
        gone = [WAS + key if key in others else key for key in dropped]
        before = live.marks.texts().keys() | _setting_tags(live.settings).keys()
        gone += [key for key in (DESCRIPTION, PROTECT, DELETE_IMAGES, LABELS) if key in before and key not in own]
        session.ledger(RepositoryLedger).change(at, own, gone)
        # tagging answers nothing, and the setters answer parts: one read of what they did not return
        return self.read_one(session, at) or live

    def delete(self, session: AwsSession, live: Live, *, force: bool) -> None:
        session.forget("ecr", session.region_of(live.address), session.native_of(live.address), live.native)
        session.repository_call("delete_repository", live.address, absent=GONE, force=force)

    def replace(self, session: AwsSession, write: Write, live: Live, *, force: bool) -> Live:
        at = live.address
        others = others_of(session, at)
        kept = session.rescue.keep(at, live.native, asdict(others)) if others else None
        try:
            self.delete(session, live, force=force)
            made = self._make(session, write, others.tags)
            put_on_new(session, at, others)
        except PlatformError as error:
            if kept is not None:
                error.hint = (
                    f"what others had put on it is kept in {kept}, and the next apply puts it back; {error.hint}"
                )
            raise
        session.rescue.drop(at)
        return made

    def _rescued(self, session: AwsSession, write: Write, live: Live) -> Live:
        """The repository with what others had on it before a replacement that was cut off; made, if it wasn't any more."""
        at = live.address
        others = Others(**(session.rescue.kept(at, repository_arn(session, at)) or {}))
        if live.vacant:
            live = self._make(session, write, others.tags)
        put_back(session, at, others)
        session.rescue.drop(at)
        return live

    def count(self, session: AwsSession, live: Live) -> int:
        found = session.pages(
            "ecr",
            "list_images",
            "imageIds",
            session.region_of(live.address),
            address=live.address,
            repositoryName=session.native_of(live.address),
            maxResults=1000,
        )
        return len({item.get("imageDigest") or item.get("imageTag") for item in found})

    def given_by_others(self, session: AwsSession, live: Live) -> tuple[ForeignAccess, ...]:
        at = live.address.sibling(access.AccessKind.name)
        return tuple(access.foreign(at, access.read(session, at) or {}))


def _owing(session: AwsSession, live: Live) -> Live:
    """With what others had on it, if that waits to be put back: if it is this registry's."""
    ours = live.marks.owner == session.owner and not live.marks.elsewhere(session.name)
    if not ours or session.rescue.kept(live.address, live.native) is None:
        return live
    return replace(live, owed=True, notes=(_waits(session, live.address),))


def _gone(session: AwsSession, addresses: Iterable[Address]) -> Iterator[Live]:
    """The repositories that a replacement has deleted and not made again, where something waits to be put back on them."""
    for at in addresses:
        native = repository_arn(session, at)
        if session.rescue.kept(at, native) is not None:
            note = _waits(session, at)
            yield Live(
                at, RepositoryKind.name, RepositorySettings(), Marks(), native, vacant=True, owed=True, notes=(note,)
            )


def _waits(session: AwsSession, at: Address) -> str:
    return f"a replacement was cut off: what others had put on it is put back from {session.rescue.path(at)}"


def _too_many_tags(desired: Desired, others: Tags) -> str | None:
    """ECR's 50 tags, whosoever they are. What others have under the key of a label is kept in a tag of its own; a lifecycle policy
    and a repository policy may each add a mark later."""
    labels = len(desired.settings.labels)
    marks = (
        len(_setting_tags(desired.settings)) - labels + len(Marks(registry=desired.address.registry).texts()) + NOTES
    )
    theirs = sum(1 for key in others if not key.startswith("aws:"))
    count = theirs + labels + marks
    if count <= MAX_TAGS:
        return None
    return (
        f"the repository would have {count} tags, ECR takes at most {MAX_TAGS}: {theirs} that somebody else put"
        f" there, {counted(labels, 'label')}, and {marks} for this tool's marks"
    )


def _too_long_to_keep(wanted: RepositorySettings, others: Tags) -> str | None:
    long = sorted(key for key, _ in wanted.labels if key in others and len(WAS + key) > MAX_KEY)
    if not long:
        return None
    return (
        f"the tag {long[0]} was set by somebody else, and what it says can't be kept: with '{WAS}' before it, its key is"
        f" longer than AWS's {MAX_KEY} characters; take it out of the labels, or remove that tag first"
    )


def _exists(at: Address) -> PlatformError:
    return PlatformError(
        "somebody else created it since the plan was made",
        address=at,
        operation="ecr:CreateRepository",
        hint="make a new plan; if the repository is to be this spec's, adopt it",
    )


def _in_region(session: AwsSession, region: str) -> dict[Address, dict[str, Any]]:
    """The repositories of a region that are the registry's, by address and sorted by name."""
    prefix, where = session.registry.prefix, session.where(region)
    at = Address.of(session.name, "region", region)
    found = session.pages("ecr", "describe_repositories", "repositories", region, address=at, maxResults=1000)
    return {
        Address.of(session.name, RepositoryKind.name, item["repositoryName"].removeprefix(prefix), where): item
        for item in sorted(found, key=lambda item: str(item["repositoryName"]))
        if item["repositoryName"].startswith(prefix)
    }


def _longest_prefix(session: AwsSession, at: Address) -> bool:
    """Whether no other registry of the spec has a longer prefix that fits: what has no mark of a registry is that one's."""
    native, region, here = session.native_of(at), session.region_of(at), session.registry
    fitting = (
        other.prefix
        for other in session.estate.registries
        if isinstance(other, AwsRegistry) and other.account_id == here.account_id and region in other.regions
    )
    return not any(len(prefix) > len(here.prefix) and native.startswith(prefix) for prefix in fitting)


def _described(session: AwsSession, at: Address) -> Any:
    names = [session.native_of(at)]
    return session.call("ecr", "describe_repositories", session.region_of(at), absent=GONE, repositoryNames=names)


def _tags(
    session: AwsSession, wanted: Mapping[Address, Desired], described: Mapping[str, Mapping[Address, dict[str, Any]]]
) -> dict[Address, Tags]:
    """Each repository's tags: in bulk where the tagging API lists it and nothing hangs on it, one by one elsewhere. `described`: by
    region. The policies that the spec wants are read beside them, since each operation has a rate of its own.

    GetResources is eventually consistent, so whatever would lead to a change, a conflict or a delete is asked for again.
    https://docs.aws.amazon.com/resourcegroupstagging/latest/APIReference/overview.html
    """
    ledger = session.ledger(RepositoryLedger)
    known: dict[Address, Tags] = {}
    doubtful: list[Address] = []
    reads: list[tuple[Callable[[Address], Any], list[Address]]] = []
    regions = [region for region, found in described.items() if found]
    for region, listed in zip(regions, session.map(lambda region: _listed(session, region), regions), strict=True):
        asked: list[Address] = []
        for at, repository in described[region].items():
            tags = listed.get(repository["repositoryArn"])
            if tags is not None and _settled(session, wanted, at, repository, tags):
                known[at] = tags
            else:
                asked.append(at)
        doubtful += asked
        reads.append((lambda at: dict(ledger.read([at])[0]), asked))
        for kind, read in ((lifecycle.LifecycleKind.name, lifecycle.read), (access.AccessKind.name, access.read)):
            below = (at.sibling(kind) for at in described[region])
            reads.append((partial(read, session), [at for at in below if at in wanted]))
    found = zip(reads, session.maps(*reads), strict=True)
    session.ahead = {at: answer for (_, asked), answers in found for at, answer in zip(asked, answers, strict=True)}
    known.update((at, session.ahead.pop(at)) for at in doubtful)
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
        TagFilters=[{"Key": OWNER, "Values": [session.owner]}],
        ResourcesPerPage=100,
    )
    return {item["ResourceARN"]: as_dict(item["Tags"]) for item in found}


def _settled(
    session: AwsSession, wanted: Mapping[Address, Desired], at: Address, repository: dict[str, Any], tags: Tags
) -> bool:
    """Whether these tags, right or late, lead to no change: then they are not asked for again."""
    live = _live(session, at, repository, tags)
    if at not in wanted and (live.marks.origin == "runtime" or live.marks.elsewhere(session.name)):
        return True
    ledger = session.ledger(RepositoryLedger)
    below = [item for kind in ("lifecycle", "access") if (item := wanted.get(at.sibling(kind))) is not None]
    desired = wanted.get(at)
    return (
        desired is not None
        and (live.marks.owner, live.marks.registry) == (session.owner, session.name)
        and live.settings == desired.settings
        and live.marks.applied == applied_hash(desired.settings)
        and all(ledger.marks(item.address, tags).applied == applied_hash(item.settings) for item in below)
    )


def _live(session: AwsSession, at: Address, repository: dict[str, Any], tags: Mapping[str, str]) -> Live:
    others = foreign(tags)
    image_tags = native.mutability_of(repository)
    return Live(
        address=at,
        kind=RepositoryKind.name,
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
        needs=(Address.of(at.registry, "region", session.region_of(at)),),
        rest=text(others) if others else "",
    )


def _setting_tags(wanted: RepositorySettings) -> Tags:
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


def _own_tags(write: Write, others: Mapping[str, str]) -> Tags:
    wanted: RepositorySettings = write.desired.settings
    kept = displaced(others, (key for key, _ in wanted.labels))
    return {**_setting_tags(wanted), **kept, **write.marks.texts()}


def _others(live: Live) -> Tags:
    """The tags of others, also those whose place a label of ours has taken."""
    found: Tags = json.loads(live.rest or "{}")
    return found
