"""Scanning of several registries of one account: whose filters are whose, whatever the others do, and what a plan says may stay."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from reconciler.engine.plan import Plan
from reconciler.engine.plan_file import dumps, loads
from reconciler.errors import PlanRefused, StalePlan
from tests.platforms.test_aws_neighbours import scanning
from tests.platforms.test_aws_scanning import AT, by_hand, configuration
from tests.platforms.test_aws_scanning_left import STAYS, THERE_ALREADY
from tests.sandbox.aws import AwsSandbox
from tests.sandbox.base import Document

OTHER_AT = "other.scanning.rules"


def pair(aws: AwsSandbox, mine: Document, theirs: Document, name: str = "other", **more: Any) -> Document:
    document = aws.document("web", registry=mine, guards={"max_deletes": "100%"})
    document["registries"].append(aws.registry(name, **theirs, **more))
    return document


def notes(aws: AwsSandbox, plan: Plan) -> dict[str, list[str]]:
    """What the plan, and the same plan read from a file, says of each registry's scanning."""
    assert loads(dumps(plan), platforms=aws.platforms).changes == plan.changes
    return {change.address: list(change.notes) for change in plan.changes if change.kind == "scanning"}


def gone(item: str, how: str = "when they are pushed") -> str:
    return f"repositories like {item} are no longer scanned {how}"


def test_a_filter_of_another_region_keeps_nothing_here(aws: AwsSandbox) -> None:
    some, west = scanning("sc-*"), {"region": "us-west-2"}
    aws.apply(pair(aws, some, some, **west))
    later = pair(aws, {}, some, **west)
    plan = aws.plan(later)
    assert notes(aws, plan) == {AT: [gone("sc-*")]}
    aws.carry_out(plan)
    assert configuration(aws) == ("BASIC", {})
    assert configuration(aws, "us-west-2") == ("BASIC", {"SCAN_ON_PUSH": ["sc-*"]})
    assert aws.plan(later).changes == ()


def test_a_filter_that_moves_is_there_all_the_time_unless_its_arrival_is_left_out(aws: AwsSandbox) -> None:
    some = scanning("sc-*")
    aws.apply(pair(aws, some, {}))
    later = pair(aws, {}, some)
    assert notes(aws, aws.plan(later, targets=["images.*"])) == {AT: [gone("sc-*")]}
    plan = aws.plan(later)
    stays = "registry other has the filter sc-* too: it stays, and what it chooses is still scanned"
    assert notes(aws, plan) == {AT: [stays], OTHER_AT: []}
    assert (OTHER_AT, AT) in plan.graph
    aws.proxy.calls.clear()
    assert {item.status.value for item in aws.carry_out(plan)} == {"done"}
    assert [call.operation for call in aws.proxy.calls].count("PutRegistryScanningConfiguration") == 1
    assert configuration(aws) == ("BASIC", {"SCAN_ON_PUSH": ["sc-*"]})
    assert aws.plan(later).changes == ()


def test_a_saved_plan_by_which_something_stays_is_stale_once_that_has_gone(aws: AwsSandbox) -> None:
    some = scanning("sc-*")
    aws.apply(pair(aws, some, some))
    saved = loads(dumps(aws.plan(pair(aws, {}, some))), platforms=aws.platforms)
    aws.apply(pair(aws, some, {}))
    with pytest.raises(
        StalePlan, match=f"{AT}: {OTHER_AT}, which is a part of the same document, is not as the plan has it"
    ):
        aws.carry_out(saved, saved=True)
    assert configuration(aws) == ("BASIC", {"SCAN_ON_PUSH": ["sc-*"]})


def test_so_is_a_plan_that_is_applied_after_somebody_has_thought_about_it(aws: AwsSandbox) -> None:
    some = scanning("sc-*")
    aws.apply(pair(aws, some, some))
    plan = aws.plan(pair(aws, {}, some))
    aws.apply(pair(aws, some, {}))
    (outcome,) = aws.carry_out(plan)
    assert (outcome.status.value, outcome.address) == ("stale", AT)
    assert configuration(aws) == ("BASIC", {"SCAN_ON_PUSH": ["sc-*"]})


@pytest.mark.parametrize("name", ["aa", "other"])
def test_a_type_that_two_registries_change_leaves_no_filter_of_ours_behind(aws: AwsSandbox, name: str) -> None:
    """Whichever writes first, and although what the second finds has changed by then."""

    def document(kind: str, *filters: str) -> Document:
        return pair(aws, scanning(*filters, kind=kind), scanning("b-*", kind=kind), name)

    def in_turn(document: Document) -> None:
        with ThreadPoolExecutor(1) as pool:
            done = aws.carry_out(aws.plan(document), executor=pool)
        assert {item.status.value for item in done} == {"done"}, [item.message for item in done]
        assert aws.plan(document).changes == ()

    aws.apply(document("enhanced", "a-*"))
    in_turn(document("basic", "c-*"))
    assert configuration(aws) == ("BASIC", {"SCAN_ON_PUSH": ["b-*", "c-*"]})
    in_turn(document("enhanced", "a-*"))
    assert configuration(aws) == ("ENHANCED", {"CONTINUOUS_SCAN": ["a-*", "b-*"]})
    in_turn(document("basic"))
    assert configuration(aws) == ("BASIC", {"SCAN_ON_PUSH": ["b-*"]})
    aws.apply(pair(aws, {}, {}, name))
    assert configuration(aws) == ("BASIC", {})


def test_a_type_that_a_registry_changes_makes_nothing_of_a_new_one_stale(aws: AwsSandbox) -> None:
    aws.apply(aws.document("web"))
    document = pair(aws, scanning("a-*", kind="enhanced"), scanning("b-*", kind="enhanced"), "zz")
    with ThreadPoolExecutor(1) as pool:
        done = aws.carry_out(aws.plan(document), executor=pool)
    assert {item.status.value for item in done} == {"done"}, [item.message for item in done]
    assert configuration(aws) == ("ENHANCED", {"CONTINUOUS_SCAN": ["a-*", "b-*"]})


def test_a_filter_that_another_registry_s_type_changed_comes_back_with_the_type(aws: AwsSandbox) -> None:
    enhanced = pair(aws, scanning("a-*", kind="enhanced"), scanning("b-*", kind="enhanced"))
    aws.apply(enhanced)
    aws.apply(pair(aws, scanning("a-*"), scanning("b-*")), targets=["other.*"])
    assert configuration(aws) == ("BASIC", {"SCAN_ON_PUSH": ["a-*", "b-*"]})
    aws.apply(enhanced, targets=["other.*"])
    assert configuration(aws) == ("ENHANCED", {"CONTINUOUS_SCAN": ["a-*", "b-*"]})
    assert aws.plan(enhanced).changes == ()


@pytest.mark.parametrize("leaves", [False, True])
def test_a_type_that_was_changed_by_hand_makes_no_filter_of_ours_somebody_else_s(aws: AwsSandbox, leaves: bool) -> None:
    document = aws.document("web", registry=scanning("images-*", kind="enhanced"))
    aws.apply(document)
    by_hand(aws, "BASIC", SCAN_ON_PUSH=["images-*"])
    later = aws.document("web") if leaves else document
    plan = aws.plan(later)
    assert notes(aws, plan) == {AT: [gone("images-*")] if leaves else []}, "by now it is only scanned when it is pushed"
    aws.carry_out(plan)
    healed = ("ENHANCED", {"CONTINUOUS_SCAN": ["images-*"]})
    assert configuration(aws) == (("BASIC", {}) if leaves else healed)


def test_a_filter_of_others_that_two_registries_take_stays_when_both_leave_and_that_is_said(aws: AwsSandbox) -> None:
    by_hand(aws, "BASIC", SCAN_ON_PUSH=["images-*", "x*"])
    some = scanning("images-*")
    both = pair(aws, some, some)
    plan = aws.plan(both)
    assert notes(aws, plan) == {AT: [THERE_ALREADY], OTHER_AT: [THERE_ALREADY]}
    aws.carry_out(plan)
    assert aws.plan(both).changes == ()
    plan = aws.plan(pair(aws, {}, {}))
    assert notes(aws, plan) == {AT: [STAYS], OTHER_AT: [STAYS]}
    aws.carry_out(plan)
    assert configuration(aws) == ("BASIC", {"SCAN_ON_PUSH": ["images-*", "x*"]})


@pytest.mark.parametrize(
    ("more", "targets"),
    [({"region": "us-west-2"}, []), ({}, []), ({}, ["images.*"])],
    ids=["in another region", "in the same region", "not a part of the run"],
)
def test_a_filter_of_others_is_theirs_whatever_another_registry_asks_for(
    aws: AwsSandbox, more: Document, targets: list[str]
) -> None:
    by_hand(aws, "BASIC", SCAN_ON_PUSH=["prod-*"])
    document = pair(aws, scanning("images-*", kind="enhanced"), scanning("prod-*", kind="enhanced"), **more)
    plan = aws.plan(document, targets=targets)
    assert AT in {problem.address for problem in plan.problems}
    with pytest.raises(PlanRefused, match=r"how repositories that others chose are scanned \(prod-\*\)"):
        aws.carry_out(plan)
    assert configuration(aws) == ("BASIC", {"SCAN_ON_PUSH": ["prod-*"]})
