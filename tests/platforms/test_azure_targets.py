"""Targets on Azure: what is left out of a plan stays as it is, and the sentences on who gains and who loses say so."""

from __future__ import annotations

import pytest

from reconciler import Plan, dumps, loads
from reconciler.engine.write import Status
from reconciler.errors import StalePlan
from reconciler.platforms.azure import replication
from reconciler.render.sentences import all_gains, all_losses
from tests.sandbox.azure import NAME, AzureSandbox
from tests.sandbox.azure_fields import principal
from tests.sandbox.base import Document

WHO = f"service principal {principal(1)}"
WRITER = "2a1e307c-b015-4ebd-883e-5b7698a07328"
PULL, PUSH = (f"images.assignment.{principal(1)}-{job}" for job in ("pull", "push"))


def grant(azure: AzureSandbox, name: str, repository: str, permission: str = "pull") -> Document:
    return {"name": name, "repositories": [repository], "permission": permission, "to": azure.target("1")}


def crossing(azure: AzureSandbox) -> Document:
    """A spec in which somebody pulls what they pushed before, and pushes what they pulled; what was there before is applied."""
    before = grant(azure, "one", "app-a"), grant(azure, "two", "app-b", "push-pull")
    after = grant(azure, "one", "app-b"), grant(azure, "two", "app-a", "push-pull")
    azure.apply(azure.document("app-a", "app-b", grants=before))
    return azure.document("app-a", "app-b", grants=after)


def said(plan: Plan) -> list[str]:
    """Who gains and who loses."""
    return [item.text for item in (*all_gains(plan), *all_losses(plan))]


def carry_out_saved(azure: AzureSandbox, plan: Plan) -> None:
    saved = loads(dumps(plan))
    assert dumps(saved) == dumps(plan)
    assert {item.status for item in azure.carry_out(saved, saved=True)} == {Status.DONE}


def test_what_a_left_out_change_of_the_same_principal_would_give_is_lost(azure: AzureSandbox) -> None:
    document = crossing(azure)
    assert said(azure.plan(document)) == [f"{WHO} can now push app-a", f"{WHO} can no longer push app-b"]
    plan = azure.plan(document, targets=[PULL])
    assert [change.address for change in plan.changes] == [PULL]
    assert said(plan) == [f"{WHO} can no longer pull app-a"]
    carry_out_saved(azure, plan)
    assert said(azure.plan(document)) == [f"{WHO} can now pull and push app-a", f"{WHO} can no longer push app-b"]


def test_a_saved_plan_says_nothing_of_what_it_leaves_out(azure: AzureSandbox) -> None:
    """Neither what a hand did to it, nor that it is somebody else's."""
    document = crossing(azure)
    given = azure.cloud.assignments.values()
    (pushing,) = (item for item in given if (item.principal, item.role) == (principal(1), WRITER))
    pushing.properties["condition"] = "@Resource[a] StringEquals 'b'"
    carry_out_saved(azure, azure.plan(document, targets=[PULL]))
    pushing.properties["description"] = "Ticket 4711"
    document["grants"][0]["repositories"] = ["app-a"]
    plan = azure.plan(document, targets=[PULL])
    assert plan.problems == ()
    assert [item.address for item in azure.plan(document).problems] == [PUSH]
    carry_out_saved(azure, plan)


def test_a_saved_plan_is_stale_once_the_left_out_has_moved(azure: AzureSandbox) -> None:
    document = crossing(azure)
    plan = azure.plan(document, targets=[PULL])
    azure.apply(document, targets=[PUSH])
    with pytest.raises(StalePlan, match="which gives some of the same, is not as the plan has it"):
        azure.carry_out(loads(dumps(plan)), saved=True)


def test_a_role_assignment_for_another_mode_gives_nothing_until_the_mode_changes(azure: AzureSandbox) -> None:
    everyone: Document = {"name": "one", "to": azure.target("1")}
    azure.apply(azure.document("app-a", grants=(everyone,)))
    document = azure.document("app-a", grants=(everyone,), registry={"role_assignment_mode": "legacy"})
    plan = azure.plan(document, targets=[PULL])
    assert [change.notes for change in plan.changes] == [("it gives nothing until the registry is in mode legacy",)]
    assert said(plan) == []
    carry_out_saved(azure, plan)
    whole = azure.plan(document)
    mode = next(change for change in whole.changes if change.kind == "mode")
    assert [(item.principal.label, item.verb) for item in mode.gains if item.principal.label == WHO] == [
        (WHO, "pull all repositories of the registry")
    ]
    carry_out_saved(azure, azure.plan({**document, "guards": {"max_deletes": "100%"}}))


def test_a_mode_that_changes_without_the_deletes_after_it_says_what_those_no_longer_give(azure: AzureSandbox) -> None:
    legacy = {"role_assignment_mode": "legacy"}
    azure.apply(azure.document("app-a", grants=({"name": "one", "to": azure.target("1")},), registry=legacy))
    document = azure.document(
        "app-a", grants=({"name": "one", "to": azure.target("1")},), registry={"role_assignment_mode": "abac"}
    )
    for targets in ((), ("images.mode.acmeimages",)):
        found = [text for text in said(azure.plan(document, targets=targets)) if WHO in text]
        assert found == [f"{WHO} can no longer pull any repository of the registry, except app-a"]
    carry_out_saved(azure, azure.plan(document, targets=["images.mode.acmeimages"]))
    assert said(azure.plan({**document, "guards": {"max_deletes": "100%"}})) == []


def test_a_smaller_tier_deletes_no_replication_that_the_plan_does_not_name(
    azure: AzureSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replication, "STARTING", 0.5)
    azure.apply(azure.document("app-a", registry={"sku": "Premium", "replication_regions": ["northeurope"]}))
    azure.acr.replications["northeurope"].tags["cost-center"] = "42"
    smaller = azure.document("app-a", registry={"sku": "Standard"})
    (outcome,) = azure.carry_out(azure.plan(smaller, targets=[f"images.registry.{NAME}"]))
    assert "a smaller sku takes no replications, and the registry has northeurope" in outcome.message
    assert "apply without --target" in outcome.message
    assert azure.acr.replications["northeurope"].tags["cost-center"] == "42"
    azure.apply(smaller)
    assert (azure.acr.sku, dict(azure.acr.replications)) == ("Standard", {})
