"""The two roles: what they may act on, whom they trust, and how long their credentials are good."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from reconciler import parse_spec
from reconciler.errors import SpecError
from reconciler.platforms.aws.role_documents import (
    NOBODY,
    permissions,
    permissions_of,
    settings_of,
    trust_of,
    trust_policy,
)
from reconciler.platforms.aws.spec import AwsRegistry
from reconciler.platforms.catalog import Spec
from tests.sandbox.aws import AwsSandbox

ACCOUNT = "123456789012"
GITHUB = "token.actions.githubusercontent.com"
EXTERNAL = {"principal": "987654321091", "external_id": "ours"}
MEMBER = {"principal": "arn:aws:iam::987654321091:role/ci", "org_id": "o-a1b2c3d4e5"}
WORKFLOW = {"oidc": GITHUB, "subject": "repo:acme/shop:ref:refs/heads/main"}


def registry(*trusted: Any, **fields: Any) -> AwsRegistry:
    found: AwsRegistry = AwsRegistry.model_validate(
        {
            "name": "images",
            "platform": "aws",
            "account_id": ACCOUNT,
            "region": "us-east-1",
            "trusted_principals": trusted,
            **fields,
        }
    )
    return found


def problems(*trusted: Any, **fields: Any) -> list[str]:
    row = {"name": "images", "platform": "aws", "account_id": ACCOUNT, "region": "us-east-1", **fields}
    text = yaml.safe_dump({"version": 1, "name": "t", "registries": [{**row, "trusted_principals": list(trusted)}]})
    try:
        parse_spec(text)
    except SpecError as error:
        return [problem.message for problem in error.problems]
    return []


def test_a_role_acts_on_repositories_with_the_marks_of_its_registry_alone() -> None:
    for role in ("pull", "push"):
        (login, images) = permissions(settings_of(registry(), role, "platform"))["Statement"]
        assert (login["Action"], login["Resource"], "Condition" in login) == ("ecr:GetAuthorizationToken", "*", False)
        assert images["Resource"] == [f"arn:aws:ecr:us-east-1:{ACCOUNT}:repository/images-*"]
        assert images["Condition"] == {
            "StringEquals": {
                "aws:ResourceTag/reconciler-owner": "platform",
                "aws:ResourceTag/reconciler-registry": "images",
            }
        }


def test_who_is_left_out_may_not_push() -> None:
    pull, push = (settings_of(registry(), role, "platform") for role in ("pull", "push"))
    assert (pull.trusted, push.trusted, push.trusted_if) == ((ACCOUNT,), (), ())
    assert trust_policy(registry(), push)["Statement"] == [NOBODY]


@pytest.mark.parametrize(
    "trusted", [(), (ACCOUNT,), (EXTERNAL,), (MEMBER,), (WORKFLOW,), (ACCOUNT, EXTERNAL, MEMBER, WORKFLOW)]
)
@pytest.mark.parametrize("role", ["pull", "push"])
def test_what_is_written_is_what_is_read(trusted: tuple[Any, ...], role: str) -> None:
    here = registry(*trusted)
    wanted = settings_of(here, role, "platform")
    assert trust_of(trust_policy(here, wanted)) == (wanted.trusted, wanted.trusted_if, "")
    read = permissions_of(permissions(wanted))
    assert read == {
        "actions": wanted.actions,
        "repositories": wanted.repositories,
        "tags": wanted.tags,
        "other_permissions": "",
    }


def test_narrowed_and_federated_trust_in_awss_own_form() -> None:
    here = registry(EXTERNAL, MEMBER, {**WORKFLOW, "subject": ["repo:acme/shop:*", "repo:acme/web:pull_request"]})
    statements = trust_policy(here, settings_of(here, "push", "platform"))["Statement"]
    assert {
        "Effect": "Allow",
        "Principal": {"AWS": ["arn:aws:iam::987654321091:root"]},
        "Action": ["sts:AssumeRole"],
        "Condition": {"StringEquals": {"sts:ExternalId": ["ours"]}},
    } in statements
    assert {
        "Effect": "Allow",
        "Principal": {"AWS": ["arn:aws:iam::987654321091:role/ci"]},
        "Action": ["sts:AssumeRole"],
        "Condition": {"StringEquals": {"aws:PrincipalOrgID": ["o-a1b2c3d4e5"]}},
    } in statements
    assert {
        "Effect": "Allow",
        "Principal": {"Federated": [f"arn:aws:iam::{ACCOUNT}:oidc-provider/{GITHUB}"]},
        "Action": ["sts:AssumeRoleWithWebIdentity"],
        "Condition": {
            "StringEquals": {f"{GITHUB}:aud": ["sts.amazonaws.com"]},
            "StringLike": {f"{GITHUB}:sub": ["repo:acme/shop:*", "repo:acme/web:pull_request"]},
        },
    } in statements


@pytest.mark.parametrize(
    ("trusted", "message"),
    [
        ({"principal": ACCOUNT}, "give external_id, org_id, or both"),
        (
            {"principal": "everyone", "external_id": "ours"},
            "'everyone' must be an account id, or the ARN of a role or user",
        ),
        ({"principal": ACCOUNT, "org_id": "acme"}, "'acme' must be an organization's id"),
        ({"oidc": GITHUB}, "is required"),
        (
            {"oidc": f"https://{GITHUB}", "subject": "repo:acme/x"},
            "must be an OpenID Connect provider, without https://",
        ),
        ({"oidc": GITHUB, "subject": "*"}, "must be a subject with no wildcard in its first two parts"),
        ({"oidc": GITHUB, "subject": "repo:*"}, "no wildcard in its first two parts"),
        ({"oidc": "gitlab.com", "subject": "project_path:*"}, "no wildcard in its first two parts"),
        ({"oidc": "app.terraform.io", "subject": "organization:*:project:*"}, "no wildcard in its first two parts"),
        ({"oidc": GITHUB, "subject": "environment:prod"}, "must name its owner"),
        (
            {"oidc": GITHUB, "subject": "job_workflow_ref:acme/ci/.github/workflows/x.yml@*"},
            "whose reusable workflow it is",
        ),
        ({"oidc": GITHUB, "subject": "job_workflow_ref:acme/ci/x.yml@main:repo:*"}, "whose reusable workflow it is"),
        (
            {"oidc": GITHUB, "subject": "job_workflow_ref:acme/ci/x.yml@main:repo:ac*/x"},
            "whose reusable workflow it is",
        ),
        ({"oidc": GITHUB, "subject": "repo:acme*"}, "no wildcard in its first two parts"),
        ({"oidc": GITHUB, "subject": "repo:acm?/x"}, "no wildcard in its first two parts"),
        (
            {"oidc": "oidc-configuration.audit-log.githubusercontent.com", "subject": "https://github.com/*"},
            "no wildcard in its first two parts",
        ),
        ({"oidc": "accounts.google.com", "subject": "1*"}, "no wildcard in its first two parts"),
        ({"oidc": "sso.example.com", "subject": "*"}, "matches every user of the provider"),
        ({"oidc": "sso.example.com", "subject": "a\n*"}, "without control characters"),
        ({"oidc": GITHUB, "subject": ["repo:acme/x", "repo:ac*/x"]}, "no wildcard in its first two parts"),
        ({"oidc": GITHUB, "subject": []}, "must not be empty"),
        ({"principals": ACCOUNT}, "is required"),
        (12, "quote it"),
    ],
)
def test_trust_that_is_no_trust_is_an_error_in_words(trusted: Any, message: str) -> None:
    found = problems(trusted)
    assert any(message in item for item in found), found


BITBUCKET = "api.bitbucket.org/2.0/workspaces/acme/pipelines-config/identity/oidc"


@pytest.mark.parametrize(
    ("oidc", "subject"),
    [
        (GITHUB, "repo:acme/shop:*"),
        (GITHUB, "repo:acme/*"),
        (GITHUB, "repository_owner:acme:*"),
        (GITHUB, "repository_owner:acme"),
        (GITHUB, "repo:acme@123/shop@456:ref:refs/heads/main"),
        (GITHUB, "repo:acme/*:job_workflow_ref:acme/ci/.github/workflows/x.yml@*"),
        (GITHUB, "job_workflow_ref:acme/ci/.github/workflows/x.yml@*:repository_owner:acme"),
        ("gitlab.com", "project_path:acme/*"),
        ("app.terraform.io", "organization:acme:project:*"),
        ("oidc-configuration.audit-log.githubusercontent.com", "https://github.com/acme"),
        ("accounts.google.com", "112233445566778899000"),
        # their issuers are one organization's own
        (BITBUCKET, "{9f4e0d1c-1111-2222-3333-444455556666}:*"),
        (f"sts.windows.net/{'0' * 8}-0000-0000-0000-{'0' * 12}", "11111111-2222-3333-4444-555555555555"),
        ("oidc.eks.us-east-1.amazonaws.com/id/EXAMPLE", "system:serviceaccount:*:builder"),
        ("token.actions.acme.example", "job_workflow_ref:acme/ci/x.yml@main"),
    ],
)
def test_a_subject_that_says_whose_it_is_is_taken(oidc: str, subject: str) -> None:
    assert problems({"oidc": oidc, "subject": subject}) == []


@pytest.mark.parametrize(
    ("time", "fine"), [("1h", True), ("60m", True), ("12h", True), ("59m", False), ("13h", False), ("2d", False)]
)
def test_a_session_lasts_as_long_as_iam_takes(time: str, fine: bool) -> None:
    assert (problems(ACCOUNT, max_session=time) == []) == fine


def test_roles_are_made_trusted_and_taken_down_in_every_way(aws: AwsSandbox) -> None:
    for trusted in ([], [EXTERNAL, MEMBER, WORKFLOW], [ACCOUNT], [WORKFLOW], []):
        document = aws.document("app-a", registry={"trusted_principals": trusted})
        aws.apply(document)
        assert aws.plan(document).changes == (), trusted
    assert aws.state()["roles"]["images-push"]["trust"]["Statement"] == [NOBODY]
    assert aws.state()["roles"]["images-push"]["session"] == 3600


def test_whom_a_workflow_s_trust_lets_in_is_said(aws: AwsSandbox) -> None:
    aws.apply(aws.document("app-a"))
    plan = aws.plan(aws.document("app-a", registry={"trusted_principals": [WORKFLOW]}))
    gains = {access.principal.label: access for change in plan.changes for access in change.gains}
    label = "workloads of token.actions.githubusercontent.com with the subject repo:acme/shop:ref:refs/heads/main"
    assert label in gains
    losses = {access.principal.label for change in plan.changes for access in change.losses}
    assert losses == {f"account {ACCOUNT}"}


def test_the_note_on_the_push_role_is_the_registry_s(capsys: pytest.CaptureFixture[str]) -> None:
    spec: Spec = parse_spec(
        yaml.safe_dump(
            {
                "version": 1,
                "name": "t",
                "registries": [{"name": "images", "platform": "aws", "account_id": ACCOUNT, "region": "us-east-1"}],
            }
        )
    )
    assert list(spec.registries[0].notes()) == ["nobody may assume the push role: trusted_principals is not set"]
    assert list(registry(ACCOUNT).notes()) == []


@pytest.mark.parametrize(
    "subject",
    [
        "repo:octo-org@123456/octo-repo@456789:ref:refs/heads/main",
        "repo:octocat_acme/shop:*",
        "repo:acme/shop:environment:Prod EU",
        "repository_owner:acme:*",
        "repo:acme/shop:job_workflow_ref:acme/flows/.github/workflows/push.yml@refs/heads/main",
    ],
)
def test_what_github_issues_can_be_trusted(subject: str) -> None:
    assert problems({"oidc": GITHUB, "subject": subject}) == []


def test_other_providers_subjects_can_be_trusted() -> None:
    for oidc, subject in (
        ("gitlab.com", "project_path:acme/*"),
        ("app.terraform.io", "organization:acme:project:Default Project:workspace:*:run_phase:*"),
        ("oidc.eks.eu-west-1.amazonaws.com/id/ABC", "system:serviceaccount:shop:*"),
        ("vstoken.dev.azure.com/0a", "sc://acme/shop/my connection"),
    ):
        assert problems({"oidc": oidc, "subject": subject}) == [], oidc
