"""Credentials of a local registry: issued by whoever may write to its folder, kept as salted hashes, checked by its server.

A password is `rcl_ID_SECRET`: the ID finds the document, so that each check computes one hash, not one for each document.
"""

from __future__ import annotations

import secrets
import time
from datetime import UTC, datetime, timedelta

from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHash

from reconciler.model.service import Credentials

from .documents import AccessDocument, CredentialsDocument, Documents

#: what credentials without a user log in as
USERNAME = "reconciler"
#: seconds for which expired credentials are kept
KEPT_EXPIRED = 3600.0
#: of the settings that defend equally well, the one with the least memory:
#: https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html#argon2id
_HASHER = PasswordHasher(time_cost=5, memory_cost=7168, parallelism=1)


class CredentialStore:
    """The issued credentials of one registry. Its methods raise PlatformError if the disk fails."""

    def __init__(self, documents: Documents) -> None:
        self.documents = documents

    def issue(self, registry: str, repositories: frozenset[str], *, push: bool, ttl: float, user: str) -> Credentials:
        """New credentials, with their password; only its hash is kept.

        `registry`: host and port where they are good. `ttl`: seconds. `user`: "" for those that need no grant.
        """
        number, secret = secrets.token_hex(8), secrets.token_urlsafe(32)
        expires = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=ttl)
        permission = "push-pull" if push else "pull"
        issued = CredentialsDocument(number, user, repositories, permission, expires, _HASHER.hash(secret))
        with self.documents.store.writing():
            self.documents.credentials.write(issued)
        return Credentials(registry, user or USERNAME, f"rcl_{number}_{secret}", expires)

    def find(self, number: str) -> CredentialsDocument | None:
        """Credentials by their ID; None if they were never issued, or are gone."""
        return self.documents.credentials.read_again(number)

    def remove_expired(self) -> None:
        """Removes credentials that expired more than KEPT_EXPIRED seconds ago, and documents that are damaged."""
        for number in self.documents.credentials.names():
            found = self.find(number)
            if found is None or time.time() - found.expires_at.timestamp() > KEPT_EXPIRED:
                self.documents.credentials.remove(number)

    def rights(self, issued: CredentialsDocument | None, repository: str) -> frozenset[str]:
        """What whoever has logged in with these (None: somebody who has not) may do with a repository: pull, push."""
        access = self.documents.access.read_again(repository) or AccessDocument(repository)
        if issued is None or repository not in issued.repositories:
            return access.allows("")
        return issued.verbs & access.allows(issued.user) if issued.user else issued.verbs


def is_right(hashed: str, secret: str) -> bool:
    """Whether it is the hash of the secret. Takes tens of milliseconds."""
    try:
        return _HASHER.verify(hashed, secret)
    except (Argon2Error, InvalidHash):
        return False
