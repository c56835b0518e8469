"""Who uses a pull secret, as service accounts name it. Pure, of what a listing has read."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

from reconciler.errors import PlatformError
from reconciler.model.access import Access, ForeignAccess
from reconciler.model.address import Address

from .connection import names_of
from .notes import Notes
from .secret_login import place_of
from .settings import Place


def users(notes: Notes, at: Address, wanted: Collection[Address], links: Mapping[Address, Place]) -> Iterator[Access]:
    """Who pulls by a secret of those that are to, as they name it already, whoever has written that. `links`: its links."""
    for link, to in links.items():
        account = notes.accounts.get(to.service_account)
        if (
            link in wanted
            and isinstance(account, dict)
            and place_of(at).secret_of(notes.session.owner) in names_of(account)
        ):
            yield to.pulls(at.registry)


def used(notes: Notes, at: Address, links: Mapping[Address, Place]) -> Iterator[ForeignAccess]:
    """What a secret gives to whom no link of ours is known to give it: to the service accounts that name it of those that were looked
    at; where no link is known at all, to whoever uses it. `links`: its links."""
    place = place_of(at)
    for link, to in links.items():
        account = notes.accounts.get(to.service_account)
        if isinstance(account, PlatformError):  # its link stays: nobody knows whether it is there
            may = replace(to.pulls(at.registry), may=True)
            yield ForeignAccess(at, f"service account {to}, which can't be looked at, may name it", (may,), stays=True)
            continue
        names = names_of(account) if isinstance(account, dict) and notes.marks(link).owner is None else ()
        if place.secret_of(notes.session.owner) in names:
            yield ForeignAccess(at, f"service account {to} names it", (to.pulls(at.registry),), stays=True)
    if not links:
        yield ForeignAccess(at, "service accounts and pods that name it", (place.pulls(at.registry),), stays=True)
