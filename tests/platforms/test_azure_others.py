"""What others gave on Azure, and what a plan says of who had something by it, still has it, or has it from then on."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler import Plan, render
from reconciler.render.sentences import all_gains, all_losses
from tests.sandbox.azure import CONTRIBUTOR, LEGACY, LISTER, RESOURCE, STRANGER, AzureSandbox
from tests.sandbox.azure_fields import SUBSCRIPTION, principal
from tests.sandbox.base import Document

READER, WRITER = "b93aa761-3e63-49ed-ac28-beffa264f7ac", "2a1e307c-b015-4ebd-883e-5b7698a07328"
ACR_PULL, ACR_PUSH = "7f951dda-4ed3-4680-a7ca-43fe172d538d", "8311e382-0749-4cb8-b61a-304f252e45ec"
OWNER = "8e3af657-a8ff-443c-a75c-2fe8c4bcb635"
SUB = f"/subscriptions/{SUBSCRIPTION}"
GROUP = f"{SUB}/resourceGroups/images"
ONE, TWO = (f"service principal {principal(number)}" for number in (1, 2))
THEM = f"service principal {STRANGER}"
ALL = "all repositories of the registry"
VOIDS = "which reaches every repository whatever its grants say"


def grant(name: str, number: int, *repositories: str, **more: Any) -> Document:
    found = {"name": name, "to": {"type": "azure", "principal_ids": [principal(number)]}, **more}
    return {**found, "repositories": list(repositories)} if repositories else found


def partner(*repositories: str, **more: Any) -> Document:
    return {"name": "partner", "repositories": list(repositories), "to": {"type": "azure-token"}, **more}


def document(azure: AzureSandbox, *grants: Document, **more: Any) -> Document:
    return azure.document("app-a", "app-b", "team/c", grants=grants, guards={"max_deletes": "100%"}, **more)


def gains(plan: Plan) -> list[str]:
    return [item.text for item in all_gains(plan)]


def losses(plan: Plan) -> list[str]:
    return [item.text for item in all_losses(plan)]


def foreign(plan: Plan) -> list[str]:
    """What the plan says of what others gave, and how it puts it."""
    text = render(plan, "text")
    assert all(item.what in text for item in plan.kept)
    return sorted(item.what for item in plan.kept)


# -- whose it is -------------------------------------------------------------------------------------------------

MARKS = ["owner=tests registry=images origin=spec", "owner=tests registry=other origin=spec"]
MARKS += ["owner=tests registry=images origin=runtime", "owner=tests registry=images origin=byhand", "owner=tests"]


@pytest.mark.parametrize("marks", MARKS)
@pytest.mark.parametrize(
    ("role", "what"),
    [
        (READER, "Container Registry Repository Reader of {} on the registry"),
        (WRITER, "Container Registry Repository Writer of {} on the registry"),
        (
            LISTER,
            "Container Registry Repository Catalog Lister of {} on the registry, which lists the names of repositories",
        ),
        (ACR_PUSH, "AcrPush of {} on the registry, which counts for nothing in mode abac"),
        (OWNER, "Owner of {} on the registry"),
        (CONTRIBUTOR, "Container Registry Repository Contributor of {} on the registry"),
    ],
)
def test_a_copied_or_forged_mark_makes_nothing_ours(azure: AzureSandbox, marks: str, role: str, what: str) -> None:
    wanted = document(azure, grant("one", 1, "app-a"))
    azure.apply(wanted)
    azure.assign(STRANGER, role, description=f"reconciler: {marks} applied=v1-0123456789abcdef")
    plan = azure.plan(wanted)
    assert plan.changes == ()
    assert foreign(plan) == [what.format(THEM)]
    assert [item.guard for item in plan.strangers] == (["allow_admin"] if role in (OWNER, CONTRIBUTOR) else [])
    (verdict,) = azure.plan(wanted, destroy=True).violations
    assert verdict.guard == "foreign"
    assert f"({what.format(THEM)})" in verdict.message


def test_a_mark_above_the_registry_makes_nothing_ours(azure: AzureSandbox) -> None:
    wanted = document(azure, grant("one", 1, "app-a"))
    azure.apply(wanted)
    azure.assign(principal(1), READER, SUB, description=f"reconciler: {MARKS[0]} applied=v1-0123456789abcdef")
    assert foreign(azure.plan(wanted)) == [f"Container Registry Repository Reader of {ONE} on {SUB}, {VOIDS}"]


def test_one_with_a_copied_mark_in_a_place_of_ours_is_asked_for_before_it_is_taken_over(azure: AzureSandbox) -> None:
    azure.apply(document(azure))
    text = f"reconciler: {MARKS[0]} applied=v1-0123456789abcdef grants=one"
    azure.assign(principal(1), READER, description=text)
    wanted, at = document(azure, grant("one", 1, "app-a")), f"images.assignment.{principal(1)}-pull"
    (problem,) = azure.plan(wanted).problems
    assert problem.conflict
    assert problem.message.endswith(f"already exists and has no owner; to adopt it, add --adopt {at} to plan and apply")
    azure.apply(wanted, adopt=[at])
    assert azure.plan(wanted).changes == ()
    # who adopted it may delete it
    (change,) = azure.plan(document(azure)).changes
    assert (change.address, change.action.value) == (at, "delete")


@pytest.mark.parametrize("marks", MARKS[1:])
def test_a_scope_map_with_a_forged_mark_hides_no_token(azure: AzureSandbox, marks: str) -> None:
    wanted = document(azure)
    azure.apply(wanted)
    said = {"description": f"reconciler: {marks}", "actions": ["repositories/*/content/write"]}
    azure.call("PUT", f"{RESOURCE}/scopeMaps/forged", {"properties": said})
    azure.call("PUT", f"{RESOURCE}/tokens/forged", {"properties": {"scopeMapId": f"{RESOURCE}/scopeMaps/forged"}})
    plan = azure.plan(wanted)
    assert (plan.changes, plan.runtime, foreign(plan)) == ((), (), ["token forged"])
    assert f"whoever holds token forged can push {ALL} (token forged)" in render(plan, "text")


def test_a_token_with_the_name_of_our_notes_is_not_hidden(azure: AzureSandbox) -> None:
    wanted = document(azure)
    azure.apply(wanted)
    (name,) = (name for name in azure.acr.scope_maps if name.startswith("reconciler-spec-"))
    admin = f"{RESOURCE}/scopeMaps/_repositories_admin"
    azure.call("PUT", f"{RESOURCE}/tokens/{name}", {"properties": {"scopeMapId": admin}})
    plan = azure.plan(wanted)
    assert (plan.changes, foreign(plan)) == ((), [f"token {name}"])
    assert f"whoever holds token {name} can push {ALL}" in render(plan, "text")


def test_the_command_that_removes_what_guards_forbid_is_printed(azure: AzureSandbox) -> None:
    wanted = document(azure)
    azure.apply(wanted)
    there = azure.assign(STRANGER, OWNER)
    reader = azure.assign(STRANGER, READER)
    text = render(azure.plan(wanted), "text")
    assert f"to remove Owner of {THEM} on the registry, run `az role assignment delete --ids {there}`" in text
    assert reader not in text


# -- who had it, and has it still ----------------------------------------------------------------------------------


def test_the_first_plan_says_what_voids_its_grants_and_later_ones_who_still_can(azure: AzureSandbox) -> None:
    azure.apply(document(azure))
    azure.assign(principal(1), READER, GROUP)
    azure.assign(principal(2), WRITER, SUB)
    wanted = document(azure, grant("one", 1, "app-a"), grant("two", 2, "app-b", permission="push-pull"))
    plan = azure.plan(wanted)
    voided = [
        f"Container Registry Repository Reader of {ONE} on {GROUP}, {VOIDS}",
        f"Container Registry Repository Writer of {TWO} on {SUB}, {VOIDS}",
    ]
    assert foreign(plan) == voided
    assert gains(plan) == [
        f"{ONE} can now pull app-a, as it could already by what others gave",
        f"{TWO} can now pull and push app-b, as it could already by what others gave",
    ]
    azure.carry_out(plan)
    assert foreign(azure.plan(wanted)) == voided
    plan = azure.plan(document(azure, grant("one", 1, "app-b")))
    assert gains(plan) == [f"{ONE} can now pull app-b, as it could already by what others gave"]
    assert losses(plan) == [
        f"{ONE} can no longer pull app-a, but it still can by what others gave",
        f"{TWO} can no longer pull or push app-b, but it still can by what others gave",
    ]


def test_so_does_the_plan_that_makes_the_registry(azure: AzureSandbox) -> None:
    azure.assign(principal(1), READER, GROUP)
    azure.assign(STRANGER, READER, GROUP)
    plan = azure.plan(document(azure, grant("one", 1, "app-a"), grant("two", 2, "app-a")))
    assert foreign(plan) == [f"Container Registry Repository Reader of {ONE} on {GROUP}, {VOIDS}"]
    found = [text for text in gains(plan) if "service principal" in text]
    assert found == [f"{ONE} can now pull app-a", f"{ONE} can now pull {ALL}", f"{TWO} can now pull app-a"]


def test_what_is_given_for_some_repositories_says_so_of_these_alone(azure: AzureSandbox) -> None:
    azure.apply(document(azure))
    data = "Microsoft.ContainerRegistry/registries/repositories"
    acts = " AND ".join(f"!(ActionMatches{{'{data}/{item}'}})" for item in ("content/read", "metadata/read"))
    text = f"(({acts}) OR (@Request[{data}:name] StringStartsWithIgnoreCase 'team/'))"
    azure.assign(principal(1), READER, GROUP, condition=text, conditionVersion="2.0")
    plan = azure.plan(document(azure, grant("one", 1, "app-a", "team/c")))
    assert gains(plan) == [
        f"{ONE} can now pull app-a",
        f"{ONE} can now pull team/c, as it could already by what others gave",
    ]
    assert foreign(plan) == [f"Container Registry Repository Reader of {ONE} on {GROUP}"]


# -- a change of the mode ------------------------------------------------------------------------------------------


def test_a_change_of_the_mode_says_who_gains_by_what_others_gave(azure: AzureSandbox) -> None:
    azure.apply(document(azure, grant("one", 1)))
    azure.assign(STRANGER, ACR_PUSH)
    azure.assign(principal(1), ACR_PUSH, GROUP)
    azure.assign(principal(2), LEGACY, SUB)
    plan = azure.plan(document(azure, grant("one", 1), registry={"role_assignment_mode": "legacy"}))
    assert [text for text in gains(plan) if "ebab70eb" not in text] == [
        f"{ONE} can now pull {ALL}",
        f"{ONE} can now push {ALL}",
        f"{TWO} can now pull {ALL}",
        f"{TWO} can now push {ALL}",
        f"{THEM} can now pull {ALL}",
        f"{THEM} can now push {ALL}",
    ]
    (mode,) = (item for item in plan.changes if item.kind == "mode")
    assert set(mode.notes) >= {
        f"AcrPush of {THEM} on the registry counts from then on",
        f"AcrPush of {ONE} on {GROUP} counts from then on",
        f"Contributor of {TWO} on {SUB} counts from then on",
    }


def test_a_change_of_the_mode_says_who_loses_by_it(azure: AzureSandbox) -> None:
    azure.apply(document(azure, grant("one", 1, "app-a")))
    azure.assign(STRANGER, WRITER)
    azure.assign(principal(1), WRITER, GROUP)
    plan = azure.plan(document(azure, grant("one", 1), registry={"role_assignment_mode": "legacy"}))
    assert [text for text in losses(plan) if "ebab70eb" not in text] == [
        f"{ONE} can no longer push any repository of the registry",
        f"{THEM} can no longer pull any repository of the registry",
        f"{THEM} can no longer push any repository of the registry",
    ]


@pytest.mark.parametrize("scope", [RESOURCE, GROUP])
def test_what_counts_for_nothing_says_so(azure: AzureSandbox, scope: str) -> None:
    """Above the registry, it is said once it counts."""
    wanted = document(azure, grant("one", 1, "app-a"))
    azure.apply(wanted)
    azure.assign(principal(1), ACR_PULL, scope)
    found = [f"AcrPull of {ONE} on the registry, which counts for nothing in mode abac"]
    assert foreign(azure.plan(wanted)) == (found if scope == RESOURCE else [])


# -- tokens --------------------------------------------------------------------------------------------------------


def sneaky(azure: AzureSandbox, status: str = "enabled") -> None:
    """A token of others that has the scope map of a grant."""
    said = {"scopeMapId": f"{RESOURCE}/scopeMaps/partner", "status": status}
    azure.call("PUT", f"{RESOURCE}/tokens/Sneaky", {"properties": said})


def test_a_token_of_others_gains_and_loses_with_a_scope_map_of_ours(azure: AzureSandbox) -> None:
    azure.apply(document(azure, partner("app-a", "team/c")))
    sneaky(azure)
    plan = azure.plan(document(azure, partner("app-a", "app-b", permission="push-pull")))
    for name in ("partner", "sneaky"):
        assert f"whoever holds token {name} can now pull and push app-b" in gains(plan)
        assert f"whoever holds token {name} can now push app-a" in gains(plan)
        assert f"whoever holds token {name} can no longer pull team/c" in losses(plan)
    assert foreign(plan) == ["token Sneaky"]


def test_a_scope_map_that_a_token_of_others_has_is_not_deleted(azure: AzureSandbox) -> None:
    azure.apply(document(azure, partner("app-a")))
    sneaky(azure)
    plan = azure.plan(document(azure))
    assert plan.violations == ()
    assert "whoever holds token partner can no longer pull app-a" in losses(plan)
    assert "sneaky" not in losses(plan)
    azure.carry_out(plan)
    assert list(azure.acr.tokens) == ["sneaky"]
    assert foreign(azure.plan(document(azure))) == ["token Sneaky"]


def test_a_scope_map_that_is_adopted_says_which_token_of_others_has_it(azure: AzureSandbox) -> None:
    azure.apply(document(azure))
    said = {"actions": ["repositories/app-a/content/read"]}
    azure.call("PUT", f"{RESOURCE}/scopeMaps/partner", {"properties": said})
    azure.call("PUT", f"{RESOURCE}/tokens/partner", {"properties": {"scopeMapId": f"{RESOURCE}/scopeMaps/partner"}})
    sneaky(azure)
    plan = azure.plan(document(azure, partner("app-a", "app-b")), adopt=["images.scope-map.partner"])
    assert plan.problems == ()
    (change,) = (item for item in plan.changes if item.kind == "scope-map")
    assert change.notes == ("token Sneaky of somebody else has this scope map, and gains and loses with it",)
    assert foreign(plan) == ["token Sneaky"]


def test_a_token_that_is_disabled_has_nothing(azure: AzureSandbox) -> None:
    wanted = document(azure, partner("app-a"))
    azure.apply(wanted)
    sneaky(azure, "disabled")
    said = {"actions": ["repositories/*/content/write"]}
    azure.call("PUT", f"{RESOURCE}/scopeMaps/theirs", {"properties": said})
    theirs = {"scopeMapId": f"{RESOURCE}/scopeMaps/theirs", "status": "disabled"}
    azure.call("PUT", f"{RESOURCE}/tokens/theirs", {"properties": theirs})
    plan = azure.plan(document(azure, partner("app-a", "app-b")))
    assert foreign(plan) == ["token Sneaky, which is disabled", "token theirs, which is disabled"]
    assert [item.access for item in plan.foreign] == [(), ()]
    assert gains(plan) == ["whoever holds token partner can now pull app-b"]


# -- what is lost of all repositories ------------------------------------------------------------------------------


def test_what_is_adopted_is_not_kept_as_others(azure: AzureSandbox) -> None:
    azure.apply(document(azure))
    azure.assign(principal(1), READER)
    plan = azure.plan(
        document(azure, grant("one", 1, "app-a", "team/c")), adopt=[f"images.assignment.{principal(1)}-pull"]
    )
    assert (plan.foreign, foreign(plan)) == ((), [])
    assert losses(plan) == [f"{ONE} can no longer pull any repository of the registry, except app-a, team/c"]


def test_what_is_lost_of_all_says_what_stays(azure: AzureSandbox) -> None:
    legacy = {"role_assignment_mode": "legacy"}
    azure.apply(document(azure, grant("one", 1), grant("two", 2), registry=legacy))
    plan = azure.plan(document(azure, grant("one", 1, "app-b"), registry={"role_assignment_mode": "abac"}))
    assert [text for text in losses(plan) if "ebab70eb" not in text] == [
        f"{ONE} can no longer pull any repository of the registry, except app-b",
        f"{TWO} can no longer pull any repository of the registry",
    ]
    assert not any(text.startswith(ONE) for text in gains(plan))


def test_what_is_lost_of_all_that_begin_so_says_what_stays(azure: AzureSandbox) -> None:
    wanted = document(azure, partner("app-a", "team/c"))
    azure.apply(wanted)
    wide = ["repositories/app-a/content/read", "repositories/team/*/content/read"]
    azure.acr.scope_maps["partner"].properties["actions"] = wide
    plan = azure.plan(wanted)
    assert losses(plan) == ["whoever holds token partner can no longer pull any repository under team/, except team/c"]


def test_who_gains_what_a_condition_may_have_allowed_may_gain_it(azure: AzureSandbox) -> None:
    wanted = document(azure, grant("one", 1, "app-a"))
    azure.apply(wanted)
    (found,) = (item for item in azure.cloud.assignments.values() if item.principal == principal(1))
    odd = str(found.properties["condition"]).replace("StringEqualsIgnoreCase", "StringEquals")
    found.properties["condition"] = odd
    plan = azure.plan(wanted)
    assert gains(plan) == [f"{ONE} may now be able to pull app-a"]
    (loss,) = losses(plan)
    assert loss == (
        f"{ONE} may no longer be able to pull any repository of the registry, except app-a, where the condition allows it that"
        f" somebody wrote: {odd}"
    )


# -- what a delete takes along ---------------------------------------------------------------------------------------


def test_what_was_given_above_the_registry_outlives_it(azure: AzureSandbox) -> None:
    wanted = document(azure, grant("one", 1, "app-a"))
    azure.apply(wanted)
    azure.assign(principal(1), READER, GROUP)
    plan = azure.plan(wanted, destroy=True)
    assert plan.violations == ()
    assert (foreign(plan), [item for change in plan.changes for item in change.foreign]) == ([], [])
    assert "also removes what somebody else gave" not in render(plan, "text")
    assert f"{ONE} can no longer pull any repository of the registry" in losses(plan)
    before = azure.cloud.assignments.copy()
    azure.carry_out(plan)
    assert [item.scope for item in azure.cloud.assignments.values() if item.principal == principal(1)] == [GROUP]
    assert len(before) > len(azure.cloud.assignments)


def test_a_replication_of_others_in_a_location_of_the_spec_is_an_error_that_names_it(azure: AzureSandbox) -> None:
    """Under another name, as `az acr replication create --name` gives it: a second one there is nothing that anybody wants."""
    azure.apply(azure.document("app-a", registry={"sku": "Premium"}))
    azure.call("PUT", f"{RESOURCE}/replications/north", {"location": "North Europe"})
    document = azure.document("app-a", registry={"sku": "Premium", "replication_regions": ["northeurope"]})
    assert [(str(item.address), item.message) for item in azure.plan(document).problems] == [
        (
            "images.replication.northeurope",
            "replication north, which somebody else made, is in northeurope already: delete it first, or take northeurope out of"
            " replication_regions",
        )
    ]
    azure.call("DELETE", f"{RESOURCE}/replications/north")
    azure.apply(document)
    azure.call("PUT", f"{RESOURCE}/replications/north", {"location": "North Europe"})
    assert azure.plan(document).changes == ()
    assert azure.plan(document).problems == ()
