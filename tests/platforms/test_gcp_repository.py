"""An Artifact Registry repository: one Live whatever answered it, what others put on it, layouts, locations, replacement, limits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler import Outcome
from reconciler.model.address import Address
from reconciler.model.change import Action
from reconciler.platforms.gcp.access import READER
from reconciler.platforms.gcp.platform import PLATFORM
from reconciler.platforms.gcp.repository_settings import live_of
from tests.emulators.gcp import Fails, Server
from tests.sandbox.base import Document
from tests.sandbox.gcp import GcpSandbox, key

PARENT = "projects/my-project/locations/europe-west1/repositories"
REPOSITORY = f"{PARENT}/images-app-a"
STRANGER = "user:somebody@elsewhere.example"
CONDITION = {"title": "until June", "expression": "request.time < timestamp('2027-06-01T00:00:00Z')"}
THEIRS = {"id": "theirs", "action": "DELETE", "condition": {"tagState": "UNTAGGED", "olderThan": "86400s"}}
EVERYTHING: Document = {
    "name": "app-a",
    "description": "the shop",
    "immutable_tags": True,
    "scan_on_push": True,
    "retention": {"keep_last": 3, "keep_tags": ["v*"]},
    "labels": {"team": "shop", "tier": "1"},
    "encryption": {"kms_key": key("one")["kms_key"]},
    "protect": True,
    "delete_images": True,
}


def test_a_repository_is_the_same_from_create_patch_get_and_list(gcp: GcpSandbox, stand_in: Server) -> None:
    gcp.apply(gcp.document(EVERYTHING))
    at = Address("images.repository.app-a")
    labels = gcp.estate.settings(REPOSITORY)["labels"]
    got = gcp.estate.call("GET", REPOSITORY)
    patched = gcp.estate.call("PATCH", REPOSITORY, {"labels": labels}, updateMask="labels")
    (listed,) = gcp.estate.call("GET", PARENT)["repositories"]
    assert got.keys() != listed.keys(), "Google answers them otherwise"
    (wanted,) = [item for item in gcp.plan(gcp.document(EVERYTHING), destroy=True).changes if item.address == at]
    assert wanted.live is not None
    lives = [live_of(at, found) for found in (got, patched, listed)]
    assert lives[0] == lives[1] == lives[2]
    assert replace(wanted.live, foreign=()) == lives[0]
    assert len(lives[0].settings.cleanup) > 50
    usual = type(lives[0].settings)()
    ours = {
        "description",
        "tags_immutable",
        "scan_on_push",
        "encryption",
        "labels",
        "protect",
        "delete_images",
        "cleanup",
    }
    assert {name for name in ours if getattr(lives[0].settings, name) == getattr(usual, name)} == set()


def put_theirs(gcp: GcpSandbox) -> None:
    """What others have on a repository: a label, a cleanup policy, members, one with a condition."""

    def give(bindings: list[Document]) -> None:
        bindings.append({"role": READER, "members": [STRANGER]})
        bindings.append({"role": READER, "members": ["group:dev@elsewhere.example"], "condition": CONDITION})
        bindings.append({"role": "roles/artifactregistry.admin", "members": ["group:sre@elsewhere.example"]})

    gcp.estate.change(REPOSITORY, "labels", lambda found: {**found, "goog-terraform-provisioned": "true"})
    gcp.estate.change(REPOSITORY, "cleanupPolicies", lambda found: {**(found or {}), "theirs": THEIRS})
    gcp.estate.change_policy(REPOSITORY, give)


def theirs(gcp: GcpSandbox) -> Document:
    """All that others have there."""
    found = gcp.estate.settings(REPOSITORY)
    bindings = [
        (item["role"], member, item.get("condition"))
        for item in gcp.estate.policy(REPOSITORY)["bindings"]
        for member in item["members"]
        if "elsewhere" in member
    ]
    return {
        "labels": {key: value for key, value in found["labels"].items() if key.startswith("goog")},
        "cleanup": found["cleanupPolicies"].get("theirs"),
        "bindings": sorted(bindings, key=str),
    }


def test_what_others_put_there_outlives_every_change_and_a_replacement(gcp: GcpSandbox) -> None:
    document = gcp.document({"name": "app-a", "labels": {"team": "shop"}, "retention": {"keep_last": 3}})
    gcp.apply(document)
    put_theirs(gcp)
    before = theirs(gcp)
    assert len(before["bindings"]) == 3
    assert gcp.plan(document).changes == ()
    (row,) = document["repositories"]
    changes: list[Document] = [
        {"labels": {}},
        {"retention": {"untagged_days": 2}},
        {"description": "x"},
        {"immutable_tags": True},
    ]
    for change in changes:
        row.update(change)
        gcp.apply(document)
        assert theirs(gcp) == before
    row.pop("retention")
    gcp.apply(document)
    assert theirs(gcp) == before
    row["encryption"] = key("one")
    plan = gcp.plan(document, allow_delete=["images.repository.app-a"])
    assert [item.action for item in plan.changes if item.kind == "repository"] == [Action.REPLACE]
    assert all(item.message == "" for item in gcp.carry_out(plan))
    assert theirs(gcp) == before
    assert gcp.plan(document).changes == ()


@pytest.mark.parametrize("operation", ["CreateRepository", "SetIamPolicy"])
def test_a_replacement_that_is_cut_off_puts_back_what_others_had(
    gcp: GcpSandbox, stand_in: Server, operation: str
) -> None:
    document = gcp.document({"name": "app-a", "labels": {"team": "shop"}, "retention": {"keep_last": 3}})
    gcp.apply(document)
    put_theirs(gcp)
    before = theirs(gcp)
    document["repositories"][0]["encryption"] = key("one")
    stand_in.behaviours.append(Fails(operation, "INVALID_ARGUMENT", times=-1))
    outcomes: list[Outcome] = gcp.carry_out(gcp.plan(document, allow_delete=["images.repository.app-a"]))
    assert any("the next apply restores it" in item.message for item in outcomes)
    stand_in.behaviours.clear()
    gcp.apply(document)
    assert theirs(gcp) == before
    assert gcp.plan(document).changes == ()


def uris(gcp: GcpSandbox, document: Document) -> set[str]:
    spec = gcp.spec(document)
    return {item.value for item in PLATFORM.outputs(spec, spec.registries[0]) if item.name == "uri"}


def test_an_image_s_name_follows_the_repository_in_both_layouts(gcp: GcpSandbox) -> None:
    document = gcp.document("app-a", "app-b")
    assert uris(gcp, document) == {
        f"europe-west1-docker.pkg.dev/my-project/images-{name}/{name}" for name in ("app-a", "app-b")
    }
    document["registries"][0]["layout"] = "shared"
    assert uris(gcp, document) == {
        f"europe-west1-docker.pkg.dev/my-project/images/{name}" for name in ("app-a", "app-b")
    }
    document["registries"][0]["project"] = "example.com:acme-images"
    assert "europe-west1-docker.pkg.dev/example.com/acme-images/images/app-a" in uris(gcp, document)


def named(gcp: GcpSandbox) -> list[str]:
    return [name.partition("/locations/")[2] for name in gcp.estate.repositories()]


def test_layouts_and_locations_can_be_changed_both_ways(gcp: GcpSandbox) -> None:
    document = gcp.document("app-a", "images", guards={"max_deletes": "100%"})
    gcp.apply(document)
    apart = named(gcp)
    assert apart == ["europe-west1/repositories/images-app-a", "europe-west1/repositories/images-images"]
    for fields, there in (
        ({"layout": "shared"}, ["europe-west1/repositories/images"]),
        ({"layout": "shared", "location": "us"}, ["us/repositories/images"]),
        ({"location": "us"}, ["us/repositories/images-app-a", "us/repositories/images-images"]),
        ({}, apart),
    ):
        document["registries"][0] = gcp.registry(**fields)
        gcp.apply(document)
        assert named(gcp) == there
        assert gcp.plan(document).changes == ()
    gcp.apply(document, destroy=True)
    assert (named(gcp), gcp.estate.accounts()) == ([], [])


def test_labels_and_members_beyond_what_google_takes_are_errors_of_the_plan_with_the_numbers(gcp: GcpSandbox) -> None:
    def document(labels: int, members: int) -> Document:
        emails = [f"robot-{number}@strangers.iam.gserviceaccount.com" for number in range(members)]
        return gcp.document(
            {"name": "app-a", "labels": {f"l-{number}": "x" for number in range(labels)}},
            grants=({"name": "many", "to": {"type": "gcp", "service_account_emails": emails}},),
        )

    gcp.apply(document(30, 100))
    assert gcp.plan(document(30, 100)).changes == ()
    (problem,) = gcp.plan(document(30, 300)).problems
    assert "302 members of its IAM policy need 34 labels" in problem.message
    assert "grant groups instead of single principals, or remove labels" in problem.message
    problems = gcp.plan(document(1, 1600)).problems
    assert any(
        "its IAM policy would have 1602 members" in item.message and "1,500" in item.message for item in problems
    )
    gcp.estate.change(
        REPOSITORY, "labels", lambda found: {**found, **{f"theirs-{number}": "x" for number in range(12)}}
    )
    problems = gcp.plan(document(45, 10)).problems
    assert any("12 set by somebody else" in item.message for item in problems)


def test_whom_an_account_trusts_has_room_in_its_description_or_is_an_error(gcp: GcpSandbox) -> None:
    def document(count: int) -> Document:
        trusted = [f"serviceAccount:robot-{number}@strangers.iam.gserviceaccount.com" for number in range(count)]
        return gcp.document(registry={"trusted_principals": trusted}, name="a" * 40)

    most = max(count for count in range(1, 30) if not gcp.plan(document(count)).problems)
    gcp.apply(document(most))
    assert gcp.plan(document(most)).changes == ()
    longest = max(len(gcp.estate.account(name)["description"].encode()) for name in gcp.estate.accounts())
    assert 256 - 7 < longest <= 256
    (problem,) = gcp.plan(document(most + 1)).problems
    assert "Google allows at most 256" in problem.message
    assert "trust a group instead of single principals" in problem.message


def test_most_members_are_changed_for_others_where_both_records_have_no_room(gcp: GcpSandbox) -> None:
    def document(first: int) -> Document:
        emails = [f"robot-{number}@strangers.iam.gserviceaccount.com" for number in range(first, first + 400)]
        return gcp.document(
            "app-a", grants=({"name": "many", "to": {"type": "gcp", "service_account_emails": emails}},)
        )

    gcp.apply(document(0))
    gcp.apply(document(300))
    plan = gcp.plan(document(300))
    assert (plan.changes, plan.foreign) == ((), ())


def test_scanning_that_is_off_in_the_project_is_a_note_and_no_drift(gcp: GcpSandbox, stand_in: Server) -> None:
    document = gcp.document({"name": "app-a", "scan_on_push": True})
    gcp.apply(document)
    stand_in.cloud.state.switch("my-project", "containerscanning.googleapis.com", False)
    assert gcp.plan(document).changes == ()
    document["repositories"][0]["description"] = "x"
    (change,) = gcp.plan(document).changes
    assert any("gcloud services enable containerscanning.googleapis.com" in note for note in change.notes)


def test_a_dry_run_by_hand_is_drift(gcp: GcpSandbox) -> None:
    document: dict[str, Any] = gcp.document({"name": "app-a", "retention": {"keep_last": 3}})
    gcp.apply(document)
    gcp.estate.change(REPOSITORY, "cleanupPolicyDryRun", lambda _: True)
    (change,) = gcp.plan(document).changes
    assert [item.path for item in change.fields] == ["dry_run"]
    gcp.apply(document)
    assert gcp.plan(document).changes == ()


@pytest.mark.parametrize(
    ("without", "shown"),
    [
        (["reconciler-origin"], [("reconciler-origin", None, "spec")]),
        (["reconciler-registry"], [("reconciler-registry", None, "images")]),
        (
            ["reconciler-origin", "reconciler-registry"],
            [("reconciler-origin", None, "spec"), ("reconciler-registry", None, "images")],
        ),
    ],
)
def test_a_plan_shows_the_label_that_was_removed_by_hand(
    gcp: GcpSandbox, without: list[str], shown: list[tuple[str, str | None, str]]
) -> None:
    gcp.apply(gcp.document("app-a"))
    gcp.estate.change(REPOSITORY, "labels", lambda labels: {key: labels[key] for key in labels if key not in without})
    (change,) = gcp.plan(gcp.document("app-a")).changes
    assert [(item.path, item.old, item.new) for item in change.fields] == shown
    gcp.apply(gcp.document("app-a"))
    assert gcp.plan(gcp.document("app-a")).changes == ()
