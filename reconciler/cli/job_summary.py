"""What a command leaves for the workflow that it runs in: a summary for people, and values for later steps.

https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands (environment files)
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from reconciler.errors import ReconcilerError
from reconciler.render.outcome import outcomes_markdown
from reconciler.render.sentences import net_gains
from reconciler.review.document import together

if TYPE_CHECKING:
    from reconciler.engine.plan import Plan
    from reconciler.engine.write import Outcome

SUMMARY, OUTPUT = "GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT"
#: bytes that the summary of a step may have; of more, GitHub shows nothing
#: (https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands#step-isolation-and-limits)
MOST = 1024 * 1024


def check() -> None:
    """Raises ReconcilerError where there is no workflow to write for: found out before anything is applied."""
    missing = [name for name in (SUMMARY, OUTPUT) if not os.environ.get(name)]
    if missing:
        raise ReconcilerError(f"--job-summary: {' and '.join(missing)} not set; GitHub sets them in every workflow")


def add(text: str) -> str:
    """Adds a text to the step's summary, unless all of it would be dropped then. Why not, as the end of a sentence; "" if it is
    there."""
    data = text.encode()
    try:
        with open(os.environ[SUMMARY], "ab") as file:
            if file.tell() + len(data) > MOST:
                return "the job's summary would be larger than GitHub shows"
            file.write(data)
    except OSError as error:
        return f"the job's summary can't be written: {error.strerror}"
    return ""


def leave(plan: Plan, outcomes: Iterable[Outcome], closing: str) -> None:
    """Writes both. Raises ReconcilerError if they can't be written."""
    done = list(outcomes)
    gains = net_gains(plan)
    parts = [item.model_dump(mode="json") for item in together(gains)]
    values = {
        "changed": any(item.status.value == "done" for item in done),
        "widens": bool(gains),
        "gains": parts,
    }
    _append(SUMMARY, outcomes_markdown(plan.owner, done, closing))
    _append(OUTPUT, "".join(f"{name}={json.dumps(value)}\n" for name, value in values.items()))


def _append(name: str, text: str) -> None:
    try:
        with open(os.environ[name], "a", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise ReconcilerError(f"{name} can't be written: {error.strerror}; what was applied is applied") from None
