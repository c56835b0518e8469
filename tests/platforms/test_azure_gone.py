"""What a plan deletes or lets go of, and is gone, or moved, by what the same run or somebody else did before."""

from __future__ import annotations

import pytest

from reconciler import loads
from reconciler.engine.plan_file import dumps
from reconciler.engine.write import GONE, Status
from tests.emulators.azure import Server
from tests.platforms.test_azure_lists import Edited
from tests.sandbox.azure import NAME, AzureSandbox
from tests.sandbox.azure_fields import principal
from tests.sandbox.base import Document

ALLOWED = {"allow": [f"images.mode.{NAME}"]}
LEGACY, ABAC = {"role_assignment_mode": "legacy"}, {"role_assignment_mode": "abac"}
ONE: Document = {"name": "one", "to": {"type": "azure", "principal_ids": [principal(1)]}}
#: what is there, what is wanted, and which delete follows
DELETES = {
    "grant that left": (LEGACY, (ONE,), LEGACY, (), f"{principal(1)}-pull"),
    "mode that was": (LEGACY, (ONE,), ABAC, (ONE,), f"{principal(1)}-pull-legacy"),
    "mode that was, the other way": (ABAC, (ONE,), LEGACY, (ONE,), f"{principal(1)}-pull-abac"),
}


def assignments(azure: AzureSandbox) -> list[str]:
    return [key for key, item in azure.cloud.assignments.items() if item.principal == principal(1)]


@pytest.mark.parametrize("saved", [False, True])
@pytest.mark.parametrize("case", DELETES)
def test_a_role_assignment_that_a_hand_deleted_meanwhile_is_gone_already(
    azure: AzureSandbox, case: str, *, saved: bool
) -> None:
    before, grants, after, wanted, name = DELETES[case]
    azure.apply(azure.document("app-a", registry=before, grants=grants))
    document = azure.document("app-a", registry=after, grants=wanted)
    plan = azure.plan(document, **ALLOWED)
    (old,) = assignments(azure)
    del azure.cloud.assignments[old]
    outcomes = azure.carry_out(loads(dumps(plan)) if saved else plan, saved=saved)
    said = {str(item.address): (item.status, item.message) for item in outcomes}
    assert said[f"images.assignment.{name}"] == (Status.DONE, GONE)
    assert {status for status, _ in said.values()} == {Status.DONE}
    assert azure.plan(document, **ALLOWED).changes == ()


@pytest.mark.parametrize("saved", [False, True])
@pytest.mark.parametrize("case", DELETES)
def test_one_that_a_list_misses_is_not_gone(
    azure: AzureSandbox, azure_stand_in: Server, case: str, *, saved: bool
) -> None:
    before, grants, after, wanted, name = DELETES[case]
    azure.apply(azure.document("app-a", registry=before, grants=grants))
    document = azure.document("app-a", registry=after, grants=wanted)
    plan = azure.plan(document, **ALLOWED)
    (old,) = assignments(azure)

    def without(body: Document, call: object) -> Document:
        return {**body, "value": [item for item in body["value"] if old not in item["id"].lower()]}

    azure_stand_in.behaviours.append(Edited(azure_stand_in, "roleAssignments:list", without))
    outcomes = azure.carry_out(loads(dumps(plan)) if saved else plan, saved=saved)
    azure_stand_in.behaviours.clear()
    said = {str(item.address): (item.status, item.message) for item in outcomes}
    assert said[f"images.assignment.{name}"] == (Status.DONE, "")
    assert old not in assignments(azure)
    assert azure.plan(document, **ALLOWED).changes == ()


@pytest.mark.parametrize("saved", [False, True])
@pytest.mark.parametrize("labels", [{}, {"team": "a"}])
def test_a_registry_is_let_go_of_after_its_replications_in_one_run(
    azure: AzureSandbox, labels: dict[str, str], *, saved: bool
) -> None:
    """They are somebody else's from then on, and nothing moved by that."""
    premium = {"sku": "Premium", "replication_regions": ["northeurope"], "labels": labels}
    document = azure.document("app-a", registry=premium, grants=(ONE,))
    azure.apply(document)
    plan = azure.plan(document, release=[f"images.registry.{NAME}"])
    outcomes = azure.carry_out(loads(dumps(plan)) if saved else plan, saved=saved)
    assert {item.status for item in outcomes} == {Status.DONE}
    assert azure.acr.tags == labels
    assert set(azure.acr.replications) >= {"northeurope"}
