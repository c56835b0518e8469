"""An Artifact Registry repository: its settings, its labels and its cleanup policies, created in one call."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from reconciler.errors import PlatformError
from reconciler.model import weakening
from reconciler.model.access import ForeignAccess
from reconciler.model.address import Address
from reconciler.model.kind import ExpiresUncounted, Found, HoldsImages, Kind, Releasable, Verb, Write
from reconciler.model.marks import Marks
from reconciler.model.resource import Desired, Live, NativeName
from reconciler.model.weakening import Weakening
from reconciler.platforms.rescue import naming
from reconciler.spec.registry import RegistryBase
from reconciler.words import Named, counted

from . import access, cleanup, iam, labels, lost, remarks
from .labels import Labels
from .ledgers import RepositoryLedger
from .orphans import Orphans
from .others import Others, note, others_of, put_back, strays, waiting
from .repository_settings import (
    DOCKER,
    KIND,
    STANDARD,
    RepositorySettings,
    docker_config,
    foreign_cleanup,
    labels_after,
    labels_taken,
    live_of,
    others_on,
    own_labels,
    scanning,
    sent,
)
from .rules import OPERATION, REGISTRY
from .seen import address_of
from .spec import GcpRegistry

if TYPE_CHECKING:
    from .session import GcpSession

_GET = "artifactregistry.repositories.get"
#: what a PATCH names for each setting: no more of a message than what is written
_MASKS = {
    "description": ("description",),
    "tags_immutable": ("dockerConfig.immutableTags",),
    "scan_on_push": ("vulnerabilityScanningConfig.enablementConfig",),
    "scanning": ("vulnerabilityScanningConfig.enablementConfig",),
    "cleanup": ("cleanupPolicies", "cleanupPolicyDryRun"),
    "dry_run": ("cleanupPolicies", "cleanupPolicyDryRun"),
}


class RepositoryKind(Kind, HoldsImages, Releasable, ExpiresUncounted):
    """The repository itself."""

    name = KIND
    settings = RepositorySettings
    exclusive = True
    immutable = frozenset({"encryption", "format", "mode"})
    after = ("account",)
    uncounted = "Google has no call that counts what cleanup policies would delete"
    permissions = {
        # locations: where notes are gone (lost.py)
        Verb.LIST: ("artifactregistry.repositories.list", "artifactregistry.locations.list"),
        Verb.READ: (_GET,),
        Verb.CREATE: ("artifactregistry.repositories.create", _GET),
        Verb.UPDATE: ("artifactregistry.repositories.update", _GET),
        Verb.COUNT: ("artifactregistry.packages.list", "artifactregistry.dockerimages.list"),
        Verb.DELETE: ("artifactregistry.repositories.delete",),
        Verb.RELEASE: ("artifactregistry.repositories.update", _GET),
        Verb.REPLACE: (
            *("artifactregistry.repositories.delete", "artifactregistry.repositories.create", _GET),
            *("artifactregistry.repositories.getIamPolicy", "artifactregistry.repositories.setIamPolicy"),
        ),
    }

    def shown(self, settings: RepositorySettings) -> dict[str, Any]:
        shown = super().shown(settings)
        shown["immutable_tags"] = shown.pop("tags_immutable", False)
        shown |= {"encryption": settings.encryption or Named("", "Google's own key"), "labels": dict(settings.labels)}
        shown["cleanup"] = cleanup.shown(settings.cleanup)
        if not settings.scanning:
            shown.pop("scanning")
        return {
            "description": settings.description,
            "scan_on_push": settings.scan_on_push,
            "protect": settings.protect,
            "delete_images": settings.delete_images,
            **shown,
        }

    def altered(self, settings: RepositorySettings) -> str | None:
        if settings.cleanup and cleanup.kept(settings.cleanup) is None:
            return "cleanup"
        odd = ("dry_run", False), ("scanning", ""), ("format", DOCKER), ("mode", STANDARD)
        return next((name for name, usual in odd if getattr(settings, name) != usual), None)

    def native_name(self, wanted: Desired, registry: RegistryBase, others: Iterable[RegistryBase]) -> NativeName:
        if not isinstance(registry, GcpRegistry):
            raise TypeError(f"registry {registry.name} is not on Google Cloud")
        return name_of(registry, wanted.address)

    def beside(self, live: Live) -> Mapping[str, Any]:
        return {f"labels.{key}": value for key, value in others_on(live).items()}

    def weakens(self, before: RepositorySettings | None, after: RepositorySettings | None) -> Iterator[Weakening]:
        if before is None or after is None:
            return
        yield from weakening.of_repository(before, after)
        if after.cleanup:
            then, now = cleanup.kept(before.cleanup), cleanup.kept(after.cleanup)
            if then is not None and now is not None and not before.dry_run:
                if now.keep_last is None:  # untagged images have no tags that could be kept
                    then = replace(then, keep_tags=())
                # Google has no call that counts what a policy would delete, so that no plan can
                yield from (replace(item, expires=False) for item in weakening.of_retention(then, now))
            elif (before.cleanup, before.dry_run) != (after.cleanup, after.dry_run):
                yield Weakening("retention", "other images may expire after the apply than before", may=True)

    def weakens_there(self, live: Live, wanted: Desired) -> Iterator[Weakening]:
        for item in self.weakens(live.settings, wanted.settings):
            yield remarks.unscanned_before(live, item)
        yield from remarks.weaker(live, wanted.settings)

    def remarks(self, live: Live, wanted: Desired, *, changed: bool) -> Iterable[str]:
        return remarks.said(live, wanted.settings, changed=changed) if live.notes or live.rest else ()

    def takes_along(self, live: Live) -> Iterator[str]:
        return remarks.going_along(live)

    def limit(self, desired: Desired, live: Live | None) -> str | None:
        wanted: RepositorySettings = desired.settings
        others = others_on(live) if live is not None else {}
        adopted = live is not None and not live.vacant and (live.marks.adopted or live.marks.owner is None)
        count = labels_taken(wanted, adopted) + len(others)
        if count > labels.MAX_LABELS:
            return (
                f"the repository would have {count} labels; Artifact Registry allows at most {labels.MAX_LABELS}:"
                f" {len(others)} set by somebody else, {counted(len(wanted.labels), 'label')} of the spec, and"
                f" {count - len(others) - len(wanted.labels)} for reconciler's marks"
            )
        long = sorted(key for key, _ in wanted.labels if key in others and len(labels.WAS + key) > labels.MAX_KEY)
        if long:
            return (
                f"the label {long[0]} was set by somebody else, and its value can't be kept: with '{labels.WAS}' before it, its key"
                f" is longer than {labels.MAX_KEY} characters; remove it from the labels, or remove that label first"
            )
        policies = len(foreign_cleanup(live) if live is not None else {}) + len(cleanup.written(wanted.cleanup))
        if wanted.cleanup and policies > cleanup.MAX_POLICIES:
            return f"it would have {policies} cleanup policies; Artifact Registry allows at most {cleanup.MAX_POLICIES}"
        return None

    def protected(self, settings: RepositorySettings) -> bool:
        return settings.protect

    def labels(self, settings: RepositorySettings) -> Collection[str]:
        return dict(settings.labels).keys()

    def tags_movable(self, settings: RepositorySettings) -> bool:
        return not settings.tags_immutable

    def images_may_go(self, settings: RepositorySettings) -> bool:
        return settings.delete_images

    def list(self, session: GcpSession, wanted: Mapping[Address, Desired], found: Found) -> Iterator[Live]:
        registry, ledger = session.registry, session.ledger(RepositoryLedger)
        listed: set[Address] = set()
        owing: list[Address] = []
        notices: list[str] = []
        orphans = Orphans(session.owner, {item.name for item in session.estate.registries})
        for item in lost.repositories(session, found["account"], notices):
            orphans.see(item)
            at = address_of(registry, session.owner, item, wanted)
            if at is None:
                continue
            ledger.learn(at, item.get("labels") or {})
            listed.add(at)
            live = _owing(session, live_of(at, item))
            owing += [at] if live.owed else []
            yield live
        missing = [at for at in wanted if at.kind == KIND and at not in listed]
        yield from _missing(session, missing)
        session.notices[:] = [*notices, *strays(session, [*owing, *missing]), *orphans.said()]

    def read(self, session: GcpSession, addresses: Sequence[Address]) -> Iterator[Live]:
        for at, item in zip(addresses, session.map(session.repository, addresses), strict=True):
            if item is not None:
                yield _owing(session, live_of(at, item))
            else:
                yield from _missing(session, (at,))

    def create(self, session: GcpSession, write: Write) -> Live:
        return self._make(session, write, {})

    def _make(self, session: GcpSession, write: Write, others: Labels) -> Live:
        wanted: RepositorySettings = write.desired.settings
        at = write.desired.address
        carried = session.ledger(RepositoryLedger).carried(write.children)
        all_labels = {**others, **own_labels(wanted, write.marks, others), **carried}
        made = session.create_repository(at, sent(wanted, all_labels))
        if made is None:
            return self._already(session, write)
        return live_of(at, made)

    def _already(self, session: GcpSession, write: Write) -> Live:
        """It exists: an answer to our own call was lost on the way (fine), or somebody else was faster (an error)."""
        at = write.desired.address
        live = self._at_last(session, at)
        # whoever makes one at run time wants to know that it was there; a plan knew that it wasn't
        if (
            live is None
            or write.marks.origin != "spec"
            or live.marks != write.marks
            or live.settings != write.desired.settings
        ):
            raise PlatformError(
                "somebody else created it since the plan was made",
                address=at,
                operation=f"{REGISTRY}:CreateRepository",
                hint="make a new plan; if this spec should own the repository, adopt it",
            )
        return live

    def _at_last(self, session: GcpSession, at: Address) -> Live | None:
        """The repository as soon as it is there: the operation of a create whose answer was lost may still be under way."""

        def look() -> Live:
            live = self.read_one(session, at)
            if live is None or live.vacant:
                raise _Late
            return live

        try:
            return session.patiently(look, lambda error: isinstance(error, _Late), OPERATION)
        except _Late:
            return None

    def update(self, session: GcpSession, write: Write, live: Live) -> Live:
        wanted: RepositorySettings = write.desired.settings
        at = live.address
        if live.owed:
            live = self._rescued(session, write, live)
        with session.ledger(RepositoryLedger).alone(at):
            # neither labels nor cleanup policies have an etag, and a PATCH replaces them whole: read right before, and as JSON, so
            # that nothing of what others put there is lost
            there = session.raw_repository(at) or {}
            body: dict[str, Any] = {"labels": labels_after(write, live, there.get("labels") or {})}
            mask = ["labels"]
            for name in sorted(write.changed):
                mask += [item for item in _MASKS.get(name, ()) if item not in mask]
            policies = cleanup.foreign(there.get("cleanupPolicies") or {})
            body |= {
                "description": wanted.description,
                "dockerConfig": docker_config(wanted),
                "vulnerabilityScanningConfig": scanning(wanted),
                "cleanupPolicies": {**policies, **cleanup.written(wanted.cleanup)},
                # what others keep in a dry run stays in one, where nothing of ours must run
                "cleanupPolicyDryRun": bool(there.get("cleanupPolicyDryRun")) if not wanted.cleanup else False,
            }
            named = {path.partition(".")[0] for path in mask}
            after = session.patch(at, {key: value for key, value in body.items() if key in named}, ",".join(mask))
        return live_of(at, after)

    def left(self, settings: RepositorySettings) -> RepositorySettings:
        """Without what only labels of ours say."""
        return replace(settings, protect=False, delete_images=False)

    def release(self, session: GcpSession, live: Live) -> Live | None:
        at, ledger = live.address, session.ledger(RepositoryLedger)
        if live.owed:
            put_back(session, at, waiting(session, at) or Others())
            session.rescue.drop(at, session.name_of(at))
        (there,) = ledger.read([at])
        ours = [key for key in there if labels.is_ours(key)]
        # what others had under the key of a label of ours is given back, before its note goes
        ledger.change(
            at, {key.removeprefix(labels.WAS): there[key] for key in ours if key.startswith(labels.WAS)}, ours
        )
        return self.read_one(session, at)

    def delete(self, session: GcpSession, live: Live, *, force: bool) -> None:
        self._delete(session, live, force=force)
        session.rescue.drop(live.address, session.name_of(live.address))

    def _delete(self, session: GcpSession, live: Live, *, force: bool) -> None:
        # Google deletes images without asking: https://cloud.google.com/artifact-registry/docs/repositories/delete-repo
        if not force and next(session.packages(live.address, 1), None) is not None:
            raise PlatformError(
                "it holds images",
                address=live.address,
                operation=f"{REGISTRY}:DeleteRepository",
                hint="images were pushed since the plan was made: make a new plan",
            )
        session.delete_repository(live.address)

    def replace(self, session: GcpSession, write: Write, live: Live, *, force: bool) -> Live:
        at, native = live.address, session.name_of(live.address)
        others = others_of(session, at).over(waiting(session, at) or Others())
        kept = session.rescue.keep(at, native, others.plain) if others else None
        with session.rescue.deleting(at, native, owed=live.owed):
            self._delete(session, live, force=force)
        with naming(kept):
            made = self._make(session, write, others.labels)
            put_back(session, at, others)
        session.rescue.drop(at, native)
        return made

    def _rescued(self, session: GcpSession, write: Write, live: Live) -> Live:
        """The repository with what others had on it before a replacement that was cut off; made, if it wasn't any more."""
        at, native = live.address, session.name_of(live.address)
        others = waiting(session, at) or Others()
        with naming(session.rescue.path(at, native)):
            if live.vacant:
                self._make(session, write, others.labels)
            put_back(session, at, others)
        session.rescue.drop(at, native)
        found = session.repository(at)
        return live_of(at, found) if found is not None else live

    def count(self, session: GcpSession, live: Live) -> int:
        path = f"{session.name_of(live.address)}/dockerImages"
        digests: set[str] = set()
        token = ""
        while True:
            query = {"pageSize": 1000, "pageToken": token}
            page = session.json(
                "GET", REGISTRY, "ListDockerImages", path, at=live.address, query=query, absent=("NOT_FOUND",)
            )
            if page is None:  # it has gone meanwhile, with its images
                return 0
            digests |= {str(item["name"]).rpartition("@")[2] for item in page.get("dockerImages", ())}
            token = page.get("nextPageToken", "")
            if not token:
                return len(digests) or len(list(session.packages(live.address, 1000)))

    def given_by_others(self, session: GcpSession, live: Live) -> tuple[ForeignAccess, ...]:
        at = live.address.sibling(access.KIND)
        policy = session.policy(at) or {}
        (there,) = session.ledger(RepositoryLedger).read([at])
        return tuple(access.foreign(at, iam.without(policy, access.ROLES, labels.recorded(there))))


class _Late(Exception):
    """What was made is not there yet."""


def name_of(registry: GcpRegistry, at: Address) -> NativeName:
    """What Google calls the repository, and what its images are pulled from: an image's name must follow that.

    https://cloud.google.com/artifact-registry/docs/docker/names
    """
    identifier = registry.repository_id(at.name)
    if registry.layout == "shared":
        return NativeName(identifier, registry.uri(at.name, at.where), "followed by a slash and the repository's name")
    return NativeName(identifier, f"{registry.uri(at.name, at.where)}/{at.name}")


def _owing(session: GcpSession, live: Live) -> Live:
    """With what others had on it, if that waits to be put back: if it is this registry's."""
    ours = live.marks.owner == session.owner and not live.marks.elsewhere(session.name)
    waits = waiting(session, live.address) if ours else None
    return live if waits is None else replace(live, owed=True, **_said(session, live.address, waits))


def _missing(session: GcpSession, addresses: Iterable[Address]) -> Iterator[Live]:
    """The repositories that a replacement has deleted and not made again, where something waits to be put back on them."""
    for at in addresses:
        waits = waiting(session, at)
        if waits is not None:
            said = _said(session, at, waits)
            yield Live(at, KIND, RepositorySettings(), Marks(), session.name_of(at), vacant=True, owed=True, **said)


def _said(session: GcpSession, at: Address, waits: Others) -> dict[str, Any]:
    given = tuple(
        ForeignAccess(at, f"{item.what}, which is yet to be restored", item.access)
        for item in access.foreign(at.sibling(access.KIND), waits.policy)
    )
    return {"notes": (note(session, at, waits),), "foreign": given}
