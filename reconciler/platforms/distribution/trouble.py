"""Why no answer came from a registry, in words."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator

import httpx

from reconciler.errors import PlatformError

from .auth import operation_of

#: https://docs.openssl.org/3.0/man3/X509_STORE_CTX_get_error/#error-codes
_EXPIRED, _NOT_YET, _OTHER_NAME = 10, 9, (62, 64)


class NoAnswer(PlatformError):
    """No answer came, and may come if it is asked for again."""


def trouble(error: httpx.HTTPError, registry: httpx.URL) -> PlatformError:
    """A failed call, with what to do about it. `registry`: its address; what failed may be its token service."""
    url = error.request.url if error._request is not None else registry
    where = operation_of("GET", url)
    whose = "the registry" if url.host == registry.host else f"the registry's token service at {url.host}"
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return PlatformError(
                f"{whose}'s certificate is not trusted: {_why(cause)}", operation=where, hint=_hint(cause)
            )
        if isinstance(cause, ssl.SSLError):
            return PlatformError(
                f"{whose} does not speak TLS there",
                operation=where,
                hint="check the port; a registry without TLS is reached on this machine alone, by http://",
            )
        if isinstance(cause, socket.gaierror):
            return NoAnswer(
                f"there is no host {url.host}", operation=where, hint="check `url`, and the network's names"
            )
        if isinstance(cause, ConnectionRefusedError):
            return NoAnswer(f"{whose} refuses connections", operation=where, hint="check `url`, and whether it runs")
    if isinstance(error, httpx.TimeoutException):
        said = "can't be connected to" if isinstance(error, httpx.ConnectTimeout) else "does not answer"
        return NoAnswer(f"{whose} {said} in time", operation=where, hint="check the network, and run again")
    if isinstance(error, httpx.ProxyError):
        return NoAnswer(
            "the proxy does not let the call through", operation=where, hint="check HTTPS_PROXY and NO_PROXY"
        )
    return NoAnswer(f"{whose} closes the connection", operation=where, hint="run again")


def _why(error: ssl.SSLCertVerificationError) -> str:
    if error.verify_code in _OTHER_NAME:
        return "it is for another name"
    return {_EXPIRED: "it has expired", _NOT_YET: "it is not valid yet"}.get(
        error.verify_code, "no authority that is trusted here has signed it"
    )


def _hint(error: ssl.SSLCertVerificationError) -> str:
    if error.verify_code in _OTHER_NAME:
        return "give the name that the certificate is for in `url`"
    if error.verify_code in (_EXPIRED, _NOT_YET):
        return "have it renewed, and check the clock here"
    return "give the certificate of the authority that signed it as `ca_file`"


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__ or seen.__context__
