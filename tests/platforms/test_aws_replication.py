"""One rule of ours in a document that belongs to everybody."""

from __future__ import annotations

import copy
from typing import Any

from reconciler import apply
from reconciler.engine.apply import succeeded
from tests.sandbox.aws import ACCOUNT, AwsSandbox

FOREIGN: list[dict[str, Any]] = [
    {"destinations": [{"region": "ap-south-1", "registryId": "111122223333"}]},
    {
        "destinations": [{"region": "eu-central-1", "registryId": ACCOUNT}],
        "repositoryFilters": [{"filter": "legacy-", "filterType": "PREFIX_MATCH"}],
    },
]


def rules(aws: AwsSandbox) -> list[dict[str, Any]]:
    return aws.replication.rules.get("us-east-1", [])


def foreign(aws: AwsSandbox) -> list[dict[str, Any]]:
    return [rule for rule in rules(aws) if rule.get("repositoryFilters", [{}])[0].get("filter") != "images-"]


def test_foreign_rules_survive_create_update_and_delete_of_ours(aws: AwsSandbox) -> None:
    aws.replication.rules["us-east-1"] = copy.deepcopy(FOREIGN)
    for regions in (["eu-west-1"], ["eu-west-1", "us-west-2"], ["us-west-2"], []):
        document = aws.document("app-a", registry={"replication_regions": regions}, guards={"max_deletes": "100%"})
        aws.apply(document)
        assert foreign(aws) == FOREIGN
        assert len(rules(aws)) == (3 if regions else 2)
        assert aws.plan(document).changes == ()
    assert rules(aws) == FOREIGN


def test_two_registries_of_one_account_keep_each_others_rules(aws: AwsSandbox) -> None:
    document = aws.document("app-a", registry={"replication_regions": ["eu-west-1"]})
    other = {**document["registries"][0], "name": "tools", "replication_regions": ["us-west-2"]}
    document["registries"].append(other)
    document["repositories"].append({"name": "cli", "registry": "tools"})
    plan = aws.plan(document)
    assert succeeded(apply(plan))
    assert {rule["repositoryFilters"][0]["filter"] for rule in rules(aws)} == {"images-", "tools-"}
    assert aws.plan(document).changes == ()


def test_repositories_and_policies_stand_in_every_region_before_the_rule_is_made(aws: AwsSandbox) -> None:
    document = aws.document(
        "app-a", grants=({"name": "one", "to": aws.target("1")},), registry={"replication_regions": ["eu-west-1"]}
    )
    aws.apply(document)
    operations = [(call.operation, call.region) for call in aws.proxy.calls]
    rule = operations.index(("PutReplicationConfiguration", "us-east-1"))
    assert operations.index(("SetRepositoryPolicy", "eu-west-1")) < rule
    state = aws.state()["repositories"]
    assert state["us-east-1/images-app-a"]["policy"] == state["eu-west-1/images-app-a"]["policy"]


def test_the_rule_stops_copying_before_the_copies_are_deleted(aws: AwsSandbox) -> None:
    document = aws.document("app-a", registry={"replication_regions": ["eu-west-1"]}, guards={"max_deletes": "100%"})
    aws.apply(document)
    aws.proxy.calls.clear()
    document["registries"][0]["replication_regions"] = []
    aws.apply(document)
    operations = [(call.operation, call.region) for call in aws.proxy.calls]
    assert operations.index(("PutReplicationConfiguration", "us-east-1")) < operations.index(
        ("DeleteRepository", "eu-west-1")
    )


def test_a_rule_with_our_prefix_that_we_did_not_make_is_a_conflict(aws: AwsSandbox) -> None:
    rule = {
        "destinations": [{"region": "ap-south-1", "registryId": ACCOUNT}],
        "repositoryFilters": [{"filter": "images-", "filterType": "PREFIX_MATCH"}],
    }
    aws.replication.rules["us-east-1"] = [rule]
    document = aws.document("app-a", registry={"replication_regions": ["eu-west-1"]})
    problems = aws.plan(document).problems
    assert [problem.address for problem in problems] == ["images.replication.rule"]
    assert "--adopt images.replication.rule" in problems[0].message
    aws.apply(document, adopt=["images.replication.rule"])
    assert [item["region"] for item in rules(aws)[0]["destinations"]] == ["eu-west-1"]


def test_an_eleventh_rule_is_a_problem_of_the_plan_with_the_numbers(aws: AwsSandbox) -> None:
    aws.replication.rules["us-east-1"] = [
        {**FOREIGN[1], "repositoryFilters": [{"filter": f"x{number}-", "filterType": "PREFIX_MATCH"}]}
        for number in range(10)
    ]
    problems = aws.plan(aws.document("app-a", registry={"replication_regions": ["eu-west-1"]})).problems
    assert [problem.message for problem in problems] == [
        "the account would have 11 replication rules; ECR allows at most 10"
    ]


def test_a_rule_whose_mark_went_with_the_pull_role_is_ours_by_the_push_role(aws: AwsSandbox) -> None:
    """Also in a registry without repositories, where no copy is witness."""
    document = aws.document(registry={"replication_regions": ["eu-west-1"]})
    aws.apply(document)
    good = aws.state()
    iam = aws.client("iam")
    for inline in iam.list_role_policies(RoleName="images-pull")["PolicyNames"]:
        iam.delete_role_policy(RoleName="images-pull", PolicyName=inline)
    iam.delete_role(RoleName="images-pull")
    aws.apply(document)
    assert aws.state() == good
    assert aws.plan(document).changes == ()


def test_a_rule_with_our_prefix_that_somebody_made_is_a_conflict(aws: AwsSandbox) -> None:
    aws.apply(aws.document("app-a"))
    rule = {
        "destinations": [{"region": "eu-central-1", "registryId": ACCOUNT}],
        "repositoryFilters": [{"filter": "images-", "filterType": "PREFIX_MATCH"}],
    }
    aws.replication.rules["us-east-1"] = [rule]
    (problem,) = aws.plan(aws.document("app-a", registry={"replication_regions": ["eu-west-1"]})).problems
    assert "has no owner" in problem.message
