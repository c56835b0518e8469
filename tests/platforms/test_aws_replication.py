"""One rule of ours in a document that belongs to everybody."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from reconciler import StalePlan, apply
from reconciler.engine.apply import succeeded
from reconciler.engine.plan_file import dumps, loads
from reconciler.platforms.aws import replication_owned
from reconciler.render.report import report_of
from reconciler.render.text import joined, plan_lines
from tests.sandbox.aws import ACCOUNT, AwsSandbox
from tests.sandbox.base import Document

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


OTHER = "222222222222"


def to_other(prefix: str = "", account: str = OTHER) -> dict[str, Any]:
    """A rule that somebody made."""
    chosen = {"repositoryFilters": [{"filter": prefix, "filterType": "PREFIX_MATCH"}]} if prefix else {}
    return {"destinations": [{"region": "us-east-1", "registryId": account}], **chosen}


def two(aws: AwsSandbox, mine: Document, theirs: Document) -> Document:
    """A spec with two registries of one account and region."""
    document = aws.document("app-a", registry=mine)
    base = {key: value for key, value in document["registries"][0].items() if key not in mine}
    document["registries"].append({**base, "name": "other", **theirs})
    return document


def words(aws: AwsSandbox, document: Document, **wishes: Any) -> str:
    return joined(plan_lines(report_of(aws.plan(document, **wishes))))


ALL_TO_OTHER = {"replication": {"accounts": [OTHER], "filter": "all"}}


@pytest.mark.parametrize("theirs", [{}, {"region": "us-west-2"}], ids=["in the region", "in another region"])
def test_a_rule_of_others_with_the_prefix_of_a_registry_that_has_none_is_theirs(
    aws: AwsSandbox, theirs: Document
) -> None:
    aws.apply(two(aws, ALL_TO_OTHER, theirs))
    rules(aws).append(to_other("other-"))
    without = two(aws, {}, theirs)
    said = words(aws, without)
    lost = f"account {OTHER} in us-east-1 can no longer receive copies of any repository, except other-*\n"
    shown = (
        f"  images.replication.rule: account {OTHER} in us-east-1 can receive copies of other-*"
        " (the rule for other-* of the replication configuration)\n"
    )
    assert lost in said
    assert shown in said
    saved = loads(dumps(aws.plan(without)), platforms=aws.platforms)
    rules(aws)[-1]["destinations"][0]["registryId"] = "333333333333"
    with pytest.raises(StalePlan):
        aws.carry_out(saved, saved=True)
    aws.apply(without)
    assert rules(aws) == [to_other("other-", "333333333333")]


def test_the_rule_of_a_registry_that_is_copied_no_longer_is_its_own_until_it_goes(aws: AwsSandbox) -> None:
    both = two(aws, ALL_TO_OTHER, {"replication": {"accounts": [OTHER]}})
    aws.apply(both)
    assert "Foreign access" not in words(aws, two(aws, ALL_TO_OTHER, {}))
    saved = loads(dumps(aws.plan(two(aws, {}, {}))), platforms=aws.platforms)
    assert succeeded(aws.carry_out(saved, saved=True))
    assert rules(aws) == []


@pytest.mark.parametrize(
    ("rule", "shown"),
    [
        (to_other(), "every repository (the rule for all repositories of"),
        (to_other("im"), "im* (the rule for im* of"),
        (to_other("images-app"), "images-app* (the rule for images-app* of"),
        (to_other("web-"), ""),
        (to_other("images-app", ACCOUNT), ""),
    ],
)
def test_who_gets_copies_of_the_registry_s_images_by_rules_of_others_is_shown(
    aws: AwsSandbox, rule: dict[str, Any], shown: str
) -> None:
    document = aws.document("app-a", registry={"replication_regions": ["eu-west-1"]})
    aws.apply(document)
    rules(aws).append(rule)
    plan = aws.plan(document)
    assert plan.changes == ()
    said = joined(plan_lines(report_of(plan)))
    assert f"account {OTHER} in us-east-1 can receive copies of {shown}" in said if shown else "Foreign" not in said


def test_the_rule_for_all_of_another_registry_is_said_to_be_its_own_also_where_there_is_one_by_prefix(
    aws: AwsSandbox,
) -> None:
    by_prefix = {"replication": {"accounts": [OTHER]}}
    aws.apply(two(aws, ALL_TO_OTHER, by_prefix))
    swapped = two(aws, by_prefix, ALL_TO_OTHER)
    (problem,) = aws.plan(swapped).problems
    assert problem.message == (
        "registry images has the account's rule for all repositories until the spec is applied there: do that first, with"
        " --target 'images.*'"
    )
    saved = loads(dumps(aws.plan(swapped, targets=["images.*"])), platforms=aws.platforms)
    assert succeeded(aws.carry_out(saved, saved=True))
    aws.apply(swapped)
    assert rules(aws) == [to_other("images-"), to_other()]
    assert aws.plan(swapped).changes == ()


def test_a_plan_from_before_another_registry_took_the_rule_for_all_takes_it_from_nobody(aws: AwsSandbox) -> None:
    by_prefix = {"replication": {"accounts": [OTHER]}}
    aws.apply(two(aws, by_prefix, by_prefix))
    plan = aws.plan(two(aws, by_prefix, ALL_TO_OTHER))
    aws.apply(two(aws, ALL_TO_OTHER, by_prefix))
    there = copy.deepcopy(rules(aws))
    assert not succeeded(aws.carry_out(plan))
    assert rules(aws) == there


def test_a_rule_that_goes_with_its_note_while_they_are_read_is_nobody_elses(
    aws: AwsSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    aws.apply(two(aws, ALL_TO_OTHER, {"replication": {"accounts": [OTHER]}}))

    def late(*asked: Any) -> set[str]:
        if asked[0].name == "images":
            rules(aws)[:] = [rule for rule in rules(aws) if rule != to_other("other-")]
        return set()  # the note is gone, too

    monkeypatch.setattr(replication_owned, "of_siblings", late)
    plan = aws.plan(two(aws, {}, {}), targets=["images.*"])
    (live,) = (change.live for change in plan.changes if change.live is not None)
    assert (live.rest, live.foreign) == ("", ())
