"""Every field of the spec is changed by some transition: this table has one for each, and a test counts them."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from reconciler.platforms.aws.spec import AwsRegistry, AwsTarget
from reconciler.platforms.local.spec import LocalRegistry, LocalTarget
from reconciler.spec.models import Grant, Guards, Spec
from reconciler.spec.repository import Repository
from tests.contract.test_transitions import KEY, RICH
from tests.stages import AwsStage, Document, LocalStage, Stage

Change = Callable[[Document], Any]


def base(platform: str) -> Document:
    document = {"version": 1, "name": "tests", "guards": {"max_deletes": "100%"}, **copy.deepcopy(RICH[platform])}
    document["repositories"].append({"name": "app-c", "registry": "images"})
    return document


def repository(**fields: Any) -> Change:
    return lambda document: document["repositories"][0].update(fields)


def grant(**fields: Any) -> Change:
    return lambda document: document["grants"][0].update(fields)


def target(**fields: Any) -> Change:
    return lambda document: document["grants"][0]["to"].update(fields)


def registry(**fields: Any) -> Change:
    return lambda document: document["registries"][0].update(fields)


def guards(**fields: Any) -> Change:
    return lambda document: document.setdefault("guards", {}).update(fields)


def top(**fields: Any) -> Change:
    return lambda document: document.update(fields)


#: field to the change of the spec that exercises it; the second part says what must come of it:
#: "state": the platform changes; "same": nothing changes on the platform, and nothing is planned
COMMON: dict[str, tuple[Change, str]] = {
    "Repository.name": (repository(name="renamed"), "state"),
    "Repository.description": (repository(description="something else"), "state"),
    "Repository.immutable_tags": (repository(immutable_tags={"except": ["dev-*"]}), "state"),
    "Repository.scan_on_push": (repository(scan_on_push=True), "state"),
    "Repository.retention": (repository(retention={"keep_last": 9, "untagged_days": 2, "keep_tags": ["v*"]}), "state"),
    "Repository.labels": (repository(labels={"team": "b", "tier": "1"}), "state"),
    "Repository.protect": (repository(protect=True), "state"),
    "Repository.delete_images": (repository(delete_images=True), "state"),
    "Repository.adopt": (repository(adopt=True), "same"),
    "Grant.name": (grant(name="renamed"), "state"),
    "Grant.repositories": (grant(repositories=["app-a"]), "state"),
    "Grant.permission": (grant(permission="push-pull"), "state"),
    "Guards.max_deletes": (guards(max_deletes=50), "same"),
    "Guards.protect": (guards(protect=["nothing-*"]), "same"),
    "Guards.allowed_accounts": (guards(allowed_accounts=["987654321091"]), "same"),
    "Guards.allow_public": (guards(allow_public=True), "same"),
    "Spec.defaults": (top(defaults={"repository": {"description": "by default"}}), "state"),
    "Spec.guards": (top(guards={"max_deletes": "90%"}), "same"),
    "Spec.repositories": (lambda document: document["repositories"].pop(), "state"),
    "Spec.grants": (lambda document: document["grants"].pop(), "state"),
}
#: fields that say where and whose everything is: another value is another estate, so the transition starts a second one
ELSEWHERE = {
    "Spec.version": "there is one version",
    "Spec.name": "another owner: test_what_another_spec_owns_is_never_taken_over",
    "Spec.registries": "another registry: the chains of test_transitions.py",
    "Repository.registry": "another registry: the chains of test_transitions.py",
    "Grant.registry": "another registry: the chains of test_transitions.py",
    "Grant.to": "its fields are counted one by one",
    "LocalRegistry.name": "another registry: the chains of test_transitions.py",
    "LocalRegistry.platform": "another platform: the contract suite runs on each",
    "LocalTarget.type": "one type per platform",
    "AwsRegistry.name": "another registry: the chains of test_transitions.py",
    "AwsRegistry.platform": "another platform: the contract suite runs on each",
    "AwsRegistry.account_id": "another account: test_session.py",
    "AwsRegistry.assume_role": "another identity: test_session.py",
    "AwsTarget.type": "one type per platform",
    "Repository.encryption": "aws only, below",
    "Repository.lifecycle_policy": "aws only, below",
}
LOCAL = {
    **COMMON,
    "LocalTarget.users": (target(users=["carol"]), "state"),
    "LocalRegistry.path": (registry(path="elsewhere"), "moved"),
}
LIFECYCLE = {
    "rules": [
        {
            "rulePriority": 1,
            "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 77},
            "action": {"type": "expire"},
        }
    ]
}
AWS = {
    **COMMON,
    "Repository.encryption": (repository(encryption={"kms_key": KEY.format(1)}), "state"),
    "Repository.lifecycle_policy": (repository(lifecycle_policy=LIFECYCLE), "state"),
    "AwsRegistry.region": (registry(region="us-west-2"), "state"),
    "AwsRegistry.replication_regions": (registry(replication_regions=["us-west-2"]), "state"),
    "AwsRegistry.trusted_principals": (registry(trusted_principals=["arn:aws:iam::123456789012:role/ci"]), "state"),
    "AwsTarget.account_ids": (target(account_ids=["987654321092"]), "state"),
    "AwsTarget.regions": (target(regions=["us-east-1"]), "state"),
    "AwsTarget.role_arns": (target(role_arns=["arn:aws:iam::987654321091:role/r"]), "state"),
    "AwsTarget.allowed_service_types": (target(allowed_service_types=[]), "state"),
    "AwsTarget.function_arns": (target(function_arns=["arn:aws:lambda:us-east-1:987654321091:function:f"]), "state"),
}


def fields_of(*models: type[BaseModel]) -> set[str]:
    return {f"{model.__name__}.{name}" for model in models for name in model.model_fields}


def test_the_tables_cover_every_field() -> None:
    every = fields_of(Spec, Guards, Repository, Grant, LocalRegistry, LocalTarget, AwsRegistry, AwsTarget)
    tables = LOCAL.keys() | AWS.keys()
    assert every - tables - ELSEWHERE.keys() == set()
    assert (tables | ELSEWHERE.keys()) - every == set()
    assert get_args(Spec.model_fields["version"].annotation) == (1,)


def transition(stage: Stage, change: Change, expected: str) -> None:
    before, after = base(stage.platform), base(stage.platform)
    change(after)
    stage.apply(before)
    start = stage.state()
    plan = stage.plan(after)
    assert bool(plan.changes) == (expected != "same"), [c.address for c in plan.changes]
    if plan.changes:
        stage.apply(after)
    end = stage.state()
    assert stage.plan(after).changes == ()
    assert (end != start) == (expected != "same")
    if expected == "state":
        stage.reset()
        stage.apply(after)
        assert stage.state() == end
    # and back again: no transition is a one-way street
    if expected != "moved":
        unprotected = copy.deepcopy(after)
        unprotected["repositories"][0]["protect"] = False
        stage.apply(unprotected)
        stage.apply(before)
        assert stage.state() == start


@pytest.mark.parametrize("field", LOCAL)
def test_a_change_of_the_field_is_planned_and_applied_on_local(local: LocalStage, field: str) -> None:
    transition(local, *LOCAL[field])


@pytest.mark.parametrize("field", AWS)
def test_a_change_of_the_field_is_planned_and_applied_on_aws(aws: AwsStage, field: str) -> None:
    transition(aws, *AWS[field])
