"""How each request to Azure is sent: at the rate at which Azure takes it, again while its failure may pass, noted in the log of
calls, and to no other address than the one asked.

In the place of azure-core's own policies for retries, redirects and logs: theirs wait where no stop is heard, follow whoever sends
them elsewhere, and print the URLs of operations, which are signed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any

from azure.core.exceptions import ServiceRequestError, ServiceResponseError
from azure.core.pipeline.policies import (
    ContentDecodePolicy,
    HeadersPolicy,
    HTTPPolicy,
    ProxyPolicy,
    RequestIdPolicy,
    UserAgentPolicy,
)
from azure.core.pipeline.transport import HttpTransport
from azure.mgmt.core.policies import ARMChallengeAuthenticationPolicy

from reconciler.model.call_log import wrote
from reconciler.platforms.http import HttpSession, logged

from . import buckets
from .buckets import Bucket
from .spec import AzureRegistry

#: seconds in which a call that found no answer, or a service that is not there for a moment, is made again
PATIENCE = 60.0
#: HTTP statuses that pass by themselves
PASSING = (408, 500, 502, 503, 504)
#: seconds of a pause, where a throttled answer does not say how long
PAUSE = 5.0
#: what stands for itself in an id: `/registries/x` is of type `registries`
_TYPE = re.compile(
    r"/providers/Microsoft\.[A-Za-z]+/([A-Za-z]+)(?:/[^/]+/([A-Za-z]+))?(?:/[^/]+/([A-Za-z]+))?", re.IGNORECASE
)


class _Passing(Exception):
    """An answer that may be another one soon."""

    def __init__(self, response: Any) -> None:
        super().__init__()
        self.response = response


class Sending:
    """How a session sends one request."""

    def __init__(self, session: HttpSession, registry: AzureRegistry) -> None:
        self._session, self._registry = session, registry

    def sent(self, request: Any, send: Callable[[], Any], answer: Callable[[Any], Any]) -> Any:
        """What `send` gives for a request, made again while its failure may pass. `answer`: the HTTP answer in that. Raises
        azure-core's errors, Halted and TimeIsUp."""
        changes = request.method not in ("GET", "HEAD")
        make = partial(self._once, action_of(request.method, request.url), changes, send, answer)
        try:
            return self._session.patiently(make, _passes, PATIENCE)
        except _Passing as passing:
            return passing.response

    def _once(self, action: str, changes: bool, send: Callable[[], Any], answer: Callable[[Any], Any]) -> Any:
        session = self._session
        bucket = self._bucket(changes)
        pause = partial(session.pause, operation=action, cloud="Azure")
        while True:
            bucket.wait(pause)
            with session.under_way, logged(action) as log:
                try:
                    response = send()
                except (ServiceRequestError, ServiceResponseError):
                    if changes:  # no answer came: it may be done
                        wrote()
                    raise
                found = answer(response)
                log.answered(str(found.status_code), str(found.headers.get("x-ms-request-id", "")))
                if found.status_code == 429 or found.status_code in PASSING:
                    read_all(found)
            if found.status_code == 429:
                bucket.refused(_seconds(found.headers.get("Retry-After")))
                continue
            if found.status_code in PASSING:
                raise _Passing(response)
            if changes and found.status_code < 300:
                wrote()
            return response

    def _bucket(self, changes: bool) -> Bucket:
        registry = self._registry
        size = buckets.WRITES if changes else buckets.READS
        return self._session.estate.rates.shared(
            ("azure", registry.subscription_id.lower(), registry.location, changes), partial(Bucket, *size)
        )


class Calls(HTTPPolicy[Any, Any]):
    """What the calls of one pipeline go through."""

    def __init__(self, sending: Sending) -> None:
        super().__init__()
        self._sending = sending

    def send(self, request: Any) -> Any:
        """The answer of one request."""
        return self._sending.sent(
            request.http_request, lambda: self.next.send(request), lambda found: found.http_response
        )


class Patient(HttpTransport[Any, Any]):
    """Connections whose requests are sent so: for a client that makes pipelines of its own, since a policy belongs to one."""

    def __init__(self, transport: Any, sending: Sending) -> None:
        self._transport, self._sending = transport, sending

    def send(self, request: Any, **options: Any) -> Any:
        """The answer of one request."""
        return self._sending.sent(request, lambda: self._transport.send(request, **options), lambda found: found)

    def open(self) -> None:
        """They are the session's."""

    def close(self) -> None:
        """They are the session's."""

    def __enter__(self) -> Patient:
        return self

    def __exit__(self, *_: object) -> None:
        """They are the session's."""


def policies(credentials: Any, scope: str, calls: Calls) -> list[Any]:
    """What each request passes through, in its order."""
    return [
        RequestIdPolicy(),
        HeadersPolicy(),
        UserAgentPolicy("registry-reconciler"),
        ProxyPolicy(),
        ContentDecodePolicy(),
        calls,
        ARMChallengeAuthenticationPolicy(credentials, scope),
    ]


def action_of(method: str, url: str) -> str:
    """`registries/tokens:PUT`: what is called, without names and without what signs it."""
    types = list(_TYPE.finditer(url.partition("?")[0]))
    if not types:
        return f"azure:{method}"
    return f"{'/'.join(part for part in types[-1].groups() if part)}:{method}"


def read_all(answer: Any) -> None:
    """Reads an answer in whose place another one may come, as nobody else does then: azure-core leaves that of an operation's first
    call open (`stream=True`), and with it a connection that no other call gets and nobody closes. Raises azure-core's errors."""
    read = getattr(answer, "read", None) or answer.body  # azure.core.rest's, or the older kind
    read()


def _passes(error: BaseException) -> bool:
    return isinstance(error, _Passing | ServiceRequestError | ServiceResponseError)


def _seconds(said: str | None) -> float:
    """How long Azure asks to wait: https://learn.microsoft.com/azure/azure-resource-manager/management/request-limits-and-throttling"""
    try:
        return max(float(said or ""), 0.0) or PAUSE
    except ValueError:
        return PAUSE
