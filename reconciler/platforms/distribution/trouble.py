"""Why no answer came from a registry, in words."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator

import httpx

from reconciler.errors import PlatformError

from .auth import Login, operation_of
from .limits import LONGEST, TooLong
from .proxies import is_proxied, named

#: https://docs.openssl.org/3.0/man3/X509_STORE_CTX_get_error/#error-codes
_EXPIRED, _NOT_YET, _OTHER_NAME = 10, 9, (62, 64)


class NoAnswer(PlatformError):
    """No answer came, and may come if it is asked for again."""


class Overlong(PlatformError):
    """An answer is longer than what is read of it."""


def no_proxy(error: Exception, url: httpx.URL) -> PlatformError:
    """That no call can be made through the proxy that the environment names. What it says is not shown: it may hold a password."""
    if isinstance(error, ImportError):
        why = f"{named()} gives a SOCKS proxy, and the library that speaks SOCKS is not installed"
        hint = "run `pip install 'httpx[socks]'`, or give a proxy by http://"
    else:
        why = f"the proxy in {named()} can't be read"
        hint = (
            "write http://user:password@host:port, with what is special in the password as %XX, such as %2F for a slash"
        )
    return PlatformError(why, operation=operation_of("GET", url), hint=hint)


def trouble(error: httpx.HTTPError, registry: httpx.URL, login: Login | None) -> PlatformError:
    """A failed call, with what to do about it. `registry`: its address; what failed may be its token service. `login`: what must not
    show."""
    url = error.request.url if error._request is not None else registry
    where = operation_of("GET", url, login)
    host = login.hidden(url.host) if login is not None else url.host
    whose = "the registry" if url.host == registry.host else f"the registry's token service at {host}"
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
        if _is_of_proxy(error, cause) and is_proxied(url):
            why = "refuses connections" if isinstance(cause, ConnectionRefusedError) else "can't be connected to"
            why = "has a name that is not known here" if isinstance(cause, socket.gaierror) else why
            return NoAnswer(
                f"the proxy to {host} {why}", operation=where, hint=f"check {named()}, and whether the proxy runs"
            )
        if isinstance(cause, socket.gaierror):
            return NoAnswer(f"there is no host {host}", operation=where, hint="check `url`, and the network's names")
        if isinstance(cause, ConnectionRefusedError):
            return NoAnswer(f"{whose} refuses connections", operation=where, hint="check `url`, and whether it runs")
    if isinstance(error, httpx.TimeoutException):
        said = "can't be connected to" if isinstance(error, httpx.ConnectTimeout) else "does not answer"
        return NoAnswer(f"{whose} {said} in time", operation=where, hint="check the network, and run again")
    if isinstance(error, httpx.ProxyError):
        return NoAnswer(
            "the proxy does not let the call through", operation=where, hint="check HTTPS_PROXY and NO_PROXY"
        )
    if isinstance(error, TooLong):
        return Overlong(
            f"{whose} answers more than {LONGEST >> 20} MiB, which is not read",
            operation=where,
            hint="ask the registry's operator",
        )
    if isinstance(error, httpx.DecodingError):
        return PlatformError(
            f"{whose} answers what can't be unpacked", operation=where, hint="ask the registry's operator"
        )
    return NoAnswer(f"{whose} closes the connection", operation=where, hint="run again")


def _is_of_proxy(error: httpx.HTTPError, cause: BaseException) -> bool:
    """Whether it is the proxy that was not reached, where there is one: whoever calls through it looks up and connects to nobody
    else. A connection that is cut may be cut by what is behind it."""
    cut = isinstance(cause, ConnectionResetError | BrokenPipeError | ConnectionAbortedError)
    return isinstance(error, httpx.ConnectError | httpx.ConnectTimeout) and isinstance(cause, OSError) and not cut


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
