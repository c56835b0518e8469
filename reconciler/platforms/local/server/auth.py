"""Who asks, and what they may do: Basic with issued credentials, and Bearer with the Docker token flow.

https://distribution.github.io/distribution/spec/auth/token/ and .../oauth/

What reads files runs in a thread. Whether a repository is there is said only to who may do something with it: without a login both
answers are 401, with one both are 404.
"""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from reconciler.platforms.local.credentials import CredentialStore
from reconciler.platforms.local.documents import CredentialsDocument, Documents
from reconciler.platforms.local.everyone import OpenToEveryone
from reconciler.platforms.local.layout import in_order
from reconciler.words import some_of

from .errors import ApiError
from .expect import go_on
from .front import Front, counted_as
from .logins import RETRY, Attempt, Logins, TooMany
from .tokens import CATALOG, BadToken, Scopes, Tokens

#: what an action of a token's scope needs
RIGHTS = {"pull": "pull", "push": "push", "delete": "push"}
#: scopes that one token is for; docker asks for a handful
SCOPES_MOST = 100
HOW_TO_MAKE_ONE = "add it to `repositories` in the spec and run `reconciler apply`; a push creates no repository"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. `issued` is None for somebody who has not logged in; `scopes` is None unless a token limits them."""

    issued: CredentialsDocument | None = None
    scopes: Scopes | None = field(default=None)

    @property
    def name(self) -> str:
        """The user, as errors name them."""
        return self.issued.user if self.issued is not None and self.issued.user else "these credentials"


NOBODY = Caller()


class Doorkeeper:
    """Authentication and authorization of one registry."""

    def __init__(self, name: str, documents: Documents, front: Front) -> None:
        self.name = name
        self.documents = documents
        self.front = front
        self.credentials = CredentialStore(documents)
        self._logins = Logins(self.credentials)
        self._everyone = OpenToEveryone(documents)
        self._tokens = Tokens(name, documents.store.key())

    def close(self) -> None:
        """Ends its threads."""
        self._logins.close()

    # -- who ----------------------------------------------------------------------------------------------------

    async def caller(self, request: web.Request) -> Caller:
        """Who asks. Raises ApiError 401 for credentials or a token that are wrong or have expired, 429 if too many guess."""
        login = self._said(request)
        return await self._checked(request, await asyncio.to_thread(self._known, request, login))

    def _said(self, request: web.Request) -> tuple[str, str] | None:
        """The name and password of a Basic header. Raises ApiError 401, and 429 if this is one guess too many."""
        scheme, _, value = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return None
        try:
            username, colon, password = base64.b64decode(value.strip(), validate=True).decode().partition(":")
        except ValueError:
            colon = ""
        if not colon:
            raise self.challenge(request, "the Authorization header is not Basic")
        self._turn_away(request, password)
        return username, password

    def _turn_away(self, request: web.Request, password: str) -> None:
        if self._logins.is_too_much(password, self._counted(request)):
            raise _too_many()

    def _known(self, request: web.Request, login: tuple[str, str] | None, scope: str = "") -> Caller | Attempt:
        if login is not None:
            return self._login(request, *login)
        header = request.headers.get("Authorization", "")
        scheme, _, value = header.partition(" ")
        if not header:
            return NOBODY
        if scheme.lower() == "bearer":
            return self._bearer(request, value.strip(), scope)
        raise self.challenge(request, f"authorization by {scheme[:20]!r} is not supported; use Basic or Bearer")

    def _login(self, request: web.Request, username: str, password: str) -> Caller | Attempt:
        if not username and not password:
            return NOBODY
        found = self._logins.known(username, password)
        if found is None:
            raise self._wrong(request)
        return found if isinstance(found, Attempt) else Caller(found)

    async def login(self, request: web.Request, username: str, password: str) -> Caller:
        """Who has this name and password; somebody who has not logged in if both are empty. Raises ApiError 401 and 429."""
        self._turn_away(request, password)
        return await self._checked(request, await asyncio.to_thread(self._login, request, username, password))

    async def _checked(self, request: web.Request, found: Caller | Attempt) -> Caller:
        if isinstance(found, Caller):
            return found
        try:
            right = await self._logins.check(found, self._counted(request), lambda: _still_here(request))
        except TooMany:
            raise _too_many() from None
        if not right:
            raise self._wrong(request)
        return Caller(found.issued)

    def _counted(self, request: web.Request) -> str:
        """Whose queue a login stands in."""
        return counted_as(self.front.client(request))

    def _wrong(self, request: web.Request) -> ApiError:
        return self.challenge(
            request,
            "the user name or password is wrong or has expired; issue new credentials with"
            f" `reconciler credentials {self.name}/REPOSITORY`",
        )

    def _bearer(self, request: web.Request, token: str, scope: str) -> Caller:
        def bad(why: str) -> ApiError:
            return self.challenge(request, why, scope, error="invalid_token")

        try:
            known = self._tokens.read(token)
        except BadToken:
            raise bad("the token was not issued by this registry") from None
        if time.time() >= known.expires:
            raise bad("the token has expired")
        if not known.subject:
            return Caller(None, known.scopes)
        issued = self.credentials.find(known.subject)
        if issued is None or issued.expired:
            raise bad("the credentials behind the token have expired")
        return Caller(issued, known.scopes)

    # -- what ---------------------------------------------------------------------------------------------------

    async def enter(self, request: web.Request, name: str, action: str, also: str = "") -> Caller:
        """The caller, who may do the action (pull, push or delete) with the repository. Raises ApiError if they may not.

        A client that waits with its body is asked to send it. `also`: another action for which their token may be as well.
        """
        found = await asyncio.to_thread(self._admitted, request, self._said(request), name, (action, also))
        if isinstance(found, Attempt):
            found = await self._checked(request, found)
            await asyncio.to_thread(self._admit, request, found, name, (action, also))
        await go_on(request)
        return found

    def _admitted(
        self, request: web.Request, login: tuple[str, str] | None, name: str, actions: tuple[str, str]
    ) -> Caller | Attempt:
        found = self._known(request, login, _scope_of(name, actions[0]))
        if isinstance(found, Caller):
            self._admit(request, found, name, actions)
        return found

    def _admit(self, request: web.Request, caller: Caller, name: str, actions: tuple[str, str]) -> None:
        action, _ = actions
        rights = self.rights(caller, name)
        if RIGHTS[action] not in rights:
            raise self._refusal(request, caller, name, action, bool(rights) and self.created(name))
        scope = _scope_of(name, action)
        if caller.scopes is not None and caller.scopes.get(name, frozenset()).isdisjoint(actions):
            refusal = self.challenge(
                request, f"the token does not allow {action} of {name}", scope, error="insufficient_scope"
            )
            # https://www.rfc-editor.org/rfc/rfc6750#section-3.1
            raise ApiError(403, "DENIED", str(refusal), headers=refusal.headers)
        if not self.created(name):
            raise ApiError(404, "NAME_UNKNOWN", f"registry {self.name} has no repository {name}: {HOW_TO_MAKE_ONE}")

    def _refusal(self, request: web.Request, caller: Caller, name: str, action: str, seen: bool) -> ApiError:
        """Why the caller may not. `seen`: they know that the repository is there, since they may do something else with it."""
        if caller.issued is None:
            return self.challenge(
                request,
                f"log in to {action}; `reconciler credentials {self.name}/{name}"
                f"{'' if action == 'pull' else ' --push'}` issues credentials",
                _scope_of(name, action),
            )
        why = self._why(caller, name, action)
        if seen:
            return ApiError(403, "DENIED", f"{caller.name} may not {action}: {why}")
        return ApiError(
            404,
            "NAME_UNKNOWN",
            f"there is no repository {name}, or {caller.name} may not {action}: {why}"
            + (f". For a new one: {HOW_TO_MAKE_ONE}" if action == "push" else ""),
        )

    def rights(self, caller: Caller, name: str) -> frozenset[str]:
        """What the caller may do with a repository, whatever the token says: pull, push."""
        return self.credentials.rights(caller.issued, name)

    def created(self, name: str) -> bool:
        """Whether the registry has the repository."""
        return self.documents.repositories.read_again(name) is not None

    def may(self, caller: Caller, name: str, action: str) -> bool:
        """Whether the caller may do the action with a repository: by its rights, and by its token's scopes if it has one."""
        scoped = caller.scopes is None or action in caller.scopes.get(name, ())
        return scoped and RIGHTS[action] in self.rights(caller, name)

    async def still(self, request: web.Request, caller: Caller, name: str, action: str) -> None:
        """Raises ApiError if the caller's credentials or rights ended since they entered: a body may take its time. A token that
        ended meanwhile is no matter: it was good for this request."""
        await asyncio.to_thread(self._still, request, caller, name, action)

    def _still(self, request: web.Request, caller: Caller, name: str, action: str) -> None:
        issued = None if caller.issued is None else self.credentials.find(caller.issued.name)
        if caller.issued is not None and (issued is None or issued.expired):
            raise self.challenge(
                request, "the credentials expired before the whole body arrived", error="invalid_token"
            )
        if RIGHTS[action] not in self.rights(caller, name):
            raise ApiError(403, "DENIED", f"{caller.name} may no longer {action}: {self._why(caller, name, action)}")

    def _why(self, caller: Caller, name: str, action: str) -> str:
        issued = caller.issued
        if issued is not None and name not in issued.repositories:
            return f"the credentials were issued for {some_of(sorted(issued.repositories))}, not for {name}"
        if issued is not None and issued.permission == "pull" and action != "pull":
            return "the credentials were issued for pulling only; issue others with --push"
        return f"no grant lets {caller.name} {action} {'to' if action == 'push' else 'from'} {name}"

    def open_to_everyone(self) -> bool:
        """Whether somebody who has not logged in may do anything at all. Reads files."""
        return bool(self._everyone.names())

    def visible(self, caller: Caller, after: str = "") -> Iterator[str]:
        """The repositories after `after` that the caller may pull from, sorted, looked at one by one; with a token those that it is
        for, or all with one for the catalog. Reads files."""
        if caller.scopes is not None and "*" in caller.scopes.get(CATALOG, ()):
            caller = Caller(caller.issued)
        candidates = self.readable(caller)
        if caller.scopes is not None:
            candidates &= caller.scopes.keys()
        following = sorted(name for name in candidates if in_order(name) > in_order(after))
        return (name for name in following if self.may(caller, name, "pull") and self.created(name))

    def readable(self, caller: Caller) -> frozenset[str]:
        """The repositories that the caller may be able to pull from: ask `may` for each. Reads files."""
        own = caller.issued.repositories if caller.issued is not None else frozenset()
        return own | self._everyone.names()

    # -- tokens -------------------------------------------------------------------------------------------------

    def challenge(self, request: web.Request, message: str, scope: str = "", *, error: str = "") -> ApiError:
        """The 401 that says to a client how to log in. `scope`: what it should ask a token for."""
        parts = [f'realm="{self.front.origin(request)}/token"', f'service="{self.name}"']
        parts += [f'scope="{scope}"'] if scope else []
        parts += [f'error="{error}"'] if error else []
        return ApiError(401, "UNAUTHORIZED", message, headers={"WWW-Authenticate": f"Bearer {','.join(parts)}"})

    def token(self, caller: Caller, wanted: list[str]) -> dict[str, Any]:
        """The answer of the token endpoint: as much of the wanted scopes as the caller may have. Reads files."""
        access = []
        scopes = dict.fromkeys(" ".join(wanted).split())
        if len(scopes) > SCOPES_MOST:  # each is looked up
            raise ApiError(
                400, "UNSUPPORTED", f"a token can have at most {SCOPES_MOST} scopes, and {len(scopes):,} were requested"
            )
        for scope in scopes:
            kind, name, actions = _scope(scope)
            if (kind, name) == ("registry", "catalog"):
                access.append({"type": kind, "name": name, "actions": ["*"]})
            if kind.partition("(")[0] != "repository":  # with a class in brackets: repository(plugin)
                continue
            rights = self.rights(caller, name)
            asked = set(RIGHTS) if "*" in actions else actions
            granted = sorted(action for action in asked if RIGHTS.get(action) in rights)
            # of one that is not there, a token says as much as of one that they may not see
            if granted and self.created(name):
                access.append({"type": kind, "name": name, "actions": granted})
        issued = caller.issued
        if issued is None:
            return self._tokens.issue("", access, None)
        return self._tokens.issue(issued.name, access, issued.expires_at.timestamp())


def _too_many() -> ApiError:
    return ApiError(
        429,
        "TOOMANYREQUESTS",
        "too many logins with these credentials are waiting to be checked; try again in a moment",
        headers={"Retry-After": str(RETRY)},
    )


def _still_here(request: web.Request) -> bool:
    """Whether the client still waits for its answer."""
    return request.transport is not None and not request.transport.is_closing()


def _scope_of(name: str, action: str) -> str:
    """What a client should ask a token for."""
    return f"repository:{name}:{'pull,push' if action == 'push' else action}"


def _scope(text: str) -> tuple[str, str, set[str]]:
    kind, _, rest = text.partition(":")
    name, _, actions = rest.rpartition(":")
    return kind, name, set(actions.split(","))
