"""A region that the registry extends to, as a mark in the registry's ledger."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reconciler.model.address import Address
from reconciler.model.kind import Verb
from reconciler.model.resource import Live
from reconciler.platforms.noted_place import NotedPlaceKind

from .ledgers import LEDGER_PUT, LEDGER_READ, LEDGER_REMOVE, RegistryLedger, carriers_of, regions_noted
from .left import LOOK, check_none_left

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
    after = ("role", "ledger", "repository")
    permissions = {
        Verb.READ: LEDGER_READ,
        Verb.CREATE: LEDGER_PUT,
        Verb.UPDATE: LEDGER_PUT,
        Verb.DELETE: (*LEDGER_REMOVE, *LOOK),
    }

    def noted(self, session: AwsSession) -> Iterable[str]:
        return regions_noted(session)

    def delete(self, session: AwsSession, live: Live, *, force: bool) -> None:
        # once nothing notes the region, no plan would see what another run made there meanwhile
        check_none_left(session, (live.address.name,), live.address, left_alone=(live.address.name,))
        super().delete(session, live, force=force)

    def carriers(self, session: AwsSession) -> tuple[Address, ...]:
        return carriers_of(session)

    def place_of(self, session: AwsSession, repository: Address) -> str:
        return session.region_of(repository)
