"""Registries of one account and region: what one of them takes out of a document that it shares with another, and that one keeps."""

from __future__ import annotations

import json
from itertools import chain, product
from typing import Any

import pytest

from reconciler import parse_spec
from reconciler.engine.diff import diff
from reconciler.engine.expand import expand
from reconciler.engine.order import edges_of
from reconciler.engine.picture import Picture
from reconciler.engine.plan import homes_of
from reconciler.model.access import Given
from reconciler.model.address import Address
from reconciler.model.canonical import applied
from reconciler.model.change import Change
from reconciler.model.kind import Trait
from reconciler.model.marks import Marks
from reconciler.model.resource import Live
from reconciler.platforms.aws.registry_policy import RegistryPolicySettings
from reconciler.platforms.aws.replication import ReplicationKind, ReplicationSettings
from reconciler.platforms.aws.scanning_settings import ScanningSettings
from reconciler.platforms.catalog import CATALOG
from tests.sandbox.aws import ACCOUNT
from tests.sandbox.base import Document

OTHER = "222222222222"
NOTHING: dict[str, Any] = {
    "scanning": ScanningSettings(),
    "registry_policy": RegistryPolicySettings(),
    "replication": ReplicationSettings((), 0),
}


def pair(mine: Document, theirs: Document) -> Document:
    """A spec with two registries of one account and region, unless they say otherwise."""
    base = {"platform": "aws", "account_id": ACCOUNT, "region": "us-east-1"}
    registries = [{**base, "name": "images", **mine}, {**base, "name": "other", **theirs}]
    return {"version": 1, "name": "tests", "registries": registries, "repositories": [], "grants": []}


def changed(
    before: Document, after: Document, staying: tuple[str, ...] = (), *, read: bool = True
) -> dict[str, Change]:
    """The changes of what registries share, from one spec to another. `staying`: registries that the plan leaves out. `read`: whether
    the documents were read, as for a plan; a review reads none."""
    spec, spec_before = (parse_spec(json.dumps(document)) for document in (before, after)[::-1])
    kinds, desired = expand(spec, CATALOG)
    common = {kind.name for kind in kinds["images"].values() if Trait.COMMON in kind.traits}
    assert common == NOTHING.keys()
    retired = {item.name for item in spec.registries if item.retired}
    wanted = {
        at: item
        for name, found in desired.items()
        for at, item in found.items()
        if item.kind in common and name not in retired
    }
    had = chain.from_iterable(found.values() for found in expand(spec_before, CATALOG)[1].values())
    there = {item.address: applied(item, "tests") for item in had if item.kind in common}
    there |= {
        at: Live(at, item.kind, NOTHING[item.kind], Marks(), vacant=True)
        for at, item in wanted.items()
        if read and at not in there
    }
    left = {at: there[at] for at in there if at.registry in staying}
    seen = Picture(kinds, wanted, there, homes=homes_of("tests", spec.registries), staying=left)
    return {at: change for at, change in diff(seen, "tests").changes.items() if at.registry not in staying}


def said(changes: dict[str, Change]) -> dict[str, list[str]]:
    """Who gains (+), who loses (-), and what else there is to say, by address."""
    return {
        at: [
            *(f"+ {item.principal.label} {item.verb}" for item in change.gains),
            *(f"- {item.principal.label} {item.verb}{item.note and ' ' + item.note}" for item in change.losses),
            *change.notes,
        ]
        for at, change in changes.items()
    }


def scanning(*filters: str, kind: str = "basic") -> Document:
    key = "on_push" if kind == "basic" else "continuous"
    return {"scanning": {"type": kind, key: list(filters)}} if filters else {}


def letting_in(*prefixes: str) -> Document:
    to = {"account_ids": [OTHER]}
    found = [{"type": "replication", "to": to, "prefix": prefix} for prefix in prefixes]
    return {"registry_policy": found} if found else {}


def copying(*which: str) -> Document:
    found: Document = {"accounts": [OTHER], **({"filter": "all"} if which == ("all",) else {})}
    return {"replication": found} if which else {}


KINDS = [
    ("scanning.rules", scanning, "sc-*", "*", "repositories like sc-* are no longer scanned when they are pushed"),
    (
        "registry_policy.statements",
        letting_in,
        "sc-",
        "*",
        f"- account {OTHER} replicate images into sc-* of us-east-1",
    ),
]


@pytest.mark.parametrize(("at", "having", "narrow", "wide", "lost"), KINDS)
@pytest.mark.parametrize("other", ["narrow", "wide"])
def test_what_another_registry_keeps_in_the_same_document_is_not_lost(
    at: str, having: Any, narrow: str, wide: str, lost: str, other: str
) -> None:
    theirs = having(narrow if other == "narrow" else wide)
    mine, name = having(narrow), f"images.{at}"
    assert lost not in said(changed(pair(mine, theirs), pair({}, theirs)))[name]
    assert lost in said(changed(pair(mine, {}), pair({}, {})))[name], "nobody else has it"
    elsewhere = {**theirs, "region": "us-west-2"}
    assert lost in said(changed(pair(mine, elsewhere), pair({}, elsewhere)))[name], (
        "another region's is another document"
    )
    retired = {**theirs, "retired": True}
    assert lost in said(changed(pair(mine, theirs), pair({}, retired)))[name], "a retired registry keeps nothing"
    assert lost in said(changed(pair(mine, theirs), pair({}, {})))[name], "it goes in the same plan"


@pytest.mark.parametrize("read", [True, False])
@pytest.mark.parametrize(("at", "having", "narrow", "wide", "lost"), KINDS)
def test_what_moves_to_another_registry_comes_there_first_and_is_lost_if_that_is_left_out(
    at: str, having: Any, narrow: str, wide: str, lost: str, read: bool
) -> None:
    before, after = pair(having(narrow), {}), pair({}, having(narrow))
    found = changed(before, after, read=read)
    assert lost not in said(found)[f"images.{at}"]
    assert not any(line.startswith("+") for line in said(found)[f"other.{at}"]), "it could already"
    assert edges_of({Address(one): change for one, change in found.items()}) == ((f"other.{at}", f"images.{at}"),)
    assert lost in said(changed(before, after, staying=("other",)))[f"images.{at}"]


@pytest.mark.parametrize(
    ("at", "having", "filters", "missing"),
    [
        (
            "scanning.rules",
            scanning,
            ("sc-*", "x-*"),
            "repositories like sc-* are no longer scanned when they are pushed",
        ),
        (
            "registry_policy.statements",
            letting_in,
            ("sc-", "x-"),
            f"account {OTHER} can't replicate images into sc-* of us-east-1",
        ),
        (
            "registry_policy.statements",
            letting_in,
            ("*", "x-"),
            f"account {OTHER} can't replicate images into any repository of us-east-1, except x-*",
        ),
    ],
)
def test_of_two_registries_that_change_places_one_begins_and_what_is_missing_meanwhile_is_said(
    at: str, having: Any, filters: tuple[str, str], missing: str
) -> None:
    one, other = filters
    found = changed(pair(having(one), having(other)), pair(having(other), having(one)))
    notes = [line for line in said(found)[f"images.{at}"] if "too: it stays" not in line]
    wide = one == "*"  # what the narrow one let in, the wide one does all the time
    first, then = ("images", "other") if not wide else ("other", "images")
    assert edges_of({Address(one): change for one, change in found.items()}) == ((f"{first}.{at}", f"{then}.{at}"),)
    assert notes == ([] if wide else [f"until other.{at} is done, {missing}"])


def test_what_a_wider_filter_or_statement_of_another_registry_leaves_is_said_as_what_stays() -> None:
    before, after = pair(letting_in("*"), letting_in("sc-")), pair({}, letting_in("sc-"))
    assert said(changed(before, after)) == {
        "images.registry_policy.statements": [
            f"- account {OTHER} replicate images into every repository of us-east-1 except sc-*"
        ]
    }
    before, after = pair(scanning("*"), scanning("sc-*")), pair({}, scanning("sc-*"))
    assert said(changed(before, after)) == {
        "images.scanning.rules": [
            "repositories like * are no longer scanned when they are pushed, but those like sc-* still are"
        ]
    }


@pytest.mark.parametrize(
    ("before", "after", "lines"),
    [
        (
            (copying("all"), copying("own")),
            ({}, copying("own")),
            ["- {} receive copies of every repository except other-*"],
        ),
        ((copying("own"), copying("all")), ({}, copying("all")), []),
        ((copying("own"), copying("own")), ({}, copying("own")), ["- {} receive copies of images-*"]),
        (({}, copying("all")), (copying("own"), copying("all")), []),
        (({}, copying("own")), (copying("all"), copying("own")), ["+ {} receive copies of every repository"]),
        ((copying("all"), {}), ({}, copying("all")), []),
    ],
)
def test_copies_that_another_registry_s_rule_makes_are_made_as_before(
    before: tuple[Document, Document], after: tuple[Document, Document], lines: list[str]
) -> None:
    found = said(changed(pair(*before), pair(*after)))["images.replication.rule"]
    assert found == [line.format(f"account {OTHER} in us-east-1") for line in lines]


@pytest.mark.parametrize(
    ("filters", "gains", "losses"),
    [
        (None, [], []),
        (["images-"], [], []),
        (["i", "x-"], [], []),
        (["images-a"], ["receive copies of images-*"], ["receive copies of images-* except images-a*"]),
        (["x-"], ["receive copies of images-*"], ["receive copies of images-*"]),
    ],
)
def test_copies_that_others_rules_make_are_made_as_before(
    filters: list[str] | None, gains: list[str], losses: list[str]
) -> None:
    rule: Document = {"destinations": [{"region": "us-east-1", "registryId": OTHER}]}
    if filters is not None:
        rule["repositoryFilters"] = [{"filter": item, "filterType": "PREFIX_MATCH"} for item in filters]
    ours, nothing = (
        Given(settings, json.dumps([rule])) for settings in (ReplicationSettings((f"us-east-1/{OTHER}",)), None)
    )
    at, home = Address("images.replication.rule"), homes_of("tests", parse_spec(json.dumps(pair({}, {}))).registries)
    for before, after, gained, lost in ((nothing, ours, gains, []), (ours, nothing, [], losses)):
        found = ReplicationKind().gains_and_losses(at, before, after, home["images"])
        assert [[f"{item.verb} {item.note}".strip() for item in some] for some in found] == [gained, lost]


def test_what_is_scanned_and_said_no_longer_to_be_is_what_no_registry_chooses_any_more() -> None:
    """Over all pairs of filters of two registries before and after."""
    some = [(), ("f-*",), ("g-*",), ("f-*", "g-*")]
    for mine, theirs, mine_then, theirs_then in product(some, repeat=4):
        changes = changed(pair(scanning(*mine), scanning(*theirs)), pair(scanning(*mine_then), scanning(*theirs_then)))
        lost = {*mine, *theirs} - {*mine_then, *theirs_then}
        named = {
            item
            for lines in said(changes).values()
            for line in lines
            if "no longer" in line and not line.startswith("until ")
            for item in line.split()
        }
        assert named & {"f-*", "g-*"} == lost, (mine, theirs, mine_then, theirs_then)


@pytest.mark.slow  # all pairs of policies
def test_who_gains_and_loses_by_two_registries_policies_is_who_gains_and_loses_by_both() -> None:
    """Over all pairs of statements of two registries before and after."""
    some = [(), ("f-",), ("g-",), ("f-", "g-")]
    for mine, theirs, mine_then, theirs_then in product(some, repeat=4):
        found = changed(
            pair(letting_in(*mine), letting_in(*theirs)), pair(letting_in(*mine_then), letting_in(*theirs_then))
        )
        lines = [line for group in said(found).values() for line in group]
        before, after = {*mine, *theirs}, {*mine_then, *theirs_then}
        for sign, these in (("+", after - before), ("-", before - after)):
            what = {f"{sign} account {OTHER} replicate images into {prefix}* of us-east-1" for prefix in these}
            assert {line for line in lines if line[0] == sign} == what, (mine, theirs, mine_then, theirs_then)
