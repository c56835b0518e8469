"""Registries of one account that change what they share: in an order in which nothing is missing, and not beside what has moved."""

from __future__ import annotations

import json
from fnmatch import fnmatchcase
from itertools import permutations
from random import Random
from typing import Any

import pytest

from reconciler.engine.order import edges_of
from reconciler.engine.plan_file import dumps, loads
from reconciler.errors import PlatformError, StalePlan
from reconciler.model.address import Address
from reconciler.model.kind import Write
from reconciler.model.resource import Live
from reconciler.platforms.aws.registry_policy import RegistryPolicyKind
from reconciler.platforms.aws.session import AwsSession
from tests.platforms.test_aws_neighbours import OTHER, changed, letting_in, pair, said, scanning
from tests.platforms.test_aws_scanning import configuration
from tests.sandbox.aws import AwsSandbox
from tests.sandbox.base import Document

THIRD = "333333333333"
POLICY, RULES = "registry_policy.statements", "scanning.rules"


def three(mine: Document, theirs: Document, last: Document) -> Document:
    document = pair(mine, theirs)
    document["registries"].append({**pair(last, {})["registries"][0], "name": "zz"})
    return document


def trusting(**prefixes: str) -> Document:
    """A registry policy that lets accounts, `a` or `b`, in to prefixes."""
    accounts = {"a": OTHER, "b": THIRD}
    found = [
        {"type": "replication", "to": {"account_ids": [accounts[who]]}, "prefix": prefix}
        for who, some in prefixes.items()
        for prefix in some.split()
    ]
    return {"registry_policy": found} if found else {}


def both(on_push: str = "", continuous: str = "") -> Document:
    """Enhanced scanning by filters at both frequencies."""
    found = {key: some.split() for key, some in (("on_push", on_push), ("continuous", continuous)) if some}
    return {"scanning": {"type": "enhanced", **found}} if found else {}


def graph(before: Document, after: Document) -> set[tuple[str, str]]:
    """Which registry's change comes before which one's."""
    changes = changed(before, after)
    edges = edges_of({Address(at): change for at, change in changes.items()})
    return {(first.registry, then.registry) for first, then in edges}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (pair(trusting(b="f-"), trusting(a="*", b="f-")), pair(trusting(a="f-a"), trusting(b="f-a"))),
        (pair(both(continuous="g-*"), both(continuous="*")), pair(both("*"), both("g-*"))),
        (
            pair(both(continuous="g-*"), both(continuous="*")),
            pair(both("* f-*"), both("f-*")),
        ),
    ],
)
def test_what_only_gets_less_is_not_waited_for_and_what_is_needed_comes_first(
    before: Document, after: Document
) -> None:
    assert graph(before, after) == {("images", "other")}


@pytest.mark.parametrize("having", [scanning, letting_in])
def test_a_change_waits_for_the_one_alone_that_gets_what_it_takes_away(having: Any) -> None:
    end = "*" if having is scanning else ""
    a, k, m = (having(f"{letter}-{end}") for letter in "akm")
    assert graph(three(a, k, {}), three({}, m, a)) == {("zz", "images")}
    assert graph(three(a, a, {}), three({}, m, a)) == {("zz", "other")}, "other has it until it comes to zz"
    assert graph(three(a, having(f"a-{end}", f"k-{end}"), {}), three({}, a, a)) == set(), "other has it all the time"


#: names of repositories that tell all filters and prefixes apart that are made up below
NAMES = ("f-a1", "f-b", "g-1", "zz")


def scanned(registries: Document) -> set[tuple[str, str]]:
    """What is scanned, and how."""
    return {
        (how, name)
        for registry in registries.values()
        for key, patterns in registry.get("scanning", {}).items()
        for pattern in (patterns if key != "type" else ())
        for how in (("push", "continuous") if key == "continuous" else ("push",))
        for name in NAMES
        if fnmatchcase(name, pattern)
    }


def let_in(registries: Document) -> set[tuple[str, str]]:
    """Who can copy what into the account."""
    return {
        (grant["to"]["account_ids"][0], name)
        for registry in registries.values()
        for grant in registry.get("registry_policy", ())
        for name in NAMES
        if grant["prefix"] == "*" or name.startswith(grant["prefix"])
    }


def copied(registries: Document) -> set[tuple[str, str]]:
    """Which registry's repositories are copied where."""
    return {
        (str(account), name)
        for at, registry in registries.items()
        for account in registry.get("replication", {}).get("accounts", ())
        for name in ([*registries, "else"] if registry["replication"].get("filter") == "all" else [at])
    }


def some_scanning(random: Random) -> Document:
    on_push, continuous = (random.sample(["f-*", "g-*", "f-a*", "*"], random.choice([0, 1, 1, 2])) for _ in "pc")
    return both(" ".join(sorted(set(on_push) - set(continuous))), " ".join(sorted(continuous)))


def some_trust(random: Random) -> Document:
    prefixes = (random.sample(["f-", "g-", "f-a", "*"], random.choice([0, 1, 1, 2])) for _ in "ab")
    return trusting(**{who: " ".join(sorted(some)) for who, some in zip("ab", prefixes, strict=True)})


def some_copies(random: Random) -> Document:
    accounts = sorted(random.sample([OTHER, THIRD], random.choice([0, 1, 1, 2])))
    return {"replication": {"accounts": accounts}} if accounts else {}


def told(changes: dict[str, Any]) -> bool:
    return any(note.startswith("until ") for change in changes.values() for note in change.notes)


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize(
    ("some", "has"),
    [(some_scanning, scanned), (some_trust, let_in), (some_copies, copied)],
    ids=lambda some: some.__name__,
)
def test_nothing_is_missing_meanwhile_where_any_order_does_that_and_else_it_is_said(
    count: int, some: Any, has: Any
) -> None:
    """Over random pairs and triples of registries, in all orders that the plan's graph leaves open."""
    random = Random(count)
    for _ in range(120 // count):
        names = ("images", "other", "zz")[:count]
        before, after = ({name: some(random) for name in names} for _ in range(2))
        stays = has(before) & has(after)

        def lacking(
            order: tuple[str, ...], there: Document = before, then: Document = after, need: Any = stays
        ) -> bool:
            steps = [{**there, **{name: then[name] for name in order[: end + 1]}} for end in range(len(order))]
            return any(not need <= has(step) for step in steps)

        make = pair if count == 2 else three
        changes = changed(make(*before.values()), make(*after.values()))
        edges = edges_of({Address(at): change for at, change in changes.items()})
        orders = list(permutations(sorted({Address(at).registry for at in changes})))
        open_ones = [
            order
            for order in orders
            if all(order.index(one.registry) < order.index(two.registry) for one, two in edges)
        ]
        best = min(map(lacking, orders), default=False)
        assert open_ones
        assert max(map(lacking, open_ones)) == best, (before, after, edges)
        assert told(changes) == best, (before, after, said(changes))


def fresh(aws: AwsSandbox, mine: Document, theirs: Document) -> Document:
    """A spec with two registries of one account and region."""
    document = aws.document("web", registry=mine, guards={"max_deletes": "100%"})
    document["registries"].append(aws.registry("other", **theirs))
    return document


def statuses(outcomes: list[Any]) -> dict[str, str]:
    return {item.address: item.status.value for item in outcomes}


def let_in_now(aws: AwsSandbox) -> dict[str, list[str]]:
    """Each account that the registry policy lets in, and where."""
    policy = json.loads(aws.registry_policies.policies.get("us-east-1", '{"Statement": []}'))
    found: dict[str, list[str]] = {}
    for item in policy["Statement"]:
        where = item["Resource"] if isinstance(item["Resource"], str) else item["Resource"][0]
        who = item["Principal"]["AWS"]
        found.setdefault(who if isinstance(who, str) else who[0], []).append(where.partition("/")[2])
    return {who.split(":")[4]: sorted(places) for who, places in found.items()}


@pytest.mark.parametrize("fails", ["images", "other"])
def test_what_the_plan_says_stays_is_there_whichever_write_fails(
    aws: AwsSandbox, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    aws.apply(fresh(aws, trusting(b="f-"), trusting(a="*", b="f-")))
    plan = aws.plan(fresh(aws, trusting(a="f-a"), trusting(b="f-a")))
    (loss,) = (item for change in plan.changes for item in change.losses if item.principal.account == OTHER)
    assert loss.note == "except f-a*"
    write = RegistryPolicyKind._write

    def failing(kind: RegistryPolicyKind, session: AwsSession, asked: Write) -> Live:
        if session.name == fails:
            raise PlatformError("throttled", address=asked.desired.address, operation="ecr:PutRegistryPolicy")
        return write(kind, session, asked)

    monkeypatch.setattr(RegistryPolicyKind, "_write", failing)
    done = statuses(aws.carry_out(plan))
    assert done == {
        f"images.{POLICY}": "failed" if fails == "images" else "done",
        f"other.{POLICY}": "skipped" if fails == "images" else "failed",
    }
    assert "*" in let_in_now(aws)[OTHER]


MOVED = "other.{0}, which is a part of the same document, is not as the plan has it"


@pytest.mark.parametrize("how", ["thought about", "saved", "saved, skipping"])
def test_access_that_is_no_news_since_it_moves_is_not_given_once_its_owner_has_lost_it(
    aws: AwsSandbox, how: str
) -> None:
    some = letting_in("*")
    nothing: Document = {}
    aws.apply(fresh(aws, nothing, some))
    plan = aws.plan(fresh(aws, some, nothing))
    assert [(change.gains, change.losses) for change in plan.changes] == [((), ()), ((), ())]
    assert {change.registry: change.leans for change in plan.changes} == {"images": (f"other.{POLICY}",), "other": ()}
    aws.apply(fresh(aws, nothing, nothing))
    assert let_in_now(aws) == {}
    if how == "thought about":
        outcomes = aws.carry_out(plan)
    else:
        saved = loads(dumps(plan), platforms=aws.platforms)
        assert saved.changes == plan.changes
        if how == "saved":
            with pytest.raises(StalePlan, match=f"images.{POLICY}: {MOVED.format(POLICY)}"):
                aws.carry_out(saved, saved=True)
            assert let_in_now(aws) == {}
            return
        outcomes = aws.carry_out(saved, saved=True, skip_stale=True)
    assert statuses(outcomes)[f"images.{POLICY}"] == "stale"
    assert next(item.message for item in outcomes if item.address == f"images.{POLICY}").startswith(
        MOVED.format(POLICY)
    )
    assert let_in_now(aws) == {}
    again = aws.plan(fresh(aws, some, nothing))
    assert [item.verb for change in again.changes for item in change.gains] == [
        "replicate images into every repository of us-east-1"
    ]


def test_what_stays_by_another_registry_that_changes_too_is_not_taken_once_that_has_lost_it(aws: AwsSandbox) -> None:
    """Nothing is waited for there, since the other one has it before its change and after it."""
    aws.apply(fresh(aws, scanning("sc-*"), scanning("k-*", "sc-*")))
    plan = aws.plan(fresh(aws, {}, scanning("m-*", "sc-*")))
    assert not any(first.kind == then.kind == "scanning" for first, then in plan.graph)
    aws.apply(fresh(aws, scanning("sc-*"), scanning("k-*")))
    outcomes = aws.carry_out(plan)
    assert statuses(outcomes)[f"images.{RULES}"] == "stale"
    assert "sc-*" in configuration(aws)[1]["SCAN_ON_PUSH"]


def test_a_plan_in_which_each_leans_on_the_other_is_carried_out(aws: AwsSandbox) -> None:
    """What one has done in this run is no reason for the other to be stale."""
    one, other = letting_in("f-"), letting_in("g-")
    aws.apply(fresh(aws, one, other))
    plan = loads(dumps(aws.plan(fresh(aws, other, one))), platforms=aws.platforms)
    missing = f"until other.{POLICY} is done, account {OTHER} can't replicate images into f-* of us-east-1"
    assert [change.notes for change in plan.changes] == [(missing,), ()]
    assert {change.registry: change.leans for change in plan.changes} == {
        "images": (f"other.{POLICY}",),
        "other": (f"images.{POLICY}",),
    }
    assert set(statuses(aws.carry_out(plan, saved=True)).values()) == {"done"}
    assert aws.plan(fresh(aws, other, one)).changes == ()
