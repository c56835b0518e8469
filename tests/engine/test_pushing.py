"""What a plan says of those who can push: whose tags they can overwrite, and whether they can delete images."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reconciler.engine.plan import Plan
from reconciler.engine.plan_file import dumps, loads
from reconciler.engine.pushing import of_push
from reconciler.errors import ReconcilerError
from reconciler.model.access import ADMIN, PUSH, Access, Principal
from reconciler.platforms.aws.spec import AwsRegistry
from reconciler.platforms.local.spec import LocalRegistry
from reconciler.render.markdown import plan_markdown
from reconciler.render.report import report_of
from reconciler.render.text import joined, plan_lines
from tests.sandbox.aws import ACCOUNT, AwsSandbox
from tests.sandbox.base import Document
from tests.sandbox.local import LocalSandbox

MOVABLE = "tags can be moved from the apply on"


def words(plan: Plan) -> str:
    return joined(plan_lines(report_of(plan)))


@pytest.fixture
def local(tmp_path: Path) -> LocalSandbox:
    return LocalSandbox(tmp_path)


def three(local: LocalSandbox, **settings: object) -> Document:
    """Alice can push everywhere, and Bob, of another grant, to one; nobody can push to the last."""
    document = local.document("web", "api")
    document["registries"].append(local.registry("other"))
    document["repositories"].append({"name": "last", "registry": "other"})
    for repository in document["repositories"]:
        repository.update({"immutable_tags": True, **settings})
    document["grants"] = [
        {
            "name": name,
            "registry": "images",
            "to": {"type": "local", "users": [name]},
            **more,
            "permission": "push-pull",
        }
        for name, more in (("alice", {}), ("bob", {"repositories": ["web"]}))
    ]
    return document


def test_a_plan_names_who_can_overwrite_tags(local: LocalSandbox) -> None:
    local.apply(three(local))
    plan = local.plan(three(local, immutable_tags=False))
    notes = {change.address.rpartition(".")[2]: change.notes for change in plan.changes}
    assert notes == {
        "web": (f"{MOVABLE}: user alice and user bob can overwrite them",),
        "api": (f"{MOVABLE}: user alice can overwrite them",),
        "last": (f"{MOVABLE}; the spec lets nobody push",),
    }
    saved = loads(dumps(plan), platforms=local.platforms)
    assert words(saved) == words(plan)


def test_a_saved_plan_that_names_others_is_damaged(local: LocalSandbox) -> None:
    local.apply(three(local))
    document = json.loads(dumps(local.plan(three(local, immutable_tags=False))))
    (change,) = [item for item in document["changes"] if item["address"].endswith(".web")]
    change["notes"] = [item.replace("user bob", "user eve") for item in change["notes"]]
    with pytest.raises(ReconcilerError, match="notes"):
        loads(json.dumps(document), platforms=local.platforms)


def test_what_others_gave_counts_among_those_who_can_push(aws: AwsSandbox) -> None:
    document = aws.document("web")
    document["repositories"][0]["immutable_tags"] = True
    aws.apply(document)
    statement = {
        "Sid": "theirs",
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::666666666666:root"},
        "Action": [
            *("ecr:BatchCheckLayerAvailability", "ecr:CompleteLayerUpload", "ecr:InitiateLayerUpload"),
            *("ecr:PutImage", "ecr:UploadLayerPart"),
        ],
    }
    text = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    aws.client("ecr").set_repository_policy(repositoryName="images-web", policyText=text)
    document["repositories"][0]["immutable_tags"] = False
    plan = aws.plan(document)
    (note,) = [note for change in plan.changes for note in change.notes if MOVABLE in note]
    assert note == f"{MOVABLE}: account 666666666666 (by what others gave) can overwrite them"
    assert words(loads(dumps(plan), platforms=aws.platforms)) == words(plan)


def test_push_says_whether_it_includes_deleting_images(local: LocalSandbox, aws: AwsSandbox) -> None:
    plan = local.plan(three(local))
    assert "    (push includes deleting images)\n\n" in words(plan)
    assert "\n(push includes deleting images)\n\n" in plan_markdown(report_of(plan))
    document = aws.document("web")
    account = {"type": "aws", "account_ids": ["666666666666"]}
    document["grants"] = [{"name": "theirs", "registry": "images", "to": account, "permission": "push-pull"}]
    assert "    (push does not include deleting images)\n\n" in words(aws.plan(document))
    document["grants"][0]["permission"] = "pull"
    assert "deleting images" not in words(aws.plan(document))


def test_where_registries_differ_each_is_named_and_an_administrator_needs_no_note() -> None:
    who = Principal("account 1")
    box = LocalRegistry(name="box", platform="local", path="box")
    images = AwsRegistry(name="images", platform="aws", account_id=ACCOUNT, region="us-east-1")
    gains = [Access(who, PUSH, name, "web") for name in ("box", "images")]
    assert of_push(gains, [box, images]) == (
        "push does not include deleting images in images; push includes deleting images in box"
    )
    admin = [Access(who, ADMIN, "images", "web")]
    assert of_push([*gains, *admin], [box, images]) == "push includes deleting images"
    assert of_push([*gains[1:], *admin], [box, images]) == ""
