"""A registry on Azure from its first run to its last: what is there, what others put there, what is never lost."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from reconciler import loads
from reconciler.engine.plan import Plan
from reconciler.engine.plan_file import dumps
from reconciler.engine.write import Status
from reconciler.errors import GuardViolation, PlanRefused, PlatformError
from reconciler.model.change import Action, Cause
from reconciler.platforms.azure.platform import PLATFORM
from reconciler.render.report import report_of
from reconciler.render.text import joined, plan_lines
from tests.emulators.azure import may, token_may
from tests.sandbox.azure import NAME, RESOURCE, STRANGER, AzureSandbox
from tests.sandbox.azure_fields import principal
from tests.sandbox.base import Document


@pytest.fixture
def document(azure: AzureSandbox) -> Document:
    return azure.rich_document()


def words(plan: Plan) -> str:
    return joined(plan_lines(report_of(plan)))


def who_can(azure: AzureSandbox, action: str) -> dict[str, list[str]]:
    """Which of the three principals, the two identities and the token can do something with which repository."""
    identities = {item.name: item.properties["principalId"] for item in azure.cloud.identities.values()}
    who = {**{str(number): principal(number) for number in (1, 2, 4)}, **identities}
    names = ("app-a", "app-b", "team/c", "elsewhere")
    found = {
        key: [name for name in names if may(azure.cloud, value, azure.acr, name, action)] for key, value in who.items()
    }
    return {**found, "partner": [name for name in names if token_may(azure.acr, "partner", name, action)]}


def test_after_apply_there_is_nothing_left_to_do_and_who_can_do_what_is_what_the_spec_says(
    azure: AzureSandbox, document: Document
) -> None:
    outcomes = azure.apply(document)
    again = azure.plan(document)
    assert (again.changes, again.unchanged, again.foreign) == ((), len(outcomes), ())
    every = ["app-a", "app-b", "team/c", "elsewhere"]
    assert who_can(azure, "pull") == {
        "1": ["app-a", "app-b", "team/c"],
        "2": ["app-a", "app-b"],
        "4": ["app-a", "app-b"],
        "images-pull": every,
        "images-push": every,
        "partner": ["team/c"],
    }
    assert who_can(azure, "push") == {
        "1": [],
        "2": ["app-a", "app-b"],
        "4": ["app-a", "app-b"],
        "images-pull": [],
        "images-push": every,
        "partner": [],
    }
    assert set(who_can(azure, "delete").values().__iter__().__next__()) == set()
    assert azure.acr.tokens["partner"].passwords == {}


def test_a_plan_is_six_lists_whatever_the_number_of_repositories(azure: AzureSandbox) -> None:
    names = [f"app-{number:03}" for number in range(300)]
    document = azure.document(*names, registry={"sku": "Premium"}, guards={"max_deletes": "100%"})
    azure.apply(document)
    azure.cloud.knobs.page = 100
    azure.server.calls.clear()
    plan = azure.plan(document)
    assert plan.changes == ()
    asked = [call.operation for call in azure.server.calls if call.service != "entra"]
    assert sorted(asked) == [
        "registries:GET",
        "replications:list",
        "roleAssignments:list",
        "scopeMaps:list",
        "tokens:list",
        "userAssignedIdentities:list",
    ]


def test_destroy_leaves_nothing_of_ours(azure: AzureSandbox, document: Document) -> None:
    empty = azure.state()
    azure.apply(document)
    azure.apply(document, destroy=True)
    assert azure.state() == empty
    assert azure.plan(document, destroy=True).changes == ()


def test_a_saved_plan_survives_the_file_and_does_the_same(azure: AzureSandbox, document: Document) -> None:
    plan = azure.plan(document)
    loaded = loads(dumps(plan))
    assert dumps(loaded) == dumps(plan)
    assert all(outcome.status is Status.DONE for outcome in azure.carry_out(loaded, saved=True, verify=True))
    assert azure.plan(document).changes == ()


def test_casing_and_order_are_no_difference(azure: AzureSandbox, document: Document) -> None:
    azure.apply(document)
    azure.cloud.knobs.odd_casing = True
    for seed in range(5):
        azure.cloud.knobs.seed = seed
        assert azure.plan(document).changes == ()


def test_the_tags_of_others_outlive_every_change(azure: AzureSandbox, document: Document) -> None:
    azure.apply(document)
    azure.put_foreign_tag("", "cost-center", "42")
    azure.put_foreign_tag("", "Team2", "x")
    assert azure.plan(document).changes == ()
    for labels in ({"team": "b", "tier": "1"}, {}, {"cost-center": "7"}, {}):
        document["registries"][0]["labels"] = labels
        azure.apply(document)
        assert azure.acr.tags["Team2"] == "x"
        assert azure.acr.tags["cost-center"] == labels.get("cost-center", "42")
        assert azure.plan(document).changes == ()


HANDS: dict[str, Any] = {
    "admin user": {"properties": {"adminUserEnabled": True}},
    "anonymous pull": {"properties": {"anonymousPullEnabled": True}},
    "network": {"properties": {"publicNetworkAccess": "Disabled"}},
    "retention": {"properties": {"policies": {"retentionPolicy": {"status": "disabled"}}}},
    "retention of other days": {"properties": {"policies": {"retentionPolicy": {"status": "enabled", "days": 3}}}},
}


@pytest.mark.parametrize("hand", HANDS)
def test_a_change_by_hand_is_drift_and_apply_heals_it(azure: AzureSandbox, document: Document, hand: str) -> None:
    azure.apply(document)
    good = azure.state()
    azure.call("PATCH", RESOURCE, HANDS[hand])
    (change,) = azure.plan(document).changes
    assert (change.address, change.action, change.cause) == (f"images.registry.{NAME}", Action.UPDATE, Cause.DRIFT)
    azure.apply(document)
    healed, wanted = azure.state(), good
    for state in (healed, wanted):  # what a retention was before says nothing once it is enabled
        state["registries"][NAME]["properties"].setdefault("policies", {})
    assert healed == wanted
    assert azure.plan(document).changes == ()


def test_a_registry_that_nobody_owns_is_a_conflict_until_it_is_adopted(azure: AzureSandbox) -> None:
    document = azure.document("app-a")
    azure.call("PUT", RESOURCE, {"location": "westeurope", "sku": {"name": "Basic"}, "tags": {"theirs": "x"}})
    before = azure.state()
    plan = azure.plan(document)
    assert any("has no owner" in item.message and f"images.registry.{NAME}" in item.message for item in plan.problems)
    assert azure.state() == before
    document["registries"][0]["adopt"] = True
    azure.apply(document)
    assert azure.acr.tags["theirs"] == "x"
    assert azure.plan(document).changes == ()
    assert not azure.acr.abac, "an adopted registry keeps its mode until the spec names one"


def test_a_name_that_somebody_else_has_is_one_clear_error_before_anything_is_made(azure: AzureSandbox) -> None:
    azure.cloud.knobs.taken = {NAME}
    outcomes = azure.carry_out(azure.plan(azure.document("app-a")))
    (failed,) = [item for item in outcomes if item.address == f"images.registry.{NAME}"]
    assert "the name acmeimages can't be had: The registry acmeimages is already in use." in failed.message
    assert "choose another registry_name" in failed.message
    assert (azure.cloud.registries, azure.cloud.identities) == ({}, {})
    assert [call.operation for call in azure.server.calls if call.operation.endswith((":PUT", ":PATCH"))] == []


def test_a_tier_goes_up_before_what_needs_it_and_down_after_what_it_does_not_have(azure: AzureSandbox) -> None:
    small, large = (
        azure.document(
            {"name": "app-a", **more},
            registry=registry,
            guards={"max_deletes": "100%"},
        )
        for more, registry in (
            ({}, {"sku": "Basic"}),
            ({"retention": {"untagged_days": 7}}, {"sku": "Premium", "replication_regions": ["northeurope"]}),
        )
    )
    azure.apply(small)
    azure.apply(large)
    assert (azure.acr.sku, set(azure.acr.replications)) == ("Premium", {"northeurope"})
    assert azure.plan(large).changes == ()
    azure.apply(small)
    assert (azure.acr.sku, azure.acr.replications) == ("Basic", {})
    assert azure.plan(small).changes == ()


def test_a_replication_that_was_just_deleted_is_made_again(azure: AzureSandbox, document: Document) -> None:
    azure.apply(document)
    azure.cloud.knobs.settling = 3
    smaller = copy.deepcopy(document)
    smaller["registries"][0]["replication_regions"] = []
    azure.apply(smaller)
    azure.apply(document)
    assert set(azure.acr.replications) == {"northeurope"}
    assert azure.plan(document).changes == ()


def test_what_left_the_spec_keeps_its_images_without_permission(azure: AzureSandbox, document: Document) -> None:
    azure.apply(document)
    azure.push_image("app-a")
    azure.push_image("app-a", "v2")
    smaller = copy.deepcopy(document)
    del smaller["repositories"][0]
    plan = azure.plan(smaller)
    assert [(item.address, item.images) for item in plan.changes if item.kind == "repository"] == [
        ("images.repository.app-a", 2)
    ]
    with pytest.raises(GuardViolation, match="holds 2 images and would be deleted without permission"):
        azure.carry_out(plan)
    assert set(azure.acr.images) == {"app-a"}
    azure.apply(smaller, allow_delete=["images.repository.app-a"])
    assert azure.acr.images == {}
    assert azure.plan(smaller).changes == ()


def test_nothing_deletes_a_registry_with_images_unless_each_repository_may_go(
    azure: AzureSandbox, document: Document
) -> None:
    azure.apply(document)
    azure.push_image("app-b")  # which says delete_images
    azure.push_image("stray")  # of which no spec knows
    plan = azure.plan(document, destroy=True)
    assert [verdict.addresses for verdict in plan.violations] == [(f"images.registry.{NAME}",)]
    with pytest.raises(GuardViolation, match="holds 1 image and would be deleted without permission"):
        azure.carry_out(plan)
    azure.remove_repository("stray")
    azure.apply(document, destroy=True, allow_delete=[f"images.registry.{NAME}"])
    assert azure.cloud.registries == {}


def test_a_data_plane_that_refuses_is_said_and_not_fatal(azure: AzureSandbox, document: Document) -> None:
    azure.apply(document)
    azure.push_image("app-a")
    azure.cloud.knobs.blind = True
    assert azure.plan(document).changes == ()
    del document["repositories"][0]
    plan = azure.plan(document)
    assert "its images can't be counted: localhost" in words(plan)
    assert "images.repository.app-a holds images that can't be counted" in words(plan)
    with pytest.raises(GuardViolation):
        azure.carry_out(plan)
    (failed,) = [
        item
        for item in azure.carry_out(azure.plan(document, allow_delete=["images.repository.app-a"]))
        if item.address == "images.repository.app-a"
    ]
    assert "az acr repository delete --name acmeimages --repository app-a" in failed.message
    assert set(azure.acr.images) == {"app-a"}


def test_others_assignments_scope_maps_and_tokens_are_untouched(azure: AzureSandbox, document: Document) -> None:
    azure.apply(document)
    azure.assign(STRANGER, "b93aa761-3e63-49ed-ac28-beffa264f7ac")
    azure.call("PUT", f"{RESOURCE}/scopeMaps/theirs", {"properties": {"actions": ["repositories/x/content/read"]}})
    azure.call("PUT", f"{RESOURCE}/tokens/theirs", {"properties": {"scopeMapId": f"{RESOURCE}/scopeMaps/theirs"}})
    before = azure.state()
    assert azure.plan(document).changes == ()
    document["registries"][0]["labels"] = {"team": "b"}
    document["grants"][0]["repositories"] = ["app-a"]
    azure.apply(document)
    after = azure.state()
    for state in (before, after):
        state["assignments"] = [item for item in state["assignments"] if item[0] == STRANGER]
        state["registries"][NAME]["maps"] = state["registries"][NAME]["maps"]["theirs"]
    assert after["assignments"] == before["assignments"] != []
    assert after["registries"][NAME]["maps"] == before["registries"][NAME]["maps"]
    assert "theirs" in azure.acr.tokens


def test_a_login_server_is_read_and_never_derived(azure: AzureSandbox) -> None:
    document = azure.document("app-a", "team/b")
    spec = azure.spec(document)
    with pytest.raises(PlatformError, match="its login server is not known yet"):
        list(PLATFORM.outputs(spec, spec.registries[0]))
    azure.cloud.knobs.login_server = "{name}-{hash}.azurecr.io"
    azure.apply(document)
    found = {(item.address, item.name): item.value for item in PLATFORM.outputs(spec, spec.registries[0])}
    server = azure.acr.properties["loginServer"]
    assert server.startswith("acmeimages-")
    assert found[f"images.registry.{NAME}", "login_server"] == server  # type: ignore[index]
    assert found["images.repository.team/b", "uri"] == f"{server}/team/b"  # type: ignore[index]
    for item in azure.cloud.identities.values():
        at = f"images.identity.{item.name.removeprefix('images-')}"
        ids = tuple(found[at, name] for name in ("id", "client_id", "principal_id"))  # type: ignore[index]
        assert ids == (item.id, item.properties["clientId"], item.properties["principalId"])


@pytest.mark.parametrize(
    ("switched_on", "who", "public"),
    [
        ("anonymousPullEnabled", "not everyone can pull all repositories of the registry any more", True),
        ("adminUserEnabled", "whoever has the password of the admin user can no longer pull any repository", False),
    ],
)
def test_what_was_switched_on_by_hand_says_who_loses_access_by_its_end(
    azure: AzureSandbox, switched_on: str, who: str, public: bool
) -> None:
    document = azure.document("app-a", registry={"sku": "Standard"})
    azure.apply(document)
    azure.call("PATCH", RESOURCE, {"properties": {switched_on: True}})
    plan = azure.plan(document)
    (change,) = plan.changes
    assert any(item.principal.public for item in change.losses) == public
    assert who in joined(plan_lines(report_of(plan)))
    azure.apply(document)
    assert azure.acr.properties[switched_on] is False


def test_a_part_of_a_name_in_a_scope_map_covers_what_begins_with_it(azure: AzureSandbox) -> None:
    grants = ({"name": "partner", "repositories": ["team/*"], "to": {"type": "azure-token"}},)
    document = azure.document("app-a", "team/c", grants=grants)
    azure.apply(document)
    holder = "whoever holds token partner"

    def losses(*actions: str) -> list[list[str]]:
        actions = tuple(f"repositories/{item}" for item in actions)
        azure.call("PATCH", f"{RESOURCE}/scopeMaps/partner", {"properties": {"actions": list(actions)}})
        (change,) = azure.plan(document).changes
        assert {item.principal.label for item in (*change.gains, *change.losses)} <= {holder}
        return [
            sorted(f"{item.verb} {item.repository}".strip() for item in items)
            for items in (change.gains, change.losses)
        ]

    read = "content/read"
    assert losses(f"*/{read}") == [[], ["pull all repositories of the registry"]]
    assert losses(f"team/*/{read}") == [[], ["pull all repositories under team/"]]
    assert losses(f"other/*/{read}") == [["pull team/c"], ["pull all repositories under other/"]]
    assert losses(f"team/c/{read}", "team/c/content/delete") == [[], ["delete images in team/c"]]


def test_what_has_no_setting_for_its_images_needs_permission_by_its_address_alone(azure: AzureSandbox) -> None:
    document = azure.document("app-a")
    azure.apply(document)
    azure.push_image("nobody-s")
    azure.push_image("app-a")
    said = {str(item.addresses[0]): item.message for item in azure.plan(document, destroy=True).violations}
    assert said[f"images.registry.{NAME}"].endswith(f"add --allow-delete images.registry.{NAME}")
    assert said["images.repository.app-a"].endswith("app-a, or apply delete_images: true first")


def test_a_registry_in_another_location_stays_there_and_the_plan_is_refused(azure: AzureSandbox) -> None:
    document = azure.document("app-a")
    azure.apply(document)
    before = azure.state()
    document["registries"][0]["location"] = "eastus"
    plan = azure.plan(document)
    assert [(item.address, item.message) for item in plan.problems] == [
        (
            f"images.registry.{NAME}",
            "its home location is westeurope, and Azure can't change that: put westeurope back, and give eastus a second registry in"
            " the spec, under another name and registry_name; once its images are copied, retire the first",
        )
    ]
    with pytest.raises(PlanRefused):
        azure.carry_out(plan)
    assert azure.state() == before


def by_hand(azure: AzureSandbox, **body: Any) -> None:
    azure.call("PUT", RESOURCE, {"location": "westeurope", "sku": {"name": "Standard"}, "properties": {}, **body})


def test_an_adopted_registry_keeps_its_tier_until_the_spec_names_one(azure: AzureSandbox) -> None:
    by_hand(azure)
    document = azure.document("app-a", registry={"adopt": True})
    azure.apply(document)
    assert azure.acr.sku == "Standard"
    assert azure.plan(document).changes == ()
    document["registries"][0]["sku"] = "Basic"
    azure.apply(document)
    assert azure.acr.sku == "Basic"


def test_a_repository_that_is_let_go_of_was_there(azure: AzureSandbox) -> None:
    azure.apply(azure.document("app-a", "app-b"))
    plan = azure.plan(azure.document("app-a", "app-b"), release=["images.repository.app-b"])
    (outcome,) = azure.carry_out(plan, verify=True)
    assert (outcome.status, outcome.message) == (Status.DONE, "")


@pytest.mark.parametrize(
    ("properties", "gains", "losses"),
    [
        ({"status": "disabled"}, ["pull"], []),
        (
            {"scopeMapId": f"{RESOURCE}/scopeMaps/_repositories_admin"},
            [],
            [
                "delete images in all repositories of the registry",
                "pull all repositories of the registry",
                "push all repositories of the registry",
            ],
        ),
    ],
)
def test_what_a_hand_did_to_a_token_says_what_its_holder_gains_or_loses_by_its_end(
    azure: AzureSandbox, properties: dict[str, str], gains: list[str], losses: list[str]
) -> None:
    grants = ({"name": "partner", "repositories": ["app-a"], "to": {"type": "azure-token"}},)
    document = azure.document("app-a", grants=grants)
    azure.apply(document)
    azure.call("PATCH", f"{RESOURCE}/tokens/partner", {"properties": properties})
    (change,) = azure.plan(document).changes
    assert change.address == "images.token.partner"
    assert [item.verb for item in change.gains] == gains
    assert [item.verb for item in change.losses] == losses
