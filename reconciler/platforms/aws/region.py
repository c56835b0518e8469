"""A region that the registry extends to, as a mark in the registry's ledger."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reconciler.model.address import Address
from reconciler.model.kind import Verb
from reconciler.platforms.noted_place import NotedPlaceKind

from .ledgers import LEDGER_PUT, LEDGER_READ, LEDGER_REMOVE, RegistryLedger, carrier_of, carriers_of

if TYPE_CHECKING:
    from .session import AwsSession


@dataclass(frozen=True, slots=True)
class RegionSettings:
    """Nothing but the region itself."""

    region: str


class RegionKind(NotedPlaceKind):
    """A region in which the registry has repositories."""

    name = "region"
    settings = RegionSettings
    notes = RegistryLedger
    after = ("role", "ledger")
    permissions = {
        Verb.READ: LEDGER_READ,
        Verb.CREATE: LEDGER_PUT,
        Verb.UPDATE: LEDGER_PUT,
        Verb.DELETE: LEDGER_REMOVE,
    }

    def noted(self, session: AwsSession) -> Iterable[str]:
        ledger = session.ledger(RegistryLedger)
        return ledger.regions(ledger.texts(carrier_of(session.registry)))

    def carriers(self, session: AwsSession) -> tuple[Address, ...]:
        return carriers_of(session)
