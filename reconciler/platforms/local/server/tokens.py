"""Bearer tokens of a registry: signed with a key that its folder keeps, so that each of its servers knows those of the others.

https://distribution.github.io/distribution/spec/auth/token/ and .../jwt/
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

#: seconds that a token is good for; at least 60 by the specification. Rights are looked up anew at each request all the same
TOKEN_TTL = 300
#: tokens that are remembered, so that their signature is checked once
REMEMBERED = 1024
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
    """Issues and reads the tokens of one registry."""

    def __init__(self, registry: str, key: bytes) -> None:
        self.registry = registry
        self._key = OctKey.import_key(key)
        self._read: dict[str, Token] = {}

    def issue(self, subject: str, access: list[dict[str, Any]], latest: float | None) -> dict[str, Any]:
        """The token endpoint's answer: a token with these scopes. It ends after TOKEN_TTL seconds, or at `latest` (since 1970)."""
        now = int(time.time())
        end = now + TOKEN_TTL if latest is None else min(now + TOKEN_TTL, int(latest))
        claims = {
            "iss": "reconciler",
            "aud": self.registry,
            "sub": subject,
            "iat": now,
            "exp": end,
            "jti": secrets.token_hex(8),
            "access": access,
        }
        token = jwt.encode({"alg": "HS256"}, claims, self._key)
        issued_at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))
        return {"token": token, "access_token": token, "expires_in": max(end - now, 0), "issued_at": issued_at}

    def read(self, token: str) -> Token:
        """What the token says, also if it has expired. Raises BadToken."""
        known = self._read.get(token)
        if known is None:
            try:
                claims = jwt.decode(token, self._key, algorithms=["HS256"]).claims
                if claims["aud"] != self.registry:  # of another registry, whose folder is a copy of this one
                    raise BadToken("it is for another registry")
                known = Token(float(claims["exp"]), str(claims["sub"]), _scopes(claims["access"]))
            except (JoseError, ValueError, TypeError, KeyError) as error:
                raise BadToken(str(error)) from None
            if len(self._read) >= REMEMBERED:
                self._read.clear()
            self._read[token] = known
        return known


def _scopes(access: Any) -> Scopes:
    found: Scopes = {}
    for item in access:
        name = item["name"] if item["type"] == "repository" else f"{item['type']}:{item['name']}"
        found[name] = found.get(name, frozenset()) | frozenset(item["actions"])
    return found
