"""What is in the way of a target's needs is in the way of the target."""

from __future__ import annotations

import pytest

from reconciler.errors import PlanRefused
from reconciler.model.address import Address
from tests.sandbox.base import Sandbox


def test_a_conflict_that_a_target_needs_is_shown_and_refuses_the_plan(sandbox: Sandbox) -> None:
    sandbox.make_foreign("app-a")
    document = sandbox.document("app-a", "app-b", grants=({"name": "one", "to": sandbox.target("2")},))
    before = sandbox.state()
    access = sandbox.access("app-a")
    for target in (access, f"images.{Address(access).kind}.*", "images.repository.app-a"):
        plan = sandbox.plan(document, targets=[target])
        assert [problem.address for problem in plan.problems] == ["images.repository.app-a"], target
        with pytest.raises(PlanRefused):
            sandbox.carry_out(plan)
    assert sandbox.state() == before
    plan = sandbox.plan(document, targets=["images.repository.app-b"])
    assert plan.problems == (), "what the target does not need is left out"
    assert plan.left_out > 0
