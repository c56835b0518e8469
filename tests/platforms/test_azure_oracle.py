"""Who gains and who loses by a plan on Azure, compared with what the stand-in lets them do before and after: specs at random, beside
what others gave at random."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Iterator
from fnmatch import fnmatch
from random import Random
from typing import NamedTuple

import pytest

from reconciler import Plan, dumps, loads
from reconciler.model.access import COULD_ALREADY, PUSH, STILL_CAN, Access
from reconciler.platforms.azure.condition import Names, written
from reconciler.platforms.azure.reach import WHOLE
from reconciler.platforms.azure.roles import of_guid
from reconciler.render.sentences import all_gains, all_losses, net_gains, net_losses
from tests.emulators.azure import may, token_may
from tests.sandbox.azure import CONTRIBUTOR, LEGACY, RESOURCE, AzureSandbox
from tests.sandbox.azure_fields import SUBSCRIPTION, principal
from tests.sandbox.base import Document

#: how many pairs of specs are tried in each way
SEEDS = range(int(os.environ.get("AZURE_EXAMPLES", "10")))
REPOSITORIES = ("app-a", "app-b", "team/c", "team/d")
#: with names that no spec here has
EVERYTHING = (*REPOSITORIES, "team/zz", "other/x", "app-ab")
PRINCIPALS = tuple(map(principal, (1, 2, 3, 4)))
TOKENS = ("partner0", "partner1", "theirs")
READER, WRITER = "b93aa761-3e63-49ed-ac28-beffa264f7ac", "2a1e307c-b015-4ebd-883e-5b7698a07328"
ACR_PULL, ACR_PUSH = "7f951dda-4ed3-4680-a7ca-43fe172d538d", "8311e382-0749-4cb8-b61a-304f252e45ec"
ROLES = (READER, WRITER, ACR_PULL, ACR_PUSH, CONTRIBUTOR, LEGACY)
SCOPES = (RESOURCE, f"/subscriptions/{SUBSCRIPTION}/resourceGroups/images", f"/subscriptions/{SUBSCRIPTION}")
UNDER = "all repositories under "
FORGED = "reconciler: owner=tests registry=images origin=spec applied=v1-0123456789abcdef"


class Can(NamedTuple):
    """That somebody can do something with a repository: the last word of who it is, `pull` or `push`, and a name."""

    who: str
    verb: str
    name: str


def spec(random: Random, azure: AzureSandbox, mode: str | None) -> Document:
    """A spec with some of the repositories, and some grants."""
    names = [name for name in REPOSITORIES if random.random() < 0.8] or ["app-a"]
    grants: dict[str, Document] = {}
    for number in range(random.randint(0, 5)):
        token = random.random() < 0.3
        name = f"partner{random.randint(0, 1)}" if token else f"grant{number}"
        ids = random.sample(PRINCIPALS[:3], random.randint(1, 2))
        to: Document = {"type": "azure-token"} if token else {"type": "azure", "principal_ids": ids}
        grant: Document = {"name": name, "to": to, "permission": random.choice(["pull", "push-pull"])}
        if random.random() < 0.7 and (token or mode != "legacy"):
            patterns = random.sample(["app-*", "team/*", "app-a", "app-b", "team/c", "*"], random.randint(1, 2))
            grant["repositories"] = [item for item in patterns if any(fnmatch(name, item) for name in names)]
        if grant.get("repositories") != []:
            grants[name] = grant
    rows = [{"name": name, "delete_images": True} for name in names]
    registry = {"role_assignment_mode": mode} if mode else {}
    guards = {"max_deletes": "100%"}
    return azure.document(*rows, grants=tuple(grants.values()), registry=registry, guards=guards)


def others(random: Random, azure: AzureSandbox) -> None:
    """What others give: roles, to whomever and wherever, and tokens."""
    taken = {(item.principal, item.role, item.scope.lower()) for item in azure.cloud.assignments.values()}
    for _ in range(random.randint(0, 4)):
        who, role, scope = random.choice(PRINCIPALS), random.choice(ROLES), random.choice(SCOPES)
        if (who, role, scope.lower()) not in taken:
            taken.add((who, role, scope.lower()))
            known = of_guid(role)
            limited = known is not None and known.mode == "abac" and random.random() < 0.4
            names = Names(frozenset(["app-a"]), frozenset(["team/"]))
            condition = written(names, known.actions) if known is not None and limited else None
            text = random.choice([FORGED, FORGED.replace("spec", "runtime"), "Ticket 4711", None])
            azure.assign(who, role, scope, condition=condition, conditionVersion="2.0", description=text)
    if random.random() < 0.5:
        azure.call("PUT", f"{RESOURCE}/scopeMaps/theirs", {"properties": {"actions": ["repositories/*/content/read"]}})
        token(azure, "theirs", random.choice([name for name in TOKENS if name in azure.acr.scope_maps]), random)


def token(azure: AzureSandbox, name: str, scope_map: str, random: Random) -> None:
    status = random.choice(["enabled", "enabled", "disabled"])
    said = {"scopeMapId": f"{RESOURCE}/scopeMaps/{scope_map}", "status": status}
    azure.call("PUT", f"{RESOURCE}/tokens/{name}", {"properties": said})


def hands(random: Random, azure: AzureSandbox) -> None:
    """What hands do to what is ours: other conditions and actions."""
    for item in list(azure.cloud.assignments.values()):
        known = of_guid(item.role)
        if item.principal in PRINCIPALS and known is not None and known.actions and random.random() < 0.6:
            exact, prefixes = random.choice(
                [(["app-a"], []), (["app-b"], ["team/"]), ([], ["team/"]), (["team/c"], [])]
            )
            text = written(Names(frozenset(exact), frozenset(prefixes)), known.actions)
            odd = text.replace("StringEqualsIgnoreCase", "StringEquals").replace("StartsWithIgnoreCase", "StartsWith")
            item.properties["condition"] = random.choice([text, text, odd, None])
            item.properties["conditionVersion"] = "2.0"
    for name, found in azure.acr.scope_maps.items():
        if name.startswith("partner") and random.random() < 0.7:
            names = random.sample(["*", "team/*", "app-a", "team/c"], 2)
            found.properties["actions"] = [
                f"repositories/{item}/content/{random.choice(['read', 'write'])}" for item in names
            ]


def truth(azure: AzureSandbox) -> set[Can]:
    """Who can do what now."""
    found = {
        Can(who, verb, name)
        for who in PRINCIPALS
        for verb in ("pull", PUSH)
        for name in EVERYTHING
        if may(azure.cloud, who, azure.acr, name, verb)
    }
    holders = {
        Can(who, verb, name)
        for who in TOKENS
        for verb in ("pull", PUSH)
        for name in EVERYTHING
        if token_may(azure.acr, who, name, verb)
    }
    return found | holders


class Said(NamedTuple):
    """What sentences say. `sure`: that it changes; `perhaps`: that it may; `not_so`: that it was so before, or is so after."""

    sure: set[Can]
    perhaps: set[Can]
    not_so: set[Can]


def said(found: Iterable[Access], before: Collection[Can] = ()) -> Said:
    """What sentences say. `before`: who could do what already: whoever gains all repositories may have had some of them."""
    sure: set[Can] = set()
    perhaps: set[Can] = set()
    not_so: set[Can] = set()
    for item in found:
        these = set(cans(item))
        if not item.repository and not these.issubset(before):
            these.difference_update(before)
        if item.note.removesuffix(" by what others gave").endswith(
            (COULD_ALREADY.format("it"), STILL_CAN.format("it"))
        ):
            not_so |= these
        else:
            (perhaps if item.may else sure).update(these)
    return Said(sure, perhaps, not_so)


def cans(item: Access) -> Iterator[Can]:
    """What a sentence is about, without what it excepts."""
    verb, _, rest = item.verb.partition(" ")
    who = item.principal.label.split()[-1]
    if verb not in ("pull", PUSH) or who not in (*PRINCIPALS, *TOKENS):
        return
    excepted = re.fullmatch(r"except (.+?)(, where .*)?", item.note)
    left = excepted[1].split(", ") if excepted else []
    for name in covered(rest, item.repository):
        if not any(name in covered(text if " " in text else "", text) for text in left):
            yield Can(who, verb, name)


def covered(words: str, repository: str) -> list[str]:
    if words == WHOLE:
        return list(EVERYTHING)
    if words.startswith(UNDER):
        return [name for name in EVERYTHING if name.startswith(words.removeprefix(UNDER))]
    return [repository]


def carried_out(azure: AzureSandbox, document: Document, targets: Collection[str] = ()) -> Plan:
    """The plan that is applied, with what is in its way taken over."""
    plan = azure.plan(document, targets=targets)
    if plan.problems:
        plan = azure.plan(document, adopt=sorted({item.address for item in plan.problems}), targets=targets)
    assert plan.problems == ()
    saved = loads(dumps(plan))
    assert dumps(saved) == dumps(plan)
    failed = [item.message for item in azure.carry_out(saved, saved=True) if item.message]
    assert failed == []
    return plan


def without_what_is_in_the_way(azure: AzureSandbox, document: Document) -> None:
    """A scope map that a token of others has is not deleted until a hand deletes the token."""
    adopt = sorted({item.address for item in azure.plan(document).problems})
    violations = azure.plan(document, adopt=adopt).violations
    for verdict in violations:
        assert verdict.guard == "foreign"
        assert "(token theirs" in verdict.message
    if violations:
        azure.call("DELETE", f"{RESOURCE}/tokens/theirs")


def check(azure: AzureSandbox, document: Document, targets: Collection[str] = ()) -> None:
    """That the plan says what it does, and nothing else."""
    without_what_is_in_the_way(azure, document)
    before = truth(azure)
    plan = carried_out(azure, document, targets)
    after = truth(azure)
    text = [item.text for item in (*all_gains(plan), *all_losses(plan))]
    gains, losses = said(net_gains(plan), before), said(net_losses(plan))
    for gone, come, found in ((before, after, gains), (after, before, losses)):
        unsaid, untrue = (come - gone) - found.sure - found.perhaps, found.sure - (come - gone)
        assert (unsaid, untrue, found.not_so - (come & gone)) == (set(), set(), set()), text
    foreign = said(access for item in plan.foreign for access in item.access)
    assert foreign.sure - before == set()
    assert targets or azure.plan(document).changes == ()


@pytest.mark.parametrize("seed", SEEDS)
def test_a_plan_says_who_gains_and_loses(azure: AzureSandbox, seed: int) -> None:
    random = Random(seed)
    carried_out(azure, spec(random, azure, None))
    others(random, azure)
    check(azure, spec(random, azure, None))


@pytest.mark.parametrize("seed", SEEDS)
def test_so_does_a_change_of_the_mode(azure: AzureSandbox, seed: int) -> None:
    random = Random(f"mode {seed}")
    first, then = random.sample(["abac", "legacy"], 2)
    carried_out(azure, spec(random, azure, first))
    others(random, azure)
    check(azure, spec(random, azure, then))


@pytest.mark.parametrize("seed", SEEDS)
def test_so_does_what_heals_what_hands_did(azure: AzureSandbox, seed: int) -> None:
    random = Random(f"hands {seed}")
    document = spec(random, azure, None)
    carried_out(azure, document)
    hands(random, azure)
    others(random, azure)
    check(azure, random.choice([document, spec(random, azure, None)]))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("modes", ["same", "change"])
def test_so_does_a_plan_that_leaves_changes_out(azure: AzureSandbox, modes: str, seed: int) -> None:
    """And the plans of what it left out, one after another."""
    random = Random(f"targets {modes} {seed}")
    first, then = random.sample(["abac", "legacy"], 2) if modes == "change" else (None, None)
    carried_out(azure, spec(random, azure, first))
    others(random, azure)
    document = spec(random, azure, then)
    for _ in range(3):
        left = [change.address for change in azure.plan(document).changes if change.kind in ("assignment", "mode")]
        if left:
            check(azure, document, random.sample(left, random.randint(1, (len(left) + 1) // 2)))
    check(azure, document)


@pytest.mark.parametrize("seed", SEEDS)
def test_so_does_the_first_plan_of_all(azure: AzureSandbox, seed: int) -> None:
    """What others gave above a registry counts from the day on which it is made."""
    random = Random(f"first {seed}")
    granted, reader = principal(1), random.choice([READER, WRITER])
    azure.assign(granted, reader, random.choice(SCOPES[1:]))
    document = spec(random, azure, None)
    plan = carried_out(azure, document)
    found = said(net_gains(plan))
    known = {
        item for item in truth(azure) if item.who != granted or any(granted in str(row) for row in document["grants"])
    }
    assert found.sure == known
