"""What people read, word for word: golden files, regenerated with --golden-update and reviewed in the diff."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from reconciler import Plan, dumps, loads
from reconciler.render.markdown import plan_markdown
from reconciler.render.report import report_of
from reconciler.render.text import drift_lines, joined, plan_lines
from tests.sandbox.aws import AwsSandbox
from tests.sandbox.base import Document
from tests.sandbox.local import LocalSandbox

Golden = Callable[[str, str], None]


def document(aws: AwsSandbox) -> Document:
    return aws.document(
        {
            "name": "app-a",
            "description": "the shop",
            "immutable_tags": {"except": ["latest"]},
            "retention": {"keep_last": 50, "untagged_days": 7, "keep_tags": ["release-*"]},
            "labels": {"team": "shop"},
        },
        "app-b",
        "app-c",
        grants=(
            {
                "name": "prod-lambdas",
                "repositories": ["app-a", "app-b"],
                "to": {
                    "type": "aws",
                    "account_ids": ["987654321098"],
                    "regions": ["us-east-1"],
                    "allowed_service_types": ["worker"],
                },
            },
            {
                "name": "builders",
                "permission": "push-pull",
                "to": {"type": "aws", "role_arns": ["arn:aws:iam::987654321098:role/ci"]},
            },
        ),
        registry={"replication_regions": ["eu-west-1"]},
        guards={"max_deletes": 3, "protect": ["app-a"]},
    )


def later(aws: AwsSandbox) -> Document:
    """The same estate some commits later: grants moved, a repository gone, one replaced, a stranger found."""
    changed = document(aws)
    changed["repositories"][0] |= {"immutable_tags": True, "labels": {"team": "shop", "tier": "1"}}
    changed["repositories"][0]["retention"] = {"keep_last": 20}
    changed["repositories"][1]["encryption"] = {"kms_key": "arn:aws:kms:us-east-1:123456789012:key/mrk-1"}
    del changed["repositories"][2]
    changed["repositories"].append({"name": "old", "registry": "images", "adopt": True})
    changed["grants"][0]["repositories"] = ["app-a"]
    changed["grants"][0]["to"]["account_ids"] = ["987654321098", "987654321099"]
    changed["grants"][1]["permission"] = "pull"
    return changed


@pytest.fixture
def plan(aws: AwsSandbox) -> Plan:
    aws.apply(document(aws))
    aws.push_image("app-b")
    aws.push_image("app-c")
    aws.push_image("app-c", "v2")
    aws.make_foreign("old")
    aws.make_foreign("stray")
    aws.make_foreign("made-by-program", owner="tests", origin="runtime")
    aws.give_foreign_access("app-a")
    aws.give_foreign_access("app-c")
    return aws.plan(later(aws))


def test_a_first_plan_as_text(aws: AwsSandbox, golden: Golden) -> None:
    golden("first-plan.txt", joined(plan_lines(report_of(aws.plan(document(aws))))))


def test_a_later_plan_as_text_and_as_markdown(plan: Plan, golden: Golden) -> None:
    golden("later-plan.txt", joined(plan_lines(report_of(plan))))
    golden("later-plan.md", plan_markdown(report_of(plan)))
    assert joined(plan_lines(report_of(loads(dumps(plan))))) == joined(plan_lines(report_of(plan))), (
        "show prints what plan printed"
    )


def test_no_changes_as_text_and_as_markdown(local: LocalSandbox, golden: Golden) -> None:
    small = local.document("app-a")
    local.apply(small)
    golden("no-changes.txt", joined(plan_lines(report_of(local.plan(small)))))
    golden("no-changes.md", plan_markdown(report_of(local.plan(small))))


def test_drift_and_pending_as_text(aws: AwsSandbox, golden: Golden) -> None:
    estate = document(aws)
    aws.apply(estate)
    hands = dict(aws.hands())
    hands["scanning of images-app-b in eu-west-1"]()
    hands["deleted principal in the policy of images-app-a in eu-west-1"]()
    hands["delete the policy of images-app-c in eu-west-1"]()
    hands["describe images-app-a in eu-west-1"]()
    estate["repositories"][0]["description"] = "the new shop"
    estate["repositories"][2]["labels"] = {"tier": "1"}
    aws.give_foreign_access("app-b")
    golden("drift.txt", joined(drift_lines(report_of(aws.plan(estate)))))


def test_a_conflict_as_text(local: LocalSandbox, golden: Golden) -> None:
    local.make_foreign("app-a")
    local.make_foreign("app-b", owner="somebody-else")
    golden("conflict.txt", joined(plan_lines(report_of(local.plan(local.document("app-a", "app-b"))))))


def test_markdown_from_the_cloud_cannot_open_a_tag_or_a_mention(aws: AwsSandbox) -> None:
    aws.apply(aws.document("app-a"))
    ecr = aws.client("ecr")
    row = {"Sid": "<img src=x> @everyone", "Effect": "Allow", "Principal": "*", "Action": "ecr:*"}
    statement = json.dumps({"Version": "2012-10-17", "Statement": [row]})
    ecr.set_repository_policy(repositoryName="images-app-a", policyText=statement)
    text = plan_markdown(report_of(aws.plan(aws.document("app-a"))))
    assert "anyone can pull, push" in text.replace(" and", ",")
    assert "<img" not in text
    assert "@everyone" not in text
