"""An ECR repository, in the home region or in a replication region: its settings and tags, created in one call."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from reconciler.errors import Halted, PlatformError
from reconciler.model import weakening
from reconciler.model.access import ForeignAccess
from reconciler.model.address import Address
from reconciler.model.kind import Found, HoldsImages, Home, Kind, Releasable, Verb, Write
from reconciler.model.marks import LABELS
from reconciler.model.resource import Desired, Live, NativeName
from reconciler.model.weakening import Weakening
from reconciler.platforms.rescue import naming
from reconciler.spec.registry import RegistryBase
from reconciler.spec.repository import excepts_all, shown_tags
from reconciler.words import Named

from . import access, native, policy_access
from .ledgers import RepositoryLedger, lasting_arn, regions_noted
from .others import others_of, put_back, put_on_new
from .repository_listing import GONE, copies_of, describe_one, missing, owing
from .repository_names import registrys_own
from .repository_settings import (
    KIND,
    RepositorySettings,
    live_of,
    name_of,
    native_of,
    others_on,
    own_tags,
    setting_tags,
    too_long_to_keep,
    too_many_tags,
)
from .spec import AwsRegistry
from .tags import DELETE_IMAGES, DESCRIPTION, PROTECT, REPOSITORY, WAS, Tags, as_list, is_ours
from .waiting import Others, plain_of, waiting

if TYPE_CHECKING:
    from .session import AwsSession

_READ = ("ecr:DescribeRepositories", "ecr:ListTagsForResource")
#: what ECR does with a key of the spec, in the caller's name: https://docs.aws.amazon.com/AmazonECR/latest/userguide/encryption-at-rest.html
_KEY = ("kms:DescribeKey", "kms:CreateGrant")


class RepositoryKind(Kind, HoldsImages, Releasable):
    """The repository itself."""

    name = KIND
    settings = RepositorySettings
    exclusive = True
    immutable = frozenset({"encryption", "native_name"})
    after = ("role", "ledger")
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
        Verb.RELEASE: (
            *("ecr:TagResource", "ecr:UntagResource", *_READ),
            # after a replacement that was cut off
            *("ecr:GetRepositoryPolicy", "ecr:GetLifecyclePolicy", "ecr:SetRepositoryPolicy", "ecr:PutLifecyclePolicy"),
        ),
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
        encryption = settings.encryption or Named("", "AES-256")
        shown |= {"encryption": encryption, "immutable_tags": tags, "labels": dict(settings.labels)}
        # said in the place of a name that follows from the address
        shown["native_name"] = settings.native_name or Named("", "the registry's name and its own")
        known_as = shown.pop("known_as")
        return {**shown, "known_as": known_as} if known_as else shown

    def usual(self, address: Address, home: Home) -> dict[str, Any]:
        if not isinstance(home.registry, AwsRegistry):
            return self.blank
        name = home.registry.native_name(address.name)
        usual = name == home.registry.usual_prefix + address.name
        return self.blank if usual else self.shown(RepositorySettings(native_name=name))

    def altered(self, settings: RepositorySettings) -> str | None:
        return "known_as" if settings.known_as else None

    def native_name(self, wanted: Desired, registry: RegistryBase, others: Iterable[RegistryBase]) -> NativeName:
        if not isinstance(registry, AwsRegistry):
            raise TypeError(f"registry {registry.name} is not on AWS")
        return name_of(registry, wanted.address, native_of(registry, wanted.address, wanted.settings))

    def beside(self, live: Live) -> Mapping[str, Any]:
        return {f"labels.{key}": value for key, value in others_on(live).items()}

    def weakens(self, before: RepositorySettings | None, after: RepositorySettings | None) -> Iterator[Weakening]:
        return weakening.of_repository(before, after) if before is not None and after is not None else iter(())

    def limit(self, desired: Desired, live: Live | None) -> str | None:
        others = others_on(live) if live is not None else {}
        return too_many_tags(desired, live, others) or too_long_to_keep(desired.settings, others)

    def protected(self, settings: RepositorySettings) -> bool:
        return settings.protect

    def labels(self, settings: RepositorySettings) -> Collection[str]:
        return dict(settings.labels).keys()

    def tags_movable(self, settings: RepositorySettings) -> bool:
        return not settings.tags_immutable or any(map(excepts_all, settings.movable_tags))

    def images_may_go(self, settings: RepositorySettings) -> bool:
        return settings.delete_images

    def list(self, session: AwsSession, wanted: Mapping[Address, Desired], found: Found) -> Iterator[Live]:
        ledger = session.ledger(RepositoryLedger)
        # the spec's regions, and those that the registry once extended to
        regions = sorted({*regions_noted(session), *session.registry.regions})
        there = registrys_own(session, wanted, regions)
        for at, (repository, tags) in there.items():
            live = live_of(session.registry, at, repository, tags)
            ledger.learn(at, tags)
            copies = [] if at.where else [copy for copy in copies_of(session.registry, at.name) if copy in there]
            yield owing(session, replace(live, needs=(*live.needs, *copies)) if copies else live)
        yield from missing(session, (at for at in wanted if at.kind == self.name and at not in there))

    def read(self, session: AwsSession, addresses: Sequence[Address]) -> Iterator[Live]:
        there = {
            at: answer["repositories"][0]
            for at, answer in zip(addresses, session.map(lambda at: describe_one(session, at), addresses), strict=True)
            if answer is not None
        }
        for at, tags in zip(there, session.ledger(RepositoryLedger).read(list(there)), strict=True):
            live = live_of(session.registry, at, there[at], tags)
            if session.meant(live):
                yield owing(session, live)
        yield from missing(session, (at for at in addresses if at not in there))

    def create(self, session: AwsSession, write: Write) -> Live:
        return self._make(session, write, {})

    def _make(self, session: AwsSession, write: Write, others: Tags) -> Live:
        wanted: RepositorySettings = write.desired.settings
        at = write.desired.address
        session.call_it(at, native_of(session.registry, at, wanted))
        tags = {**others, **own_tags(write, others), **session.ledger(RepositoryLedger).carried(write.children)}
        created = session.repository_call(
            "create_repository",
            at,
            # whoever makes one at run time wants to know that it was there; a plan knew that it wasn't
            absent=("RepositoryAlreadyExistsException",) if write.marks.origin == "spec" else (),
            tags=as_list(tags),
            imageScanningConfiguration={"scanOnPush": wanted.scan_on_push},
            encryptionConfiguration=native.encryption_for(wanted.encryption),
            **native.mutability_for(wanted.tags_immutable, wanted.movable_tags),
        )
        if created is None:
            return self._already(session, write)
        made = created["repository"]
        session.made("ecr", session.region_of(at), made["repositoryName"], made["repositoryArn"])
        return live_of(session.registry, at, made, tags)

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
        ledger, others = session.ledger(RepositoryLedger), others_on(live)
        if (
            live.marks.applied == write.marks.applied
        ):  # the same was applied before: what says just that is ours, whatever lists it
            others = {key: value for key, value in others.items() if (key, value) not in wanted.labels}
        own = own_tags(write, others)
        dropped = [key for key, _ in live.settings.labels if key not in own]
        own |= {key: others[key] for key in dropped if key in others}  # given back
        # what is dropped goes first: once the marks say that all is as wanted, nobody would look for what is left of it
        if gone := [key for key in dropped if key not in own]:
            ledger.change(at, {}, gone)
        before = live.marks.texts().keys() | setting_tags(at, live.settings).keys()
        gone = [WAS + key for key in dropped if key in own]
        gone += [key for key in (DESCRIPTION, PROTECT, DELETE_IMAGES, LABELS) if key in before and key not in own]
        if live.settings.known_as and REPOSITORY not in own:
            gone.append(REPOSITORY)
        ledger.change(at, own, gone)
        # tagging answers nothing, and the setters answer parts: one read of what they did not return
        return self.read_one(session, at) or live

    def left(self, settings: RepositorySettings) -> RepositorySettings:
        """Without what only tags of ours say."""
        return replace(settings, description="", protect=False, delete_images=False, known_as="")

    def release(self, session: AwsSession, live: Live) -> Live | None:
        at, ledger = live.address, session.ledger(RepositoryLedger)
        if live.owed:
            put_back(session, at, waiting(session, at) or Others())
            session.rescue.drop(at, lasting_arn(session, at))
        (tags,) = ledger.read([at])
        ours = [key for key in tags if is_ours(key)]
        # what others had under the key of a label of ours is given back, before its note goes
        ledger.change(at, {key.removeprefix(WAS): tags[key] for key in ours if key.startswith(WAS)}, ours)
        return self.read_one(session, at)

    def delete(self, session: AwsSession, live: Live, *, force: bool) -> None:
        self._delete(session, live, force=force)
        session.rescue.drop(live.address, lasting_arn(session, live.address))

    def _delete(self, session: AwsSession, live: Live, *, force: bool) -> None:
        session.forget("ecr", session.region_of(live.address), session.native_of(live.address), live.native)
        session.repository_call("delete_repository", live.address, absent=GONE, force=force)

    def replace(self, session: AwsSession, write: Write, live: Live, *, force: bool) -> Live:
        at, lasting = live.address, lasting_arn(session, live.address)
        others = others_of(session, at).over(waiting(session, at) or Others())
        kept = session.rescue.keep(at, lasting, plain_of(others)) if others else None
        try:
            self._delete(session, live, force=force)
        except Halted:  # it was not sent
            if not live.owed:
                session.rescue.drop(at, lasting)
            raise
        except PlatformError:
            with suppress(PlatformError, Halted):  # the first error is the one to report
                if not live.owed and describe_one(session, at) is not None:  # all of it still stands on the repository
                    session.rescue.drop(at, lasting)
            raise
        with naming(kept):
            made = self._make(session, write, others.tags)
            put_on_new(session, at, others)
        session.rescue.drop(at, lasting)
        return made

    def _rescued(self, session: AwsSession, write: Write, live: Live) -> Live:
        """The repository with what others had on it before a replacement that was cut off; made, if it wasn't any more."""
        at, lasting = live.address, lasting_arn(session, live.address)
        others = waiting(session, at) or Others()
        if live.vacant:
            with naming(session.rescue.path(at, lasting)):
                live = self._make(session, write, others.tags)
        try:
            put_back(session, at, others)
        except PlatformError as error:
            path = session.rescue.path(at, lasting)
            found = f"remove from {path} what AWS refuses, or delete the file if nobody needs it"
            error.hint = f"{found}; {error.hint}" if error.hint else found
            raise
        session.rescue.drop(at, lasting)
        return live

    def count(self, session: AwsSession, live: Live) -> int:
        found = session.pages(
            "ecr",
            "list_images",
            "imageIds",
            session.region_of(live.address),
            address=live.address,
            repositoryName=native_of(session.registry, live.address, live.settings),
            maxResults=1000,
        )
        return len({item.get("imageDigest") or item.get("imageTag") for item in found})

    def given_by_others(self, session: AwsSession, live: Live) -> tuple[ForeignAccess, ...]:
        at = live.address.sibling(access.AccessKind.name)
        return tuple(policy_access.foreign(at, access.read(session, at) or {}))


def _exists(at: Address) -> PlatformError:
    return PlatformError(
        "somebody else created it since the plan was made",
        address=at,
        operation="ecr:CreateRepository",
        hint="make a new plan; if this spec should own the repository, adopt it",
    )
