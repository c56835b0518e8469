"""Whoever makes something after the plan was made, or unseen by a list, keeps it: no create on Azure overwrites what is there.

A PUT of Azure Resource Manager replaces what has that name, and one of a token takes its passwords away.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from reconciler.engine.plan_file import dumps, loads
from reconciler.engine.write import Status
from reconciler.errors import PlanConflict, ReconcilerError, StalePlan
from reconciler.platforms.azure.condition import Names
from reconciler.platforms.azure.condition import written as condition_of
from reconciler.platforms.azure.roles import of_guid
from tests.emulators.azure import Fails, Server, may
from tests.emulators.serving import Answer, Call
from tests.sandbox.azure import RESOURCE, STRANGER, AzureSandbox

IDENTITIES = f"{RESOURCE.partition('/providers/')[0]}/providers/Microsoft.ManagedIdentity/userAssignedIdentities"
READER = "b93aa761-3e63-49ed-ac28-beffa264f7ac"
PARTNER: dict[str, Any] = {"name": "partner", "to": {"type": "azure-token"}}
ONE: dict[str, Any] = {
    "name": "one",
    "to": {"type": "azure", "principal_ids": [STRANGER]},
    "repositories": ["app-a"],
}


class Unseen:
    """A list that misses everything, as one that lags behind does."""

    def __init__(self, operation: str) -> None:
        self.operation = operation

    def before(self, call: Call) -> Answer | None:
        return Answer(200, {"value": []}) if call.operation == self.operation else None

    def after(self, call: Call) -> Answer | None:
        return None


def made_by_others(azure: AzureSandbox) -> None:
    azure.call("PUT", f"{IDENTITIES}/images-pull", {"location": "westeurope", "tags": {"theirs": "1"}})
    actions = {"actions": ["repositories/x/content/read"], "description": "theirs"}
    azure.call("PUT", f"{RESOURCE}/scopeMaps/partner", {"properties": actions})
    azure.call("PUT", f"{RESOURCE}/tokens/partner", {"properties": {"scopeMapId": f"{RESOURCE}/scopeMaps/partner"}})
    azure.call("POST", f"{RESOURCE}/generateCredentials", {"tokenId": f"{RESOURCE}/tokens/partner"})
    azure.call("PUT", f"{RESOURCE}/replications/northeurope", {"location": "northeurope", "tags": {"theirs": "1"}})


def test_what_others_make_after_the_plan_is_left_as_it_is(azure: AzureSandbox) -> None:
    premium = {"sku": "Premium"}
    azure.apply(azure.document("app-a", registry=premium))
    azure.call("DELETE", f"{IDENTITIES}/images-pull", None)
    more = {**premium, "replication_regions": ["northeurope"]}
    plan = azure.plan(azure.document("app-a", grants=(PARTNER,), registry=more))
    made_by_others(azure)
    before = azure.state()
    outcomes = {str(item.address): item for item in azure.carry_out(plan)}
    stale = {at for at, item in outcomes.items() if item.status is Status.STALE}
    assert stale >= {"images.identity.pull", "images.scope-map.partner", "images.replication.northeurope"}
    assert {outcomes[at].message for at in stale} == {"it was created since the plan was made"}
    assert outcomes["images.token.partner"].status is not Status.DONE
    assert azure.acr.tokens["partner"].passwords != {}
    assert azure.state()["registries"] == before["registries"]
    problems = {
        str(item.address) for item in azure.plan(azure.document("app-a", grants=(PARTNER,), registry=more)).problems
    }
    assert problems >= {"images.identity.pull", "images.scope-map.partner", "images.replication.northeurope"}


def test_a_token_that_a_list_misses_is_not_made_anew(azure: AzureSandbox, azure_stand_in: Server) -> None:
    document = azure.document("app-a", grants=(PARTNER,))
    azure.apply(document)
    azure.call("POST", f"{RESOURCE}/generateCredentials", {"tokenId": f"{RESOURCE}/tokens/partner"})
    before = azure.state()
    azure_stand_in.behaviours.append(Unseen("tokens:list"))
    plan = azure.plan(document)
    azure_stand_in.behaviours.clear()
    (outcome,) = azure.carry_out(plan)
    assert (outcome.address, outcome.status) == ("images.token.partner", Status.STALE)
    assert azure.state() == before
    assert len(azure.acr.tokens["partner"].passwords) == 2
    assert azure.plan(document).changes == ()


def test_a_scope_map_that_a_list_misses_is_not_made_anew(azure: AzureSandbox, azure_stand_in: Server) -> None:
    document = azure.document("app-a", grants=(PARTNER,))
    azure.apply(document)
    before = azure.state()
    azure_stand_in.behaviours.append(Unseen("scopeMaps:list"))
    with pytest.raises(PlanConflict):  # whose is the token, then?
        azure.carry_out(azure.plan(document))
    assert azure.state() == before


def test_an_assignment_that_a_list_misses_is_not_written_over(azure: AzureSandbox, azure_stand_in: Server) -> None:
    azure.apply(azure.document("app-a", "app-b", grants=({**ONE, "repositories": ["app-a", "app-b"]},)))
    before = azure.state()
    azure_stand_in.behaviours.append(Unseen("roleAssignments:list"))
    document = azure.document("app-a", "app-b", grants=(ONE,))
    plan = azure.plan(document)
    outcomes = {str(item.address): item for item in azure.carry_out(plan)}
    assert outcomes[f"images.assignment.{STRANGER}-pull"].status is Status.STALE
    assert azure.state() == before
    azure_stand_in.behaviours.clear()
    azure.apply(document)
    assert azure.plan(document).changes == ()


def test_an_identity_that_was_just_made_may_not_be_found_for_a_while(
    azure: AzureSandbox, azure_stand_in: Server
) -> None:
    failing = Fails("roleAssignments:PUT", "PrincipalNotFound", times=2)
    azure_stand_in.behaviours.append(failing)
    azure.apply(azure.document("app-a"))
    assert failing.failed == 2


# -- what people wrote


@pytest.mark.parametrize(
    "beside", ["TICKET-1: by Ann | {}", "{} for ACME, ask Bob", "{} ticket=4711 until=June", "a | {} b"]
)
def test_what_people_wrote_beside_our_marks_outlives_every_write(azure: AzureSandbox, beside: str) -> None:
    grants = (ONE, PARTNER)
    azure.apply(azure.document("app-a", "app-b", grants=grants))
    (assignment,) = (item for item in azure.cloud.assignments.values() if item.principal == STRANGER)
    assignment.properties["description"] = beside.format(assignment.properties["description"])
    scope_map = azure.acr.scope_maps["partner"]
    scope_map.properties["description"] = beside.format(scope_map.properties["description"])
    document = azure.document("app-a", "app-b", grants=grants)
    assert azure.plan(document).changes == ()
    wider = tuple({**item, "repositories": ["app-a", "app-b"]} for item in grants)
    azure.apply(azure.document("app-a", "app-b", grants=wider))
    azure.apply(azure.document("app-a", "app-b", grants=tuple({**item, "repositories": ["app-b"]} for item in grants)))
    (assignment,) = (item for item in azure.cloud.assignments.values() if item.principal == STRANGER)
    for written in (assignment.properties["description"], azure.acr.scope_maps["partner"].properties["description"]):
        for word in beside.replace("{}", "").replace("|", "").split():
            assert written.split().count(word) == 1, written
        assert written.count("reconciler: owner=tests") == 1


def test_what_stood_in_a_description_before_an_adoption_stays(azure: AzureSandbox) -> None:
    azure.apply(azure.document("app-a"))
    azure.assign(STRANGER, READER, description="Ticket 4712: approved by Eve")
    actions = {"actions": ["repositories/app-a/content/read"], "description": "made by Bob"}
    azure.call("PUT", f"{RESOURCE}/scopeMaps/partner", {"properties": actions})
    document = azure.document("app-a", grants=(ONE, PARTNER))
    adopt = [f"images.assignment.{STRANGER}-pull", "images.scope-map.partner"]
    azure.apply(document, adopt=adopt)
    (assignment,) = (item for item in azure.cloud.assignments.values() if item.principal == STRANGER)
    assert assignment.properties["description"].startswith("Ticket 4712: approved by Eve | reconciler: owner=tests")
    assert azure.acr.scope_maps["partner"].properties["description"].startswith("made by Bob | reconciler: owner=tests")
    assert azure.plan(document).changes == ()


# -- plan files that somebody edited


@pytest.mark.parametrize(
    "actions",
    [
        ["repositories/*/metadata/write"],
        ["repositories/app-b/metadata/write"],
        ["repositories/app-b/content/read"],
        ["repositories/App-B/content/read", "repositories/App-B/metadata/read"],
        ["repositories/x y/content/read", "repositories/x y/metadata/read"],
        ["repositories/app-b/content/delete"],
        ["gateway/x/config/read"],
    ],
)
def test_actions_that_no_grant_gives_are_refused_in_a_plan_file(azure: AzureSandbox, actions: list[str]) -> None:
    azure.apply(azure.document("app-a"))
    saved = json.loads(dumps(azure.plan(azure.document("app-a", grants=(PARTNER,)))))
    (change,) = (item for item in saved["changes"] if item["address"] == "images.scope-map.partner")
    change["desired"]["settings"]["actions"] = sorted([*change["desired"]["settings"]["actions"], *actions])
    with pytest.raises(ReconcilerError, match="actions is not what registry images asks for"):
        loads(json.dumps(saved), platforms=azure.platforms)


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("names", ["APP-A"], "names"),
        ("names", ["app-a", "app-a"], "names"),
        ("prefixes", ["app/"], "names"),
        ("grants", ["one owner=other"], "grants"),
        ("principal_type", "Evil", "principal_type"),
        ("unnarrowed", True, "unnarrowed"),
    ],
)
def test_an_assignment_that_no_spec_asks_for_is_refused_in_a_plan_file(
    azure: AzureSandbox, field: str, value: Any, named: str
) -> None:
    azure.apply(azure.document("app-a"))
    saved = json.loads(
        dumps(azure.plan(azure.document("app-a", grants=(ONE,), registry={"role_assignment_mode": "abac"})))
    )
    (change,) = (item for item in saved["changes"] if item["address"] == f"images.assignment.{STRANGER}-pull")
    change["desired"]["settings"][field] = value
    with pytest.raises(ReconcilerError, match=f"{named} is not what registry images asks for"):
        loads(json.dumps(saved), platforms=azure.platforms)


# -- the registry's own identities


def test_a_grant_to_an_identity_of_the_registry_is_refused(azure: AzureSandbox) -> None:
    azure.apply(azure.document("app-a"))
    (own,) = (item.properties["principalId"] for item in azure.cloud.identities.values() if item.name == "images-pull")
    grant = {**ONE, "to": {"type": "azure", "principal_ids": [own.upper()]}}
    before = azure.state()
    plan = azure.plan(azure.document("app-a", grants=(grant,)))
    (problem,) = plan.problems
    assert problem.message == (
        f"{own} is the registry's own identity images-pull, which can pull everything: take it out of grant one"
    )
    assert azure.state() == before


# -- another permission


ALLOWED = {"allow": ["images.mode.acmeimages"]}


@pytest.mark.parametrize(("before", "after"), [("push-pull", "pull"), ("pull", "push-pull")])
@pytest.mark.parametrize(
    ("mode", "later"), [("abac", "abac"), ("legacy", "legacy"), ("abac", "legacy"), ("legacy", "abac")]
)
def test_whoever_gets_another_permission_keeps_the_old_role_until_the_new_one_is_there(
    azure: AzureSandbox, azure_stand_in: Server, before: str, after: str, mode: str, later: str
) -> None:
    grant = {"name": "one", "to": {"type": "azure", "principal_ids": [STRANGER]}}
    first, second = (
        azure.document(
            "app-a",
            grants=({**grant, "permission": permission},),
            registry={"role_assignment_mode": of},
            guards={"max_deletes": "100%"},
        )
        for permission, of in ((before, mode), (after, later))
    )
    azure.apply(first)
    azure.push_image("app-a")
    for refused in ("roleAssignments:PUT", *(("registries:PATCH",) if mode != later else ())):
        plan = azure.plan(second, **ALLOWED)
        azure_stand_in.behaviours.append(Fails(refused, "403", times=-1))
        azure.carry_out(plan)
        azure_stand_in.behaviours.clear()
        assert may(azure.cloud, STRANGER, azure.acr, "app-a", "pull"), refused
    azure.apply(second, **ALLOWED)
    assert may(azure.cloud, STRANGER, azure.acr, "app-a", "pull")
    assert may(azure.cloud, STRANGER, azure.acr, "app-a", "push") is (after == "push-pull")
    assert azure.plan(second).changes == ()


def test_a_target_on_the_role_that_goes_takes_the_new_one_along(azure: AzureSandbox) -> None:
    azure.apply(azure.document("app-a", grants=({**ONE, "permission": "push-pull"},)))
    document = azure.document("app-a", grants=(ONE,))
    azure.apply(document, targets=[f"images.assignment.{STRANGER}-push"])
    azure.push_image("app-a")
    assert may(azure.cloud, STRANGER, azure.acr, "app-a", "pull")
    assert azure.plan(document).changes == ()


# -- another mode, and a registry that goes


def test_a_role_that_somebody_gets_after_the_plan_keeps_the_mode_as_it_is(azure: AzureSandbox) -> None:
    azure.apply(azure.document("app-a"))
    document = azure.document("app-a", registry={"role_assignment_mode": "legacy"})
    plan = azure.plan(document, **ALLOWED)
    azure.assign(STRANGER, READER)
    with pytest.raises(StalePlan, match=r"images\.mode\.acmeimages: what others keep"):
        azure.carry_out(loads(dumps(plan), platforms=azure.platforms), saved=True)
    outcomes = {str(item.address): item for item in azure.carry_out(plan)}
    assert outcomes["images.mode.acmeimages"].status is Status.STALE
    assert azure.acr.properties["roleAssignmentMode"] == "AbacRepositoryPermissions"
    azure.apply(document, **ALLOWED)
    assert azure.plan(document).changes == ()


def test_a_role_whose_condition_changes_after_the_plan_keeps_the_mode_as_it_is(azure: AzureSandbox) -> None:
    azure.apply(azure.document("app-a"))
    reader = of_guid(READER)
    assert reader is not None
    condition = condition_of(Names(frozenset(["app-a"]), frozenset()), reader.actions)
    azure.assign(STRANGER, READER, condition=condition, conditionVersion="2.0")
    plan = azure.plan(azure.document("app-a", registry={"role_assignment_mode": "legacy"}), **ALLOWED)
    for item in azure.cloud.assignments.values():
        if item.principal == STRANGER:
            item.properties["condition"] = None
    with pytest.raises(StalePlan, match=r"images\.mode\.acmeimages: what others keep"):
        azure.carry_out(loads(dumps(plan), platforms=azure.platforms), saved=True)
    assert azure.acr.properties["roleAssignmentMode"] == "AbacRepositoryPermissions"


@pytest.mark.parametrize("protect", [False, True])
def test_images_of_repositories_that_a_list_misses_are_counted_with_the_registry(
    azure: AzureSandbox, azure_stand_in: Server, protect: bool
) -> None:
    document = azure.document("app-a")
    document["repositories"][0]["protect"] = protect
    azure.apply(document)
    azure.push_image("app-a")
    azure_stand_in.behaviours.append(Unseen("scopeMaps:list"))
    plan = azure.plan(document, destroy=True)
    azure_stand_in.behaviours.clear()
    (change,) = (item for item in plan.changes if item.kind == "registry")
    assert change.images == 1
    assert {verdict.guard for verdict in plan.violations} >= {"images"}


def test_images_that_are_pushed_while_a_registry_is_destroyed_keep_it(azure: AzureSandbox) -> None:
    document = azure.document("app-a")
    azure.apply(document)
    plan = azure.plan(document, destroy=True)
    azure.push_image("elsewhere")
    outcomes = {str(item.address): item for item in azure.carry_out(plan)}
    assert outcomes["images.registry.acmeimages"].status is Status.STALE
    assert "it holds 1 image now; it held 0" in outcomes["images.registry.acmeimages"].message


# -- tokens and scope maps that others use


def test_a_scope_map_that_a_token_of_others_has_stays_with_it(azure: AzureSandbox) -> None:
    azure.apply(azure.document("app-a", grants=(PARTNER,)))
    theirs = {"properties": {"scopeMapId": f"{RESOURCE}/scopeMaps/partner"}}
    azure.call("PUT", f"{RESOURCE}/tokens/second", theirs)
    plan = azure.plan(azure.document("app-a"))
    (change,) = plan.changes
    assert change.notes == ("it stays, and is nobody's: token second of somebody else has it",)
    assert {item.principal.label for item in change.losses} == {"whoever holds token partner"}
    azure.carry_out(plan)
    assert sorted(azure.acr.tokens) == ["second"]
    assert "reconciler" not in azure.acr.scope_maps["partner"].properties["description"]
    assert azure.plan(azure.document("app-a")).changes == ()


def test_a_token_that_was_there_goes_with_permission_alone(azure: AzureSandbox) -> None:
    azure.apply(azure.document("app-a"))
    actions = {"actions": ["repositories/app-a/content/read"]}
    azure.call("PUT", f"{RESOURCE}/scopeMaps/theirs", {"properties": actions})
    azure.call("PUT", f"{RESOURCE}/tokens/partner", {"properties": {"scopeMapId": f"{RESOURCE}/scopeMaps/theirs"}})
    azure.apply(azure.document("app-a", grants=(PARTNER,)), adopt=["images.token.partner"])
    assert azure.plan(azure.document("app-a", grants=(PARTNER,))).changes == ()
    plan = azure.plan(azure.document("app-a"))
    assert [item.guard for item in plan.violations] == ["adopted"]
    azure.apply(azure.document("app-a"), allow_delete=["images.scope-map.partner"])
    assert sorted(azure.acr.tokens) == []
