"""A local repository: its settings and labels, in one document."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from reconciler.errors import PlatformError
from reconciler.model import weakening
from reconciler.model.access import ForeignAccess
from reconciler.model.address import Address
from reconciler.model.canonical import text
from reconciler.model.kind import ExpiresImages, Found, HoldsImages, Kind, Releasable, Write
from reconciler.model.resource import Desired, Live, NativeName
from reconciler.model.weakening import Kept, Weakening
from reconciler.spec.registry import RegistryBase
from reconciler.spec.repository import Repository, excepts_all, shown_tags
from reconciler.words import counted

from . import collect
from .access import foreign
from .documents import RepositoryDocument, RepositorySettings
from .session import DEFAULT_PLACE, LocalSession
from .spec import LocalRegistry


def settings_of(repository: Repository) -> RepositorySettings:
    """The settings that the spec asks for."""
    retention = repository.retention
    return RepositorySettings(
        description=repository.description,
        tags_immutable=repository.tags_immutable,
        movable_tags=repository.movable_tags,
        scan_on_push=repository.scan_on_push,
        keep_last=retention.keep_last if retention else None,
        untagged_days=retention.untagged_days if retention else None,
        keep_tags=tuple(sorted(set(retention.keep_tags))) if retention else (),
        labels=tuple(sorted(repository.labels.items())),
        protect=repository.protect,
        delete_images=repository.delete_images,
    )


def _kept(settings: RepositorySettings) -> Kept:
    return Kept(settings.keep_last, settings.untagged_days, settings.keep_tags)


class RepositoryKind(Kind, HoldsImages, Releasable, ExpiresImages):
    """The repository itself."""

    name = "repository"
    settings = RepositorySettings
    exclusive = True

    def shown(self, settings: RepositorySettings) -> dict[str, Any]:
        shown = super().shown(settings)
        tags = shown_tags(shown.pop("tags_immutable"), shown.pop("movable_tags"))
        retention = {key: shown.pop(key) for key in ("keep_last", "untagged_days", "keep_tags")}
        return {**shown, "immutable_tags": tags, "retention": retention, "labels": dict(settings.labels)}

    def native_name(self, wanted: Desired, registry: RegistryBase, others: Iterable[RegistryBase]) -> NativeName:
        name, note = wanted.address.name, "unless `serve` listens elsewhere"
        if any(isinstance(item, LocalRegistry) and not item.retired for item in others):
            note += " (each local registry needs a port of its own: `serve --port`)"
        return NativeName(name, f"{DEFAULT_PLACE}/{name}", note)

    def beside(self, live: Live) -> Mapping[str, Any]:
        return {f"labels.{key}": value for key, value in json.loads(live.rest or "{}").items()}

    def protected(self, settings: RepositorySettings) -> bool:
        return settings.protect

    def labels(self, settings: RepositorySettings) -> Collection[str]:
        return dict(settings.labels).keys()

    def tags_movable(self, settings: RepositorySettings) -> bool:
        return not settings.tags_immutable or any(map(excepts_all, settings.movable_tags))

    def images_may_go(self, settings: RepositorySettings) -> bool:
        return settings.delete_images

    def weakens(self, before: RepositorySettings | None, after: RepositorySettings | None) -> Iterator[Weakening]:
        if before is not None and after is not None:
            # it scans nothing
            yield from (item for item in weakening.of_repository(before, after) if item.setting != "scan_on_push")
            yield from weakening.of_retention(_kept(before), _kept(after))

    def list(self, session: LocalSession, wanted: Mapping[Address, Desired], found: Found) -> Iterator[Live]:
        return self._lives(session, session.documents.repositories.names())

    def read(self, session: LocalSession, addresses: Sequence[Address]) -> Iterator[Live]:
        return self._lives(session, (at.name for at in addresses if not at.where))

    def _lives(self, session: LocalSession, names: Iterable[str]) -> Iterator[Live]:
        return (_live(session, document) for document in session.documents.repositories.each(names))

    def create(self, session: LocalSession, write: Write) -> Live:
        stored, name = session.documents.repositories, write.desired.address.name
        with session.store.writing():
            if stored.read(name) is not None:
                raise PlatformError(
                    "the repository has been created meanwhile", operation="create", hint="make a new plan"
                )
            now = datetime.now(UTC).replace(microsecond=0)
            stored.write(RepositoryDocument(name, write.desired.settings, write.marks, created_at=now))
        return _live(session, stored.read(name) or RepositoryDocument(name))

    def update(self, session: LocalSession, write: Write, live: Live) -> Live:
        stored, name = session.documents.repositories, live.address.name
        with session.store.writing():
            before = stored.read(name) or RepositoryDocument(name)
            stored.write(replace(before, settings=write.desired.settings, marks=write.marks))
        return _live(session, stored.read(name) or RepositoryDocument(name))

    def left(self, settings: RepositorySettings) -> RepositorySettings:
        """Without what asks reconciler for something; labels stay, as labels that somebody else has set."""
        return replace(settings, protect=False, delete_images=False)

    def release(self, session: LocalSession, live: Live) -> Live | None:
        stored, name = session.documents.repositories, live.address.name
        with session.store.writing():
            before = stored.read(name)
            if before is None:
                return None
            # what others had under the key of a label of ours is given back; any other label is a label like theirs from now on
            labels = {**dict(before.settings.labels), **before.foreign_labels}
            settings = replace(self.left(before.settings), labels=())
            stored.write(RepositoryDocument(name, settings, foreign_labels=labels, created_at=before.created_at))
        return self.read_one(session, live.address)

    def delete(self, session: LocalSession, live: Live, *, force: bool) -> None:
        name = live.address.name
        with session.store.writing():
            images = self.count(session, live)
            if images and not force:
                raise PlatformError(
                    f"the repository holds {counted(images, 'image')}", operation="delete", hint="make a new plan"
                )
            if not force and self.given_by_others(session, live):
                raise PlatformError(
                    "somebody else has given access to the repository", operation="delete", hint="make a new plan"
                )
            aside = session.content.forget(name)
            # the access document goes last, so that a crash in between leaves an orphan that the next run removes
            session.documents.repositories.remove(name)
            session.documents.access.remove(name)
        session.content.discard(aside)

    def count(self, session: LocalSession, live: Live) -> int:
        return session.content.count_manifests(live.address.name)

    def expiring(self, session: LocalSession, wanted: Sequence[Desired]) -> Mapping[Address, int]:
        return {item.address: collect.expiring(session.content, item.address.name, item.settings) for item in wanted}

    def given_by_others(self, session: LocalSession, live: Live) -> tuple[ForeignAccess, ...]:
        document = session.documents.access.read(live.address.name)
        return (
            tuple(foreign(session.name, document, session.file_of("access", document.name)))
            if document is not None
            else ()
        )


def _live(session: LocalSession, document: RepositoryDocument) -> Live:
    return Live(
        address=Address.of(session.name, RepositoryKind.name, document.name),
        kind=RepositoryKind.name,
        settings=document.settings,
        marks=document.marks,
        native=session.file_of("repositories", document.name),
        rest=text(document.foreign_labels) if document.foreign_labels else "",
        created_at=document.created_at,
    )
