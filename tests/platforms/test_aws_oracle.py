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
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from reconciler.errors import SpecError
from reconciler.platforms.aws import effective, names, policy
from reconciler.platforms.aws.condition import Condition
from reconciler.platforms.aws.effective import Difference
from reconciler.platforms.aws.policy import Statement
from reconciler.platforms.aws.spec import AwsRegistry
from reconciler.platforms.aws.statements import of_grants
from reconciler.platforms.aws.target import AwsTarget
from reconciler.platforms.catalog import Grant, Spec
from reconciler.spec.loader import parse_spec
from reconciler.spec.registry import Beside, Permission

pytestmark = pytest.mark.slow  # many random policies

OWN, A, B, OTHER = "123456789012", "987654321091", "987654321092", "987654321093"
LAMBDA, CODEBUILD = "lambda.amazonaws.com", "codebuild.amazonaws.com"
ORG, OTHER_ORG = "o-a1b2c3d4e5", "o-a1b2c3d4e6"
ROOT, UNIT = f"{ORG}/r-ab12/", f"{ORG}/r-ab12/ou-ab12-11111111/"
DEEPER = f"{UNIT}ou-ab12-22222222/"
PATHS = (None, ROOT, UNIT, DEEPER, f"{OTHER_ORG}/r-ab12/")
ACTIONS = (*policy.PULL, *policy.PUSH, *policy.READ, "ecr:DeleteRepository")


@dataclass(frozen=True)
class Request:
    """Who asks: a role of an account, or a service for a source. `granted`: whether its own account's policies allow it.

    `path`: where its account stands in its organization.
    """

    account: str = ""
    role: str = ""
    service: str = ""
    source: str = ""
    vpc: str | None = None
    path: str | None = None
    address: str = "outside"
    granted: bool = True

    @property
    def arn(self) -> str:
        return f"arn:aws:iam::{self.account}:role/{self.role}"

    def value(self, key: str) -> str | None:
        found = {
            "aws:sourcearn": self.source or None,
            "aws:sourceaccount": self.source.split(":")[4] if self.source else None,
            "aws:sourcevpc": self.vpc,
            "aws:principalorgid": self.path.partition("/")[0] if self.path else None,
            "aws:principalorgpaths": self.path,
        }
        return found[key.lower()]


@cache
def requests() -> tuple[Request, ...]:
    functions = [
        f"arn:aws:lambda:{r}:{a}:function:{f}" for r in ("us-east-1", "r") for a in (A, B) for f in ("f", "n", "longer")
    ]
    people = product((A, B, OTHER, OWN), ("ci", "other"), (None, "v1", "v2", "other"), PATHS, ("inside", "outside"))
    asking = [Request(a, r, "", "", vpc, path, address) for a, r, vpc, path, address in people]
    asking += [Request(OWN, r, granted=False, vpc=vpc) for r in ("ci", "other") for vpc in (None, "v1")]
    projects = [
        f"arn:aws:codebuild:{r}:{a}:project/{p}"
        for r in ("us-east-1", "r")
        for a in (A, B, OTHER)
        for p in ("p", "longer")
    ]
    asking += [Request(service=LAMBDA, source=arn) for arn in functions]
    return (*asking, *(Request(service=CODEBUILD, source=arn) for arn in projects))


def is_principal(name: str, request: Request, denying: bool) -> bool:
    if name.startswith("service:"):
        return name.removeprefix("service:") == request.service
    if name == request.account:
        return denying or request.granted
    return name in ("*", request.arn)


def fits(condition: Condition, request: Request) -> bool:
    if condition.operator == "IpAddress":
        return request.address == "inside"
    found = request.value(condition.key)
    if found is None:
        return condition.operator.endswith("IfExists")
    operator = condition.operator.removeprefix("ForAnyValue:")
    if operator.startswith("StringEquals"):
        return found in condition.values
    if operator.startswith("Arn"):
        return any(arn_fits(found, value) for value in condition.values)
    return any(fnmatchcase(found, value) for value in condition.values)


def arn_fits(arn: str, pattern: str) -> bool:
    """As the ARN operators have it: each of the six parts by itself."""
    parts, patterns = arn.split(":", 5), pattern.split(":", 5)
    return len(parts) == len(patterns) == 6 and all(map(fnmatchcase, parts, patterns))


def concerns(
    principals: Iterable[str], conditions: Iterable[Condition], other: str, request: Request, denying: bool
) -> bool:
    excepted = json.loads(other or "{}").get("NotPrincipal")
    if excepted is not None:
        named = not any(is_principal(item, request, True) for item in policy.listed(excepted["AWS"]))
    else:
        named = any(is_principal(item, request, denying) for item in principals)
    return named and all(fits(item, request) for item in conditions)


def acts(statement: Statement, action: str) -> bool:
    def named(patterns: Iterable[str]) -> bool:
        return any(fnmatchcase(action.lower(), item.lower()) for item in patterns)

    but = json.loads(statement.other or "{}").get("NotAction")
    return named(statement.actions) if but is None else not named(policy.listed(but))


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
    "read": lambda actions: actions >= set(policy.READ),
    "change or delete": lambda actions: "ecr:DeleteRepository" in actions,
}


def said_of(found: Iterable[Difference], request: Request, denying: bool = False) -> Iterator[str]:
    for item in found:
        who = item.who
        if concerns((who.principal,), who.conditions, who.other, request, item.note.startswith(("since", "which"))):
            yield item.what


def mentions(what: str, action: str) -> bool:
    """Whether a verb is about an action."""
    members = {"pull": policy.PULL, "push": policy.PUSH, "read": policy.READ, "change or delete": policy.ADMIN}.get(
        what
    )
    if members is not None:
        return action in members
    patterns = what.removeprefix("perform ").removesuffix(" on")
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
        policy.READ,
        ("ecr:Describe*",),
        ("ecr:DeleteRepository",),
        ("ecr:*",),
        ("*",),
    ]
)
vpcs = st.lists(st.sampled_from(["v1", "v2", "v?", "o*", "*"]), min_size=1, max_size=2)
paths = st.sampled_from([f"{ORG}/*", f"{ROOT}*", ROOT, f"{UNIT}*", UNIT, f"{DEEPER}*", f"{OTHER_ORG}/*"])
conditions = st.one_of(
    st.just({}),
    st.just({}),
    st.builds(lambda values: {"StringLike": {"aws:SourceVpc": values}}, vpcs),
    st.sampled_from([ORG, OTHER_ORG, [ORG, OTHER_ORG], "o-*"]).map(
        lambda org: {"StringLike": {"aws:PrincipalOrgID": org}}
    ),
    st.lists(paths, min_size=1, max_size=2).map(
        lambda found: {"ForAnyValue:StringLike": {"aws:PrincipalOrgPaths": found}}
    ),
    paths.map(
        lambda path: {
            "StringEquals": {"aws:PrincipalOrgID": path.partition("/")[0]},
            "ForAnyValue:StringLike": {"aws:PrincipalOrgPaths": path},
        }
    ),
    st.just({"StringLikeIfExists": {"aws:SourceVpc": "v1"}}),
    st.just({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}),
    st.just({"StringLike": {"aws:SourceVpc": "v1"}, "StringEquals": {"aws:PrincipalOrgID": ORG}}),
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
projects = st.lists(
    st.builds(
        "arn:aws:codebuild:{}:{}:project/{}".format,
        st.sampled_from(["us-east-1", "*"]),
        st.sampled_from([A, B, "*"]),
        st.sampled_from(["p", "longer", "*"]),
    ),
    min_size=1,
    max_size=2,
)
OPERATORS = ("StringLike", "ArnLike", "ArnEquals", "StringEquals")


@st.composite
def narrowings(draw: st.DrawFn, arns: st.SearchStrategy[list[str]]) -> dict[str, Any]:
    """Conditions on the source of a service's request, in any of the ways that people write them."""
    found: dict[str, Any] = {}
    if draw(st.booleans()):
        values = draw(arns)
        # nobody is meant by a wildcard that is none
        operators = OPERATORS[:3] if any(set(item) & set("*?") for item in values) else OPERATORS
        found.setdefault(draw(st.sampled_from(operators)), {})["aws:SourceArn"] = values
    if draw(st.booleans()):
        # a source of another account than is asked for is nobody's
        its = {value.split(":")[4] for item in found.values() for value in item["aws:SourceArn"]} & {A, B}
        accounts = sorted(its) or draw(st.lists(st.sampled_from([A, B]), min_size=1, max_size=2))
        found.setdefault(draw(st.sampled_from(OPERATORS[::3])), {})["aws:SourceAccount"] = accounts
    return found


effects = st.sampled_from(["Allow", "Allow", "Allow", "Deny"])


@st.composite
def statements(draw: st.DrawFn) -> Statement:
    item: dict[str, Any] = {"Sid": draw(st.sampled_from(["x", "y"])), "Effect": draw(effects)}
    kind = draw(st.sampled_from(["people", "people", "people", "service", "not"]))
    if kind == "service":
        service = draw(st.sampled_from([LAMBDA, CODEBUILD]))
        item["Principal"] = {"Service": service}
        item["Condition"] = draw(narrowings(sources if service == LAMBDA else projects))
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
                assert any(mentions(what, action) for what in words), (request, action, found)
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


# -- a grant means what its policy means -------------------------------------------------------------------------


#: what each permission lets do, of the actions that are asked for here
GIVEN = {"pull": policy.PULL, "push-pull": (*policy.PULL, *policy.PUSH), "admin": ACTIONS}


def given_by(target: AwsTarget, permission: Permission, also: tuple[Beside, ...], request: Request) -> frozenset[str]:
    """The actions that a grant gives, read off the words of the spec, with no policy between."""
    beside = policy.READ if also else ()
    verbs = frozenset((*GIVEN[permission], *beside))
    everyone = "*" in target.account_ids
    if request.service:
        found = verbs if everyone else frozenset()
        functions = target.function_arns or target.allowed_service_types
        if request.service in {names.service(item) for item in target.services} or (
            functions and request.service == LAMBDA
        ):
            found |= _of_service(target, verbs, frozenset((*policy.WORKER_PULL, *beside)), request)
        return found
    named = request.arn in (*target.role_arns, *target.principal_arns)
    whole = request.account in target.account_ids and request.granted
    path = request.path or ""
    below = any(
        path == item or (item.endswith("*") and path.startswith(item[:-1])) for item in target.organization_paths
    )
    member = bool(path) and (path.partition("/")[0] in target.organization_ids or below)
    return verbs if everyone or named or whole or member else frozenset()


def _of_service(
    target: AwsTarget, verbs: frozenset[str], of_lambda: frozenset[str], request: Request
) -> frozenset[str]:
    account, region = request.source.split(":")[4], request.source.split(":")[3]
    arns = target.source_arns
    accounts: tuple[str, ...] = target.source_accounts
    if request.service == LAMBDA:
        verbs = of_lambda
        arns += target.function_arns
        if not arns:
            accounts = accounts or target.account_ids
            if target.regions and region not in target.regions:
                return frozenset()
    named = not arns or any(arn_fits(request.source, item) for item in arns)
    return verbs if named and (not accounts or account in accounts or "*" in accounts) else frozenset()


@st.composite
def targets(draw: st.DrawFn) -> AwsTarget:
    """Any target that the spec takes."""

    def some(*values: str) -> list[str]:
        return draw(st.lists(st.sampled_from(values), unique=True, max_size=2)) if draw(st.booleans()) else []

    services = some("lambda", "codebuild", CODEBUILD)
    worker = "lambda" in services or draw(st.booleans())
    function = f"arn:aws:lambda:us-east-1:{A}:function:"
    project = f"arn:aws:codebuild:us-east-1:{A}:project/"
    fields: dict[str, Any] = {
        "account_ids": some(A, B, OWN, "*"),
        "role_arns": some(f"arn:aws:iam::{A}:role/ci"),
        "principal_arns": some(f"arn:aws:iam::{OWN}:role/ci", f"arn:aws:iam::{B}:role/other"),
        "organization_ids": some(ORG, OTHER_ORG),
        "organization_paths": some(ROOT, f"{ROOT}*", UNIT, f"{UNIT}*", f"{DEEPER}*", f"{OTHER_ORG}/*"),
        "services": services,
        "allowed_service_types": ["worker"] if worker and draw(st.booleans()) else [],
        "source_accounts": some(A, B),
        "source_arns": some(f"{function}f", f"{function}*") if worker else some(f"{project}p", f"{project}*"),
        "function_arns": some(f"{function}f", f"{function}n*"),
        "regions": some("us-east-1", "r"),
    }
    document = {
        "version": 1,
        "name": "tests",
        "registries": [{"name": "images", "platform": "aws", "account_id": OWN, "region": "us-east-1"}],
        "grants": [{"name": "ci", "registry": "images", "to": {"type": "aws", **fields}}],
    }
    try:
        target = parse_spec(json.dumps(document), model=Spec).grants[0].to
    except SpecError:
        reject()
    assert isinstance(target, AwsTarget)
    return target


@given(targets(), st.sampled_from(get_args(Permission)), st.sampled_from(((), ("read",))))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
def test_a_grant_gives_what_its_words_say_and_what_it_says_is_what_it_gives(
    target: AwsTarget, permission: Permission, also: tuple[Beside, ...]
) -> None:
    registry = AwsRegistry(name="images", platform="aws", account_id=OWN, region="us-east-1")
    grant = Grant(name="ci", registry="images", to=target, permission=permission, also=also)
    ours = of_grants((grant,), registry)
    documents = [policy.document_of(item, "aws") for item in ours]
    assert tuple(sorted(map(policy.normal, documents))) == ours
    found = effective.gains((), ours, OWN)
    for request in requests():
        expected = given_by(target, permission, also, request)
        assert allowed(ours, request) == expected, request
        assert any(mentions(what, action) for what in said_of(found, request) for action in expected) == bool(expected)
