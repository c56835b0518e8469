"""Pull secrets: what the pods of a namespace log in to a registry with.

They are changed in place: a node that has an image by a secret needs no new login for it as long as the secret is the same object
(KubeletEnsureSecretPulledImages, https://kep.k8s.io/2535).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

from reconciler.errors import Moved, PlatformError
from reconciler.model.address import Address
from reconciler.model.kind import Found, Home, Kind, Verb, Write
from reconciler.model.marks import Marks
from reconciler.model.renewal import Renewable, Renewal, Renewed
from reconciler.model.resource import Desired, Live
from reconciler.model.service import Credentials
from reconciler.platforms.http import HttpSession
from reconciler.spec.registry import RegistryBase
from reconciler.words import APPLY_AGAIN, Named

from . import login_document, validity, written_by
from .claims import addresses, claim
from .connection import SECRETS, Document, annotations_of, is_taken
from .in_cluster import InCluster
from .notes import LABELS, Notes
from .secret_login import (
    GRANT,
    LOGIN,
    NAMESPACE,
    beside,
    cut_off,
    ending,
    holds_some,
    in_its_place,
    issuer_of,
    known,
    login_for,
    lost_with,
    marks_of,
    place_of,
    read,
    said_of,
)
from .settings import GOOD, LINK, SECRET, Place, SecretSettings, nobody
from .used_by import used, users
from .written_by import by_others

_IDENTITY = "reconciler-identity"
#: a kubelet reads a pod's pull secrets by their names at each pull (kubernetes/kubernetes, pkg/kubelet/kubelet_pods.go)
_PODS = "pods that run and name it can't pull by it from then on: have them made anew, by `kubectl rollout restart` say"
#: how often a secret is read again that somebody else writes meanwhile
_TRIES = 5


class SecretKind(InCluster, Kind, Renewable):
    """The image pull secret of a grant in one namespace. `needs`: by registry and grant, whose login it holds; that stays until the
    secret is gone."""

    name = SECRET
    settings = SecretSettings
    immutable = frozenset({"type", "immutable"})
    permissions = {
        Verb.LIST: ("get configmaps", "get secrets", "get serviceaccounts"),
        Verb.READ: ("get configmaps", "get secrets"),
        Verb.CREATE: ("create configmaps", "patch configmaps", "create secrets"),
        Verb.UPDATE: ("patch configmaps", "patch secrets"),
        Verb.DELETE: ("get secrets", "delete secrets", "patch configmaps", "delete configmaps"),
    }

    def __init__(
        self,
        needs: Callable[[str, str], tuple[Address, ...]] = nobody,
        identity: Callable[[Any, str], str] | None = None,
        *,
        gives: bool = True,
    ) -> None:
        self.needs = needs
        #: whether it is what gives access, to whatever names it; else a login of the grant's own does
        self.gives = gives
        #: who logs in by a grant's secret, by the registry, in words
        self.identity = identity

    def shown(self, settings: SecretSettings) -> dict[str, Any]:
        # words that describe a login, which nobody shows
        return {**super().shown(settings), "login": Named(settings.login)}

    def usual(self, address: Address, home: Home) -> dict[str, Any]:
        usual = self.shown(SecretSettings("", ""))
        return {key: value for key, value in usual.items() if key not in ("secret", "identity")}

    def unasked(self, wanted: Desired, registry: RegistryBase) -> str | None:
        place, settings = Place.of(wanted.address), wanted.settings
        asked = SecretSettings(settings.secret, settings.identity)
        if place is None or not settings.secret.endswith(f"-{place.grant}"):
            return "secret"
        if self.identity is not None and settings.identity != self.identity(registry, place.grant):
            return "identity"
        return next(
            (key for key in ("login", "type", "noted", "immutable") if getattr(settings, key) != getattr(asked, key)),
            None,
        )

    def remarks_gone(self, live: Live) -> Iterable[str]:
        return live.notes if live.vacant else (*live.notes, _PODS)

    def list(self, session: HttpSession, wanted: Mapping[Address, Desired], found: Found) -> Iterator[Live]:
        notes = session.ledger(Notes)
        notes.look(wanted)
        notes.check_clusters()
        notes.check_room(wanted)
        claim(session)
        secrets, links = (addresses(notes, wanted, kind) for kind in (SECRET, LINK))
        by_secret: dict[Place, dict[Address, Place]] = {}
        for link, place in links.items():
            by_secret.setdefault(replace(place, account=""), {})[link] = place
        accounts = sorted({place.service_account for place in links.values()})
        accounts_there, there = session.maps(
            (lambda at: notes.tried(at[0], partial(notes.account, at)), accounts),
            (lambda at: notes.tried(secrets[at].cluster, partial(read, session, at)), secrets),
        )
        notes.accounts = dict(zip(accounts, accounts_there, strict=True))
        session.pending |= notes.left_behind(wanted)
        clusters = {place.cluster for at, place in secrets.items() if at in wanted}
        session.pending |= notes.out_of_sight(clusters)
        lacking = {} if session.giving_up else dict(notes.lacking(clusters))
        nowhere = [at for at, place in (*secrets.items(), *links.items()) if at in wanted and place.cluster in lacking]
        session.pending |= {at: lacking[place_of(at).cluster] for at in nowhere}
        for (at, place), document in zip(secrets.items(), there, strict=True):
            if isinstance(document, PlatformError):
                notes.barred(at, document, wanted=at in wanted)
                continue  # its note stays
            asked = at in wanted and not session.giving_up
            if document is not None and not asked and notes.noted(at) and in_its_place(document, place, session.owner):
                document = None  # its note goes
            if at in session.pending:
                yield replace(_gone(notes, at, place), moot=True)
                continue
            if document is not None and "deletionTimestamp" in document["metadata"] and asked:
                native = _native(document, place)
                session.pending[at] = f"{native} {ending(document)}: {APPLY_AGAIN} once it is gone"
                yield replace(_gone(notes, at, place), moot=True)
            elif document is not None:
                live = self._live(session, at, place, document, asked=asked)
                if at not in wanted and (why := notes.lost(live)):
                    session.pending[at] = why
                of_secret = by_secret.get(place, {})
                if self.gives and asked:
                    live = replace(live, cut_off=cut_off(live, users(notes, at, wanted, of_secret)))
                elif self.gives and (live.marks.owner == session.owner or holds_some(document)):
                    live = replace(live, foreign=tuple(used(notes, at, of_secret)))
                yield live
            elif asked and not any(
                notes.accounts.get(link.service_account) for link in by_secret.get(place, {}).values()
            ):
                session.pending[at] = _pending(place)
                yield replace(_gone(notes, at, place), moot=True)
            else:
                gone = _gone(notes, at, place, wanted=at in wanted)
                whom = users(notes, at, wanted, by_secret.get(place, {})) if self.gives and asked else ()
                gone = replace(gone, cut_off=cut_off(gone, whom))
                if at not in wanted or gone.marks.owner or gone.cut_off:
                    yield gone

    def read(self, session: HttpSession, addresses: Sequence[Address]) -> Iterator[Live]:
        notes = session.ledger(Notes)
        known = [(at, place) for at in addresses if (place := Place.of(at)) and place.cluster in notes.clusters]
        for (at, place), texts in zip(known, notes.read([at for at, _ in known]), strict=True):
            notes.learn(notes.carrier(at), texts)
            document = read(session, at)
            marks = marks_of(document, place, session.owner) if document is not None else Marks()
            if notes.taken(at) and marks.registry != session.name:
                continue
            if document is not None and notes.noted(at) and in_its_place(document, place, session.owner):
                document = None  # nobody adopts it: a type can't be changed
            if document is not None:
                yield self._live(session, at, place, document, asked=None)
            elif notes.marks(at).owner:
                yield _gone(notes, at, place)

    def meanwhile(self, live: Live) -> Iterator[Live]:
        """A refresh writes the login that it should be in the place of what somebody else has written."""
        if live.version:
            yield replace(live, version="")

    def fingerprint(self, live: Live | None) -> str:
        """Without what is said of the login: of what we have written ourselves, a refresh makes a good one, and each gets old."""
        if live is None or (
            live.vacant and live.marks.owner is None
        ):  # it is said only of whoever names what is not there
            return super().fingerprint(None)
        return super().fingerprint(replace(live, settings=replace(live.settings, login=GOOD)))

    def create(self, session: HttpSession, write: Write) -> Live:
        at = write.desired.address
        place = place_of(at)
        notes = session.ledger(Notes)
        _check_name(write, place, session.owner)
        login = login_for(session, place, beside(session, place))
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
            with _hiding(login, "somebody else has made a secret of that name meanwhile"):
                made = notes.clusters[place.cluster].create(SECRETS, place.namespace, body)
        return self._live(session, at, place, made, login)

    def update(self, session: HttpSession, write: Write, live: Live) -> Live:
        if live.vacant:
            return self.create(session, write)
        at = live.address
        place = place_of(at)
        notes = session.ledger(Notes)
        _check_name(write, place, session.owner)
        # another identity is another login, also where the registry is logged in to by the same host
        renews = live.settings.login != GOOD or live.settings.identity != write.desired.settings.identity
        login = login_for(session, place, beside(session, place)) if renews else None
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
        with notes.noting(write), _hiding(login, "somebody else has changed it meanwhile"):
            made = connection.patch(SECRETS, place.namespace, name, body)
        return self._live(session, at, place, made, login)

    def delete(self, session: HttpSession, live: Live, *, force: bool) -> None:
        at = live.address
        place = place_of(at)
        notes = session.ledger(Notes)
        document = read(session, at)
        marks = marks_of(document, place, session.owner) if document is not None else Marks()
        # another registry of the spec may have made it meanwhile, or have taken the name of one that was
        if document is not None and marks.owner == session.owner and not marks.elsewhere(session.name):
            with _hiding(None, "somebody else has changed it meanwhile"):
                notes.clusters[place.cluster].delete(SECRETS, place.namespace, document)
            left = read(session, at)
            if left is not None and "deletionTimestamp" in left["metadata"]:
                hint = "have whoever has set them take them away, and apply again: until then it stays, with its login"
                raise PlatformError(ending(left), address=at, operation="delete secrets", hint=hint)
        notes.forget(at)

    def _live(
        self,
        session: HttpSession,
        at: Address,
        place: Place,
        document: Document,
        written: Credentials | None = None,
        *,
        asked: bool | None = True,
    ) -> Live:
        """A secret as it is there. `written`: the login that was written just now. `asked`: whether somebody must know how its login
        stands; False: nobody, since it goes; None: if it can be known."""
        notes = session.ledger(Notes)
        metadata, texts = document["metadata"], annotations_of(document)
        marks = marks_of(document, place, session.owner)
        ours = marks.owner == session.owner
        login = known(partial(said_of, session, place, document, written), asked)
        name = metadata["name"]
        stuck = bool(document.get("immutable")) and login != GOOD
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
                stuck,
            ),
            marks,
            needs=self.needs(session.name, place.grant),
            native=_native(document, place),
            etag=f"{metadata.get('uid', '')}/{metadata.get('resourceVersion', '')}",
            notes=()
            if login == GOOD
            else (*by_others(document, LOGIN, "what it holds"), *lost_with(session, document)),
            version="" if written_by.ours(document, LOGIN) else str(metadata.get("resourceVersion") or "?"),
        )

    def renew(self, session: HttpSession, desired: Desired, now: datetime) -> Renewal:
        """Reads and writes the one secret, and needs no right beyond that: neither notes nor service accounts."""
        at, place = desired.address, place_of(desired.address)
        connection = session.ledger(Notes).clusters[place.cluster]
        for _ in range(_TRIES):
            document = read(session, at)
            if document is None:
                return Renewal(at, Renewed.MISSING, message="there is no such secret yet: `reconciler apply` makes it")
            marks = marks_of(document, place, session.owner)
            if marks.owner == session.owner and marks.elsewhere(session.name):
                said = (
                    f"the secret belongs to registry {marks.registry}, and no login of another one is written into it"
                )
                return Renewal(at, Renewed.FAILED, message=f"{said}\nrun `reconciler plan`, which says how it moves")
            if marks.owner != session.owner:
                return Renewal(
                    at, Renewed.FOREIGN, message="the secret of that name is somebody else's, and is left alone"
                )
            if document.get("type") != login_document.TYPE:
                said = (
                    f"it is of type {document.get('type')}, which no kubelet logs in with, and which can't be changed"
                )
                return Renewal(at, Renewed.FAILED, message=f"{said}\nrun `reconciler apply`, which makes it anew")
            texts, lasting = annotations_of(document), issuer_of(session).lasting
            if lasting:
                # whoever runs this may not have heard of a rotation: neither is what the secret holds good then, if it is the
                # same, nor must the former login be put back
                session.check()
            said = said_of(session, place, document, None)
            if said == GOOD and (lasting or validity.used(texts, now) < validity.DUE):
                return Renewal(at, Renewed.GOOD, validity.ends(texts))
            metadata = {key: document["metadata"][key] for key in ("uid", "resourceVersion")}
            try:
                login = login_for(session, place)
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


def _check_name(write: Write, place: Place, owner: str) -> None:
    """Fails where a plan file says another name than the secret has. Raises PlatformError."""
    if write.desired.settings.secret != place.secret_of(owner):
        raise PlatformError(
            f"the plan names another secret than {place.secret_of(owner)}, which it would make",
            address=write.desired.address,
            hint="make a new plan: somebody has edited this one",
        )


@contextmanager
def _hiding(login: Credentials | None, taken: str) -> Iterator[None]:
    """Errors of a write inside repeat no login that is written. Raises Moved, in these words, where somebody was faster."""
    try:
        yield
    except PlatformError as error:
        if is_taken(error):
            raise Moved(taken) from None
        if login is not None:
            error.message = login_document.without(error.message, login)
        raise


def _native(document: Document, place: Place) -> str:
    return f"secret {document['metadata']['name']} in namespace {place.namespace} of cluster {place.cluster}"


def _pending(place: Place) -> str:
    return (
        f"namespace {place.namespace} of cluster {place.cluster} is not there, or has no service account of grant {place.grant}:"
        f" {APPLY_AGAIN} once it has one"
    )


def _annotations(write: Write, place: Place, login: Credentials | None) -> dict[str, Any]:
    """What a secret says of itself. `login`: the one that is written with it, if one is."""
    where = {NAMESPACE: place.namespace, GRANT: place.grant}
    ends = validity.noted(login) if login is not None else {}
    return {**write.marks.texts(), **where, _IDENTITY: write.desired.settings.identity, **ends}


def _gone(notes: Notes, at: Address, place: Place, *, wanted: bool = True) -> Live:
    """A secret that is noted and not there."""
    marks = notes.marks(at)
    if not wanted and marks.owner and marks.applied is None:
        marks = replace(marks, applied="")  # it was to be made and was not: its note goes
    return Live(at, SECRET, SecretSettings("", ""), marks, vacant=True)
