"""Repository creation templates: the spec's defaults for what ECR makes by itself, beside the templates of others."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from reconciler.engine.plan_file import dumps, loads
from reconciler.errors import PlanRefused, ReconcilerError, SpecError, StalePlan
from reconciler.render.report import report_of
from reconciler.render.text import joined, plan_lines
from tests.platforms.test_aws_caches import CutOff, changes, tags
from tests.sandbox.aws import ACCOUNT, AS_ROLE, FOREIGN_STATEMENT, HUB, KEY, LIFECYCLE, TEMPLATE, AwsSandbox
from tests.sandbox.base import Document

AT = "images.creation_template.docker-hub"
NOTE = "reconciler-applied-creation_template-us-east-1/docker-hub"
THEIRS = {
    "prefix": "theirs",
    "appliedFor": ["REPLICATION"],
    "imageTagMutability": "MUTABLE",
    "encryptionConfiguration": {"encryptionType": "AES256"},
}
POLICY = json.dumps({"Version": "2012-10-17", "Statement": [FOREIGN_STATEMENT]})


def made_by(aws: AwsSandbox, *templates: Document, **top: Any) -> Document:
    registry = {"creation_templates": list(templates), **top.pop("registry", {})}
    return aws.document("web", registry=registry, **{"guards": {"max_deletes": "100%"}, **top})


def templates(aws: AwsSandbox, region: str = "us-east-1") -> dict[str, Document]:
    return aws.templates.templates.setdefault(region, {})


def said(aws: AwsSandbox, prefix: str = "docker-hub", region: str = "us-east-1") -> Document:
    return {key: item for key, item in templates(aws, region)[prefix].items() if not key.endswith("At")}


def test_a_registry_without_templates_asks_nothing_about_them(aws: AwsSandbox) -> None:
    templates(aws)["theirs"] = dict(THEIRS)
    aws.apply(made_by(aws))
    assert [call.operation for call in aws.proxy.calls if "Template" in call.operation] == []
    assert templates(aws) == {"theirs": THEIRS}


def rules_of(text: str) -> list[Document]:
    found: list[Document] = json.loads(text)["rules"]
    return found


DEFAULTS = {
    "repository": {
        "description": "of repositories alone",
        "immutable_tags": {"except": ["latest"]},
        "retention": {"keep_last": 9},
        "labels": {"team": "a", "tier": "1"},
        "scan_on_push": True,
    }
}


def test_the_settings_are_the_defaults_and_the_template_s_own_go_before(aws: AwsSandbox) -> None:
    document = made_by(aws, AS_ROLE, defaults=DEFAULTS)
    aws.apply(document)
    found = said(aws)
    assert rules_of(found.pop("lifecyclePolicy"))[0]["selection"]["countNumber"] == 9
    assert found == {
        "prefix": "docker-hub",
        "appliedFor": ["PULL_THROUGH_CACHE"],
        "customRoleArn": AS_ROLE["role_arn"],
        "imageTagMutability": "IMMUTABLE_WITH_EXCLUSION",
        "imageTagMutabilityExclusionFilters": [{"filterType": "WILDCARD", "filter": "latest"}],
        "encryptionConfiguration": {"encryptionType": "AES256"},
        "resourceTags": [{"Key": "team", "Value": "a"}, {"Key": "tier", "Value": "1"}],
    }
    assert changes(aws, document) == []
    own = {
        **AS_ROLE,
        "description": "what we cache",
        "immutable_tags": True,
        "retention": {"keep_last": 5, "untagged_days": 2},
        "labels": {"team": "b"},
        "encryption": {"kms_key": KEY.format(1)},
    }
    document = made_by(aws, own, defaults=DEFAULTS)
    aws.apply(document)
    found = said(aws)
    assert [rule["selection"]["countNumber"] for rule in rules_of(found["lifecyclePolicy"])] == [2, 5]
    assert (found["imageTagMutability"], found["description"]) == ("IMMUTABLE", "what we cache")
    assert found["resourceTags"] == [{"Key": "team", "Value": "b"}, {"Key": "tier", "Value": "1"}]
    assert found["encryptionConfiguration"] == {"encryptionType": "KMS", "kmsKey": KEY.format(1)}
    assert changes(aws, document) == []


def test_null_takes_a_default_away_and_what_was_there_with_it(aws: AwsSandbox) -> None:
    aws.apply(made_by(aws, {**AS_ROLE, "description": "x"}, defaults=DEFAULTS))
    bare = {**TEMPLATE, "labels": None, "retention": None, "immutable_tags": False}
    document = made_by(aws, bare, defaults=DEFAULTS)
    aws.apply(document)
    assert said(aws) == {**THEIRS, "prefix": "docker-hub", "appliedFor": ["PULL_THROUGH_CACHE"]}
    assert changes(aws, document) == []


def test_another_default_is_planned_for_the_templates_that_take_it(aws: AwsSandbox) -> None:
    aws.apply(made_by(aws, TEMPLATE, {**TEMPLATE, "prefix": "own", "immutable_tags": False}))
    document = made_by(
        aws,
        TEMPLATE,
        {**TEMPLATE, "prefix": "own", "immutable_tags": False},
        defaults={"repository": {"immutable_tags": True}},
    )
    (change,) = [change for change in aws.plan(document).changes if change.kind == "creation_template"]
    assert (change.address, change.cause.value) == (AT, "pending")
    assert [(item.path, item.old, item.new) for item in change.fields] == [("immutable_tags", False, True)]


def test_one_for_replication_is_in_the_regions_that_images_are_copied_to_for_that_alone(aws: AwsSandbox) -> None:
    both = {**AS_ROLE, "for": ["replication", "create_on_push"], "encryption": {"kms_key": KEY.format(1)}}
    copied = {"replication_regions": ["eu-west-1"]}
    aws.apply(made_by(aws, both, {**TEMPLATE, "prefix": "quay"}, registry=copied))
    assert said(aws)["appliedFor"] == ["CREATE_ON_PUSH", "REPLICATION"]
    assert set(templates(aws, "eu-west-1")) == {"docker-hub"}
    there = said(aws, region="eu-west-1")
    assert there["appliedFor"] == ["REPLICATION"]
    assert there["encryptionConfiguration"]["kmsKey"] == KEY.format(1).replace("us-east-1", "eu-west-1")
    assert changes(aws, made_by(aws, both, {**TEMPLATE, "prefix": "quay"}, registry=copied)) == []
    document = made_by(aws, {**both, "for": ["create_on_push"]}, registry=copied)
    assert (f"{AT}@eu-west-1", "delete") in changes(aws, document)
    aws.apply(document)
    assert (set(templates(aws)), set(templates(aws, "eu-west-1"))) == ({"docker-hub"}, set())


def test_it_is_made_before_the_rule_that_makes_repositories_by_it(aws: AwsSandbox) -> None:
    aws.apply(made_by(aws, TEMPLATE, registry={"pull_through_cache": [HUB]}))
    made = [call.operation for call in aws.proxy.calls if call.operation.startswith("Create")]
    assert made.index("CreateRepositoryCreationTemplate") < made.index("CreatePullThroughCacheRule")


@pytest.mark.parametrize("leaves", ["the template", "retired", "destroy"])
def test_ours_goes_and_what_others_made_stays(aws: AwsSandbox, leaves: str) -> None:
    templates(aws)["theirs"] = dict(THEIRS)
    aws.apply(made_by(aws, TEMPLATE))
    assert set(templates(aws)) == {"theirs", "docker-hub"}
    if leaves == "the template":
        assert changes(aws, made_by(aws)) == [(AT, "delete")]
        aws.apply(made_by(aws))
        assert NOTE not in tags(aws)
    elif leaves == "retired":
        aws.apply(made_by(aws, TEMPLATE, registry={"retired": True}))
    else:
        aws.apply(made_by(aws, TEMPLATE), destroy=True)
    assert templates(aws) == {"theirs": THEIRS}


def test_one_that_somebody_else_made_is_a_conflict_until_it_is_adopted(aws: AwsSandbox) -> None:
    templates(aws)["theirs"] = {**THEIRS, "repositoryPolicy": POLICY}
    document = made_by(aws, {**TEMPLATE, "prefix": "theirs", "immutable_tags": True})
    at = "images.creation_template.theirs"
    with pytest.raises(PlanRefused, match=r"creation template theirs in us-east-1 .* already exists and has no owner"):
        aws.apply(document)
    aws.apply(document, adopt=[at])
    assert said(aws, "theirs") == {
        **THEIRS,
        "appliedFor": ["PULL_THROUGH_CACHE"],
        "imageTagMutability": "IMMUTABLE",
        "repositoryPolicy": POLICY,
    }
    assert changes(aws, document) == []
    assert [item.guard for item in aws.plan(made_by(aws)).violations] == ["adopted", "foreign"]


@pytest.mark.parametrize("forgetful", [False, True])
def test_a_repository_policy_that_somebody_put_there_is_reported_and_stays_through_every_update(
    aws: AwsSandbox, forgetful: bool
) -> None:
    aws.templates.forgetful = forgetful
    document = made_by(aws, TEMPLATE)
    aws.apply(document)
    templates(aws)["docker-hub"]["repositoryPolicy"] = POLICY
    assert changes(aws, document) == []
    report = joined(plan_lines(report_of(aws.plan(document))))
    assert "a repository policy for the repositories that it makes (statement 'legacy access, by hand')" in report
    aws.apply(made_by(aws, {**TEMPLATE, "immutable_tags": True}))
    assert (said(aws)["repositoryPolicy"], said(aws)["imageTagMutability"]) == (POLICY, "IMMUTABLE")


def by_hand(**members: Any) -> Callable[[dict[str, Document]], None]:
    return lambda found: found["docker-hub"].update(members)


@pytest.mark.parametrize(
    ("hand", "path"),
    [
        (lambda found: found.clear(), ""),
        (by_hand(appliedFor=["REPLICATION"]), "for"),
        (by_hand(description="by hand"), "description"),
        (by_hand(customRoleArn=f"arn:aws:iam::{ACCOUNT}:role/other"), "role_arn"),
        (by_hand(imageTagMutability="MUTABLE_WITH_EXCLUSION"), "immutable_tags"),
        (by_hand(encryptionConfiguration={"encryptionType": "KMS_DSSE"}), "encryption"),
        (by_hand(resourceTags=[{"Key": "team", "Value": "infra"}]), "labels.team"),
        (by_hand(lifecyclePolicy=json.dumps(LIFECYCLE)), "lifecycle.rule 1"),
    ],
)
def test_what_a_hand_changes_is_drift_and_is_put_right(
    aws: AwsSandbox, hand: Callable[[dict[str, Document]], None], path: str
) -> None:
    document = made_by(aws, TEMPLATE)
    aws.apply(document)
    good = aws.state()
    hand(templates(aws))
    (change,) = aws.plan(document).changes
    assert (change.address, change.cause.value) == (AT, "drift")
    assert not path or [item.path for item in change.fields] == [path]
    aws.apply(document)
    assert aws.state() == good
    assert changes(aws, document) == []


def test_a_policy_that_means_the_same_is_not_sent_again(aws: AwsSandbox) -> None:
    aws.apply(made_by(aws, {**TEMPLATE, "lifecycle_policy": LIFECYCLE}))
    other = {"rules": [{**LIFECYCLE["rules"][0], "rulePriority": 7, "description": "the newest 77"}]}
    templates(aws)["docker-hub"]["lifecyclePolicy"] = json.dumps(other)
    assert changes(aws, made_by(aws, {**TEMPLATE, "lifecycle_policy": LIFECYCLE})) == []


@pytest.mark.parametrize("before", [None, {**TEMPLATE, "immutable_tags": True}])
@pytest.mark.parametrize("after", [TEMPLATE, None])
def test_whenever_a_run_is_cut_off_the_next_one_ends_as_an_undisturbed_one(
    aws: AwsSandbox, before: Document | None, after: Document | None
) -> None:
    first, then = (made_by(aws, *([item] if item else [])) for item in (before, after))
    number = 0
    while True:
        number += 1
        aws.reset()
        templates(aws)["theirs"] = dict(THEIRS)
        aws.apply(first)
        plan = aws.plan(then)
        cut = CutOff((number + 1) // 2, carried_out=number % 2 == 0)
        aws.proxy.behaviours.append(cut)
        with suppress(ReconcilerError):
            aws.carry_out(plan)
        aws.proxy.behaviours.remove(cut)
        aws.apply(then)
        assert changes(aws, then) == []
        assert set(templates(aws)) == {"theirs", *(["docker-hub"] if after else [])}
        assert (NOTE in tags(aws)) == bool(after)
        if cut.seen < cut.number:
            break
    assert before == after or number > 4


def test_a_saved_plan_is_stale_once_a_hand_has_changed_the_template(aws: AwsSandbox) -> None:
    aws.apply(made_by(aws, TEMPLATE))
    saved = dumps(aws.plan(made_by(aws, {**TEMPLATE, "immutable_tags": True})))
    templates(aws)["docker-hub"]["repositoryPolicy"] = POLICY
    with pytest.raises(StalePlan, match="what others keep in the same document changed"):
        aws.carry_out(loads(saved, platforms=aws.platforms), saved=True)


def test_a_saved_plan_is_what_is_applied(aws: AwsSandbox) -> None:
    document = made_by(aws, {**AS_ROLE, "lifecycle_policy": LIFECYCLE, "labels": {"team": "a"}})
    aws.carry_out(loads(dumps(aws.plan(document)), platforms=aws.platforms), saved=True)
    assert changes(aws, document) == []


@pytest.mark.parametrize(
    ("edit", "part"),
    [
        ({"used_for": ["everything"]}, "for"),
        ({"description": "x" * 257}, "description"),
        ({"role_arn": "nobody"}, "role_arn"),
        ({"movable_tags": ["latest"]}, "movable_tags"),
        ({"tags_immutable": True, "movable_tags": ["a b"]}, "immutable_tags"),
        ({"encryption": "a key"}, "encryption"),
        ({"mutability": "SOMETIMES"}, "mutability"),
        ({"labels": [["", "x"]]}, "labels"),
        ({"lifecycle": {"rules": '[{"rulePriority":1}]'}}, "lifecycle"),
    ],
)
def test_an_edited_plan_writes_nothing_that_no_spec_could_say(aws: AwsSandbox, edit: Document, part: str) -> None:
    document = json.loads(dumps(aws.plan(made_by(aws, TEMPLATE))))
    (change,) = [change for change in document["changes"] if change["address"] == AT]
    change["desired"]["settings"] |= edit
    with pytest.raises(ReconcilerError, match=f"{part}.* would not be written as shown"):
        loads(json.dumps(document), "plan.json", platforms=aws.platforms)


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ({"prefix": "Docker"}, "must be words of lower-case letters and digits"),
        ({"prefix": "a" * 90}, "has 90 characters; it is noted in a tag's key, which has room for 81"),
        ({"for": []}, "for: "),
        ({"for": ["replication", "replication"]}, "for[1]: 'replication' is listed twice"),
        ({"for": ["pull"]}, "for[0]: "),
        ({"role_arn": "arn:aws:iam::987654321091:role/r"}, "role_arn: must be a role of the registry's own account"),
        ({"labels": {"aws:x": "y"}, "role_arn": AS_ROLE["role_arn"]}, "are reserved"),
        ({"labels": {"team": "a"}}, "has labels, its own or those of defaults.repository, which ECR gives"),
        ({"encryption": {"kms_key": KEY.format(1)}}, "has encryption, its own or those of defaults.repository"),
        ({"encryption": {"kms_key": "alias/x"}, "role_arn": AS_ROLE["role_arn"]}, "must be a key's ARN"),
        ({"lifecycle_policy": {"rules": []}}, "needs a list of rules"),
        ({"immutable_tags": {"except": [f"t{number}" for number in range(6)]}}, "ECR allows at most 5 exceptions"),
        ({"retention": {"keep_tags": ["*-*-*-*-*-*"], "keep_last": 1}}, "ECR allows at most 4"),
        ({"scan_on_push": True}, "scan_on_push: unknown key"),
    ],
)
def test_what_ecr_would_refuse_is_an_error_in_the_spec(aws: AwsSandbox, template: Document, message: str) -> None:
    with pytest.raises(SpecError) as refused:
        aws.plan(made_by(aws, {**TEMPLATE, **template}))
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("defaults", "template", "message"),
    [
        (
            {"labels": {"team": "a"}},
            {},
            r"creation_templates\[0\]: has labels, its own or those of defaults.repository",
        ),
        ({"retention": {"keep_last": 3}}, {"retention": {"keep_last": None}}, "retention: "),
        ({"lifecycle_policy": {"rules": []}}, {}, "needs a list of rules"),
    ],
)
def test_a_default_that_no_template_can_have_is_an_error_at_the_template(
    aws: AwsSandbox, defaults: Document, template: Document, message: str
) -> None:
    document = {**made_by(aws, {**TEMPLATE, **template}), "defaults": {"repository": defaults}, "repositories": []}
    with pytest.raises(SpecError, match=message):
        aws.plan(document)


def test_what_is_wrong_with_a_default_or_a_template_by_itself_is_said_once(aws: AwsSandbox) -> None:
    document = made_by(
        aws, {**TEMPLATE, "encryption": {"kms_key": 3}}, defaults={"repository": {"retention": {"keep_last": 0}}}
    )
    with pytest.raises(SpecError) as refused:
        aws.plan(document)
    assert [line.partition(": ")[2].partition(": ")[0] for line in str(refused.value).splitlines()] == [
        "registries[0].creation_templates[0].encryption.kms_key",
        "defaults.repository.retention.keep_last",
    ]


def test_prefixes_are_one_s_alone_and_each_has_room_for_its_note(aws: AwsSandbox) -> None:
    with pytest.raises(SpecError, match=r"creation_templates\[1\]\.prefix: 'docker-hub' is listed twice"):
        aws.plan(made_by(aws, TEMPLATE, {**TEMPLATE, "prefix": "docker-hub/"}))
    document = made_by(aws, TEMPLATE)
    document["registries"].append(aws.registry("other", creation_templates=[TEMPLATE]))
    with pytest.raises(SpecError, match="its creation_templates has 'docker-hub', as has registry other"):
        aws.plan(document)
    copied = {**TEMPLATE, "for": ["replication"]}
    document = made_by(aws, copied, registry={"replication_regions": ["eu-west-1"]})
    document["registries"].append(aws.registry("other", region="eu-west-1", creation_templates=[TEMPLATE]))
    with pytest.raises(SpecError, match=r"as has registry other in the same account and region \(eu-west-1\)"):
        aws.plan(document)
    many = [{**TEMPLATE, "prefix": f"p{number}", "for": ["replication"]} for number in range(20)]
    with pytest.raises(
        SpecError,
        match=r"40 templates need a tag each to be noted, a template one in each region: .* 2 regions, 38 are left",
    ):
        aws.plan(made_by(aws, *many, registry={"replication_regions": ["eu-west-1"]}))
    assert aws.plan(made_by(aws, *many[:19], registry={"replication_regions": ["eu-west-1"]})).problems == ()
