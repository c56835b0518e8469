"""What a registry is asked: whether it is one, whether a login works, which repositories it has.

https://github.com/opencontainers/distribution-spec/blob/main/spec.md
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from typing import Any, Self

import httpx

from reconciler.errors import PlatformError
from reconciler.platforms.http import CONNECT_TIMEOUT, READ_TIMEOUT, HttpSession, logged
from reconciler.platforms.tls import trusting
from reconciler.redaction import redacted

from .auth import BUSY, NO_LOGIN, NO_SCOPE, Busy, Login, LoginRefused, RegistryAuth, document_of, operation_of, said_of
from .challenge import challenges
from .deadline import limit
from .limits import ENCODING, limited
from .proxies import bypassed
from .refusal import Refusal
from .trouble import Overlong, no_proxy, trouble

#: names on a page of the catalog; a registry may give fewer
PAGE = 1000
#: pages of a catalog that are read, however many there are
PAGES = 1000
#: what an answer is to somebody who may not ask, or of a registry that does not have it: Docker Hub has no catalog, Harbor's is for
#: administrators (https://github.com/docker/hub-feedback/issues/2094, https://github.com/goharbor/harbor/issues/13573)
REFUSED = frozenset({401, 403, 404, 405, 501})
#: codes of a registry that does not have what was asked for; others may mean that it is not shown
#: (https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes; Harbor says NOT_FOUND)
MISSING = frozenset({"NAME_UNKNOWN", "MANIFEST_UNKNOWN", "NOT_FOUND"})
_CATALOG = "/v2/_catalog"
#: seconds for which what may pass is asked for again
PATIENCE = 10.0
#: seconds; the least that an answer may take, whatever the time limit of a run
_SHORTEST = 1.0


class RegistryClient:
    """Calls to one registry. A context manager, which closes the connections.

    `url`: the registry's address. `ca_file`: certificates of authorities that are trusted beside the system's, in PEM.
    `session`: whose time limit counts, and who waits for what may pass; without one nothing is waited for.
    Every call raises PlatformError: what failed, and what to do.
    """

    def __init__(
        self, url: str, login: Login | None = None, ca_file: Path | None = None, session: HttpSession | None = None
    ) -> None:
        self.url = httpx.URL(url.rstrip("/"))
        self.login = login
        self._session = session
        self._auth = RegistryAuth(self.url, login)
        self._http = self._made(_context(ca_file))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections."""
        self._http.close()

    def hidden(self, text: str) -> str:
        """What the registry has said, without the login if it repeats that."""
        return self.login.hidden(text) if self.login is not None else text

    def reach(self) -> httpx.Response:
        """Fails unless a registry answers there. Returns what it answered somebody without a login."""
        answer = self._get("/v2/", login=False)
        if answer.status_code not in (200, 401) or (answer.status_code == 200 and _is_page(answer)):
            raise self._no_registry(answer)
        if answer.status_code == httpx.codes.UNAUTHORIZED and (fault := _unspoken(answer)) is not None:
            said, hint = fault
            raise PlatformError(
                f"the registry asks for a login {said}",
                operation=operation_of("GET", answer.request.url, self.login),
                code="401",
                hint=f"ask its operator: {hint}",
            )
        return answer

    def check_login(self, repository: str = "", known: Sequence[str] = ()) -> None:
        """Fails unless the login works, also for pulling from a repository if one is given, whether or not that is there yet.

        What decides is the token service, or the registry by Basic: where a service gives tokens to everybody, /v2/ answers 200 to
        any login. A registry that asks for none is offered it. `known`: repositories that it may pull from: if the service gives it
        no token for nothing, one for any of them will do.
        """
        if self.reach().status_code == httpx.codes.OK:
            self._auth.offer()
        # for nothing, as `docker login` asks: a service may give no token for what is not there, to nobody (GitLab, ghcr.io)
        try:
            answer = self._get("/v2/", scope=_pull(repository) if repository else NO_SCOPE)
        except LoginRefused:
            # nor to nobody, who may pull what is public all the same: each repository says so by itself
            if not repository and (self.login is None or any(map(self._gets_token, known))):
                return
            raise
        by_token = answer.request.headers.get("Authorization", "").startswith("Bearer ")
        # whom a service has given a token, it knows; that the token is for nothing may not suffice for anything
        if answer.status_code in (401, 403) and by_token and not repository:
            return
        if answer.status_code in (401, 403):
            raise self._refused(answer)
        if answer.status_code == 200 and repository:
            answer = self._tags(repository)
        if answer.status_code in (401, 403):
            raise self._refused(answer, repository)
        if answer.status_code not in (200, *((404,) if repository else ())):
            raise self._failed(answer)

    def _gets_token(self, repository: str) -> bool:
        """Whether the token service gives the login a token to pull from a repository."""
        try:
            answer = self._get("/v2/", scope=_pull(repository))
        except LoginRefused:
            return False
        return str(answer.request.headers.get("Authorization", "")).startswith("Bearer ")

    def holds(self, repository: str) -> bool | Refusal:
        """Whether there is such a repository; a Refusal if the registry doesn't say that to these credentials."""
        try:
            answer = self._tags(repository)
        except (LoginRefused, Overlong) as refused:
            return Refusal(refused.message)
        found = document_of(answer)
        if answer.status_code == 200 and "tags" in found:
            return True
        # that of the registry itself, and of nobody between: its errors are a list
        if answer.status_code == 404 and _is_missing(found):
            return False
        if answer.status_code in REFUSED:
            return Refusal(
                f"it answers {answer.status_code}{said_of(answer, self.login)} to whether there is {repository}"
            )
        raise self._failed(answer)

    def repositories(self) -> frozenset[str] | Refusal:
        """The names of all repositories; a Refusal if the registry doesn't list them to these credentials."""
        found: set[str] = set()
        path = first = f"{_CATALOG}?n={PAGE}"
        seen: set[str] = set()
        for _ in range(PAGES):
            try:
                answer = self._get(path, scope="registry:catalog:*")
            except LoginRefused as refused:  # GitLab's service refuses the scope itself
                return Refusal(f"it lists its repositories to others alone: {refused.message}")
            if answer.status_code in REFUSED:
                return Refusal(
                    f"it lists its repositories to others alone ({answer.status_code}{said_of(answer, self.login)})"
                )
            if answer.status_code == httpx.codes.BAD_REQUEST and path == first:
                # it gives smaller pages, and refuses more: without a number it gives its own
                # (https://distribution.github.io/distribution/about/configuration/#catalog)
                path = _CATALOG
                continue
            names = _names(answer) if answer.status_code == 200 else None
            if names is None:
                raise self._failed(answer)
            found |= names
            link = _next(answer)
            if not link:
                return frozenset(found)
            following = self._followed(answer, link)
            if following is None:
                return Refusal("the next page of its list is linked at an address that is not its list's")
            seen.add(path)
            # a page that says nothing new does not mean that the next one does not: all on it may be what others alone are shown
            if following in seen:
                break
            path = following
        raise PlatformError(
            "the registry's list of repositories does not end",
            operation=operation_of("GET", self.url.copy_with(path=_CATALOG)),
            hint="ask its operator: a page is its own next one, or there are more pages than are read",
        )

    # -- calls --------------------------------------------------------------------------------------------------

    def _made(self, context: ssl.SSLContext) -> httpx.Client:
        whole = self._session.estate.timeout if self._session is not None else READ_TIMEOUT
        seconds = min(READ_TIMEOUT, max(_SHORTEST, whole))
        try:
            made = httpx.Client(
                verify=context,
                timeout=httpx.Timeout(seconds, connect=CONNECT_TIMEOUT),
                event_hooks={"response": [limited]},
                # no session: Harbor takes whoever comes with the one of somebody without a login for that
                # (https://github.com/goharbor/harbor/issues/14404). And an answer that sends elsewhere would take the login along
                follow_redirects=False,
                cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
                mounts=bypassed(self.url),
                headers={"User-Agent": "reconciler", "Accept": "application/json", "Accept-Encoding": ENCODING},
            )
        except (httpx.InvalidURL, ValueError, ImportError) as error:
            raise no_proxy(error, self.url.join("/v2/")) from None
        limit(made, seconds)
        return made

    def _tags(self, repository: str) -> httpx.Response:
        return self._get(f"/v2/{repository}/tags/list?n=1", scope=_pull(repository))

    def _get(self, path: str, *, scope: str = "", login: bool = True) -> httpx.Response:
        request = self._http.build_request("GET", self.url.join(path), extensions={"scope": scope})
        operation = operation_of("GET", request.url)
        session = self._session

        def once() -> httpx.Response:
            while True:
                try:
                    return self._once(request, operation, login=login)
                except Busy as busy:
                    if session is None or busy.seconds is None:
                        raise
                    session.pause(busy.seconds, operation, f"registry {session.name}")

        if session is None:
            return once()
        return session.patiently(once, lambda error: isinstance(error, Busy), PATIENCE)

    def _once(self, request: httpx.Request, operation: str, *, login: bool) -> httpx.Response:
        with logged(operation) as line:
            try:
                answer = self._http.send(request, auth=self._auth if login else None)
            except httpx.HTTPError as error:
                raise trouble(error, self.url, self.login) from None
            line.answered(str(answer.status_code))
            if answer.status_code in BUSY:
                raise self._failed(answer)
            return answer

    def _followed(self, answer: httpx.Response, link: str) -> str | None:
        """Where the catalog goes on; None if that is no catalog. The login stays at the registry, wherever a link leads."""
        try:
            url = answer.request.url.join(link)
        except httpx.InvalidURL:
            return None
        return url.raw_path.decode() if url.path == _CATALOG else None

    # -- errors -------------------------------------------------------------------------------------------------

    def _no_registry(self, answer: httpx.Response) -> PlatformError:
        operation = operation_of("GET", answer.request.url, self.login)
        if answer.is_redirect:
            to = answer.headers.get("Location", "")
            host = redacted(self.hidden(to if to.isprintable() else repr(to))).partition("?")[0][:200]
            return PlatformError(
                f"it sends elsewhere, to {host}, which is not followed",
                operation=operation,
                code=str(answer.status_code),
                hint="give the address of the registry itself as `url`",
            )
        if answer.status_code == httpx.codes.INTERNAL_SERVER_ERROR:
            return self._failed(answer)
        return PlatformError(
            f"no registry answers there: /v2/ answers {answer.status_code}",
            operation=operation,
            code=str(answer.status_code),
            hint="check `url`: a registry's address is that of its host and port, and its API is below /v2/",
        )

    def _refused(self, answer: httpx.Response, repository: str = "") -> LoginRefused:
        login = self.login
        if repository:
            whose = f"user {login.username}" if login is not None else "whoever has no login"
            said, hint = f"does not let {whose} pull {repository}", "have its operator allow that"
        else:
            whose = f"the login of user {login.username}" if login is not None else "whoever has no login"
            said, hint = f"refuses {whose}", f"check {login.source}" if login is not None else NO_LOGIN
        refused = LoginRefused(
            f"the registry {said}{said_of(answer, self.login)}",
            operation=operation_of("GET", answer.request.url, self.login),
            code=str(answer.status_code),
            hint=hint if login is not None else NO_LOGIN,
        )
        refused.wrong = not repository
        return refused

    def _failed(self, answer: httpx.Response) -> PlatformError:
        status = answer.status_code
        passing = status in BUSY or status == httpx.codes.INTERNAL_SERVER_ERROR
        failed = (Busy if status in BUSY else PlatformError)(
            f"the registry answers {status}{said_of(answer, self.login) or _unreadable(answer)}",
            operation=operation_of("GET", answer.request.url, self.login),
            code=str(status),
            hint="run again later" if passing else "ask the registry's operator",
        )
        return failed.after(answer) if isinstance(failed, Busy) else failed


def _context(ca_file: Path | None) -> ssl.SSLContext:
    try:
        return trusting(ca_file)
    except OSError as error:
        why = (
            error.strerror
            if not isinstance(error, ssl.SSLError) and error.strerror
            else "it holds no certificate in PEM"
        )
        raise PlatformError(
            f"the certificates in {ca_file} can't be read: {why}", hint="check ca_file: certificates in PEM"
        ) from None


def _unspoken(answer: httpx.Response) -> tuple[str, str] | None:
    """Why a login that is asked for can't be sent, and what to say to its operator; None if it can."""
    asked = challenges(answer.headers.get_list("WWW-Authenticate"))
    if not asked:
        return "and does not say which kind", "the answer has no WWW-Authenticate header that can be read"
    schemes = sorted({item.scheme for item in asked})
    if any(item.scheme == "basic" or (item.scheme == "bearer" and item.parameters.get("realm")) for item in asked):
        return None
    if "bearer" in schemes:
        return "by Bearer, and does not say where a token is to be had", "the challenge has no realm"
    kinds = " or ".join(scheme.capitalize() for scheme in schemes)
    return f"by {kinds}, and none was sent", "clients of registries log in by Basic or Bearer"


def _unreadable(answer: httpx.Response) -> str:
    return " and nothing that can be read" if answer.is_success else ""


def _is_page(answer: httpx.Response) -> bool:
    return "html" in answer.headers.get("Content-Type", "")


def _pull(repository: str) -> str:
    return f"repository:{repository}:pull"


def _next(answer: httpx.Response) -> str:
    """The link to the next page, "" if there is none. Names and relations are compared without case, and a link may have several
    (https://www.rfc-editor.org/rfc/rfc8288#section-3.3); the catalog's pages are linked as those of tags are
    (https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-tags)."""
    for link in answer.links.values():
        found = {str(key).lower(): value for key, value in link.items()}
        if "next" in (found.get("rel") or "").lower().split():
            return found.get("url") or ""
    return ""


def _is_missing(document: Mapping[str, Any]) -> bool:
    errors = document.get("errors")
    return (
        isinstance(errors, list)
        and bool(errors)
        and all(isinstance(item, dict) and item.get("code") in MISSING for item in errors)
    )


def _names(answer: httpx.Response) -> set[str] | None:
    document = document_of(answer)
    if "repositories" not in document:
        return None
    found = document["repositories"]
    if found is None:  # as some say that there is none
        return set()
    if not isinstance(found, list) or not all(isinstance(item, str) for item in found):
        return None
    return set(found)
