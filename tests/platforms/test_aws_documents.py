"""Policies by meaning, what they say in words, and what IAM thinks of those that we write."""

from __future__ import annotations

import json
from dataclasses import dataclass
from threading import Event
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler import apply
from reconciler.api.plan_file import loads
from reconciler.engine.plan_file import dumps
from reconciler.engine.write import Outcome, Status
from reconciler.errors import StalePlan
from reconciler.model.address import Address
from reconciler.model.change import Action, Cause
from reconciler.platforms.aws import lifecycle, names, own_ids, policy, role_documents
from reconciler.platforms.aws.condition import Condition
from reconciler.platforms.aws.spec import AwsRegistry
from reconciler.spec.repository import Retention
from tests.emulators.aws import Quiet
from tests.emulators.proxy import Answer, Call
from tests.sandbox.aws import FOREIGN_STATEMENT, AwsSandbox

REGISTRY = AwsRegistry(name="images", platform="aws", account_id="123456789012", region="us-east-1")
BY_HAND = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "ecr:DescribeImages", "Resource": "*"}]}
ONE = {
    "Sid": "s",
    "Effect": "Allow",
    "Principal": {"AWS": ["arn:aws:iam::987654321091:root"]},
    "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
}


@dataclass
class Refused(Quiet):
    """An operation that the credentials may not call."""

    operation: str

    def before(self, call: Call) -> Answer | None:
        if call.operation != self.operation:
            return None
        return Answer(400, {"message": "not authorized"}, "AccessDeniedException")


@pytest.mark.parametrize(
    "other",
    [
        {"Principal": {"AWS": "arn:aws:iam::987654321091:root"}},
        {"Principal": {"AWS": "987654321091"}},
        {"Action": ["ecr:GetDownloadUrlForLayer", "ecr:BatchGetImage", "ecr:BatchGetImage"]},
        {"Action": ["ECR:batchgetimage", "ecr:getdownloadurlforlayer"]},
    ],
)
def test_statements_that_mean_the_same_are_equal(other: dict[str, Any]) -> None:
    assert policy.normal({**ONE, **other}) == policy.normal(ONE)


@pytest.mark.parametrize(
    "other",
    [
        {"Principal": {"AWS": "arn:aws:iam::987654321092:root"}},
        {"Principal": {"Service": "987654321091"}},
        {"Principal": "*"},
        {"Action": "ecr:*"},
        {"Effect": "Deny"},
        {"Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-1"}}},
        {"NotAction": "ecr:PutImage"},
        {"Resource": "*"},
    ],
)
def test_statements_that_mean_something_else_are_not_equal(other: dict[str, Any]) -> None:
    assert policy.normal({**ONE, **other}) != policy.normal(ONE)


def test_one_statement_means_a_list_of_one() -> None:
    assert policy.statements_of({"Statement": ONE}) == policy.statements_of({"Statement": [ONE]})


def test_condition_keys_are_compared_without_case_and_values_with_it() -> None:
    def condition(key: str, value: Any) -> policy.Statement:
        return policy.normal({**ONE, "Condition": {"StringLike": {key: value}}})

    assert condition("aws:SourceArn", ["b", "a"]) == condition("AWS:sourcearn", ["a", "b"])
    assert condition("aws:SourceArn", "A") != condition("aws:SourceArn", "a")


GRANT_NAMES = st.from_regex(r"[a-z][a-z0-9]{0,6}(-[a-z0-9]{1,6}){0,4}", fullmatch=True)
SERVICES = st.from_regex(r"(worker|[a-z0-9]{1,6})([.-][a-z0-9]{1,6}){0,3}", fullmatch=True).map(names.service)
PARTS = st.one_of(
    st.sampled_from(["", own_ids.WORKER, own_ids.ORGANIZATION, own_ids.ORGANIZATION_PATHS]),
    SERVICES.map(own_ids.of_service),
)


@given(GRANT_NAMES, PARTS)
def test_a_statement_id_tells_its_grant(name: str, part: str) -> None:
    identifier = own_ids.sid(name, part)
    assert identifier.isalnum()
    assert own_ids.grant_of(identifier) == name


@given(st.tuples(GRANT_NAMES, PARTS), st.tuples(GRANT_NAMES, PARTS))
def test_no_two_statements_have_one_id_or_one_title(one: tuple[str, str], other: tuple[str, str]) -> None:
    assert (own_ids.sid(*one) == own_ids.sid(*other)) == (one == other)
    assert (own_ids.title(own_ids.sid(*one)) == own_ids.title(own_ids.sid(*other))) == (one == other)


@given(SERVICES)
def test_a_statement_id_tells_its_service(principal: str) -> None:
    said = own_ids.title(own_ids.sid("ci", own_ids.of_service(principal)))
    assert names.service(said.removeprefix("ci (service ").removesuffix(")")) == principal


@pytest.mark.parametrize(
    "identifier",
    [
        "",
        "AllowPull",
        "ReconcilerWorker",
        "ReconcilerServiceXci",
        "ReconcilerXciService",
        "ReconcilerXciServiceXA",
        "Reconciler",
        "new statement",
        "ReconcilerXA",
    ],
)
def test_other_peoples_statement_ids_are_not_ours(identifier: str) -> None:
    assert own_ids.grant_of(identifier) is None


@given(st.lists(st.sampled_from(["a", "b"]), max_size=2), st.integers(1, 3))
def test_a_statement_survives_the_way_to_aws_and_back(conditions: list[str], number: int) -> None:
    statement = policy.normal(
        {
            **ONE,
            "Principal": {"AWS": [f"arn:aws:iam::98765432109{item}:root" for item in range(number)]},
            **({"Condition": {"StringLike": {"aws:sourceArn": conditions}}} if conditions else {}),
        }
    )
    assert policy.normal(policy.document_of(statement, "aws")) == statement


@pytest.mark.parametrize(
    ("principal", "label", "account"),
    [
        ("987654321091", "account 987654321091", "987654321091"),
        ("arn:aws:iam::987654321091:role/ci/deploy", "role ci/deploy of account 987654321091", "987654321091"),
        ("AROAEXAMPLEEXAMPLE123", "a deleted role (AROAEXAMPLEEXAMPLE123)", ""),
        ("AIDAEXAMPLEEXAMPLE123", "a deleted user (AIDAEXAMPLEEXAMPLE123)", ""),
        ("*", "anyone", ""),
    ],
)
def test_principals_in_words(principal: str, label: str, account: str) -> None:
    (who,) = policy.who(principal)
    assert (who.label, who.account) == (label, account)
    assert who.public == (principal == "*")


def test_a_service_is_a_principal_for_each_account_it_acts_for() -> None:
    arns = ("arn:aws:lambda:*:987654321091:function:*", "arn:aws:lambda:us-east-1:987654321092:function:f")
    condition = Condition("StringLike", "aws:SourceArn", arns)
    found = policy.who("service:lambda.amazonaws.com", (condition,))
    assert [(item.label, item.account, item.public) for item in found] == [
        ("AWS Lambda in account 987654321091", "987654321091", False),
        ("AWS Lambda function:f of account 987654321092", "987654321092", False),
    ]
    assert policy.who("service:lambda.amazonaws.com")[0].public, "without a condition it acts for everyone"
    (nobody,) = policy.who("service:lambda.amazonaws.com", (Condition("StringLike", "aws:SourceArn", ()),))
    assert nobody.label == "AWS Lambda (if StringLike aws:SourceArn )", (
        "access that is there is named, whatever its condition"
    )


def test_an_account_behind_a_service_is_guarded_too(aws: AwsSandbox) -> None:
    target = {"type": "aws", "account_ids": ["987654321091", "987654321092"], "allowed_service_types": ["worker"]}
    function = {"type": "aws", "function_arns": ["arn:aws:lambda:us-east-1:987654321093:function:f"]}
    document = aws.document("app-a", grants=({"name": "one", "to": target}, {"name": "two", "to": function}))
    document["guards"] = {"allowed_accounts": ["987654321091"]}
    messages = [verdict.message for verdict in aws.plan(document).violations]
    assert [message.split()[0] for message in messages] == ["987654321092", "987654321093"]


def test_a_trusted_principal_of_another_account_is_guarded_too(aws: AwsSandbox) -> None:
    trusted = ["arn:aws:iam::123456789012:role/ci", "arn:aws:iam::987654321099:role/theirs"]
    document = aws.document("app-a", registry={"trusted_principals": trusted}, guards={"allowed_accounts": []})
    (verdict,) = aws.plan(document).violations
    assert (verdict.guard, verdict.message.split()[0]) == ("allowed_accounts", "987654321099")


@pytest.mark.parametrize(
    ("actions", "verbs"),
    [
        (policy.PULL, ["pull"]),
        (policy.WORKER_PULL, ["pull"]),
        ((*policy.PULL, *policy.PUSH), ["pull", "push"]),
        (("ecr:*",), ["pull", "push", "read", "change or delete"]),
        (("ecr:SetRepositoryPolicy",), ["change or delete"]),
        (("ecr:DescribeImages",), ["perform ecr:DescribeImages on"]),
    ],
)
def test_actions_in_words(actions: tuple[str, ...], verbs: list[str]) -> None:
    assert policy.verbs(actions) == verbs


def test_no_foreign_principal_ever_gets_an_action_that_widens_its_access() -> None:
    assert not set(policy.ADMIN) & {*policy.PULL, *policy.PUSH, *policy.WORKER_PULL}
    assert policy.LOGIN not in {*policy.PULL, *policy.PUSH}, (
        "refused in a repository policy (cloudposse/terraform-aws-ecr#67)"
    )


def test_lifecycle_policies_that_mean_the_same_are_equal() -> None:
    rule = {
        "selection": {
            "tagStatus": "tagged",
            "tagPrefixList": ["b", "a"],
            "countType": "sinceImagePushed",
            "countNumber": 3,
        },
        "action": {"type": "expire"},
    }
    unit = {"countUnit": "days", "tagPrefixList": ["a", "b"], "tagPatternList": []}
    same: dict[str, Any] = {**rule, "rulePriority": 70, "description": "other words"}
    same["selection"] = {**same["selection"], **unit}
    first = {"rules": [{**rule, "rulePriority": 1}, {**rule, "rulePriority": 5, "action": {"type": "transition"}}]}
    second = {"rules": [{**same, "rulePriority": 9, "action": {"type": "transition"}}, {**same, "rulePriority": 2}]}
    assert lifecycle.normal(first) == lifecycle.normal(second)
    assert lifecycle.normal(first) != lifecycle.normal({"rules": list(reversed(second["rules"]))[:1]})


def test_each_kept_tag_pattern_is_a_rule_of_its_own_before_all_others() -> None:
    rules = lifecycle.rules_of(Retention(keep_last=5, untagged_days=7, keep_tags=("v*", "release-*")))
    assert [rule["selection"].get("tagPatternList") for rule in rules] == [["release-*"], ["v*"], None, None]
    assert [rule["selection"]["tagStatus"] for rule in rules][-1] == "any", "ECR wants it last"
    assert [lifecycle.in_words(rule) for rule in rules] == [
        "keep images tagged release-*",
        "keep images tagged v*",
        "remove untagged images 7 days after their push",
        "remove images that are not among the newest 5",
    ]


@pytest.mark.parametrize("name", role_documents.ROLES)
def test_iam_lints_find_nothing_in_the_roles_policies(aws: AwsSandbox, name: str) -> None:
    from parliament import analyze_policy_string  # slow to import

    aws.apply(aws.document("app-a", registry={"replication_regions": ["eu-west-1"]}))
    inline = aws.state()["roles"][f"images-{name}"]["inline"]["reconciler"]
    findings = [
        finding for finding in analyze_policy_string(json.dumps(inline)).findings if finding.severity != "MUTED"
    ]
    assert findings == []
    resources = inline["Statement"][1]["Resource"]
    assert resources == [
        "arn:aws:ecr:eu-west-1:123456789012:repository/images-*",
        "arn:aws:ecr:us-east-1:123456789012:repository/images-*",
    ]


def test_a_deleted_principal_is_drift_told_in_words_and_replaced(aws: AwsSandbox) -> None:
    grant = {"name": "prod", "to": {"type": "aws", "role_arns": ["arn:aws:iam::987654321091:role/r"]}}
    document = aws.document("app-a", grants=(grant,))
    aws.apply(document)
    dict(aws.hands())["deleted principal in the policy of images-app-a in us-east-1"]()
    (change,) = aws.plan(document).changes
    assert (change.action, change.cause) == (Action.UPDATE, Cause.DRIFT)
    assert change.notes == ("grant prod still names a deleted role (AROAEXAMPLEEXAMPLE123)",)
    aws.apply(document)
    assert "AROA" not in json.dumps(aws.state()["repositories"])


def test_another_encryption_key_is_a_replace_that_asks_for_permission(aws: AwsSandbox) -> None:
    document = aws.document(
        {"name": "app-a", "retention": {"keep_last": 3}}, grants=({"name": "one", "to": aws.target("1")},)
    )
    aws.apply(document)
    aws.push_image("app-a")
    document["repositories"][0]["encryption"] = {"kms_key": "arn:aws:kms:us-east-1:123456789012:key/k"}
    plan = aws.plan(document)
    by_address = {change.address: change.action for change in plan.changes}
    assert by_address == {
        "images.repository.app-a": Action.REPLACE,
        "images.lifecycle.app-a": Action.CREATE,
        "images.access.app-a": Action.CREATE,
    }
    assert [verdict.guard for verdict in plan.violations] == ["images"]
    assert all(not change.gains and not change.losses for change in plan.changes), "access is the same before and after"
    aws.apply(document, allow_delete=["images.repository.app-a"])
    assert aws.plan(document).changes == ()
    found = aws.state()["repositories"]["us-east-1/images-app-a"]
    assert found["encryptionConfiguration"]["kmsKey"].endswith("key/k")
    assert {"policy", "lifecycle"} <= found.keys()


def test_permission_in_the_commit_of_the_replacement_itself_does_not_count(aws: AwsSandbox) -> None:
    document = aws.document("app-a")
    aws.apply(document)
    aws.push_image("app-a")
    row = document["repositories"][0]
    row |= {"delete_images": True, "encryption": KEY}
    assert [verdict.guard for verdict in aws.plan(document).violations] == ["images"]
    del row["encryption"]
    aws.apply(document)
    row["encryption"] = KEY
    assert aws.plan(document).violations == ()


KEY = {"kms_key": "arn:aws:kms:us-east-1:123456789012:key/k"}


def test_what_others_put_on_a_repository_survives_its_replacement(aws: AwsSandbox) -> None:
    document = aws.document("app-a", "app-b", grants=({"name": "one", "to": aws.target("1")},))
    aws.apply(document)
    for name in ("app-a", "app-b"):
        aws.put_foreign_tag(name, "cost-center", "42")
        aws.give_foreign_access(name)
    ecr = aws.client("ecr")
    by_hand = json.dumps({"rules": normal_rules()})
    ecr.put_lifecycle_policy(repositoryName="images-app-a", lifecyclePolicyText=by_hand)
    for repository in document["repositories"]:
        repository["encryption"] = KEY
    document["grants"][0]["repositories"] = ["app-b"]  # app-a's policy is somebody else's alone from now on
    plan = aws.plan(document)
    assert plan.violations == (), "nothing is lost, so nothing need be allowed"
    assert {change.action for change in plan.changes} == {Action.REPLACE, Action.CREATE}
    for outcome in aws.carry_out(plan, verify=True):
        assert outcome.status is Status.DONE, outcome
    assert aws.plan(document).changes == ()
    found = aws.state()["repositories"]
    for name, sids in (("app-a", {FOREIGN_STATEMENT["Sid"]}), ("app-b", {FOREIGN_STATEMENT["Sid"], "ReconcilerXone"})):
        repository = found[f"us-east-1/images-{name}"]
        assert repository["encryptionConfiguration"]["kmsKey"] == KEY["kms_key"]
        assert repository["tags"]["cost-center"] == "42"
        assert {item["Sid"] for item in repository["policy"]["Statement"]} == sids
        assert FOREIGN_STATEMENT in repository["policy"]["Statement"], "byte for byte"
        assert repository["policy"]["Version"] == "2012-10-17"
    assert found["us-east-1/images-app-a"]["lifecycle"] == json.loads(by_hand)


def normal_rules() -> list[dict[str, object]]:
    selection = {"tagStatus": "untagged", "countType": "sinceImagePushed", "countUnit": "days", "countNumber": 5}
    return [{"rulePriority": 7, "description": "ours", "selection": selection, "action": {"type": "expire"}}]


def test_a_target_that_is_replaced_brings_what_stood_below_it(aws: AwsSandbox) -> None:
    grants = ({"name": "one", "to": aws.target("1")},)
    document = aws.document({"name": "app-a", "retention": {"keep_last": 3}}, "app-b", grants=grants)
    aws.apply(document)
    for repository in document["repositories"]:
        repository["encryption"] = KEY
    plan = aws.plan(document, targets=["images.repository.app-a"])
    assert [change.address for change in plan.changes] == [
        "images.repository.app-a",
        "images.access.app-a",
        "images.lifecycle.app-a",
    ]
    assert plan.left_out == 2
    aws.apply(document, targets=["images.repository.app-a"])
    assert {"policy", "lifecycle"} <= aws.state()["repositories"]["us-east-1/images-app-a"].keys()


def test_access_that_others_give_after_the_plan_survives_a_replacement(aws: AwsSandbox) -> None:
    document = aws.document("app-a", grants=({"name": "one", "to": aws.target("1")},))
    aws.apply(document)
    document["repositories"][0]["encryption"] = KEY
    plan = aws.plan(document)
    aws.give_foreign_access("app-a")
    assert {outcome.status for outcome in aws.carry_out(plan)} == {Status.DONE}
    policy = aws.state()["repositories"]["us-east-1/images-app-a"]["policy"]
    assert FOREIGN_STATEMENT in policy["Statement"]
    assert len(policy["Statement"]) == 2
    assert aws.plan(document).changes == ()


def test_a_foreign_statement_that_aws_would_not_take_back_keeps_the_repository_from_being_replaced(
    aws: AwsSandbox,
) -> None:
    document = aws.document("app-a")
    aws.apply(document)
    dead = {**FOREIGN_STATEMENT, "Principal": {"AWS": "AROAEXAMPLEEXAMPLE123"}}
    text = json.dumps({"Version": "2012-10-17", "Statement": [dead]})
    aws.client("ecr").set_repository_policy(repositoryName="images-app-a", policyText=text)
    before = aws.state()
    document["repositories"][0]["encryption"] = KEY
    (outcome,) = aws.carry_out(aws.plan(document))
    assert outcome.status is Status.FAILED
    assert "AROAEXAMPLEEXAMPLE123" in outcome.message
    assert "legacy access, by hand" in outcome.message
    assert aws.state() == before, "told before anything is deleted"


def test_a_role_that_others_widened_stops_the_plan_that_would_delete_it(aws: AwsSandbox) -> None:
    document = aws.document("app-a")
    aws.apply(document)
    aws.client("iam").put_role_policy(RoleName="images-push", PolicyName="by-hand", PolicyDocument=json.dumps(BY_HAND))
    for wishes in ({}, {"allow_delete": ["images.role.push"]}):
        plan = aws.plan(document, destroy=True, **wishes)
        (violation,) = plan.violations
        assert (violation.guard, violation.addresses) == ("foreign", ("images.role.push",))
        assert "inline policy by-hand" in violation.message
        assert "remove it by hand first" in violation.message
        assert "--allow-delete" not in violation.message


def test_policies_that_others_attached_keep_a_role_from_being_deleted(aws: AwsSandbox) -> None:
    document = aws.document("app-a")
    aws.apply(document)
    destroying = aws.plan(document, destroy=True)
    aws.client("iam").put_role_policy(RoleName="images-push", PolicyName="by-hand", PolicyDocument=json.dumps(BY_HAND))
    plan = aws.plan(document)
    assert [(item.address, item.what) for item in plan.foreign] == [
        ("images.role.push", "widened by inline policy by-hand, not made from a spec")
    ]
    outcomes: dict[str, Outcome] = {outcome.address: outcome for outcome in apply(destroying, raise_on_failure=False)}
    assert outcomes["images.role.push"].status is Status.FAILED
    assert "inline policy by-hand" in outcomes["images.role.push"].message
    assert "images-push" in aws.state()["roles"]


def test_a_replaced_repository_keeps_what_a_label_of_ours_stands_in_place_of(aws: AwsSandbox) -> None:
    document = aws.document({"name": "app-a", "labels": {"team": "web"}})
    aws.make_foreign("app-a")
    aws.put_foreign_tag("app-a", "team", "infra")
    aws.apply(document, adopt=["images.repository.app-a"])
    document["repositories"][0]["encryption"] = KEY
    aws.apply(document, allow_delete=["images.repository.app-a"])  # it was there before it was adopted
    document["repositories"][0]["labels"] = {}
    aws.apply(document)
    assert aws.tag("app-a", "team") == "infra"


def test_a_tag_whose_key_is_too_long_to_be_kept_is_not_taken_over(aws: AwsSandbox) -> None:
    key = "k" * 114
    aws.make_foreign("app-a")
    aws.put_foreign_tag("app-a", key, "infra")
    document = aws.document({"name": "app-a", "labels": {key: "web"}})
    (problem,) = aws.plan(document, adopt=["images.repository.app-a"]).problems
    assert f"the tag {key} was set by somebody else, and its value can't be kept" in problem.message
    assert "128 characters" in problem.message


def test_a_foreign_replication_rule_is_a_conflict_also_once_the_copies_are_there(aws: AwsSandbox) -> None:
    document = aws.document("app-a", registry={"replication_regions": ["eu-west-1"]})
    theirs = {
        "destinations": [{"region": "us-west-2", "registryId": "999999999999"}],
        "repositoryFilters": [{"filter": "images-", "filterType": "PREFIX_MATCH"}],
    }
    aws.apply(document, targets=["images.repository.*"])
    aws.replication.rules["us-east-1"] = [theirs]
    plan = aws.plan(document)
    assert [problem.address for problem in plan.problems] == ["images.replication.rule"]
    assert aws.replication.rules["us-east-1"] == [theirs]


def test_a_label_whose_tag_could_not_be_removed_is_still_ours(aws: AwsSandbox) -> None:
    aws.apply(aws.document({"name": "app-a", "labels": {"team": "web", "x": "1"}}))
    fewer = aws.document({"name": "app-a", "labels": {"x": "1"}})
    denied = Refused("UntagResource")
    aws.proxy.behaviours.append(denied)
    (outcome,) = aws.carry_out(aws.plan(fewer))
    assert outcome.status is Status.FAILED
    aws.proxy.behaviours.remove(denied)
    (change,) = aws.plan(fewer).changes
    assert "labels.team" in {item.path for item in change.fields}
    aws.apply(fewer)
    assert "team" not in aws.state()["repositories"]["us-east-1/images-app-a"]["tags"]


def test_tags_of_others_that_begin_like_ours_survive_a_replacement(aws: AwsSandbox) -> None:
    document = aws.document("app-a")
    aws.apply(document)
    aws.put_foreign_tag("app-a", "reconciler-ticket", "42")
    document["repositories"][0]["encryption"] = KEY
    aws.apply(document)
    assert aws.tag("app-a", "reconciler-ticket") == "42"


def test_a_plan_file_that_keeps_quiet_about_a_conflict_is_stale(aws: AwsSandbox) -> None:
    aws.client("ecr", "eu-west-1").create_repository(repositoryName="images-app-a")
    document = aws.document("app-a", registry={"replication_regions": ["eu-west-1"]})
    edited = json.loads(dumps(aws.plan(document)))
    assert edited["problems"] != []
    edited["problems"] = []
    plan = loads(json.dumps(edited))
    with pytest.raises(StalePlan) as raised:
        aws.carry_out(plan, saved=True)
    assert "images.repository.app-a@eu-west-1, which it needs, is not owned by this spec" in str(raised.value)
    assert aws.replication.rules == {}


def test_what_was_skipped_below_a_new_repository_leaves_no_mark_that_would_make_it_ours_later(aws: AwsSandbox) -> None:
    document = aws.document(
        {"name": "app-a", "retention": {"keep_last": 3}}, grants=({"name": "one", "to": aws.target("1")},)
    )
    stop = Event()

    def interrupt(outcome: Outcome) -> None:
        if outcome.address == "images.repository.app-a":
            stop.set()

    outcomes = {
        item.address: item.status for item in aws.carry_out(aws.plan(document), stop=stop, on_outcome=interrupt)
    }
    assert outcomes[Address("images.lifecycle.app-a")] is Status.SKIPPED
    tags = aws.state()["repositories"]["us-east-1/images-app-a"]["tags"]
    assert not {"reconciler-applied-lifecycle", "reconciler-applied-access"} & tags.keys()
    theirs = json.dumps({"rules": normal_rules()})
    aws.client("ecr").put_lifecycle_policy(repositoryName="images-app-a", lifecyclePolicyText=theirs)
    assert [problem.address for problem in aws.plan(document).problems] == ["images.lifecycle.app-a"]
    del document["repositories"][0]["retention"]
    aws.apply(document)
    assert aws.state()["repositories"]["us-east-1/images-app-a"]["lifecycle"] == json.loads(theirs)
