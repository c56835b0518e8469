"""Exit codes, and which error gives which."""

from __future__ import annotations

from enum import IntEnum

from reconciler.errors import GuardViolation, ReconcilerError, StalePlan


class Exit(IntEnum):
    """What the process reports to its caller."""

    OK = 0
    ERROR = 1
    CHANGES = 2
    GUARD = 3
    STALE = 4
    INTERRUPTED = 130


def told(**meanings: str) -> str:
    """The exit codes of a command for its help, by the names of Exit; what every command has is added."""
    found = {"ok": "done", "error": "an error", **meanings, "interrupted": "interrupted"}
    return "Exit codes: " + ", ".join(f"{Exit[name.upper()].value} {meaning}" for name, meaning in found.items()) + "."


def code_of(error: ReconcilerError) -> Exit:
    """The exit code of an error."""
    if isinstance(error, GuardViolation):
        return Exit.GUARD
    if isinstance(error, StalePlan):
        return Exit.STALE
    return Exit.ERROR
