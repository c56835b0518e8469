"""The login of a pull secret: which one it is to hold, and what is wrong with the one that it holds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from reconciler.errors import PlatformError
from reconciler.model.access import Access
from reconciler.model.address import Address
from reconciler.model.marks import Marks
from reconciler.model.resource import Live
from reconciler.model.service import Credentials, FewLogins, LogsIn
from reconciler.platforms.http import HttpSession
from reconciler.words import all_of, counted, plural

from . import login_document, validity
from .connection import SECRETS, Document, annotations_of
from .login_document import Held
from .notes import Notes
from .settings import GOOD, SECRET, Place
from .written_by import by_others

#: where a secret says that it was made: a copy of it in another namespace is not ours
NAMESPACE, GRANT = "reconciler-namespace", "reconciler-grant"
#: the field that the login is in, as `metadata.managedFields` name it
LOGIN = f"f:data/f:{login_document.KEY}"
#: how what is said of a login begins that is for another registry, or was ended by a newer one
_ELSEWHERE, _REPLACED = "one of", "one that another has replaced"
#: what is said of a login that is not the one that it is to be
_OTHER, _BY_HAND = "another one", "changed by hand"


def issuer_of(session: Any) -> LogsIn:
    if not isinstance(session, LogsIn):
        raise TypeError(f"platform {session.platform.name} makes no logins")
    return session


def login_for(session: HttpSession, place: Place, beside: Iterable[tuple[Place, Document]] = ()) -> Credentials:
    """What a secret is to hold: a new login; where only some are good at a time, one for all secrets of the grant that a run writes.
    `beside`: other secrets of the grant, of which one may hold it already."""
    issuer = issuer_of(session)
    if not isinstance(issuer, FewLogins):
        return issuer.login_of(place.grant)
    notes = session.ledger(Notes)
    with notes.choosing:
        if place.grant not in notes.logins:
            held = (_fresh(session, *item) for item in beside)
            found = next(filter(None, held), None)
            notes.logins[place.grant] = found or issuer.login_of(place.grant)
        return notes.logins[place.grant]


def beside(session: HttpSession, place: Place) -> Iterator[tuple[Place, Document]]:
    """The other secrets of a grant that are noted and there."""
    for at in sorted(session.ledger(Notes).addresses(place.cluster, SECRET)):
        other = Place.of(at)
        if other is not None and other.grant == place.grant and other != place:
            document = read(session, at)
            if document is not None:
                yield other, document


def _fresh(session: HttpSession, place: Place, document: Document) -> Credentials | None:
    """The login that a secret of ours holds, unless something is wrong with it, or it is due to be renewed."""
    texts, held = annotations_of(document), Held(document.get("data") or {})
    ours = marks_of(document, place, session.owner).owner == session.owner
    good = ours and held.login is not None and said_of(session, place, document, None) == GOOD
    if not good or held.login is None or validity.used(texts, datetime.now(UTC)) >= validity.DUE:
        return None
    return Credentials(held.host, *held.login, validity.ends(texts), made_at=validity.made(texts))


def known(said: Callable[[], str], asked: bool | None) -> str:
    if asked is False:
        return GOOD
    try:
        return said()
    except PlatformError:
        if asked:
            raise
        return "not known"


def said_of(session: HttpSession, place: Place, document: Document, written: Credentials | None) -> str:
    """What is wrong with the login that a secret holds, in words; GOOD if nothing is."""
    held = Held(document.get("data") or {})
    found = _wrong(session, place, document, held, written)
    return login_document.UNUSUAL if found == GOOD and not held.usual else found


def _wrong(session: HttpSession, place: Place, document: Document, held: Held, written: Credentials | None) -> str:
    issuer = issuer_of(session)
    login = written or (issuer.login_of(place.grant) if issuer.lasting else None)
    host = login.registry if login is not None else issuer.login_host()
    if held.login is None:
        return login_document.UNREADABLE
    if held.host != host:
        return f"{_ELSEWHERE} {held.shown}"
    if held.others:
        return f"beside {counted(len(held.others), 'other login')}"
    if login is not None:
        return GOOD if held.login == (login.username, login.password) else _OTHER
    if by_others(document, LOGIN, ""):
        return _BY_HAND
    texts = annotations_of(document)
    if trouble := validity.trouble(texts, datetime.now(UTC)):
        return trouble
    end = validity.ends(texts)
    over = isinstance(issuer, FewLogins) and end is not None and issuer.is_over(place.grant, end)
    return _REPLACED if over else GOOD


def lost_with(session: HttpSession, document: Document) -> tuple[str, ...]:
    """That a write of the login takes those for other registries, in a sentence; none if it holds none."""
    host = issuer_of(session).login_host()
    others = sorted({login_document.shown(item) for item in Held(document.get("data") or {}).hosts if item != host})
    if not others:
        return ()
    logins = plural(len(others), "login", "logins")
    return (
        f"its {logins} for {all_of(others)} {plural(len(others), 'goes', 'go')}: it is to hold that of registry {session.name} alone",
    )


def cut_off(live: Live, users: Iterable[Access]) -> tuple[Access, ...]:
    """What those who use a secret can do by it once an apply has put it right, and can't now; of another login that somebody has put
    there nobody knows it."""
    said = live.settings.login
    useless = (login_document.UNREADABLE, f"{_ELSEWHERE} ", _REPLACED, validity.ENDED)
    if live.vacant or live.settings.type != login_document.TYPE or said.startswith(useless):
        return tuple(users)
    unknown = said in (_OTHER, _BY_HAND) and live.version
    return tuple(replace(item, may=True) for item in users) if unknown else ()


def read(session: HttpSession, at: Address) -> Document | None:
    place = place_of(at)
    connection = session.ledger(Notes).clusters[place.cluster]
    return connection.read(SECRETS, place.namespace, place.secret_of(session.owner))


def marks_of(document: Document, place: Place, owner: str) -> Marks:
    """The marks of a secret that was made where it is, for that grant: a copy elsewhere is nobody's. Another spec's stay its own, by
    whichever of its grants: two specs and their grants may come to one name. `owner`: who asks."""
    texts = annotations_of(document)
    if texts.get(NAMESPACE) != place.namespace:
        return Marks()
    found = Marks.of(texts)
    return found if texts.get(GRANT) == place.grant or found.owner != owner else Marks()


def in_its_place(document: Document, place: Place, owner: str) -> bool:
    """Whether a secret is somebody else's, and of a type that holds no login: what was noted there is gone."""
    return marks_of(document, place, owner).owner != owner and document.get("type") != login_document.TYPE


def holds_some(document: Document) -> bool:
    """Whether there is any login in a secret, read or not."""
    return bool(Held(document.get("data") or {}).hosts)


def ending(document: Document) -> str:
    """That it is being deleted."""
    finalizers = [str(item) for item in document["metadata"].get("finalizers") or ()]
    return (
        f"is being deleted, and waits for its finalizers ({', '.join(finalizers)})"
        if finalizers
        else "is being deleted"
    )


def place_of(at: Address) -> Place:
    place = Place.of(at)
    if place is None:
        raise PlatformError("no pull secret has such an address", address=at, hint="make a new plan")
    return place
