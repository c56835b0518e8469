"""A location that the registry has repositories in, noted in the description of the pull account."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reconciler.model.address import Address
from reconciler.model.kind import Verb
from reconciler.model.resource import Live
from reconciler.platforms.noted_place import NotedPlaceKind

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
    after = ("account",)
    permissions = {
        Verb.READ: ("iam.serviceAccounts.get",),
        Verb.CREATE: _NOTE,
        Verb.UPDATE: _NOTE,
        Verb.DELETE: (*_NOTE, "artifactregistry.repositories.list", "artifactregistry.repositories.get"),
    }

    def noted(self, session: GcpSession) -> Iterable[str]:
        ledger = session.ledger(AccountLedger)
        return ledger.locations(ledger.texts(carrier_of(session.registry)))

    def delete(self, session: GcpSession, live: Live, *, force: bool) -> None:
        # once nothing notes the location, no plan would see what another run made there meanwhile, or what no listing has shown yet
        check_none_left(session, (live.address.name,), live.address)
        super().delete(session, live, force=force)

    def carriers(self, session: GcpSession) -> tuple[Address, ...]:
        return (carrier_of(session.registry),)
