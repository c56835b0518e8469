"""Links: that a service account names a pull secret, so that the pods which are made with it have that.

The list of names is one value to Kubernetes: what merges strategically, and what applies by force, puts its own entry in the place of
everybody's. So it is read, and written whole with the version that was read. https://kubernetes.io/docs/reference/kubernetes-api/
authentication-resources/service-account-v1/ ("Atomic: will be replaced during a merge")
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from reconciler.errors import PlatformError
from reconciler.model.access import Access
from reconciler.model.address import Address
from reconciler.model.kind import Found, GivesAccess, Kind, Verb, Write
from reconciler.model.marks import Marks
from reconciler.model.resource import Desired, Live
from reconciler.platforms.http import HttpSession
from reconciler.spec.registry import RegistryBase
from reconciler.words import APPLY_AGAIN

from .connection import ACCOUNTS, PULL_SECRETS, Document, is_taken, names_of
from .in_cluster import InCluster
from .notes import Notes
from .secret_login import marks_of
from .secret_login import read as read_secret
from .settings import LINK, SECRET, LinkSettings, Place
from .trouble import GONE
from .written_by import by_others

#: seconds in which the list is written again that others write too: 50 writers were done in 4
PATIENCE = 30.0
#: seconds between two tries, at first and at most; each waits for a random part of it
_FIRST, _MOST = 0.1, 3.0


#: what is said of an entry once the notes are lost
_NOBODYS = "is there, and no note says who has made it: it stays when the grant goes; to take it over, add --adopt with its address"


class LinkKind(InCluster, Kind, GivesAccess):
    """That a service account names a grant's pull secret. `gives`: whether that is what gives access; else a login of the grant's own
    does, of which the platform knows what it may do."""

    name = LINK
    settings = LinkSettings
    after = (SECRET,)
    permissions = {
        Verb.LIST: ("get serviceaccounts",),
        Verb.READ: ("get configmaps", "get serviceaccounts"),
        Verb.CREATE: ("create configmaps", "patch configmaps", "get serviceaccounts", "patch serviceaccounts"),
        Verb.UPDATE: ("patch configmaps", "get serviceaccounts", "patch serviceaccounts"),
        Verb.DELETE: ("get serviceaccounts", "patch serviceaccounts", "patch configmaps", "delete configmaps"),
    }

    def __init__(self, *, gives: bool = True) -> None:
        self.gives = gives

    def access(self, address: Address, settings: LinkSettings) -> Iterable[Access]:
        place = Place.of(address)
        if self.gives and place is not None and settings.secret:
            yield place.pulls(address.registry)

    def access_by_grant(self, address: Address, settings: LinkSettings) -> Iterable[tuple[str, Access]]:
        place = Place.of(address)
        grant = place.grant if place is not None else ""
        return ((grant, item) for item in self.access(address, settings))

    def remarks(self, live: Live, wanted: Desired, *, changed: bool) -> Iterable[str]:
        return () if live.moot else super().remarks(live, wanted, changed=changed)

    def unasked(self, wanted: Desired, registry: RegistryBase) -> str | None:
        place = Place.of(wanted.address)
        return None if place is not None and wanted.settings.secret.endswith(f"-{place.grant}") else "secret"

    def list(self, session: HttpSession, wanted: Mapping[Address, Desired], found: Found) -> Iterator[Live]:
        notes = session.ledger(Notes)
        lost = {live.address for live in found[SECRET] if not live.settings.noted}
        secrets = {live.address: live for live in found[SECRET]}
        named = (at for cluster in notes.clusters for at in notes.addresses(cluster, LINK))
        for at in sorted({*(at for at, item in wanted.items() if item.kind == LINK), *named}):
            place = Place.of(at)
            if place is None or place.cluster in notes.unasked:
                continue
            account = notes.accounts.get(place.service_account)
            if isinstance(account, PlatformError):
                notes.barred(at, account, wanted=at in wanted)
                continue
            if at in session.pending:
                yield replace(_live(session, at, place, None), moot=True)
                continue
            if at in wanted and account is None:
                if not session.giving_up:
                    session.pending[at] = session.pending.get(place.secret_at(at.registry)) or _pending(place)
                yield replace(_live(session, at, place, None), moot=True)
                continue
            whose = secrets[of].marks if (of := place.secret_at(at.registry)) in secrets else Marks()
            if at not in wanted and whose.owner == session.owner and whose.elsewhere(session.name):
                continue  # the registry had another name, or another one has its name now
            live = _live(session, at, place, account, whose)
            waits = session.pending.get(place.secret_at(at.registry), "") if at in wanted and live.vacant else ""
            if waits:  # it would name a secret that is not there
                session.pending[at] = waits
                yield replace(live, moot=True)
                continue
            if live.moot and at in wanted and place.secret_at(at.registry) in lost:
                live = replace(live, notes=(_NOBODYS,))
            if at not in wanted and live.vacant and live.marks.owner is not None and live.marks.applied is None:
                live = replace(live, marks=replace(live.marks, applied=""))  # its note goes
            if not live.vacant or live.marks.owner is not None:
                yield live

    def read(self, session: HttpSession, addresses: Sequence[Address]) -> Iterator[Live]:
        notes = session.ledger(Notes)
        known = [(at, place) for at in addresses if (place := Place.of(at)) and place.cluster in notes.clusters]
        for (at, place), texts in zip(known, notes.read([at for at, _ in known]), strict=True):
            notes.learn(notes.carrier(at), texts)
            account = notes.account(place.service_account)
            live = _live(session, at, place, account)
            if live.marks.owner is None and notes.taken(at):
                continue
            if not live.vacant or live.marks.owner is not None:
                yield live

    def create(self, session: HttpSession, write: Write) -> Live:
        at = write.desired.address
        place = Place.of(at)
        if place is None:
            raise PlatformError("no link has such an address", address=at, hint="make a new plan")
        name = place.secret_of(session.owner)
        with session.ledger(Notes).noting(write):
            account = _change(session, place, lambda names: names if name in names else [*names, name])
        if account is None:
            raise PlatformError(
                f"there is no service account {place} in cluster {place.cluster} any more",
                address=at,
                hint="it is linked once it is there: apply again then",
            )
        return replace(_live(session, at, place, account), marks=write.marks)

    def update(self, session: HttpSession, write: Write, live: Live) -> Live:
        return self.create(session, write)

    def delete(self, session: HttpSession, live: Live, *, force: bool) -> None:
        place = Place.of(live.address)
        if place is not None:
            name = place.secret_of(session.owner)
            _change(session, place, lambda names: [item for item in names if item != name])
        session.ledger(Notes).forget(live.address)


def _pending(place: Place) -> str:
    return f"service account {place} is not in cluster {place.cluster}: {APPLY_AGAIN} once it is there"


def _whose(session: HttpSession, at: Address, place: Place) -> Marks:
    """The marks of a link's secret."""
    document = read_secret(session, place.secret_at(at.registry))
    return marks_of(document, place, session.owner) if document is not None else Marks()


def _live(
    session: HttpSession, at: Address, place: Place, account: Document | None, whose: Marks | None = None
) -> Live:
    """A link as it is there. `whose`: the marks of its secret, which are read if they are left out and decide."""
    notes = session.ledger(Notes)
    marks, noted = notes.marks(at), notes.by_any_registry(at)
    name = place.secret_of(session.owner)
    linked = account is not None and name in names_of(account)
    if noted.elsewhere(at.registry):
        whose = _whose(session, at, place) if whose is None else whose
        # it goes by what its secret says, and without one by whether a registry is left that it could be of, and is noted anew
        ours = (whose.owner, whose.registry) == (session.owner, at.registry)
        if ours or (whose.owner is None and noted.registry not in notes.registries):
            marks = replace(noted, registry=None)
    settings = LinkSettings(name) if linked else LinkSettings()
    # the entry, and not the account: grants of several registries can be to one account
    native = f"pull secret {name} of service account {place} in cluster {place.cluster}"
    if linked and marks.owner is None:  # whoever wrote it there keeps it
        return Live(at, LINK, settings, marks, native=native, moot=True)
    return Live(
        at,
        LINK,
        settings,
        marks,
        native=native,
        needs=(place.secret_at(at.registry),),
        stands_at=place.account_in(at.registry),
        vacant=not linked,
        notes=by_others(account, f"f:{PULL_SECRETS}", "its list of pull secrets")
        if account is not None and not linked
        else (),
    )


def _change(session: HttpSession, place: Place, changed: Callable[[list[str]], list[str]]) -> Document | None:
    """Writes the names of a service account's pull secrets as somebody changes them; None if it is not there. Others may write it at
    the same time. Raises PlatformError."""
    connection = session.ledger(Notes).clusters[place.cluster]

    def once() -> Document | None:
        account = connection.read(ACCOUNTS, place.namespace, place.account)
        if account is None:
            return None
        before = account.get(PULL_SECRETS) or []
        names = changed(names_of(account))
        if names == names_of(account):
            return account
        metadata = {key: account["metadata"][key] for key in ("uid", "resourceVersion")}
        body: dict[str, Any] = {"metadata": metadata, PULL_SECRETS: _entries(before, names)}
        return connection.patch(ACCOUNTS, place.namespace, place.account, body)

    import tenacity  # here: few runs need it

    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception(is_taken),
        stop=tenacity.stop_after_delay(PATIENCE),
        wait=tenacity.wait_random_exponential(_FIRST, max=_MOST),
        reraise=True,
    )
    try:
        return retrying(once)
    except PlatformError as error:
        if error.code == GONE:  # since it was read
            return None
        raise


def _entries(before: Sequence[Mapping[str, Any]], names: Sequence[str]) -> list[dict[str, Any]]:
    """The entries that are left of those which were there, each as it was, and the new ones."""
    left = list(names)
    kept: list[dict[str, Any]] = []
    for item in before:
        if (name := str(item.get("name"))) in left:
            left.remove(name)
            kept.append(dict(item))
    return [*kept, *({"name": name} for name in left)]
