"""The role assignment mode on Azure: what a plan says of it, and whether it is carried out, wherever a switch stands."""

from __future__ import annotations

import json

import pytest

from reconciler import Plan, dumps, loads
from reconciler.engine.apply import succeeded
from reconciler.errors import ReconcilerError, StalePlan
from reconciler.model.change import Action
from reconciler.platforms.azure.rules import MODES
from tests.emulators.azure import Fails, Server
from tests.sandbox.azure import LOCATION, NAME, RESOURCE, AzureSandbox
from tests.sandbox.azure_fields import principal

from .test_azure_others import ALL, ONE, TWO, document, gains, grant, losses


@pytest.mark.parametrize("mode", MODES)
def test_a_saved_plan_adopts_a_registry_in_the_mode_that_it_has(azure: AzureSandbox, mode: str) -> None:
    """In legacy, nothing is made that lists the catalog, and the mode needs it no less."""
    made = {"location": LOCATION, "sku": {"name": "Basic"}, "properties": {"roleAssignmentMode": MODES[mode]}}
    azure.call("PUT", RESOURCE, made)
    for grants in ([grant("one", 1)], [grant("one", 1), grant("two", 2)]):
        adopted = document(azure, *grants, registry={"adopt": True})
        assert succeeded(azure.carry_out(loads(dumps(azure.plan(adopted))), saved=True))
        assert azure.acr.abac == (mode == "abac")
        assert azure.plan(adopted).changes == ()


def switched_by_hand(azure: AzureSandbox, mode: str) -> None:
    azure.call("PATCH", RESOURCE, {"properties": {"roleAssignmentMode": MODES[mode]}})


def notes(plan: Plan, address: str) -> list[str]:
    (found,) = (change for change in plan.changes if change.address == address)
    return list(found.notes)


def without_the_caller(sentences: list[str]) -> list[str]:
    """But for what the runner itself gains and loses by the roles that it has."""
    return [item for item in sentences if item.startswith((ONE, TWO, "managed identity "))]


def test_a_switch_that_was_cut_off_says_what_it_gives_by_what_is_there_already(
    azure: AzureSandbox, azure_stand_in: Server
) -> None:
    azure.apply(document(azure, registry={"role_assignment_mode": "legacy"}))
    wanted = document(azure, grant("one", 1, "app-a"), registry={"role_assignment_mode": "abac"})
    azure_stand_in.behaviours.append(Fails("registries:PATCH", "403", times=1))
    azure.carry_out(azure.plan(wanted))
    azure_stand_in.behaviours.clear()
    plan = azure.plan(wanted)
    assert without_the_caller(gains(plan)) == [f"{ONE} can now pull app-a"]
    assert without_the_caller(losses(plan)) == []
    assert succeeded(azure.carry_out(loads(dumps(plan)), saved=True))


def test_what_is_left_to_delete_after_a_switch_takes_nothing_from_anybody(
    azure: AzureSandbox, azure_stand_in: Server
) -> None:
    azure.apply(document(azure, grant("one", 1), registry={"role_assignment_mode": "legacy"}))
    wanted = document(azure, registry={"role_assignment_mode": "abac"})
    azure_stand_in.behaviours.append(Fails("roleAssignments:DELETE", "403", times=9))
    azure.carry_out(azure.plan(wanted))
    azure_stand_in.behaviours.clear()
    plan = azure.plan(wanted)
    assert f"images.assignment.{principal(1)}-pull-legacy" in [change.address for change in plan.changes]
    assert (gains(plan), losses(plan)) == ([], [])
    assert succeeded(azure.carry_out(loads(dumps(plan)), saved=True))


def test_a_switch_by_hand_says_who_gets_back_what_the_spec_gives(azure: AzureSandbox) -> None:
    wanted = document(azure, grant("one", 1, "app-a"))
    azure.apply(wanted)
    switched_by_hand(azure, "legacy")
    plan = azure.plan(wanted)
    assert without_the_caller(gains(plan)) == [
        f"managed identity images-pull can now pull {ALL}",
        f"managed identity images-push can now pull {ALL}",
        f"managed identity images-push can now push {ALL}",
        f"{ONE} can now pull app-a",
    ]
    changed = azure.plan(document(azure), targets=[f"images.assignment.{principal(1)}-pull"])
    assert (gains(changed), losses(changed)) == ([], []), "who has nothing loses nothing"


def test_a_part_of_a_switch_says_what_that_part_does(azure: AzureSandbox) -> None:
    """The role assignments alone give nothing; the mode alone takes what the old ones gave."""
    azure.apply(document(azure, grant("one", 1), registry={"role_assignment_mode": "legacy"}))
    wanted = document(azure, grant("one", 1, "app-a"), grant("two", 2), registry={"role_assignment_mode": "abac"})
    at, mode = f"images.assignment.{principal(2)}-pull", f"images.mode.{NAME}"
    plan = azure.plan(wanted, targets=[at])
    assert (gains(plan), losses(plan)) == ([], [])
    assert notes(plan, at) == ["it gives nothing until the registry is in mode abac"]
    assert succeeded(azure.carry_out(loads(dumps(plan)), saved=True))
    plan = azure.plan(wanted, targets=[mode])
    assert without_the_caller(gains(plan)) == [f"{TWO} can now pull app-a, app-b, team/c"]
    assert without_the_caller(losses(plan)) == [
        f"{ONE} can no longer pull any repository of the registry, except app-a"
    ]
    assert succeeded(azure.carry_out(loads(dumps(plan)), saved=True))
    plan = azure.plan(wanted)
    assert {change.action for change in plan.changes} == {Action.DELETE}
    assert (gains(plan), losses(plan)) == ([], [])


def test_what_another_one_takes_the_place_of_is_said_of_these_alone(azure: AzureSandbox) -> None:
    azure.apply(document(azure, grant("one", 1), grant("two", 2), registry={"role_assignment_mode": "legacy"}))
    plan = azure.plan(document(azure, grant("one", 1, "app-a"), registry={"role_assignment_mode": "abac"}))
    ours = sorted(item for item in notes(plan, f"images.mode.{NAME}") if "service principal 0000" in item)
    assert ours == [
        f"AcrPull of {ONE} on the registry counts no longer, and another one takes its place",
        f"AcrPull of {TWO} on the registry counts no longer",
    ]


def test_a_saved_plan_is_stale_once_a_hand_switched(azure: AzureSandbox) -> None:
    """What its role assignments give hangs on the mode."""
    azure.apply(document(azure))
    plan = loads(dumps(azure.plan(document(azure, grant("one", 1, "app-a")))))
    switched_by_hand(azure, "legacy")
    with pytest.raises(StalePlan) as caught:
        azure.carry_out(plan, saved=True)
    at = f"images.assignment.{principal(1)}-pull"
    assert caught.value.moved == {at: f"images.mode.{NAME}, which decides what counts, is not as the plan has it"}


def test_no_edit_of_a_file_hides_which_mode_holds(azure: AzureSandbox) -> None:
    azure.apply(document(azure))
    plan = json.loads(dumps(azure.plan(document(azure, grant("one", 1, "app-a")))))
    assert [item["address"] for item in plan["basis"]["beside"]] == [f"images.mode.{NAME}"]
    plan["basis"]["beside"] = []
    with pytest.raises(ReconcilerError, match="it does not say which mode registry images has"):
        loads(json.dumps(plan))


def test_a_saved_plan_leaves_a_condition_of_a_hand_s_alone_that_is_no_part_of_it(azure: AzureSandbox) -> None:
    """It stands beside what the plan changes, and would be changed by the whole plan."""
    azure.apply(document(azure, grant("one", 1, "app-a")))
    (found,) = (item for item in azure.cloud.assignments.values() if item.principal == principal(1))
    found.properties["condition"] = str(found.properties["condition"]).replace("StringEqualsIgnoreCase", "StringEquals")
    wanted = document(azure, grant("one", 1, "app-a"), grant("two", 1, "app-b", permission="push-pull"))
    plan = azure.plan(wanted, targets=[f"images.assignment.{principal(1)}-push"])
    assert succeeded(azure.carry_out(loads(dumps(plan)), saved=True))
