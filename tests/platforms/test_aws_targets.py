"""Targets on AWS: what replication needs."""

from __future__ import annotations

import pytest

from reconciler.errors import PlanRefused
from tests.sandbox.aws import AwsSandbox


def test_a_replication_rule_is_not_aimed_at_a_foreign_repository(aws: AwsSandbox) -> None:
    ecr = aws.client("ecr", "eu-west-1")
    ecr.create_repository(repositoryName="images-app-a")
    document = aws.document("app-a", registry={"replication_regions": ["eu-west-1"]})
    plan = aws.plan(document, targets=["images.replication.rule"])
    assert [problem.address for problem in plan.problems] == ["images.repository.app-a@eu-west-1"]
    with pytest.raises(PlanRefused):
        aws.carry_out(plan)
    assert aws.replication.rules.get("us-east-1", []) == []


def test_labels_whose_list_was_removed_by_hand_are_ours_again(aws: AwsSandbox) -> None:
    document = aws.document({"name": "app-a", "labels": {"team": "web"}})
    aws.apply(document)
    before = aws.state()
    arn = "arn:aws:ecr:us-east-1:123456789012:repository/images-app-a"
    aws.client("ecr").untag_resource(resourceArn=arn, tagKeys=["reconciler-labels"])
    aws.apply(document)
    assert aws.state() == before


def test_what_a_label_displaced_is_kept_also_when_the_list_of_labels_was_removed_by_hand(aws: AwsSandbox) -> None:
    arn = "arn:aws:ecr:us-east-1:123456789012:repository/images-app-a"
    aws.apply(aws.document("app-a"))
    aws.put_foreign_tag("app-a", "team", "infra")
    document = aws.document({"name": "app-a", "labels": {"team": "web"}})
    aws.apply(document)
    aws.client("ecr").untag_resource(resourceArn=arn, tagKeys=["reconciler-labels"])
    aws.put_foreign_tag("app-a", "team", "hand")
    aws.apply(document)
    assert aws.tag("app-a", "team") == "web"
    assert aws.plan(document).changes == ()
    aws.apply(aws.document("app-a"))
    assert aws.tag("app-a", "team") == "infra"
