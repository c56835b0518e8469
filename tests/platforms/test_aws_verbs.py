"""What a grant on AWS lets somebody do: pull, push, read, everything."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler import SpecError, parse_spec
from reconciler.platforms.aws import policy
from reconciler.render.report import report_of
from tests.sandbox.aws import AwsSandbox
from tests.sandbox.base import Document

A = "987654321091"
ROOT = f"arn:aws:iam::{A}:root"


def grant(**fields: Any) -> Document:
    return {"name": "one", "to": {"type": "aws", "account_ids": [A]}, **fields}


def actions(aws: AwsSandbox, name: str = "images-app-a") -> list[str]:
    answer = aws.client("ecr", "us-east-1").get_repository_policy(repositoryName=name)
    (statement,) = json.loads(answer["policyText"])["Statement"]
    found: list[str] = policy.listed(statement["Action"])
    return found


@pytest.mark.parametrize(
    ("fields", "expected", "words"),
    [
        ({}, policy.PULL, "pull"),
        ({"also": ["read"]}, (*policy.PULL, *policy.READ), "pull and read"),
        (
            {"permission": "push-pull", "also": ["read"]},
            (*policy.PULL, *policy.PUSH, *policy.READ),
            "pull, push, and read",
        ),
    ],
)
def test_what_stands_on_the_platform_is_what_the_grant_says(
    aws: AwsSandbox, fields: dict[str, Any], expected: tuple[str, ...], words: str
) -> None:
    document = aws.document("app-a", grants=(grant(**fields),))
    plan = aws.plan(document)
    assert f"account {A} can now {words} app-a" in [item.text for item in report_of(plan).gains.statements]
    aws.apply(document)
    assert actions(aws) == sorted(expected)
    assert aws.plan(document).changes == ()


def test_an_administrator_is_shown_as_a_danger_and_needs_the_guard_s_word(aws: AwsSandbox) -> None:
    document = aws.document("app-a", grants=(grant(permission="admin"),))
    plan = aws.plan(document)
    assert [(item.guard, item.message) for item in plan.violations] == [
        (
            "allow_admin",
            f"account {A} could delete images and change who has access (images.access.app-a);"
            " guards.allow_admin: true would allow it",
        )
    ]
    danger = "danger: that allows deleting images, and letting others in"
    said = [item.text for item in report_of(plan).gains.statements]
    assert f"account {A} can now pull, push, read, and change or delete app-a ({danger})" in said
    document["guards"] = {"allow_admin": True}
    aws.apply(document)
    assert actions(aws) == ["ecr:*"]
    assert aws.plan(document).changes == ()


def test_somebody_else_s_administrator_is_reported(aws: AwsSandbox) -> None:
    document = aws.document("app-a")
    aws.apply(document)
    theirs = {"Sid": "theirs", "Effect": "Allow", "Principal": {"AWS": ROOT}, "Action": "ecr:*"}
    aws.client("ecr", "us-east-1").set_repository_policy(
        repositoryName="images-app-a", policyText=json.dumps({"Version": "2012-10-17", "Statement": [theirs]})
    )
    plan = aws.plan(document)
    assert [item.message for item in plan.strangers] == [
        f"account {A} can delete images and change who has access (images.access.app-a), and guards.allow_admin is not true"
    ]
    assert plan.changes == (), "it is reported, and stays"


def test_what_a_platform_s_grants_cannot_give_is_an_error_at_its_line() -> None:
    text = (
        "version: 1\nname: t\nregistries: [{name: box, platform: local, path: box}]\n"
        "repositories: [{name: a, registry: box}]\n"
        "grants:\n"
        "  - {name: g, registry: box, permission: admin, to: {type: local, users: [u]}}\n"
        "  - {name: h, registry: box, also: [read], to: {type: local, users: [u]}}\n"
    )
    with pytest.raises(SpecError) as error:
        parse_spec(text)
    assert [(item.line, item.message) for item in error.value.problems] == [
        (6, "'admin' can't be granted on local; registry box takes pull or push-pull"),
        (7, "'read' can't be granted on local; registry box takes no `also`"),
    ]


permissions = st.sampled_from(["pull", "push-pull", "admin"])


@given(permissions, st.booleans())
@settings(max_examples=10, deadline=None)
def test_read_is_given_beside_and_never_takes_away(permission: str, read: bool) -> None:
    from reconciler.platforms.aws.statements import of_grants

    also = ["read"] if read else []
    spec = parse_spec(
        json.dumps(
            {
                "version": 1,
                "name": "t",
                "registries": [
                    {"name": "images", "platform": "aws", "account_id": "123456789012", "region": "us-east-1"}
                ],
                "repositories": [{"name": "a", "registry": "images"}],
                "grants": [grant(registry="images", permission=permission, also=also)],
            }
        )
    )
    (statement,) = of_grants(spec.grants, spec.registries[0])  # type: ignore[arg-type]  # it is on AWS
    said = policy.verbs(statement.actions)
    assert ("read" in said) == (read or permission == "admin")
    assert ("push" in said) == (permission != "pull")
    assert ("change or delete" in said) == (permission == "admin")
    assert "pull" in said
