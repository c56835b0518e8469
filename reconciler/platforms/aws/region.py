"""A region that the registry extends to, as a mark in the registry's ledger: without it, a region that is no longer in the spec
would be forgotten together with the repositories that were made there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reconciler.model.address import Address
from reconciler.model.kind import Found, Home, Kind, Trait, Verb, Write
from reconciler.model.marks import Marks
from reconciler.model.resource import Desired, Live

from .ledgers import LEDGER_PUT, LEDGER_READ, LEDGER_REMOVE, RegistryLedger, carrier_of, carriers_of

if TYPE_CHECKING:
    from .session import AwsSession


@dataclass(frozen=True, slots=True)
class RegionSettings:
    """Nothing but the region itself."""

    region: str


class RegionKind(Kind):
    """A region in which the registry has repositories. Made before the first of them, deleted after the last."""

    name = "region"
    settings = RegionSettings
    traits = frozenset({Trait.INHERITS})
    after = ("role", "ledger")
    permissions = {
        Verb.READ: LEDGER_READ,
        Verb.CREATE: LEDGER_PUT,
        Verb.UPDATE: LEDGER_PUT,
        Verb.DELETE: LEDGER_REMOVE,
    }

    def usual(self, address: Address, home: Home) -> dict[str, Any]:
        """Which region it is, the address says already."""
        return self.shown(RegionSettings(address.name))

    def list(self, session: AwsSession, wanted: Mapping[Address, Desired], found: Found) -> Iterator[Live]:
        ledger = session.ledger(RegistryLedger)
        carrier = carrier_of(session.registry)
        for region in ledger.regions(ledger.texts(carrier)):
            at = Address.of(session.name, self.name, region)
            yield _live(session, at, ledger.marks(at))

    def read(self, session: AwsSession, addresses: Sequence[Address]) -> Iterator[Live]:
        ledger = session.ledger(RegistryLedger)
        addresses = [at for at in addresses if not at.where]
        for at, texts in zip(addresses, ledger.read(addresses), strict=True):
            marks = ledger.marks(at, texts)
            if marks.applied is not None:
                yield _live(session, at, marks)

    def create(self, session: AwsSession, write: Write) -> Live:
        ledger, at = session.ledger(RegistryLedger), write.desired.address
        ledger.change(at, {ledger.key(at): write.marks.applied or ""})
        return _live(session, at, write.marks)

    def update(self, session: AwsSession, write: Write, live: Live) -> Live:
        return self.create(session, write)

    def delete(self, session: AwsSession, live: Live, *, force: bool) -> None:
        session.ledger(RegistryLedger).forget(live.address)


def _live(session: AwsSession, at: Address, marks: Marks) -> Live:
    return Live(
        address=at,
        kind=RegionKind.name,
        settings=RegionSettings(at.name),
        marks=marks,
        native=f"region {at.name} of registry {at.registry}",
        needs=carriers_of(session),
        parent=carrier_of(session.registry),
    )
