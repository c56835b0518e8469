"""Where what stays may be of those that lose something, and nobody here can know it: it is said that they may lose it. What is said
is compared with who can do what, for policies at random, in each of the organizations that the accounts may be in."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from itertools import product
from random import Random
from typing import Any, NamedTuple

import pytest

from reconciler.model.access import Given
from reconciler.model.address import Address
from reconciler.model.kind import Home
from reconciler.platforms.aws import effective, inclusion, policy, registry_statements, verbs
from reconciler.platforms.aws.effective import Difference
from reconciler.platforms.aws.inclusion import Who
from reconciler.platforms.aws.policy import Statement
from reconciler.platforms.aws.registry_policy import RegistryPolicyKind, RegistryPolicySettings
from reconciler.platforms.aws.spec import AwsRegistry
from reconciler.render.sentences import gained, lost
from tests.sandbox.aws import ACCOUNT

REGION = "us-east-1"
A, B, C = "222222222222", "333333333333", "444444444444"
ORG, OTHER_ORG = "o-a1b2c3d4e5", "o-a1b2c3d4e6"
AT = Address("images.registry_policy.statements")
HOME = Home("tests", AwsRegistry(name="images", platform="aws", account_id=ACCOUNT, region=REGION))
COPYING = registry_statements.REPLICATION


def root(*accounts: str) -> Any:
    return {"Principal": {"AWS": [f"arn:aws:iam::{account}:root" for account in accounts]}}


def role(account: str, name: str = "r1") -> Any:
    return {"Principal": {"AWS": f"arn:aws:iam::{account}:role/{name}"}}


def of(*organizations: str) -> Any:
    return {"Principal": "*", "Condition": {"StringEquals": {"aws:PrincipalOrgID": list(organizations)}}}


def within(vpc: str) -> Any:
    return {"Condition": {"StringEquals": {"aws:SourceVpc": vpc}}}


def repositories(name: str, *, region: str = REGION) -> str:
    return f"arn:aws:ecr:{region}:{ACCOUNT}:repository/{name}"


def copying(whom: Any, name: str, **more: Any) -> Statement:
    """A statement of a registry policy about the repositories of a name, which may be an ARN."""
    arn = name if name == "*" or ":" in name else repositories(name)
    fields = {"Sid": "x", "Effect": "Allow", "Action": list(COPYING), "Resource": arn, **whom, **more}
    return policy.normal(fields)


def pulling(whom: Any, **more: Any) -> Statement:
    return policy.normal({"Sid": "x", "Effect": "Allow", "Action": list(policy.PULL), **whom, **more})


def compared(then: Sequence[Statement], now: Sequence[Statement]) -> tuple[list[str], list[str]]:
    """Who gains and who loses what by a registry policy, in words."""
    before, after = (Given(RegistryPolicySettings(tuple(sorted(items)))) for items in (then, now))
    gains, losses = RegistryPolicyKind().gains_and_losses(AT, before, after, HOME)
    return [item.text for item in gained(gains)], [item.text for item in lost(losses)]


def loses(going: Statement, *staying: Statement) -> list[str]:
    """Who loses what as one statement of a registry policy goes and others stay."""
    gains, losses = compared([going, *staying], staying)
    assert gains == []
    return losses


CAN, MAY = "can no longer replicate images into", "may no longer be able to replicate images into"
EVERY = f"any repository of {REGION}"


@pytest.mark.parametrize(
    ("going", "staying", "says"),
    [
        (copying(root(A), "*"), copying(of(ORG), "images-*"), f"account {A} {MAY} {EVERY}"),
        (copying(root(A), "images-*"), copying(of(ORG), "images-a*"), f"account {A} {MAY} images-* of {REGION}"),
        (copying(of(ORG), "*"), copying(root(A), "x*"), f"any principal of organization {ORG} {MAY} {EVERY}"),
        (copying(of(ORG), "*"), copying(of(OTHER_ORG), "*"), f"any principal of organization {ORG} {CAN} {EVERY}"),
        (copying(root(A), "*"), copying(root(B), "*"), f"account {A} {CAN} {EVERY}"),
        # the own account's statement gives its role what the role's own permissions say
        (copying(role(ACCOUNT), "*"), copying(root(ACCOUNT), "x*"), f"role r1 of account {ACCOUNT} {MAY} {EVERY}"),
        # places
        (copying(root(A), "x*"), copying(root(A), "*a*"), f"account {A} {MAY} x* of {REGION}"),
        (copying(root(A), "x*"), copying(root(A), "*-b"), f"account {A} {MAY} x* of {REGION}"),
        (copying(root(A), "x*"), copying(root(A), "images-*"), f"account {A} {CAN} x* of {REGION}"),
        (copying(root(A), "x-?"), copying(root(A), "*-bc"), f"account {A} {CAN} x-? of {REGION}"),
        (copying(root(A), "*"), copying(root(A), "x*"), f"account {A} {CAN} {EVERY}, except x*"),
        # conditions
        (copying(root(A), "*", **within("v1")), copying(root(A), "x*", **within("v2")),
         f"account {A} (if aws:SourceVpc is v1) {CAN} {EVERY}"),
        (copying(root(A), "*", **within("v1")),
         copying(root(A), "x*", Condition={"StringEquals": {"aws:SourceVpce": "vpce-1"}}),
         f"account {A} (if aws:SourceVpc is v1) {MAY} {EVERY}"),
    ],
)  # fmt: skip
def test_who_may_keep_a_part_of_it_may_lose_it(going: Statement, staying: Statement, says: str) -> None:
    assert loses(going, staying) == [says]


def test_what_is_said_to_stay_makes_nothing_else_of_the_loss_uncertain() -> None:
    found = loses(copying(root(A), "*"), copying(root(A), "images-*"), copying(of(ORG), "images-a*"))
    assert found == [f"account {A} {CAN} {EVERY}, except images-*"]


def test_what_some_may_keep_makes_it_no_less_certain_that_not_everyone_has_it() -> None:
    """A Deny of them may or may not hold; of everybody else there is no doubt."""
    everyone, theirs = pulling({"Principal": "*"}), pulling(root(A))
    denied = {"Principal": "*", "Condition": {"StringEquals": {"aws:PrincipalAccount": A}}}
    deny = pulling(denied, Effect="Deny")
    for staying in ((theirs,), (theirs, deny), (pulling(of(ORG)),)):
        (found,) = effective.losses((everyone, *staying), staying, ACCOUNT)
        assert (found.what, found.may) == ("pull", False)


def test_what_several_statements_may_give_together_may_stay() -> None:
    parts = [
        policy.normal({"Sid": "y", "Effect": "Allow", "Action": [action], **of(ORG)}) for action in policy.WORKER_PULL
    ]
    (found,) = effective.losses((pulling(root(A)), *parts), tuple(parts), ACCOUNT)
    assert (found.what, found.may) == ("pull", True)
    (found,) = effective.losses((pulling(root(A)), parts[0]), (parts[0],), ACCOUNT)
    assert (found.what, found.may) == ("pull", False)


def test_an_account_that_comes_beside_its_organization_may_gain_it_and_surely_gains_more_places() -> None:
    there = [copying(of(ORG), "images-*")]
    start, what = f"account {A}", "replicate images into"
    assert compared(there, [*there, copying(root(A), "images-*")])[0] == [
        f"{start} may now be able to {what} images-* of {REGION}"
    ]
    assert compared(there, [*there, copying(root(A), "*")])[0] == [
        f"{start} can now {what} every repository of {REGION}"
    ]
    assert compared([copying(root(A), "*a*")], [copying(root(A), "*a*"), copying(root(A), "x*")])[0] == [
        f"{start} can now {what} x* of {REGION}"
    ]


def denied(whom: Any, name: str = "*", **more: Any) -> Statement:
    return copying(whom, name, Sid="no", Effect="Deny", **more)


def test_a_wider_one_is_asked_for_denies_where_it_and_who_loses_it_meet() -> None:
    everyone = copying({"Principal": "*"}, "x*", Sid="t")
    end = ", which statement 'no' may have denied before"
    assert loses(copying(root(A), "*"), denied(root(A)), everyone) == [f"account {A} {CAN} {EVERY}{end}"]
    assert loses(copying(root(A), "*"), denied(root(A), "y*"), everyone) == [
        f"account {A} {CAN} {EVERY}, except x*{end}"
    ]
    # a Deny of somebody else among everyone
    assert loses(copying(root(A), "*"), denied(root(B)), everyone) == [f"account {A} {CAN} {EVERY}, except x*"]


def test_a_role_that_is_denied_by_name_could_not_do_what_its_account_could() -> None:
    account = pulling(root(A), **within("vpc-1"))
    no = pulling(role(A), Sid="no", Effect="Deny")
    (found,) = effective.gains((no, account), (no, account, pulling(role(A))), ACCOUNT)
    assert found.note == "unless statement 'no' denies it"
    (found,) = effective.gains((account,), (account, pulling(role(A))), ACCOUNT)
    assert found.note == f"as role r1 of account {A} (if aws:SourceVpc is vpc-1) could already"


def test_what_is_elsewhere_gives_and_denies_nothing_here() -> None:
    elsewhere = copying(root(A), repositories("*", region="eu-west-1"))
    here = copying(root(A), "images-*")
    assert compared([elsewhere], []) == ([], [])
    assert compared([elsewhere], [here]) == ([f"account {A} can now replicate images into images-* of {REGION}"], [])
    no = denied({"Principal": "*"}, repositories("*", region="eu-west-1"))
    assert compared([no], [no, here])[0] == [f"account {A} can now replicate images into images-* of {REGION}"]


@pytest.mark.parametrize(
    "name", ["${aws:PrincipalAccount}-*", f"arn:aws:ecr:{REGION}:${{aws:PrincipalAccount}}:repository/*"]
)
def test_what_a_variable_stands_for_may_be_here(name: str) -> None:
    assert len(loses(copying(root(A), name))) == 1
    assert loses(copying(root(A), name, Resource=[repositories("x*"), *copying_to(name)])) != loses(
        copying(root(A), "x*")
    )


def copying_to(name: str) -> list[str]:
    return registry_statements.resources_of(copying(root(A), name))


@pytest.mark.parametrize(
    ("one", "other", "meets"),
    [
        ("x*", "*a*", True),
        ("images-?", "*-b", True),
        ("images", "*zz*", False),
        ("a*b*c", "a*d", False),
        ("a*b?", "*bb", True),
        ("*", "", True),
        ("?", "", False),
        ("**", "*a**", True),
        ("${aws:PrincipalAccount}*", "images-*", True),
    ],
)
def test_patterns_meet_where_a_text_fits_both(one: str, other: str, meets: bool) -> None:
    assert (inclusion.patterns_meet(one, other), inclusion.patterns_meet(other, one)) == (meets, meets)


def test_patterns_meet_for_each_that_fits_a_text() -> None:
    texts = ["".join(letters) for count in range(5) for letters in product("ab", repeat=count)]
    patterns = ["".join(letters) for count in range(5) for letters in product("a?*b", repeat=count)]
    random = Random(1)
    for _ in range(3000):
        one, other = random.choice(patterns), random.choice(patterns)
        both = any(fnmatchcase(item, one) and fnmatchcase(item, other) for item in texts)
        # four letters are enough for one of two patterns that has no longer text
        assert inclusion.patterns_meet(one, other) is both or (not both and len(one) + len(other) > 4), (one, other)


# -- what is said, and who can do what


class Asking(NamedTuple):
    """Who asks, from where, and for which repository."""

    role: str
    vpc: str
    place: str


#: the organization of each account, and whether the own account's roles may do what the account may
World = dict[str, Any]
NAMED = [f"arn:aws:iam::{account}:role/{name}" for account in (A, B, ACCOUNT) for name in ("r1", "r2")]
#: with some that no statement names
ROLES = [*NAMED, *(f"arn:aws:iam::{account}:role/r9" for account in (A, B, C, ACCOUNT))]
PLACES = ["*", "images-*", "images-a*", "*-b", "*a*", "images-?", "*b", "x*"]
NAMES = ["images-a1", "images-b", "images-a", "images-aab", "images-c", "x1", "foo", "xa-b", "xb", "x-b", "za", "b"]
WORLDS: list[World] = [
    {A: a, B: b, ACCOUNT: own, C: c, "allowed": allowed}
    for a in (ORG, OTHER_ORG, "")
    for b in (ORG, OTHER_ORG, "")
    for own, c, allowed in ((ORG, ORG, True), ("", OTHER_ORG, False))
]


class Pair:
    """Two policies at random that have something in common, and what is said of the way from the one to the other."""

    def __init__(self, random: Random, placed: bool) -> None:
        self.random, self.placed = random, placed
        self.kept: list[list[Who]] = []
        common = [self.statement(f"s{number}") for number in range(random.randint(0, 2))]
        self.policies = [
            [*common, *(self.statement(f"{name}{number}", allows=True) for number in range(random.randint(0, 2)))]
            for name in ("before", "after")
        ]
        if random.random() < 0.1:
            random.choice(self.policies).append(self.statement("no", denies=True))
        then, now = (tuple(policy.normal(item) for item in items) for items in self.policies)
        if placed:
            then, now = registry_statements._comparable(then, now, repositories(""))
        words = replace(registry_statements._WORDS if placed else verbs.ECR, still=self._noting)
        self.verbs = {item.word: item for item in words.verbs}
        self.said = [list(tell(then, now, ACCOUNT, words)) for tell in (effective.gains, effective.losses)]

    def _noting(self, who: Who, kept: Iterable[Who]) -> Iterator[str]:
        self.kept.append(list(kept))
        yield f"<{len(self.kept) - 1}>"

    def statement(self, sid: str, *, allows: bool = False, denies: bool = False) -> dict[str, Any]:
        random = self.random
        deny = denies or (not allows and random.random() < 0.25)
        kind = random.choice(["everyone", "account", "role", "role", *(["all but"] if deny else [])])
        conditions: dict[str, list[str]] = {}
        if random.random() < 0.4:
            conditions["aws:PrincipalOrgID"] = random.sample([ORG, OTHER_ORG], random.choice([1, 1, 2]))
        if random.random() < 0.15:
            conditions["aws:SourceVpc"] = [random.choice(["vpc-1", "vpc-2"])]
        some = random.sample(NAMED, random.randint(1, 2))
        whom = {
            "everyone": {"Principal": "*"},
            "account": root(*random.sample([A, B, ACCOUNT], random.randint(1, 2))),
            "role": {"Principal": {"AWS": some}},
            "all but": {"NotPrincipal": {"AWS": some}},
        }[kind]
        copying = [
            list(COPYING),
            list(COPYING),
            list(registry_statements.PULL_THROUGH),
            ["ecr:ReplicateImage"],
            ["ecr:*"],
        ]
        pulling = [list(policy.PULL), list(policy.PULL), [*policy.PULL, *policy.PUSH], ["ecr:BatchGetImage"], ["ecr:*"]]
        on = {"Resource": [repositories(name) for name in random.sample(PLACES, random.choice([1, 1, 2]))]}
        return {
            "Sid": sid,
            "Effect": "Deny" if deny else "Allow",
            **whom,
            "Action": random.choice(copying if self.placed else pulling),
            **({"Condition": {"StringEquals": conditions}} if conditions else {}),
            **(on if self.placed else {}),
        }

    def asking(self) -> list[Asking]:
        places = [repositories(name) for name in NAMES] if self.placed else [""]
        return [Asking(*item) for item in product(ROLES, ("vpc-1", "vpc-2", ""), places)]


def _of(role: str) -> str:
    return role.split(":")[4]


def _is(principal: str, asks: Asking) -> bool:
    account = _of(asks.role)
    return principal in ("*", asks.role, account, f"arn:aws:iam::{account}:root")


def _met(key: str, values: Sequence[str], asks: Asking, world: World) -> bool:
    return (world[_of(asks.role)] if key.lower() == "aws:principalorgid" else asks.vpc) in values


def matches(statement: dict[str, Any], asks: Asking, world: World) -> bool:
    if "NotPrincipal" in statement:
        if asks.role in statement["NotPrincipal"]["AWS"]:
            return False
    elif statement["Principal"] != "*":
        named = [item for item in statement["Principal"]["AWS"] if _is(item, asks)]
        by_account = named and asks.role not in named and _of(asks.role) == ACCOUNT
        if not named or (by_account and statement["Effect"] == "Allow" and not world["allowed"]):
            return False
    if "Resource" in statement and not any(fnmatchcase(asks.place, item) for item in statement["Resource"]):
        return False
    conditions = statement.get("Condition", {"StringEquals": {}})["StringEquals"]
    return all(_met(key, values, asks, world) for key, values in conditions.items())


KNOWN = [*policy.PULL, *policy.PUSH, *policy.READ, *policy.ADMIN, *policy.REGISTRY]


def allowed(document: Sequence[dict[str, Any]], asks: Asking, world: World) -> frozenset[str]:
    by: dict[str, set[str]] = {"Allow": set(), "Deny": set()}
    for item in document:
        if matches(item, asks, world):
            by[item["Effect"]] |= {known for known in KNOWN for one in item["Action"] if fnmatchcase(known, one)}
    return frozenset(by["Allow"] - by["Deny"])


def is_among(who: Who, asks: Asking, world: World) -> bool:
    other = json.loads(who.other) if who.other else {}
    if asks.role in policy.listed(other.get("NotPrincipal", {"AWS": []})["AWS"]):
        return False
    principal = not who.principal or _is(who.principal, asks)
    place = not who.place or fnmatchcase(asks.place, who.place)
    return principal and place and all(_met(item.key, item.values, asks, world) for item in who.conditions)


def faults(pair: Pair) -> Iterator[str]:
    """What is said of a pair that isn't so, and what is so and not said."""
    for world in pair.random.sample(WORLDS, 3):
        asking = pair.asking()
        could, can = ({asks: allowed(items, asks, world) for asks in asking} for items in pair.policies)
        for gaining, said, has, lacks in ((True, pair.said[0], can, could), (False, pair.said[1], could, can)):
            for item in said:
                if (verb := pair.verbs.get(item.what)) is not None:
                    yield from _false(pair, item, gaining, verb.held, has, lacks, world)
            for asks in asking:
                for verb in pair.verbs.values():
                    here = verb.held(has[asks]) and not verb.held(lacks[asks])
                    if here and not any(is_among(item.who, asks, world) for item in said):
                        yield f"{'gain' if gaining else 'loss'} not said: {asks} {verb.word}"


def _false(
    pair: Pair,
    item: Difference,
    gaining: bool,
    held: Callable[[frozenset[str]], bool | None],
    has: dict[Asking, frozenset[str]],
    lacks: dict[Asking, frozenset[str]],
    world: World,
) -> Iterator[str]:
    about = [asks for asks in has if is_among(item.who, asks, world)]
    hedged = item.may or "denie" in item.note
    its_own = item.who.principal == ACCOUNT  # what its roles may do, they say
    if about and not hedged and not its_own and not all(held(has[asks]) for asks in about):
        yield f"not all have it: {item} in {world}"
    kept = [one for number, some in enumerate(pair.kept) if f"<{number}>" in item.note for one in some]
    left = [asks for asks in about if held(lacks[asks]) and not any(is_among(one, asks, world) for one in kept)]
    # "not everyone can any more": that some still can makes it no less true
    everyone = item.who.principal == "*" and not inclusion.of_principals(item.who)
    if left and not item.may and not gaining and not everyone:
        yield f"some keep it: {item}, {left[0]} in {world}"
    # an organization may get more accounts than it has, and everyone is more than these
    if about and len(left) == len(about) and gaining and not item.may and item.who.principal != "*":
        yield f"all had it: {item} in {world}"


@pytest.mark.slow
@pytest.mark.parametrize("placed", [False, True], ids=["repository", "registry"])
@pytest.mark.parametrize("seed", range(int(os.environ.get("AWS_EXAMPLES", "2"))))
def test_what_is_said_of_policies_at_random_is_so(placed: bool, seed: int) -> None:
    random = Random(seed)
    for _ in range(12 if placed else 40):
        pair = Pair(random, placed)
        found = list(faults(pair))
        assert not found, (found[0], json.dumps(pair.policies))
