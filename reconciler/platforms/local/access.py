"""Who may use a local repository: one file, with an entry for each grant. Entries without our mark are somebody else's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from reconciler.model.access import Access, ForeignAccess, Principal
from reconciler.model.address import Address
from reconciler.model.canonical import text
from reconciler.model.marks import APPLIED, ORIGIN, OWNER
from reconciler.model.platform import Kind, Write
from reconciler.model.resource import Live, Marks, Observation, Scope
from reconciler.spec.models import Grant

from .session import LocalSession
from .spec import LocalTarget
from .store import Document

SECTION = "access"
VERBS = {"pull": ("pull",), "push-pull": ("pull", "push")}


@dataclass(frozen=True, slots=True)
class Entry:
    """One grant: its users and what they may do."""

    grant: str
    users: tuple[str, ...]
    permission: str = "pull"


@dataclass(frozen=True, slots=True)
class AccessSettings:
    """The entries of our grants, sorted by grant."""

    entries: tuple[Entry, ...] = ()


def settings_of(grants: Iterable[Grant]) -> AccessSettings:
    """The entries that the spec's grants ask for."""
    return AccessSettings(
        tuple(
            Entry(grant.name, tuple(sorted(grant.to.users)), grant.permission)
            for grant in sorted(grants, key=lambda item: item.name)
            if isinstance(grant.to, LocalTarget)
        )
    )


class AccessKind(Kind):
    """The access document of one repository."""

    name = "access"
    settings = AccessSettings
    gives_access = True
    upserts = True
    shared = True

    def access(self, address: Address, settings: AccessSettings) -> Iterator[Access]:
        where = address
        for entry in settings.entries:
            yield from _accesses(where.registry, where.name, entry.users, entry.permission)

    def shown(self, settings: AccessSettings) -> dict[str, Any]:
        return {entry.grant: {"users": list(entry.users), "permission": entry.permission} for entry in settings.entries}

    def observe(self, session: LocalSession, scope: Scope, found: Observation) -> Iterator[Live]:
        for name in session.store.names(SECTION) if scope.only is None else scope.names(self.name):
            document = session.store.read(SECTION, name)
            if document is None:
                continue
            live = _live(session, name, document)
            found.foreign.extend(foreign(live.address, document))
            if mark := document.get("marks", {}).get(APPLIED):
                found.recorded[live.address] = mark
            yield live

    def create(self, session: LocalSession, write: Write) -> Live:
        return self._write(session, write)

    def update(self, session: LocalSession, write: Write, live: Live) -> Live:
        return self._write(session, write)

    def _write(self, session: LocalSession, write: Write) -> Live:
        name = session.repository_of(write.desired.address)
        wanted: AccessSettings = write.desired.settings
        with session.store.writing():
            before = session.store.read(SECTION, name) or {}
            document = {
                "entries": [
                    *(item for item in before.get("entries", []) if not item.get("grant")),
                    *({"grant": e.grant, "users": list(e.users), "permission": e.permission} for e in wanted.entries),
                ],
                "marks": {OWNER: write.marks.owner, ORIGIN: write.marks.origin, APPLIED: write.marks.applied},
            }
            session.store.write(SECTION, name, document)
        return _live(session, name, session.store.read(SECTION, name) or {})

    def delete(self, session: LocalSession, live: Live, *, force: bool) -> None:
        name = session.repository_of(live.address)
        with session.store.writing():
            before = session.store.read(SECTION, name) or {}
            others = [item for item in before.get("entries", []) if not item.get("grant")]
            if others:
                session.store.write(SECTION, name, {"entries": others, "marks": {}})
            else:
                session.store.remove(SECTION, name)


def _live(session: LocalSession, name: str, document: Document) -> Live:
    marks = document.get("marks", {})
    entries = document.get("entries", [])
    own = sorted((item for item in entries if item.get("grant")), key=lambda item: str(item["grant"]))
    others = [item for item in entries if not item.get("grant")]
    owner = marks.get(OWNER)
    repository = Address.of(session.name, "repository", name)
    return Live(
        address=Address.of(session.name, AccessKind.name, name),
        kind=AccessKind.name,
        settings=AccessSettings(
            tuple(
                Entry(str(item["grant"]), tuple(item.get("users", ())), item.get("permission", "pull")) for item in own
            )
        ),
        marks=Marks(owner, marks.get(ORIGIN), marks.get(APPLIED)),
        native=f"{session.path}/{name} (access)",
        needs=(repository,),
        parent=repository,
        rest=text(others) if others else "",
        vacant=not own and owner is None,
        inherits=True,
    )


def foreign(address: Address, document: Document) -> Iterator[ForeignAccess]:
    """What the document's entries that no spec made give."""
    where = address
    for item in document.get("entries", []):
        if not item.get("grant"):
            users = tuple(str(user) for user in item.get("users", ()))
            found = tuple(sorted(_accesses(where.registry, where.name, users, str(item.get("permission", "pull")))))
            yield ForeignAccess(address, "an entry that no spec made", found)


def _accesses(registry: str, repository: str, users: Iterable[str], permission: str) -> Iterator[Access]:
    for user in users:
        principal = Principal("everyone", public=True) if user == "*" else Principal(f"user {user}")
        for verb in VERBS.get(permission, (permission,)):
            yield Access(principal, verb, registry, repository)
