"""The command that a kubeconfig names for its login. It is run as the client library runs it, and not by that: it would log what the
command has said, which may be a secret, by the root logger, go on without a login, and run it at each call for one with less than
five minutes left. https://kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from . import run_within

#: seconds in which a command must give a login, and in which it must where somebody is asked at a terminal
ALONE, ASKING = 60.0, 300.0
#: before its end, a login is renewed that long, or for a tenth of its life if that is shorter
_EARLY = timedelta(seconds=60)
_OVERDUE = re.compile(rf"exec: process returned {run_within.OVERDUE}\b")
_FAILED = "the command that its kubeconfig names for the login gives none"


class NoLogin(Exception):
    """A kubeconfig gives no login, or nothing to use it by. What it says is for people."""


class Plugin:
    """The command of a kubeconfig. `config`: what the file has as `exec`, as the client library's node; it is changed. `folder`: what
    its path is relative to. `cluster`: the node of the cluster. `longest`: seconds that it may take at most."""

    def __init__(self, config: Any, folder: str, cluster: Any, longest: float) -> None:
        self._config, self._folder, self._cluster, self._longest = config, folder, cluster, longest
        self._due: datetime | None = None
        command = config.value
        if isinstance(command.get("command"), str):  # else the client library says what is wrong
            alone, asking = (str(min(limit, longest)) for limit in (ALONE, ASKING))
            # neither its environment nor its packages are of use to it
            before = ["-I", "-S", run_within.__file__, alone, asking, command["command"]]
            command |= {"command": sys.executable, "args": [*before, *(command.get("args") or ())]}

    @property
    def due(self) -> bool:
        """Whether the login that it gave last has to be renewed."""
        return self._due is not None and datetime.now(UTC) >= self._due

    def login(self) -> Mapping[str, str]:
        """Runs it: `token`, or `clientCertificateData` with `clientKeyData`, or all three. Raises NoLogin."""
        from kubernetes.config.dateutil import parse_rfc3339
        from kubernetes.config.exec_provider import ExecProvider

        begun = datetime.now(UTC)
        try:
            status = ExecProvider(self._config, self._folder, self._cluster).run()  # type: ignore[no-untyped-call]
            end = status.get("expirationTimestamp")
            left = parse_rfc3339(end) - begun if end else None  # type: ignore[no-untyped-call]
        except Exception as error:  # whatever the library makes of what the command does
            within = f" within {min(ALONE, self._longest):g} seconds: it may be waiting for somebody"
            raise NoLogin(f"{_FAILED}{within if _OVERDUE.match(str(error)) else ''}") from None
        given = {
            key: value
            for key in ("token", "clientCertificateData", "clientKeyData")
            if isinstance(value := status.get(key), str) and value
        }
        if "token" not in given and len(given) < 2:
            raise NoLogin(_FAILED)
        self._due = begun + left - min(_EARLY, left / 10) if left is not None else None
        return given
