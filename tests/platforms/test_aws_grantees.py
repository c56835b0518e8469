"""Who on AWS a grant can be for: the statements that it becomes, and what is refused with what to write instead."""

from __future__ import annotations

import json
from typing import Any

import pytest

from reconciler.engine import guard
from reconciler.errors import SpecError
from reconciler.model.access import Access, Given, Principal
from reconciler.model.address import Address
from reconciler.model.canonical import applied_hash
from reconciler.model.kind import Home
from reconciler.platforms.aws import policy, statements
from reconciler.platforms.aws.access import AccessKind
from reconciler.platforms.aws.access_settings import AccessSettings
from reconciler.platforms.aws.policy import Statement
from reconciler.platforms.aws.policy_access import foreign
from reconciler.platforms.aws.spec import AwsRegistry
from reconciler.platforms.catalog import Spec
from reconciler.render.sentences import gained, lost
from reconciler.spec.loader import parse_spec
from reconciler.spec.models import Guards
from tests.sandbox.base import Document

AT = Address("images.access.app-a")
A, B = "987654321091", "987654321092"
ROLE, USER = f"arn:aws:iam::{A}:role/of/ci", f"arn:aws:iam::{A}:user/eve"


def spec_of(target: Document, region: str = "us-east-1", **grant: Any) -> Spec:
    registry = {"name": "images", "platform": "aws", "account_id": "123456789012", "region": region}
    document = {
        "version": 1,
        "name": "tests",
        "registries": [registry],
        "repositories": [{"name": "app-a", "registry": "images"}],
        "grants": [{"name": "ci", "registry": "images", "to": {"type": "aws", **target}, **grant}],
    }
    return parse_spec(json.dumps(document), model=Spec)


def statements_of(target: Document, **grant: Any) -> tuple[Statement, ...]:
    spec = spec_of(target, **grant)
    registry = spec.registries[0]
    assert isinstance(registry, AwsRegistry)
    return statements.of_grants(spec.grants, registry)


def problems_of(target: Document, **grant: Any) -> list[str]:
    with pytest.raises(SpecError) as raised:
        spec_of(target, **grant)
    return [problem.message for problem in raised.value.problems]


# -- roles and users ---------------------------------------------------------------------------------------------


def test_roles_and_users_stand_in_the_statement_of_accounts_and_roles() -> None:
    (found,) = statements_of({"account_ids": [B], "role_arns": [ROLE], "principal_arns": [USER]})
    assert found.principals == tuple(sorted((B, ROLE, USER)))
    assert (found.sid, found.actions, found.conditions) == ("ReconcilerXci", policy.PULL, ())
    alone = statements_of({"principal_arns": [ROLE]}, permission="push-pull")
    assert alone == statements_of({"role_arns": [ROLE]}, permission="push-pull")


@pytest.mark.parametrize(
    ("arn", "words"),
    [
        (f"arn:aws:sts::{A}:assumed-role/ci/session", f"write the role, arn:aws:iam::{A}:role/ci, with its path"),
        (f"arn:aws:sts::{A}:federated-user/eve", "write the IAM user or role that it is made with"),
        (f"arn:aws:iam::{A}:root", f'is the whole account: write "{A}" in account_ids'),
        (ROLE, "is in role_arns already"),
        (f"arn:aws-cn:iam::{A}:user/eve", "is not in the partition aws of us-east-1"),
        ("eve", "must be the ARN of an IAM role or user, such as arn:aws:iam::123456789012:user/ci"),
    ],
)
def test_what_is_no_role_and_no_user_is_refused_with_what_to_write_instead(arn: str, words: str) -> None:
    (message,) = problems_of({"role_arns": [ROLE], "principal_arns": [arn]})
    assert words in message


# -- services ----------------------------------------------------------------------------------------------------

PROJECT = f"arn:aws:codebuild:us-east-1:{A}:project/ci"
FUNCTION = f"arn:aws:lambda:us-east-1:{A}:function:f"


def test_each_service_has_a_statement_of_its_own_with_the_conditions_that_aws_documents() -> None:
    found = statements_of({"services": ["codebuild", "ecs-tasks"], "source_accounts": [A], "source_arns": [PROJECT]})
    assert [(item.sid, item.principals, item.actions) for item in found] == [
        ("ReconcilerXciServiceXcodebuild", ("service:codebuild.amazonaws.com",), policy.PULL),
        ("ReconcilerXciServiceXecsXtasks", ("service:ecs-tasks.amazonaws.com",), policy.PULL),
    ]
    assert [policy.document_of(item, "aws")["Condition"] for item in found] == [
        {"ArnLike": {"aws:SourceArn": [PROJECT]}, "StringEquals": {"aws:SourceAccount": [A]}}
    ] * 2
    assert [statements.title(item) for item in found] == ["ci (service codebuild)", "ci (service ecs-tasks)"]
    (pushing,) = statements_of({"services": ["codebuild"]}, permission="push-pull")
    assert pushing.actions == tuple(sorted((*policy.PULL, *policy.PUSH)))


@pytest.mark.parametrize(
    ("name", "principal"),
    [
        ("build.apprunner", "build.apprunner.amazonaws.com"),
        ("sagemaker.amazonaws.com", "sagemaker.amazonaws.com"),
        ("codebuild.amazonaws.com.cn", "codebuild.amazonaws.com.cn"),
    ],
)
def test_the_end_of_a_services_name_is_added_where_it_has_none(name: str, principal: str) -> None:
    (found,) = statements_of({"services": [name], "source_accounts": [A]})
    assert found.principals == (f"service:{principal}",)


@pytest.mark.parametrize(
    ("target", "patterns"),
    [
        ({"account_ids": [A]}, [f"arn:aws:lambda:*:{A}:function:*"]),
        ({"account_ids": [A], "regions": ["us-east-1"]}, [f"arn:aws:lambda:us-east-1:{A}:function:*"]),
        ({"account_ids": [A], "function_arns": [FUNCTION]}, [FUNCTION]),
        ({"account_ids": [A], "source_accounts": [B]}, [f"arn:aws:lambda:*:{B}:function:*"]),
        ({"account_ids": [B], "source_arns": [FUNCTION]}, [FUNCTION]),
    ],
)
def test_lambda_among_the_services_is_the_worker_statement_and_with_worker_too_it_is_there_once(
    target: Document, patterns: list[str]
) -> None:
    worker = {"allowed_service_types": ["worker"]}
    found = statements_of({**target, **worker})
    assert (
        found
        == statements_of({**target, "services": ["lambda"]})
        == statements_of({**target, **worker, "services": ["lambda"]})
    )
    (one,) = [item for item in found if item.sid == "ReconcilerXciWorker"]
    assert policy.document_of(one, "aws")["Condition"] == {"StringLike": {"aws:SourceArn": patterns}}
    assert one.actions == policy.WORKER_PULL


def test_the_hashes_of_policies_that_stand_already_have_not_changed() -> None:
    target = {
        "account_ids": [A],
        "role_arns": [ROLE],
        "allowed_service_types": ["worker"],
        "function_arns": [FUNCTION, FUNCTION + "-*"],
    }
    settings = AccessSettings(statements_of(target))
    assert applied_hash(settings) == "v1-28d8603168d20f85"
    target = {"account_ids": [A, B], "regions": ["us-east-1"], "allowed_service_types": ["worker"]}
    assert applied_hash(AccessSettings(statements_of(target))) == "v1-bd73f62267db4db0"


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ({"account_ids": [A], "source_accounts": [A]}, "source_accounts restrict only services; add services"),
        ({"account_ids": [A], "source_arns": [PROJECT]}, "source_arns restrict only services; add services"),
        ({"services": ["lambda", "lambda.amazonaws.com"]}, "'lambda.amazonaws.com' is the same service as 'lambda'"),
        ({"services": ["CodeBuild"]}, "must be a service's short name, such as codebuild or ecs-tasks"),
        ({"services": ["codebuild"], "source_accounts": [B], "source_arns": [PROJECT]}, f"is of account {A}, which is not listed"),
        ({"services": ["lambda", "codebuild"], "source_arns": [PROJECT]}, "is no Lambda function: give lambda and the other"),
        ({"services": ["codebuild"], "source_arns": ["${aws:username}"]}, "must be the ARN of what the service acts for"),
        ({"services": ["codebuild"], "source_arns": [PROJECT.replace("aws", "aws-cn", 1)]}, "is not in the partition aws"),
        ({"services": ["codebuild"], "regions": ["us-east-1"]}, "regions restrict only the worker statement"),
        ({"services": ["lambda"], "source_arns": [FUNCTION], "regions": ["us-west-2"]}, "is in us-east-1, which is not listed"),
        ({"allowed_service_types": ["worker"]}, "worker needs account_ids or function_arns"),
    ],
)  # fmt: skip
def test_services_and_sources_that_can_do_nothing_are_refused(target: Document, words: str) -> None:
    assert any(words in message for message in problems_of(target))


SERVICE = "service:codebuild.amazonaws.com"


def labels(principal: str, conditions: Document) -> list[tuple[str, str, bool]]:
    found = policy.normal({"Principal": {"Service": principal.partition(":")[2]}, "Condition": conditions})
    return [(who.label, who.account, who.public) for who in policy.who(found.principals[0], found.conditions)]


@pytest.mark.parametrize(
    ("conditions", "words"),
    [
        ({}, [("AWS CodeBuild in any account", "", True)]),
        ({"StringEquals": {"aws:SourceAccount": [A, B]}},
         [(f"AWS CodeBuild in account {A}", A, False), (f"AWS CodeBuild in account {B}", B, False)]),
        ({"ArnLike": {"aws:SourceArn": PROJECT}}, [(f"AWS CodeBuild project/ci of account {A}", A, False)]),
        ({"StringEquals": {"aws:SourceArn": PROJECT, "aws:SourceAccount": A}},
         [(f"AWS CodeBuild project/ci of account {A}", A, False)]),
        ({"ArnLike": {"aws:SourceArn": "arn:aws:codebuild:*:*:project/ci"}},
         [("AWS CodeBuild project/ci of any account", "", True)]),
        ({"ArnLike": {"aws:SourceArn": "arn:aws:codebuild:*:*:*"}}, [("AWS CodeBuild in any account", "", True)]),
        ({"ArnLike": {"aws:SourceArn": "arn:aws:codebuild:*:*:project/ci"}, "StringEquals": {"aws:SourceAccount": A}},
         [(f"AWS CodeBuild project/ci of account {A}", A, False)]),
        ({"ArnLike": {"aws:SourceArn": f"arn:aws:codebuild:eu-west-1:{A}:*"}},
         [(f"AWS CodeBuild in account {A} in eu-west-1", A, False)]),
        ({"ArnLike": {"aws:SourceArn": PROJECT}, "Bool": {"aws:SecureTransport": "true"}},
         [(f"AWS CodeBuild project/ci of account {A} (if aws:SecureTransport is true)", A, False)]),
        ({"StringLike": {"aws:SourceAccount": "9*"}}, [("AWS CodeBuild (if aws:SourceAccount is like 9*)", "", True)]),
        ({"ArnLike": {"aws:SourceArn": "arn:aws:codebuild:us-east-1:9*:project/ci"}},
         [("AWS CodeBuild (if aws:SourceArn is an ARN like arn:aws:codebuild:us-east-1:9*:project/ci)", "", True)]),
        ({"StringEquals": {"aws:SourceArn": PROJECT + "*"}},
         [(f"AWS CodeBuild (if aws:SourceArn is {PROJECT}*)", "", False)]),
        ({"StringEquals": {"aws:SourceOrgID": "o-1"}}, [("AWS CodeBuild (if aws:SourceOrgID is o-1)", "", False)]),
    ],
)  # fmt: skip
def test_a_service_is_said_with_whom_it_acts_for(conditions: Document, words: list[tuple[str, str, bool]]) -> None:
    assert labels(SERVICE, conditions) == words


def test_a_service_without_a_name_here_is_said_by_its_principal() -> None:
    assert labels("service:new.amazonaws.com", {}) == [("new.amazonaws.com in any account", "", True)]


@pytest.mark.parametrize(
    ("service", "key", "alike", "different"),
    [
        ("codebuild.amazonaws.com", "aws:SourceArn", PROJECT, PROJECT + "*"),
        ("lambda.amazonaws.com", "AWS:sourcearn", FUNCTION, FUNCTION + "?"),
        ("codebuild.amazonaws.com", "aws:PrincipalArn", ROLE, "${aws:PrincipalArn}"),
    ],
)
def test_operators_are_read_as_the_same_where_they_mean_the_same(
    service: str, key: str, alike: str, different: str
) -> None:
    def read(operator: str, value: str) -> Statement:
        return policy.normal({"Principal": {"Service": service}, "Condition": {operator: {key: value}}})

    operators = ("StringEquals", "StringLike", "ArnEquals", "ArnLike")
    assert len({read(operator, alike) for operator in operators}) == 1
    assert len({read(operator, different) for operator in operators}) == 3, "ArnEquals and ArnLike are the same always"
    assert read("StringEquals", alike) != read("StringEqualsIfExists", alike)
    assert read("ArnLike", "no-arn") != read("StringEquals", "no-arn"), "what is no ARN fits no ARN operator"


def test_a_policy_of_the_same_meaning_by_hand_is_no_change() -> None:
    (ours,) = statements_of({"services": ["codebuild"], "source_accounts": [A], "source_arns": [PROJECT]})
    by_hand = {
        "Sid": ours.sid,
        "Effect": "Allow",
        "Principal": {"Service": "codebuild.amazonaws.com"},
        "Action": list(ours.actions),
        "Condition": {"StringEquals": {"aws:sourceaccount": A, "aws:sourcearn": PROJECT}},
    }
    assert policy.normal(by_hand) == ours


def granted(target: Document) -> list[tuple[Address, Access]]:
    settings = AccessSettings(statements_of(target))
    return [(AT, item) for item in AccessKind().access(AT, settings)]


def refused(guards: Guards, target: Document, *, foreign: bool = False) -> list[str]:
    found = guard.accounts(guards, granted(target), {"images": "123456789012"}, foreign=foreign)
    return [f"{verdict.guard}: {verdict.message}" for verdict in found]


def test_a_service_that_nothing_narrows_counts_as_public_and_the_guard_names_it() -> None:
    public = {"services": ["codebuild", "ecs-tasks"]}
    assert refused(Guards(), public) == [
        "allow_public: AWS CodeBuild in any account, Amazon ECS tasks in any account would have access"
        " (images.access.app-a); guards.allow_public: true would allow it"
    ]
    assert refused(Guards(), {"services": ["codebuild"]}, foreign=True) == [
        "allow_public: AWS CodeBuild in any account has access (images.access.app-a), and guards.allow_public is not true"
    ]
    assert refused(Guards(allow_public=True, allowed_accounts=()), public) == []
    narrowed = {**public, "source_accounts": [A]}
    assert refused(Guards(), narrowed) == []
    assert refused(Guards(allowed_accounts=(A,)), narrowed) == []
    assert refused(Guards(allowed_accounts=(B,)), narrowed) == [
        f"allowed_accounts: {A} would have access, and guards.allowed_accounts does not list it (images.access.app-a)"
    ]


def differences(before: Document, after: Document) -> tuple[list[str], list[str]]:
    then, now = (Given(AccessSettings(statements_of(item))) for item in (before, after))
    gains, losses = AccessKind().gains_and_losses(AT, then, now, Home("tests", spec_of(before).registries[0]))
    return [item.text for item in gained(gains)], [item.text for item in lost(losses)]


def test_a_service_with_fewer_sources_is_narrower() -> None:
    wide, narrow = {"services": ["codebuild"]}, {"services": ["codebuild"], "source_accounts": [A]}
    left = f"but AWS CodeBuild in account {A} still can"
    assert differences(wide, narrow) == ([], [f"AWS CodeBuild in any account can no longer pull app-a, {left}"])
    already = f"as AWS CodeBuild in account {A} could already"
    assert differences(narrow, wide) == ([f"AWS CodeBuild in any account can now pull app-a, {already}"], [])
    other = {**narrow, "source_accounts": [A, B]}
    assert differences(narrow, other) == ([f"AWS CodeBuild in account {B} can now pull app-a"], [])
    one = {**narrow, "source_arns": [PROJECT]}
    already = f"as AWS CodeBuild project/ci of account {A} could already"
    gain = f"AWS CodeBuild in account {A} may now be able to pull app-a, {already}"
    assert differences(one, narrow) == ([gain], [])
    two = {**narrow, "source_arns": [PROJECT, PROJECT + "-2"]}
    assert differences(one, two) == ([f"AWS CodeBuild project/ci-2 of account {A} can now pull app-a"], [])
    arns = {"services": ["codebuild"], "source_arns": [PROJECT]}
    assert differences(narrow, arns) == (
        [f"AWS CodeBuild project/ci of account {A} may now be able to pull app-a"],
        [f"AWS CodeBuild in account {A} may no longer be able to pull app-a"],
    ), "whether a service that says its ARN says its account too, only AWS knows"


def test_sources_of_two_accounts_are_each_said_with_their_own() -> None:
    theirs = PROJECT.replace(A, B)
    both = {"services": ["codebuild"], "source_accounts": [A, B], "source_arns": [PROJECT, theirs]}
    assert {access.principal.label for _, access in granted(both)} == {
        f"AWS CodeBuild project/ci of account {A}",
        f"AWS CodeBuild project/ci of account {B}",
    }


# -- organizations -----------------------------------------------------------------------------------------------

ORG, OTHER_ORG = "o-a1b2c3d4e5", "o-a1b2c3d4e6"
UNIT = f"{ORG}/r-ab12/ou-ab12-11111111/"
BELOW, DEEPER = f"{UNIT}*", f"{UNIT}ou-ab12-22222222/*"


def test_organizations_and_their_paths_are_statements_of_their_own() -> None:
    target = {"account_ids": [A], "organization_ids": [ORG, OTHER_ORG], "organization_paths": [BELOW, UNIT]}
    found = statements_of(target, permission="push-pull")
    assert [item.sid for item in found] == [
        "ReconcilerXci",
        "ReconcilerXciOrganization",
        "ReconcilerXciOrganizationPaths",
    ]
    assert {item.actions for item in found} == {tuple(sorted((*policy.PULL, *policy.PUSH)))}
    assert [policy.document_of(item, "aws") for item in found[1:]] == [
        {
            "Sid": f"ReconcilerXci{part}",
            "Effect": "Allow",
            "Principal": {"AWS": ["*"]},
            "Action": list(found[0].actions),
            "Condition": condition,
        }
        for part, condition in (
            ("Organization", {"StringEquals": {"aws:PrincipalOrgID": [ORG, OTHER_ORG]}}),
            ("OrganizationPaths", {"ForAnyValue:StringLike": {"aws:PrincipalOrgPaths": sorted([BELOW, UNIT])}}),
        )
    ]
    assert [statements.title(item) for item in found] == ["ci", "ci (organization)", "ci (organization paths)"]


@pytest.mark.parametrize(
    "target",
    [
        {"organization_ids": ["o-short"]},
        {"organization_ids": [f"{ORG}/*"]},
        {"organization_paths": [ORG]},
        {"organization_paths": [BELOW.removesuffix("/*")]},
        {"organization_paths": [f"{ORG}*"]},
        {"organization_paths": [BELOW + "x"]},
        {"organization_ids": [ORG, ORG]},
    ],
)
def test_organizations_that_nobody_is_in_are_refused(target: Document) -> None:
    (message,) = problems_of(target)
    assert message.partition("' ")[2] in (
        "must be an organization's id, such as o-a1b2c3d4e5",
        "must be a path of an organization, such as o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/* (with the units below it),"
        " or without the *",
        "is listed twice",
    )


def test_a_path_of_a_whole_organization_is_one() -> None:
    for path in (f"{ORG}/*", f"{ORG}/r-ab12/*", f"{ORG}/r-ab12/"):
        assert len(statements_of({"organization_paths": [path]})) == 1


@pytest.mark.parametrize(
    ("conditions", "words"),
    [
        ({"StringEquals": {"aws:PrincipalOrgID": [ORG, OTHER_ORG]}},
         [(f"any principal of organization {ORG}", ORG), (f"any principal of organization {OTHER_ORG}", OTHER_ORG)]),
        ({"StringLike": {"aws:principalorgid": ORG}}, [(f"any principal of organization {ORG}", ORG)]),
        ({"ForAnyValue:StringLike": {"aws:PrincipalOrgPaths": BELOW}}, [(f"any principal below {BELOW[:-2]}", ORG)]),
        ({"ForAnyValue:StringEquals": {"aws:PrincipalOrgPaths": UNIT}}, [(f"any principal directly in {UNIT}", ORG)]),
        ({"ForAnyValue:StringLike": {"aws:PrincipalOrgPaths": f"{ORG}/r-*/x/*"}},
         [(f"any principal in a path like {ORG}/r-*/x/*", ORG)]),
        ({"StringEquals": {"aws:PrincipalOrgID": ORG, "aws:SourceVpc": "vpc-1"}},
         [(f"any principal of organization {ORG} (if aws:SourceVpc is vpc-1)", ORG)]),
        ({"StringLike": {"aws:PrincipalOrgID": "o-*"}}, [("anyone (if its organization is like o-*)", None)]),
        ({"ForAnyValue:StringLike": {"aws:PrincipalOrgPaths": "o-*/r/*"}},
         [("anyone (if ForAnyValue:StringLike aws:PrincipalOrgPaths o-*/r/*)", None)]),
        ({"ForAnyValue:StringEquals": {"aws:PrincipalOrgPaths": BELOW}},
         [(f"anyone (if ForAnyValue:StringEquals aws:PrincipalOrgPaths {BELOW})", None)]),
        ({"ForAllValues:StringLike": {"aws:PrincipalOrgPaths": BELOW}},
         [(f"anyone (if ForAllValues:StringLike aws:PrincipalOrgPaths {BELOW})", None)]),
        ({"StringEqualsIfExists": {"aws:PrincipalOrgID": ORG}},
         [(f"anyone (if StringEqualsIfExists aws:PrincipalOrgID {ORG})", None)]),
    ],
)  # fmt: skip
def test_an_organization_is_said_and_is_not_everyone(conditions: Document, words: list[tuple[str, str | None]]) -> None:
    found = policy.normal({"Principal": "*", "Condition": conditions})
    assert [(who.label, who.organization or None, who.public) for who in policy.who("*", found.conditions)] == [
        (label, organization, organization is None) for label, organization in words
    ]


def test_an_organization_has_guards_of_its_own() -> None:
    target = {"organization_ids": [ORG], "organization_paths": [f"{OTHER_ORG}/*"]}
    where = "(images.access.app-a)"
    assert refused(Guards(), target) == []
    assert refused(Guards(allowed_organizations=(ORG, OTHER_ORG), allowed_accounts=()), target) == []
    assert refused(Guards(allowed_organizations=(ORG,)), target) == [
        f"allowed_organizations: organization {OTHER_ORG} would have access, and guards.allowed_organizations does not list"
        f" it {where}"
    ]
    assert refused(Guards(allowed_accounts=(A,)), {"organization_ids": [ORG]}) == [
        f"allowed_accounts: organization {ORG} would have access, and whether guards.allowed_accounts lists all its accounts"
        f" can't be told here {where}; guards.allowed_organizations with {ORG} would allow it"
    ]
    assert [item.partition(":")[0] for item in refused(Guards(allowed_organizations=()), target, foreign=True)] == [
        "allowed_organizations",
        "allowed_organizations",
    ]


def test_a_guard_sees_every_account_of_a_long_list() -> None:
    arns = [f"arn:aws:codebuild:us-east-1:{A if number else B}:project/p{number}" for number in reversed(range(201))]
    target = {"services": ["codebuild"], "source_arns": arns}
    assert {access.principal.account for _, access in granted(target)} == {A, B}
    paths = [f"{ORG if number else OTHER_ORG}/r-ab12/ou-ab12-{number + 10**7}/*" for number in reversed(range(201))]
    assert {access.principal.organization for _, access in granted({"organization_paths": paths})} == {ORG, OTHER_ORG}


def test_what_others_gave_an_organization_is_said_in_the_same_words() -> None:
    by_hand = {
        "Sid": "ours by hand",
        "Effect": "Allow",
        "Principal": "*",
        "Action": list(policy.PULL),
        "Condition": {"StringLike": {"aws:PrincipalOrgID": ORG}},
    }
    (found,) = foreign(AT, {"Statement": [by_hand]})
    (access,) = found.access
    assert access.principal == Principal(f"any principal of organization {ORG}", organization=ORG)
    assert [access] == [item for _, item in granted({"organization_ids": [ORG]})]
    assert differences({"account_ids": [A]}, {"account_ids": [A]}) == ([], [])


ANY, ANY_BELOW = f"any principal of organization {ORG}", f"any principal below {BELOW[:-2]}"


@pytest.mark.parametrize(
    ("before", "after", "gains", "losses"),
    [
        # a whole organization includes what is below its paths, and no path the whole
        ({"organization_ids": [ORG]}, {"organization_paths": [BELOW]}, [],
         [f"{ANY} can no longer pull app-a, but {ANY_BELOW} still can"]),
        ({"organization_paths": [BELOW]}, {"organization_ids": [ORG]},
         [f"{ANY} can now pull app-a, as {ANY_BELOW} could already"], []),
        ({"organization_paths": [f"{ORG}/*"]}, {"organization_ids": [ORG]},
         [f"{ANY} may now be able to pull app-a, as any principal below {ORG} could already"], []),
        ({"organization_ids": [OTHER_ORG]}, {"organization_paths": [BELOW]}, [f"{ANY_BELOW} can now pull app-a"],
         [f"any principal of organization {OTHER_ORG} can no longer pull app-a"]),
        ({"organization_ids": [ORG]}, {"organization_ids": [OTHER_ORG]},
         [f"any principal of organization {OTHER_ORG} can now pull app-a"], [f"{ANY} can no longer pull app-a"]),
        ({"organization_ids": [ORG]}, {"organization_ids": [ORG, OTHER_ORG]},
         [f"any principal of organization {OTHER_ORG} can now pull app-a"], []),
        ({"organization_paths": [BELOW]}, {"organization_paths": [DEEPER]}, [],
         [f"{ANY_BELOW} can no longer pull app-a, but any principal below {DEEPER[:-2]} still can"]),
        ({"organization_paths": [DEEPER]}, {"organization_paths": [BELOW]},
         [f"{ANY_BELOW} can now pull app-a, as any principal below {DEEPER[:-2]} could already"], []),
        ({"organization_paths": [BELOW]}, {"organization_paths": [UNIT]}, [],
         [f"{ANY_BELOW} can no longer pull app-a, but any principal directly in {UNIT} still can"]),
        # whether an account is in an organization, only AWS knows
        ({"organization_ids": [ORG]}, {"account_ids": [A]}, [f"account {A} may now be able to pull app-a"],
         [f"{ANY} may no longer be able to pull app-a"]),
        ({"account_ids": [A]}, {"organization_ids": [ORG]}, [f"{ANY} can now pull app-a"],
         [f"account {A} may no longer be able to pull app-a"]),
        ({"account_ids": ["*"]}, {"organization_ids": [ORG]}, [], [f"not everyone can pull app-a any more, but {ANY} still can"]),
        ({"organization_paths": [BELOW]}, {"account_ids": ["*"]},
         [f"anyone can now pull app-a, as {ANY_BELOW} could already"], []),
    ],
)  # fmt: skip
def test_what_an_organization_gains_and_loses(
    before: Document, after: Document, gains: list[str], losses: list[str]
) -> None:
    assert differences(before, after) == (gains, losses)


def lint(documents: list[Document]) -> list[str]:
    from parliament import analyze_policy_string

    # a repository's policy is about that repository, which the linter wants to have said
    arn = "arn:aws:ecr:us-east-1:123456789012:repository/images-app-a"
    found = [item | {"Resource": arn} for item in documents]
    findings = analyze_policy_string(json.dumps({"Version": "2012-10-17", "Statement": found})).findings
    return [finding.issue for finding in findings if finding.severity != "MUTED"]


@pytest.mark.slow  # the linter takes a second to import
@pytest.mark.parametrize(
    "target",
    [
        {"principal_arns": [ROLE, USER]},
        {"services": ["codebuild", "ecs-tasks"], "source_accounts": [A], "source_arns": [PROJECT]},
        {"services": ["lambda"], "account_ids": [A]},
        {"organization_ids": [ORG], "organization_paths": [BELOW, UNIT]},
    ],
    ids=["principals", "services", "lambda", "organizations"],
)
@pytest.mark.parametrize(
    ("gives", "found"),
    [
        ({"permission": "push-pull", "also": ["read"]}, set()),
        # of everything, what is not done to a repository (logging in, say) is nothing that its policy could give
        ({"permission": "admin"}, {"RESOURCE_MISMATCH"}),
    ],
    ids=["read", "admin"],
)
def test_iam_lints_find_nothing_in_the_policies(target: Document, gives: Document, found: set[str]) -> None:
    documents = [policy.document_of(item, "aws") for item in statements_of(target, **gives)]
    assert set(lint(documents)) <= found
    assert "UNKNOWN_CONDITION_FOR_ACTION" in lint(
        [{**documents[0], "Condition": {"StringLike": {"aws:SourceAm": "x"}}}]
    )
