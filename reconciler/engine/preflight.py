"""What must hold before anything is written: no problem, no guard's refusal, and for a saved plan that nothing has moved."""

from __future__ import annotations

from reconciler.errors import GuardViolation, PlanRefused, StalePlan

from .observe import read_again
from .plan import Plan
from .sessions import Sessions
from .write import moved_since


def refuse(plan: Plan) -> None:
    """Raises PlanRefused or GuardViolation unless the plan may be applied."""
    if plan.problems:
        lines = [f"{problem.address}: {problem.message}" for problem in plan.problems]
        raise PlanRefused("the plan can't be applied:\n  " + "\n  ".join(lines))
    if plan.violations:
        lines = [f"{verdict.guard}: {verdict.message}" for verdict in plan.violations]
        raise GuardViolation("a guard stops the plan; nothing was written:\n  " + "\n  ".join(lines))


def refuse_stale(plan: Plan, sessions: Sessions) -> None:
    """Reads everything that the plan touches again. Raises StalePlan, naming all that moved, if anything did."""
    made = {change.address for change in plan.changes if change.makes}
    touched = [change for change in plan.changes if change.desired is None or change.desired.parent not in made]
    moved: dict[str, str] = {}
    for change, now in read_again(touched, sessions):
        what = moved_since(change, now, sessions[change.registry])
        if what:
            moved[change.address] = what
    if moved:
        raise StalePlan(moved)
