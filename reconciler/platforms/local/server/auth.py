"""Who asks, and what they may do: Basic with issued credentials, and Bearer with the Docker token flow.

https://distribution.github.io/distribution/spec/auth/token/ and .../oauth/
"""

from __future__ import annotations

import asyncio
import base64
import secrets
import time
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from reconciler.platforms.local.access import SECTION as ACCESS
from reconciler.platforms.local.credentials import EVERYONE, CredentialStore, Record
from reconciler.platforms.local.repository import SECTION as REPOSITORIES
from reconciler.platforms.local.store import Store

from .errors import ApiError

#: seconds that a token is good for; at least 60 by the specification. Rights are looked up anew at each request all the same
TOKEN_TTL = 300
#: what an action of a token's scope needs
RIGHTS = {"pull": "pull", "push": "push", "delete": "push"}
Scopes = dict[str, frozenset[str]]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. `record` is None for somebody who has not logged in; `scopes` is None unless a token limits them."""

    record: Record | None = None
    scopes: Scopes | None = field(default=None)

    @property
    def name(self) -> str:
        """The user, as told in errors."""
        return self.record.user if self.record is not None and self.record.user else "these credentials"


class Doorkeeper:
    """Authentication and authorization of one registry."""

    def __init__(self, name: str, store: Store) -> None:
        self.name = name
        self.store = store
        self.credentials = CredentialStore(store)
        # of this process only: no secret lies on the disk, and a restart ends all tokens
        self._key = OctKey.import_key(secrets.token_bytes(32))
        self._tokens: dict[str, tuple[float, str, Scopes]] = {}

    # -- who ----------------------------------------------------------------------------------------------------

    async def caller(self, request: web.Request) -> Caller:
        """Who asks. Raises ApiError 401 for credentials or a token that are not good."""
        header = request.headers.get("Authorization", "")
        scheme, _, value = header.partition(" ")
        if not header:
            return Caller()
        if scheme.lower() == "basic":
            return await self.basic(request, value)
        if scheme.lower() == "bearer":
            return self._bearer(request, value.strip())
        raise self.challenge(request, f"authorization by {scheme[:20]!r} is not supported; use Basic or Bearer")

    async def basic(self, request: web.Request, value: str) -> Caller:
        """Who logs in with a user name and a password."""
        try:
            username, colon, password = base64.b64decode(value.strip(), validate=True).decode().partition(":")
        except ValueError:
            colon = ""
        if not colon:
            raise self.challenge(request, "the Authorization header is not Basic")
        return await self.login(request, username, password)

    async def login(self, request: web.Request, username: str, password: str) -> Caller:
        """Who has this name and password; nobody in particular if both are empty."""
        if not username and not password:
            return Caller()
        record = await asyncio.to_thread(self.credentials.check, username, password)
        if record is None:
            raise self.challenge(
                request,
                "the user name and password are not good, or no longer; issue others with"
                f" `reconciler credentials {self.name}/REPOSITORY`",
            )
        return Caller(record)

    def _bearer(self, request: web.Request, token: str) -> Caller:
        known = self._tokens.get(token)
        if known is None:
            try:
                claims = jwt.decode(token, self._key, algorithms=["HS256"]).claims
                known = (float(claims["exp"]), str(claims["sub"]), _scopes(claims["access"]))
            except (JoseError, ValueError, TypeError, KeyError):
                raise self.challenge(request, "the token is not one of this server's", error="invalid_token") from None
            if len(self._tokens) >= 1024:
                self._tokens.clear()
            self._tokens[token] = known
        expires, number, scopes = known
        if time.time() >= expires:
            raise self.challenge(request, "the token has expired", error="invalid_token")
        if not number:
            return Caller(None, scopes)
        record = self.credentials.record(number)
        if record is None or record.expired:
            raise self.challenge(request, "the credentials behind the token have expired", error="invalid_token")
        return Caller(record, scopes)

    # -- what ---------------------------------------------------------------------------------------------------

    def rights(self, caller: Caller, name: str) -> frozenset[str]:
        """What the caller may do with a repository, whatever the token says: pull, push."""
        return self.credentials.rights(caller.record, name)

    def created(self, name: str) -> bool:
        """Whether the registry has the repository."""
        return self.store.read_again(REPOSITORIES, name) is not None

    async def enter(self, request: web.Request, name: str, action: str) -> Caller:
        """Lets the caller do the action (pull, push or delete) with the repository, or raises ApiError."""
        caller = await self.caller(request)
        scope = f"repository:{name}:{'pull,push' if action == 'push' else action}"
        if not self.created(name):
            if caller == Caller() and not self.open_to_everyone():
                raise self.challenge(request, "log in first", scope)
            raise ApiError(
                404,
                "NAME_UNKNOWN",
                f"registry {self.name} has no repository {name}: add it to `repositories` in the spec"
                " and run `reconciler apply`; repositories are not made by a push",
                {"name": name},
            )
        if RIGHTS[action] not in self.rights(caller, name):
            if caller.record is None:
                raise self.challenge(
                    request,
                    f"log in to {action}; `reconciler credentials {self.name}/{name}"
                    f"{'' if action == 'pull' else ' --push'}` issues credentials",
                    scope,
                )
            raise ApiError(403, "DENIED", f"{caller.name} may not {action}: {self._why(caller, name, action)}")
        if caller.scopes is not None and action not in caller.scopes.get(name, ()):
            raise self.challenge(request, f"the token is not for {action} of {name}", scope, error="insufficient_scope")
        return caller

    def _why(self, caller: Caller, name: str, action: str) -> str:
        record = caller.record
        if record is not None and name not in record.repositories:
            return f"they were issued for {', '.join(sorted(record.repositories))}, not for {name}"
        if record is not None and record.permission == "pull" and action != "pull":
            return "they were issued to pull only; --push issues others"
        return f"no grant to {caller.name} says so for {name}"

    def open_to_everyone(self) -> bool:
        """Whether somebody who has not logged in may do anything at all."""
        return any(
            EVERYONE in entry.get("users", ())
            for name in self.store.names(ACCESS)
            for entry in (self.store.read_again(ACCESS, name) or {}).get("entries", ())
        )

    def visible(self, caller: Caller) -> list[str]:
        """The repositories that the caller may pull from, sorted."""
        return [name for name in self.store.names(REPOSITORIES) if "pull" in self.rights(caller, name)]

    # -- tokens -------------------------------------------------------------------------------------------------

    def challenge(self, request: web.Request, message: str, scope: str = "", *, error: str = "") -> ApiError:
        """The 401 that tells a client how to log in."""
        try:
            origin = str(request.url.origin())
        except ValueError:  # a Host header that is none
            origin = f"{request.scheme}://localhost"
        parts = [f'realm="{origin}/token"', f'service="{self.name}"']
        parts += [f'scope="{scope}"'] if scope else []
        parts += [f'error="{error}"'] if error else []
        return ApiError(401, "UNAUTHORIZED", message, headers={"WWW-Authenticate": f"Bearer {','.join(parts)}"})

    def token(self, caller: Caller, wanted: list[str]) -> dict[str, Any]:
        """The answer of the token endpoint: as much of the wanted scopes as the caller may have."""
        access = []
        for scope in " ".join(wanted).split():
            kind, name, actions = _scope(scope)
            if kind != "repository" or not self.created(name):
                continue
            rights = self.rights(caller, name)
            asked = set(RIGHTS) if "*" in actions else actions
            granted = sorted(action for action in asked if RIGHTS.get(action) in rights)
            access.append({"type": kind, "name": name, "actions": granted})
        now = int(time.time())
        record = caller.record
        end = now + TOKEN_TTL if record is None else min(now + TOKEN_TTL, int(record.expires_at.timestamp()))
        claims = {
            "iss": "reconciler",
            "aud": self.name,
            "sub": record.id if record is not None else "",
            "iat": now,
            "exp": end,
            "jti": secrets.token_hex(8),
            "access": access,
        }
        token = jwt.encode({"alg": "HS256"}, claims, self._key)
        issued_at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))
        return {"token": token, "access_token": token, "expires_in": max(end - now, 0), "issued_at": issued_at}


def _scope(text: str) -> tuple[str, str, set[str]]:
    kind, _, rest = text.partition(":")
    name, _, actions = rest.rpartition(":")
    return kind, name, set(actions.split(","))


def _scopes(access: Any) -> Scopes:
    found: Scopes = {}
    for item in access:
        found[item["name"]] = found.get(item["name"], frozenset()) | frozenset(item["actions"])
    return found
