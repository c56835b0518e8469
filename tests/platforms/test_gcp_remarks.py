"""What each plan says of a repository: what others' cleanup policies delete, and that nothing is scanned."""

from __future__ import annotations

import json
from typing import Any

import pytest

from reconciler import Plan
from reconciler.render.report import report_of
from reconciler.render.text import drift_lines, joined, plan_lines
from tests.emulators.gcp import Server
from tests.sandbox.base import Document
from tests.sandbox.gcp import LOCATION, PROJECT, SCANNING_API, GcpSandbox

REPOSITORY = f"projects/{PROJECT}/locations/{LOCATION}/repositories/images-app-a"
AT = "images.repository.app-a"
OLD = {"action": "DELETE", "condition": {"tagState": "ANY", "olderThan": "2592000s"}}
KEEPS = {"action": "KEEP", "mostRecentVersions": {"keepCount": 5}}
DELETES = "the cleanup policy 'old', which is not from a spec, deletes all images older than 30 days"
REMOVAL = (
    "to remove it, run `gcloud artifacts repositories delete-cleanup-policies images-app-a --location europe-west1"
    " --project my-project --policynames old`"
)
WHOLE = {"keep_last": 50, "keep_tags": ["release-*"]}
UNSCANNED = (
    "images are not scanned: API containerscanning.googleapis.com is not enabled; to scan them, run"
    f" `gcloud services enable {SCANNING_API} --project my-project`"
)


def app(**fields: Any) -> Document:
    return {"name": "app-a", **fields}


def put(gcp: GcpSandbox, *, dry_run: bool = False, **policies: Document) -> None:
    """Somebody else sets cleanup policies beside ours."""
    gcp.estate.change(REPOSITORY, "cleanupPolicies", lambda found: {**(found or {}), **policies})
    gcp.estate.change(REPOSITORY, "cleanupPolicyDryRun", lambda _: dry_run)


def notes(plan: Plan) -> list[str]:
    return [note for change in plan.changes for note in change.notes]


def after(gcp: GcpSandbox, document: Document) -> Plan:
    """The next plan, once all is as the document wants it."""
    gcp.apply(document)
    plan = gcp.plan(document)
    assert plan.changes == ()
    return plan


def test_a_policy_of_others_that_deletes_is_said_in_each_plan_and_drift(gcp: GcpSandbox) -> None:
    gcp.apply(gcp.document("app-a", "app-b"))
    put(gcp, old=OLD)
    plan = gcp.plan(gcp.document("app-a", "app-b"))
    assert (plan.changes, plan.warnings) == ((), (f"{AT}: {DELETES}; {REMOVAL}",))
    for lines in (plan_lines, drift_lines):
        assert f"{DELETES}; {REMOVAL}" in joined(lines(report_of(plan)))
    changed = gcp.plan(gcp.document(app(description="x"), "app-b"))
    assert (notes(changed), changed.warnings) == ([f"{DELETES}; {REMOVAL}"], ())


def test_what_is_not_asked_for_is_not_remarked_on(gcp: GcpSandbox) -> None:
    gcp.apply(gcp.document("app-a", "app-b"))
    put(gcp, old=OLD)
    assert gcp.plan(gcp.document("app-a", "app-b"), targets=["images.repository.app-b"]).warnings == ()
    assert len(gcp.plan(gcp.document("app-a", "app-b"), targets=[AT]).warnings) == 1


def test_what_another_policy_keeps_is_not_said_to_be_deleted(gcp: GcpSandbox) -> None:
    document = gcp.document(app(retention=WHOLE))
    gcp.apply(document)
    put(gcp, old=OLD)
    assert gcp.plan(document).warnings == (f"{AT}: {DELETES} that no other policy keeps; {REMOVAL}",)


def test_a_dry_run_of_others_deletes_nothing_and_is_no_warning(gcp: GcpSandbox) -> None:
    gcp.apply(gcp.document("app-a"))
    put(gcp, dry_run=True, old=OLD)
    assert gcp.plan(gcp.document("app-a")).warnings == ()
    assert notes(gcp.plan(gcp.document(app(description="x")))) == [
        "has cleanup policies that were not made from a spec: 'old' (delete all images older than 30 days);"
        " they delete nothing, since they are in a dry run"
    ]


def test_a_policy_of_others_that_only_keeps_is_named_where_something_changes(gcp: GcpSandbox) -> None:
    gcp.apply(gcp.document("app-a"))
    put(gcp, theirs=KEEPS)
    assert gcp.plan(gcp.document("app-a")).warnings == ()
    said = "has cleanup policies that were not made from a spec: 'theirs' (keep the 5 newest of each image)"
    assert notes(gcp.plan(gcp.document(app(description="x")))) == [said]


@pytest.mark.parametrize(
    ("retention", "unless"), [({"untagged_days": 7}, ""), ({"keep_last": 3}, " that no other policy keeps")]
)
def test_a_retention_that_ends_the_dry_run_of_others_says_what_is_deleted_then(
    gcp: GcpSandbox, retention: Document, unless: str
) -> None:
    gcp.apply(gcp.document("app-a"))
    put(gcp, dry_run=True, old=OLD)
    found = notes(gcp.plan(gcp.document(app(retention=retention))))
    assert f"after the apply, {DELETES}{unless}: the retention of the spec ends their dry run; {REMOVAL}" in found
    assert sum("'old'" in note for note in found) == 1
    assert after(gcp, gcp.document(app(retention=retention))).warnings == (f"{AT}: {DELETES}{unless}; {REMOVAL}",)


@pytest.mark.parametrize("later", [{}, {"retention": {"untagged_days": 7}}])
def test_a_retention_that_keeps_no_longer_what_others_delete_says_so(gcp: GcpSandbox, later: Document) -> None:
    gcp.apply(gcp.document(app(retention=WHOLE)))
    put(gcp, old=OLD)
    found = notes(gcp.plan(gcp.document(app(**later))))
    went = "the 50 newest of each image and tagged images with tags that begin with release-"
    assert f"after the apply, {DELETES}, those too that the retention has kept ({went}); {REMOVAL}" in found
    assert sum("'old'" in note for note in found) == 1
    assert after(gcp, gcp.document(app(**later))).warnings == (f"{AT}: {DELETES}; {REMOVAL}",)


def test_a_dry_run_that_was_ended_or_begun_makes_a_saved_plan_stale(gcp: GcpSandbox) -> None:
    gcp.apply(gcp.document("app-a"))
    put(gcp, dry_run=True, old=OLD)
    plan = gcp.plan(gcp.document(app(description="x")))
    put(gcp, dry_run=False)
    (then,) = plan.changes
    (now,) = gcp.plan(gcp.document(app(description="x"))).changes
    assert then.fingerprint != now.fingerprint


def test_scanning_that_is_off_in_the_project_is_said_in_each_plan_once(gcp: GcpSandbox, stand_in: Server) -> None:
    names = [f"app-{number}" for number in range(1, 6)]
    document = gcp.document(*({"name": name, "scan_on_push": True} for name in names))
    gcp.apply(document)
    stand_in.cloud.state.switch(PROJECT, SCANNING_API, False)
    plan = gcp.plan(document)
    some = "images.repository.app-1, images.repository.app-2, images.repository.app-3 and 2 more"
    assert (plan.changes, plan.warnings) == ((), (f"{some}: {UNSCANNED}",))


def test_scanning_that_is_turned_off_where_it_is_off_is_not_said_to_end(gcp: GcpSandbox, stand_in: Server) -> None:
    gcp.apply(gcp.document(app(scan_on_push=True)))
    stand_in.cloud.state.switch(PROJECT, SCANNING_API, False)
    plan = gcp.plan(gcp.document(app(scan_on_push=False)))
    assert notes(plan) == ["its images are not scanned either if the project's scanning API is turned on later"]
    assert after(gcp, gcp.document(app(scan_on_push=False))).warnings == ()


def test_a_dry_run_that_ends_is_shown_as_what_it_is_then(gcp: GcpSandbox) -> None:
    gcp.apply(gcp.document(app(retention=WHOLE)))
    put(gcp, dry_run=True)
    text = joined(plan_lines(report_of(gcp.plan(gcp.document(app(retention=WHOLE))))))
    assert "dry_run: true → false" in text


@pytest.mark.parametrize("retention", [{"untagged_days": 3}, None])
def test_whoever_has_expiring_images_counted_hears_that_google_counts_none(
    gcp: GcpSandbox, retention: Document | None
) -> None:
    gcp.apply(gcp.document(app(retention={"untagged_days": 7})))
    document = gcp.document(app(**({"retention": retention} if retention else {})))
    said = (
        "--count-expiring counts nothing in images: Google has no call that counts what cleanup policies would delete"
    )
    assert gcp.plan(document, count_expiring=True).warnings == ((said,) if retention else ())
    assert gcp.plan(document).warnings == ()


def test_what_is_kept_by_its_tags_is_not_said_to_expire(gcp: GcpSandbox) -> None:
    gcp.apply(gcp.document("app-a"))
    said = "all images but the newest 50, and those with tags like release-*, expire after the apply (keep_last: none → 50)"
    assert notes(gcp.plan(gcp.document(app(retention=WHOLE)))) == [said]


def test_what_stands_in_an_account_is_said_to_have_gone_with_it(gcp: GcpSandbox) -> None:
    gcp.apply(gcp.document("app-a"))
    gcp.estate.remove(f"projects/{PROJECT}/serviceAccounts/images-pull@{PROJECT}.iam.gserviceaccount.com")
    text = joined(drift_lines(report_of(gcp.plan(gcp.document("app-a")))))
    gone = "new in the spec, or deleted by hand"
    assert f"images.account.pull does not exist: {gone}\n" in text
    assert f"images.location.europe-west1 does not exist: {gone}, by itself or with images.account.pull\n" in text


def test_what_a_registry_that_the_spec_no_longer_has_left_there_is_named(gcp: GcpSandbox) -> None:
    gcp.apply(gcp.document("app-a", "app-b"))
    renamed = json.loads(json.dumps(gcp.document("app-a", "app-b")).replace('"images"', '"imgs"'))
    (warning,) = gcp.plan(renamed).warnings
    assert warning.startswith(
        "2 repositories (images-app-a, images-app-b) of this spec belong to a registry 'images', which it does not have: with all"
        " access to them, and with the accounts images-pull and images-push, they stay"
    )
    renamed["registries"].append(gcp.registry("images", retired=True))
    assert gcp.plan(renamed).warnings == ()
    somebody = json.loads(json.dumps(renamed).replace('"tests"', '"others"'))
    somebody["registries"] = somebody["registries"][:1]
    assert gcp.plan(somebody).warnings == ()
