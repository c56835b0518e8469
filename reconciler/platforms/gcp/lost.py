"""The locations of a registry of which nothing is noted any more, since the notes are gone with the account that carried them or with
its description: what is in them would never be looked at again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from reconciler.errors import PlatformError
from reconciler.model.address import Address
from reconciler.model.marks import Marks
from reconciler.model.resource import Live
from reconciler.words import all_of, one_line, plural, some_of

from .description import CARRIER, carrier_of
from .ledgers import AccountLedger
from .rules import REGISTRY
from .seen import is_ours, marks_of, sees

#: locations on one page
PAGE = 1_000

if TYPE_CHECKING:
    from .session import GcpSession


def repositories(session: GcpSession, accounts: Iterable[Live], notices: list[str]) -> Iterator[dict[str, Any]]:
    """All repositories, as JSON, in the registry's location and in those that are noted; where nothing is noted although there is
    something of the registry, also in each other location that has something of it, which the session keeps in `unnoted`: of a
    registry that is yet to be made, no other location is asked for. `accounts`: the registry's that are there. `notices` takes what
    is to be said of that. Raises PlatformError."""
    registry, ledger, carrier = session.registry, session.ledger(AccountLedger), carrier_of(session.registry)
    noted = {*ledger.locations(ledger.texts(carrier))}
    by_account = {item.address: item.marks for item in accounts}
    there = any(is_ours(session, marks) for marks in by_account.values())
    session.unnoted.clear()
    for location in sorted({registry.location, *noted}):
        for item in session.repositories(location, at=Address.of(session.name, "location", location)):
            there = there or sees(session, item)
            yield item
    if there and not noted:
        yield from _elsewhere(session, _silent(session, by_account.get(carrier)), notices)


def _silent(session: GcpSession, carrier: Marks | None) -> str:
    """Why nothing is noted, with what is not known by that. `carrier`: the marks of the account that would carry the notes, None if
    it is not there."""
    registry = session.registry
    who, what = registry.email(CARRIER), f"in which locations registry {registry.name} has repositories"
    if carrier is None:
        return f"{who} is not there, so that nothing says {what}"
    if is_ours(session, carrier):
        return f"{who} does not say {what} (no apply has noted it yet, or it was taken out by hand)"
    return f"{who} does not say {what} (its description was replaced, or it was made by somebody else)"


def _elsewhere(session: GcpSession, silent: str, notices: list[str]) -> Iterator[dict[str, Any]]:
    registry, carrier = session.registry, carrier_of(session.registry)
    failed: dict[str, PlatformError] = {}

    def ours_in(location: str) -> list[dict[str, Any]]:
        at = Address.of(session.name, "location", location)
        try:
            found = list(session.repositories(location, at=at, noted=False))
        except PlatformError as error:
            failed[location] = error
            return []
        # where no note says that the registry is there, its own name must
        own = (item for item in found if sees(session, item) and marks_of(item).registry == registry.name)
        return found if next(own, None) is not None else []

    try:
        others = [name for name in _locations(session, carrier) if name != registry.location]
    except PlatformError as error:
        others, failed[""] = [], error
    found = dict(zip(others, session.map(ours_in, others), strict=True))
    if failed:
        somewhere = f"another location than {registry.location}"
        where = some_of(sorted(failed)) if failed.keys() < {*others} else somewhere
        why = failed[min(failed)]
        notices.append(
            f"{silent}; whether it has some in {where} can't be looked up ({one_line(why.message)}): before you apply this,"
            f" {one_line(why.hint)}, unless it has never been in another location: no later plan looks there"
        )
    places = [name for name in others if found[name]]
    if places:
        session.unnoted.update(places)
        that = plural(len(places), "that is", "these are")
        notices.append(
            f"{silent}; it has some in {all_of(places)} too: {that} noted again with {registry.location}, unless all of it goes"
        )
    for name in places:
        yield from found[name]


def _locations(session: GcpSession, at: Address) -> Iterator[str]:
    """The names of all locations that Artifact Registry has for the project. Raises PlatformError.

    https://cloud.google.com/artifact-registry/docs/reference/rest/v1/projects.locations/list
    """
    from .troubles import BETWEEN, NotGoogle  # here: it imports the cloud's library

    token = ""
    while True:
        query = {"pageSize": PAGE, "pageToken": token}
        page = session.json("GET", REGISTRY, "ListLocations", f"{session.project}/locations", at=at, query=query)
        found = [item.get("locationId") for item in page.get("locations") or () if isinstance(item, dict)]
        if not all(found):
            raise PlatformError(str(NotGoogle()), operation="ListLocations", hint=BETWEEN)
        yield from map(str, found)
        token = page.get("nextPageToken", "")
        if not token:
            return
