"""The registry's managed identities: one to pull and one to push."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from reconciler.model.address import Address
from reconciler.model.canonical import text
from reconciler.model.kind import Found, Kind, Trait, Verb, Write
from reconciler.model.marks import Marks
from reconciler.model.resource import Desired, Live

from . import tags

if TYPE_CHECKING:
    from .session import AzureSession

KIND = "identity"
IDENTITIES = ("pull", "push")
_TYPE = "Microsoft.ManagedIdentity/userAssignedIdentities"


@dataclass(frozen=True, slots=True)
class IdentitySettings:
    """Where it is: Azure has identities in a location, although they are good everywhere."""

    location: str = ""


class IdentityKind(Kind):
    """A user-assigned managed identity."""

    name = KIND
    settings = IdentitySettings
    traits = frozenset({Trait.UPSERTS})
    immutable = frozenset({"location"})
    permissions = {
        Verb.LIST: (f"{_TYPE}/read",),
        Verb.READ: (f"{_TYPE}/read",),
        Verb.CREATE: (f"{_TYPE}/write", f"{_TYPE}/read"),
        Verb.UPDATE: (f"{_TYPE}/write", f"{_TYPE}/read"),
        Verb.DELETE: (f"{_TYPE}/delete",),
    }

    def fitted(self, desired: Desired, live: Live | None) -> Desired:
        """Where it is: an identity is good everywhere, and whoever uses it keeps it if the registry is moved."""
        there = live.settings.location if live is not None else ""
        return replace(desired, settings=live.settings) if live is not None and there else desired

    def list(self, session: AzureSession, wanted: Mapping[Address, Desired], found: Found) -> Iterator[Live]:
        names = {session.registry.identity_name(job).lower(): job for job in IDENTITIES}
        for item in session.identities(session.name):
            job = names.get(str(item.get("name", "")).lower())
            if job is not None:
                live = _live(session, job, item)
                session.learn_principal(job, principal_of(item))
                yield live

    def read(self, session: AzureSession, addresses: Sequence[Address]) -> Iterator[Live]:
        for at in addresses:
            if at.name not in IDENTITIES or at.where:
                continue
            found = session.identity(at)
            session.learn_principal(at.name, principal_of(found or {}))
            if found is not None:
                yield _live(session, at.name, found)

    def create(self, session: AzureSession, write: Write) -> Live:
        at = write.desired.address
        body = {"location": write.desired.settings.location, "tags": write.marks.texts()}
        found = session.write_identity("PUT", at, body)
        session.learn_principal(at.name, principal_of(found))
        return _live(session, at.name, found)

    def update(self, session: AzureSession, write: Write, live: Live) -> Live:
        at = live.address
        there = session.identity(at) or {}
        all_tags = tags.after(tags.read(there.get("tags")), write.marks.texts())
        found = session.write_identity("PATCH", at, {"tags": all_tags})
        return _live(session, at.name, found)

    def delete(self, session: AzureSession, live: Live, *, force: bool) -> None:
        session.delete_identity(live.address)


def principal_of(found: Mapping[str, Any]) -> str:
    """The object id of an identity, by which role assignments name it; "" if it is not there."""
    return str((found.get("properties") or {}).get("principalId", "")).lower()


def _live(session: AzureSession, job: str, found: Mapping[str, Any]) -> Live:
    there = tags.read(found.get("tags"))
    others = tags.foreign(there)
    return Live(
        address=Address.of(session.name, KIND, job),
        kind=KIND,
        settings=IdentitySettings(str(found.get("location", "")).lower().replace(" ", "")),
        marks=Marks.of(there),
        native=str(found.get("id", "")),
        needs=(session.own_address(),),
        rest=text({"tags": others}) if others else "",
    )
