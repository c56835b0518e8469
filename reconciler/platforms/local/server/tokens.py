"""Bearer tokens of a registry: signed with a key that its folder keeps, so that each of its servers knows those of the others.

https://distribution.github.io/distribution/spec/auth/token/: they mean something to the registry alone.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from typing import Any

from itsdangerous import BadData, URLSafeSerializer

#: seconds that a token is good for; at least 60 by the specification. Rights are looked up anew at each request all the same
TOKEN_TTL = 300
#: bytes of tokens that are remembered, so that their signature is checked once
REMEMBERED = 1 << 20
#: bytes that the scopes of a repository take, once a token is read
EACH_SCOPE = 500
#: the scope of the list of repositories: https://distribution.github.io/distribution/spec/auth/scope/
CATALOG = "registry:catalog"
#: what a token is for: actions by repository, and by CATALOG, which no repository can be named
Scopes = dict[str, frozenset[str]]


class BadToken(ValueError):
    """The token is not one of this registry's."""


@dataclass(frozen=True, slots=True)
class Token:
    """What a token says. `expires`: seconds since 1970. `subject`: the ID of the credentials behind it, "" for none."""

    expires: float
    subject: str
    scopes: Scopes


class Tokens:
    """Issues and reads the tokens of one registry. One of another registry is none of them, also if its folder is a copy."""

    def __init__(self, registry: str, key: bytes) -> None:
        signing = {"key_derivation": "hmac", "digest_method": hashlib.sha256}
        self._serializer = URLSafeSerializer(key, salt=f"token of {registry}", signer_kwargs=signing)
        self._read: dict[str, Token] = {}
        self._bytes = 0

    def issue(self, subject: str, access: list[dict[str, Any]], latest: float | None) -> dict[str, Any]:
        """The token endpoint's answer: a token with these scopes. It ends after TOKEN_TTL seconds, or at `latest` (since 1970)."""
        now = int(time.time())
        end = now + TOKEN_TTL if latest is None else min(now + TOKEN_TTL, int(latest))
        token = self._serializer.dumps({"subject": subject, "expires": end, "access": access})
        issued_at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))
        return {"token": token, "access_token": token, "expires_in": max(end - now, 0), "issued_at": issued_at}

    def read(self, token: str) -> Token:
        """What the token says, also if it has expired. Raises BadToken."""
        known = self._read.get(token)
        if known is None:
            try:
                found = self._serializer.loads(token)
                known = Token(float(found["expires"]), str(found["subject"]), _scopes(found["access"]))
            except (BadData, ValueError, TypeError, KeyError) as error:
                raise BadToken(str(error)) from None
            size = len(token) + EACH_SCOPE * (1 + len(known.scopes))
            if self._bytes + size > REMEMBERED:
                self._read.clear()
                self._bytes = 0
            self._read[token] = known
            self._bytes += size
        return known


def _scopes(access: Any) -> Scopes:
    found: Scopes = {}
    for item in access:
        name = item["name"] if item["type"].partition("(")[0] == "repository" else f"{item['type']}:{item['name']}"
        found[name] = found.get(name, frozenset()) | frozenset(item["actions"])
    return found
