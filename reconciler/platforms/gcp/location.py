"""A location that the registry has repositories in, noted in the description of the pull account."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from reconciler.errors import PlatformError
from reconciler.model.address import Address
from reconciler.model.kind import Verb
from reconciler.model.marks import Marks
from reconciler.model.resource import Live
from reconciler.platforms.noted_place import NotedPlaceKind
from reconciler.words import plural, some_of

from .description import carrier_of
from .ledgers import AccountLedger

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
        Verb.DELETE: (*_NOTE, "artifactregistry.repositories.list"),
    }

    def noted(self, session: GcpSession) -> Iterable[str]:
        ledger = session.ledger(AccountLedger)
        return ledger.locations(ledger.texts(carrier_of(session.registry)))

    def delete(self, session: GcpSession, live: Live, *, force: bool) -> None:
        if live.address.name != session.registry.location:
            check_empty(session, live.address.name, live.address)
        super().delete(session, live, force=force)

    def carriers(self, session: GcpSession) -> tuple[Address, ...]:
        return (carrier_of(session.registry),)


def check_empty(session: GcpSession, place: str, at: Address) -> None:
    """Looks again whether repositories of the registry are in a location, which no plan sees any more once nothing notes it. Raises
    PlatformError if some are."""
    there = sorted(name for item in session.repositories(place, at=at) if (name := _of_ours(session, item)))
    if there:
        raise PlatformError(
            f"{some_of(there)} of this registry {plural(len(there), 'is', 'are')} still in {place}",
            address=at,
            operation="artifactregistry:ListRepositories",
            hint="another run has made it, or the plan did not see it: make a new plan",
        )


def _of_ours(session: GcpSession, item: Mapping[str, Any]) -> str:
    """The name of a repository, if the spec owns it as one of this registry's."""
    marks = Marks.of(item.get("labels") or {})
    ours = (marks.owner, marks.registry) == (session.owner, session.name) and marks.origin == "spec"
    return str(item["name"]).rpartition("/")[2] if ours else ""
