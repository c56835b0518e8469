"""A location that the registry has repositories in, as a note in the description of the pull account: without it, a location that is
no longer in the spec would be forgotten together with the repositories that were made there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reconciler.model.address import Address
from reconciler.model.kind import Found, Home, Kind, Trait, Verb, Write
from reconciler.model.marks import Marks
from reconciler.model.resource import Desired, Live

from .ledgers import AccountLedger, carrier_of

if TYPE_CHECKING:
    from .session import GcpSession


@dataclass(frozen=True, slots=True)
class LocationSettings:
    """Nothing but the location itself."""

    location: str


class LocationKind(Kind):
    """A location in which the registry has repositories. Made before the first of them, deleted after the last."""

    name = "location"
    settings = LocationSettings
    traits = frozenset({Trait.INHERITS})
    after = ("account",)
    permissions = {
        Verb.READ: ("iam.serviceAccounts.get",),
        Verb.CREATE: ("iam.serviceAccounts.get", "iam.serviceAccounts.update"),
        Verb.UPDATE: ("iam.serviceAccounts.get", "iam.serviceAccounts.update"),
        Verb.DELETE: ("iam.serviceAccounts.get", "iam.serviceAccounts.update"),
    }

    def usual(self, address: Address, home: Home) -> dict[str, Any]:
        """Which location it is, the address says already."""
        return self.shown(LocationSettings(address.name))

    def list(self, session: GcpSession, wanted: Mapping[Address, Desired], found: Found) -> Iterator[Live]:
        ledger = session.ledger(AccountLedger)
        for location in ledger.locations(ledger.texts(carrier_of(session.registry))):
            at = Address.of(session.name, self.name, location)
            yield _live(session, at, ledger.marks(at))

    def read(self, session: GcpSession, addresses: Sequence[Address]) -> Iterator[Live]:
        ledger = session.ledger(AccountLedger)
        addresses = [at for at in addresses if not at.where]
        for at, texts in zip(addresses, ledger.read(addresses), strict=True):
            marks = ledger.marks(at, texts)
            if marks.applied is not None:
                yield _live(session, at, marks)

    def create(self, session: GcpSession, write: Write) -> Live:
        ledger, at = session.ledger(AccountLedger), write.desired.address
        ledger.change(at, {ledger.key(at): write.marks.applied or ""})
        return _live(session, at, write.marks)

    def update(self, session: GcpSession, write: Write, live: Live) -> Live:
        return self.create(session, write)

    def delete(self, session: GcpSession, live: Live, *, force: bool) -> None:
        session.ledger(AccountLedger).forget(live.address)


def _live(session: GcpSession, at: Address, marks: Marks) -> Live:
    carrier = carrier_of(session.registry)
    return Live(
        address=at,
        kind=LocationKind.name,
        settings=LocationSettings(at.name),
        marks=marks,
        native=f"location {at.name} of registry {at.registry}",
        needs=(carrier,),
        parent=carrier,
    )
