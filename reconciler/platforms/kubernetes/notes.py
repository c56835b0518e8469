"""What a spec has made in a cluster, noted in a ConfigMap of the cluster. The secrets: so that those which the spec wants no longer
are found without the right to list secrets, which shows what all of them hold. And the links: a list of names has no place for marks.

One entry for each, so that nobody who writes another one is in the way.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence, Set
from contextlib import suppress
from functools import partial
from threading import Lock
from typing import TypeVar

from reconciler.errors import PlatformError, TimeIsUp
from reconciler.model.address import Address
from reconciler.model.canonical import digest
from reconciler.model.kind import Write
from reconciler.model.ledger import Ledger, Texts
from reconciler.model.marks import OWNER, REGISTRY, Marks
from reconciler.model.resource import Desired, Live
from reconciler.model.service import Credentials
from reconciler.platforms.http import HttpSession
from reconciler.words import APPLY_AGAIN

from .connection import ACCOUNTS, NOTES, Connection, Document, annotations_of, is_taken
from .settings import LINK, SECRET, Place
from .trouble import FORBIDDEN, GONE, NO_NAMESPACE, NoAnswer

T = TypeVar("T")

#: what selects everything that this tool makes
LABELS = {"app.kubernetes.io/managed-by": "reconciler"}
#: the kind of the carrier's address; no resource of the spec has it
_CARRIER = "note"
#: a namespace that each cluster has:
#: https://kubernetes.io/docs/concepts/overview/working-with-objects/namespaces/#initial-namespaces
_ALWAYS = "default"
#: bytes of a ConfigMap's values: https://kubernetes.io/docs/concepts/configuration/configmap/#motivation
_MOST = 1 << 20
#: an applied hash, of which all are as long
_APPLIED_AS = "v1-0123456789abcdef"
_REGISTRY, _KIND, _NAME, _APPLIED = "registry", "kind", "name", "applied"


def name_of(owner: str) -> str:
    """What the ConfigMap of a spec is called."""
    return f"reconciler-{owner}-notes"


class Notes(Ledger):
    """The notes of one registry's session, and its connections to the clusters. What is noted of a link is its applied hash."""

    def __init__(self, session: HttpSession) -> None:
        super().__init__(session)
        self.clusters = {item.name: Connection(session, item) for item in session.estate.clusters}
        self.registries = frozenset(item.name for item in session.estate.registries)
        self._uids: dict[str, str] = {}
        #: what a listing has read of service accounts, by cluster, namespace and name, or why it could not
        self.accounts: dict[tuple[str, str, str], Document | PlatformError | None] = {}
        #: the clusters that a listing could not look at, each with why, and those that it had no need to look at
        self.troubles: dict[str, PlatformError] = {}
        self.unasked: frozenset[str] = frozenset()
        #: of the secrets that are noted of registries which the spec has no longer, those of another one by their mark, with that
        self.claimed: dict[Address, str] = {}
        #: by grant, the login that this run writes into all of its secrets, where too many would end each other; `choosing` is held
        #: by whoever chooses one
        self.logins: dict[str, Credentials] = {}
        self.choosing = Lock()

    def account(self, at: tuple[str, str, str]) -> Document | None:
        """A service account, by cluster, namespace and name; None if it isn't there. Raises PlatformError."""
        cluster, namespace, name = at
        return self.clusters[cluster].read(ACCOUNTS, namespace, name)

    def close(self) -> None:
        """Closes the connections."""
        for connection in self.clusters.values():
            connection.close()

    def carrier(self, at: Address) -> Address:
        return self.of(at.name.partition("/")[0])

    def of(self, cluster: str) -> Address:
        """Where the notes of a cluster stand."""
        return Address.of(self.session.name, _CARRIER, cluster)

    def key(self, at: Address) -> str:
        # without the cluster and the registry, which may get other names in the spec: what there is has one note
        return f"{at.kind}.{digest(at.name.partition('/')[2])}"

    def entries(self, desired: Desired, applied: str) -> Texts:
        at = desired.address
        where = {_REGISTRY: at.registry, _KIND: at.kind, _NAME: at.name.partition("/")[2]}
        return {self.key(at): json.dumps({**where, **({_APPLIED: applied} if applied else {})})}

    def claims(self, write: Write) -> Texts:
        """Before the write: what is written leaves no trace of whose it is."""
        return self.entries(write.desired, "")

    def noted(self, at: Address) -> Collection[str]:
        return (self.key(at),) if self.marks(at).owner is not None else ()

    def marks(self, at: Address, texts: Texts | None = None) -> Marks:
        """Whose the resource at an address is by its note; none if nothing is noted."""
        found = self.by_any_registry(at, texts)
        return found if found.registry == at.registry else Marks()

    def by_any_registry(self, at: Address, texts: Texts | None = None) -> Marks:
        """The same as the registry of the spec has noted it that made the resource, whatever that is called."""
        entry = _read((self.texts(self.carrier(at)) if texts is None else texts).get(self.key(at), ""))
        noted = _address(entry, at.name.partition("/")[0])
        if noted is None or (noted.kind, noted.name) != (at.kind, at.name):
            return Marks()
        return Marks(self.session.owner, "spec", entry.get(_APPLIED) or None, noted.registry)

    def taken(self, at: Address) -> bool:
        """Whether another registry of the spec has noted what stands at an address, so that nothing there is this one's."""
        noted = self.by_any_registry(at)
        return noted.elsewhere(at.registry) and noted.registry in self.registries

    def lost(self, live: Live) -> str:
        """That what is noted of this registry stays, since it says of itself that it is of one that the spec does not have, in words;
        "" if not."""
        noted, marks = self.marks(live.address), live.marks
        if noted.owner is None or marks.owner != noted.owner or marks.registry in (None, *self.registries):
            return ""
        return (
            f"{live.native} stays, with its login: its mark {REGISTRY} says '{marks.registry}', which the spec does not have; set it"
            f" back to {self.session.name} and apply, or delete it by hand"
        )

    def addresses(self, cluster: str, kind: str) -> Iterator[Address]:
        """The addresses of a kind in this registry that a listing has found noted, or its registry has by a mark (`claimed`)."""
        for noted in self._noted(cluster):
            at = self._here(noted)
            ours = noted.registry == self.session.name or self.claimed.get(_secret_of(at)) == self.session.name
            if at.kind == kind and ours:
                yield at

    def strays(self) -> Iterator[Address]:
        """Where the secrets would stand in this registry that are noted of one which the spec has no longer."""
        found = (noted for name in self.clusters.keys() - self.unasked for noted in self._noted(name))
        yield from (
            self._here(noted) for noted in found if noted.kind == SECRET and noted.registry not in self.registries
        )

    def _noted(self, cluster: str) -> Iterator[Address]:
        for key, text in self.texts(self.of(cluster)).items():
            at = _address(_read(text), cluster)
            if at is not None and Place.of(at) is not None and self.key(at) == key:
                yield at

    def _here(self, at: Address) -> Address:
        return Address.of(self.session.name, at.kind, at.name)

    def forget(self, at: Address) -> None:
        """Takes the note away, also that of a registry which the spec has no longer: this one has got it by its mark."""
        noted = self.by_any_registry(at).registry
        left = (self.key(at),) if noted is not None and not self.taken(at) else ()
        self.change(at, {}, [*left])

    def look(self, wanted: Collection[Address]) -> None:
        """For a listing: reads the notes in each cluster, or in those alone that have what the caller named. One that can't be read
        is in `troubles`, and those that were left out are `unasked`, with nothing seen there of what is wanted."""
        named = [self._cluster_of(at) for at in self.session.targeted]
        self.unasked = frozenset(self.clusters.keys() - set(named)) if named and "" not in named else frozenset()
        self.session.unseen |= {at: "" for at in wanted if self._cluster_of(at) in self.unasked}
        carriers = [self.of(name) for name in self.clusters if name not in self.unasked]
        found = self.session.map(lambda carrier: self.tried(carrier.name, partial(self._fetched, carrier)), carriers)
        for carrier, texts in zip(carriers, found, strict=True):
            if isinstance(texts, PlatformError):
                self.troubles[carrier.name] = texts
            else:
                self.learn(carrier, texts)

    @staticmethod
    def _cluster_of(at: Address) -> str:
        place = Place.of(at) if at.kind in (SECRET, LINK) else None
        return place.cluster if place is not None else ""

    def tried(self, cluster: str, read: Callable[[], T]) -> T | PlatformError:
        """What is read in a cluster, or why it can't be: that is up to whoever wants it. A cluster from which no answer came is not
        asked again. Raises TimeIsUp."""
        if cluster in self.troubles:
            return self.troubles[cluster]
        try:
            return read()
        except TimeIsUp:
            raise
        except PlatformError as error:
            if isinstance(error, NoAnswer) and not error.code:
                self.troubles[cluster] = error
            return error

    def out_of_sight(self, wanted: Collection[str]) -> Mapping[Address, str]:
        """That a cluster could not be looked at in which nothing is wanted, in words, by where its notes stand, after a listing.
        `wanted`: clusters in which something is."""
        return {
            self.of(
                name
            ): f"{self.troubles[name].message}: what grants that left the spec have made in cluster {name} stays as it is"
            f" until a plan can look at it; {APPLY_AGAIN} then, or take it out of the spec if it is gone for good, or the spec has"
            " never made anything there"
            for name in sorted(self.troubles.keys() - wanted)
        }

    def barred(self, at: Address, error: PlatformError, *, wanted: bool) -> None:
        """For a listing: that something can't be looked at, and how to let go of it where nobody can ever again."""
        why, place = error.sentence, Place.of(at)
        if error.code == FORBIDDEN and not wanted and place is not None:
            home = self.clusters[place.cluster].cluster.namespace
            why = (
                f"{error.message}; allow that again, or, if namespace {place.namespace} is gone, let that user get namespaces, or"
                f" take {self.key(at)} out of ConfigMap {name_of(self.session.owner)} in namespace {home}"
            )
        self.session.barred(at, why, wanted=wanted)

    def left_behind(self, wanted: Collection[Address]) -> Mapping[Address, str]:
        """What is noted of registries that the spec does not have, with what to do, in words, after a listing. `wanted`: what
        the spec has in this registry now: it goes by the mark of its secret."""
        notes = name_of(self.session.owner)
        here = {(at.kind, at.name) for at in wanted}
        noted = (
            at
            for name in self.clusters.keys() - self.unasked - self.troubles.keys()
            for text in self.texts(self.of(name)).values()
            if (at := _address(_read(text), name)) is not None
        )
        return {
            at: f"it was made for registry {at.registry}, which the spec does not have: it stays, with its login; put that registry"
            f" back without its grants and apply, or delete it by hand with its line in ConfigMap {notes}"
            for at in noted
            if at.registry not in self.registries
            and (at.kind, at.name) not in here
            and _secret_of(self._here(at)) not in self.claimed
        }

    def lacking(self, wanted: Set[str]) -> Iterator[tuple[str, str]]:
        """Which clusters of these lack the namespace of the notes, after what is there was read, and what to do, in words. That is
        asked for only where nothing that was read shows it, and whoever may not ask does not know."""
        for name in sorted(wanted - self.troubles.keys() - self.unasked):
            connection = self.clusters[name]
            namespace = connection.cluster.namespace
            seen = {at[1] for at, found in self.accounts.items() if at[0] == name and isinstance(found, dict)}
            if name not in self._uids and namespace not in {_ALWAYS, *seen} and connection.home == "":
                yield (
                    name,
                    f"namespace {namespace} of cluster {name}, in which the spec notes what it makes there, does not exist: make it,"
                    f" or give the cluster another `namespace` in the spec, and {APPLY_AGAIN} then",
                )

    def check_clusters(self) -> None:
        """Fails if two of the clusters have the same notes, and so are one. Raises PlatformError."""
        first: dict[str, str] = {}
        # in the spec's order, whichever answered first
        for name in (item for item in self.clusters if item in self._uids):
            if (other := first.setdefault(self._uids[name], name)) != name:
                raise PlatformError(
                    f"clusters {other} and {name} are one: what one of them makes, the other would take for what nobody wants",
                    address=self.session.name,
                    operation=f"get {NOTES}",
                    hint="take one of them out of the spec, and name the other in its grants",
                )

    def check_room(self, wanted: Mapping[Address, Desired]) -> None:
        """Fails if a ConfigMap can't hold what a cluster would have to note, after a listing. Raises PlatformError."""
        for name in sorted(self.clusters.keys() - self.troubles.keys() - self.unasked):
            texts = dict(self.texts(self.of(name)))
            for at, item in wanted.items():
                if self._cluster_of(at) == name:
                    texts |= self.entries(item, _APPLIED_AS)
            size = sum(len(text.encode()) for text in texts.values())
            if size > _MOST:
                raise PlatformError(
                    f"the notes of what the spec makes in cluster {name} would take {size} bytes, and a ConfigMap holds {_MOST}",
                    address=self.session.name,
                    operation=f"get {NOTES}",
                    hint="name fewer service accounts and namespaces in the spec, or make two specs of it: each has notes of its own",
                )

    def fetch(self, carriers: Sequence[Address]) -> Sequence[Texts]:
        found: Sequence[Texts] = self.session.map(self._fetched, carriers)
        return found

    def _fetched(self, carrier: Address) -> Texts:
        connection = self.clusters[carrier.name]
        found = connection.read(NOTES, connection.cluster.namespace, name_of(self.session.owner))
        if found is None:
            self._uids.pop(connection.name, None)
            return {}
        self._uids[connection.name] = str(found["metadata"].get("uid"))
        return self._data(connection, found)

    def _data(self, connection: Connection, found: Document) -> Texts:
        whose = annotations_of(found).get(OWNER)
        if whose != self.session.owner:
            place = f"{connection.cluster.namespace} of cluster {connection.name}"
            raise PlatformError(
                f"ConfigMap {name_of(self.session.owner)} in namespace {place} "
                + (f"belongs to spec {whose}" if whose else "was not made by reconciler"),
                address=self.session.name,
                operation=f"get {NOTES}",
                hint="rename it, or give the cluster another `namespace` in the spec",
            )
        if found.get("immutable"):
            raise PlatformError(
                f"ConfigMap {name_of(self.session.owner)} of cluster {connection.name} is immutable: nothing can be noted in it",
                address=self.session.name,
                operation=f"get {NOTES}",
                hint="make it anew without `immutable`, with the data that it has",
            )
        return found.get("data") or {}

    def write(self, at: Address, put: Texts, remove: Sequence[str]) -> None:
        carrier = self.carrier(at)
        connection = self.clusters[carrier.name]
        namespace, name = connection.cluster.namespace, name_of(self.session.owner)
        if carrier not in self._known:
            self.learn(carrier, self._fetched(carrier))  # whose it is, before it is written
        try:
            found = connection.patch(NOTES, namespace, name, {"data": {**put, **dict.fromkeys(remove)}})
        except PlatformError as error:
            if error.code != GONE:
                raise
            found = self._made(connection, put) if put else {}
        data = self._data(connection, found) if found else {}
        self.learn(carrier, data)
        if found and not data:
            with suppress(PlatformError):  # one that notes nothing is in nobody's way
                connection.delete(NOTES, namespace, found)

    def withdraw(self, at: Address, claims: Texts) -> None:
        """Where it still stands as it was written: what another run has made meanwhile is noted otherwise."""
        connection = self.clusters[self.carrier(at).name]
        namespace, name = connection.cluster.namespace, name_of(self.session.owner)
        found = connection.read(NOTES, namespace, name)
        data = self._data(connection, found) if found is not None else {}
        if found is None or not (left := {key: None for key, text in claims.items() if data.get(key) == text}):
            return
        metadata = {key: found["metadata"][key] for key in ("uid", "resourceVersion")}
        with suppress(PlatformError):  # a note of what is not there is in nobody's way
            connection.patch(NOTES, namespace, name, {"metadata": metadata, "data": left})

    def _made(self, connection: Connection, put: Texts) -> Document:
        namespace, name = connection.cluster.namespace, name_of(self.session.owner)
        metadata = {"name": name, "labels": LABELS, "annotations": {OWNER: self.session.owner}}
        try:
            return connection.create(NOTES, namespace, {"metadata": metadata, "data": dict(put)})
        except PlatformError as error:
            if error.code == NO_NAMESPACE:
                error.hint = f"make it, or give cluster {connection.name} another `namespace` in the spec: it holds the spec's notes"
            if not is_taken(error):
                raise
            return connection.patch(NOTES, namespace, name, {"data": dict(put)})  # another run was faster


def _address(entry: Mapping[str, str], cluster: str) -> Address | None:
    """Of what an entry is, in that cluster; None if it is no entry of ours."""
    if not all(entry.get(key) for key in (_REGISTRY, _KIND, _NAME)):
        return None
    at = Address.of(entry[_REGISTRY], entry[_KIND], f"{cluster}/{entry[_NAME]}")
    return at if (at.registry, at.kind) == (entry[_REGISTRY], entry[_KIND]) else None


def _secret_of(at: Address) -> Address:
    """A secret's own address, or that of a link's secret."""
    place = Place.of(at)
    return place.secret_at(at.registry) if place is not None else at


def _read(text: str) -> Mapping[str, str]:
    try:
        found = json.loads(text or "{}")
    except (ValueError, RecursionError):
        return {}
    plain = isinstance(found, dict) and all(isinstance(value, str) for value in found.values())
    return found if plain else {}
