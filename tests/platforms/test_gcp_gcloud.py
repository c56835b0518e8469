"""Google's own client on what we make: it reads it, what it adds is somebody else's, and the commands that we print work in it."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

from tests.emulators.gcp import Server
from tests.emulators.test_gcp_clients import Gcloud
from tests.sandbox.gcp import GcpSandbox

PLACE = ("--location=europe-west1", "--project=my-project")
READER = "roles/artifactregistry.reader"
STRANGER = "serviceAccount:stranger@strangers.iam.gserviceaccount.com"


@pytest.mark.skipif(
    shutil.which("gcloud") is None, reason="gcloud is not installed: Google's client did not check what we make"
)
def test_gcloud_reads_what_we_make_and_removes_a_member_by_the_command_that_we_print(
    gcp: GcpSandbox, stand_in: Server, tmp_path: Path
) -> None:
    gcloud = Gcloud(stand_in.url, tmp_path / "gcloud")
    document = gcp.document(
        {"name": "app-a", "description": "the shop", "retention": {"keep_last": 3, "keep_tags": ["v*"]}},
        grants=({"name": "one", "to": gcp.target("1")},),
    )
    gcp.apply(document)
    found = gcloud("artifacts", "repositories", "describe", "images-app-a", *PLACE)
    assert (found["description"], found["labels"]["reconciler-owner"]) == ("the shop", "tests")
    assert set(found["cleanupPolicies"]) == {"reconciler-delete", "reconciler-keep-last", "reconciler-keep-tags"}
    (account,) = [
        item
        for item in gcloud("iam", "service-accounts", "list", "--project=my-project")
        if item["email"].startswith("images-pull@")
    ]
    assert account["description"].startswith("reconciler: owner=tests")
    binding = (f"--role={READER}", f"--member={STRANGER}")
    gcloud("artifacts", "repositories", "add-iam-policy-binding", "images-app-a", *PLACE, *binding)
    gcloud("artifacts", "repositories", "update", "images-app-a", *PLACE, "--update-labels=cost=42")
    plan = gcp.plan(document)
    assert plan.changes == ()
    (foreign,) = plan.foreign
    command = re.fullmatch(r"run `gcloud (.*)`", foreign.removal)
    assert command is not None
    gcloud(*shlex.split(command[1]))
    plan = gcp.plan(document)
    assert (plan.changes, plan.foreign) == ((), ())
    assert gcloud("artifacts", "repositories", "describe", "images-app-a", *PLACE)["labels"]["cost"] == "42"


@pytest.mark.skipif(
    shutil.which("gcloud") is None, reason="gcloud is not installed: Google's client did not check what we print"
)
def test_gcloud_removes_a_cleanup_policy_of_others_by_the_command_that_we_print(
    gcp: GcpSandbox, stand_in: Server, tmp_path: Path
) -> None:
    gcloud = Gcloud(stand_in.url, tmp_path / "gcloud")
    document = gcp.document({"name": "app-a", "retention": {"keep_last": 3}})
    gcp.apply(document)
    policy = {"action": "DELETE", "condition": {"tagState": "ANY", "olderThan": "86400s"}}
    repository = "projects/my-project/locations/europe-west1/repositories/images-app-a"
    gcp.estate.change(repository, "cleanupPolicies", lambda found: {**found, "one of theirs": policy})
    (warning,) = gcp.plan(document).warnings
    command = re.search(r"run `gcloud (.*)`", warning)
    assert command is not None
    gcloud(*shlex.split(command[1]))
    plan = gcp.plan(document)
    assert (plan.changes, plan.warnings) == ((), ())
