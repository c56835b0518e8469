"""Credentials of a local registry: issued by whoever may write to its folder, kept as salted hashes, checked by its server.

A password is `rcl_ID_SECRET`: the ID finds the record, so that one hash is computed for each check, not one for each record.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from threading import Lock

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHash

from reconciler.model.service import Credentials

from .access import SECTION as ACCESS
from .access import VERBS
from .store import Document, Store

SECTION = "credentials"
#: what credentials without a user log in as
USERNAME = "reconciler"
#: https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html#argon2id
_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_PASSWORD = re.compile(r"rcl_([0-9a-f]{16})_([A-Za-z0-9_-]{43})")
EVERYONE = "*"


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of issued credentials. `user` is "" for those that need no grant."""

    id: str
    user: str
    repositories: frozenset[str]
    permission: str
    expires_at: datetime
    hash: str

    @property
    def expired(self) -> bool:
        """Whether their time is over."""
        return datetime.now(UTC) >= self.expires_at


def allowed(document: Document | None, user: str) -> frozenset[str]:
    """What a repository's access document lets a user do; "" is somebody who has not logged in."""
    found: set[str] = set()
    for entry in (document or {}).get("entries", ()):
        users = entry.get("users", ())
        if EVERYONE in users or (user and user in users):
            found.update(VERBS.get(str(entry.get("permission", "pull")), ()))
    return frozenset(found)


class CredentialStore:
    """The issued credentials of one registry."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._known: dict[str, tuple[bytes, str]] = {}
        self._hashing = Lock()

    def issue(self, registry: str, repositories: frozenset[str], *, push: bool, ttl: float, user: str) -> Credentials:
        """New credentials; only their hash is kept. `registry`: where they are good. `ttl`: seconds."""
        number, secret = secrets.token_hex(8), secrets.token_urlsafe(32)
        expires = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=ttl)
        with self.store.writing():
            self.store.write(
                SECTION,
                number,
                {
                    "user": user,
                    "repositories": sorted(repositories),
                    "permission": "push-pull" if push else "pull",
                    "expires_at": expires.isoformat(),
                    "hash": _HASHER.hash(secret),
                },
            )
        return Credentials(registry, user or USERNAME, f"rcl_{number}_{secret}", expires)

    def record(self, number: str) -> Record | None:
        """Credentials by their ID; None if they were never issued, or are gone."""
        document = self.store.read_again(SECTION, number)
        if document is None:
            return None
        try:
            return Record(
                number,
                str(document["user"]),
                frozenset(document["repositories"]),
                str(document["permission"]),
                datetime.fromisoformat(document["expires_at"]),
                str(document["hash"]),
            )
        except (KeyError, TypeError, ValueError):
            return None

    def check(self, username: str, password: str) -> Record | None:
        """The record that a login belongs to, or None. Takes tens of milliseconds the first time, so not for an event loop."""
        match = _PASSWORD.fullmatch(password)
        record = self.record(match[1]) if match else None
        if match is None or record is None or record.expired or username != (record.user or USERNAME):
            return None
        # a client sends its password with each request: one that was right is right for as long as its record says
        digest = hashlib.sha256(match[2].encode()).digest()
        known = self._known.get(record.id)
        if known is not None and secrets.compare_digest(known[0], digest) and known[1] == record.hash:
            return record
        with self._hashing:  # one at a time: each takes 19 MiB
            try:
                _HASHER.verify(record.hash, match[2])
            except (Argon2Error, InvalidHash):
                return None
        if len(self._known) >= 1024:
            self._known.clear()
        self._known[record.id] = (digest, record.hash)
        return record

    def remove_expired(self) -> None:
        """Forgets credentials whose time was over an hour ago."""
        for number in self.store.names(SECTION):
            record = self.record(number)
            if record is None or time.time() - record.expires_at.timestamp() > 3600:
                self.store.remove(SECTION, number)

    def rights(self, record: Record | None, repository: str) -> frozenset[str]:
        """What the bearer of a record (None: somebody who has not logged in) may do with a repository: pull, push."""
        document = self.store.read_again(ACCESS, repository)
        if record is None:
            return allowed(document, "")
        if repository not in record.repositories:
            return allowed(document, "")
        scope = frozenset(VERBS[record.permission]) if record.permission in VERBS else frozenset()
        return scope & allowed(document, record.user) if record.user else scope
