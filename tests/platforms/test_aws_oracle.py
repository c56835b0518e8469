"""Gains and losses against a small model of how AWS evaluates a repository policy, over random policies.

An explicit deny wins, else any statement allows: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
Across accounts the principal's own account must allow it too, which is taken for granted; in the repository's account a role that
is named needs nothing more, and the account's root delegates to what its roles are allowed:
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.platforms.aws import effective, policy
from reconciler.platforms.aws.effective import Difference
from reconciler.platforms.aws.policy import Condition, Statement

pytestmark = pytest.mark.slow  # many random policies

OWN, A, B, OTHER = "123456789012", "987654321091", "987654321092", "987654321093"
ACTIONS = (*policy.PULL, *policy.PUSH, "ecr:DeleteRepository", "ecr:DescribeImages")


@dataclass(frozen=True)
class Request:
    """Who asks: a role of an account, or Lambda for a function. `granted`: whether its own account's policies allow it."""

    account: str = ""
    role: str = ""
    source: str = ""
    vpc: str | None = None
    org: str | None = None
    address: str = "outside"
    granted: bool = True

    @property
    def arn(self) -> str:
        return f"arn:aws:iam::{self.account}:role/{self.role}"

    def value(self, key: str) -> str | None:
        found = {"aws:sourcearn": self.source or None, "aws:sourcevpc": self.vpc, "aws:principalorgid": self.org}
        return found[key.lower()]


@cache
def requests() -> tuple[Request, ...]:
    functions = [
        f"arn:aws:lambda:{r}:{a}:function:{f}" for r in ("us-east-1", "r") for a in (A, B) for f in ("f", "n", "longer")
    ]
    people = product(
        (A, B, OTHER, OWN), ("ci", "other"), (None, "v1", "v2", "other"), (None, "o-1"), ("inside", "outside")
    )
    asking = [Request(a, r, "", vpc, org, address) for a, r, vpc, org, address in people]
    asking += [Request(OWN, r, granted=False, vpc=vpc) for r in ("ci", "other") for vpc in (None, "v1")]
    return (*asking, *(Request(source=arn) for arn in functions))


def is_principal(name: str, request: Request, denying: bool) -> bool:
    if name.startswith("service:"):
        return bool(request.source)
    if name == request.account:
        return denying or request.granted
    return name in ("*", request.arn)


def fits(condition: Condition, request: Request) -> bool:
    if condition.operator == "IpAddress":
        return request.address == "inside"
    found = request.value(condition.key)
    if found is None:
        return condition.operator.endswith("IfExists")
    if condition.operator.startswith("StringEquals"):
        return found in condition.values
    return any(fnmatchcase(found, value) for value in condition.values)


def concerns(
    principals: Iterable[str], conditions: Iterable[Condition], other: str, request: Request, denying: bool
) -> bool:
    excepted = json.loads(other or "{}").get("NotPrincipal")
    if excepted is not None:
        named = not any(is_principal(item, request, True) for item in excepted["AWS"])
    else:
        named = any(is_principal(item, request, denying) for item in principals)
    return named and all(fits(item, request) for item in conditions)


def acts(statement: Statement, action: str) -> bool:
    def named(patterns: Iterable[str]) -> bool:
        return any(fnmatchcase(action.lower(), item.lower()) for item in patterns)

    but = json.loads(statement.other or "{}").get("NotAction")
    return named(statement.actions) if but is None else not named(but)


def allowed(statements: Iterable[Statement], request: Request) -> frozenset[str]:
    """The actions that AWS would allow."""
    found: dict[str, set[str]] = {"Allow": set(), "Deny": set()}
    for item in statements:
        denying = item.effect == "Deny"
        if concerns(item.principals, item.conditions, item.other, request, denying):
            found[item.effect].update(action for action in ACTIONS if acts(item, action))
    return frozenset(found["Allow"] - found["Deny"])


VERBS: dict[str, Any] = {
    "pull": lambda actions: actions >= set(policy.WORKER_PULL),
    "push": lambda actions: actions >= set(policy.PUSH),
    "change or delete": lambda actions: "ecr:DeleteRepository" in actions,
}


def said_of(found: Iterable[Difference], request: Request, denying: bool = False) -> Iterator[str]:
    for item in found:
        who = item.who
        if concerns((who.principal,), who.conditions, who.other, request, item.note.startswith(("since", "which"))):
            yield item.what


def mentions(what: str, action: str) -> bool:
    """Whether a verb is about an action."""
    members = {"pull": policy.PULL, "push": policy.PUSH, "change or delete": policy.ADMIN}.get(what)
    if members is not None:
        return action in members
    patterns = what.removeprefix("use ").removesuffix(" on")
    if patterns.startswith("all but "):
        return True
    return any(fnmatchcase(action.lower(), item.lower()) for item in patterns.split(", "))


principals = st.sampled_from([A, B, OWN, f"arn:aws:iam::{A}:role/ci", f"arn:aws:iam::{OWN}:role/ci", "*"])
actions = st.sampled_from(
    [
        policy.PULL,
        policy.WORKER_PULL,
        policy.PUSH,
        (*policy.PULL, *policy.PUSH),
        ("ecr:BatchGetImage",),
        ("ecr:GetDownload*",),
        ("ecr:DescribeImages",),
        ("ecr:DeleteRepository",),
        ("ecr:*",),
        ("*",),
    ]
)
vpcs = st.lists(st.sampled_from(["v1", "v2", "v?", "o*", "*"]), min_size=1, max_size=2)
conditions = st.one_of(
    st.just({}),
    st.just({}),
    st.builds(lambda values: {"StringLike": {"aws:SourceVpc": values}}, vpcs),
    st.just({"StringEquals": {"aws:PrincipalOrgID": "o-1"}}),
    st.just({"StringLikeIfExists": {"aws:SourceVpc": "v1"}}),
    st.just({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}),
    st.just({"StringLike": {"aws:SourceVpc": "v1"}, "StringEquals": {"aws:PrincipalOrgID": "o-1"}}),
)
sources = st.lists(
    st.builds(
        "arn:aws:lambda:{}:{}:function:{}".format,
        st.sampled_from(["us-east-1", "*"]),
        st.sampled_from([A, B, "*"]),
        st.sampled_from(["f", "longer", "*", "?"]),
    ),
    min_size=1,
    max_size=2,
)
effects = st.sampled_from(["Allow", "Allow", "Allow", "Deny"])


@st.composite
def statements(draw: st.DrawFn) -> Statement:
    item: dict[str, Any] = {"Sid": draw(st.sampled_from(["x", "y"])), "Effect": draw(effects)}
    kind = draw(st.sampled_from(["people", "people", "people", "service", "not"]))
    if kind == "service":
        item["Principal"] = {"Service": "lambda.amazonaws.com"}
        item["Condition"] = {draw(st.sampled_from(["StringLike", "ArnLike"])): {"aws:SourceArn": draw(sources)}}
    else:
        named = {"AWS": draw(st.lists(principals, min_size=1, max_size=2))}
        item["NotPrincipal" if kind == "not" else "Principal"] = named
        item["Condition"] = draw(conditions)
    chosen = list(draw(actions))
    item["NotAction" if draw(st.integers(0, 7)) == 0 else "Action"] = chosen
    return policy.normal(item)


policies = st.lists(statements(), max_size=3).map(tuple)


@given(policies, policies, policies)
@settings(max_examples=60, deadline=None)
def test_no_change_is_silent_and_what_is_certain_is_so(
    before: tuple[Statement, ...], after: tuple[Statement, ...], foreign: tuple[Statement, ...]
) -> None:
    before, after = before + foreign, after + foreign
    for found, then, now in (
        (effective.gains(before, after, OWN), before, after),
        (effective.losses(before, after, OWN), after, before),
    ):
        certain = {(item.who, item.what): item for item in found if not item.may and not item.note}
        shown: set[Any] = set()
        for request in requests():
            can, could = allowed(now, request), allowed(then, request)
            new = can - could
            if not new:
                continue
            words = list(said_of(found, request))
            for action in new:
                # what `ecr:*` allows beside the verbs is said by "change or delete"
                folded = action == "ecr:DescribeImages" and "change or delete" in words
                assert folded or any(mentions(what, action) for what in words), (request, action, found)
            for key, item in certain.items():
                is_it = concerns((item.who.principal,), item.who.conditions, item.who.other, request, False)
                if key not in shown and is_it and any(mentions(item.what, action) for action in new):
                    held = VERBS.get(item.what)
                    if held is None or (held(can) and not held(could)):
                        shown.add(key)
        assert shown == certain.keys(), "what is said for sure is true of somebody"


@given(policies, policies)
@settings(max_examples=60, deadline=None)
def test_equal_policies_make_no_difference_and_a_gain_is_the_loss_of_the_way_back(
    before: tuple[Statement, ...], after: tuple[Statement, ...]
) -> None:
    def plain(found: Iterable[Difference]) -> set[tuple[Any, ...]]:
        return {(item.who, item.what, item.may) for item in found}

    assert effective.gains(before, before, OWN) == effective.losses(after, after, OWN) == ()
    assert effective.gains(before, tuple(reversed(before)), OWN) == ()
    assert plain(effective.gains(before, after, OWN)) == plain(effective.losses(after, before, OWN))
