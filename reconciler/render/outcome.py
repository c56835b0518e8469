"""What apply did, in words for people and as JSON values for a log."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from reconciler.engine.write import Outcome, Status
from reconciler.model.change import Action
from reconciler.words import one_line

from .change_item import SIGNS
from .counts import with_pending
from .escapes import code, in_markdown

#: bytes of the table; a step's summary can have 1 MiB
#: (https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands#step-isolation-and-limits)
MOST_SUMMARY = 1_000_000

NOTHING = "nothing to do"
_DONE = {
    Action.CREATE: "created",
    Action.UPDATE: "updated",
    Action.REPLACE: "replaced",
    Action.DELETE: "deleted",
    Action.ADOPT: "adopted",
    Action.RELEASE: "released",
}


def outcome_line(outcome: Outcome) -> str:
    """One outcome as a line; an error goes on below it with the lines of the grants that it is about."""
    head = one_line(f"  {SIGNS[outcome.action]} {outcome.address}")
    if outcome.status is Status.DONE:
        return one_line(f"{head} {outcome.message or _DONE[outcome.action]} ({outcome.seconds:.1f} s)")
    first, *more = map(one_line, outcome.message.split("\n"))
    lines = [f"{head} {outcome.status.value.upper()}: {first}", *(f"    {line}" for line in more)]
    lines += [one_line(f"      {place.kind} {place.name} at {place.at}") for place in outcome.places]
    return "\n".join(lines)


def outcome_record(outcome: Outcome) -> dict[str, object]:
    """The outcome as JSON values, for a log."""
    found: dict[str, object] = {
        "address": outcome.address,
        "action": outcome.action.value,
        "status": outcome.status.value,
        "seconds": round(outcome.seconds, 3),
    }
    if outcome.message:
        found["message"] = outcome.message
    if outcome.request_id:
        found["request_id"] = outcome.request_id
    if outcome.places:
        found["places"] = [f"{place.kind} {place.name} at {place.at}" for place in outcome.places]
    return found


def outcomes_markdown(owner: str, outcomes: Sequence[Outcome], closing: str) -> str:
    """All outcomes as a table, what failed first, with at most as many as a job's summary can hold."""
    order = {Status.FAILED: 0, Status.STALE: 1}
    rows = sorted(outcomes, key=lambda item: order.get(item.status, 2))
    head = [f"### {in_markdown(owner)}: {in_markdown(closing)}", ""]
    table = ["| | resource | outcome |", "|---|---|---|"] if rows else []
    lines = [
        f"| {SIGNS[item.action]} | {code(item.address).replace('|', '&#124;')} | {_in_cell(item)} |" for item in rows
    ]
    size, kept = 0, 0
    for line in lines:
        size += len(line.encode()) + 1
        if size > MOST_SUMMARY:
            break
        kept += 1
    more = [f"and {len(lines) - kept} more"] if kept < len(lines) else []
    return "".join(f"{line}\n" for line in (*head, *table, *lines[:kept], "", *more))


def _in_cell(outcome: Outcome) -> str:
    if outcome.status is Status.DONE:
        return in_markdown(outcome.message or _DONE[outcome.action])
    return f"**{outcome.status.value}**: {in_markdown(outcome.message)}"


def closing_line(outcomes: Iterable[Outcome], *, interrupted: bool, destroy: bool = False, pending: int = 0) -> str:
    """How many outcomes of each status there are: `Apply: 3 done, 1 failed.`, or `Destroy: ...`. `pending`: how much can't be done
    yet."""
    counts = Counter(outcome.status for outcome in outcomes)
    parts = ", ".join(f"{counts[status]} {status.value}" for status in Status if counts[status])
    what = "Interrupted" if interrupted else "Destroy" if destroy else "Apply"
    return f"{what}: {with_pending(parts or NOTHING, pending)}."
