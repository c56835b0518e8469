"""Scanning filters that somebody else may have too: they stay, and the plan says so; and what is no longer scanned."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.engine.plan_file import dumps, loads
from reconciler.platforms.aws.scanning_notes import Note
from reconciler.platforms.aws.scanning_settings import ScanningSettings, of_type, weaker
from reconciler.platforms.aws.scanning_spec import CONTINUOUS, ON_PUSH, Entry
from reconciler.platforms.aws.tags import MAX_VALUE
from reconciler.render.report import report_of
from reconciler.render.text import joined, plan_lines
from tests.platforms.test_aws_scanning import AT, by_hand, configuration, scanned
from tests.sandbox.aws import AwsSandbox


@pytest.mark.parametrize("removed", ["the note", "the role"])
def test_a_filter_whose_note_was_removed_by_hand_may_be_anybody_s_and_stays(aws: AwsSandbox, removed: str) -> None:
    document = scanned(aws, type="basic", on_push=["images-*"])
    aws.apply(document)
    if removed == "the note":
        aws.client("iam").untag_role(RoleName="images-pull", TagKeys=["reconciler-applied-scanning-us-east-1"])
    else:
        dict(aws.hands())["delete the role images-pull"]()
    assert notes_of(aws, document) == [THERE_ALREADY]
    aws.apply(document)
    assert aws.plan(document).changes == ()
    assert notes_of(aws, document, destroy=True) == [STAYS]
    aws.apply(document, destroy=True)
    assert configuration(aws) == ("BASIC", {"SCAN_ON_PUSH": ["images-*"]})


def notes_of(aws: AwsSandbox, document: dict[str, Any], *, destroy: bool = False) -> list[str]:
    """What the plan, and the same plan read from a file, say of the registry's scanning beside its fields."""
    plan = aws.plan(document, destroy=destroy)
    (change,) = [item for item in plan.changes if item.address == AT]
    assert [item for item in loads(dumps(plan), platforms=aws.platforms).changes if item.address == AT] == [change]
    assert all(f"        {note}\n" in joined(plan_lines(report_of(plan))) for note in change.notes)
    return list(change.notes)


THERE_ALREADY = (
    "the filter images-* was there already, and no note says that it is the spec's alone: it stays when the spec no longer"
    " has it"
)
STAYS = (
    "the filter images-* stays, since it was there before the spec's note of it: if nobody else needs it, remove it"
    " by hand"
)


@pytest.mark.parametrize("destroy", [False, True])
@pytest.mark.parametrize("fields", [{}, {"on_push": ["images-*"]}])
def test_a_filter_for_the_registry_s_own_names_that_others_had_before_stays_and_that_is_said(
    aws: AwsSandbox, fields: dict[str, Any], destroy: bool
) -> None:
    by_hand(aws, "BASIC", SCAN_ON_PUSH=["images-*", "other*"])
    document = scanned(aws, type="basic", **fields)
    assert notes_of(aws, document) == [THERE_ALREADY]
    aws.apply(document)
    assert aws.plan(document).changes == ()
    later = document if destroy else aws.document("web")
    assert notes_of(aws, later, destroy=destroy) == [STAYS]
    aws.apply(later, destroy=destroy)
    assert configuration(aws) == ("BASIC", {"SCAN_ON_PUSH": ["images-*", "other*"]})


def test_several_filters_that_others_had_are_named_together_also_where_some_leave(aws: AwsSandbox) -> None:
    by_hand(aws, "BASIC", SCAN_ON_PUSH=["a*", "b*"])
    assert notes_of(aws, scanned(aws, type="basic", on_push=["a*", "b*", "c*"])) == [
        "the filters a* and b* were there already, and no note says that they are the spec's alone: they stay when the spec no"
        " longer has them"
    ]
    aws.apply(scanned(aws, type="basic", on_push=["a*", "b*", "c*"]))
    later = scanned(aws, type="basic", on_push=["d*"])
    assert notes_of(aws, later) == [
        "the filters a* and b* stay, since they were there before the spec's note of them: if nobody else needs them, remove them"
        " by hand",
        "repositories like c* are no longer scanned when they are pushed",
    ]
    aws.apply(later)
    assert configuration(aws) == ("BASIC", {"SCAN_ON_PUSH": ["a*", "b*", "d*"]})


@pytest.mark.parametrize("destroy", [False, True])
@pytest.mark.parametrize(
    ("kind", "hows"), [("basic", ["when they are pushed"]), ("enhanced", ["when they are pushed", "continuously"])]
)
def test_a_plan_by_which_scanning_ends_says_of_what(aws: AwsSandbox, kind: str, hows: list[str], destroy: bool) -> None:
    document = scanned(aws, type=kind)
    aws.apply(document)
    later = document if destroy else aws.document("web")
    assert notes_of(aws, later, destroy=destroy) == [
        f"repositories like images-* are no longer scanned {how}" for how in hows
    ]


@pytest.mark.parametrize(
    ("kind", "ours", "theirs", "gone"),
    [
        ("BASIC", {"on_push": ("a-*",)}, [("SCAN_ON_PUSH", "*")], ""),
        ("BASIC", {"on_push": ("a-*",)}, [("SCAN_ON_PUSH", "a")], ""),
        ("BASIC", {"on_push": ("a-*",)}, [("SCAN_ON_PUSH", "b")], "when they are pushed"),
        ("BASIC", {"on_push": ("*-a",)}, [("SCAN_ON_PUSH", "a")], ""),
        ("ENHANCED", {"continuous": ("*a*",)}, [("CONTINUOUS_SCAN", "a")], ""),
        ("BASIC", {"on_push": ("*",)}, [("SCAN_ON_PUSH", "a")], "when they are pushed, but those like *a* still are"),
        ("BASIC", {"on_push": ("a-*",)}, [("MANUAL", "*")], "when they are pushed"),
        (
            "BASIC",
            {"on_push": ("a-*",)},
            [("SCAN_ON_PUSH", "a-b*")],
            "when they are pushed, but those like a-b* still are",
        ),
        ("ENHANCED", {"on_push": ("a-*",)}, [("CONTINUOUS_SCAN", "a-*")], ""),
        ("ENHANCED", {"continuous": ("a-*",)}, [("SCAN_ON_PUSH", "*")], "continuously"),
    ],
)
def test_what_filters_of_others_choose_is_scanned_as_before(
    kind: str, ours: dict[str, tuple[str, ...]], theirs: list[tuple[str, str]], gone: str
) -> None:
    found = [item.what for item in weaker(ScanningSettings(kind, **ours), None, theirs)]
    (mine,) = (item for filters in ours.values() for item in filters)
    assert found == ([f"repositories like {mine} are no longer scanned {gone}"] if gone else [])


@pytest.mark.parametrize(
    ("after", "hows"),
    [
        (ScanningSettings("ENHANCED", (), ("b-*",)), ["when they are pushed", "continuously"]),
        (ScanningSettings("ENHANCED", ("a-*",)), ["continuously"]),
        (ScanningSettings("ENHANCED", ("*",), ("b-*",)), ["continuously"]),
        (ScanningSettings("ENHANCED", (), ("*",)), []),
    ],
)
def test_what_was_scanned_continuously_was_scanned_when_it_was_pushed_too(
    after: ScanningSettings, hows: list[str]
) -> None:
    found = [item.what for item in weaker(ScanningSettings("ENHANCED", (), ("a-*",)), after)]
    assert found == [f"repositories like a-* are no longer scanned {how}" for how in hows]


def test_what_is_scanned_continuously_from_now_on_is_scanned_when_it_is_pushed_too() -> None:
    before, after = ScanningSettings("BASIC", ("a-*",)), ScanningSettings("ENHANCED", (), ("a-*",))
    assert list(weaker(before, after)) == []


def test_a_filter_that_another_registry_of_the_spec_keeps_is_said_to_stay(aws: AwsSandbox) -> None:
    document = scanned(aws, type="basic", on_push=["*", "images-*"])
    document["registries"].append(aws.registry("other", scanning={"type": "basic", "on_push": ["*"]}))
    aws.apply(document)
    said = "registry other has the filter * too: it stays, and what it chooses is still scanned"
    assert said not in notes_of(aws, document, destroy=True)
    del document["registries"][0]["scanning"]
    assert said in notes_of(aws, document)
    aws.apply(document)
    assert configuration(aws) == ("BASIC", {"SCAN_ON_PUSH": ["*"]})


def test_a_filter_of_others_at_another_frequency_stays_too(aws: AwsSandbox) -> None:
    by_hand(aws, "ENHANCED", SCAN_ON_PUSH=["images-*", "other*"])
    aws.apply(scanned(aws, type="enhanced", continuous=["images-*"]))
    aws.apply(scanned(aws, type="enhanced", on_push=["images-*"]))
    aws.apply(aws.document("web"))
    assert configuration(aws) == ("ENHANCED", {"SCAN_ON_PUSH": ["images-*", "other*"]})


def test_a_filter_of_others_outlives_changes_of_ours_to_another_frequency_and_back(aws: AwsSandbox) -> None:
    by_hand(aws, "ENHANCED", SCAN_ON_PUSH=["images-*", "other*"])
    for how in ({"on_push": ["images-*"]}, {"continuous": ["images-*"]}, {"on_push": ["images-*"]}):
        aws.apply(scanned(aws, type="enhanced", **how))
    aws.apply(aws.document("web"))
    assert configuration(aws) == ("ENHANCED", {"SCAN_ON_PUSH": ["images-*", "other*"]})


@pytest.mark.parametrize("others", ["sc-*", "s*"])
def test_what_another_registry_of_the_spec_chooses_too_is_still_scanned(aws: AwsSandbox, others: str) -> None:
    def document(ours: dict[str, Any] | None) -> dict[str, Any]:
        found = aws.document("web", registry={"scanning": ours} if ours else {})
        found["registries"].append(aws.registry("other", scanning={"type": "basic", "on_push": [others]}))
        return found

    aws.apply(document({"type": "basic", "on_push": ["sc-*"]}))
    plan = aws.plan(document(None))
    assert "no longer scanned" not in joined(plan_lines(report_of(plan)))
    loaded = loads(dumps(plan), platforms=aws.platforms)
    assert all(outcome.message == "" for outcome in aws.carry_out(loaded, saved=True))
    assert configuration(aws) == ("BASIC", {"SCAN_ON_PUSH": [others]})


IN_BOTH_WAYS = pytest.mark.parametrize(
    ("theirs", "ours"), [("SCAN_ON_PUSH", "continuous"), ("CONTINUOUS_SCAN", "on_push")]
)


@IN_BOTH_WAYS
def test_what_others_scan_in_another_way_than_ours_stays_also_once_the_type_makes_both_the_same(
    aws: AwsSandbox, theirs: str, ours: str
) -> None:
    by_hand(aws, "ENHANCED", **{theirs: ["images-*"]})
    document = scanned(aws, type="enhanced", **{ours: ["images-*", "mine-*"]})
    aws.apply(document)
    assert aws.plan(document).changes == ()
    by_hand(aws, "BASIC", SCAN_ON_PUSH=["images-*", "mine-*"])
    assert STAYS in notes_of(aws, aws.document("web"))
    aws.apply(aws.document("web"))
    assert configuration(aws) == ("BASIC", {"SCAN_ON_PUSH": ["images-*"]})


@IN_BOTH_WAYS
def test_what_others_scan_in_another_way_keeps_nothing_of_ours_while_the_type_is_the_same(
    aws: AwsSandbox, theirs: str, ours: str
) -> None:
    by_hand(aws, "ENHANCED", **{theirs: ["images-*"]})
    aws.apply(scanned(aws, type="enhanced", **{ours: ["images-*"]}))
    assert STAYS not in notes_of(aws, aws.document("web"))
    aws.apply(aws.document("web"))
    assert configuration(aws) == ("ENHANCED", {theirs: ["images-*"]})


@given(st.sets(st.tuples(st.sampled_from([ON_PUSH, CONTINUOUS]), st.sampled_from(["a*", "b*", "c-*"]))), st.data())
def test_a_note_is_read_back_as_it_was_written(ours: set[Entry], data: st.DataObject) -> None:
    frequencies = st.sampled_from([ON_PUSH, CONTINUOUS, "MANUAL"])
    theirs = data.draw(st.sets(st.tuples(frequencies, st.sampled_from(["a*", "b*", "c-*", "d*"]))))
    note = Note.between(ours, theirs)
    assert Note.of(note.value("v1-0123456789abcdef")) == note
    assert note.ours == ours
    assert note.alone == ours - theirs
    assert not note.on("BASIC").alone & of_type("BASIC", theirs)


def test_a_note_that_is_full_leaves_out_what_others_have_beside_ours() -> None:
    filters = [f"{number:020}-*" for number in range(8)]
    note = Note.between({(CONTINUOUS, item) for item in filters}, {(ON_PUSH, item) for item in filters})
    value = note.value("v1-0123456789abcdef")
    assert 200 < len(value) <= MAX_VALUE
    assert Note.of(value).ours == note.ours
    assert Note.of(value).theirs < note.theirs
