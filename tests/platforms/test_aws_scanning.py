"""Scanning: our filters among those of others in the account's one configuration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.api.apply import ApplyFailed
from reconciler.engine.plan_file import dumps, loads
from reconciler.errors import PlanRefused, SpecError
from reconciler.platforms.aws.scanning_notes import Note
from reconciler.platforms.aws.scanning_settings import ScanningSettings
from reconciler.platforms.aws.scanning_spec import noted
from reconciler.render.outcome import outcome_line
from reconciler.render.report import report_of
from reconciler.render.text import joined, plan_lines
from tests.emulators.aws import Quiet
from tests.emulators.proxy import Answer, Call
from tests.sandbox.aws import AwsSandbox

AT = "images.scanning.rules"


class Refusing(Quiet):
    """No configuration is taken."""

    def before(self, call: Call) -> Answer | None:
        refused = call.operation == "PutRegistryScanningConfiguration"
        return Answer(400, {"message": "no"}, "ValidationException") if refused else None


@dataclass
class RefusingTags(Quiet):
    """No role is tagged once it was tagged some times."""

    allowed: int
    seen: int = 0

    def before(self, call: Call) -> Answer | None:
        if call.operation != "TagRole":
            return None
        self.seen += 1
        return Answer(403, {"message": "no"}, "AccessDenied") if self.seen > self.allowed else None


Rules = dict[str, list[str]]


def configuration(aws: AwsSandbox, region: str = "us-east-1") -> tuple[str, Rules]:
    found = aws.client("ecr", region).get_registry_scanning_configuration()["scanningConfiguration"]
    rules = {
        rule["scanFrequency"]: sorted(item["filter"] for item in rule["repositoryFilters"]) for rule in found["rules"]
    }
    return found["scanType"], rules


def by_hand(aws: AwsSandbox, kind: str, **rules: list[str]) -> None:
    aws.client("ecr").put_registry_scanning_configuration(
        scanType=kind,
        rules=[
            {"scanFrequency": name, "repositoryFilters": [{"filter": item, "filterType": "WILDCARD"} for item in found]}
            for name, found in rules.items()
        ],
    )


def scanned(aws: AwsSandbox, **scanning: Any) -> dict[str, Any]:
    return aws.document("web", registry={"scanning": scanning})


def test_a_registry_that_does_not_scan_asks_nothing_about_it(aws: AwsSandbox) -> None:
    aws.apply(aws.document("web"))
    assert [call.operation for call in aws.proxy.calls if "Scanning" in call.operation] == []


@pytest.mark.parametrize(
    ("scanning", "found"),
    [
        ({"type": "basic"}, ("BASIC", {"SCAN_ON_PUSH": ["images-*"]})),
        ({"type": "enhanced"}, ("ENHANCED", {"CONTINUOUS_SCAN": ["images-*"]})),
        ({"type": "enhanced", "on_push": ["a-*"]}, ("ENHANCED", {"SCAN_ON_PUSH": ["a-*"]})),
        (
            {"type": "enhanced", "on_push": ["*"], "continuous": ["prod-*", "shop/*"]},
            ("ENHANCED", {"SCAN_ON_PUSH": ["*"], "CONTINUOUS_SCAN": ["prod-*", "shop/*"]}),
        ),
    ],
)
def test_each_form_is_written_as_aws_has_it_and_read_back(
    aws: AwsSandbox, scanning: dict[str, Any], found: tuple[str, Rules]
) -> None:
    document = scanned(aws, **scanning)
    aws.apply(document)
    assert configuration(aws) == found
    assert aws.plan(document).changes == ()


def test_it_is_in_every_region_of_the_registry_and_leaves_with_it(aws: AwsSandbox) -> None:
    document = scanned(aws, type="enhanced")
    document["registries"][0]["replication_regions"] = ["eu-west-1"]
    aws.apply(document)
    for region in ("us-east-1", "eu-west-1"):
        assert configuration(aws, region) == ("ENHANCED", {"CONTINUOUS_SCAN": ["images-*"]})
    del document["registries"][0]["replication_regions"]
    document["guards"] = {"max_deletes": 9}
    aws.apply(document)
    assert configuration(aws, "eu-west-1") == ("BASIC", {})
    assert configuration(aws)[0] == "ENHANCED"
    aws.apply(document, destroy=True)
    assert configuration(aws) == ("BASIC", {})


def test_filters_of_others_stay_through_every_change(aws: AwsSandbox) -> None:
    by_hand(aws, "BASIC", SCAN_ON_PUSH=["theirs-*", "*-theirs"])
    theirs = ["*-theirs", "theirs-*"]
    document = scanned(aws, type="basic", on_push=["images-a*", "images-b*"])
    aws.apply(document)
    assert configuration(aws) == ("BASIC", {"SCAN_ON_PUSH": sorted([*theirs, "images-a*", "images-b*"])})
    document = scanned(aws, type="basic", on_push=["images-b*"])
    aws.apply(document)
    assert configuration(aws) == ("BASIC", {"SCAN_ON_PUSH": sorted([*theirs, "images-b*"])})
    document = aws.document("web")
    (change,) = aws.plan(document).changes
    assert (change.address, change.action.value) == (AT, "delete")
    aws.apply(document)
    assert configuration(aws) == ("BASIC", {"SCAN_ON_PUSH": theirs})
    assert aws.plan(document).changes == ()


def test_a_type_that_would_change_how_others_are_scanned_is_refused(aws: AwsSandbox) -> None:
    by_hand(aws, "BASIC", SCAN_ON_PUSH=["theirs-*"])
    with pytest.raises(
        PlanRefused,
        match=r"enhanced scanning would also change how repositories that others chose are scanned \(theirs-\*\): the account has one"
        r" type, basic; write type: basic, or remove these filters first",
    ):
        aws.apply(scanned(aws, type="enhanced"))
    assert configuration(aws) == ("BASIC", {"SCAN_ON_PUSH": ["theirs-*"]})


def test_drift_of_the_type_and_of_filters_is_healed(aws: AwsSandbox) -> None:
    document = scanned(aws, type="enhanced", continuous=["images-*", "*-prod"])
    aws.apply(document)
    by_hand(aws, "BASIC", SCAN_ON_PUSH=["images-*"])
    (change,) = aws.plan(document).changes
    assert change.cause.value == "drift"
    assert {item.path for item in change.fields} == {"type", "on_push", "continuous"}


def test_two_registries_share_the_account_and_neither_takes_the_other_s_filters(aws: AwsSandbox) -> None:
    document = scanned(aws, type="basic")
    document["registries"].append(aws.registry("other", scanning={"type": "basic"}))
    aws.apply(document)
    assert configuration(aws) == ("BASIC", {"SCAN_ON_PUSH": ["images-*", "other-*"]})
    assert aws.plan(document).changes == ()
    for kind, frequency in (("enhanced", "CONTINUOUS_SCAN"), ("basic", "SCAN_ON_PUSH")):
        for registry in document["registries"]:
            registry["scanning"] = {"type": kind}
        aws.apply(document)
        assert configuration(aws) == (kind.upper(), {frequency: ["images-*", "other-*"]}), (
            "both change their type at once"
        )
        assert aws.plan(document).changes == ()
    del document["registries"][1]["scanning"]
    aws.apply(document)
    assert configuration(aws) == ("BASIC", {"SCAN_ON_PUSH": ["images-*"]})
    document["registries"][1]["scanning"] = {"type": "enhanced"}
    with pytest.raises(SpecError, match="an account has one type in a region"):
        aws.plan(document)


def test_what_is_cut_off_after_the_note_is_finished_and_nothing_of_ours_is_left_behind(aws: AwsSandbox) -> None:
    aws.apply(scanned(aws, type="basic", on_push=["images-a*"]))
    refusal = Refusing()
    aws.proxy.behaviours.append(refusal)
    later = scanned(aws, type="basic", on_push=["images-b*"])
    done = aws.carry_out(aws.plan(later))
    assert [item.status.value for item in done] == ["failed"]
    assert str(ApplyFailed(done)).count("images.scanning.rules") == 1, "the address is named once"
    assert outcome_line(done[0]).startswith("  ~ images.scanning.rules FAILED: ecr:PutRegistryScanningConfiguration: ")
    aws.proxy.behaviours.remove(refusal)
    aws.apply(aws.document("web"))
    assert configuration(aws) == ("BASIC", {})


@pytest.mark.parametrize(
    ("scanning", "message"),
    [
        ({"type": "basic", "continuous": ["*"]}, "needs type: enhanced"),
        ({"type": "basic", "on_push": ["images-"]}, "must be a repository name as ECR has it"),
        ({"type": "basic", "on_push": ["images"]}, "ECR takes it for every name that contains it: write '*images*'"),
        ({"type": "enhanced", "on_push": ["*"], "continuous": ["*"]}, "'*' is in on_push too"),
        ({"type": "basic", "on_push": ["a*", "a*"]}, "'a*' is listed twice"),
        ({"type": "basic", "on_push": [f"{'a' * 90}{number}*" for number in range(3)]}, "which has room for 232"),
    ],
)
def test_what_ecr_or_a_mark_would_not_take_is_an_error_in_the_spec(
    aws: AwsSandbox, scanning: dict[str, Any], message: str
) -> None:
    with pytest.raises(SpecError) as refused:
        aws.plan(scanned(aws, **scanning))
    assert message in str(refused.value)


def test_regions_beyond_what_a_role_has_tags_for_are_an_error_in_the_spec(aws: AwsSandbox) -> None:
    document = scanned(aws, type="basic")
    document["registries"][0]["replication_regions"] = [f"eu-west-{number}" for number in range(1, 21)]
    with pytest.raises(SpecError, match="at most 20 regions"):
        aws.plan(document)


_FILTERS = st.sets(st.from_regex(r"[a-z0-9*](?:[._/a-z0-9*-]?[a-z0-9*]+){0,3}", fullmatch=True), max_size=4)


@given(_FILTERS, _FILTERS)
def test_a_note_says_the_filters_that_it_was_made_from(on_push: set[str], continuous: set[str]) -> None:
    settings = ScanningSettings("ENHANCED", tuple(sorted(on_push)), tuple(sorted(continuous)))
    note = " ".join(("v1-0123456789abcdef", *noted(settings.entries)))
    assert not set(note) - set("abcdefghijklmnopqrstuvwxyz0123456789 ._-/:+"), "what the value of a tag may hold"
    assert Note.of(note) == Note(settings.entries)


def two(aws: AwsSandbox, kind: str, **filters: list[str]) -> dict[str, Any]:
    document = scanned(aws, type=kind, **filters)
    document["registries"].append(aws.registry("other", scanning={"type": kind, **filters}))
    return document


def test_a_filter_that_two_registries_have_goes_with_the_last_of_them(aws: AwsSandbox) -> None:
    document = two(aws, "basic", on_push=["*"])
    aws.apply(document)
    del document["registries"][0]["scanning"]
    aws.apply(document)
    assert configuration(aws) == ("BASIC", {"SCAN_ON_PUSH": ["*"]})
    assert aws.plan(document).changes == ()
    aws.apply(two(aws, "basic", on_push=["*"]))
    aws.apply(document, destroy=True)
    assert configuration(aws) == ("BASIC", {})


def test_a_filter_that_others_had_before_stays_when_ours_goes(aws: AwsSandbox) -> None:
    by_hand(aws, "BASIC", SCAN_ON_PUSH=["*"])
    document = scanned(aws, type="basic", on_push=["*", "a*"])
    aws.apply(document)
    assert aws.plan(document).changes == ()
    aws.apply(scanned(aws, type="basic", on_push=["a*"]))
    assert configuration(aws) == ("BASIC", {"SCAN_ON_PUSH": ["*", "a*"]})
    aws.apply(document)
    aws.apply(aws.document("web"))
    assert configuration(aws) == ("BASIC", {"SCAN_ON_PUSH": ["*"]})


def test_an_update_that_was_cut_off_before_its_last_note_is_written_again(aws: AwsSandbox) -> None:
    aws.apply(scanned(aws, type="basic", on_push=["a*", "b*"]))
    later = scanned(aws, type="basic", on_push=["b*", "c*"])
    refusing = RefusingTags(allowed=1)
    aws.proxy.behaviours.append(refusing)
    assert [item.status.value for item in aws.carry_out(aws.plan(later))] == ["failed"]
    aws.proxy.behaviours.remove(refusing)
    (change,) = aws.plan(later).changes
    assert (change.address, change.action.value) == (AT, "update")
    aws.apply(later)
    by_hand(aws, "BASIC", SCAN_ON_PUSH=["a*", "b*", "c*"])
    assert aws.plan(later).changes == (), "a* is somebody else's now"


def test_filters_that_do_not_fit_beside_those_that_they_replace_are_written_all_the_same(aws: AwsSandbox) -> None:
    def long(letter: str) -> dict[str, Any]:
        return scanned(aws, type="basic", on_push=[f"{letter * 68}{number}*" for number in range(3)])

    by_hand(aws, "BASIC", SCAN_ON_PUSH=["theirs-*"])
    aws.apply(long("a"))
    aws.apply(long("b"))
    found = configuration(aws)[1]["SCAN_ON_PUSH"]
    assert [item[:2] for item in found] == ["bb", "bb", "bb", "th"]
    assert aws.plan(long("b")).changes == ()


def test_a_type_that_one_registry_alone_changes_leaves_no_other_unscanned_and_is_said(aws: AwsSandbox) -> None:
    aws.apply(two(aws, "enhanced"))
    document = two(aws, "basic")
    plan = aws.plan(document, targets=[AT])
    (change,) = plan.changes
    assert change.notes[0] == "the account has one type of scanning, so it changes for other too"
    assert any("basic instead of enhanced" in note for note in change.notes[1:])
    aws.carry_out(plan)
    assert configuration(aws) == ("BASIC", {"SCAN_ON_PUSH": ["images-*", "other-*"]})
    aws.apply(document)
    assert aws.plan(document).changes == ()
    aws.apply(document, destroy=True)
    assert configuration(aws) == ("BASIC", {})


@pytest.mark.parametrize(
    ("kind", "said"),
    [("basic", "type: basic"), ("enhanced", "type: enhanced (Amazon Inspector, which costs money)")],
)
def test_the_type_is_always_shown_and_which_one_costs_money(aws: AwsSandbox, kind: str, said: str) -> None:
    assert f"        {said}\n" in joined(plan_lines(report_of(aws.plan(scanned(aws, type=kind)))))


def test_filters_of_a_registry_that_leave_in_the_same_run_make_no_other_s_plan_stale(aws: AwsSandbox) -> None:
    document = aws.document("web", registry={"scanning": {"type": "basic", "on_push": ["a*", "b*"]}})
    document["registries"].append(aws.registry("other"))
    aws.apply(document)
    document["registries"][0]["scanning"]["on_push"] = ["c*"]
    document["registries"][1]["scanning"] = {"type": "basic"}
    saved = dumps(aws.plan(document))
    done = aws.carry_out(loads(saved, platforms=aws.platforms), saved=True)
    assert {item.status.value for item in done} == {"done"}
    assert configuration(aws) == ("BASIC", {"SCAN_ON_PUSH": ["c*", "other-*"]})
    document["registries"][0].pop("scanning")
    document["registries"][1]["scanning"] = {"type": "enhanced"}
    aws.apply(document)
    assert configuration(aws) == ("ENHANCED", {"CONTINUOUS_SCAN": ["other-*"]})
    assert aws.plan(document).changes == ()


def test_filters_of_others_that_scan_by_hand_alone_stay_so(aws: AwsSandbox) -> None:
    by_hand(aws, "BASIC", MANUAL=["legacy-*"])
    document = scanned(aws, type="basic")
    aws.apply(document)
    assert configuration(aws) == ("BASIC", {"MANUAL": ["legacy-*"], "SCAN_ON_PUSH": ["images-*"]})
    assert aws.plan(document).changes == ()
    aws.apply(aws.document("web"))
    assert configuration(aws) == ("BASIC", {"MANUAL": ["legacy-*"]})
