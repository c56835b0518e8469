"""The locations of a registry whose notes are gone, with the account that carried them or with its description: what is in them would
never be looked at again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from reconciler.errors import PlatformError
from reconciler.model.address import Address
from reconciler.model.marks import Marks
from reconciler.words import all_of, one_line, plural, some_of

from .account import ACCOUNTS
from .account import KIND as ACCOUNT
from .description import carrier_of
from .ledgers import AccountLedger
from .rules import REGISTRY
from .seen import is_ours, sees

#: locations on one page
PAGE = 1_000

if TYPE_CHECKING:
    from .session import GcpSession


def repositories(session: GcpSession, notices: list[str]) -> Iterator[dict[str, Any]]:
    """All repositories, as JSON, in the registry's location and in those that are noted; where nothing is noted although there is
    something of the registry, also in each other location that has something of it, which the session keeps in `unnoted`. `notices`
    takes what is to be said of that. Raises PlatformError."""
    registry, ledger = session.registry, session.ledger(AccountLedger)
    noted = {*ledger.locations(ledger.texts(carrier_of(registry)))}
    there = any(_is_account_ours(session, ledger, name) for name in ACCOUNTS)
    session.unnoted.clear()
    for location in sorted({registry.location, *noted}):
        for item in session.repositories(location, at=Address.of(session.name, "location", location)):
            there = there or sees(session, item)
            yield item
    if not noted and there:
        yield from _elsewhere(session, notices)


def _is_account_ours(session: GcpSession, ledger: AccountLedger, name: str) -> bool:
    return is_ours(session, Marks.of(ledger.texts(Address.of(session.name, ACCOUNT, name))))


def _elsewhere(session: GcpSession, notices: list[str]) -> Iterator[dict[str, Any]]:
    registry = session.registry
    carrier = carrier_of(registry)
    gone = (
        f"registry {registry.name}: {registry.email(carrier.name)} does not say any more in which locations the registry has"
        " repositories (it was deleted by hand, or its description was replaced)"
    )

    failed: dict[str, str] = {}

    def ours_in(location: str) -> list[dict[str, Any]]:
        at = Address.of(session.name, "location", location)
        try:
            found = list(session.repositories(location, at=at, noted=False))
        except PlatformError as error:
            failed[location] = one_line(error.message)
            return []
        return found if any(sees(session, item) for item in found) else []

    try:
        others = [name for name in _locations(session, carrier) if name != registry.location]
    except PlatformError as error:
        others, failed[""] = [], one_line(error.message)
    found = dict(zip(others, session.map(ours_in, others), strict=True))
    if failed:
        somewhere = f"another location than {registry.location}"
        where = some_of(sorted(failed)) if failed.keys() < {*others} else somewhere
        notices.append(
            f"{gone}; whether it has some in {where} can't be looked up ({failed[min(failed)]}): before you apply this, see to it"
            " that Google answers, and allow artifactregistry.locations.list and artifactregistry.repositories.list to these"
            " credentials, or no later plan looks there"
        )
    places = [name for name in others if found[name]]
    if places:
        session.unnoted.update(places)
        notices.append(
            f"{gone}; it has some in {all_of(places)} too: the {plural(len(places), 'note', 'notes')} of that"
            f" {plural(len(places), 'is', 'are')} made again with the note of {registry.location}"
        )
    for name in places:
        yield from found[name]


def _locations(session: GcpSession, at: Address) -> Iterator[str]:
    """The names of all locations that Artifact Registry has for the project. Raises PlatformError.

    https://cloud.google.com/artifact-registry/docs/reference/rest/v1/projects.locations/list
    """
    token = ""
    while True:
        query = {"pageSize": PAGE, "pageToken": token}
        page = session.json("GET", REGISTRY, "ListLocations", f"{session.project}/locations", at=at, query=query)
        yield from (str(item["locationId"]) for item in page.get("locations", ()))
        token = page.get("nextPageToken", "")
        if not token:
            return
