"""Passwords of repository-scoped tokens: each is made when it is asked for, has an end, and is kept nowhere by us.

A token has two, so that one can be made anew while the other is in use
(https://learn.microsoft.com/azure/container-registry/container-registry-token-based-authentication#regenerate-token-passwords).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from reconciler.errors import PlatformError
from reconciler.model.access import PUSH
from reconciler.model.address import Address
from reconciler.model.canonical import applied_hash
from reconciler.model.resource import Live
from reconciler.model.service import NO_REPOSITORY, Credentials
from reconciler.spec.selection import covered
from reconciler.words import some_of

from .documents import properties
from .session import AzureSession
from .target import TOKEN_TYPES
from .token import ScopeMapKind
from .token_settings import KIND, ScopeMapSettings

ACTION = "Microsoft.ContainerRegistry/registries/generateCredentials/action"
OPERATION = "registries:generateCredentials"
_NAMES = ("password1", "password2")


@dataclass(frozen=True, slots=True)
class _Password:
    """One of a token's two, as it is there: when it was made, and when it ends. None: it never was, or never does."""

    name: str
    made: datetime | None = None
    ends: datetime | None = None

    @property
    def endless(self) -> bool:
        """Whether somebody made it without an end. Ours have one."""
        return self.made is not None and self.ends is None

    def good(self, now: datetime) -> bool:
        """Whether it still logs in."""
        return self.made is not None and (self.ends is None or self.ends > now)


#: seconds that a cluster's login is good for: a refresh at half of its life may fail for half a day before anybody is locked out, and
#: a login that somebody has copied is good for a day at most
_OF_CLUSTERS = 24 * 3600.0


class IssuingSession(AzureSession):
    """A session that hands out credentials, and makes logins for clusters."""

    #: a login is a password with an end
    lasting = False

    def credentials(self, repositories: str, *, push: bool, ttl: float, user: str | None = None) -> Credentials:
        return issue(self, repositories, push=push, ttl=ttl, user=user)

    def login_host(self) -> str:
        found = self.login_server
        if not found:
            raise PlatformError(
                "its login server is not known yet", address=self.own_address(), hint="apply: Azure says it then"
            )
        return found

    def login_of(self, grant: str) -> Credentials:
        """A new password of the grant's token, for all that it gives. The third ends the first. Raises PlatformError."""
        at, token, _ = _with_map(self, grant)
        return _issued(self, at, token, _OF_CLUSTERS)

    def is_over(self, grant: str, ends: datetime) -> bool:
        token = _token(self, Address.of(self.name, KIND, grant.lower()))
        there = _passwords(token) if token is not None else []
        return ends.replace(microsecond=0) not in {item.ends.replace(microsecond=0) for item in there if item.ends}


def issue(session: AzureSession, repositories: str, *, push: bool, ttl: float, user: str | None) -> Credentials:
    """Credentials for `ttl` seconds, by a new password of the token of grant `user`.

    A token can't be narrowed: they are refused unless what was asked for is all that it gives. Raises PlatformError.
    """
    if user is None:
        raise _refused(
            f"on Azure, credentials are those of a grant of type {TOKEN_TYPES}",
            _fitting(session, repositories),
        )
    at, token, above = _with_map(session, user)
    _check_selection(session, user, above.settings, repositories, push)
    return _issued(session, at, token, ttl)


def _with_map(session: AzureSession, user: str) -> tuple[Address, Mapping[str, Any], Live]:
    """The token of a grant with its address and its scope map, which are as the last apply wrote them. Raises PlatformError."""
    at = Address.of(session.name, KIND, user.lower())
    token = _token(session, at)
    above = ScopeMapKind().read_one(session, Address.of(session.name, "scope-map", at.name))
    if token is None and above is not None and above.marks.owner == session.estate.owner:
        raise _refused(
            f"token {at.name} is not there: somebody deleted it", "run `reconciler apply`, which makes it anew"
        )
    if token is None or above is None:
        raise _refused(
            f"registry {session.name} has no token for a grant {user}",
            f"{_tokens(session)}; a grant of type {TOKEN_TYPES} has one once it is applied",
        )
    if above.marks.owner != session.estate.owner:
        whose = f"belongs to spec {above.marks.owner}" if above.marks.owner else "was not made by reconciler"
        raise _refused(
            f"the scope map of token {at.name} {whose}", "take the login from there, or give the grant another name"
        )
    if properties(token).get("status") == "disabled":
        raise _refused(f"token {at.name} is disabled", "run `reconciler apply`, which enables it")
    scope_map = str(properties(token).get("scopeMapId", "")).rpartition("/")[2]
    if scope_map.lower() != at.name:
        raise _refused(
            f"somebody gave token {at.name} the scope map {scope_map}", "run `reconciler apply`, which gives it its own"
        )
    if above.marks.applied != applied_hash(above.settings):
        raise _refused(
            f"scope map {at.name} was changed by hand, so that its token does not do what the grant gives",
            "run `reconciler apply`, which writes it as the grant is",
        )
    return at, token, above


def _token(session: AzureSession, at: Address) -> Mapping[str, Any] | None:
    return session.found_plain(at, "tokens:get", partial(session.client.tokens.get, *session.group, at.name))


def _check_selection(session: AzureSession, user: str, has: ScopeMapSettings, asked: str, push: bool) -> None:
    found = list(ScopeMapKind().access(session.own_address(), has))
    given = {access.repository for access in found}
    chosen = set(covered([asked], sorted(given), set(given)))
    if not chosen:
        raise PlatformError(
            f"grant {user} gives nothing on {asked}",
            operation="credentials",
            code=NO_REPOSITORY,
            hint=f"it gives access to {some_of(sorted(given))}",
        )
    if more := sorted(given - chosen):
        raise _refused(
            f"the token of grant {user} reaches {some_of(more)} too, and Azure can't narrow a token",
            f"ask for {session.name}/'*', which is all that the grant gives, or write a grant for {asked} alone",
        )
    pushes = any(access.verb == PUSH for access in found)
    if push and not pushes:
        raise _refused(f"grant {user} lets nobody push", "leave out --push, or give the grant `permission: push-pull`")
    if pushes and not push:
        raise _refused(
            f"the token of grant {user} can push too, and Azure can't narrow a token",
            "add --push, or write a grant with `permission: pull`",
        )


def _issued(session: AzureSession, at: Address, token: Mapping[str, Any], ttl: float) -> Credentials:
    now = datetime.now(UTC)
    chosen = choice(_passwords(token), now)
    if chosen is None:
        raise _refused(
            f"both passwords of token {at.name} have no end: somebody made them by hand, and may use them",
            "remove one with `az acr token credential delete --registry"
            f" {session.registry.registry_name} --name {at.name} --password2`",
        )
    try:
        ends = now + timedelta(seconds=ttl)
    except OverflowError:
        raise _refused("Azure takes no date after the year 9999", "ask for a shorter --ttl") from None
    body = {
        "tokenId": f"{session.registry.resource}/tokens/{at.name}",
        "expiry": ends.isoformat(),
        "name": chosen.name,
    }
    begin = partial(session.client.registries.begin_generate_credentials, *session.group, body)
    answer = session.done(at, OPERATION, begin) or {}
    made: Mapping[str, Any] = next(
        (item for item in answer.get("passwords") or () if item.get("name") == chosen.name), {}
    )
    found = _read(made)
    if not made.get("value") or found.ends is None:
        raise PlatformError(
            f"Azure made {chosen.name} and did not answer with it and its end",
            address=at,
            operation=OPERATION,
            hint="run again",
        )
    return Credentials(
        session.login_server,
        str(answer.get("username") or at.name),
        str(made["value"]),
        found.ends,
        notes=tuple(_notes(at, chosen, now)),
    )


def choice(passwords: Iterable[_Password], now: datetime) -> _Password | None:
    """Which of a token's two is made anew: one that logs in nobody, else the older one. None if somebody made both without an
    end."""
    found = sorted(
        (item for item in passwords if not item.endless), key=lambda item: (item.good(now), item.made or now)
    )
    return found[0] if found else None


def _notes(at: Address, chosen: _Password, now: datetime) -> Iterable[str]:
    if chosen.good(now) and chosen.ends is not None:
        ended = chosen.ends.isoformat(timespec="seconds").replace("+00:00", "Z")
        yield f"token {at.name} has two passwords: an earlier one, good until {ended}, ended with this one"
    if chosen.made is not None:
        yield "the registry takes the password within 60 seconds"


def _passwords(token: Mapping[str, Any]) -> list[_Password]:
    credentials = properties(token).get("credentials") or {}
    there = {str(item.get("name")): _read(item) for item in credentials.get("passwords") or ()}
    return [there.get(name, _Password(name)) for name in _NAMES]


def _read(item: Mapping[str, Any]) -> _Password:
    made = _time(item.get("creationTime")) or datetime.min.replace(tzinfo=UTC)
    return _Password(str(item.get("name")), made, _time(item.get("expiry")))


def _time(text: Any) -> datetime | None:
    """A time as Azure writes it, with up to seven digits of a second; None if it is none."""
    if not isinstance(text, str):
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _tokens(session: AzureSession) -> str:
    """The grants that have a token of ours."""
    names = sorted(_given(session))
    return f"it has {some_of(names)}" if names else "it has none yet"


def _given(session: AzureSession) -> Mapping[str, set[str]]:
    """What each token of ours gives access to, by the names of their grants."""
    maps = ScopeMapKind().lives(session, session.scope_maps(session.own_address()))
    ours = (live for live in maps if live.marks.owner == session.estate.owner)
    access = ScopeMapKind().access
    return {
        live.address.name: {item.repository for item in access(session.own_address(), live.settings)} for live in ours
    }


def _fitting(session: AzureSession, asked: str) -> str:
    """What to do for whoever names no grant: which of them give access to what is asked for."""
    names = sorted(name for name, given in _given(session).items() if set(covered([asked], sorted(given), given)))
    if names:
        return f"name the grant with --as, of those whose token reaches {session.name}/{asked}: {some_of(names)}"
    return f"no token reaches {session.name}/{asked}: write a grant to azure-token, apply, and name it with --as"


def _refused(message: str, hint: str) -> PlatformError:
    return PlatformError(message, operation="credentials", hint=hint)
