"""The small JSON documents of a local registry: the one place that knows how they look.

    PATH/control/repositories/NAME.json   a repository's settings, its labels (ours and other people's), its marks
    PATH/control/access/NAME.json         who may use it: entries of ours, each with its grant, and foreign ones; its marks
    PATH/control/credentials/ID.json      what was issued to log in with: whose it is, until when, a salted hash of the secret
    PATH/control/server/running.json      where the registry is served, while it is

A document that is parsed and written keeps what others put into it: labels that our mark does not list, and entries without a
grant, whole. Each has `parse(name, document)`, which makes it from stored JSON, and `to_json()`, which gives that JSON.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Self

from reconciler.model.canonical import plain
from reconciler.model.marks import ADOPTED, APPLIED, LABELS, ORIGIN, OWNER, REGISTRY, Marks

from .store import Document, Section, Store

#: the user of an entry for everybody, also for those who have not logged in
EVERYONE = "*"
#: what each permission lets its user do
VERBS: Mapping[str, tuple[str, ...]] = {"pull": ("pull",), "push-pull": ("pull", "push")}
#: of what no spec made
NO_MARKS = Marks()
#: the lock that the server holds whose place is written down
_SERVING = ".serving"
#: the name of the only document of its section
_RUNNING = "running"


@dataclass(frozen=True, slots=True)
class RepositorySettings:
    """What a local repository can be set to. `labels`: ours alone. `scan_on_push` is kept, and nothing scans."""

    description: str = ""
    tags_immutable: bool = False
    movable_tags: tuple[str, ...] = ()
    scan_on_push: bool = False
    keep_last: int | None = None
    untagged_days: int | None = None
    keep_tags: tuple[str, ...] = ()
    labels: tuple[tuple[str, str], ...] = ()
    protect: bool = False
    delete_images: bool = False


NO_SETTINGS = RepositorySettings()
#: settings that are lists; a text by itself is one of them
_LISTS = ("movable_tags", "keep_tags")
_STORED_SETTINGS = frozenset(RepositorySettings.__dataclass_fields__) - {"labels"}


@dataclass(frozen=True, slots=True)
class RepositoryDocument:
    """A repository. `foreign_labels`: those that our mark does not list, and those whose place a label of ours has taken, which are
    kept beside it. `created_at`: None of what was made before that was noted."""

    name: str
    settings: RepositorySettings = NO_SETTINGS
    marks: Marks = NO_MARKS
    foreign_labels: Mapping[str, str] = field(default_factory=dict)
    created_at: datetime | None = None

    @classmethod
    def parse(cls, name: str, document: Document) -> Self:
        labels = document.get("labels") or {}
        marks = document.get("marks") or {}
        own = set((marks.get(LABELS) or "").split())
        known: dict[str, Any] = {
            key: (value,)
            if key in _LISTS and isinstance(value, str)
            else tuple(value)
            if isinstance(value, list)
            else value
            for key, value in (document.get("settings") or {}).items()
            if key in _STORED_SETTINGS
        }
        settings = RepositorySettings(**known, labels=tuple(sorted(item for item in labels.items() if item[0] in own)))
        hash(settings)  # what can't be hashed is no plain value: TypeError
        _check_numbers(settings)
        return cls(
            name,
            settings,
            Marks.of(marks),
            {
                **{key: value for key, value in labels.items() if key not in own},
                **{key: value for key, value in (document.get("displaced_labels") or {}).items() if key in own},
            },
            _time(document.get("created_at")),
        )

    def to_json(self) -> Document:
        settings, own = self.settings, dict(self.settings.labels)
        displaced = {key: value for key, value in self.foreign_labels.items() if key in own}
        return {
            "settings": {key: value for key, value in plain(settings).items() if key in _STORED_SETTINGS},
            "labels": {**self.foreign_labels, **own},
            **({"displaced_labels": displaced} if displaced else {}),
            "marks": {**_stored(self.marks), LABELS: " ".join(own)} if own or self.marks != NO_MARKS else {},
            **({"created_at": self.created_at.isoformat()} if self.created_at is not None else {}),
        }


def _time(text: Any) -> datetime | None:
    found = datetime.fromisoformat(text) if text is not None else None
    if found is not None and found.tzinfo is None:
        raise ValueError("created_at must have a time zone")
    return found


def _check_numbers(settings: RepositorySettings) -> None:
    for name in ("keep_last", "untagged_days"):
        found = getattr(settings, name)
        if found is not None and (type(found) is not int or found < 1):
            raise ValueError(f"{name} must be a whole number, 1 or more")


@dataclass(frozen=True, slots=True)
class Entry:
    """One grant: its users and what they may do."""

    grant: str
    users: tuple[str, ...]
    permission: str = "pull"


#: the key of an entry that a program made
AT_RUNTIME = "runtime"


@dataclass(frozen=True, slots=True)
class ForeignEntry:
    """An entry that no spec made. `users` and `permission`: as written, also if this release does not know them.

    `stored`: all of it, as it was found.
    """

    users: tuple[Any, ...]
    permission: str
    stored: Document

    @property
    def at_runtime(self) -> bool:
        """Whether a program made it by the runtime interface."""
        return self.stored.get(AT_RUNTIME) is True


@dataclass(frozen=True)
class AccessDocument:
    """Who may use a repository. `entries`: ours, sorted by grant. `foreign`: other people's, in their own order."""

    name: str
    entries: tuple[Entry, ...] = ()
    marks: Marks = NO_MARKS
    foreign: tuple[ForeignEntry, ...] = ()

    @classmethod
    def parse(cls, name: str, document: Document) -> Self:
        found = document.get("entries") or []
        own = sorted((item for item in found if item.get("grant")), key=lambda item: str(item["grant"]))
        return cls(
            name,
            tuple(
                Entry(str(item["grant"]), tuple(map(str, _users(item))), str(item.get("permission", "pull")))
                for item in own
            ),
            Marks.of(document.get("marks") or {}),
            tuple(
                ForeignEntry(_users(item), str(item.get("permission", "pull")), item)
                for item in found
                if not item.get("grant")
            ),
        )

    def to_json(self) -> Document:
        own = ({"grant": e.grant, "users": list(e.users), "permission": e.permission} for e in self.entries)
        return {"entries": [*(item.stored for item in self.foreign), *own], "marks": _stored(self.marks)}

    def allows(self, user: str) -> frozenset[str]:
        """What the entries let a user do (pull, push); "" is somebody who has not logged in."""
        everyone = self._rights.get(EVERYONE, frozenset())
        return everyone | self._rights.get(user, frozenset()) if user else everyone

    @cached_property
    def _rights(self) -> Mapping[str, frozenset[str]]:
        """By user. Put together once: how long a question takes must not say how many grants there are."""
        found: dict[str, frozenset[str]] = {}
        for entry in self._every_entry():
            for user in map(str, entry.users):
                found[user] = found.get(user, frozenset()).union(VERBS.get(str(entry.permission), ()))
        return found

    def _every_entry(self) -> tuple[Entry | ForeignEntry, ...]:
        return (*self.entries, *self.foreign)

    @property
    def open_to_everyone(self) -> bool:
        """Whether an entry is for somebody who has not logged in, whatever it permits."""
        return any(EVERYONE in entry.users for entry in self._every_entry())


@dataclass(frozen=True, slots=True)
class CredentialsDocument:
    """What is kept of issued credentials. `name`: the ID in their password. `user`: "" for those that need no grant.

    `expires_at` has a time zone.
    """

    name: str
    user: str
    repositories: frozenset[str]
    permission: str
    expires_at: datetime
    hash: str

    @classmethod
    def parse(cls, name: str, document: Document) -> Self | None:
        """The credentials; None if the document is none of ours."""
        try:
            return cls(
                name,
                str(document["user"]),
                frozenset(document["repositories"]),
                str(document["permission"]),
                datetime.fromisoformat(document["expires_at"]),
                str(document["hash"]),
            )
        except (KeyError, TypeError, ValueError):
            return None

    def to_json(self) -> Document:
        return {
            "user": self.user,
            "repositories": sorted(self.repositories),
            "permission": self.permission,
            "expires_at": self.expires_at.isoformat(),
            "hash": self.hash,
        }

    @property
    def verbs(self) -> frozenset[str]:
        """What they were issued for: pull, push."""
        return frozenset(VERBS.get(self.permission, ()))

    @property
    def expired(self) -> bool:
        """Whether their time is over."""
        return datetime.now(UTC) >= self.expires_at


@dataclass(frozen=True, slots=True)
class ServedDocument:
    """Where the registry is served: `place` is host and port."""

    place: str
    name: str = _RUNNING

    @classmethod
    def parse(cls, name: str, document: Document) -> Self:
        return cls(str(document.get("place")), name)

    def to_json(self) -> Document:
        return {"place": self.place}


class Documents:
    """All documents of one registry."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.repositories = Section(store, "repositories", RepositoryDocument.parse)
        self.access = Section(store, "access", AccessDocument.parse)
        self.credentials = Section(store, "credentials", CredentialsDocument.parse)
        self._server = Section(store, "server", ServedDocument.parse)

    @contextmanager
    def serving(self, place: str) -> Iterator[None]:
        """Says while the block runs where the registry is served; if another server says so already, that one stays.

        `place`: host and port. Raises PlatformError if the disk fails.
        """
        served = ServedDocument(place)
        with self.store.claiming(_SERVING) as first:
            if first:
                self._server.write(served)
            try:
                yield
            finally:
                if first:
                    self._server.remove(served.name)

    def served_at(self) -> str | None:
        """Host and port of a server that runs now; None if there is none. Raises PlatformError if the disk fails."""
        served = self._server.read(_RUNNING)
        if served is None:
            return None
        # a server that was killed leaves its document, but no longer holds its lock
        with self.store.claiming(_SERVING) as nobody_serves:
            return None if nobody_serves else served.place


def _users(entry: Document) -> tuple[Any, ...]:
    """An entry's users; a text by itself is one of them."""
    users = entry.get("users") or ()
    return (users,) if isinstance(users, str) else tuple(users)


def _stored(marks: Marks) -> Document:
    stored = {OWNER: marks.owner, ORIGIN: marks.origin, APPLIED: marks.applied, REGISTRY: marks.registry}
    if marks.adopted:
        stored[ADOPTED] = "true"
    return (
        {}
        if marks == NO_MARKS
        else {key: value for key, value in stored.items() if value is not None or key != REGISTRY}
    )
