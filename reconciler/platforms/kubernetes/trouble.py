"""What a cluster's refusals mean, in words. https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from reconciler.errors import PlatformError
from reconciler.redaction import redacted

#: codes of what the callers tell apart
FORBIDDEN, GONE, TAKEN, THROTTLED, NO_NAMESPACE, TERMINATING = (
    "Forbidden",
    "NotFound",
    "Conflict",
    "TooManyRequests",
    "NamespaceNotFound",
    "NamespaceTerminating",
)
#: one of each kind of object, in words
_ONE = {"secrets": "secret", "serviceaccounts": "service account", "configmaps": "ConfigMap"}
_WHO = re.compile(r'[Uu]ser "([^"]*)" cannot ')
#: what a refusal says of whoever acts as somebody else, with what the user may not take on
_ACTING = re.compile(r'\w+(?:/\w+)? "([^"]*)" is forbidden: [Uu]ser "[^"]*" cannot impersonate resource "(\w+)')
#: https://kubernetes.io/docs/reference/access-authn-authz/authentication/#anonymous-requests
_ANONYMOUS = "system:anonymous"
#: seconds before what is throttled is sent again, where the cluster does not say: it says 1
_PAUSE = 1.0
#: what it is called if nobody is there to be asked
_NOBODY = frozenset({"NewConnectionError", "ConnectionRefusedError", "NameResolutionError", "gaierror"})
#: bytes of an answer that are looked at
_LONGEST = 1 << 16


class NoAnswer(PlatformError):
    """No answer came from a cluster, or one that does not say what it did; it may if it is asked again. `passes`: whether that is of
    any use."""

    passes: bool = True


class Throttled(PlatformError):
    """The cluster wants to be asked later."""

    seconds: float = _PAUSE


def retry_after(error: PlatformError) -> float:
    """Seconds until a throttled call may be sent again."""
    return error.seconds if isinstance(error, Throttled) else _PAUSE


def refused(error: Any, at: str, operation: str, namespace: str, cluster: str) -> PlatformError:
    """What a cluster answered in the place of success, as an error. `error`: the client's."""
    body = _body(error.body)
    headers: Mapping[str, str] = error.headers or {}
    said: dict[str, Any] = {"address": at, "operation": operation, "request_id": headers.get("Audit-Id", "")}
    status, reason = int(error.status), str(body.get("reason") or "")
    message = redacted(str(body.get("message") or ""))[:500]
    causes = [str(item.get("reason")) for item in _list(_map(body.get("details")).get("causes")) if _map(item)]
    if status == 429:
        found = Throttled(
            f"cluster {cluster} throttles it",
            code=THROTTLED,
            hint="run again; changes already made are kept",
            **said,
        )
        found.seconds = _seconds(headers.get("Retry-After"))
        return found
    if status == 401:
        return PlatformError(
            f"cluster {cluster} does not take this login",
            code="Unauthorized",
            hint="log in to the cluster again, and check with `kubectl auth whoami`",
            **said,
        )
    if status == 403 and TERMINATING in causes:
        return PlatformError(
            f"namespace {namespace} of cluster {cluster} is being deleted: nothing is made in it",
            code=TERMINATING,
            hint="wait until it is gone, and apply once it is there again; or take it out of the grant",
            **said,
        )
    if status == 403:
        name = str(_map(body.get("details")).get("name") or "")
        return _forbidden(message, said, name, namespace, cluster)
    if status == 404 and _map(body.get("details")).get("kind") == "namespaces":
        return PlatformError(
            f"there is no namespace {namespace} in cluster {cluster} yet",
            code=NO_NAMESPACE,
            hint="apply once it is there",
            **said,
        )
    if status == 404 and reason == GONE:
        return PlatformError(f"it is not there: {message}", code=GONE, hint="make a new plan", **said)
    if status == 404:
        return PlatformError(
            f"what answers for cluster {cluster} does not know such a thing, so it is no Kubernetes API",
            code="404",
            hint="check the server in the kubeconfig",
            **said,
        )
    if status == 409:
        return PlatformError(
            f"somebody else writes it too: {message}",
            code=TAKEN,
            hint="run again",
            **said,
        )
    if status >= 500:
        return NoAnswer(
            f"cluster {cluster} failed: {status}{f' ({message})' if message else ''}",
            code=str(status),
            hint="run again; changes already made are kept",
            **said,
        )
    return PlatformError(
        f"cluster {cluster} refuses it: {message or status}",
        code=reason or str(status),
        hint="run `reconciler plan` for what is there now",
        **said,
    )


def _forbidden(message: str, said: dict[str, Any], name: str, namespace: str, cluster: str) -> PlatformError:
    """`name`: of what may not be seen or written; "" where no Role could name it."""
    found = _WHO.search(message)
    who = f"user {found[1]}" if found else "this login"
    if found is None and message:  # an admission controller, say
        return PlatformError(
            f"cluster {cluster} forbids it: {message}",
            code=FORBIDDEN,
            hint="ask whoever runs the cluster",
            **said,
        )
    if found is not None and found[1] == _ANONYMOUS:  # what gives that user rights gives them to everybody
        return PlatformError(
            f"cluster {cluster} is asked without a login that it knows: it takes this for {_ANONYMOUS}",
            code=FORBIDDEN,
            hint="give the user of the kubeconfig a login, and check with `kubectl auth whoami`",
            **said,
        )
    if acting := _ACTING.search(message):
        whom = {"users": f"as {acting[1]}", "groups": f"in group {acting[1]}"}.get(
            acting[2], f"with {acting[2]} {acting[1]}"
        )
        return PlatformError(
            f"{who} may not act {whom} in cluster {cluster}, as its kubeconfig says",
            code=FORBIDDEN,
            hint=f"allow that user to impersonate {acting[2]}, or take `as` and what belongs to it out of the kubeconfig",
            **said,
        )
    verb, _, resource = said["operation"].partition(" ")
    what = f"{_ONE.get(resource, resource)} {name}" if name else resource
    named = f", by the name {name}" if name else ""
    return PlatformError(
        f"{who} may not {verb} {what} in namespace {namespace} of cluster {cluster}",
        code=FORBIDDEN,
        hint=f"give that user a Role there with the verb {verb} on {resource}{named}; without rights in it, a namespace that does not"
        " exist looks the same",
        **said,
    )


def unreachable(error: BaseException, at: str, operation: str, cluster: str) -> NoAnswer:
    """That no answer came."""
    names = {type(item).__name__ for item in _chain(error)} | {str(getattr(error, "reason", "")).partition("\n")[0]}
    if "ProxyError" in names:
        why, hint = _of_proxy(error, names)
    elif any("SSL" in name or "Certificate" in name for name in names):
        why, hint = (
            "its certificate is not trusted",
            "check certificate-authority and the server's name in the kubeconfig",
        )
    elif names & _NOBODY:
        why, hint = "nothing answers there", "check the server in the kubeconfig, and the network"
    elif any("Timeout" in name for name in names):
        why, hint = "it does not answer in time", "check the network, and run again"
    else:
        why, hint = "the connection was cut before an answer came", "run again"
    found = NoAnswer(f"cluster {cluster} can't be reached: {why}", address=at, operation=operation, hint=hint)
    # https://docs.python.org/3/library/ssl.html#ssl.SSLCertVerificationError: it is the same the next time
    found.passes = not any("Cert" in name for name in names)
    return found


def _of_proxy(error: BaseException, names: Collection[str]) -> tuple[str, str]:
    """Why no connection through a proxy came about, and what to do. `names`: of the errors behind it."""
    where = "check proxy-url in the kubeconfig, HTTPS_PROXY and NO_PROXY"
    if any("SSL" in name or "Certificate" in name for name in names):
        return "the proxy on the way there speaks no TLS, or its certificate is not trusted", where
    if any(name in _NOBODY or "Timeout" in name for name in names):
        return "the proxy on the way there does not answer", where
    if any("connection failed: 407" in str(item) for item in _chain(error)):
        return (
            "the proxy on the way there wants a login, or another one",
            "give it in the proxy's address, as http://user:password@host:port",
        )
    return "the proxy on the way there does not let the call through", where


def unreadable(error: BaseException, at: str, operation: str, cluster: str) -> NoAnswer:
    """That an answer is none of a Kubernetes API. What it says is not repeated: it may be a secret."""
    return NoAnswer(
        f"cluster {cluster} answers what is no Kubernetes object ({type(error).__name__})",
        address=at,
        operation=operation,
        hint="check the server in the kubeconfig",
    )


def _seconds(text: str | None) -> float:
    try:
        return max(_PAUSE, float(text or _PAUSE))
    except ValueError:
        return _PAUSE


def _body(text: Any) -> Mapping[str, Any]:
    """A Status, {} of what is none: a 429 is plain text."""
    try:
        return _map(json.loads(str(text or "")[:_LONGEST]))
    except (ValueError, RecursionError):
        return {}


def _map(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: list[BaseException] = []
    found: Any = error
    while isinstance(found, BaseException) and found not in seen:
        seen.append(found)
        yield found
        reason = getattr(found, "reason", None)
        found = reason if isinstance(reason, BaseException) else found.__cause__ or found.__context__
