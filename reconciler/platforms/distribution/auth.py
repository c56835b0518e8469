"""How a registry is logged in to: by Basic, or by a token that a service of its choice gives.

https://distribution.github.io/distribution/spec/auth/token/
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from socket import inet_aton
from threading import Lock
from typing import Any
from urllib.parse import quote, quote_plus

import httpx

from reconciler.errors import PlatformError
from reconciler.redaction import HIDDEN, redacted

from .challenge import Challenge, challenges

Flow = Generator[httpx.Request, httpx.Response, None]

#: in the place of a scope: a token for nothing, whatever the challenge names, which may be a place holder (ghcr.io)
NO_SCOPE = "-"
#: what whoever has no login can do about a refusal
NO_LOGIN = "give credentials for the registry"
#: bytes of a token service's answer that are read: tokens for many repositories are some kB
LONGEST_ANSWER = 1 << 20
#: characters of a password from which on it is hidden within other words too
_LONG = 6


@dataclass(frozen=True, slots=True)
class Login:
    """What logs in. `source`: where it comes from, for people. `repr` leaves the password out."""

    username: str
    password: str = field(repr=False)
    source: str = ""

    @property
    def basic(self) -> str:
        """The header's value. https://www.rfc-editor.org/rfc/rfc7617#section-2: a password may hold colons, a user name none."""
        return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode()

    def hidden(self, text: str) -> str:
        """A text from outside without the login that it repeats: in clear, in Base64 or as a URL has it, in whatever case."""
        # the longest first: it may hold another
        forms = sorted(self._forms(), key=len, reverse=True)
        return re.sub("|".join(forms), HIDDEN, text, flags=re.IGNORECASE) if forms else text

    def _forms(self) -> Iterator[str]:
        """Patterns of what says the password."""
        both = f"{self.username}:{self.password}"
        for plain in (both, self.password):
            if not plain:
                continue
            for raw in (plain, quote(plain), quote(plain, safe=""), quote_plus(plain), json.dumps(plain)[1:-1]):
                yield re.escape(raw) if len(raw) >= _LONG else rf"(?<!\w){re.escape(raw)}(?!\w)"
            for encode in (base64.b64encode, base64.urlsafe_b64encode):
                bare = encode(plain.encode()).decode().rstrip("=")
                for coded in (bare, quote(bare, safe="")):
                    end = "(?:=|%3D)*" if len(bare) >= _LONG else r"(?:=|%3D)*(?!\w)"
                    yield ("" if len(bare) >= _LONG else r"(?<!\w)") + re.escape(coded) + end


class LoginRefused(PlatformError):
    """Whoever decides it refuses the login, or what was asked for with it. `wrong`: whether the login itself is no good."""

    wrong = True


class RegistryAuth(httpx.Auth):
    """Answers a registry's challenges, for each request that is sent with it; tokens are kept and used again.

    A request's extension `scope` says what it needs, such as `repository:app:pull`; without one, what the challenge asks for counts.
    The login is sent to the registry itself and to a token service over TLS alone. Raises LoginRefused where the service refuses
    it, and PlatformError where the login can't be sent, or no token came.
    """

    requires_response_body = True

    def __init__(self, registry: httpx.URL, login: Login | None = None) -> None:
        self._registry = registry
        self._login = login
        self._lock = Lock()
        self._known: dict[str, str] = {}
        self._offered = ""
        self._service: Challenge | None = None

    def offer(self) -> None:
        """From now on the login goes along with whatever is asked, unless there is a token for it: a registry that lets anybody in
        asks for none, and shows them less. Raises PlatformError if it would go out in clear."""
        if self._login is not None:
            self._offered = self._basic(self._registry)

    def auth_flow(self, request: httpx.Request) -> Flow:
        scope = str(request.extensions.get("scope", ""))
        with self._lock:
            known, service = self._known.get(scope), self._service
        fresh = False
        if known is None and scope and service is not None and self._login is not None:
            # not once it is asked for: what answers anybody answers whoever has no token by what is public alone
            fresh, known = True, (yield from self._by_token(service, scope))
            with self._lock:
                self._known[scope] = known
        known = known or self._offered
        if known:
            request.headers["Authorization"] = known
        answer = yield request
        if answer.status_code != httpx.codes.UNAUTHORIZED:
            return
        asked = challenges(answer.headers.get_list("WWW-Authenticate"))
        found = next((item for item in asked if item.scheme == "bearer" and item.parameters.get("realm")), None)
        if found is not None:
            if fresh and found.parameters.get("realm") == (service and service.parameters["realm"]):
                return  # the token that was sent is as good as another one
            header = yield from self._by_token(found, scope)
            with self._lock:
                self._service = self._service or found
        elif self._login is not None and any(item.scheme == "basic" for item in asked):
            header = self._basic(request.url)
            if known == header:
                return  # it was sent, and is refused
            self.offer()
        else:
            return
        with self._lock:
            self._known[scope] = header
        request.headers["Authorization"] = header
        yield request

    def _by_token(self, asked: Challenge, scope: str) -> Generator[httpx.Request, httpx.Response, str]:
        realm = asked.parameters["realm"]
        try:
            url = httpx.URL(realm)
        except httpx.InvalidURL:
            url = httpx.URL("")
        if (fault := _fault(url, self._registry)) is not None:
            raise PlatformError(
                f"the registry sends logins to {self._shown(realm)}, {fault}: nothing was sent there",
                operation=operation_of("GET", self._registry),
                hint="have its operator set the realm of its token service right",
            )
        named = "" if scope == NO_SCOPE else scope or asked.parameters.get("scope", "")
        wanted = {"service": asked.parameters.get("service", ""), "scope": named}
        # what the realm itself asks for stays
        request = httpx.Request("GET", url.copy_merge_params({key: value for key, value in wanted.items() if value}))
        if self._login is not None:
            request.headers["Authorization"] = self._basic(url)
        answer = yield request
        return "Bearer " + self._read(answer, named)

    def _basic(self, url: httpx.URL) -> str:
        login = self._login
        assert login is not None
        if url.scheme != "https" and not is_loopback(url.host):
            raise PlatformError(
                f"{_hide(url.host, login)} would get the login in clear: nothing was sent",
                operation=operation_of("GET", url, login),
                hint="give the registry's https:// address",
            )
        return login.basic

    def _read(self, answer: httpx.Response, scope: str) -> str:
        login = self._login
        operation = operation_of("GET", answer.request.url, login)
        if answer.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            whose = f"the login of user {login.username}" if login is not None else "a token without a login"
            refused = LoginRefused(
                f"the registry's token service refuses {whose}{said_of(answer, login)}",
                operation=operation,
                code=str(answer.status_code),
                hint=f"check {login.source}" if login is not None else NO_LOGIN,
            )
            # a service that says 403 knows who asks (https://www.rfc-editor.org/rfc/rfc9110#section-15.5.4)
            refused.wrong = not (scope and answer.status_code == httpx.codes.FORBIDDEN)
            raise refused
        found = document_of(answer) if answer.is_success else {}
        # https://distribution.github.io/distribution/spec/auth/token/#token-response-fields: one of the two, or both and equal
        token = found.get("token") or found.get("access_token")
        if not isinstance(token, str) or not token.isascii() or not token.isprintable() or " " in token:
            raise PlatformError(
                f"the registry's token service gave no token: it answered {answer.status_code}{said_of(answer, login)}",
                operation=operation,
                code=str(answer.status_code),
                hint="ask the registry's operator",
            )
        return token

    def _shown(self, realm: str) -> str:
        shown = _hide(realm if realm.isprintable() else repr(realm), self._login)
        return redacted(shown[:200]).partition("?")[0]


def is_loopback(host: str) -> bool:
    """Whether what is sent to a host stays on this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def operation_of(method: str, url: httpx.URL, login: Login | None = None) -> str:
    """A call, for people: without the query, which may hold what is nobody's business. `login`: what must not show, where a registry
    has chosen the URL."""
    port = f":{url.port}" if url.port else ""
    return _hide(f"{method} {url.scheme}://{url.host}{port}{url.path}", login)


def said_of(answer: httpx.Response, login: Login | None) -> str:
    """What a registry or a token service says in an answer, in parentheses; "" if nothing that is for people. Whatever it repeats of
    the login is hidden.

    https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes
    """
    errors = document_of(answer).get("errors")
    first = errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], dict) else {}
    words = [str(first[key]) for key in ("code", "message") if isinstance(first.get(key), str) and first[key]]
    return f" ({redacted(_hide(': '.join(words), login))[:300]})" if words else ""


def document_of(answer: httpx.Response) -> Mapping[str, Any]:
    """What an answer holds, {} if it is no JSON object, or too long."""
    if len(answer.content) > LONGEST_ANSWER:
        return {}
    try:
        found = json.loads(answer.content)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _hide(text: str, login: Login | None) -> str:
    return login.hidden(text) if login is not None else text


def _fault(realm: httpx.URL, registry: httpx.URL) -> str | None:
    """Why no login is sent to a realm; None if it may be. As go-containerregistry has it: a registry that is asked for in clear, on
    this machine, may have its token service there too.

    https://github.com/google/go-containerregistry/pull/2258
    """
    own = realm.host == registry.host
    if realm.scheme not in ("http", "https") or not realm.host:
        return "which is no https:// address"
    if realm.userinfo:
        return "which holds a login of its own"
    if realm.scheme == "http" and not (own and registry.scheme == "http" and is_loopback(realm.host)):
        return "which is not https://"
    if not own and _is_private(realm.host):
        return "which is a private address of another host"
    return None


def _is_private(host: str) -> bool:
    """Whether a host is an address that is no public one, also as resolvers read it (`127.1`), or this machine's name."""
    name = host.rstrip(".")
    try:
        address = ip_address(name)
    except ValueError:
        try:
            address = ip_address(inet_aton(name))
        except OSError:
            return name == "localhost" or name.endswith(".localhost")
    return not (getattr(address, "ipv4_mapped", None) or address).is_global
