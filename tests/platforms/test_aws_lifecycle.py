"""Lifecycle policies: sent as the spec has them, compared by meaning, and refused at validation where ECR would refuse them."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from reconciler.engine.plan_file import dumps, loads
from reconciler.errors import SpecError
from reconciler.model.canonical import applied_hash, text
from reconciler.model.change import Action
from reconciler.platforms.aws import lifecycle
from reconciler.platforms.aws.creation_template import CreationTemplateKind, TemplateSettings
from reconciler.platforms.aws.lifecycle_rules import policy_faults, sent
from reconciler.render.report import report_of
from reconciler.render.text import joined, plan_lines
from reconciler.spec.repository import Retention
from tests.sandbox.aws import AwsSandbox
from tests.sandbox.base import Document

OLD = {"tagStatus": "untagged", "countType": "sinceImagePushed", "countUnit": "days", "countNumber": 5}
MANY = {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 7}
EXPIRE = {"type": "expire"}
POLICY: Document = {
    "rules": [
        {"rulePriority": 20, "description": "the newest stay", "selection": MANY, "action": EXPIRE},
        {"rulePriority": 10, "description": "leftovers (of builds)", "selection": OLD, "action": EXPIRE},
    ]
}
ARCHIVE: Document = {
    "rules": [
        {
            "rulePriority": 1,
            "selection": {"tagStatus": "any", "countType": "sinceImagePulled", "countUnit": "days", "countNumber": 90},
            "action": {"type": "transition", "targetStorageClass": "archive"},
        },
        {
            "rulePriority": 2,
            "selection": {
                "tagStatus": "any",
                "storageClass": "archive",
                "countType": "sinceImageTransitioned",
                "countUnit": "days",
                "countNumber": 365,
            },
            "action": EXPIRE,
        },
    ]
}


def live_policy(aws: AwsSandbox) -> Document:
    found: Document = aws.state()["repositories"]["us-east-1/images-app-a"]["lifecycle"]
    return found


def test_a_policy_of_the_spec_is_sent_as_it_is(aws: AwsSandbox) -> None:
    document = aws.document({"name": "app-a", "lifecycle_policy": POLICY})
    aws.apply(document)
    (call,) = [call for call in aws.proxy.calls if call.operation == "PutLifecyclePolicy"]
    assert json.loads(call.body["lifecyclePolicyText"]) == POLICY
    assert live_policy(aws) == POLICY, "with its descriptions and numbers"
    assert aws.plan(document).changes == ()


def test_a_live_policy_of_the_same_meaning_is_no_drift(aws: AwsSandbox) -> None:
    document = aws.document({"name": "app-a", "lifecycle_policy": POLICY})
    aws.apply(document)
    renumbered = copy.deepcopy(POLICY)
    for rule in renumbered["rules"]:
        rule.update(rulePriority=rule["rulePriority"] // 10, description="by hand")
    text = json.dumps(renumbered)
    aws.client("ecr").put_lifecycle_policy(repositoryName="images-app-a", lifecyclePolicyText=text)
    assert aws.plan(document).changes == ()
    described = copy.deepcopy(document)
    described["repositories"][0]["lifecycle_policy"]["rules"][0]["description"] = "other words"
    assert aws.plan(described).changes == ()
    changed = copy.deepcopy(document)
    changed["repositories"][0]["lifecycle_policy"]["rules"][0]["selection"] = {**MANY, "countNumber": 8}
    aws.apply(changed)
    assert live_policy(aws) == changed["repositories"][0]["lifecycle_policy"]


def test_marks_that_stand_in_clouds_are_still_those_of_the_meaning() -> None:
    retention = Retention(keep_last=5, untagged_days=7, keep_tags=("v*",))
    assert applied_hash(lifecycle.of_retention(retention)) == "v1-1beb4c6996aacdc9"
    for settings in (lifecycle.normal(POLICY), lifecycle.LifecycleSettings(lifecycle.canonical(POLICY), sent(POLICY))):
        assert applied_hash(settings) == "v1-76788bf316e17db4"


def test_a_text_that_says_something_else_than_what_is_shown_is_no_settings() -> None:
    settings = TypeAdapter(lifecycle.LifecycleSettings)
    rules = lifecycle.canonical(POLICY)
    other = {"rules": [{**POLICY["rules"][0], "selection": {**MANY, "countNumber": 1}}]}
    assert settings.validate_python({"rules": rules, "policy": sent(POLICY)}).policy == sent(POLICY)
    for policy in (sent(other), "[]", '{"rules": 1}', "{", '"x"', '{"rules": [{"rulePriority": {}}]}'):
        with pytest.raises(ValidationError):
            settings.validate_python({"rules": rules, "policy": policy})


def test_a_mark_alone_is_written_without_sending_the_policy_again(aws: AwsSandbox) -> None:
    document = aws.document({"name": "app-a", "lifecycle_policy": POLICY})
    aws.apply(document)
    aws.client("ecr").tag_resource(
        resourceArn="arn:aws:ecr:us-east-1:123456789012:repository/images-app-a",
        tags=[{"Key": "reconciler-applied-lifecycle", "Value": "v1-0000000000000000"}],
    )
    aws.proxy.calls.clear()
    (outcome,) = aws.apply(document)
    assert (outcome.address, outcome.action) == ("images.lifecycle.app-a", Action.UPDATE)
    assert "ecr:PutLifecyclePolicy" not in aws.proxy.operations()


def test_a_rule_over_all_images_says_what_rules_before_it_do_to_it() -> None:
    kind = lifecycle.LifecycleKind()
    settings = lifecycle.of_retention(Retention(keep_last=5, untagged_days=7, keep_tags=("v*",)))
    assert kind.shown(settings) == {
        "rule 1": "keep images tagged v*",
        "rule 2": "remove untagged images 7 days after their push",
        "rule 3": "remove images that are not among the newest 5, unless an earlier rule selects them",
    }
    alone = lifecycle.of_retention(Retention(keep_last=5))
    assert kind.shown(alone) == {"rule 1": "remove images that are not among the newest 5"}


def rule(priority: int = 1, action: Any = None, **selection: Any) -> Document:
    chosen = {**MANY, **selection}
    chosen = {key: value for key, value in chosen.items() if value is not None}
    return {"rulePriority": priority, "selection": chosen, "action": action or EXPIRE}


def tagged(priority: int = 1, **selection: Any) -> Document:
    return rule(priority, tagStatus="tagged", **selection)


TRANSITION = {"type": "transition", "targetStorageClass": "archive"}


@pytest.mark.parametrize(
    "policy",
    [
        POLICY,
        ARCHIVE,
        {"rules": [tagged(n, tagPrefixList=[f"p{n}"]) for n in range(1, 50)] + [rule(70)]},
        {"rules": [tagged(tagPatternList=["*test*1*2*3", "test*1*2*3*"])]},
        {"rules": [tagged(1, tagPatternList=["a*"]), tagged(2, tagPrefixList=["a"])]},
        {"rules": [rule(countType="sinceTheFuture", countUnit="days", storageClass="frozen")]},
        {"rules": [rule(action={"type": "compress"})]},
        {"rules": [rule(action=TRANSITION)]},
    ],
)
def test_what_ecr_takes_passes(policy: Document) -> None:
    assert list(policy_faults(policy, ())) == []


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ({}, ["needs a list of rules, as ECR's lifecycle policies have"]),
        ({"rules": "all"}, ["needs a list of rules, as ECR's lifecycle policies have"]),
        ({"rules": [rule()], "ruls": []}, ["ruls: unknown key (did you mean 'rules'?)"]),
        ({"rules": [rule(), 5]}, ["rules.1: must be a mapping (`key: value`)"]),
        (
            {"rules": [{**rule(), "rulePriorty": 3}]},
            ["rules.0.rulePriorty: unknown key (did you mean 'rulePriority'?)"],
        ),
        (
            {"rules": [{"rulePriority": 1, "selection": MANY, "descripton": 80 * "x"}]},
            ["rules.0.descripton: unknown key (did you mean 'description'?)", "rules.0: needs action"],
        ),
        ({"rules": [{**rule(), "description": 80}]}, ["rules.0.description: must be a string"]),
        ({"rules": [{**rule(), "rulePriority": True}]}, ["rules.0.rulePriority: must be a whole number, 1 or more"]),
        (
            {"rules": [{**rule(), "rulePriority": "1"}]},
            ["rules.0.rulePriority: must be a whole number, not a string: remove the quotes"],
        ),
        (
            {"rules": [tagged(1, tagPrefixList=["a"]), tagged(1, tagPrefixList=["b"])]},
            ["rules.1.rulePriority: rules[0] also has priority 1"],
        ),
        ({"rules": [rule(countNumber=0)]}, ["rules.0.selection.countNumber: must be a whole number, 1 or more"]),
        (
            {"rules": [rule(countNumber="7")]},
            ["rules.0.selection.countNumber: must be a whole number, not a string: remove the quotes"],
        ),
        ({"rules": [rule(countNumber="x")]}, ["rules.0.selection.countNumber: must be a whole number, 1 or more"]),
        ({"rules": [rule(countType=None)]}, ["rules.0.selection: needs countType"]),
        ({"rules": [rule(countType=5)]}, ["rules.0.selection.countType: must be a string"]),
        ({"rules": [rule(countTyp="x")]}, ["rules.0.selection.countTyp: unknown key (did you mean 'countType'?)"]),
        (
            {"rules": [rule(tagStatus="untaged")]},
            [
                "rules.0.selection.tagStatus: must be tagged or untagged or any, not \"untaged\" (did you mean 'untagged'?)"
            ],
        ),
        (
            {"rules": [rule(countType="sinceImagePushed")]},
            ["rules.0.selection: needs countUnit (days), since its countType is sinceImagePushed"],
        ),
        (
            {"rules": [rule(countType="sinceImagePushed", countUnit="weeks")]},
            ['rules.0.selection.countUnit: must be days, not "weeks"'],
        ),
        (
            {"rules": [rule(countUnit="days")]},
            ["rules.0.selection.countUnit: ECR allows no unit if countType is imageCountMoreThan"],
        ),
        (
            {"rules": [rule(countType="sinceImageTransitioned", countUnit="days")]},
            ["rules.0.selection: storageClass must be archive if countType is sinceImageTransitioned"],
        ),
        (
            {"rules": [rule(storageClass="archive")]},
            ["rules.0.selection.storageClass: storageClass must be standard if countType is imageCountMoreThan"],
        ),
        (
            {"rules": [rule(action={"type": "transition"})]},
            ["rules.0.action: needs targetStorageClass, since its type is transition"],
        ),
        (
            {"rules": [rule(action={"typ": "expire"})]},
            ["rules.0.action.typ: unknown key (did you mean 'type'?)", "rules.0.action: needs type"],
        ),
        (
            {"rules": [tagged()]},
            ["rules.0.selection: needs tagPatternList or tagPrefixList, since its tagStatus is tagged"],
        ),
        (
            {"rules": [tagged(tagPatternList=["a*"], tagPrefixList=["a"])]},
            ["rules.0.selection: has tagPatternList and tagPrefixList; ECR allows only one of them in a rule"],
        ),
        (
            {"rules": [rule(tagPrefixList=["a"])]},
            ["rules.0.selection.tagPrefixList: is only for tagStatus tagged, not any"],
        ),
        (
            {"rules": [tagged(tagPatternList="a*")]},
            ["rules.0.selection.tagPatternList: must be a list of text, and not empty"],
        ),
        (
            {"rules": [tagged(tagPatternList=["v", "test*1*2*3*4*5*6"])]},
            ["rules.0.selection.tagPatternList.1: 'test*1*2*3*4*5*6' has 6 wildcards (*); ECR allows at most 4"],
        ),
        (
            {"rules": [tagged(n, tagPrefixList=[f"p{n}"]) for n in range(1, 52)]},
            ["rules: has 51 rules; ECR allows at most 50"],
        ),
        (
            {"rules": [rule(1), tagged(2, tagPrefixList=["a"])]},
            ["rules.0.rulePriority: a rule whose tagStatus is any must come last: its number must be above 2"],
        ),
        (
            {"rules": [rule(1, tagStatus="untagged"), rule(2, tagStatus="untagged")]},
            ["rules.1: rules[0] is also for untagged images; ECR allows only one such rule"],
        ),
        (
            {"rules": [tagged(1, tagPrefixList=["a", "b"]), tagged(2, tagPrefixList=["b", "a"])]},
            ["rules.1.selection.tagPrefixList: rules[0] has the same prefixes"],
        ),
        (
            {"rules": [{**rule(), "description": 30_700 * "x"}]},
            ["is 30855 characters as JSON; ECR allows 100 to 30720"],
        ),
    ],
)
def test_what_ecr_refuses_is_told_at_its_place(policy: Document, expected: list[str]) -> None:
    faults = policy_faults(policy, ())
    found = [": ".join(filter(None, (".".join(map(str, fault.loc)), fault.message))) for fault in faults]
    assert found == expected


def test_all_that_is_wrong_with_a_policy_comes_at_once_with_its_line(aws: AwsSandbox) -> None:
    rules = [rule(1, countNumber=-1), {**tagged(2, tagPatternList=["*****"]), "descripton": "x"}, "x"]
    with pytest.raises(SpecError) as error:
        aws.spec(aws.document({"name": "app-a", "lifecycle_policy": {"rules": rules}}))
    lines = [problem.line for problem in error.value.problems]
    assert [problem.path.removeprefix("repositories[0].lifecycle_policy.") for problem in error.value.problems] == [
        "rules[0].selection.countNumber",
        "rules[1].selection.tagPatternList[0]",
        "rules[1].descripton",
        "rules[2]",
    ]
    assert lines == sorted(set(lines)), "each at a line of its own"


@pytest.mark.parametrize(
    ("fields", "path", "message"),
    [
        (
            {"retention": {"keep_last": 1, "keep_tags": ["a*b*c*d*e*"]}},
            "retention.keep_tags[0]",
            "5 wildcards (*); ECR allows at most 4",
        ),
        (
            {"retention": {"keep_last": 1, "untagged_days": 1, "keep_tags": [f"v{n}" for n in range(49)]}},
            "retention.keep_tags",
            "ECR allows at most 50 rules, so at most 48 patterns here, each of which is a rule",
        ),
        (
            {"immutable_tags": {"except": ["a*b*c*"]}},
            "immutable_tags.except[0]",
            "3 wildcards (*); ECR allows at most 2",
        ),
        ({"immutable_tags": {"except": list("abcdef")}}, "immutable_tags.except", "ECR allows at most 5 exceptions"),
        ({"description": 86 * "("}, "description", "where it takes 260 characters; a tag holds at most 256"),
    ],
)
def test_what_else_ecr_limits_is_told_at_validation(aws: AwsSandbox, fields: Document, path: str, message: str) -> None:
    with pytest.raises(SpecError) as error:
        aws.spec(aws.document({"name": "app-a", **fields}))
    (problem,) = error.value.problems
    assert problem.path == f"repositories[0].{path}"
    assert message in problem.message
    shorter = {"retention": {"keep_last": 1, "keep_tags": ["a*b*c*d*"]}, "description": 84 * "("}
    assert aws.spec(aws.document({"name": "app-a", "immutable_tags": {"except": ["a*b*"]}, **shorter}))


RETENTION: Document = {"keep_last": 500, "untagged_days": 14, "keep_tags": ["v*"]}
ENDS = "its images no longer expire by these rules: "


@pytest.mark.parametrize(
    ("fields", "rules"),
    [
        (
            {"retention": RETENTION},
            "keep images tagged v*; remove untagged images 14 days after their push; remove images that are not among the newest"
            " 500, unless an earlier rule selects them",
        ),
        (
            {"lifecycle_policy": POLICY},
            "remove untagged images 5 days after their push; remove images that are not among the newest 7, unless an earlier rule"
            " selects them",
        ),
    ],
)
@pytest.mark.parametrize("adopted", [False, True])
def test_a_plan_by_which_a_policy_goes_says_its_rules(
    aws: AwsSandbox, fields: Document, rules: str, adopted: bool
) -> None:
    aws.apply(aws.document({"name": "app-a", **fields}))
    document = aws.document({"name": "app-a", "adopt": adopted})
    if adopted:  # as if somebody else had made it
        aws.client("ecr").untag_resource(
            resourceArn="arn:aws:ecr:us-east-1:123456789012:repository/images-app-a",
            tagKeys=["reconciler-owner", "reconciler-applied-lifecycle"],
        )
        aws.apply(aws.document({"name": "app-a", "adopt": True, **fields}))
    plan = aws.plan(document)
    (change,) = plan.changes
    assert (change.address, change.action, change.notes) == ("images.lifecycle.app-a", Action.DELETE, (ENDS + rules,))
    assert f"images.lifecycle.app-a\n        {ENDS}{rules}\n" in joined(plan_lines(report_of(plan)))
    assert loads(dumps(plan), platforms=aws.platforms).changes == plan.changes


def test_a_rule_with_anything_unusual_is_given_as_it_is_where_it_goes() -> None:
    (found,) = lifecycle.LifecycleKind().weakens(lifecycle.normal(ARCHIVE), None)
    assert found.what == ENDS + "; ".join(text(rule) for rule in json.loads(lifecycle.canonical(ARCHIVE)))
    assert found.quiet


def test_a_template_that_no_longer_gives_a_policy_weakens_nothing() -> None:
    before = TemplateSettings(lifecycle=lifecycle.of_retention(Retention(keep_last=5)))
    assert list(CreationTemplateKind().weakens(before, replace(before, lifecycle=None))) == []
