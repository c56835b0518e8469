"""What goes with a registry on Azure that is deleted: all that is in it, said and asked for before anything is deleted."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from reconciler import Plan, loads, render
from reconciler.engine.plan_file import dumps
from reconciler.engine.write import Outcome, Status
from reconciler.errors import GuardViolation, PlanRefused, ReconcilerError, StalePlan
from reconciler.model.kind import UNCOUNTED
from tests.emulators.azure import Server
from tests.emulators.serving import Answer, Call
from tests.sandbox.azure import GROUP, NAME, RESOURCE, STRANGER, AzureSandbox
from tests.sandbox.azure_fields import SUBSCRIPTION, principal
from tests.sandbox.base import Document

AT, APP = f"images.registry.{NAME}", "images.repository.app-a"
ABOVE = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}"
READER = "b93aa761-3e63-49ed-ac28-beffa264f7ac"
WRITER = "2a1e307c-b015-4ebd-883e-5b7698a07328"
OWNER = "8e3af657-a8ff-443c-a75c-2fe8c4bcb635"
UNLISTED = "its catalog may leave out repositories that somebody took off the list, and Azure says how much it stores, but not where"
PARTNER = {"name": "partner", "repositories": ["app-a"], "to": {"type": "azure-token"}}
DELETABLE = {"name": "app-a", "delete_images": True}


def images(plan: Plan) -> dict[str, int | None]:
    return {str(item.address): item.images for item in plan.changes if item.images is not None}


def carried_out(azure: AzureSandbox, plan: Plan, *, saved: bool) -> list[Outcome]:
    return azure.carry_out(loads(dumps(plan)) if saved else plan, saved=saved)


def hide(azure: AzureSandbox, name: str) -> None:
    """Takes a repository off the list: `az acr repository update --list-enabled false`."""
    azure.push_image(name)
    azure.acr.hidden.add(name)


def retired(document: Document) -> Document:
    here, *others = document["registries"]
    return {**document, "registries": [{**here, "retired": True}, *others], "repositories": []}


@pytest.mark.parametrize("hidden", [False, True])
@pytest.mark.parametrize("ends", ["destroy", "retired"])
@pytest.mark.parametrize("late", [False, True])
def test_beside_images_of_the_spec_others_that_no_catalog_lists_may_be_there_and_need_permission(
    azure: AzureSandbox, *, hidden: bool, ends: str, late: bool
) -> None:
    document = azure.document(DELETABLE)
    azure.apply(document)
    azure.push_image("app-a")
    azure.cloud.knobs.late_usages = late
    if hidden:
        hide(azure, "secret")
    wanted, how = (document, {"destroy": True}) if ends == "destroy" else (retired(document), {})
    before = azure.state()
    plan = azure.plan(wanted, **how)
    assert images(plan) == {AT: UNCOUNTED, APP: 1}
    assert f"its images can't be counted: {UNLISTED}" in render(plan, "text")
    assert [(item.guard, item.addresses) for item in plan.violations] == [("images", (AT,))]
    with pytest.raises(GuardViolation):
        azure.carry_out(plan)
    assert azure.state() == before
    outcomes = carried_out(azure, azure.plan(wanted, **how, allow_delete=[AT]), saved=True)
    assert {item.status for item in outcomes} == {Status.DONE}
    assert azure.cloud.registries == {}


@pytest.mark.parametrize("saved", [False, True])
def test_beside_images_that_the_catalog_lists_too(azure: AzureSandbox, *, saved: bool) -> None:
    document = azure.document(DELETABLE)
    azure.apply(document)
    azure.push_image("app-a")
    azure.push_image("stray")
    hide(azure, "secret")
    plan = azure.plan(document, destroy=True, allow_delete=[AT])
    assert images(plan) == {AT: 1, APP: 1}
    assert f"its images can't all be counted: {UNLISTED}" in render(plan, "text")
    assert plan.violations == ()
    assert {item.status for item in carried_out(azure, plan, saved=saved)} == {Status.DONE}
    assert azure.cloud.registries == {}


@pytest.mark.parametrize("allowed", [False, True])
def test_what_is_released_to_be_kept_is_not_deleted_with_its_registry(azure: AzureSandbox, *, allowed: bool) -> None:
    azure.apply(azure.document("app-a", "app-b"))
    azure.push_image("app-a")
    document = azure.document({"name": "app-a", "release": True}, "app-b")
    allow = {"allow_delete": [AT]} if allowed else {}
    plan = azure.plan(document, destroy=True, **allow)
    assert [(item.address, item.message) for item in plan.problems] == [
        (
            APP,
            f"release: true keeps its images, and the plan deletes {AT} with all that is in it: take release: true out of the"
            f" spec, or keep the whole registry with `reconciler release {AT}`",
        )
    ]
    assert images(plan) == {AT: 1, "images.repository.app-b": 0}
    before = azure.state()
    with pytest.raises(PlanRefused):
        azure.carry_out(plan)
    assert azure.state() == before
    # what lets go of it alone, and stays with the registry, is refused by nothing
    (change,) = (alone := azure.plan(document, destroy=True, targets=[APP])).changes
    assert (change.address, alone.problems) == (APP, ())
    azure.carry_out(alone)
    assert set(azure.acr.images) == {"app-a"}
    again = azure.plan(document, destroy=True)
    assert [(item.guard, item.addresses) for item in again.violations] == [("images", (AT,))]


def test_a_file_that_keeps_quiet_about_such_a_release_is_refused(azure: AzureSandbox) -> None:
    azure.apply(azure.document("app-a"))
    plan = azure.plan(azure.document({"name": "app-a", "release": True}), destroy=True)
    document = json.loads(dumps(plan))
    document["problems"] = []
    with pytest.raises(ReconcilerError, match=f"it does not say that {APP} has a problem"):
        loads(json.dumps(document))


def moved_to_older(azure: AzureSandbox) -> None:
    """As after the registry got another name in the spec."""
    for name, found in azure.acr.scope_maps.items():
        if name.startswith("reconciler-"):
            found.properties["description"] = found.properties["description"].replace("=images", "=older")


def anothers(azure: AzureSandbox) -> None:
    for name, found in azure.acr.scope_maps.items():
        if name.startswith("reconciler-"):
            found.properties["description"] = found.properties["description"].replace("=tests", "=theirs")


def made_at_run_time(azure: AzureSandbox) -> None:
    azure.make_foreign("app-a", "tests", "runtime")


@pytest.mark.parametrize("saved", [False, True])
@pytest.mark.parametrize("noted", [moved_to_older, anothers, made_at_run_time])
def test_images_of_repositories_that_the_plan_does_not_delete_go_with_permission_for_the_registry_alone(
    azure: AzureSandbox, noted: Callable[[AzureSandbox], None], *, saved: bool
) -> None:
    document = azure.document("app-a")
    azure.apply(document)
    azure.push_image("app-a")
    noted(azure)
    before = azure.state()
    plan = azure.plan(document, destroy=True)
    assert images(plan) == {AT: 1}
    assert [(item.guard, item.addresses) for item in plan.violations] == [("images", (AT,))]
    with pytest.raises(GuardViolation):
        azure.carry_out(plan)
    assert azure.state() == before
    allowed = azure.plan(document, destroy=True, allow_delete=[AT])
    assert {item.status for item in carried_out(azure, allowed, saved=saved)} == {Status.DONE}
    assert azure.cloud.registries == {}
    assert azure.plan(document, destroy=True).changes == ()


# -- what others gave ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("saved", [False, True])
def test_a_token_of_others_with_a_scope_map_of_ours_goes_with_the_registry(azure: AzureSandbox, *, saved: bool) -> None:
    document = azure.document("app-a", grants=(PARTNER,))
    azure.apply(document)
    azure.call("PUT", f"{RESOURCE}/tokens/second", {"properties": {"scopeMapId": f"{RESOURCE}/scopeMaps/partner"}})
    before = azure.state()
    plan = azure.plan(document, destroy=True)
    found = {str(item.address): item for item in plan.changes}
    assert [item.what for item in found[AT].foreign] == ["token second"]
    assert {(item.principal.label, item.verb) for item in found[AT].losses} == {("whoever holds token second", "pull")}
    assert found["images.scope-map.partner"].notes == ()
    assert plan.kept == ()
    (verdict,) = plan.violations
    assert verdict.message == (
        f"{AT} would be deleted along with what somebody else put there (token second), without permission: add --allow-delete {AT}"
    )
    with pytest.raises(GuardViolation):
        azure.carry_out(plan)
    assert azure.state() == before
    allowed = azure.plan(document, destroy=True, allow_delete=[AT])
    assert {item.status for item in carried_out(azure, allowed, saved=saved)} == {Status.DONE}
    assert azure.cloud.registries == {}


def test_without_the_registry_its_scope_map_stays_with_such_a_token(azure: AzureSandbox) -> None:
    document = azure.document("app-a", grants=(PARTNER,))
    azure.apply(document)
    azure.call("PUT", f"{RESOURCE}/tokens/second", {"properties": {"scopeMapId": f"{RESOURCE}/scopeMaps/partner"}})
    plan = azure.plan(document, destroy=True, targets=["images.scope-map.partner"])
    (change,) = plan.changes
    assert change.notes == ("it stays, and is nobody's: token second of somebody else has it",)
    assert [item.what for item in plan.kept] == ["token second"]
    assert plan.violations == ()


@pytest.mark.parametrize("saved", [False, True])
@pytest.mark.parametrize("scope", [RESOURCE, ABOVE, f"/subscriptions/{SUBSCRIPTION}"])
@pytest.mark.parametrize("role", [READER, WRITER, OWNER])
def test_a_role_of_others_beside_a_grant_of_ours_stops_no_destroy_that_names_it(
    azure: AzureSandbox, role: str, scope: str, *, saved: bool
) -> None:
    """What was said of it beside ours, that it voids its condition, is no more said of it once ours is gone."""
    grants = ({"name": "one", "repositories": ["app-a"], "to": azure.target("1")},)
    document = azure.document("app-a", grants=grants)
    azure.apply(document)
    # Azure takes one of each principal, role and scope
    who = principal(1) if scope != RESOURCE or role != READER else STRANGER
    azure.assign(who, role, scope)
    plan = azure.plan(document, destroy=True)
    assert [item.guard for item in plan.violations] == (["foreign"] if scope == RESOURCE else [])
    assert plan.kept == ()
    assert "still can" not in render(plan, "text")
    allowed = azure.plan(document, destroy=True, allow_delete=[AT])
    assert {item.status for item in carried_out(azure, allowed, saved=saved)} == {Status.DONE}
    assert (azure.cloud.registries, azure.cloud.identities) == ({}, {})


@pytest.mark.parametrize("saved", [False, True])
@pytest.mark.parametrize(("first", "then"), [("legacy", None), ("legacy", "abac"), ("abac", "legacy")])
def test_a_registry_in_another_mode_than_the_spec_asks_for_is_destroyed_in_the_mode_that_it_has(
    azure: AzureSandbox, first: str, then: str | None, *, saved: bool
) -> None:
    azure.apply(azure.document("app-a", registry={"role_assignment_mode": first}))
    azure.assign(STRANGER, OWNER, ABOVE)
    azure.assign(STRANGER, READER)
    document = azure.document("app-a", registry={"role_assignment_mode": then} if then else {})
    plan = azure.plan(document, destroy=True)
    dormant = ", which counts for nothing in mode legacy" if first == "legacy" else ""
    what = f"Container Registry Repository Reader of service principal {STRANGER} on the registry{dormant}"
    (home,) = (item for item in plan.changes if item.address == AT)
    assert [item.what for item in home.foreign] == [what]
    assert plan.kept == ()
    assert "still can" not in render(plan, "text")
    assert [(item.guard, item.addresses) for item in plan.violations] == [("foreign", (AT,))]
    allowed = azure.plan(document, destroy=True, allow_delete=[AT])
    assert {item.status for item in carried_out(azure, allowed, saved=saved)} == {Status.DONE}
    assert azure.cloud.registries == {}
    assert [item.scope for item in azure.cloud.assignments.values() if item.principal == STRANGER] == [ABOVE]


# -- what comes between plan and apply -------------------------------------------------------------------------------


def a_push(azure: AzureSandbox) -> None:
    azure.push_image("elsewhere")


def a_hidden_push(azure: AzureSandbox) -> None:
    hide(azure, "elsewhere")


def a_role(azure: AzureSandbox) -> None:
    azure.assign(STRANGER, READER)


def a_token(azure: AzureSandbox) -> None:
    azure.call("PUT", f"{RESOURCE}/tokens/second", {"properties": {"scopeMapId": f"{RESOURCE}/scopeMaps/partner"}})


MEANWHILE: dict[Callable[[AzureSandbox], None], str] = {
    a_push: "it holds 1 image now; it held 0 when the plan was made",
    a_hidden_push: "its images can't be counted now: its catalog lists none, and Azure says that it stores 12,345,678 bytes: they are"
    " of repositories that are not listed, or of images that were deleted a few minutes ago",
    a_role: "somebody else gave access since the plan was made: Container Registry Repository Reader of service principal"
    f" {STRANGER} on the registry",
    a_token: "somebody else gave access since the plan was made: token second",
}


@pytest.mark.parametrize("how", ["of this run", "saved", "skip stale"])
@pytest.mark.parametrize("mode", ["abac", "legacy"])
@pytest.mark.parametrize("meanwhile", MEANWHILE)
def test_what_comes_into_a_registry_after_the_plan_keeps_all_that_it_has(
    azure: AzureSandbox, meanwhile: Callable[[AzureSandbox], None], mode: str, how: str
) -> None:
    """In the mode that the spec asks for, and in another."""
    document = azure.document("app-a", grants=(PARTNER,))
    azure.apply(document)
    document["registries"][0]["role_assignment_mode"] = mode
    plan = azure.plan(document, destroy=True)
    assert plan.violations == ()
    meanwhile(azure)
    before, why = azure.state(), MEANWHILE[meanwhile]
    if how == "saved":
        with pytest.raises(StalePlan) as stale:
            carried_out(azure, plan, saved=True)
        assert f"{AT}: {why}" in str(stale.value)
    else:
        skipping = how == "skip stale"
        done = azure.carry_out(loads(dumps(plan)) if skipping else plan, saved=skipping, skip_stale=skipping)
        outcomes = {str(item.address): item for item in done}
        assert {item.status for item in outcomes.values()} == {Status.STALE}
        assert outcomes[AT].message == why
        assert outcomes[APP].message == f"{AT}, in which it is, has moved: {why}"
    assert azure.state() == before


@dataclass
class ListsNone:
    """Lists of scope maps have none, so often."""

    times: int

    def before(self, call: Call) -> Answer | None:
        if call.operation != "scopeMaps:list" or not self.times:
            return None
        self.times -= 1
        return Answer(200, {"value": []})

    def after(self, call: Call) -> Answer | None:
        return None


@pytest.mark.parametrize("images", [False, True])
@pytest.mark.parametrize("allowed", [False, True])
def test_a_registry_stays_whose_protected_repository_a_list_has_left_out(
    azure: AzureSandbox, azure_stand_in: Server, images: bool, allowed: bool
) -> None:
    document = azure.document({"name": "app-a", "protect": True})
    azure.apply(document)
    if images:
        azure.push_image("images", "app-a")
    azure_stand_in.behaviours.append(ListsNone(1))
    permitted = [f"images.registry.{NAME}"] if allowed else []
    plan = azure.plan(document, destroy=True, allow_delete=permitted)
    if not plan.violations:
        (failed,) = (item for item in azure.carry_out(plan) if item.address == f"images.registry.{NAME}")
        assert "it has what is protected: app-a" in failed.message
        assert "make a new plan" in failed.message
    assert NAME in azure.cloud.registries
    again = azure.plan(document, destroy=True, allow_delete=permitted)
    assert "protect" in {verdict.guard for verdict in again.violations}
