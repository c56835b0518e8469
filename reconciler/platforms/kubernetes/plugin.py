"""The commands that kubeconfigs name for their logins, which the client library runs."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from threading import local
from typing import Any

from . import run_within

#: seconds in which a command must give a login, and in which it must where somebody is asked at a terminal
ALONE, ASKING = 60.0, 300.0
_OVERDUE = re.compile(rf"exec: process returned {run_within.OVERDUE}\b")
#: what the client library has logged in this thread, while somebody hears it
_here = local()
_FAILED = "the command that its kubeconfig names for the login gives none"


class NoLogin(Exception):
    """A kubeconfig gives no login, or nothing to use it by. What it says is for people."""


def limited(config: Any, longest: float) -> None:
    """Has all commands that a kubeconfig names run within a time limit. `config`: as the client library has merged it. `longest`:
    seconds that none may take."""
    for entry in config["users"].value if "users" in config else ():
        user = _value(_value(entry).get("user"))
        command = _value(user.get("exec"))
        if not isinstance(command.get("command"), str):
            continue  # the client library says what is wrong
        alone, asking = (str(min(limit, longest)) for limit in (ALONE, ASKING))
        # neither its environment nor its packages are of use to it
        before = ["-I", "-S", run_within.__file__, alone, asking, command["command"]]
        command |= {"command": sys.executable, "args": [*before, *(command.get("args") or ())]}


@contextmanager
def heard(longest: float) -> Iterator[None]:
    """Raises NoLogin at the end if a command that a kubeconfig names for its login has failed inside. The client library goes on
    without one, and logs what the command has said, which may be a secret, by the root logger. `longest`: as for `limited`."""
    root = logging.getLogger()
    root.addFilter(_keeps)  # and stays: it heeds only who is in here
    silent = logging.NullHandler() if not root.handlers else None  # else the root logger is set up to print
    if silent is not None:
        root.addHandler(silent)
    said: list[str] = []
    _here.said = said
    try:
        yield
    finally:
        _here.said = None
        if silent is not None:
            root.removeHandler(silent)
    if said:
        within = f" within {min(ALONE, longest):g} seconds: it may be waiting for somebody"
        raise NoLogin(f"{_FAILED}{within if any(map(_OVERDUE.match, said)) else ''}")


def settings_with(around: Callable[[], AbstractContextManager[None]]) -> Any:
    """The client library's settings, in which a login that has ended is renewed inside `around`, by whichever of its functions."""
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

    return Settings()


def _keeps(record: logging.LogRecord) -> bool:
    """Whether a record is nothing that a command has said."""
    said = getattr(_here, "said", None)
    if said is None or not record.pathname.endswith(("kube_config.py", "exec_provider.py")):
        return True
    if record.levelno >= logging.ERROR:
        said.append(record.getMessage())
    return False


def _value(found: Any) -> dict[str, Any]:
    """A mapping of a kubeconfig, {} of anything else."""
    value = getattr(found, "value", found)
    return value if isinstance(value, dict) else {}
