"""A local repository: its settings, in one file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from reconciler.errors import PlatformError
from reconciler.model.access import ForeignAccess
from reconciler.model.address import Address
from reconciler.model.canonical import plain, text
from reconciler.model.marks import APPLIED, LABELS, ORIGIN, OWNER
from reconciler.model.platform import Kind, Write
from reconciler.model.resource import Live, Marks, Observation, Scope
from reconciler.spec.repository import Repository, shown_tags

from . import access
from .session import LocalSession
from .store import Document

SECTION = "repositories"


@dataclass(frozen=True, slots=True)
class RepositorySettings:
    """What a local repository can be set to. `scan_on_push` is kept, and nothing scans."""

    description: str = ""
    tags_immutable: bool = False
    movable_tags: tuple[str, ...] = ()
    scan_on_push: bool = False
    keep_last: int | None = None
    untagged_days: int | None = None
    keep_tags: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    protect: bool = False
    delete_images: bool = False


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


class RepositoryKind(Kind):
    """The repository itself."""

    name = "repository"
    settings = RepositorySettings
    holds_images = True

    def shown(self, settings: RepositorySettings) -> dict[str, Any]:
        shown = super().shown(settings)
        tags = shown_tags(shown.pop("tags_immutable"), shown.pop("movable_tags"))
        retention = {key: shown.pop(key) for key in ("keep_last", "untagged_days", "keep_tags")}
        return {**shown, "immutable_tags": tags, "retention": retention, "labels": dict(settings.labels)}

    def protected(self, settings: RepositorySettings) -> bool:
        return settings.protect

    def images_may_go(self, settings: RepositorySettings) -> bool:
        return settings.delete_images

    def observe(self, session: LocalSession, scope: Scope, found: Observation) -> Iterator[Live]:
        for name in session.store.names(SECTION) if scope.only is None else scope.names(self.name):
            document = session.store.read(SECTION, name)
            if document is None:
                continue
            live = _live(session, name, document)
            if live.marks.owner is None and live.address not in scope.desired and scope.only is None:
                found.unowned.append(name)
            yield live

    def create(self, session: LocalSession, write: Write) -> Live:
        name = session.repository_of(write.desired.address)
        with session.store.writing():
            document = session.store.read(SECTION, name)
            if document is not None:
                raise PlatformError("the repository exists by now", operation="create", hint="make a new plan")
            session.store.write(SECTION, name, _document(write, {}))
        return _live(session, name, session.store.read(SECTION, name) or {})

    def update(self, session: LocalSession, write: Write, live: Live) -> Live:
        name = session.repository_of(live.address)
        with session.store.writing():
            before = session.store.read(SECTION, name) or {}
            session.store.write(SECTION, name, _document(write, _foreign_labels(before)))
        return _live(session, name, session.store.read(SECTION, name) or {})

    def delete(self, session: LocalSession, live: Live, *, force: bool) -> None:
        name = session.repository_of(live.address)
        with session.store.writing():
            manifests = session.store.manifests(name)
            if manifests and not force:
                raise PlatformError(
                    f"the repository holds {len(manifests)} images",
                    operation="delete",
                    hint="make a new plan",
                )
            if not force and self.given_by_others(session, live):
                raise PlatformError(
                    "somebody else has given access to the repository", operation="delete", hint="make a new plan"
                )
            session.content.forget(name)
            # the access document goes last, so that a crash in between leaves an orphan that the next run removes
            session.store.remove(SECTION, name)
            session.store.remove(access.SECTION, name)

    def given_by_others(self, session: LocalSession, live: Live) -> tuple[ForeignAccess, ...]:
        name = session.repository_of(live.address)
        document = session.store.read(access.SECTION, name) or {}
        return tuple(access.foreign(Address.of(session.name, access.AccessKind.name, name), document))


def _foreign_labels(document: Document) -> dict[str, str]:
    labels = document.get("labels", {})
    own = set(document.get("marks", {}).get(LABELS, "").split())
    return {key: value for key, value in labels.items() if key not in own}


def _document(write: Write, foreign: dict[str, str]) -> Document:
    wanted: RepositorySettings = write.desired.settings
    settings = {key: value for key, value in plain(wanted).items() if key != "labels"}
    return {
        "settings": settings,
        "labels": {**foreign, **dict(wanted.labels)},
        "marks": {
            OWNER: write.marks.owner,
            ORIGIN: write.marks.origin,
            APPLIED: write.marks.applied,
            LABELS: " ".join(key for key, _ in wanted.labels),
        },
    }


def _live(session: LocalSession, name: str, document: Document) -> Live:
    marks = document.get("marks", {})
    foreign = _foreign_labels(document)
    own = {key: value for key, value in document.get("labels", {}).items() if key not in foreign}
    stored = document.get("settings", {})
    known: dict[str, Any] = {
        key: tuple(v) if isinstance(v, list) else v for key, v in stored.items() if key in _FIELDS and key != "labels"
    }
    return Live(
        address=Address.of(session.name, RepositoryKind.name, name),
        kind=RepositoryKind.name,
        settings=RepositorySettings(**known, labels=tuple(sorted(own.items()))),
        marks=Marks(marks.get(OWNER), marks.get(ORIGIN), marks.get(APPLIED)),
        native=f"{session.path}/{name}",
        rest=text(foreign) if foreign else "",
    )


_FIELDS = frozenset(RepositorySettings.__dataclass_fields__)
