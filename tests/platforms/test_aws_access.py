"""Who gains and who loses on AWS: differences of what a repository's whole policy, or a role's two, give before and after.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from reconciler import dumps, loads
from reconciler.engine import guard
from reconciler.engine.fields import changes_of
from reconciler.model.access import ForeignAccess, Given
from reconciler.model.address import Address
from reconciler.model.change import Action
from reconciler.model.kind import Home
from reconciler.platforms.aws import own_ids, policy
from reconciler.platforms.aws.access import AccessKind
from reconciler.platforms.aws.access_settings import AccessSettings
from reconciler.platforms.aws.condition import Condition
from reconciler.platforms.aws.policy_access import foreign
from reconciler.platforms.aws.role import PERMISSIONS_BESIDE, TRUST_BESIDE, RoleKind
from reconciler.platforms.aws.role_documents import RoleSettings, permissions, permissions_of, settings_of, trust_of
from reconciler.platforms.aws.spec import AwsRegistry
from reconciler.render.report import NOBODY, report_of
from reconciler.render.sentences import gained, given, lost
from reconciler.render.text import drift_lines, joined, plan_lines
from reconciler.spec.models import Guards
from reconciler.words import value
from tests.sandbox.aws import ACCOUNT, AwsSandbox

Item = dict[str, Any]
AT = Address("images.access.app-a")
A, B = "987654321091", "987654321092"
ROLE = f"arn:aws:iam::{A}:role/ci"
OWN_ROLE = f"arn:aws:iam::{ACCOUNT}:role/ci"
PUSHING = [*policy.PULL, *policy.PUSH]
DANGER = " (danger: that allows deleting images, and letting others in)"
ORG = {"StringEquals": {"aws:PrincipalOrgID": "o-1"}}


def allow(principal: Any, actions: Any = policy.PULL, sid: str = "ReconcilerXone", **fields: Any) -> Item:
    who = {"AWS": principal} if principal != "*" else "*"
    acting = {} if "NotAction" in fields else {"Action": list(actions) if isinstance(actions, tuple) else actions}
    return {"Sid": sid, "Effect": "Allow", "Principal": who, **acting, **fields}


def theirs(principal: Any, actions: Any = policy.PULL, sid: str = "x", **fields: Any) -> Item:
    return allow(principal, actions, sid, **fields)


def functions(*arns: str, sid: str = "ReconcilerXoneWorker", operator: str = "StringLike") -> Item:
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Principal": {"Service": "lambda.amazonaws.com"},
        "Action": list(policy.WORKER_PULL),
        "Condition": {operator: {"aws:SourceArn": list(arns)}},
    }


def function(name: str, account: str = A, region: str = "us-east-1") -> str:
    return f"arn:aws:lambda:{region}:{account}:function:{name}"


def deny(principal: Any, actions: Any = "ecr:*", sid: str = "x", **fields: Any) -> Item:
    return {**allow(principal, actions, sid, **fields), "Effect": "Deny"}


def difference(before: list[Item], after: list[Item], others: list[Item] | None = None) -> tuple[list[str], list[str]]:
    """Sentences on the gains and the losses when our statements change beside others'."""
    rest = json.dumps({"Version": "2012-10-17", "Statement": others}) if others else ""
    then, now = (Given(AccessSettings(tuple(sorted(map(policy.normal, items)))), rest) for items in (before, after))
    gains, losses = AccessKind().gains_and_losses(AT, then, now, HOME)
    return [item.text for item in gained(gains)], [item.text for item in lost(losses)]


# -- what is given already, or still -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("narrow", "wide"),
    [
        (allow(A), theirs(A)),
        (allow(A), theirs(f"arn:aws:iam::{A}:root")),
        (allow(ROLE), theirs(A)),
        (allow(f"arn:aws:iam::{A}:user/eve"), theirs(A)),
        (allow(f"arn:aws:sts::{A}:assumed-role/ci/session"), theirs(f"arn:aws:iam::{A}:role/of/ci")),
        (allow(ROLE), theirs("*")),
        (allow(A), theirs("*")),
        (allow(A), theirs(A, "ecr:*")),
        (allow(A), theirs(A, "*")),
        (allow(A), theirs(A, ["ECR:Batch*", "ecr:getdownloadurlforlayer"])),
        (functions(function("f")), functions(function("*"), sid="x")),
        (functions(function("f")), functions(function("*", region="*"), sid="x")),
        (functions(function("f")), functions(function("f?", region="us-*"), function("?"), sid="x")),
        (functions(function("f-*")), functions(function("f*"), sid="x")),
        (functions(function("f")), functions(function("*", account="*"), sid="x", operator="ArnLike")),
        (functions(function("f"), operator="ArnEquals"), functions(function("*"), sid="x")),
        (functions(function("f"), operator="StringEquals"), functions(function("*"), sid="x", operator="ArnLike")),
        (functions(function("f")), theirs("*")),
        (allow(A, Condition=ORG), theirs(A)),
        (allow("*", Condition=ORG), theirs("*", Condition={"stringequals": {}} | ORG)),
        (
            allow(A, Condition={"StringEquals": {"aws:SourceVpc": ["v1"]}}),
            theirs(A, Condition={"StringLike": {"AWS:sourcevpc": ["v2", "v?"]}}),
        ),
        (allow("AROAEXAMPLEEXAMPLE123"), theirs(B)),
    ],
)
def test_what_a_foreign_statement_gives_is_no_gain_and_what_it_still_gives_is_no_loss(narrow: Item, wide: Item) -> None:
    assert difference([], [narrow], [wide]) == ([], [])
    assert difference([narrow], [], [wide]) == ([], [])


def test_what_two_foreign_statements_give_together_counts_as_given() -> None:
    halves = [theirs(A, "ecr:BatchGetImage", "x"), theirs(A, "ecr:GetDownloadUrlForLayer", "y")]
    worker = allow(ROLE, policy.WORKER_PULL)
    assert difference([worker], [], halves) == ([], [])
    gains, losses = difference([], [allow(A, "ecr:GetDownloadUrlForLayer")], halves[:1])
    assert (gains, losses) == ([f"account {A} can now pull app-a"], [])


def test_a_function_named_under_a_wildcard_that_covered_it_is_no_gain_and_a_wildcard_that_goes_is_a_loss() -> None:
    wide, narrow = functions(function("*")), functions(function("f"))
    both = functions(function("*"), function("f"))
    assert difference([wide], [both]) == ([], [])
    assert difference([both], [wide]) == ([], [])
    left = f"but AWS Lambda function:f of account {A} still can"
    assert difference([wide], [narrow]) == (
        [],
        [f"AWS Lambda in account {A} in us-east-1 can no longer pull app-a, {left}"],
    )
    already = f"as AWS Lambda function:f of account {A} could already"
    assert difference([narrow], [wide]) == (
        [f"AWS Lambda in account {A} in us-east-1 can now pull app-a, {already}"],
        [],
    )
    other = functions(function("g"))
    assert difference([narrow], [other]) == (
        [f"AWS Lambda function:g of account {A} can now pull app-a"],
        [f"AWS Lambda function:f of account {A} can no longer pull app-a"],
    )


def test_of_several_values_only_those_that_come_or_go_are_said() -> None:
    def vpcs(*names: str) -> Item:
        return allow(A, Condition={"StringEquals": {"aws:SourceVpc": list(names)}})

    gains, losses = difference([vpcs("v1", "v2")], [vpcs("v2", "v3")])
    assert gains == [f"account {A} (if aws:SourceVpc is v3) can now pull app-a"]
    assert losses == [f"account {A} (if aws:SourceVpc is v1) can no longer pull app-a"]


def test_a_grant_renamed_or_an_account_moved_between_grants_is_nobodys_gain() -> None:
    assert difference([allow(A)], [allow(A, sid="ReconcilerXtwo")]) == ([], [])
    assert difference([allow([A, B])], [allow(A), allow(B, sid="ReconcilerXtwo")]) == ([], [])


@pytest.mark.parametrize(
    ("before", "after", "gain", "loss"),
    [
        (allow(A), allow(A, PUSHING), f"account {A} can now push app-a", ""),
        (allow(A, "ecr:*"), allow(A), "", f"account {A} can no longer push, read, or change or delete app-a"),
        (allow(A), allow(A, policy.WORKER_PULL), "", f"account {A} can no longer perform ecr:BatchCheckLayerAvailability on app-a"),
        (allow(A), allow(A, [*policy.PULL, "ecr:DescribeImages"]), f"account {A} can now perform ecr:DescribeImages on app-a", ""),
        (allow(A), allow(A, [*policy.PULL, "ecr:Describe*"]), f"account {A} can now perform ecr:describe* on app-a", ""),
        (allow(A, policy.WORKER_PULL), allow(A, "ecr:*"),
         f"account {A} can now push, read, change or delete, and perform ecr:BatchCheckLayerAvailability on app-a{DANGER}", ""),
        (allow(A), allow(A, "ecr:BatchGetImage"), "", f"account {A} can no longer pull app-a"),
        (allow(A), allow(ROLE), "", f"account {A} can no longer pull app-a, but role ci of account {A} still can"),
        (allow(ROLE), allow(A), f"account {A} can now pull app-a, as role ci of account {A} could already", ""),
        (allow("*", Condition=ORG), allow("*"),
         "anyone can now pull app-a, as any principal of organization o-1 could already", ""),
        (allow("*"), allow("*", Condition=ORG), "",
         "not everyone can pull app-a any more, but any principal of organization o-1 still can"),
        (allow("*"), allow(A), "", f"not everyone can pull app-a any more, but account {A} still can"),
        (allow(A), allow(A, Condition={"StringEquals": {"aws:SourceVpc": ["v1", "v2"]}}), "",
         f"account {A} can no longer pull app-a, but account {A} (if aws:SourceVpc is v1), account {A} (if"
         " aws:SourceVpc is v2) still can"),
        (allow(A, Condition={"StringEquals": {"aws:SourceVpc": ["v1", "v2"]}}), allow(A),
         f"account {A} can now pull app-a, as account {A} (if aws:SourceVpc is v1), account {A} (if aws:SourceVpc is v2)"
         " could already", ""),
        (allow(A, "ecr:BatchGetImage"), allow(A), f"account {A} can now pull app-a", ""),
    ],
)  # fmt: skip
def test_what_comes_and_goes_for_sure(before: Item, after: Item, gain: str, loss: str) -> None:
    assert difference([before], [after]) == ([gain] if gain else [], [loss] if loss else [])


# -- what can't be decided ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ours", "others", "who"),
    [
        (allow(A), theirs("*", Condition=ORG), f"account {A}"),
        (allow(A), theirs(A, Condition={"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}), f"account {A}"),
        (allow(A), theirs(A, Condition={"StringEqualsIfExists": {"aws:SourceVpc": "v"}}), f"account {A}"),
        (allow(OWN_ROLE), theirs(ACCOUNT), f"role ci of account {ACCOUNT}"),
        (allow(A), {**theirs(A), "Principal": None, "NotPrincipal": {"AWS": B}}, f"account {A}"),
        (allow(A), {**theirs(A, NotAction="ecr:PutImage")}, f"account {A}"),
        (allow(A), {**theirs(A), "Resource": "*"}, f"account {A}"),
        (functions(function("f")), functions(function("${aws:username}"), sid="x"), f"AWS Lambda function:f of account {A}"),
    ],
)  # fmt: skip
def test_what_hangs_on_what_only_aws_knows_may_be_a_gain_or_a_loss(ours: Item, others: Item, who: str) -> None:
    others = {key: value for key, value in others.items() if value is not None}
    # who surely has it by the other statement is named too
    gains, losses = difference([], [ours], [others])
    assert [text.partition(", as ")[0] for text in gains] == [f"{who} may now be able to pull app-a"]
    assert losses == []
    gains, losses = difference([ours], [], [others])
    assert gains == []
    assert [text.partition(", but ")[0] for text in losses] == [f"{who} may no longer be able to pull app-a"]


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ({**allow("*"), "NotPrincipal": {"AWS": [A, ROLE]}},
         f"anyone but account {A} and role ci of account {A} may now be able to pull app-a"),
        (allow(A, NotAction=["ecr:PutImage", "ecr:BatchDeleteImage"]),
         f"account {A} may now be able to perform all but ecr:BatchDeleteImage, ecr:PutImage on app-a"),
    ],
)  # fmt: skip
def test_all_but_some_is_said_as_such(statement: Item, words: str) -> None:
    if "NotPrincipal" in statement:
        del statement["Principal"]
    assert difference([], [statement]) == ([words], [])
    gone = words.replace("may now", "may no longer")
    assert difference([statement], []) == ([], [gone])
    assert difference([statement], [statement]) == ([], [])
    (item,) = foreign(AT, {"Statement": [{**statement, "Sid": "x"}]})
    (held,) = given(item)
    assert held.text == words.replace("may now", "may") + " (statement 'x')"


# -- Deny --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "denying",
    [
        deny(A),
        deny("*"),
        deny(ROLE),
        deny(A, "ecr:BatchGetImage"),
        deny(A, "ecr:Get*"),
        deny("*", Condition={"StringNotEquals": {"aws:PrincipalOrgID": "o-1"}}),
        deny(A, NotAction="ecr:PutImage"),
    ],
)
def test_a_deny_is_named_beside_a_gain_and_a_loss_and_hides_neither(denying: Item) -> None:
    assert difference([], [allow(A)], [denying]) == (
        [f"account {A} can now pull app-a, unless statement 'x' denies it"],
        [],
    )
    assert difference([allow(A)], [], [denying]) == (
        [],
        [f"account {A} can no longer pull app-a, which statement 'x' may have denied before"],
    )


def test_a_deny_of_somebody_or_something_else_is_not_named() -> None:
    for other in (deny(B), deny(A, "ecr:PutImage"), deny(f"arn:aws:iam::{B}:role/r")):
        assert difference([], [allow(A)], [other]) == ([f"account {A} can now pull app-a"], [])


def test_a_deny_of_ours_that_somebody_wrote_and_that_goes_may_be_a_gain() -> None:
    by_hand = deny(B, "ecr:BatchGetImage", sid="ReconcilerXone")
    assert difference([by_hand], [allow(A)]) == (
        [
            f"account {A} can now pull app-a",
            f"account {B} may now be able to pull app-a, which statement 'ReconcilerXone' denied",
        ],
        [],
    )
    assert difference([allow(A)], [allow(A), by_hand])[1] == [
        f"account {B} may no longer be able to pull app-a, since statement 'ReconcilerXone' denies it"
    ]


@pytest.mark.parametrize(
    ("denying", "words"),
    [
        (deny([A, ROLE]), f"statement 'x' denies pull, push, read, and change or delete to account {A}"
         f" and role ci of account {A}"),
        (deny("*", "ecr:PutImage", Condition=ORG), "statement 'x' denies push to any principal of organization o-1"),
        (deny(A, "ecr:DescribeImages", sid=""), f"a statement without a Sid denies ecr:DescribeImages to account {A}"),
        (deny(A, NotAction=[*PUSHING, "ecr:*"]), f"statement 'x' denies all but ecr:*, {', '.join(sorted(PUSHING))} to account {A}"),
        ({**deny("*", "ecr:BatchGetImage"), "NotPrincipal": {"AWS": A}}, f"statement 'x' denies pull to anyone but account {A}"),
    ],
)  # fmt: skip
def test_a_deny_says_what_and_whom_it_denies(denying: Item, words: str) -> None:
    if "NotPrincipal" in denying:
        del denying["Principal"]
    assert list(foreign(AT, {"Statement": [denying]})) == [ForeignAccess(AT, words)]


def test_foreign_access_names_the_foreign_deny_beside_it() -> None:
    allowed, denied = foreign(AT, {"Statement": [theirs(A, sid="y"), deny(A)]})
    assert [item.text for item in given(allowed)] == [
        f"account {A} can pull app-a, unless statement 'x' denies it (statement 'y')"
    ]
    assert denied.access == ()


# -- guards look at what the spec grants -------------------------------------------------------------------------


def test_a_guard_sees_a_grant_that_is_no_gain_since_somebody_gave_it_before() -> None:
    settings = AccessSettings((policy.normal(allow([A, "*"])),))
    granted = [(AT, item) for item in AccessKind().access(AT, settings)]
    found = guard.accounts(Guards(allowed_accounts=(B,)), granted, {"images": ACCOUNT})
    assert [verdict.guard for verdict in found] == ["allowed_accounts", "allow_public"]


# -- roles -------------------------------------------------------------------------------------------------------

PULL_ROLE = Address("images.role.pull")
IMAGES = (f"arn:aws:ecr:us-east-1:{ACCOUNT}:repository/images-*",)
REGISTRY = AwsRegistry(
    name="images", platform="aws", account_id=ACCOUNT, region="us-east-1", trusted_principals=(ACCOUNT,)
)
HOME = Home("tests", REGISTRY)
AS_WANTED = settings_of(REGISTRY, "pull", "tests")
MARKED = "reconciler-owner: tests and reconciler-registry: images"
TAGGED = permissions(AS_WANTED)["Statement"][1]["Condition"]
GITHUB = "token.actions.githubusercontent.com"
PROVIDER = f"arn:aws:iam::{ACCOUNT}:oidc-provider/{GITHUB}"
SUBJECT = {"StringEquals": {"token.actions.githubusercontent.com:sub": "repo:o/r"}}
VERB = "pull from every repository as images-pull"
LOST = "pull from any repository as images-pull"


def trusting(*items: Item) -> RoleSettings:
    """The role as it is found when its trust policy has these statements beside ours."""
    ours = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "Action": "sts:AssumeRole"}
    trusted, narrowed, other = trust_of({"Statement": [ours, *items]})
    return replace(AS_WANTED, trusted=trusted, other_trust=other, trusted_if=narrowed)


def permitting(*items: Item, login: bool = True) -> RoleSettings:
    """The role as it is found when its inline policy has these statements beside ours."""
    images = {"Effect": "Allow", "Action": list(policy.PULL), "Resource": list(IMAGES), "Condition": TAGGED}
    ours = [{"Effect": "Allow", "Action": policy.LOGIN, "Resource": "*"}] if login else []
    return replace(AS_WANTED, **permissions_of({"Statement": [*ours, images, *items]}))


def role_difference(before: Given, after: Given) -> tuple[list[str], list[str]]:
    gains, losses = RoleKind().gains_and_losses(PULL_ROLE, before, after, HOME)
    return [item.text for item in gained(gains)], [item.text for item in lost(losses)]


TRUST = [
    (
        {"Effect": "Allow", "Principal": {"AWS": A}, "Action": "sts:AssumeRole"},
        [f"account {A} can no longer {LOST}"],
    ),
    (
        {"Effect": "Allow", "Principal": {"AWS": A}, "Action": "sts:AssumeRole",
         "Condition": {"StringEquals": {"sts:ExternalId": "e"}}},
        [f"account {A} (if it gives the external ID e) can no longer {LOST}"],
    ),
    (
        {"Effect": "Allow", "Principal": {"Federated": PROVIDER}, "Action": "sts:AssumeRoleWithWebIdentity",
         "Condition": SUBJECT},
        ["workloads of token.actions.githubusercontent.com with the subject repo:o/r and any audience can no longer" f" {LOST}"],
    ),
    (
        {"Effect": "Allow", "Principal": {"AWS": A}, "Action": "sts:TagSession"},
        [f"account {A} can no longer perform sts:TagSession on role images-pull"],
    ),
    (
        {"Effect": "Allow", "NotPrincipal": {"AWS": A}, "Action": "sts:*"},
        [f"anyone but account {A} may no longer be able to {LOST}"],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("item", "words"), TRUST)
def test_every_statement_of_trust_that_goes_or_comes_is_said(item: Item, words: list[str]) -> None:
    found, wanted = Given(trusting(item)), Given(AS_WANTED)
    assert role_difference(found, wanted) == ([], words)
    back = [
        text.replace("can no longer", "can now").replace("may no longer", "may now").replace(LOST, VERB)
        for text in words
    ]
    assert role_difference(wanted, found) == (back, [])
    assert set(words) <= set(role_difference(found, Given())[1]), "a role that is deleted takes it along"


def _from_github(**asked: str) -> RoleSettings:
    keys = {f"token.actions.githubusercontent.com:{name}": value for name, value in asked.items()}
    return trusting(
        {"Effect": "Allow", "Principal": {"Federated": PROVIDER}, "Action": "sts:AssumeRoleWithWebIdentity",
         "Condition": {"StringEquals": keys}},
    )  # fmt: skip


IN_ORG = {"aws_PrincipalOrgID": "o-1"}


def _from_account(**asked: str) -> RoleSettings:
    keys = {key.replace("_", ":"): value for key, value in asked.items()}
    condition = {"StringEquals": keys}
    return trusting(
        {"Effect": "Allow", "Principal": {"AWS": A}, "Action": "sts:AssumeRole", "Condition": condition},
    )


@pytest.mark.parametrize(
    ("before", "after", "gain", "loss"),
    [
        (_from_github(aud="a", sub="repo:o/r"), _from_github(aud="a", sub="repo:o/s"), "repo:o/s", "repo:o/r"),
        (_from_github(aud="a", sub="repo:o/r"), _from_github(aud="b", sub="repo:o/s"), "repo:o/s", "repo:o/r"),
        (_from_account(**IN_ORG, sts_ExternalId="x"), _from_account(**IN_ORG, sts_ExternalId="y"), "external ID y", "external ID x"),
        (_from_account(**IN_ORG), _from_account(**IN_ORG, sts_ExternalId="x"), "", "if its organization is o-1)"),
    ],
)  # fmt: skip
def test_trust_that_changes_in_one_of_two_conditions_is_decided(
    before: RoleSettings, after: RoleSettings, gain: str, loss: str
) -> None:
    gains, losses = role_difference(Given(before), Given(after))
    assert [("can now" in text and gain in text) for text in gains] == ([True] if gain else [])
    assert [("can no longer" in text and loss in text) for text in losses] == [True]


def test_trust_that_is_narrowed_says_who_is_left() -> None:
    gains, losses = role_difference(
        Given(trusting({"Effect": "Allow", "Principal": {"AWS": A}, "Action": "sts:AssumeRole"})),
        Given(_from_account(sts_ExternalId="x")),
    )
    assert gains == []
    assert losses == [f"account {A} can no longer {LOST}, but account {A} (if it gives the external ID x) still can"]


def test_a_condition_on_what_another_one_speaks_of_too_stays_undecided() -> None:
    before = _from_account(aws_PrincipalOrgID="o-1", aws_PrincipalArn=f"arn:aws:iam::{A}:role/ci")
    after = _from_account(aws_PrincipalOrgID="o-2", aws_PrincipalArn=f"arn:aws:iam::{A}:role/ci")
    gains, losses = role_difference(Given(before), Given(after))
    assert ["may now be able" in text for text in gains] == [True]
    assert ["may no longer be able" in text for text in losses] == [True]


def test_a_deny_in_the_trust_that_goes_may_be_a_gain() -> None:
    denied = trusting({"Effect": "Deny", "Principal": {"AWS": ROLE}, "Action": "sts:AssumeRole"})
    found, wanted = (Given(replace(item, trusted=(ACCOUNT, A))) for item in (denied, AS_WANTED))
    assert role_difference(found, wanted) == (
        [f"role ci of account {A} may now be able to {VERB}, which a statement without a Sid denied"],
        [],
    )
    assert role_difference(wanted, found)[1] == [
        f"role ci of account {A} may no longer be able to {LOST}, since a statement without a Sid denies it"
    ]
    assert role_difference(Given(denied), Given(AS_WANTED)) == ([], [])  # it was never trusted


def test_trusting_the_own_account_again_instead_of_one_role_widens_and_may_narrow() -> None:
    one = replace(AS_WANTED, trusted=(OWN_ROLE,))
    assert role_difference(Given(one), Given(AS_WANTED)) == (
        [f"account {ACCOUNT} can now {VERB}"],
        [f"role ci of account {ACCOUNT} may no longer be able to {LOST}"],
    )


@pytest.mark.parametrize(
    ("item", "words"),
    [
        ({"Effect": "Allow", "Action": "*", "Resource": "*"}, "role images-pull can no longer perform any action on any resource"),
        ({"Effect": "Allow", "Action": "ecr:*", "Resource": IMAGES[0], "Condition": TAGGED},
         f"account {ACCOUNT} can no longer push to any repository as images-pull;"
         f"role images-pull can no longer read or change or delete images-* in us-east-1 of account {ACCOUNT}"
         f" tagged {MARKED}"),
        ({"Effect": "Allow", "Action": "s3:GetObject", "Resource": ["arn:aws:s3:::b/*", "arn:aws:s3:::a/*"]},
         "role images-pull can no longer perform s3:getobject on arn:aws:s3:::a/*, arn:aws:s3:::b/*"),
        ({"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*", "Condition": {"Bool": {"aws:SecureTransport": "true"}}},
         "role images-pull can no longer perform s3:getobject on any resource (if aws:SecureTransport is true)"),
        ({"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"},
         "role images-pull may no longer be able to perform all but iam:* on any resource"),
        ({"Effect": "Allow", "Action": "s3:GetObject", "NotResource": "arn:aws:s3:::a/*"},
         "role images-pull may no longer be able to perform s3:getobject on everything but arn:aws:s3:::a/*"),
    ],
)  # fmt: skip
def test_every_statement_of_permission_that_goes_or_comes_is_said(item: Item, words: str) -> None:
    found, wanted = Given(permitting(item)), Given(AS_WANTED)
    assert role_difference(found, wanted) == ([], words.split(";"))
    back = words.replace("can no longer", "can now").replace("may no longer", "may now").replace("read or", "read and")
    back = back.replace("to any repository", "to every repository")
    back = ";".join(text + (DANGER if "change or delete" in text else "") for text in back.split(";"))
    assert role_difference(wanted, found) == (back.split(";"), [])


def test_a_permission_that_is_denied_and_one_that_lacks_are_said() -> None:
    denying = Given(permitting({"Effect": "Deny", "Action": "ecr:BatchGetImage", "Resource": "*"}))
    assert role_difference(denying, Given(AS_WANTED)) == (
        [
            f"account {ACCOUNT} may now be able to {VERB}, which a statement without a Sid denied",
            "role images-pull may now be able to pull any repository, which a statement without a Sid denied",
        ],
        [],
    )
    assert role_difference(Given(permitting(login=False)), Given(AS_WANTED)) == (
        [f"account {ACCOUNT} can now {VERB}", "role images-pull can now log in to ECR"],
        [],
    )


@pytest.mark.parametrize("role", ["pull", "push"])
def test_healing_a_role_says_who_can_pull_and_push_again(role: str) -> None:
    """By the permissions alone: the trust is as it was."""
    at = Address(f"images.role.{role}")
    whole = settings_of(REGISTRY.model_copy(update={"replication_regions": ("eu-west-1",)}), role, "tests")
    both = "pull from" if role == "pull" else "pull from and push to"
    cases: dict[str, Item] = {
        f"{both} every repository": {"actions": (), "repositories": (), "tags": ()},
        f"{both} every repository in eu-west-1": {"repositories": whole.repositories[1:]},
        "push to every repository": {"actions": tuple(sorted({*policy.PULL, *policy.PUSH} - {"ecr:PutImage"}))},
    }
    for words, found in cases.items():
        if "pull from" not in words and role == "pull":
            continue
        healed = RoleKind().gains_and_losses(at, Given(replace(whole, **found)), Given(whole), HOME)
        broken = RoleKind().gains_and_losses(at, Given(whole), Given(replace(whole, **found)), HOME)
        assert f"account {ACCOUNT} can now {words} as images-{role}" in [item.text for item in gained(healed[0])]
        lost_words = words.replace("pull from and push", "pull from or push").replace("every", "any")
        assert f"account {ACCOUNT} can no longer {lost_words} as images-{role}" in [
            item.text for item in lost(broken[1])
        ]
        assert [healed[1], broken[0]] == [[], []]


def test_who_comes_to_a_role_that_is_healed_is_said_once() -> None:
    broken = replace(AS_WANTED, actions=(), trusted=(A,))
    gains, losses = role_difference(Given(broken), Given(AS_WANTED))
    assert [text for text in gains if text.startswith("account")] == [f"account {ACCOUNT} can now {VERB}"]
    assert losses == [f"account {A} can no longer assume images-pull"]


@pytest.mark.parametrize(
    ("principals", "who"),
    [
        ([A], f"account {A}"),
        ([A, B], f"account {A}, account {B}"),
        # a role of an account that has it is said with that
        ([A, B, ROLE, "AROAEXAMPLEEXAMPLE123"], f"account {A}, account {B}"),
    ],
)
def test_an_account_that_becomes_everyone_loses_nothing(principals: list[str], who: str) -> None:
    assert difference([allow(principals)], [allow("*")]) == ([f"anyone can now pull app-a, as {who} could already"], [])


def test_a_role_says_in_words_what_the_spec_has_no_words_for() -> None:
    trust: list[Item] = [
        {"Effect": "Allow", "Principal": {"AWS": A}, "Action": ["sts:AssumeRole", "sts:TagSession"]},
        {"Effect": "Deny", "NotPrincipal": {"AWS": B}, "Action": "sts:AssumeRole"},
    ]
    permission: list[Item] = [
        {
            "Effect": "Allow",
            "NotAction": "iam:*",
            "Resource": "*",
            "Condition": {"Bool": {"aws:SecureTransport": "true"}},
        },
        {"Effect": "Deny", "Action": "s3:GetObject", "Resource": ["arn:aws:s3:::b/*"]},
    ]
    trusted = RoleKind().shown(trusting(*trust))
    assert [trusted["trusted"], trusted[TRUST_BESIDE]] != [[], []]
    assert value(trusted[TRUST_BESIDE]) == (
        f"anyone but account {B} may not perform sts:AssumeRole and account {A} may perform sts:AssumeRole and sts:TagSession"
    )
    assert [json.loads(item)["Effect"] for item in trusted[TRUST_BESIDE]] == ["Deny", "Allow"], "JSON keeps data"
    permitted = RoleKind().shown(permitting(*permission, login=False))
    assert value(permitted[PERMISSIONS_BESIDE]) == (
        "may not perform s3:getobject on arn:aws:s3:::b/* and may perform all but iam:* on any resource"
        " (if aws:SecureTransport is true)"
    )
    assert value(permitted["log in to ECR"]) == "not permitted"
    assert value(permitted["may"]) == "pull"
    assert permitted["may"] == ["pull"]


def test_what_an_attached_policy_may_still_allow_is_no_certain_loss() -> None:
    item = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
    widened = (ForeignAccess(PULL_ROLE, "widened by inline policy by-hand, not made from a spec"),)
    before = Given(permitting(item), foreign=widened)
    assert role_difference(before, before.of(AS_WANTED)) == (
        [],
        ["role images-pull may no longer be able to perform s3:getobject on any resource"],
    )


def test_a_role_that_is_made_or_deleted_says_its_permissions_only_if_they_are_not_the_usual_ones() -> None:
    assert role_difference(Given(), Given(AS_WANTED)) == ([f"account {ACCOUNT} can now {VERB}"], [])
    assert role_difference(Given(AS_WANTED), Given()) == ([], [f"account {ACCOUNT} can no longer {LOST}"])
    widened = permitting({"Effect": "Allow", "Action": "*", "Resource": "*"})
    losses = role_difference(Given(widened), Given())[1]
    assert f"account {ACCOUNT} can no longer assume images-pull" in losses
    assert "role images-pull can no longer perform any action on any resource" in losses


# -- on the stand-in ---------------------------------------------------------------------------------------------


def put_policy(aws: AwsSandbox, name: str, *items: Item) -> None:
    """Others' statements, beside ours on the repository."""
    ecr = aws.client("ecr")
    found = aws.state()["repositories"][f"us-east-1/{name}"].get("policy", {"Version": "2012-10-17", "Statement": []})
    ours = [item for item in found["Statement"] if own_ids.grant_of(item.get("Sid", "")) is not None]
    document = {**found, "Statement": [*items, *ours]}
    ecr.set_repository_policy(repositoryName=name, policyText=json.dumps(document))


def texts(aws: AwsSandbox, document: Item, **wishes: Any) -> str:
    return joined(plan_lines(report_of(aws.plan(document, **wishes))))


def test_a_grant_that_a_foreign_statement_repeats_is_taken_away_without_a_loss(aws: AwsSandbox) -> None:
    document = aws.document("app-a", grants=({"name": "one", "to": {"type": "aws", "role_arns": [ROLE]}},))
    aws.apply(document)
    put_policy(aws, "images-app-a", theirs(f"arn:aws:iam::{A}:root"))
    document["grants"] = []
    plan = aws.plan(document)
    assert [(item.address, item.action, item.losses) for item in plan.changes] == [(AT, Action.DELETE, ())]
    assert NOBODY in joined(plan_lines(report_of(plan)))
    aws.apply(document)
    document["grants"] = [{"name": "one", "registry": "images", "to": {"type": "aws", "role_arns": [ROLE]}}]
    (change,) = aws.plan(document).changes
    assert (change.action, change.gains) == (Action.CREATE, ())
    shown = f"one.principals: role ci of account {A}\n        one.may: pull\n"
    assert shown in texts(aws, document), "what is written is shown"


def test_a_delete_and_a_replacement_look_at_the_whole_policy(aws: AwsSandbox) -> None:
    grants = ({"name": "one", "repositories": ["app-a"], "to": {"type": "aws", "account_ids": [A]}},)
    document = aws.document("app-a", "app-b", grants=grants)
    aws.apply(document)
    put_policy(aws, "images-app-a", theirs(f"arn:aws:iam::{A}:root"))
    put_policy(aws, "images-app-b", theirs(f"arn:aws:iam::{B}:root"))
    key = {"kms_key": f"arn:aws:kms:us-east-1:{ACCOUNT}:key/k"}
    replacing = {**document, "grants": []}
    replacing["repositories"] = [{**item, "encryption": key} for item in document["repositories"]]
    assert NOBODY in texts(aws, replacing), "what others gave is put back, and it is what ours gave"
    both = {**replacing, "grants": document["grants"]}
    assert NOBODY in texts(aws, both)
    words = texts(aws, {**document, "repositories": [], "grants": []})
    assert f"- images: account {A} can no longer pull app-a" in words
    assert f"- images: account {B} can no longer pull app-b" in words


def test_trust_that_was_widened_by_hand_is_said_when_it_is_taken_away(aws: AwsSandbox) -> None:
    document = aws.document("app-a")
    aws.apply(document)
    iam = aws.client("iam")
    widened = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Federated": PROVIDER}, "Action": "sts:AssumeRoleWithWebIdentity"},
            {"Effect": "Deny", "Principal": {"AWS": OWN_ROLE}, "Action": "sts:AssumeRole"},
        ],
    }
    iam.update_assume_role_policy(RoleName="images-pull", PolicyDocument=json.dumps(widened))
    everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    iam.put_role_policy(RoleName="images-push", PolicyName="reconciler", PolicyDocument=json.dumps(everything))
    words = texts(aws, document)
    assert f"+ images: account {ACCOUNT} can now {VERB}" in words
    denied = f"role ci of account {ACCOUNT} may now be able to {VERB}, which a statement without a Sid denied"
    assert f"+ images: {denied}" in words
    assert (
        f"- images: any workload of token.actions.githubusercontent.com with any audience can no longer {LOST}" in words
    )
    assert "- images: role images-push can no longer perform any action on any resource" in words
    aws.apply(document)
    assert aws.plan(document).changes == ()


@pytest.mark.parametrize(
    ("narrowed", "who", "sure"),
    [
        ({"Condition": {"StringEquals": {"aws:SourceVpc": "vpc-1"}}}, f"account {A} (if aws:SourceVpc is vpc-1)", True),
        ({"Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}}, f"account {A} (if aws:SourceIp is in 10.0.0.0/8)", False),
        ({"Principal": {"AWS": ROLE}}, f"role ci of account {A}", True),
    ],
)  # fmt: skip
def test_a_statement_of_ours_that_was_narrowed_by_hand_says_who_still_can(
    aws: AwsSandbox, narrowed: Item, who: str, sure: bool
) -> None:
    document = aws.document("app-a", grants=({"name": "a", "to": {"type": "aws", "account_ids": [A]}},))
    aws.apply(document)
    ecr = aws.client("ecr")
    there = json.loads(ecr.get_repository_policy(repositoryName="images-app-a")["policyText"])
    there["Statement"][0] |= narrowed
    ecr.set_repository_policy(repositoryName="images-app-a", policyText=json.dumps(there))
    plan = aws.plan(document)
    words = joined(drift_lines(report_of(plan)))
    lost_it, gains_it = ("can no longer", "can now") if sure else ("may no longer be able to", "may now be able to")
    assert f" by hand: account {A} {lost_it} pull app-a, but {who} still can\n" in words
    assert f"+ images: account {A} {gains_it} pull app-a, as {who} could already" in texts(aws, document)
    saved = loads(dumps(plan))
    assert joined(drift_lines(report_of(saved))) == words
    aws.apply(document)
    assert aws.plan(document).changes == ()


def test_what_a_condition_or_an_id_says_is_never_read_as_a_part_of_the_sentence() -> None:
    forged = "vpc-1) can pull app-a (statement 'x'), account 999999999999"
    (who,) = policy.who("111122223333", (Condition("StringEquals", "aws:SourceVpc", (forged,)),))
    assert who.label == f'account 111122223333 (if aws:SourceVpc is "{forged}")'
    assert policy.named("plain id") == "statement 'plain id'"
    assert policy.named("x'), account 9 can pull") == 'statement "x\'), account 9 can pull"'


def test_access_that_guards_refuse_is_reported_with_the_commands_that_remove_it(aws: AwsSandbox) -> None:
    document = aws.document("app-a", "app-b", guards={"allowed_accounts": []})
    aws.apply(document)
    aws.give_foreign_access("app-a")
    at = "--region us-east-1 --repository-name images-app-a"
    said = joined(drift_lines(report_of(aws.plan(document))))
    assert (
        f"  images.access.app-a: to remove statement 'legacy access, by hand', run `aws ecr delete-repository-policy {at}`"
        in said
    )
    granting = {"name": "g", "registry": "images", "to": {"type": "aws", "account_ids": [A]}}
    shared = {**document, "grants": [granting], "guards": {"allowed_accounts": [A]}}
    of_plan = [item.text for item in report_of(aws.plan(shared)).strangers.statements]
    assert not [text for text in of_plan if "to remove" in text], "it would take along what the plan puts there"
    aws.apply(shared)
    plan = aws.plan(shared)
    report = report_of(plan)
    (removal,) = [item for item in report.strangers.statements if item.subject == "images.access.app-a"]
    assert f"`aws ecr get-repository-policy {at} --query policyText --output text > policy.json`" in removal.text
    assert removal.text.endswith(f"`aws ecr set-repository-policy {at} --policy-text file://policy.json`")
    edited = json.loads(dumps(plan))
    assert "removal" not in edited["foreign"][0], "nothing would say whether a file's commands are ours"
    assert not [item for item in report_of(loads(dumps(plan))).strangers.statements if "to remove" in item.text]


def test_only_the_statement_that_the_guards_object_to_is_to_be_removed(aws: AwsSandbox) -> None:
    document = aws.document("app-a", guards={"allowed_accounts": [A]})
    aws.apply(document)
    both = {"Version": "2012-10-17", "Statement": [allow(A) | {"Sid": "debug"}, allow("*") | {"Sid": "open"}]}
    aws.client("ecr").set_repository_policy(repositoryName="images-app-a", policyText=json.dumps(both))
    said = joined(drift_lines(report_of(aws.plan(document))))
    (removal,) = [line for line in said.splitlines() if "to remove" in line]
    assert "to remove statement 'open', run `aws ecr get-repository-policy" in removal
    assert "delete-repository-policy" not in said, "that would take the other statement along"


def test_how_statements_without_a_name_are_removed_is_said_once_with_their_number(aws: AwsSandbox) -> None:
    document = aws.document("app-a", guards={"allowed_accounts": []})
    aws.apply(document)
    both = {"Version": "2012-10-17", "Statement": [allow(A, sid=""), allow("*", sid=""), allow(A, sid="debug")]}
    aws.client("ecr").set_repository_policy(repositoryName="images-app-a", policyText=json.dumps(both))
    report = report_of(aws.plan(document))
    for said in (joined(drift_lines(report)), joined(plan_lines(report))):
        removals = [line.partition(", run ")[0].strip() for line in said.splitlines() if "to remove" in line]
        assert removals == [
            "images.access.app-a: to remove a statement without a Sid (there are 2)",
            "images.access.app-a: to remove statement 'debug'",
        ]


def oidc(**claims: str | list[str]) -> Item:
    """A statement that trusts tokens of GitHub's with these claims."""
    found: Item = {"Effect": "Allow", "Principal": {"Federated": PROVIDER}, "Action": "sts:AssumeRoleWithWebIdentity"}
    conditions: Item = {}
    for name, claim in claims.items():
        operator = "StringLike" if "*" in str(claim) else "StringEquals"
        conditions.setdefault(operator, {})[f"{GITHUB}:{name}"] = claim
    return found | ({"Condition": conditions} if conditions else {})


@pytest.mark.parametrize(
    ("claims", "label"),
    [
        ({"aud": "sts.amazonaws.com", "sub": "repo:o/r:ref:refs/heads/main"},
         f"workloads of {GITHUB} with the subject repo:o/r:ref:refs/heads/main"),
        ({"aud": "sts.amazonaws.com", "sub": "repo:o/*"}, f"workloads of {GITHUB} with a subject like repo:o/*"),
        ({"aud": "mine", "sub": "repo:o/r"}, f"workloads of {GITHUB} with the subject repo:o/r and the audience mine"),
        ({"sub": "repo:o/r"}, f"workloads of {GITHUB} with the subject repo:o/r and any audience"),
        ({"aud": "sts.amazonaws.com"}, f"any workload of {GITHUB}"),
        ({}, f"any workload of {GITHUB} with any audience"),
        ({"aud": "sts.amazonaws.com", "sub": "repo:o/r", "actor": "me"},
         f"workloads of {GITHUB} with the subject repo:o/r (if {GITHUB}:actor is me)"),
    ],
)  # fmt: skip
def test_federated_trust_is_said_by_its_subject(claims: Item, label: str) -> None:
    gains, _ = role_difference(Given(AS_WANTED), Given(trusting(oidc(**claims))))
    assert gains == [f"{label} can now {VERB}"]


def test_alternatives_of_a_trust_are_joined_with_or() -> None:
    trust = trusting(oidc(aud="sts.amazonaws.com", sub="repo:o/r"), oidc(aud="sts.amazonaws.com", sub="repo:o/s"))
    (change,) = changes_of(RoleKind(), AS_WANTED, trust)
    who = f"workloads of {GITHUB} with the subject repo:o/"
    assert (change.path, value(change.new)) == ("trusted_if", f"{who}r or {who}s")
    assert json.loads(json.dumps(change.new)) == [f"{who}r", f"{who}s"], "a list for machines"


def test_what_hands_gave_a_role_is_said_in_words(aws: AwsSandbox) -> None:
    document = aws.document("app-a")
    aws.apply(document)
    by_hand = [
        {
            "Effect": "Allow",
            "Action": "s3:GetObject",
            "Resource": "*",
            "Condition": {"Bool": {"aws:SecureTransport": "true"}},
        },
        {"Effect": "Allow", "Action": "ecr:*", "Resource": ["arn:aws:ecr:*:*:repository/x-*"]},
    ]
    iam = aws.client("iam")
    policy_text = json.dumps({"Version": "2012-10-17", "Statement": by_hand})
    iam.put_role_policy(RoleName="images-push", PolicyName="reconciler", PolicyDocument=policy_text)
    words = joined(plan_lines(report_of(aws.plan(document))))
    ours = f"images-* in us-east-1 of account {ACCOUNT}"
    for line in (
        "log in to ECR: not permitted → permitted",
        "permissions that no spec gave: may perform s3:getobject on any resource (if aws:SecureTransport is true) → (none)",
        f"repositories: x-* in any region of any account → {ours}",
        f"role images-push can now pull and push {ours} tagged {MARKED}",
        "role images-push can no longer pull, push, read, or change or delete x-* in any region of any account",
    ):
        assert f"        {line}\n" in words
    assert "arn:" not in words
    assert "aws:ResourceTag" not in words
    assert " * " not in words
