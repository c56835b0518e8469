"""How a kubeconfig reaches a cluster: as the client library reads it, and with what that leaves out and kubectl does.

https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/
"""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from .plugin import NoLogin, Plugin

#: the only ones that the client library knows; it goes on without a login for others
_PROVIDERS = ("gcp", "oidc")
#: what a header's name may hold: https://www.rfc-editor.org/rfc/rfc9110#name-tokens
_TOKEN = "!#$&'*+-.^_`|~"  # noqa: S105


@dataclass(frozen=True, slots=True)
class Reach:
    """How a cluster is reached, beyond the client library's settings. `ca`: certificates in PEM that vouch for it; None: the system's
    do. `pair`: the login's certificate with its key. `headers`: what is sent with each call. `plugin`: the command for the login."""

    ca: bytes | None = None
    pair: tuple[bytes, bytes] | None = field(default=None, repr=False)
    headers: tuple[tuple[str, str], ...] = ()
    plugin: Plugin | None = None


def load(settings: Any, path: str | None, context: str | None, longest: float) -> Reach:
    """Reads a kubeconfig into the client library's settings. `path`: None as kubectl finds it. `context`: None for its current one.
    `longest`: seconds that a command may take which it names for its login.

    No private key is left in a file by that, as the library does. Raises NoLogin, what the library raises, and OSError.
    """
    from kubernetes.config import ConfigException, kube_config

    merged = kube_config.KubeConfigMerger(path or kube_config.KUBE_CONFIG_DEFAULT_LOCATION)  # type: ignore[no-untyped-call]
    config = merged.config
    if config is None:
        raise ConfigException("Invalid kube-config file. No configuration found.")
    name = context if context is not None else config["current-context"]
    chosen = config["contexts"].get_with_name(name)["context"]
    cluster = config["clusters"].get_with_name(chosen["cluster"])["cluster"]
    user = _user(config, chosen.safe_get("user"), name)
    plugin, given = _asked(user, cluster, longest)
    certificate = given.get("clientCertificateData", "").encode() or _data(user.value, "client-certificate")
    key = given.get("clientKeyData", "").encode() or _data(user.value, "client-key")
    ca = _data(cluster.value, "certificate-authority")
    headers = tuple(_acting(user.value))
    kube_config.load_kube_config_from_dict(config, name, client_configuration=settings, persist_config=False)  # type: ignore[no-untyped-call]
    if "auth-provider" in user and not settings.api_key:
        raise NoLogin(f"the auth-provider {user['auth-provider']['name']} of its kubeconfig gives no login")
    certificate, key, ca = (
        data or (Path(file).read_bytes() if file else None)
        for data, file in ((certificate, settings.cert_file), (key, settings.key_file), (ca, settings.ssl_ca_cert))
    )
    if "proxy-url" in cluster:
        settings.no_proxy = ""  # as kubectl has it: that counts before all that the environment says
    return Reach(ca, (certificate, key or certificate) if certificate else None, headers, plugin)


def in_a_pod(settings: Any) -> Reach:
    """Reads what each pod has into the client library's settings. Raises what the library raises, and OSError."""
    from kubernetes import config

    config.load_incluster_config(client_configuration=settings)  # type: ignore[no-untyped-call]
    return Reach(Path(settings.ssl_ca_cert).read_bytes())


def _user(config: Any, name: Any, context: str) -> Any:
    """The node of the user whom a context names; an empty one if it names nobody."""
    from kubernetes.config.kube_config import ConfigNode

    found = config["users"].get_with_name(name, safe=True) if name else None
    if name and found is None:
        raise NoLogin(f"its kubeconfig has no user {name}, whom context {context} names")
    if found is None or not found.safe_get("user"):
        return ConfigNode("user", {}, None)  # type: ignore[no-untyped-call]
    user = found["user"]
    provider = user.safe_get("auth-provider")
    if provider and provider.get("name") not in _PROVIDERS:
        raise NoLogin(
            f"its kubeconfig logs in by the auth-provider {provider.get('name')}, which is gone: a command has its place (`exec`)"
        )
    return user


def _asked(user: Any, cluster: Any, longest: float) -> tuple[Plugin | None, Mapping[str, str]]:
    """The command for the login, with what it gives at first; the token is put where the client library reads it."""
    if "exec" not in user or any(user.safe_get(key) for key in ("auth-provider", "token", "tokenFile")):
        return None, {}
    plugin = Plugin(user["exec"], os.path.abspath(os.path.dirname(user.path or "")), cluster, longest)
    given = plugin.login()
    del user.value["exec"]
    if "token" in given:
        user.value["token"] = given["token"]
    return plugin, given


def _data(of: dict[str, Any], key: str) -> bytes | None:
    """What is in the kubeconfig itself, which counts before the file that it names; both are taken out of it then."""
    text = of.pop(f"{key}-data", None)
    if not text:
        return None
    of.pop(key, None)
    try:
        return base64.b64decode(text)
    except (TypeError, ValueError):
        raise NoLogin(f"{key}-data of its kubeconfig can't be read") from None


def _acting(user: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The headers of whoever acts as somebody else, whose rights count then.

    https://kubernetes.io/docs/reference/access-authn-authz/authentication/#user-impersonation
    """
    groups, extra = user.get("as-groups") or (), user.get("as-user-extra") or {}
    if not user.get("as"):
        if user.get("as-uid") or groups or extra:
            raise NoLogin("its kubeconfig says as-uid, as-groups or as-user-extra, and not as whom to act")
        return
    wanted = [("Impersonate-User", user["as"])]
    wanted += [("Impersonate-Uid", user["as-uid"])] if user.get("as-uid") else []
    wanted += [("Impersonate-Group", group) for group in groups]
    wanted += [
        (f"Impersonate-Extra-{quote(key.lower(), safe=_TOKEN)}", value)
        for key, values in extra.items()
        for value in values
    ]
    for name, value in wanted:
        if not isinstance(value, str) or not sendable(value):
            raise NoLogin(
                "whom its kubeconfig acts as (`as`) can't be sent: it is no text, or has a line break or the like"
            )
        yield name, value


def sendable(text: str) -> bool:
    """Whether a header can hold it."""
    return text.isprintable() and text.isascii()
