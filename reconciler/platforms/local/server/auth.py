"""Who asks, and what they may do: Basic with issued credentials, and Bearer with the Docker token flow.

https://distribution.github.io/distribution/spec/auth/token/ and .../oauth/
"""

from __future__ import annotations

import asyncio
import base64
import time
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from reconciler.platforms.local.credentials import CredentialStore
from reconciler.platforms.local.documents import CredentialsDocument, Documents

from .errors import ApiError
from .tokens import CATALOG, BadToken, Scopes, Tokens

#: what an action of a token's scope needs
RIGHTS = {"pull": "pull", "push": "push", "delete": "push"}


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. `issued` is None for somebody who has not logged in; `scopes` is None unless a token limits them."""

    issued: CredentialsDocument | None = None
    scopes: Scopes | None = field(default=None)

    @property
    def name(self) -> str:
        """The user, as errors name them."""
        return self.issued.user if self.issued is not None and self.issued.user else "these credentials"


class Doorkeeper:
    """Authentication and authorization of one registry."""

    def __init__(self, name: str, documents: Documents) -> None:
        self.name = name
        self.documents = documents
        self.credentials = CredentialStore(documents)
        self._tokens = Tokens(name)

    # -- who ----------------------------------------------------------------------------------------------------

    async def caller(self, request: web.Request) -> Caller:
        """Who asks. Raises ApiError 401 for credentials or a token that are wrong or have expired."""
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
        """Who logs in with the value of a Basic header. Raises ApiError 401."""
        try:
            username, colon, password = base64.b64decode(value.strip(), validate=True).decode().partition(":")
        except ValueError:
            colon = ""
        if not colon:
            raise self.challenge(request, "the Authorization header is not Basic")
        return await self.login(request, username, password)

    async def login(self, request: web.Request, username: str, password: str) -> Caller:
        """Who has this name and password; somebody who has not logged in if both are empty. Raises ApiError 401."""
        if not username and not password:
            return Caller()
        issued = await asyncio.to_thread(self.credentials.check, username, password)
        if issued is None:
            raise self.challenge(
                request,
                "the user name and password are wrong, or have expired; issue others with"
                f" `reconciler credentials {self.name}/REPOSITORY`",
            )
        return Caller(issued)

    def _bearer(self, request: web.Request, token: str) -> Caller:
        try:
            known = self._tokens.read(token)
        except BadToken:
            raise self.challenge(request, "the token is not one of this server's", error="invalid_token") from None
        if time.time() >= known.expires:
            raise self.challenge(request, "the token has expired", error="invalid_token")
        if not known.subject:
            return Caller(None, known.scopes)
        issued = self.credentials.find(known.subject)
        if issued is None or issued.expired:
            raise self.challenge(request, "the credentials behind the token have expired", error="invalid_token")
        return Caller(issued, known.scopes)

    # -- what ---------------------------------------------------------------------------------------------------

    def rights(self, caller: Caller, name: str) -> frozenset[str]:
        """What the caller may do with a repository, whatever the token says: pull, push."""
        return self.credentials.rights(caller.issued, name)

    def created(self, name: str) -> bool:
        """Whether the registry has the repository."""
        return self.documents.repositories.read_again(name) is not None

    async def enter(self, request: web.Request, name: str, action: str) -> Caller:
        """The caller, who may do the action (pull, push or delete) with the repository. Raises ApiError if they may not."""
        caller = await self.caller(request)
        scope = f"repository:{name}:{'pull,push' if action == 'push' else action}"
        if not self.created(name):
            if caller == Caller() and not self.open_to_everyone():
                raise self.challenge(request, "log in first", scope)
            raise ApiError(
                404,
                "NAME_UNKNOWN",
                f"registry {self.name} has no repository {name}: add it to `repositories` in the spec"
                " and run `reconciler apply`; a push makes no repository",
                {"name": name},
            )
        if RIGHTS[action] not in self.rights(caller, name):
            if caller.issued is None:
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

    def may(self, caller: Caller, name: str, action: str) -> bool:
        """Whether the caller may do the action with a repository: by its rights, and by its token's scopes if it has one."""
        scoped = caller.scopes is None or action in caller.scopes.get(name, ())
        return scoped and RIGHTS[action] in self.rights(caller, name)

    def still(self, request: web.Request, caller: Caller, name: str, action: str) -> None:
        """Raises ApiError if the caller's credentials or rights ended since they entered: a body may take its time. A token that
        ended meanwhile is no matter: it was good for this request."""
        issued = None if caller.issued is None else self.credentials.find(caller.issued.name)
        if caller.issued is not None and (issued is None or issued.expired):
            raise self.challenge(request, "the credentials expired before all of it had arrived", error="invalid_token")
        if RIGHTS[action] not in self.rights(caller, name):
            raise ApiError(403, "DENIED", f"{caller.name} may no longer {action}: {self._why(caller, name, action)}")

    def _why(self, caller: Caller, name: str, action: str) -> str:
        issued = caller.issued
        if issued is not None and name not in issued.repositories:
            return f"they were issued for {', '.join(sorted(issued.repositories))}, not for {name}"
        if issued is not None and issued.permission == "pull" and action != "pull":
            return "they were issued to pull only; --push issues others"
        return f"no grant lets {caller.name} {action} {'to' if action == 'push' else 'from'} {name}"

    def open_to_everyone(self) -> bool:
        """Whether somebody who has not logged in may do anything at all."""
        found = (self.documents.access.read_again(name) for name in self.documents.access.names())
        return any(access is not None and access.open_to_everyone for access in found)

    def visible(self, caller: Caller) -> list[str]:
        """The repositories that the caller may pull from, sorted; with a token those that it is for, or all with one for the
        catalog."""
        if caller.scopes is not None and "*" in caller.scopes.get(CATALOG, ()):
            caller = Caller(caller.issued)
        return [name for name in self.documents.repositories.names() if self.may(caller, name, "pull")]

    # -- tokens -------------------------------------------------------------------------------------------------

    def challenge(self, request: web.Request, message: str, scope: str = "", *, error: str = "") -> ApiError:
        """The 401 that says to a client how to log in. `scope`: what it should ask a token for."""
        try:
            origin = str(request.url.origin())
        except ValueError:  # the Host header is not valid
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
            if (kind, name) == ("registry", "catalog"):
                access.append({"type": kind, "name": name, "actions": ["*"]})
            if kind != "repository" or not self.created(name):
                continue
            rights = self.rights(caller, name)
            asked = set(RIGHTS) if "*" in actions else actions
            granted = sorted(action for action in asked if RIGHTS.get(action) in rights)
            access.append({"type": kind, "name": name, "actions": granted})
        issued = caller.issued
        if issued is None:
            return self._tokens.issue("", access, None)
        return self._tokens.issue(issued.name, access, issued.expires_at.timestamp())


def _scope(text: str) -> tuple[str, str, set[str]]:
    kind, _, rest = text.partition(":")
    name, _, actions = rest.rpartition(":")
    return kind, name, set(actions.split(","))
