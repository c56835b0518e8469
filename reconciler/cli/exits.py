"""Exit codes, and which error gives which."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

from reconciler.errors import GuardViolation, PlanConflict, ReconcilerError, StalePlan

if TYPE_CHECKING:
    from reconciler.engine.plan import Plan


class Exit(IntEnum):
    """What the process reports to its caller."""

    OK = 0
    ERROR = 1
    CHANGES = 2
    GUARD = 3
    STALE = 4
    RISK = 5
    CONFLICT = 6
    INTERRUPTED = 130


def told(**meanings: str) -> str:
    """The exit codes of a command for its help, by the names of Exit; what every command has is added."""
    found = {"ok": "done", "error": "an error", **meanings, "interrupted": "interrupted"}
    return "Exit codes: " + ", ".join(f"{Exit[name.upper()].value} {meaning}" for name, meaning in found.items()) + "."


def code_of(error: ReconcilerError) -> Exit:
    """The exit code of an error."""
    if isinstance(error, PlanConflict):
        return Exit.CONFLICT
    if isinstance(error, GuardViolation):
        return Exit.GUARD
    if isinstance(error, StalePlan):
        return Exit.STALE
    return Exit.ERROR


def of_problems(plan: Plan) -> Exit:
    """The exit code of a plan with problems: an error is never hidden behind a conflict."""
    return Exit.CONFLICT if plan.conflicting else Exit.ERROR
