"""What a pull secret holds: a docker config.json with one login. Pure.

https://kubernetes.io/docs/concepts/configuration/secret/#docker-config-secrets: the cluster checks only that it is a JSON object; a
kubelet that can't read one entry uses none of a pod's pull secrets (pkg/credentialprovider of Kubernetes).
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from typing import Any

from reconciler.model.service import Credentials

#: the key of a secret's data, and the type of a secret that has it
KEY = ".dockerconfigjson"
TYPE = "kubernetes.io/dockerconfigjson"
#: what is said of a secret that no kubelet could log in with
UNREADABLE = "none that a kubelet can read"
#: and of one that kubelets read, and skopeo, say, does not
UNUSUAL = "one that kubelets read, and not every client"


def written(login: Credentials) -> str:
    """The value of KEY in a secret's data: base64, as the API has it.

    Kubelets read `auth`, or user name and password; skopeo needs `auth` (release 1.9.3), so that all three are written.
    """
    pair = f"{login.username}:{login.password}"
    auth = base64.b64encode(pair.encode()).decode()
    entry = {"username": login.username, "password": login.password, "auth": auth}
    document = json.dumps({"auths": {login.registry: entry}}, separators=(",", ":"))
    return base64.b64encode(document.encode()).decode()


def without(text: str, login: Credentials) -> str:
    """The text with nothing of the login in it but the user's name: what refuses a secret may repeat it."""
    pair = f"{login.username}:{login.password}"
    document = written(login)
    for hidden in (document, base64.b64encode(pair.encode()).decode(), pair, login.password):
        text = text.replace(hidden, "[hidden]")
    return text


#: a registry as a kubelet has it; what else a hand has put in its place may be a login
_HOST = re.compile(r"(https://)?[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?(:[0-9]{1,5})?(/v[12]/?)?")


class Held:
    """What a secret holds. `host`: of the one registry that it logs in to; `login`: user name and password; None of what is not one
    login that a kubelet can read. `usual`: whether all clients read it alike. `others`: further registries in it. `hosts`: all that
    it has an entry for, read or not."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self.host = ""
        self.login: tuple[str, str] | None = None
        self.usual = False
        self.others: tuple[str, ...] = ()
        self.hosts: tuple[str, ...] = ()
        self._read(data)

    def __repr__(self) -> str:
        return f"Held({self.host!r})"

    def _read(self, data: Mapping[str, Any]) -> None:
        auths = _auths(data.get(KEY))
        if auths is None:
            return
        self.hosts = tuple(auths)
        logins = {host: _login(entry) for host, entry in auths.items()}
        if not logins or None in logins.values():
            return
        self.host, self.login = next(iter(logins.items()))
        self.usual = self.login is not None and _is_usual(auths[self.host], self.login)
        self.others = tuple(logins)[1:]

    @property
    def shown(self) -> str:
        """The registry, for people."""
        return shown(self.host)


def shown(host: str) -> str:
    """A registry as a secret has it, for people."""
    return host if _HOST.fullmatch(host) else "no registry"


def _auths(value: Any) -> Mapping[str, Any] | None:
    try:
        found = json.loads(base64.b64decode(value, validate=True))
    except (TypeError, ValueError, RecursionError):
        return None
    auths = found.get("auths") if isinstance(found, dict) else None
    return auths if isinstance(auths, dict) else None


def pair_of(auth: Any) -> tuple[str, str] | None:
    """The user name and the password in an `auth`, as docker and kubelets read it: line breaks are skipped, and there may be no
    padding (decodeDockerConfigFieldAuth of Kubernetes, pkg/credentialprovider/config.go). None if they can't."""
    if not isinstance(auth, str):
        return None
    text = auth.replace("\r", "").replace("\n", "")
    padding = "" if text.endswith("=") else "=" * (-len(text) % 4)
    try:
        name, colon, password = base64.b64decode(text + padding, validate=True).decode().partition(":")
    except ValueError:
        return None
    return (name, password) if colon else None


def _login(entry: Any) -> tuple[str, str] | None:
    """User name and password of one entry, as a kubelet reads it: `auth` counts before the two by themselves."""
    if not isinstance(entry, dict):
        return None
    pair = pair_of(entry["auth"]) if entry.get("auth") else (entry.get("username"), entry.get("password"))
    name, password = pair or (None, None)
    return (name, password) if isinstance(name, str) and isinstance(password, str) and name and password else None


def _is_usual(entry: Mapping[str, Any], login: tuple[str, str]) -> bool:
    """Whether all clients read one login there: skopeo needs `auth`, with its padding."""
    said = entry.get("username", login[0]), entry.get("password", login[1])
    return said == login and entry.get("auth") == base64.b64encode(":".join(login).encode()).decode()
