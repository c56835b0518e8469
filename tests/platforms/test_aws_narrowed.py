"""What is said where somebody loses a part of what they had: what of it stays."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.model.access import ForeignAccess, Given
from reconciler.model.address import Address
from reconciler.model.kind import Home
from reconciler.platforms.aws import effective, inclusion, policy, registry_statements, role_access
from reconciler.platforms.aws.policy import Statement
from reconciler.platforms.aws.registry_policy import RegistryPolicyKind, RegistryPolicySettings
from reconciler.platforms.aws.replication import ReplicationKind, ReplicationSettings
from reconciler.platforms.aws.replication_spec import ALL
from reconciler.platforms.aws.role_documents import RoleSettings
from reconciler.platforms.aws.spec import AwsRegistry
from reconciler.render.report import report_of
from reconciler.render.sentences import gained, lost
from reconciler.render.text import joined, plan_lines
from tests.sandbox.aws import ACCOUNT, AwsSandbox

OTHER = "222222222222"


# -- replication


def no_longer_copied(before: str, after: str) -> list[str]:
    """What another account no longer receives, by the prefixes before and after."""
    places = ("us-east-1", f"us-east-1/{OTHER}")
    then, now = (Given(ReplicationSettings(places, prefix=prefix)) for prefix in (before, after))
    found = ReplicationKind().gains_and_losses(Address("images.replication.rule"), then, now, Home(ACCOUNT))
    assert found[0] == []
    start = f"account {OTHER} in us-east-1 can no longer receive copies of "
    texts = [item.text for item in lost(found[1])]
    assert all(text.startswith(start) for text in texts)
    return [text.removeprefix(start) for text in texts]


def test_a_narrower_replication_rule_says_what_an_account_still_receives() -> None:
    assert no_longer_copied(ALL, "") == ["any repository, except images-*"]
    assert no_longer_copied(ALL, "app- web-") == ["any repository, except app-* and web-*"]
    assert no_longer_copied("im", "") == ["im*, except images-*"]
    assert no_longer_copied(f"{ALL} web-", "web-") == ["any repository, except web-*"]
    assert no_longer_copied("app- images-", "images-") == ["app-*"]


# -- the registry policy

REGION = "us-east-1"
AT = Address("images.registry_policy.statements")


def letting(what: str, *, to: Any = OTHER, prefix: str = "images-", **more: Any) -> Statement:
    """A statement that lets an account, or whoever is in an organization, copy images here."""
    actions = list(registry_statements.ACTIONS[what])
    on = registry_statements.resource(REGION, ACCOUNT, what, prefix)
    whom = {"Principal": {"AWS": [f"arn:aws:iam::{to}:root"]}} if to == OTHER else to
    return policy.normal({"Sid": "x", "Effect": "Allow", "Action": actions, "Resource": [on], **whom, **more})


def organizations(*ids: str) -> Any:
    return {"Principal": "*", "Condition": {"StringEquals": {"aws:PrincipalOrgID": list(ids)}}}


def compared(then: Sequence[Statement], now: Sequence[Statement]) -> tuple[list[str], list[str]]:
    """Who gains and loses what, in words."""
    before, after = (Given(RegistryPolicySettings(tuple(sorted(items)))) for items in (then, now))
    gains, losses = RegistryPolicyKind().gains_and_losses(AT, before, after, Home(ACCOUNT))
    return [item.text for item in gained(gains)], [item.text for item in lost(losses)]


@pytest.mark.parametrize(
    ("what", "then", "now", "says"),
    [
        ("replication", "*", "images-", "replicate images into any repository of us-east-1, except images-*"),
        ("replication", "im", "images-", "replicate images into im* of us-east-1, except images-*"),
        ("replication", "images-", "web-", "replicate images into images-* of us-east-1"),
        ("pull-through", "*", "hub", "cache upstream images in any repository of us-east-1, except hub/*"),
    ],
)
def test_a_narrower_registry_policy_says_what_stays(what: str, then: str, now: str, says: str) -> None:
    found = compared([letting(what, prefix=then)], [letting(what, prefix=now)])
    assert found[1] == [f"account {OTHER} can no longer {says}"]
    assert bool(found[0]) is (now == "web-")


def test_actions_by_pattern_are_what_a_registry_policy_can_allow() -> None:
    wide = letting("replication", Action="ecr:*", Resource="*")
    assert compared([wide], [letting("replication")]) == (
        [],
        [
            f"account {OTHER} can no longer cache upstream images in any repository of us-east-1",
            f"account {OTHER} can no longer replicate images into any repository of us-east-1, except images-*",
        ],
    )


def test_organizations_are_compared_one_by_one() -> None:
    one, both = (
        letting("replication", to=organizations(*ids)) for ids in (["o-a1b2c3d4e5"], ["o-a1b2c3d4e5", "o-a1b2c3d4e6"])
    )
    who, what = "any principal of organization o-a1b2c3d4e6", "replicate images into images-* of us-east-1"
    assert compared([one], [both]) == ([f"{who} can now {what}"], [])
    assert compared([both], [one]) == ([], [f"{who} can no longer {what}"])


def test_whether_an_account_is_in_an_organization_is_not_known() -> None:
    account, whole = letting("replication"), letting("replication", to=organizations("o-a1b2c3d4e5"))
    what = "replicate images into images-* of us-east-1"
    assert compared([account], [whole])[1] == [f"account {OTHER} may no longer be able to {what}"]


def test_a_deny_of_others_is_said_where_it_is_about_the_same_names() -> None:
    for name, said in (("*", True), ("images-a*", True), ("*-prod", True), ("web-*", False)):
        on = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/{name}"
        no = policy.normal(
            {"Sid": "no", "Effect": "Deny", "Principal": "*", "Action": "ecr:ReplicateImage", "Resource": on}
        )
        end = ", unless statement 'no' denies it" if said else ""
        assert compared([no], [no, letting("replication")]) == (
            [f"account {OTHER} can now replicate images into images-* of us-east-1{end}"],
            [],
        )


@pytest.mark.parametrize(
    ("what", "verb"), [("replication", "replicate images into"), ("pull-through", "cache upstream images in")]
)
def test_a_deny_that_goes_is_said_by_what_it_denied_alone(what: str, verb: str) -> None:
    denied = letting(what, prefix="images/", Effect="Deny")
    assert compared([denied], []) == (
        [f"account {OTHER} may now be able to {verb} images/* of us-east-1, which statement 'x' denied"],
        [],
    )


def test_what_stays_is_said_before_who_may_have_denied_the_rest() -> None:
    no = letting("replication", Sid="no", Effect="Deny", prefix="images-a")
    assert compared([no, letting("replication", prefix="*")], [no, letting("replication")])[1] == [
        f"account {OTHER} can no longer replicate images into any repository of us-east-1, except images-*,"
        " which statement 'no' may have denied before"
    ]


def test_notprincipal_is_shown_and_its_loss_said() -> None:
    root = {"AWS": f"arn:aws:iam::{OTHER}:root"}
    turned = letting("replication", to={"NotPrincipal": root})
    gains, losses = compared([turned], [letting("replication")])
    assert gains == [f"account {OTHER} may now be able to replicate images into images-* of us-east-1"]
    assert losses == [
        f"anyone but account {OTHER} may no longer be able to replicate images into images-* of us-east-1"
    ]
    shown = RegistryPolicyKind().shown(RegistryPolicySettings((turned,)))
    assert shown["x"]["other"] == {"NotPrincipal": root}


# -- the registry's roles


def role_loses(then: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """What the pull role can no longer do, by its settings before and after."""
    usual = RoleSettings((), policy.of_role("pull"), ())
    before, after = (Given(replace(usual, **changed)) for changed in (then, now))
    return [item.text for item in lost(role_access.losses(Address("images.role.pull"), before, after, Home(ACCOUNT)))]


def test_a_role_that_is_narrowed_says_which_repositories_it_keeps() -> None:
    ours = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/images-*"
    name = f"images-* in us-east-1 of account {ACCOUNT}"
    start = "role images-pull can no longer"
    assert role_loses({"repositories": ("*",)}, {"repositories": (ours,)}) == [
        f"{start} pull any repository, except {name}"
    ]
    wide = {"repositories": ("*",), "actions": ("ecr:*",)}
    found = role_loses(wide, {"repositories": (ours,)})
    assert f"{start} pull any repository, except {name}" in found
    assert f"{start} push, read, or change or delete any repository" in " ".join(found)


def test_a_role_that_is_narrowed_keeps_what_is_tagged() -> None:
    ours = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/images-*"
    tags = {"tags": (("reconciler-registry", "images"),)}
    tagged = "tagged reconciler-registry: images"
    end = f"except images-* in us-east-1 of account {ACCOUNT} {tagged}"
    assert role_loses({"repositories": ("*",), **tags}, {"repositories": (ours,), **tags}) == [
        f"role images-pull can no longer pull any repository {tagged}, {end}"
    ]


def test_whom_a_statement_denies_it_is_not_said_to_have_it(aws: AwsSandbox) -> None:
    deny = {"Sid": "no", "Effect": "Deny", "Principal": {"AWS": "arn:aws:iam::222222222222:root"}, "Action": "ecr:*"}
    everyone = {"name": "all", "to": {"type": "aws", "account_ids": ["*"]}}
    one = {"name": "all", "to": {"type": "aws", "account_ids": ["222222222222"]}}
    guards = {"allow_public": True}
    aws.apply(aws.document("web", grants=(everyone,), guards=guards))
    policy = aws._policy("web")
    policy["Statement"].append(deny)
    aws.client("ecr").set_repository_policy(repositoryName="images-web", policyText=json.dumps(policy))
    for before, after in ((everyone, one), (one, everyone)):
        aws.apply(aws.document("web", grants=(before,), guards=guards))
        said = joined(plan_lines(report_of(aws.plan(aws.document("web", grants=(after,), guards=guards)))))
        assert "still can" not in said
        assert "could already" not in said


def test_any_resource_of_a_registry_policy_is_any_repository(aws: AwsSandbox) -> None:
    rule = {"type": "replication", "to": {"account_ids": ["222222222222"]}, "prefix": "*"}
    document = aws.document("web", registry={"registry_policy": [rule]})
    aws.apply(document)
    (region,) = aws.registry_policies.policies
    policy = json.loads(aws.registry_policies.policies[region])
    policy["Statement"][0]["Resource"] = "*"
    aws.registry_policies.policies[region] = json.dumps(policy)
    (change,) = aws.plan(document).changes
    assert (change.gains, change.losses) == ((), ())


def test_a_part_of_who_loses_it_that_keeps_it_in_more_places_is_said() -> None:
    whole = letting("pull-through", prefix="hub")
    role = letting("pull-through", Principal={"AWS": f"arn:aws:iam::{OTHER}:role/r1"}, prefix="*")
    assert compared([whole, role], [role])[1] == [
        f"account {OTHER} can no longer cache upstream images in hub/* of us-east-1, but role r1 of account {OTHER} still can"
    ]


def test_what_another_one_covers_is_not_said_beside_it(aws: AwsSandbox) -> None:
    role = "arn:aws:iam::222222222222:role/r1"
    pull = ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer", "ecr:BatchCheckLayerAvailability"]
    theirs = [
        {"Sid": f"t{number}", "Effect": "Allow", "Principal": {"AWS": role}, "Action": pull, **more}
        for number, more in enumerate(
            [
                {"Condition": {"StringEquals": {"aws:SourceVpc": "vpc-1"}}},
                {},
                {"Condition": {"StringEquals": {"aws:SourceVpc": "vpc-2"}}},
            ]
        )
    ]
    grant = {"name": "all", "to": {"type": "aws", "account_ids": ["222222222222"]}}
    aws.apply(aws.document("web", grants=(grant,)))
    policy = aws._policy("web")
    policy["Statement"] += theirs
    aws.client("ecr").set_repository_policy(repositoryName="images-web", policyText=json.dumps(policy))
    said = joined(plan_lines(report_of(aws.plan(aws.document("web")))))
    assert "account 222222222222 can no longer pull web, but role r1 of account 222222222222 still can\n" in said


def role_gains(then: dict[str, Any], now: dict[str, Any], *, attached: bool = False) -> list[str]:
    """What the pull role can do now, by its settings before and after. `attached`: whether somebody attached a policy to it."""
    usual = RoleSettings((), policy.of_role("pull"), ())
    foreign = (ForeignAccess(Address("images.role.pull"), "policy ReadOnlyAccess"),) if attached else ()
    before, after = (Given(replace(usual, **changed), foreign=foreign) for changed in (then, now))
    return [item.text for item in gained(role_access.gains(Address("images.role.pull"), before, after, Home(ACCOUNT)))]


OURS = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/images-*"


def denying(*actions: str, resource: str = OURS) -> str:
    return json.dumps([{"Sid": "no", "Effect": "Deny", "Action": list(actions), "Resource": resource}])


@pytest.mark.parametrize("resource", [OURS, "*", f"{OURS}secret", f"arn:aws:ecr:*:{ACCOUNT}:repository/*-a"])
def test_a_deny_that_leaves_a_role_gives_what_the_role_is_allowed_alone(resource: str) -> None:
    usual = {"repositories": (OURS,)}
    found = role_gains({**usual, "other_permissions": denying("ecr:*", resource=resource)}, usual)
    verbs = ["log", "pull"] if resource == "*" else ["pull"]
    assert [text.split(" may now be able to ")[1].split()[0] for text in found] == verbs
    assert all(text.endswith(", which statement 'no' denied") for text in found)
    others = {**usual, "other_permissions": denying("ecr:PutImage", resource=resource)}
    assert role_gains(others, usual) == []
    assert role_loses(usual, others) == []


def test_a_deny_of_all_but_some_resources_that_leaves_a_role_gives_what_it_is_allowed_of_the_others() -> None:
    def all_but(*resources: str, action: str = "ecr:*") -> dict[str, Any]:
        deny = {"Sid": "no", "Effect": "Deny", "Action": action, "NotResource": list(resources)}
        return {"repositories": (OURS,), "other_permissions": json.dumps([deny])}

    usual = {"repositories": (OURS,)}
    for resources in ([OURS], ["*"], [f"arn:aws:ecr:*:*:repository/{name}" for name in ("x", "*")]):
        assert role_gains(all_but(*resources, action="ecr:BatchGetImage"), usual) == []
        assert role_loses(usual, all_but(*resources, action="ecr:BatchGetImage")) == []
    # to log in is on no resource, so it is among all but some
    end = ", which statement 'no' denied"
    assert role_gains(all_but(OURS), usual) == [f"role images-pull may now be able to log in to ECR{end}"]
    assert role_gains(all_but("*"), usual) == []
    found = role_gains(all_but(f"{OURS}secret", action="ecr:BatchGetImage"), usual)
    assert found == [f"role images-pull may now be able to pull everything but {OURS}secret{end}"]


def test_a_deny_elsewhere_gives_a_role_nothing_when_it_leaves() -> None:
    usual = {"repositories": (OURS,)}
    elsewhere = denying("ecr:*", resource=f"arn:aws:ecr:eu-west-1:{ACCOUNT}:repository/*")
    assert role_gains({**usual, "other_permissions": elsewhere}, usual) == []


def test_a_deny_that_leaves_a_role_with_a_policy_of_others_may_give_all_that_it_denied() -> None:
    usual = {"repositories": (OURS,)}
    found = role_gains({**usual, "other_permissions": denying("ecr:*")}, usual, attached=True)
    assert "change or delete" in " ".join(found)


def test_a_deny_in_a_trust_policy_is_about_those_that_it_trusts() -> None:
    def trusting(denied: str) -> dict[str, Any]:
        deny = {"Sid": "no", "Effect": "Deny", "Principal": {"AWS": denied}, "Action": "sts:AssumeRole"}
        return {"trusted": (OTHER,), "other_trust": json.dumps([deny])}

    assert role_gains(trusting("333333333333"), {"trusted": (OTHER,)}) == []
    assert role_gains(trusting(f"arn:aws:iam::{OTHER}:role/ci"), {"trusted": (OTHER,)}) == [
        f"role ci of account {OTHER} may now be able to assume images-pull, which statement 'no' denied"
    ]


# -- whom a Deny denies what is needed


def repository(principal: Any, *actions: str, effect: str = "Allow", **fields: Any) -> Statement:
    whom = fields if "NotPrincipal" in fields else {"Principal": principal, **fields}
    acting = {} if "NotAction" in fields else {"Action": list(actions or policy.PULL)}
    return policy.normal({"Sid": "no", "Effect": effect, **acting, **whom})


BOTH = {"AWS": f"arn:aws:iam::{OTHER}:root"}
OWN_ROLE = f"arn:aws:iam::{ACCOUNT}:role/ci"


@pytest.mark.parametrize(
    ("deny", "left"),
    [
        (repository(BOTH, "ecr:BatchGetImage", effect="Deny"), BOTH),
        (repository("*", *policy.WORKER_PULL, effect="Deny"), BOTH),
        (repository(None, "ecr:*", effect="Deny", NotPrincipal={"AWS": OWN_ROLE}), BOTH),
        (repository({"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "ecr:*", effect="Deny"), {"AWS": OWN_ROLE}),
        (repository("*", effect="Deny", NotAction="ecr:BatchGetImage"), BOTH),
        (repository(BOTH, effect="Deny", NotAction=["ecr:GetDownload*", "s3:*"]), BOTH),
    ],
    ids=["one action", "everyone", "all but a role", "the own account", "all but an action", "all but some actions"],
)
def test_who_is_denied_any_action_that_is_needed_is_not_said_to_have_it(deny: Statement, left: Any) -> None:
    wide, narrow = (deny, repository("*")), (deny, repository(left))
    assert [item.note for item in effective.losses(wide, narrow, ACCOUNT)] == [
        "which statement 'no' may have denied before"
    ]
    assert "could already" not in str(effective.gains(narrow, wide, ACCOUNT))


def test_a_deny_under_a_condition_or_of_something_else_leaves_who_has_it() -> None:
    insecure = {"Condition": {"Bool": {"aws:SecureTransport": "false"}}}
    pulling = {"NotAction": list(policy.PULL)}
    for deny in (
        repository("*", "ecr:*", effect="Deny", **insecure),
        repository(BOTH, "ecr:PutImage", effect="Deny"),
        repository("*", effect="Deny", **pulling),
    ):
        wide, narrow = (deny, repository("*")), (deny, repository(BOTH))
        assert any(f"but account {OTHER} still can" in item.note for item in effective.losses(wide, narrow, ACCOUNT))


@pytest.mark.parametrize("account", ["*", ACCOUNT])
@pytest.mark.parametrize("region", ["*", REGION, "us-*"])
def test_a_deny_in_a_registry_policy_by_a_wider_name_denies_it(account: str, region: str) -> None:
    resource = f"arn:aws:ecr:{region}:{account}:repository/images-*"
    no = policy.normal(
        {"Sid": "no", "Effect": "Deny", "Principal": "*", "Action": "ecr:ReplicateImage", "Resource": resource}
    )
    assert compared([no, letting("replication", prefix="*")], [no, letting("replication")])[1] == [
        f"account {OTHER} can no longer replicate images into any repository of us-east-1,"
        " which statement 'no' may have denied before"
    ]


@pytest.mark.parametrize(
    "resource",
    [
        "*",
        "arn:*",
        "arn:aws:ecr:*:*:repository/*",
        f"arn:aws:ecr:{REGION}:*:repository/*",
        f"arn:aws:ecr:{REGION}:{ACCOUNT}:*",
        f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/*",
    ],
)
def test_all_repositories_by_whatever_name_are_all_of_the_registry(resource: str) -> None:
    healed = letting("replication", prefix="*")
    assert compared([letting("replication", Resource=resource)], [healed]) == ([], [])
    part = f"{resource.removesuffix('*')}images-*" if "repository/" in resource else ""
    if part:
        assert compared([letting("replication", Resource=part)], [healed])[1] == []
        assert "except images-*" in compared([healed], [letting("replication", Resource=part)])[1][0]


def test_a_resource_of_another_region_gives_nothing_here() -> None:
    elsewhere = letting("replication", Resource=f"arn:aws:ecr:eu-west-1:{ACCOUNT}:repository/*")
    assert compared([elsewhere], [letting("replication")])[0] == [
        f"account {OTHER} can now replicate images into images-* of us-east-1"
    ]


@given(st.text("ab*?", max_size=5), st.text("ab", max_size=4), st.text("ab", max_size=4))
def test_what_is_left_of_a_pattern_behind_a_text_matches_the_rest(pattern: str, start: str, rest: str) -> None:
    left = inclusion.behind(pattern, start)
    assert fnmatchcase(start + rest, pattern) is any(fnmatchcase(rest, item) for item in left)


def test_a_resource_of_a_registry_policy_is_of_its_own_region_whatever_others_name_first() -> None:
    registry = AwsRegistry(name="images", platform="aws", account_id=ACCOUNT, region=REGION)
    at_two = [f"arn:aws:ecr:{region}:{ACCOUNT}:repository/base-*" for region in ("eu-west-1", REGION)]
    others = letting("replication", Sid="a", Resource=at_two, to={"Principal": {"AWS": "arn:aws:iam::3:root"}})
    home = Home("tests", registry)
    by_hand, ours = (letting("replication", Resource="*"), letting("replication", prefix="*"))
    before, after = (Given(RegistryPolicySettings(tuple(sorted((item, others))))) for item in (by_hand, ours))
    assert RegistryPolicyKind().gains_and_losses(AT, before, after, home) == ([], [])


def test_a_wider_principal_that_keeps_a_narrower_place_is_said() -> None:
    role = letting("pull-through", prefix="*", to={"Principal": {"AWS": f"arn:aws:iam::{OTHER}:role/r1"}})
    account = letting("pull-through", Sid="y", prefix="docker-hub")
    assert compared([role, account], [account]) == (
        [],
        [
            f"role r1 of account {OTHER} can no longer cache upstream images in any repository of us-east-1,"
            " except docker-hub/*"
        ],
    )


def test_everyone_under_a_condition_of_the_request_is_said_where_an_account_leaves() -> None:
    vpc: dict[str, Any] = {"Condition": {"StringEquals": {"aws:SourceVpc": "vpc-1"}}}
    before, after = (repository("*", **vpc), repository(BOTH)), (repository("*", **vpc),)
    (lost_,) = effective.losses(before, after, ACCOUNT)
    assert lost_.note == f"but account {OTHER} (if aws:SourceVpc is vpc-1) still can"


def test_a_role_that_keeps_a_part_without_its_tags_says_it() -> None:
    tagged = {"tags": (("a", "1"),)}
    found = role_loses({"repositories": ("*",), **tagged}, {"repositories": (OURS,)})
    assert found == [
        f"role images-pull can no longer pull any repository tagged a: 1, except images-* in us-east-1 of account {ACCOUNT}"
    ]


@pytest.mark.parametrize(
    ("condition", "left"),
    [
        ({"StringEquals": {"aws:PrincipalAccount": OTHER}}, BOTH),
        ({"ArnLike": {"aws:PrincipalArn": f"arn:aws:iam::{OTHER}:role/r1"}}, {"AWS": f"arn:aws:iam::{OTHER}:role/r1"}),
        ({"StringNotEquals": {"aws:PrincipalOrgID": "o-a1b2c3d4e5"}}, BOTH),
    ],
)
def test_who_may_be_meant_by_a_deny_is_not_said_to_have_it(condition: Any, left: Any) -> None:
    deny = repository("*", "ecr:*", effect="Deny", Condition=condition)
    found = effective.losses((deny, repository("*")), (deny, repository(left)), ACCOUNT)
    assert "still can" not in str(found)


def _in_vpcs(*names: str) -> Any:
    return {"Condition": {"StringEquals": {"aws:SourceVpc": list(names)}}}


def test_a_deny_of_the_own_account_under_the_same_condition_is_about_its_role() -> None:
    both, one = _in_vpcs("vpc-1", "vpc-2"), _in_vpcs("vpc-1")
    deny = repository({"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, "ecr:*", effect="Deny", **both)
    before, after = repository({"AWS": OWN_ROLE}), repository({"AWS": OWN_ROLE}, **one)
    assert "still can" not in str(effective.losses((deny, before), (deny, after), ACCOUNT))


def test_whom_a_deny_of_all_but_some_leaves_out_is_said_to_keep_it() -> None:
    role = {"AWS": f"arn:aws:iam::{OTHER}:role/r1"}
    deny = repository(None, "ecr:*", effect="Deny", NotPrincipal={"AWS": [BOTH["AWS"], role["AWS"]]})
    (found,) = effective.losses((deny, repository(BOTH)), (deny, repository(role)), ACCOUNT)
    assert f"but role r1 of account {OTHER} still can" in found.note


@pytest.mark.parametrize(
    ("resource", "there"),
    [
        ("arn:aws:ecr:*:*:repository/images-web*", True),
        (f"arn:aws:ecr:{REGION}:*:repository/images-web", True),
        ("*/images-web", True),
        ("*-web", True),
        (f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/?mages-web", True),
        (f"arn:aws:ecr:eu-west-1:{ACCOUNT}:repository/*", False),
        (f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/other-*", False),
    ],
)
def test_what_a_statement_of_others_may_be_about_is_shown(resource: str, there: bool) -> None:
    registry = AwsRegistry(name="images", platform="aws", account_id=ACCOUNT, region=REGION)
    assert registry_statements.reaching(letting("replication", Resource=resource), registry, REGION) is there
