"""What the error over ECR's limit suggests: first to merge grants, which gives nobody more, and nothing that is not there."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reconciler.platforms.aws import effective, shared, statements
from reconciler.platforms.aws.access_settings import settings_of, too_long
from reconciler.platforms.aws.shorter import advice
from reconciler.platforms.catalog import Spec
from reconciler.spec.loader import parse_spec
from reconciler.spec.models import Grant
from tests.platforms.test_aws_shared import OTHER, PULLS, REGISTRY, arn
from tests.sandbox.aws import ACCOUNT
from tests.sandbox.base import Document

SSO = f"arn:aws:iam::{OTHER}:role/aws-reserved/sso.amazonaws.com/eu-central-1/AWSReservedSSO_DeveloperAccess_{{:016x}}"
WORKERS = {"allowed_service_types": ["worker"]}
FIRST = "for this repository, put the principals of "
ONE = " into one grant, which gives nobody more access: the policy would "


def grants_of(*targets: Document, **fields: Any) -> tuple[Grant, ...]:
    grants = [
        {"name": f"g-{number}", "registry": "images", "to": {"type": "aws", **to}, **fields}
        for number, to in enumerate(targets)
    ]
    registry = {"name": "images", "platform": "aws", "account_id": ACCOUNT, "region": "us-east-1"}
    document: dict[str, Any] = {"version": 1, "name": "tests", "registries": [registry], "grants": grants}
    document["repositories"] = [{"name": "web", "registry": "images"}]
    return parse_spec(json.dumps(document), model=Spec).grants


def said(grants: tuple[Grant, ...], *others: Document) -> str:
    found = too_long(settings_of(grants, REGISTRY), {"Version": "2012-10-17", "Statement": list(others)})
    return found.partition("): ")[2] if found and not others else found or ""


def account(number: int) -> str:
    return f"{100000000000 + number}"


def test_roles_of_a_grant_each_that_fit_in_one_grant_are_to_be_merged() -> None:
    grants = grants_of(*({"role_arns": [SSO.format(number)]} for number in range(80)))
    assert said(grants) == f"{FIRST}g-0, g-1, g-10 and 77 more{ONE}then have 10,196 characters"
    one = grants_of({"role_arns": [SSO.format(number) for number in range(80)]})
    assert said(one) == "", "what the error says is so"


def test_lambda_in_a_grant_each_is_to_be_merged() -> None:
    grants = grants_of(*({"account_ids": [account(number)], **WORKERS} for number in range(40)))
    assert said(grants).startswith(f"{FIRST}g-0, g-1, g-10 and 37 more{ONE}then have 3,4")
    assert said(grants_of({"account_ids": [account(number) for number in range(40)], **WORKERS})) == ""


def test_what_merging_does_not_make_short_enough_says_what_widens_as_such() -> None:
    grants = grants_of(*({"role_arns": [SSO.format(number)]} for number in range(200)))
    first, second = said(grants).split("; ")
    assert first.startswith(f"{FIRST}g-0, g-1, g-10 and 197 more{ONE}still have 2")
    assert second == (
        f"or grant account {OTHER} as a whole (account_ids) instead of its 200 roles and users, which gives access to all"
        " that the account lets in"
    )


def test_foreign_statements_are_spoken_of_where_there_are_some_and_counted_in_characters() -> None:
    grants = grants_of(
        *({"services": ["lambda"], "function_arns": [_function(number, 0)]} for number in range(2)),
        {"services": ["lambda"], "function_arns": [_function(number, 1) for number in range(200)]},
    )
    assert "foreign" not in said(grants)
    assert said(grants).endswith("; or give fewer principals access")
    accounts = [f"arn:aws:iam::{account(number)}:root" for number in range(305)]
    theirs = {"Sid": "theirs", "Effect": "Allow", "Principal": {"AWS": accounts}, "Action": PULLS}
    found = said(grants_of({"account_ids": [OTHER]}), theirs)
    size = len(shared.text_of({"Version": "2012-10-17", "Statement": [theirs]}))
    assert f"1 grant (g-0 with 1 principal) and 1 foreign statement of {size:,} characters: " in found
    assert found.endswith(": give fewer principals access, or remove foreign statements")


def test_foreign_statements_are_to_be_removed_before_an_account_is_granted_as_a_whole() -> None:
    accounts = [f"arn:aws:iam::{account(number)}:root" for number in range(200)]
    theirs = {"Sid": "theirs", "Effect": "Allow", "Principal": {"AWS": accounts}, "Action": PULLS}
    found = said(grants_of(*({"role_arns": [SSO.format(number)]} for number in range(80))), theirs)
    merged, foreign, whole = found.split("; ")[-3:]
    assert ONE in merged
    assert foreign == "or remove foreign statements"
    assert whole == (
        f"or grant account {OTHER} as a whole (account_ids) instead of its 80 roles and users, which gives access to all"
        " that the account lets in"
    )


def test_advice_that_begins_with_an_account_begins_with_no_or() -> None:
    grants = grants_of({"role_arns": [SSO.format(number) for number in range(200)]})
    assert said(grants).startswith(
        f"grant account {OTHER} as a whole (account_ids) instead of its 200 roles and users, "
    )


def _function(number: int, region: int) -> str:
    return f"arn:aws:lambda:{('us-east-1', 'eu-west-1')[region]}:{account(number)}:function:of-the-payments-team"


def regions(*found: str) -> Document:
    return {"regions": list(found), **WORKERS}


@pytest.mark.parametrize(
    "targets",
    [
        # in one grant, each account would have its functions in both regions
        [{"account_ids": [account(0)], **regions("us-east-1")}, {"account_ids": [account(1)], **regions("eu-west-1")}],
        # in one grant, either service could act for both accounts
        [
            {"services": ["codebuild"], "source_accounts": [account(0)]},
            {"services": ["ecs-tasks"], "source_accounts": [account(1)]},
        ],
        # in one grant, Lambda of the second account could pull too
        [{"account_ids": [account(0)], **WORKERS}, {"account_ids": [account(1)]}],
        [
            {"services": ["codebuild"], "source_accounts": [account(n)], "source_arns": [f"arn:aws:x:*:{account(n)}:*"]}
            for n in range(2)
        ],
    ],
)
def test_grants_that_would_give_more_in_one_are_not_to_be_merged(targets: list[Document]) -> None:
    assert ONE not in advice(statements.of_grants(grants_of(*targets), REGISTRY), "aws", full())


@pytest.mark.parametrize(
    ("apart", "one"),
    [
        (
            [{"account_ids": [account(n)], **WORKERS} for n in range(3)],
            {"account_ids": [*map(account, range(3))], **WORKERS},
        ),
        (
            [{"organization_ids": [f"o-a1b2c3d4e{n}"]} for n in range(3)],
            {"organization_ids": [f"o-a1b2c3d4e{n}" for n in range(3)]},
        ),
        (
            [{"services": ["codebuild"], "source_accounts": [account(n)]} for n in range(3)],
            {"services": ["codebuild"], "source_accounts": [*map(account, range(3))]},
        ),
        ([{"role_arns": [arn(n)]} for n in range(3)], {"role_arns": [*map(arn, range(3))]}),
    ],
)
def test_grants_that_are_to_be_merged_give_in_one_what_they_gave(apart: list[Document], one: Document) -> None:
    many, merged = (statements.of_grants(grants_of(*items), REGISTRY) for items in (apart, [one]))
    assert f"{FIRST}g-0, g-1, g-2{ONE}still have " in advice(many, "aws", full())
    assert list(effective.gains(many, merged, ACCOUNT)) == []
    assert list(effective.losses(many, merged, ACCOUNT)) == []


def full() -> Document:
    """A policy in which others leave no room."""
    accounts = [f"arn:aws:iam::{account(number)}:root" for number in range(320)]
    theirs = {"Sid": "theirs", "Effect": "Allow", "Principal": {"AWS": accounts}, "Action": PULLS}
    return {"Version": "2012-10-17", "Statement": [theirs]}


@pytest.mark.parametrize(
    ("row", "target", "sort"),
    [
        (
            "roles whose ARNs have some 50 characters",
            lambda n: f"arn:aws:iam::{OTHER}:role/deployers/team-{n:04}",
            "role_arns",
        ),
        ("roles of IAM Identity Center", SSO.format, "role_arns"),
        ("accounts with Lambda", account, "account_ids"),
    ],
)
def test_as_many_fit_as_the_page_on_aws_says(row: str, target: Callable[[int], str], sort: str) -> None:
    page = Path("docs/aws.md").read_text(encoding="utf-8")
    (line,) = (line for line in page.splitlines() if line.startswith(f"| {row}"))
    each, one = map(int, line.split("|")[2:4])
    more = WORKERS if sort == "account_ids" else {}
    assert said(grants_of(*({sort: [target(number)], **more} for number in range(each)))) == ""
    assert said(grants_of({sort: [target(number) for number in range(one)], **more})) == ""
    assert said(grants_of(*({sort: [target(number)], **more} for number in range(each + 10)))) != ""
