"""What a change of the mode does with role assignments is no delete to the guard on deletes: others take their place."""

from __future__ import annotations

import pytest

from reconciler import Plan, dumps, loads
from reconciler.model.change import Action
from tests.sandbox.azure import AzureSandbox
from tests.sandbox.base import Document

MANY = range(1, 9)


def document(
    azure: AzureSandbox, who: range = MANY, *, permission: str = "pull", limit: int = 0, mode: str = "abac"
) -> Document:
    grants = ({"name": f"one-{number}", "permission": permission, "to": azure.target(str(number))} for number in who)
    return azure.document(
        "app-a", grants=tuple(grants), guards={"max_deletes": limit}, registry={"role_assignment_mode": mode}
    )


def stopped(plan: Plan) -> list[str]:
    """What the guard says of the plan, and of what its file says."""
    saved = loads(dumps(plan))
    assert dumps(saved) == dumps(plan)
    found = [item.message for item in plan.violations]
    assert [item.message for item in saved.violations] == found
    return found


@pytest.mark.parametrize("modes", [("abac", "legacy"), ("legacy", "abac")])
def test_a_change_of_the_mode_needs_no_more_deletes(azure: AzureSandbox, modes: tuple[str, str]) -> None:
    first, then = modes
    azure.apply(document(azure, mode=first))
    plan = azure.plan(document(azure, mode=then))
    assert plan.counts[Action.DELETE] >= len(MANY) + 2
    assert stopped(plan) == []
    azure.carry_out(loads(dumps(plan)), saved=True)
    assert azure.plan(document(azure, mode=then)).changes == ()


def test_another_permission_is_no_delete_either(azure: AzureSandbox) -> None:
    azure.apply(document(azure))
    plan = azure.plan(document(azure, permission="push-pull"))
    assert (plan.counts[Action.DELETE], stopped(plan)) == (len(MANY), [])


@pytest.mark.parametrize("mode", ["abac", "legacy"])
def test_what_nothing_takes_the_place_of_counts(azure: AzureSandbox, mode: str) -> None:
    """Beside a change of the mode too."""
    azure.apply(document(azure))
    (said,) = stopped(azure.plan(document(azure, range(1, 6), limit=2, mode=mode)))
    assert said == (
        "the plan deletes 3 resources of kind assignment; at most 2 are allowed (max_deletes: 2); if this is intended, raise"
        " guards.max_deletes in the spec"
    )
    assert stopped(azure.plan(document(azure, range(1, 6), limit=3, mode=mode))) == []


def test_what_leaves_while_another_of_the_principal_changes_counts(azure: AzureSandbox) -> None:
    def spec(*grants: Document) -> Document:
        return azure.document("app-a", "app-b", grants=grants, guards={"max_deletes": 0})

    def grant(name: str, repository: str, permission: str) -> Document:
        return {"name": name, "permission": permission, "repositories": [repository], "to": azure.target("1")}

    azure.apply(spec(grant("one", "app-a", "pull"), grant("two", "app-a", "push-pull")))
    assert len(stopped(azure.plan(spec(grant("two", "app-b", "push-pull"))))) == 1
