"""A location that the registry has repositories in, noted in the description of the pull account."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from reconciler.model.address import Address
from reconciler.model.canonical import applied_hash
from reconciler.model.kind import Found, Verb, Write
from reconciler.model.marks import Marks
from reconciler.model.resource import Desired, Live
from reconciler.platforms.noted_place import NotedPlaceKind

from . import room
from .description import carrier_of
from .ledgers import AccountLedger
from .seen import check_none_left

if TYPE_CHECKING:
    from .session import GcpSession

_NOTE = ("iam.serviceAccounts.get", "iam.serviceAccounts.update")


@dataclass(frozen=True, slots=True)
class LocationSettings:
    """Nothing but the location itself."""

    location: str


class LocationKind(NotedPlaceKind):
    """A location in which the registry has repositories."""

    name = "location"
    settings = LocationSettings
    notes = AccountLedger
    after = ("account", "repository")
    permissions = {
        Verb.READ: ("iam.serviceAccounts.get",),
        Verb.CREATE: _NOTE,
        Verb.UPDATE: _NOTE,
        Verb.DELETE: (*_NOTE, "artifactregistry.repositories.list", "artifactregistry.repositories.get"),
    }

    def noted(self, session: GcpSession) -> Iterable[str]:
        ledger = session.ledger(AccountLedger)
        return ledger.locations(ledger.texts(carrier_of(session.registry)))

    def list(self, session: GcpSession, wanted: Mapping[Address, Desired], found: Found) -> Iterator[Live]:
        left_alone = self.left_alone(session, found)
        yield from super().list(session, wanted, found)
        carrier = carrier_of(session.registry)
        if (account := wanted.get(carrier)) is not None:
            live = next((item for item in found["account"] if item.address == carrier), None)
            session.refused |= room.in_description(session, account, live, wanted)
        for place in sorted(session.unnoted):
            at = Address.of(session.name, self.name, place)
            marks = Marks(session.owner, None if place in left_alone else "spec", _note(at), session.name)
            yield self._unnoted(session, at, marks)

    def create(self, session: GcpSession, write: Write) -> Live:
        ledger = session.ledger(AccountLedger)
        lost = [Address.of(session.name, self.name, place) for place in sorted(session.unnoted)]
        at = write.desired.address
        ledger.change(at, {ledger.key(at): write.marks.applied or "", **{ledger.key(one): _note(one) for one in lost}})
        return self._live(session, at, write.marks)

    def delete(self, session: GcpSession, live: Live, *, force: bool) -> None:
        # once nothing notes the location, no plan would see what another run made there meanwhile, or what no listing has shown yet
        check_none_left(session, (live.address.name,), live.address, left_alone=(live.address.name,))
        super().delete(session, live, force=force)

    def carriers(self, session: GcpSession) -> tuple[Address, ...]:
        return (carrier_of(session.registry),)

    def place_of(self, session: GcpSession, repository: Address) -> str:
        return session.location_of(repository)

    def _unnoted(self, session: GcpSession, at: Address, marks: Marks) -> Live:
        """What has no note: it is made together with that of the registry's own location, and goes after it."""
        live = self._live(session, at, marks)
        home = Address.of(session.name, self.name, session.registry.location)
        return replace(live, needs=(*live.needs, home))


def _note(at: Address) -> str:
    """What is noted of a location."""
    return applied_hash(LocationSettings(at.name))
