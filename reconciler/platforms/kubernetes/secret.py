"""Pull secrets: what the pods of a namespace log in to a registry with.

They are changed in place: a node that has an image by a secret needs no new login for it as long as the secret is the same object
(KubeletEnsureSecretPulledImages, https://kep.k8s.io/2535).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from reconciler.errors import Moved, PlatformError
from reconciler.model.address import Address
from reconciler.model.kind import Found, Home, Kind, Verb, Write
from reconciler.model.marks import Marks
from reconciler.model.renewal import Renewable, Renewal, Renewed
from reconciler.model.resource import Desired, Live
from reconciler.model.service import Credentials, FewLogins, LogsIn
from reconciler.platforms.http import HttpSession
from reconciler.spec.registry import RegistryBase
from reconciler.words import all_of

from . import login_document, validity
from .connection import SECRETS, Document, annotations_of, is_taken
from .login_document import Held
from .notes import LABELS, Notes
from .settings import CLUSTER, GOOD, LINK, SECRET, Place, SecretSettings, nobody
from .written_by import by_others

#: where a secret says that it was made: a copy of it in another namespace is not ours
_NAMESPACE, _GRANT = "reconciler-namespace", "reconciler-grant"
_IDENTITY = "reconciler-identity"
#: how often a secret is read again that somebody else writes meanwhile
_TRIES = 5


class SecretKind(Kind, Renewable):
    """The image pull secret of a grant in one namespace. `needs`: by registry and grant, whose login it holds; that stays until the
    secret is gone."""

    name = SECRET
    elsewhere = CLUSTER
    settings = SecretSettings
    immutable = frozenset({"type"})
    permissions = {
        Verb.LIST: ("get configmaps", "get secrets", "get serviceaccounts"),
        Verb.READ: ("get configmaps", "get secrets"),
        Verb.CREATE: ("create configmaps", "patch configmaps", "create secrets"),
        Verb.UPDATE: ("patch configmaps", "patch secrets"),
        Verb.DELETE: ("get secrets", "delete secrets", "patch configmaps", "delete configmaps"),
    }

    def __init__(self, needs: Callable[[str, str], tuple[Address, ...]] = nobody) -> None:
        self.needs = needs

    def usual(self, address: Address, home: Home) -> dict[str, Any]:
        usual = self.shown(SecretSettings("", ""))
        return {key: usual[key] for key in ("login", "type", "noted")}

    def unasked(self, wanted: Desired, registry: RegistryBase) -> str | None:
        place, settings = Place.of(wanted.address), wanted.settings
        asked = SecretSettings(settings.secret, settings.identity)
        if place is None or not settings.secret.endswith(f"-{place.grant}"):
            return "secret"
        return next(
            (key for key in ("login", "type", "noted") if getattr(settings, key) != getattr(asked, key)),
            None,
        )

    def list(self, session: HttpSession, wanted: Mapping[Address, Desired], found: Found) -> Iterator[Live]:
        notes = session.ledger(Notes)
        clusters = [notes.of(name) for name in notes.clusters]
        for carrier, texts in zip(clusters, notes.fetch(clusters), strict=True):
            notes.learn(carrier, texts)
        notes.check_clusters()
        secrets, links = (_addresses(notes, wanted, kind) for kind in (SECRET, LINK))
        accounts = sorted({(place.cluster, place.namespace, place.account) for place in links.values()})
        read, there = session.maps((notes.account, accounts), (lambda at: _read(session, at), secrets))
        notes.accounts = dict(zip(accounts, read, strict=True))
        for (at, place), document in zip(secrets.items(), there, strict=True):
            if document is not None:
                yield self._live(session, at, place, document)
            elif at in wanted and not any(_accounts_of(notes, place, links)):
                session.notices.append(_pending(place))
                yield replace(_gone(notes, at, place), moot=True)
            elif at not in wanted or notes.marks(at).owner:
                yield _gone(notes, at, place, wanted=at in wanted)

    def read(self, session: HttpSession, addresses: Sequence[Address]) -> Iterator[Live]:
        notes = session.ledger(Notes)
        known = [(at, place) for at in addresses if (place := Place.of(at)) and place.cluster in notes.clusters]
        for (at, place), texts in zip(known, notes.read([at for at, _ in known]), strict=True):
            notes.learn(notes.carrier(at), texts)
            document = _read(session, at)
            if document is not None:
                yield self._live(session, at, place, document)
            elif notes.marks(at).owner:
                yield _gone(notes, at, place)

    def create(self, session: HttpSession, write: Write) -> Live:
        at = write.desired.address
        place = _place(at)
        notes = session.ledger(Notes)
        login = _login(session, place, _beside(session, place))
        with notes.noting(write):
            body = {
                "metadata": {
                    "name": place.secret_of(session.owner),
                    "labels": LABELS,
                    "annotations": {k: v for k, v in _annotations(write, place, login).items() if v is not None},
                },
                "type": login_document.TYPE,
                "data": {login_document.KEY: login_document.written(login)},
            }
            try:
                made = notes.clusters[place.cluster].create(SECRETS, place.namespace, body)
            except PlatformError as error:
                if is_taken(error):
                    raise Moved("somebody else has made a secret of that name meanwhile") from None
                raise
        return self._live(session, at, place, made, login)

    def update(self, session: HttpSession, write: Write, live: Live) -> Live:
        if live.vacant:
            return self.create(session, write)
        at = live.address
        place = _place(at)
        notes = session.ledger(Notes)
        # another identity is another login, also where the registry is logged in to by the same host
        renews = live.settings.login != GOOD or live.settings.identity != write.desired.settings.identity
        login = _login(session, place, _beside(session, place)) if renews else None
        connection, name = notes.clusters[place.cluster], place.secret_of(session.owner)
        uid, _, version = live.etag.partition("/")
        body: Document = {
            "metadata": {
                "uid": uid,
                "resourceVersion": version,
                "labels": LABELS,
                "annotations": _annotations(write, place, login),
            }
        }
        if login is not None:
            body["data"] = {login_document.KEY: login_document.written(login)}
        with notes.noting(write):
            try:
                made = connection.patch(SECRETS, place.namespace, name, body)
            except PlatformError as error:
                if is_taken(error):
                    raise Moved("somebody else has changed it meanwhile") from None
                raise
        return self._live(session, at, place, made, login)

    def delete(self, session: HttpSession, live: Live, *, force: bool) -> None:
        at = live.address
        place = _place(at)
        notes = session.ledger(Notes)
        document = _read(session, at)
        if document is not None and _marks(document, place).owner == session.owner:
            try:
                notes.clusters[place.cluster].delete(SECRETS, place.namespace, document)
            except PlatformError as error:
                if is_taken(error):
                    raise Moved("somebody else has changed it meanwhile") from None
                raise
        notes.forget(at)

    def _live(
        self, session: HttpSession, at: Address, place: Place, document: Document, written: Credentials | None = None
    ) -> Live:
        """A secret as it is there. `written`: the login that was written just now."""
        notes = session.ledger(Notes)
        metadata, texts = document["metadata"], annotations_of(document)
        marks = _marks(document, place)
        ours = marks.owner == session.owner
        login = _said(session, place, document, written)
        name = metadata["name"]
        return Live(
            at,
            SECRET,
            SecretSettings(
                name,
                texts.get(_IDENTITY, ""),
                login,
                str(document.get("type") or ""),
                # what was written is noted right after
                bool(written) or bool(notes.noted(at)) or not ours,
            ),
            marks,
            needs=self.needs(session.name, place.grant),
            native=f"secret {name} in namespace {place.namespace} of cluster {place.cluster}",
            etag=f"{metadata.get('uid', '')}/{metadata.get('resourceVersion', '')}",
            notes=by_others(document, "f:data", "what it holds") if login != GOOD else (),
        )

    def renew(self, session: HttpSession, desired: Desired, now: datetime) -> Renewal:
        """Reads and writes the one secret, and needs no right beyond that: neither notes nor service accounts."""
        at, place = desired.address, _place(desired.address)
        connection = session.ledger(Notes).clusters[place.cluster]
        for _ in range(_TRIES):
            document = _read(session, at)
            if document is None:
                return Renewal(at, Renewed.MISSING, message="there is no such secret yet: `reconciler apply` makes it")
            if _marks(document, place).owner != session.owner:
                return Renewal(
                    at, Renewed.FOREIGN, message="the secret of that name is somebody else's, and is left alone"
                )
            texts = annotations_of(document)
            said = _said(session, place, document, None)
            if said == GOOD and (_issuer(session).lasting or validity.used(texts, now) < validity.DUE):
                return Renewal(at, Renewed.GOOD, validity.ends(texts))
            if _issuer(session).lasting:
                # whoever runs this may not have heard of a rotation, and would put the former login back
                session.check()
            metadata = {key: document["metadata"][key] for key in ("uid", "resourceVersion")}
            try:
                login = _login(session, place)
                body: Document = {
                    "metadata": {**metadata, "annotations": validity.noted(login)},
                    "data": {login_document.KEY: login_document.written(login)},
                }
                connection.patch(SECRETS, place.namespace, document["metadata"]["name"], body)
            except PlatformError as error:
                if is_taken(error):
                    continue  # another run was faster
                error.message += f"; it held {said if said != GOOD else validity.left(texts)}"
                raise
            return Renewal(at, Renewed.RENEWED, login.expires_at, "" if said == GOOD else f"it held {said}")
        return Renewal(at, Renewed.FAILED, message="somebody else writes it again and again\nrun again")


def _addresses(notes: Notes, wanted: Mapping[Address, Desired], kind: str) -> dict[Address, Place]:
    """What is wanted or noted of a kind, with its place."""
    named = (at for cluster in notes.clusters for at in notes.addresses(cluster, kind))
    found = {*(at for at, item in wanted.items() if item.kind == kind), *named}
    return {at: place for at in sorted(found) if (place := Place.of(at)) is not None}


def _accounts_of(notes: Notes, place: Place, links: Mapping[Address, Place]) -> Iterator[Document | None]:
    for link in links.values():
        if (link.cluster, link.namespace, link.grant) == (place.cluster, place.namespace, place.grant):
            yield notes.accounts.get((link.cluster, link.namespace, link.account))


def _pending(place: Place) -> str:
    return (
        f"cluster {place.cluster}: namespace {place.namespace} is not there yet, or has no service account of grant {place.grant}:"
        " its pull secret is made once it has one"
    )


def _place(at: Address) -> Place:
    place = Place.of(at)
    if place is None:
        raise PlatformError("no pull secret has such an address", address=at, hint="make a new plan")
    return place


def _issuer(session: Any) -> LogsIn:
    if not isinstance(session, LogsIn):
        raise TypeError(f"platform {session.platform.name} makes no logins")
    return session


def _login(session: HttpSession, place: Place, beside: Iterable[tuple[Place, Document]] = ()) -> Credentials:
    """What a secret is to hold: a new login; where only some are good at a time, one for all secrets of the grant that a run writes.
    `beside`: other secrets of the grant, of which one may hold it already."""
    issuer = _issuer(session)
    if not isinstance(issuer, FewLogins):
        return issuer.login_of(place.grant)
    notes = session.ledger(Notes)
    with notes.choosing:
        if place.grant not in notes.logins:
            held = (_fresh(session, *item) for item in beside)
            found = next(filter(None, held), None)
            notes.logins[place.grant] = found or issuer.login_of(place.grant)
        return notes.logins[place.grant]


def _beside(session: HttpSession, place: Place) -> Iterator[tuple[Place, Document]]:
    """The other secrets of a grant that are noted and there."""
    for at in sorted(session.ledger(Notes).addresses(place.cluster, SECRET)):
        other = Place.of(at)
        if other is not None and other.grant == place.grant and other != place:
            document = _read(session, at)
            if document is not None:
                yield other, document


def _fresh(session: HttpSession, place: Place, document: Document) -> Credentials | None:
    """The login that a secret of ours holds, unless something is wrong with it, or it is due to be renewed."""
    texts, held = annotations_of(document), Held(document.get("data") or {})
    ours = _marks(document, place).owner == session.owner
    good = ours and held.login is not None and _said(session, place, document, None) == GOOD
    if not good or held.login is None or validity.used(texts, datetime.now(UTC)) >= validity.DUE:
        return None
    return Credentials(held.host, *held.login, validity.ends(texts), made_at=validity.made(texts))


def _read(session: HttpSession, at: Address) -> Document | None:
    place = _place(at)
    connection = session.ledger(Notes).clusters[place.cluster]
    return connection.read(SECRETS, place.namespace, place.secret_of(session.owner))


def _annotations(write: Write, place: Place, login: Credentials | None) -> dict[str, Any]:
    """What a secret says of itself. `login`: the one that is written with it, if one is."""
    where = {_NAMESPACE: place.namespace, _GRANT: place.grant}
    ends = validity.noted(login) if login is not None else {}
    return {**write.marks.texts(), **where, _IDENTITY: write.desired.settings.identity, **ends}


def _marks(document: Document, place: Place) -> Marks:
    texts = annotations_of(document)
    here = (place.namespace, place.grant)
    return Marks.of(texts) if (texts.get(_NAMESPACE), texts.get(_GRANT)) == here else Marks()


def _gone(notes: Notes, at: Address, place: Place, *, wanted: bool = True) -> Live:
    """A secret that is noted and not there."""
    marks = notes.marks(at)
    if not wanted and marks.owner and marks.applied is None:
        marks = replace(marks, applied="")  # it was to be made and was not: its note goes
    return Live(at, SECRET, SecretSettings("", ""), marks, vacant=True)


def _said(session: HttpSession, place: Place, document: Document, written: Credentials | None) -> str:
    """What is wrong with the login that a secret holds, in words; GOOD if nothing is."""
    issuer = _issuer(session)
    held = Held(document.get("data") or {})
    login = written or (issuer.login_of(place.grant) if issuer.lasting else None)
    host = login.registry if login is not None else issuer.login_host()
    if held.login is None:
        return login_document.UNREADABLE
    if held.host != host:
        return f"one of {held.host}"
    if held.others:
        return f"beside those of {all_of(held.others)}"
    if login is not None:
        return GOOD if held.login == (login.username, login.password) else "another one"
    if by_others(document, "f:data", ""):
        return "changed by hand"
    texts = annotations_of(document)
    if trouble := validity.trouble(texts, datetime.now(UTC)):
        return trouble
    end = validity.ends(texts)
    over = isinstance(issuer, FewLogins) and end is not None and issuer.is_over(place.grant, end)
    return "one that another has replaced" if over else GOOD
