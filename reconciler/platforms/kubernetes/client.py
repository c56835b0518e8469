"""The official client, set up for one cluster."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import unquote, urlsplit

from reconciler.platforms.tls import trusting

from .kubeconfig import Reach, sendable
from .plugin import NoLogin


def settings_with(around: Callable[[], AbstractContextManager[None]]) -> Any:
    """The client library's settings, in which a login that has ended is renewed inside `around`, by whichever of its functions. Each
    login is sent without the line break that a file with a token may end with."""
    from kubernetes import client

    base: Any = client.Configuration

    class Settings(base):  # type: ignore[misc]
        renew: Callable[[Any], None] | None = None

        @property
        def refresh_api_key_hook(self) -> Callable[[Any], None] | None:
            return self.renewed if self.renew is not None else None

        @refresh_api_key_hook.setter
        def refresh_api_key_hook(self, renew: Callable[[Any], None] | None) -> None:
            self.renew = renew

        def renewed(self, settings: Any) -> None:
            assert self.renew is not None
            with around():
                self.renew(settings)
                tidy(settings)

    return Settings()


def tidy(settings: Any) -> None:
    """Takes line breaks off the end of a login. Raises NoLogin where no header can hold what is left."""
    for key, value in settings.api_key.items():
        settings.api_key[key] = value.strip()
        if not sendable(settings.api_key[key]):
            raise NoLogin("its login can't be sent: it has a line break in it, or a character that is none of ASCII")


def client_of(settings: Any, reach: Reach) -> Any:
    """A client. Raises NoLogin."""
    import urllib3
    from kubernetes import client
    from kubernetes.client.rest import RESTClientObject

    if reach.plugin is not None:
        plugin = reach.plugin

        def renew(settings: Any) -> None:
            if plugin.due and "token" in (given := plugin.login()):
                settings.api_key["BearerToken"] = f"Bearer {given['token']}"

        settings.refresh_api_key_hook = renew
    tidy(settings)
    trust = _trust(settings, reach)
    settings.ssl_ca_cert = settings.cert_file = settings.key_file = None  # these are in `trust`
    with_headers = reach.headers

    class Rest(RESTClientObject):
        def request(  # type: ignore[override]  # by names: their order is another one in each release
            self, method: Any, url: Any, *, headers: Any = None, **named: Any
        ) -> Any:
            # a mapping has each header once
            sent = urllib3.HTTPHeaderDict([*(headers or {}).items(), *with_headers])
            return super().request(method, url, headers=sent, **named)  # type: ignore[no-untyped-call]

    try:
        if settings.proxy:
            proxy = urlsplit(settings.proxy)
            if proxy.username is not None:  # which the library leaves out
                login = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
                settings.proxy_headers = urllib3.make_headers(proxy_basic_auth=login)
        made = client.ApiClient(settings)
        made.rest_client = Rest(settings)
    except Exception:  # by the proxy's address, which is not shown: it may hold a password
        raise NoLogin("the proxy's address in the environment or the kubeconfig can't be read") from None
    made.rest_client.pool_manager.connection_pool_kw["ssl_context"] = trust
    return made


def _trust(settings: Any, reach: Reach) -> ssl.SSLContext:
    """Whom to trust, and the login's certificate: read once, so that its key is in no file while the tool runs."""
    try:
        trust = trusting(ca=reach.ca.decode("ascii", "ignore") if reach.ca else None, alone=True)
    except (OSError, ValueError):
        raise NoLogin("the certificates of its authority can't be read: they are no PEM") from None
    if not settings.verify_ssl:
        trust.check_hostname = False
        trust.verify_mode = ssl.CERT_NONE
    if reach.pair is not None:
        with TemporaryDirectory() as folder:
            certificate, key = _written(Path(folder), reach.pair)
            try:
                trust.load_cert_chain(certificate, key, "")  # without a password, it would ask for one
            except (OSError, ValueError):
                raise NoLogin("the certificate of its login, or the key of that, can't be read") from None
    return trust


def _written(folder: Path, parts: Iterable[bytes]) -> tuple[Path, ...]:
    """Files that nobody else may read."""
    files = tuple(folder / str(number) for number, _ in enumerate(parts))
    for file, part in zip(files, parts, strict=True):
        file.touch(0o600)
        file.write_bytes(part)
    return files
