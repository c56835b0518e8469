"""What has one of our names on Google and is not as we make it: of another format or mode, made by somebody meanwhile, in a project
of a domain."""

from __future__ import annotations

import re
from functools import partial

import pytest

from reconciler.engine.plan import Plan
from reconciler.errors import ReadFailed
from reconciler.model.change import Action
from reconciler.platforms.gcp.platform import PLATFORM
from reconciler.platforms.gcp.rules import PERMISSIONS
from reconciler.render.report import report_of
from reconciler.render.text import joined, plan_lines
from tests.emulators.gcp import Fails, Server
from tests.sandbox.base import Document
from tests.sandbox.gcp import GcpSandbox

REPOSITORY = "projects/my-project/locations/europe-west1/repositories/images-app-a"
AT = "images.repository.app-a"
REMOTE = {
    "format": "DOCKER",
    "mode": "REMOTE_REPOSITORY",
    "remoteRepositoryConfig": {"dockerRepository": {"publicRepository": "DOCKER_HUB"}},
}


def words(plan: Plan) -> str:
    return joined(plan_lines(report_of(plan)))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"format": "MAVEN"}, 'format: "MAVEN" → "DOCKER"'),
        (REMOTE, 'mode: "REMOTE_REPOSITORY" → "STANDARD_REPOSITORY"'),
    ],
)
def test_a_repository_of_another_format_or_mode_is_replaced_and_that_is_said(
    gcp: GcpSandbox, settings: Document, said: str
) -> None:
    """Google changes neither: https://cloud.google.com/artifact-registry/docs/repositories/update-repo."""
    document = gcp.document({"name": "app-a", "delete_images": True})
    gcp.apply(document)
    labels = gcp.estate.settings(REPOSITORY)["labels"]
    gcp.estate.remove(REPOSITORY)
    gcp.estate.make(REPOSITORY, {**settings, "labels": labels})
    plan = gcp.plan(document)
    assert plan.problems == ()
    (change,) = [item for item in plan.changes if item.address == AT]
    assert change.action is Action.REPLACE
    assert said in words(plan)
    assert gcp.estate.settings(REPOSITORY)["format"] == settings["format"]
    plan = gcp.plan(document, allow_delete=[AT])
    assert all(item.message == "" for item in gcp.carry_out(plan))
    found = gcp.estate.settings(REPOSITORY)
    assert (found["format"], found.get("mode", "STANDARD_REPOSITORY")) == ("DOCKER", "STANDARD_REPOSITORY")
    assert gcp.plan(document).changes == ()


@pytest.mark.parametrize(("settings", "field"), [({"format": "MAVEN"}, "format"), (REMOTE, "mode")])
def test_somebody_s_repository_of_another_format_is_never_adopted(
    gcp: GcpSandbox, settings: Document, field: str
) -> None:
    gcp.estate.make(REPOSITORY, settings)
    (problem,) = gcp.plan(gcp.document("app-a")).problems
    assert "already exists and has no owner" in problem.message
    (problem,) = gcp.plan(gcp.document({"name": "app-a", "adopt": True})).problems
    assert f"can't be adopted: its {field} differs from the spec and can't be changed" in problem.message
    assert "else use another name" in problem.message


def test_a_create_over_the_quota_is_made_again(gcp: GcpSandbox, stand_in: Server) -> None:
    stand_in.behaviours.append(Fails("CreateRepository", "RESOURCE_EXHAUSTED", times=2))
    gcp.apply(gcp.document("app-a", "app-b"))
    assert gcp.repository_names() == {"app-a", "app-b"}


def test_a_name_that_is_taken_meanwhile_is_a_conflict_and_a_race_is_not(gcp: GcpSandbox, stand_in: Server) -> None:
    """Both are HTTP 409: https://cloud.google.com/apis/design/errors#error_mapping."""
    document = gcp.document("app-a")
    plan = gcp.plan(document)
    gcp.estate.make(REPOSITORY, {"format": "DOCKER", "description": "theirs"})
    (failed,) = [item for item in gcp.carry_out(plan) if item.address == AT]
    assert "somebody else created it" in failed.message
    assert gcp.estate.settings(REPOSITORY)["description"] == "theirs"
    gcp.estate.remove(REPOSITORY)
    stand_in.behaviours.append(Fails("CreateRepository", "ABORTED", times=2))
    gcp.apply(document)
    assert gcp.plan(document).changes == ()


def test_a_project_of_a_domain_from_the_first_run_to_the_last(gcp: GcpSandbox, stand_in: Server) -> None:
    """https://cloud.google.com/artifact-registry/docs/docker/names#domain."""
    document = gcp.document(
        {"name": "app-a", "retention": {"keep_last": 3}},
        registry={"project": "example.com:acme-images", "trusted_principals": ["group:ci@example.com"]},
        grants=({"name": "one", "to": gcp.target("a")},),
    )
    gcp.apply(document)
    assert gcp.estate.repositories() == [REPOSITORY.replace("my-project", "example.com:acme-images")]
    assert [name.rpartition("/")[2] for name in gcp.estate.accounts()] == [
        f"images-{job}@acme-images.example.com.iam.gserviceaccount.com" for job in ("pull", "push")
    ]
    plan = gcp.plan(document)
    assert (plan.changes, plan.foreign) == ((), ())
    gcp.apply(document, destroy=True)
    assert (gcp.estate.repositories(), gcp.estate.accounts()) == ([], [])


def _append(new: Document, found: list[Document]) -> None:
    found.append(new)


def test_a_role_that_manages_images_lets_nobody_in(gcp: GcpSandbox) -> None:
    """Of Artifact Registry's roles only .admin has setIamPolicy: https://cloud.google.com/artifact-registry/docs/access-control"""
    gcp.apply(gcp.document("app-a"))
    for role in ("repoAdmin", "admin"):
        binding = {"role": f"roles/artifactregistry.{role}", "members": [f"group:{role.lower()}@example.com"]}
        gcp.estate.change_policy(REPOSITORY, partial(_append, binding))
    said = words(gcp.plan(gcp.document("app-a")))
    assert (
        "group repoadmin@example.com can pull, push, and delete images in app-a (roles/artifactregistry.repoAdmin of"
        in said
    )
    assert (
        "group repoadmin@example.com can delete images (images.access.app-a), and guards.allow_admin is not true"
        in said
    )
    danger = "(danger: that allows deleting images, and letting others in)"
    assert f"group admin@example.com can pull, push, and change or delete app-a {danger}" in said
    assert (
        "group admin@example.com can delete images and change who has access (images.access.app-a), and guards" in said
    )


def test_whoever_is_denied_hears_of_the_permission_as_google_calls_it(gcp: GcpSandbox, stand_in: Server) -> None:
    gcp.apply(gcp.document("app-a"))
    for operation in ("GetServiceAccount", "ListRepositories", "GetIamPolicy"):
        stand_in.behaviours[:] = [Fails(operation, "PERMISSION_DENIED")]
        with pytest.raises(ReadFailed) as failed:
            gcp.plan(gcp.document("app-a"))
        (permission,) = re.findall(r"allow (\S+) to these credentials in project my-project", str(failed.value))
        assert permission in {
            item for kind in PLATFORM.own_kinds.values() for some in kind.permissions.values() for item in some
        }


def test_every_permission_that_a_kind_needs_is_that_of_a_call() -> None:
    needed = {item for kind in PLATFORM.own_kinds.values() for some in kind.permissions.values() for item in some}
    assert needed == set(PERMISSIONS.values())
