"""How many calls AWS gets, and what is read when the tagging API lags."""

from __future__ import annotations

from collections import Counter

import pytest

from reconciler import apply
from reconciler.model.change import Action
from tests.emulators.aws import TaggingIndex
from tests.sandbox.aws import AwsSandbox
from tests.sandbox.base import Document


def estate(aws: AwsSandbox, number: int, *regions: str) -> Document:
    return aws.document(
        *({"name": f"app-{index:03}", "retention": {"keep_last": 3}} for index in range(number)),
        grants=({"name": "one", "to": {"type": "aws", "account_ids": ["987654321091"]}},),
        registry={"replication_regions": list(regions)},
    )


def writes_and_reads(aws: AwsSandbox) -> Counter[str]:
    counted = Counter(aws.proxy.operations())
    aws.proxy.calls.clear()
    return counted


def test_a_new_repository_costs_three_calls_and_three_more_for_each_replication_region(aws: AwsSandbox) -> None:
    plan = aws.plan(estate(aws, 6, "eu-west-1"))
    writes_and_reads(aws)
    apply(plan)
    calls = writes_and_reads(aws)
    per_repository = {name: count for name, count in calls.items() if name.startswith("ecr:") and "Repl" not in name}
    assert per_repository.pop("ecr:DescribeRegistry") <= 2
    assert per_repository.pop("ecr:ListTagsForResource") <= 2  # whether the new registry had no roles before
    assert per_repository == {"ecr:CreateRepository": 12, "ecr:PutLifecyclePolicy": 12, "ecr:SetRepositoryPolicy": 12}


def test_an_unchanged_repository_costs_three_calls_where_the_tagging_api_does_not_list_it(aws: AwsSandbox) -> None:
    document = estate(aws, 20)
    aws.apply(document)
    writes_and_reads(aws)
    assert aws.plan(document).changes == ()
    calls = writes_and_reads(aws)
    assert {name: count for name, count in calls.items() if count >= 20} == {
        "ecr:ListTagsForResource": 20,
        "ecr:GetLifecyclePolicy": 20,
        "ecr:GetRepositoryPolicy": 20,
    }
    assert sum(calls.values()) == 60 + 11


def test_an_unchanged_repository_costs_two_calls_where_the_tagging_api_lists_it(aws: AwsSandbox) -> None:
    document = estate(aws, 120)
    aws.apply(document)
    aws.proxy.behaviours.append(TaggingIndex(aws.moto))
    writes_and_reads(aws)
    assert aws.plan(document).changes == ()
    calls = writes_and_reads(aws)
    assert calls["ecr:ListTagsForResource"] == 0
    assert calls["tagging:GetResources"] == 2, "100 a page"
    assert calls["ecr:DescribeRepositories"] == 1, "1,000 a page"
    assert calls["ecr:GetLifecyclePolicy"] == calls["ecr:GetRepositoryPolicy"] == 120


def test_a_repository_that_wants_no_lifecycle_policy_is_asked_for_one_that_somebody_made(aws: AwsSandbox) -> None:
    document = aws.document(*(f"app-{index}" for index in range(10)))
    aws.apply(document)
    writes_and_reads(aws)
    aws.plan(document)
    assert writes_and_reads(aws)["ecr:GetLifecyclePolicy"] == 10


def test_a_repository_that_the_tagging_api_does_not_know_yet_is_no_conflict(aws: AwsSandbox) -> None:
    document = estate(aws, 3)
    aws.apply(document)
    arn = "arn:aws:ecr:us-east-1:123456789012:repository/images-app-001"
    aws.proxy.behaviours.append(TaggingIndex(aws.moto, late={arn}))
    writes_and_reads(aws)
    plan = aws.plan(document)
    assert (plan.changes, plan.problems) == ((), ())
    assert writes_and_reads(aws)["ecr:ListTagsForResource"] == 1


def test_a_delete_is_decided_by_the_repository_itself_not_by_the_tagging_api(aws: AwsSandbox) -> None:
    aws.apply(estate(aws, 3))
    aws.proxy.behaviours.append(TaggingIndex(aws.moto))
    arn = "arn:aws:ecr:us-east-1:123456789012:repository/images-app-002"
    writes_and_reads(aws)
    smaller = estate(aws, 2)
    smaller["guards"] = {"max_deletes": 9}
    plan = aws.plan(smaller)
    assert [(change.address, change.action) for change in plan.changes] == [
        ("images.repository.app-002", Action.DELETE)
    ]
    asked = [call.body["resourceArn"] for call in aws.proxy.calls if call.operation == "ListTagsForResource"]
    assert asked == [arn]


def test_images_are_counted_only_where_they_would_be_deleted(aws: AwsSandbox) -> None:
    document = estate(aws, 4)
    aws.apply(document)
    document["repositories"][0]["description"] = "new"
    del document["repositories"][3]
    aws.proxy.calls.clear()
    aws.plan(document)
    counted = [call.body["repositoryName"] for call in aws.proxy.calls if call.operation == "ListImages"]
    assert counted == ["images-app-003"]


@pytest.mark.parametrize("many", [3])
def test_an_update_of_one_grant_reads_and_writes_only_its_repositories(aws: AwsSandbox, many: int) -> None:
    document = estate(aws, many)
    document["grants"].append({"name": "two", "registry": "images", "repositories": ["app-000"], "to": aws.target("2")})
    aws.apply(document)
    document["grants"][1]["to"] = aws.target("3")
    plan = aws.plan(document)
    writes_and_reads(aws)
    apply(plan)
    calls = writes_and_reads(aws)
    # read right before the write (its tags and its policy), the write, and the note of what was applied
    assert calls == {
        "sts:GetCallerIdentity": 1,
        "ecr:ListTagsForResource": 1,
        "ecr:GetRepositoryPolicy": 1,
        "ecr:SetRepositoryPolicy": 1,
        "ecr:TagResource": 1,
    }
