"""What a run on Azure says and does where it once said or did something else."""

from __future__ import annotations

import pytest

from reconciler.errors import GuardViolation
from reconciler.render.report import report_of
from reconciler.render.text import joined, plan_lines
from tests.sandbox.azure import GROUP, LISTER, RESOURCE, STRANGER, AzureSandbox

READER = "b93aa761-3e63-49ed-ac28-beffa264f7ac"


def test_a_resource_group_that_is_not_there_is_named_with_the_command_that_makes_it(azure: AzureSandbox) -> None:
    azure.cloud.knobs.missing_groups.add(GROUP)
    outcomes = azure.carry_out(azure.plan(azure.document("app-a")))
    failed = {str(item.address): item.message for item in outcomes if item.status.value == "failed"}
    assert sorted(failed) == ["images.registry.acmeimages"]
    for message in failed.values():
        assert "ResourceGroupNotFound: Resource group 'images' could not be found." in message
        assert "create the resource group first: az group create --name images --location westeurope" in message


@pytest.mark.parametrize(
    ("role", "name"),
    [(READER, "Container Registry Repository Reader"), (LISTER, "Container Registry Repository Catalog Lister")],
)
def test_a_change_of_the_mode_says_which_role_of_whom_counts_no_longer(
    role: str, name: str, azure: AzureSandbox
) -> None:
    azure.apply(azure.document("app-a"))
    azure.assign(STRANGER, role)
    plan = azure.plan(azure.document("app-a", registry={"role_assignment_mode": "legacy"}))
    (mode,) = (change for change in plan.changes if change.kind == "mode")
    assert mode.live is not None
    assert [note for note in mode.live.notes if STRANGER in note] == [
        f"{name} of service principal {STRANGER} on the registry counts no longer"
    ]


def test_a_label_takes_the_place_of_a_tag_of_others_in_another_casing_and_gives_it_back(azure: AzureSandbox) -> None:
    """https://learn.microsoft.com/azure/azure-resource-manager/management/tag-resources: keys have no case."""
    azure.call("PUT", RESOURCE, {"location": "westeurope", "sku": {"name": "Basic"}, "tags": {"Team": "theirs"}})
    document = azure.document("app-a", registry={"adopt": True, "labels": {"team": "ours"}})
    assert 'labels.team: "theirs" (set by somebody else) → "ours"' in joined(
        plan_lines(report_of(azure.plan(document)))
    )
    azure.apply(document)
    found = {key: value for key, value in azure.acr.tags.items() if "team" in key.lower()}
    assert found == {"team": "ours", "reconciler-was-Team": "theirs"}
    assert azure.plan(document).changes == ()
    azure.apply(azure.document("app-a", registry={"adopt": True}))
    assert {key: value for key, value in azure.acr.tags.items() if "team" in key.lower()} == {"Team": "theirs"}


def test_what_others_have_in_a_registry_is_named_and_guarded_before_it_goes(azure: AzureSandbox) -> None:
    grants = ({"name": "partner", "to": {"type": "azure-token"}},)
    document = azure.document("app-a", grants=grants, registry={"sku": "Premium"})
    azure.apply(document)
    assert azure.plan(document, destroy=True).violations == ()
    actions = {"properties": {"actions": ["repositories/app-a/content/read"]}}
    azure.call("PUT", f"{RESOURCE}/scopeMaps/theirs", actions)
    azure.call("PUT", f"{RESOURCE}/scopeMaps/unused", actions)
    azure.call("PUT", f"{RESOURCE}/tokens/theirs", {"properties": {"scopeMapId": f"{RESOURCE}/scopeMaps/theirs"}})
    azure.call("PUT", f"{RESOURCE}/replications/uksouth", {"location": "uksouth"})
    before = azure.state()
    plan = azure.plan(document, destroy=True)
    (change,) = (item for item in plan.changes if item.kind == "registry")
    assert [item.what for item in change.foreign] == ["token theirs"]
    assert change.notes == ("also deletes what somebody else made there: scope map unused and replication uksouth",)
    assert [item.what for item in azure.plan(document).foreign] == ["token theirs"]
    assert "whoever holds token theirs" in {item.principal.label for item in change.losses}
    (verdict,) = plan.violations
    assert (verdict.guard, verdict.addresses) == ("foreign", (change.address,))
    with pytest.raises(GuardViolation):
        azure.carry_out(plan)
    assert azure.state() == before
    azure.apply(document, destroy=True, allow_delete=[change.address])
    assert azure.state()["registries"] == {}


def test_a_smaller_tier_is_refused_while_somebody_else_has_a_replication(azure: AzureSandbox) -> None:
    azure.apply(azure.document("app-a", registry={"sku": "Premium"}))
    azure.call("PUT", f"{RESOURCE}/replications/uksouth", {"location": "uksouth"})
    assert azure.plan(azure.document("app-a", registry={"sku": "Premium"})).changes == ()
    (problem,) = azure.plan(azure.document("app-a", registry={"sku": "Standard"})).problems
    assert problem.message == (
        "somebody else's replication uksouth needs sku: Premium: Azure refuses Standard while it is there"
    )
