"""What a run on Azure says and does where it once said or did something else."""

from __future__ import annotations

import shlex

import pytest

from reconciler.engine.plan_file import dumps, loads
from reconciler.errors import GuardViolation
from reconciler.render.report import report_of
from reconciler.render.text import joined, plan_lines
from tests.sandbox.azure import GROUP, LISTER, NAME, RESOURCE, STRANGER, AzureSandbox
from tests.sandbox.azure_fields import SUBSCRIPTION
from tests.sandbox.base import Document

READER = "b93aa761-3e63-49ed-ac28-beffa264f7ac"


def test_a_plan_says_that_the_resource_group_is_not_there_and_how_to_make_it(azure: AzureSandbox) -> None:
    """Azure answers each read in it with 404, as where the registry alone is not there."""
    azure.cloud.knobs.missing_groups.add(GROUP)
    plan = azure.plan(azure.document("app-a"))
    assert [(item.address, item.message) for item in plan.problems] == [
        (
            "images.registry.acmeimages",
            f"subscription {SUBSCRIPTION} has no resource group images: check both, or create the resource group first: az group"
            " create --name images --location westeurope",
        )
    ]
    azure.cloud.knobs.missing_groups.clear()
    assert azure.plan(azure.document("app-a")).problems == ()


def test_a_resource_group_that_goes_before_the_apply_is_named_with_the_command_that_makes_it(
    azure: AzureSandbox,
) -> None:
    plan = azure.plan(azure.document("app-a"))
    azure.cloud.knobs.missing_groups.add(GROUP)
    outcomes = azure.carry_out(plan)
    failed = {str(item.address): item.message for item in outcomes if item.status.value == "failed"}
    assert sorted(failed) == ["images.registry.acmeimages"]
    for message in failed.values():
        assert "ResourceGroupNotFound: Resource group 'images' could not be found." in message
        assert "create the resource group first: az group create --name images --location westeurope" in message


def test_all_is_gone_with_the_resource_group_for_a_destroy(azure: AzureSandbox) -> None:
    azure.cloud.knobs.missing_groups.add(GROUP)
    plan = azure.plan(azure.document("app-a"), destroy=True)
    assert (plan.changes, plan.problems) == ((), ())


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
    """https://learn.microsoft.com/azure/azure-resource-manager/management/tag-resources: keys have no case; that one that is there
    keeps its casing: https://github.com/turbot/guardrails-samples/issues/871."""
    azure.call("PUT", RESOURCE, {"location": "westeurope", "sku": {"name": "Basic"}, "tags": {"Team": "theirs"}})
    document = azure.document("app-a", registry={"adopt": True, "labels": {"team": "ours"}})
    assert 'labels.team: "theirs" (set by somebody else) → "ours"' in joined(
        plan_lines(report_of(azure.plan(document)))
    )
    azure.apply(document)
    found = {key: value for key, value in azure.acr.tags.items() if "team" in key.lower()}
    assert found == {"Team": "ours", "reconciler-was-Team": "theirs"}
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


@pytest.mark.parametrize(
    ("said", "what"),
    [
        ({"networkRuleSet": {"defaultAction": "Deny"}}, "its network rule set"),
        ({"networkRuleSet": {"defaultAction": "Allow", "ipRules": [{"value": "192.0.2.1"}]}}, "its network rule set"),
        ({"privateEndpointConnections": [{"name": "theirs"}]}, "somebody else's private endpoint connection theirs"),
        ({"dataEndpointEnabled": True}, "its dedicated data endpoint"),
        ({"encryption": {"status": "enabled"}}, "its customer-managed key"),
        ({"policies": {"trustPolicy": {"status": "enabled"}}}, "its content trust"),
        ({"policies": {"exportPolicy": {"status": "disabled"}}}, "its ban on exports"),
        ({"networkRuleSet": {"defaultAction": "Allow", "ipRules": []}, "encryption": {"status": "disabled"}}, ""),
        ({"policies": {"trustPolicy": {"status": "disabled"}, "exportPolicy": {"status": "enabled"}}}, ""),
    ],
)
def test_a_smaller_tier_is_refused_while_somebody_else_uses_what_it_lacks(
    said: Document, what: str, azure: AzureSandbox
) -> None:
    azure.apply(azure.document("app-a", registry={"sku": "Premium"}))
    azure.acr.properties.update(said)
    assert azure.plan(azure.document("app-a", registry={"sku": "Premium"})).changes == ()
    plan = azure.plan(azure.document("app-a", registry={"sku": "Standard"}))
    if what:
        (problem,) = plan.problems
        assert problem.message == f"{what} needs sku: Premium: Azure refuses Standard while it is there"
        with pytest.raises(AssertionError, match="FeatureNotSupported"):
            azure.call("PATCH", RESOURCE, {"sku": {"name": "Standard"}})
    else:
        azure.carry_out(plan)
        assert azure.acr.sku == "Standard"


@pytest.mark.parametrize("name", ["UP", "a b", "a\nWho gains access", "a/", "-a", "a'b", "a" * 256])
def test_what_is_no_name_of_a_repository_is_no_note(azure: AzureSandbox, name: str) -> None:
    document = azure.document("app-a")
    azure.apply(document)
    (noted,) = (item for key, item in azure.acr.scope_maps.items() if key == "reconciler-spec-1")
    noted.properties["actions"].append(f"repositories/{name}/metadata/read")
    plan = azure.plan(document)
    assert plan.changes == ()
    assert loads(dumps(plan), platforms=azure.platforms).changes == ()
    azure.apply(azure.document("app-a", "app-b"))
    assert noted.properties["actions"] == [
        "repositories/app-a/metadata/read",
        f"repositories/{name}/metadata/read",
        "repositories/app-b/metadata/read",
    ]


def test_commands_that_are_printed_are_quoted_for_a_shell(azure: AzureSandbox) -> None:
    """Of resource groups, too: https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules"""
    document = azure.document("app-a", registry={"resource_group": "images(old)"})
    azure.cloud.knobs.missing_groups.add("images(old)")
    (problem,) = azure.plan(document).problems
    assert "az group create --name 'images(old)' --location westeurope" in problem.message
    azure.reset()
    azure.apply(document)
    path = RESOURCE.replace(f"/{GROUP}/", "/images(old)/")
    given = azure.assign(STRANGER, READER, path)
    (item,) = azure.plan(document).foreign
    assert item.removal == f"run `az role assignment delete --ids {shlex.quote(given)}`"
    assert shlex.split(item.removal.split("`")[1])[-1] == given


@pytest.mark.parametrize("names", ["app-a", "team/*", "*"])
def test_whoever_deletes_images_is_guarded_of_many_repositories_too(azure: AzureSandbox, names: str) -> None:
    document = azure.document("app-a")
    azure.apply(document)
    actions = {"actions": [f"repositories/{names}/content/delete"]}
    azure.call("PUT", f"{RESOURCE}/scopeMaps/theirs", {"properties": actions})
    azure.call("PUT", f"{RESOURCE}/tokens/theirs", {"properties": {"scopeMapId": f"{RESOURCE}/scopeMaps/theirs"}})
    plan = azure.plan(document)
    (verdict,) = plan.strangers
    assert verdict.message == (
        f"whoever holds token theirs can delete images (images.registry.{NAME}), and guards.allow_admin is not true"
    )
    (item,) = plan.objectionable
    assert item.removal == f"run `az acr token delete --registry {NAME} --name theirs`"


@pytest.mark.parametrize("retired", [False, True])
def test_a_destroy_says_that_a_registry_without_its_tags_stays(azure: AzureSandbox, retired: bool) -> None:
    """`az acr update --tags` replaces all of them: https://learn.microsoft.com/cli/azure/acr#az-acr-update"""
    document = azure.document("app-a")
    azure.apply(document)
    if retired:
        document["registries"][0]["retired"], document["repositories"] = True, []
    assert azure.plan(document, destroy=not retired).warnings == ()
    azure.call("PATCH", RESOURCE, {"tags": {"theirs": "only"}})
    plan = azure.plan(document, destroy=not retired)
    at = f"images.registry.{NAME}"
    adopt = f"run `reconciler apply --adopt {at}`"
    how = f"take `retired` out of registry images, {adopt}, and put it back" if retired else f"{adopt} first"
    assert plan.warnings == (f"{at} has no owner, so that it stays as it is: to have it deleted too, {how}",)
    assert at not in {str(item.address) for item in plan.changes}
    azure.apply(azure.document("app-a"), adopt=[at])
    azure.apply(document, destroy=not retired, allow_delete=[at])
    assert azure.state()["registries"] == {}


@pytest.mark.parametrize(("key", "value"), [("reconciler-registry", "other"), ("reconciler-origin", "byhand")])
@pytest.mark.parametrize("retired", [False, True])
def test_a_registry_that_goes_names_replications_that_only_look_like_ours(
    azure: AzureSandbox, key: str, value: str, retired: bool
) -> None:
    premium = {"sku": "Premium", "replication_regions": ["northeurope"]}
    azure.apply(azure.document("app-a", registry=premium))
    azure.acr.replications["northeurope"].tags[key] = value
    document = azure.document(registry={**premium, "retired": True}, guards={"max_deletes": "100%"})
    plan = azure.plan(document if retired else azure.document("app-a", registry=premium), destroy=not retired)
    (change,) = (item for item in plan.changes if item.address == f"images.registry.{NAME}")
    assert change.notes == ("also deletes what somebody else made there: replication northeurope",)


def test_a_token_that_somebody_gave_the_map_of_our_notes_is_named(azure: AzureSandbox) -> None:
    azure.apply(azure.document("app-a"))
    notes = "reconciler-spec-1"
    azure.call("PUT", f"{RESOURCE}/tokens/theirs", {"properties": {"scopeMapId": f"{RESOURCE}/scopeMaps/{notes}"}})
    without = azure.document(guards={"max_deletes": "100%"})
    plan = azure.plan(without)
    (change,) = plan.changes
    assert change.notes == (
        f"somebody gave token theirs the scope map {notes}, which is for notes alone: Azure keeps it as long as that token has it, so"
        " that this fails until it has another one",
    )
    assert loads(dumps(plan), platforms=azure.platforms).changes == plan.changes
    (outcome,) = azure.carry_out(plan)
    assert f"somebody gave token theirs the scope map {notes}, which is for notes alone" in outcome.message
    assert "give it another scope map, and run again: then the note goes" in outcome.message
    azure.call(
        "PATCH", f"{RESOURCE}/tokens/theirs", {"properties": {"scopeMapId": f"{RESOURCE}/scopeMaps/_repositories_pull"}}
    )
    azure.apply(without)
    assert azure.plan(without).changes == ()


def test_a_map_of_notes_that_a_token_has_is_said_of_those_alone_whose_move_would_leave_nothing_in_it(
    azure: AzureSandbox,
) -> None:
    azure.apply(azure.document("app-a", "app-b"))
    for name in ("theirs", "another"):
        said_of = {"scopeMapId": f"{RESOURCE}/scopeMaps/reconciler-spec-1"}
        azure.call("PUT", f"{RESOURCE}/tokens/{name}", {"properties": said_of})
    (change,) = azure.plan(azure.document("app-a", {"name": "app-b", "protect": True})).changes
    assert change.notes == ()
    protected = azure.document({"name": "app-a", "protect": True}, {"name": "app-b", "protect": True})
    assert [item.notes for item in azure.plan(protected).changes] == [
        (
            "somebody gave tokens another and theirs the scope map reconciler-spec-1, which is for notes alone: Azure keeps it as"
            " long as those tokens have it, so that this fails until they have another one",
        )
    ] * 2
    azure.apply(azure.document("app-a", {"name": "app-b", "protect": True}))


def test_a_repository_that_is_to_be_adopted_is_noted_to_need_none(azure: AzureSandbox) -> None:
    document = azure.document({"name": "app-a", "adopt": True}, "app-b")
    spec = azure.spec(document)
    (registry,) = spec.registries
    assert [note for note in registry.notes(spec.repositories) if "adopt" in note] == [
        "a repository on Azure is a note, and needs no adopt, as app-a has it: a registry that is there is taken over by"
        " its own adopt"
    ]
