"""Who may use a local repository: an entry for each grant. Entries without a grant are somebody else's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reconciler.model.access import Access, ForeignAccess, Principal
from reconciler.model.address import Address
from reconciler.model.canonical import text
from reconciler.model.kind import Found, GivesAccess, Kind, Trait, Write
from reconciler.model.resource import Desired, Live
from reconciler.spec.models import Grant
from reconciler.words import Named, all_of, quoted

from .documents import EVERYONE, VERBS, AccessDocument, Entry
from .session import LocalSession
from .spec import LocalTarget


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


class AccessKind(Kind, GivesAccess):
    """The access document of one repository."""

    name = "access"
    settings = AccessSettings
    traits = frozenset({Trait.UPSERTS, Trait.SHARED, Trait.INHERITS})
    after = ("repository",)  # files: side by side they would be read no faster

    def access(self, address: Address, settings: AccessSettings) -> Iterator[Access]:
        for entry in settings.entries:
            yield from _accesses(address, entry.users, entry.permission)

    def access_by_grant(self, address: Address, settings: AccessSettings) -> Iterator[tuple[str, Access]]:
        for entry in settings.entries:
            yield from ((entry.grant, item) for item in _accesses(address, entry.users, entry.permission))

    def shown(self, settings: AccessSettings) -> dict[str, Any]:
        return {
            entry.grant: {
                "principals": [Named(user, _principal(user).label) for user in entry.users],
                "may": [Named(verb) for verb in VERBS.get(entry.permission, (entry.permission,))],
            }
            for entry in settings.entries
        }

    def altered(self, settings: AccessSettings) -> str | None:
        written = AccessDocument.parse("", AccessDocument("", settings.entries).to_json())
        return None if written.entries == settings.entries else "an entry"

    def list(self, session: LocalSession, wanted: Mapping[Address, Desired], found: Found) -> Iterator[Live]:
        return self._lives(session, session.documents.access.names())

    def read(self, session: LocalSession, addresses: Sequence[Address]) -> Iterator[Live]:
        return self._lives(session, (at.name for at in addresses if not at.where))

    def _lives(self, session: LocalSession, names: Iterable[str]) -> Iterator[Live]:
        return (_live(session, document) for document in session.documents.access.each(names))

    def create(self, session: LocalSession, write: Write) -> Live:
        stored, name = session.documents.access, write.desired.address.name
        with session.store.writing():
            before = stored.read(name) or AccessDocument(name)
            stored.write(AccessDocument(name, write.desired.settings.entries, write.marks, before.foreign))
        return _live(session, stored.read(name) or AccessDocument(name))

    def update(self, session: LocalSession, write: Write, live: Live) -> Live:
        return self.create(session, write)

    def delete(self, session: LocalSession, live: Live, *, force: bool) -> None:
        stored, name = session.documents.access, live.address.name
        with session.store.writing():
            before = stored.read(name)
            if before is not None and before.foreign:
                stored.write(AccessDocument(name, foreign=before.foreign))
            else:
                stored.remove(name)


def foreign(registry: str, document: AccessDocument, file: str) -> Iterator[ForeignAccess]:
    """What the entries that no spec made give, one by one. `file`: where the document is."""
    address = Address.of(registry, AccessKind.name, document.name)
    for entry in document.foreign:
        given = _accesses(address, (str(user) for user in entry.users), entry.permission)
        users = all_of([quoted(str(user)) for user in entry.users])
        removal = f"delete the entry without a grant whose users are {users or 'none'} from {file}"
        what = "an entry that was made at run time" if entry.at_runtime else "an entry that was not made from a spec"
        yield ForeignAccess(address, what, tuple(sorted(given)), removal, at_runtime=entry.at_runtime)


def _live(session: LocalSession, document: AccessDocument) -> Live:
    repository = Address.of(session.name, "repository", document.name)
    return Live(
        address=Address.of(session.name, AccessKind.name, document.name),
        kind=AccessKind.name,
        settings=AccessSettings(document.entries),
        marks=document.marks,
        native=session.file_of("access", document.name),
        needs=(repository,),
        parent=repository,
        rest=text([entry.stored for entry in document.foreign]) if document.foreign else "",
        vacant=not document.entries and document.marks.owner is None,
        foreign=tuple(foreign(session.name, document, session.file_of("access", document.name))),
    )


def _accesses(address: Address, users: Iterable[str], permission: str) -> Iterator[Access]:
    for user in users:
        for verb in VERBS.get(permission, (permission,)):
            yield Access(_principal(user), verb, address.registry, address.name)


def _principal(user: str) -> Principal:
    return Principal("anyone", public=True) if user == EVERYONE else Principal(f"user {user}")
