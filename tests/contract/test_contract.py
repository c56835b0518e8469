"""The contract that every platform passes: the same tests in each sandbox. They name none."""

from __future__ import annotations

import copy
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import yaml

from reconciler import Plan, loads
from reconciler.engine.apply import apply
from reconciler.engine.approved import differing
from reconciler.engine.expand import estate_of
from reconciler.engine.fields import changes_of
from reconciler.engine.observe import list_registry
from reconciler.engine.plan_file import dumps
from reconciler.engine.sessions import sessions_of
from reconciler.engine.write import GONE, Outcome, Status, Task, carry_out
from reconciler.errors import GuardViolation, PlanRefused, ReconcilerError, StalePlan
from reconciler.model.address import Address
from reconciler.model.change import Action, Cause
from reconciler.model.kind import Verb
from reconciler.model.platform import Estate, Platform, Session
from reconciler.render.markdown import plan_markdown
from reconciler.render.outcome import outcome_line
from reconciler.render.report import report_of
from reconciler.render.text import joined, plan_lines
from reconciler.spec.registry import RegistryBase
from tests.command_line import ROOT
from tests.sandbox import PLATFORMS
from tests.sandbox.base import Document, Sandbox


@pytest.fixture
def document(sandbox: Sandbox) -> Document:
    found = sandbox.document(
        {"name": "app-a", "description": "the shop", **sandbox.full_row},
        "app-b",
        grants=(
            {"name": "one", "to": sandbox.target("1")},
            {"name": "two", "repositories": ["app-a"], "to": sandbox.target("2")},
        ),
        guards={"max_deletes": "100%"},
    )
    sandbox.put_labels(found, {"team": "shop"})
    return found


def test_after_apply_there_is_nothing_left_to_do(sandbox: Sandbox, document: Document) -> None:
    outcomes = sandbox.apply(document)
    made = {"images.repository.app-a", sandbox.access("app-a"), "images.repository.app-b"}
    assert made <= {outcome.address for outcome in outcomes}
    again = sandbox.plan(document)
    assert again.changes == ()
    assert again.unchanged == len(outcomes)


def test_a_plan_changes_nothing(sandbox: Sandbox, document: Document) -> None:
    before = sandbox.state()
    sandbox.plan(document)
    assert sandbox.state() == before


def test_a_change_by_hand_is_drift_and_apply_heals_it(sandbox: Sandbox, document: Document) -> None:
    sandbox.apply(document)
    good = sandbox.state()
    setting = sandbox.setting()
    said, by_hand, _ = setting.values
    sandbox.change_setting()
    plan = sandbox.plan(document)
    assert [(c.address, c.action, c.cause) for c in plan.changes] == [(setting.address, Action.UPDATE, Cause.DRIFT)]
    assert [(item.path, item.old, item.new) for item in plan.changes[0].fields] == [(setting.field, by_hand, said)]
    sandbox.apply(document)
    assert sandbox.state() == good


def test_a_change_of_the_spec_is_pending_not_drift(sandbox: Sandbox, document: Document) -> None:
    sandbox.apply(document)
    setting = sandbox.setting()
    setting.put(document, setting.values[2])
    assert [(c.address, c.cause) for c in sandbox.plan(document).changes] == [(setting.address, Cause.PENDING)]


def test_both_changed_is_told_as_both(sandbox: Sandbox, document: Document) -> None:
    sandbox.apply(document)
    setting = sandbox.setting()
    sandbox.change_setting()
    setting.put(document, setting.values[2])
    assert [c.cause for c in sandbox.plan(document).changes] == [Cause.BOTH]


def test_access_that_was_removed_by_hand_is_drift_and_comes_back(sandbox: Sandbox, document: Document) -> None:
    sandbox.apply(document)
    good = sandbox.state()
    sandbox.remove_access("app-b")
    plan = sandbox.plan(document)
    assert [(c.address, c.action) for c in plan.changes] == [(sandbox.access("app-b"), Action.CREATE)]
    assert plan.changes[0].cause in (Cause.DRIFT, Cause.CHANGED), "never the spec's doing"
    sandbox.apply(document)
    assert sandbox.state() == good


def test_a_new_grant_is_not_called_drift(sandbox: Sandbox, document: Document) -> None:
    grants = document.pop("grants")
    sandbox.apply(document)
    plan = sandbox.plan({**document, "grants": grants})
    assert {change.cause for change in plan.changes} <= {Cause.PENDING, Cause.CHANGED}


def test_a_target_that_names_only_what_is_deleted_with_something_else_is_an_error(
    sandbox: Sandbox, document: Document
) -> None:
    sandbox.apply(document)
    along = {at: change.address for change in sandbox.plan(document, destroy=True).changes for at in change.along}
    assert {at.kind for at in along} >= {sandbox.below}
    for at, carrier in along.items():
        with pytest.raises(ReconcilerError) as refused:
            sandbox.plan(document, destroy=True, targets=[at])
        assert str(refused.value) == f"--target {at}: {at} goes with {carrier}: target that"
    both = sandbox.plan(document, destroy=True, targets=["images.*.app-a"])
    assert "images.repository.app-a" in {change.address for change in both.changes}


def test_what_goes_along_is_counted(sandbox: Sandbox, document: Document) -> None:
    leaving = sandbox.takes_along(document)
    sandbox.apply(leaving.before)
    report = report_of(sandbox.plan(leaving.after))
    assert report.headline == "1 to delete (and 1 resource with it)"


def test_what_left_the_spec_is_deleted_with_what_stands_below_it(sandbox: Sandbox, document: Document) -> None:
    leaving = sandbox.takes_along(document)
    sandbox.apply(leaving.before)
    assert not leaving.gone()
    plan = sandbox.plan(leaving.after)
    assert [(c.address, c.action) for c in plan.changes] == [(leaving.address, Action.DELETE)]
    assert leaving.along in plan.changes[0].along
    assert {access.repository for access in plan.changes[0].losses} == {"app-b"}
    sandbox.apply(leaving.after)
    assert leaving.gone()


def test_destroy_leaves_nothing_of_ours(sandbox: Sandbox, document: Document) -> None:
    empty = sandbox.state()
    sandbox.apply(document)
    sandbox.apply(document, destroy=True)
    assert sandbox.state() == empty
    assert sandbox.plan(document, destroy=True).changes == ()


def test_a_saved_plan_survives_the_file_and_does_the_same(sandbox: Sandbox, document: Document) -> None:
    plan = sandbox.plan(document)
    loaded = loads(dumps(plan))
    assert dumps(loaded) == dumps(plan)
    assert all(outcome.status is Status.DONE for outcome in sandbox.carry_out(loaded, saved=True, verify=True))
    assert sandbox.plan(document).changes == ()


def _of_the_spec(sandbox: Sandbox, document: Document, **wishes: Any) -> list[str]:
    """What a saved plan says otherwise than the spec that it was just made from."""
    plan = loads(dumps(sandbox.plan(document, **wishes)))
    return differing(plan, sandbox.spec(document), sandbox.platforms)


def test_a_saved_plan_says_what_the_spec_does_that_it_was_made_from(sandbox: Sandbox, document: Document) -> None:
    """Also where the spec leaves open what is decided by what is there."""
    rich = sandbox.rich_document()
    assert _of_the_spec(sandbox, rich) == []
    sandbox.apply(rich)
    for grant in rich["grants"]:
        grant["name"] += "-again"
    assert _of_the_spec(sandbox, rich) == []
    assert _of_the_spec(sandbox, rich, destroy=True) == []
    rich["registries"][0]["retired"] = True
    assert _of_the_spec(sandbox, rich) == []
    sandbox.reset()
    sandbox.make_foreign("app-a")
    assert _of_the_spec(sandbox, document, adopt=["images.repository.app-a"]) == []


def test_a_saved_plan_that_lets_go_says_what_the_spec_does(sandbox: Sandbox, document: Document) -> None:
    sandbox.apply(document)
    document["repositories"][1]["release"] = True
    assert _of_the_spec(sandbox, document) == []


def _examples(sandbox: Sandbox) -> Iterator[Document]:
    """The examples, each with the registries that are on the sandbox's platform, and what is in them."""
    for path in sorted((ROOT / "examples").glob("*/registry.yaml")):
        found: Document = yaml.safe_load(path.read_text())
        here = [item for item in found["registries"] if item["platform"] == sandbox.platform]
        names = {item["name"] for item in here}
        for part in ("repositories", "grants"):
            rows = [row for row in found.get(part, ()) if row["registry"] in names]
            found[part] = [row for row in rows if row.get("to", {}).get("type") != "kubernetes"]
        if here:
            yield {**found, "registries": here, "clusters": []}


def test_a_saved_plan_of_each_example_says_what_the_example_does(sandbox: Sandbox) -> None:
    documents = list(_examples(sandbox))
    assert documents
    for document in documents:
        sandbox.reset()
        assert _of_the_spec(sandbox, document) == []


def test_two_orders_of_the_same_spec_give_the_same_plan_file(sandbox: Sandbox, document: Document) -> None:
    turned: dict[str, Any] = dict(reversed(copy.deepcopy(document).items()))
    for section in ("repositories", "grants"):
        turned[section] = [dict(reversed(row.items())) for row in reversed(turned[section])]
    assert without_lines(sandbox.plan(turned)) == without_lines(sandbox.plan(document))
    sandbox.apply(document)
    for each in (document, turned):
        each["guards"] = {"protect": ["app-a", "x"]}
    del document["grants"][0]
    del turned["grants"][1]
    assert sandbox.plan(document).changes
    assert without_lines(sandbox.plan(turned)) == without_lines(sandbox.plan(document))


def without_lines(plan: Plan) -> str:
    """The plan file's text but for the lines of the spec, which another order of the spec moves."""
    file = json.loads(dumps(plan))
    for change in file["changes"]:
        if change.get("desired"):
            assert change["desired"].pop("source"), "every resource comes from somewhere"
    return json.dumps(file)


def test_a_repository_that_nobody_owns_is_a_conflict_until_it_is_adopted(sandbox: Sandbox, document: Document) -> None:
    sandbox.make_foreign("app-a")
    before = sandbox.state()
    plan = sandbox.plan(document)
    assert [problem.address for problem in plan.problems] == ["images.repository.app-a"]
    assert "has no owner" in plan.problems[0].message
    assert "--adopt images.repository.app-a" in plan.problems[0].message
    with pytest.raises(PlanRefused):
        sandbox.carry_out(plan)
    assert sandbox.state() == before
    adopting = sandbox.plan(document, adopt=["images.repository.app-a"])
    assert ("images.repository.app-a", Action.ADOPT) in [(c.address, c.action) for c in adopting.changes]
    sandbox.apply(document, adopt=["images.repository.app-a"])
    assert sandbox.plan(document).changes == ()


def test_adopt_in_the_spec_is_enough(sandbox: Sandbox, document: Document) -> None:
    sandbox.make_foreign("app-a")
    document["repositories"][0]["adopt"] = True
    sandbox.apply(document)
    assert sandbox.plan(document).changes == ()


def test_what_another_spec_owns_is_never_taken_over(sandbox: Sandbox, document: Document) -> None:
    sandbox.make_foreign("app-a", owner="somebody-else")
    document["repositories"][0]["adopt"] = True
    plan = sandbox.plan(document, adopt=["images.repository.app-a"])
    assert len(plan.problems) == 1
    assert "'somebody-else'" in plan.problems[0].message
    assert "'tests'" in plan.problems[0].message
    with pytest.raises(PlanRefused):
        sandbox.carry_out(plan)


def test_what_was_created_at_run_time_is_reported_and_left_alone(sandbox: Sandbox, document: Document) -> None:
    sandbox.make_foreign("made-by-program", owner="tests", origin="runtime")
    sandbox.apply(document)
    plan = sandbox.plan(document)
    assert plan.runtime == ("images.repository.made-by-program",)
    sandbox.destroy_around(document)
    assert "made-by-program" in sandbox.repository_names()


def test_what_has_another_origin_is_reported_and_left_alone_and_a_conflict_if_wanted(
    sandbox: Sandbox, document: Document
) -> None:
    sandbox.make_foreign("odd", owner="tests", origin=sandbox.any_mark)
    sandbox.apply(document)
    plan = sandbox.plan(document)
    assert (plan.changes, plan.runtime) == ((), ())
    assert plan.unclear == {"images.repository.odd": sandbox.any_mark}
    assert loads(dumps(plan)).unclear == plan.unclear
    assert report_of(plan).left_alone.startswith(
        f"Left alone: images.repository.odd, whose origin is '{sandbox.any_mark}', neither spec nor runtime."
    )
    sandbox.destroy_around(document)
    assert "odd" in sandbox.repository_names()
    document["repositories"].append({"name": "odd", "registry": "images"})
    (problem,) = sandbox.plan(document).problems
    assert f"'{sandbox.any_mark}', which is neither spec nor runtime" in problem.message
    sandbox.apply(document, adopt=["images.repository.odd"])
    assert sandbox.plan(document).changes == ()


def test_what_nobody_owns_and_the_spec_does_not_name_is_counted_and_kept(sandbox: Sandbox, document: Document) -> None:
    sandbox.make_foreign("stray")
    plan = sandbox.plan(document)
    assert plan.unowned == {"images": 1}
    assert not any("stray" in change.address for change in plan.changes)


def test_a_repository_with_images_is_not_deleted_without_permission(sandbox: Sandbox, document: Document) -> None:
    sandbox.apply(document)
    sandbox.push_image("app-b")
    sandbox.push_image("app-b", "v2")
    smaller = copy.deepcopy(document)
    del smaller["repositories"][1]
    plan = sandbox.plan(smaller)
    assert {change.images for change in plan.changes if change.address == "images.repository.app-b"} == {2}
    assert [verdict.guard for verdict in plan.violations] == ["images"]
    assert "holds 2 images" in plan.violations[0].message
    with pytest.raises(GuardViolation):
        sandbox.carry_out(plan)
    assert "app-b" in sandbox.repository_names()
    sandbox.apply(smaller, allow_delete=["images.repository.app-b"])
    assert "app-b" not in sandbox.repository_names()


def test_delete_images_in_the_spec_is_remembered_when_the_repository_leaves_it(
    sandbox: Sandbox, document: Document
) -> None:
    document["repositories"][1]["delete_images"] = True
    sandbox.apply(document)
    sandbox.push_image("app-b")
    del document["repositories"][1]
    assert sandbox.plan(document).violations == ()
    sandbox.apply(document)
    assert sandbox.plan(document).changes == ()


def test_a_protected_repository_is_never_deleted(sandbox: Sandbox, document: Document) -> None:
    document["repositories"][1]["protect"] = True
    sandbox.apply(document)
    del document["repositories"][1]
    for wishes in ({}, {"allow_delete": ["images.repository.app-b"]}, {"destroy": True}):
        plan = sandbox.plan(document, **wishes)
        assert "protect" in {verdict.guard for verdict in plan.violations}
        with pytest.raises(GuardViolation, match=r"images\.repository\.app-b is protected"):
            sandbox.carry_out(plan)


def test_guards_protect_names_repositories_by_glob(sandbox: Sandbox, document: Document) -> None:
    sandbox.apply(document)
    del document["repositories"][1]
    document["guards"]["protect"] = ["app-*"]
    assert [verdict.guard for verdict in sandbox.plan(document).violations] == ["protect"]


def test_more_than_30_percent_of_deletes_are_refused_by_default(sandbox: Sandbox) -> None:
    names = [f"app-{number:02}" for number in range(12)]
    sandbox.apply(sandbox.document(*names))
    few, many = sandbox.document(*names[3:]), sandbox.document(*names[6:])
    assert sandbox.plan(few).violations == ()
    plan = sandbox.plan(many)
    assert [verdict.guard for verdict in plan.violations] == ["max_deletes"]
    # with the access of each, where the registry itself has some
    deleted = sum(1 + len(change.along) for change in plan.changes)
    assert f"deletes {deleted} resources" in plan.violations[0].message
    with pytest.raises(GuardViolation):
        sandbox.carry_out(sandbox.plan(many))
    many["guards"] = {"max_deletes": deleted - 1}
    assert [verdict.guard for verdict in sandbox.plan(many).violations] == ["max_deletes"]
    many["guards"] = {"max_deletes": deleted}
    assert sandbox.plan(many).violations == ()


def test_a_grant_to_everyone_is_refused_unless_it_is_allowed(sandbox: Sandbox, document: Document) -> None:
    document["grants"].append({"name": "world", "registry": "images", "to": sandbox.everyone()})
    assert [verdict.guard for verdict in sandbox.plan(document).violations] == ["allow_public"]
    document["guards"]["allow_public"] = True
    assert sandbox.plan(document).violations == ()
    sandbox.apply(document)
    assert sandbox.plan(document).changes == ()


def test_foreign_access_survives_and_is_reported(sandbox: Sandbox, document: Document) -> None:
    sandbox.apply(document)
    sandbox.give_foreign_access("app-a")
    given = sandbox.foreign_access("app-a")
    assert len(given) == 1
    plan = sandbox.plan(document)
    assert plan.changes == ()
    assert [item.address for item in plan.foreign] == [sandbox.foreign_at("app-a")]
    document["grants"][0]["to"] = sandbox.target("5")  # update
    sandbox.apply(document)
    assert sandbox.foreign_access("app-a") == given
    grants, document["grants"] = document["grants"], []  # delete of ours
    sandbox.apply(document)
    assert sandbox.foreign_access("app-a") == given
    document["grants"] = grants  # create of ours beside it
    sandbox.apply(document)
    assert sandbox.foreign_access("app-a") == given
    assert sandbox.plan(document).changes == ()


def test_a_repository_with_access_that_others_gave_is_not_deleted_without_permission(
    sandbox: Sandbox, document: Document
) -> None:
    sandbox.apply(document)
    sandbox.give_foreign_access("app-b")
    del document["repositories"][1]
    before = sandbox.state()
    plan = sandbox.plan(document)
    (change,) = plan.changes
    assert [item.address for item in change.foreign] == [sandbox.access("app-b")]
    assert {access.principal.label for access in change.foreign[0].access} <= {
        access.principal.label for access in change.losses
    }, "the plan says who loses access by the delete"
    (violation,) = plan.violations
    assert (violation.guard, violation.addresses) == ("foreign", ("images.repository.app-b",))
    assert change.foreign[0].what in violation.message
    assert "--allow-delete images.repository.app-b" in violation.message
    with pytest.raises(GuardViolation):
        sandbox.carry_out(plan)
    assert sandbox.state() == before
    allowed = sandbox.plan(document, allow_delete=["images.repository.app-b"])
    assert loads(dumps(allowed)).changes[0].foreign == change.foreign
    for text in (joined(plan_lines(report_of(allowed))), plan_markdown(report_of(allowed))):
        assert "also removes what somebody else gave: " in text
        assert "kept" not in text
    sandbox.apply(document, allow_delete=["images.repository.app-b"])
    assert "app-b" not in sandbox.repository_names()


def test_access_that_others_give_after_the_plan_makes_a_delete_stale(sandbox: Sandbox, document: Document) -> None:
    document["grants"][0]["repositories"] = ["app-a"]  # nobody has been given app-b
    sandbox.apply(document)
    del document["repositories"][1]
    plan = sandbox.plan(document, allow_delete=["images.repository.app-b"])
    sandbox.give_foreign_access("app-b")
    before = sandbox.state()
    (outcome,) = sandbox.carry_out(plan)
    assert outcome.status is Status.STALE
    assert "somebody else gave access since the plan was made" in outcome.message
    assert sandbox.state() == before
    with pytest.raises(StalePlan, match="somebody else gave access"):
        sandbox.carry_out(loads(dumps(plan)), saved=True)
    assert sandbox.state() == before


def test_foreign_tags_survive(sandbox: Sandbox, document: Document) -> None:
    sandbox.apply(document)
    sandbox.put_foreign_tag("app-a", "cost-center", "42")
    assert sandbox.plan(document).changes == ()
    for labels in ({"team": "other", "tier": "1"}, {}, {"team": "shop"}):
        sandbox.put_labels(document, labels)
        sandbox.apply(document)
        assert sandbox.tag("app-a", "cost-center") == "42"
        assert sandbox.plan(document).changes == ()


def test_a_saved_plan_is_stale_when_access_changed_meanwhile(sandbox: Sandbox, document: Document) -> None:
    sandbox.apply(document)
    for grant, who in zip(document["grants"], "78", strict=True):
        grant["to"] = sandbox.target(who)
    document["repositories"][0]["description"] = "the new shop"
    plan = loads(dumps(sandbox.plan(document)))
    assert {sandbox.access("app-a"), sandbox.access("app-b")} <= {change.address for change in plan.changes}
    said = sandbox.meddle("app-a")
    before = sandbox.state()
    with pytest.raises(StalePlan) as refused:
        sandbox.carry_out(plan, saved=True)
    assert set(refused.value.moved) == {sandbox.access("app-a")}
    assert said in refused.value.moved[sandbox.access("app-a")]
    assert sandbox.state() == before


def test_what_moves_during_the_run_is_stale_and_the_rest_goes_on(sandbox: Sandbox, document: Document) -> None:
    sandbox.apply(document)
    for grant, who in zip(document["grants"], "78", strict=True):
        grant["to"] = sandbox.target(who)
    plan = sandbox.plan(document)
    sandbox.meddle("app-a")
    outcomes = {outcome.address: outcome.status for outcome in sandbox.carry_out(plan)}
    assert outcomes.pop(sandbox.access("app-a")) is Status.STALE
    assert sandbox.access("app-b") in outcomes
    assert set(outcomes.values()) == {Status.DONE}
    sandbox.apply(document)
    assert sandbox.plan(document).changes == ()


def test_what_is_gone_already_need_not_be_deleted(sandbox: Sandbox, document: Document) -> None:
    sandbox.apply(document)
    del document["repositories"][1]
    plan = loads(dumps(sandbox.plan(document)))
    sandbox.remove_repository("app-b")
    outcomes = [
        outcome
        for outcome in sandbox.carry_out(plan, saved=True, verify=True)
        if outcome.address == "images.repository.app-b"
    ]
    assert [(outcome.status, outcome.message) for outcome in outcomes] == [(Status.DONE, GONE)]
    assert "deleted" not in outcome_line(outcomes[0])
    assert "it was already gone" in outcome_line(outcomes[0])


def test_a_plan_file_that_keeps_quiet_about_what_a_delete_takes_along_is_stale(
    sandbox: Sandbox, document: Document
) -> None:
    leaving = sandbox.takes_along(document)
    sandbox.apply(leaving.before)
    edited = json.loads(dumps(sandbox.plan(leaving.after)))
    (change,) = edited["changes"]
    edited["basis"] |= {"beside": [], "reaching": []}
    below = change.pop("along")
    del change["needs"]
    del change["losses"]
    if change["live"]["needs"]:
        change["needs"] = change["live"]["needs"]
    (guard,) = edited["guards"]
    told = "2 resources: 1 to delete (and 1 resource with it)"
    assert told in guard["message"]
    guard["message"] = guard["message"].replace(told, "1 resource")
    before = sandbox.state()
    with pytest.raises(StalePlan) as refused:
        sandbox.carry_out(loads(json.dumps(edited)), saved=True)
    assert refused.value.moved == {
        leaving.address: f"{below[0]} would be deleted with it, and the plan does not say so"
    }
    assert sandbox.state() == before


def test_a_stop_ends_the_verification(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reconciler.engine.apply.VERIFIED_AT_ONCE", 1)
    names = ["app-a", "app-b"]
    plan = sandbox.plan(sandbox.document(*names))
    stop, said = Event(), Counter[Status]()

    def spoil(outcome: Outcome) -> None:
        said[outcome.status] += 1
        if said.total() == len(plan.changes):  # all is written; this is what a verification reports
            sandbox.describe(names[0])
            sandbox.describe(names[-1])
        elif outcome.status is Status.FAILED:
            stop.set()

    outcomes = {
        outcome.address: outcome.status for outcome in sandbox.carry_out(plan, verify=True, stop=stop, on_outcome=spoil)
    }
    failed = [address for address, status in outcomes.items() if status is Status.FAILED]
    assert failed == [f"images.repository.{names[0]}"]


def test_images_pushed_after_the_plan_make_a_delete_stale(sandbox: Sandbox, document: Document) -> None:
    sandbox.apply(document)
    del document["repositories"][1]
    plan = sandbox.plan(document)
    sandbox.push_image("app-b")
    outcomes = {outcome.address: outcome.status for outcome in sandbox.carry_out(plan)}
    assert outcomes[Address("images.repository.app-b")] is Status.STALE
    with pytest.raises(StalePlan, match="it holds 1 image now; it held 0 when the plan was made"):
        sandbox.carry_out(loads(dumps(plan)), saved=True)


def test_a_target_that_names_nothing_is_an_error_and_not_a_plan_of_nothing(
    sandbox: Sandbox, document: Document
) -> None:
    access = sandbox.access("app-a")
    kind = Address(access).kind
    wrong = access.replace(kind, kind[:-1])
    for wishes in ({}, {"destroy": True}):
        with pytest.raises(ReconcilerError, match=f"{re.escape(wrong)}: .*did you mean '{re.escape(access)}'"):
            sandbox.plan(document, targets=["images.repository.*", wrong], **wishes)
        assert sandbox.plan(document, targets=["images.repository.*"], **wishes)
    sandbox.apply(document)
    sandbox.apply(document, destroy=True)
    assert sandbox.plan(document, targets=[f"images.{kind}.*"], destroy=True).changes == (), (
        "destroyed twice is no error"
    )


def test_a_target_takes_what_it_needs_along_and_nothing_else(sandbox: Sandbox, document: Document) -> None:
    whole = len(sandbox.plan(document).changes)
    plan = sandbox.plan(document, targets=[sandbox.access("app-a")])
    assert plan.left_out == loads(dumps(plan)).left_out == whole - len(plan.changes)
    assert joined(plan_lines(report_of(plan))).endswith(f"{plan.left_out} changes are left out by --target.\n")
    addresses = {change.address for change in plan.changes}
    assert {sandbox.access("app-a"), *sandbox.needed("app-a")} <= addresses
    assert not any("app-b" in address for address in addresses)
    sandbox.apply(document, targets=[sandbox.access("app-a")])
    sandbox.apply(document)
    assert sandbox.plan(document).changes == ()


def test_the_contract_names_no_platform() -> None:
    """Not in code, nor in words: what is asserted here is asserted of each, and what differs stands in its sandbox."""
    for path in sorted(Path(__file__).parent.glob("*.py")):
        # each word of a name, however the name is put together
        words = {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", path.read_text())}
        assert words.isdisjoint(PLATFORMS), path.name


def test_a_write_marks_what_it_makes_with_the_origin_that_it_is_given(sandbox: Sandbox, document: Document) -> None:
    (made, *_) = sandbox.plan(document, targets=["images.repository.app-b"]).changes[-1:]
    with sessions_of(estate_of(sandbox.spec(document)), platforms=sandbox.platforms) as sessions:
        for change in sandbox.plan(document, targets=["images.repository.app-b"]).changes:
            outcome = carry_out(sessions["images"], Task(change, "tests", origin="runtime"))
            assert outcome.status is Status.DONE, outcome
    del document["repositories"][1]
    plan = sandbox.plan(document)
    assert made.address in plan.runtime
    assert made.address not in {change.address for change in plan.changes}, "what a program made is left alone"


def test_an_error_and_a_saved_plan_know_the_lines_that_a_resource_comes_from(
    sandbox: Sandbox, document: Document
) -> None:
    plan = sandbox.plan(document)
    assert loads(dumps(plan)).changes[0].desired == plan.changes[0].desired
    for change in plan.changes:
        assert change.desired is not None
        places = {(place.kind, place.name): place for place in change.desired.source}
        assert places["registry", "images"].line > 0
        if change.kind in ("repository", sandbox.below) and change.address.name in ("app-a", "app-b"):
            repository = places["repository", f"images/{change.address.name}"]
            assert f"{repository.file}:{repository.line}:{repository.column}" == repository.at
        grants = {name for kind, name in places if kind == "grant"}
        assert grants == sandbox.grants_at(change.address)


def test_settings_that_differ_are_never_shown_as_no_difference(sandbox: Sandbox) -> None:
    for kind in sandbox.platforms[sandbox.platform].kinds.values():
        names = {field.name for field in fields(kind.settings)}
        if not {"tags_immutable", "movable_tags"} <= names:
            continue
        forms = [
            kind.settings(tags_immutable=immutable, movable_tags=movable)
            for immutable in (True, False)
            for movable in ((), ("latest",))
        ]
        for one in forms:
            for other in forms:
                assert bool(changes_of(kind, one, other)) == (one != other)


def test_each_kind_waits_for_kinds_that_there_are_and_declares_verbs_that_it_has(sandbox: Sandbox) -> None:
    kinds = sandbox.platforms[sandbox.platform].kinds
    for name, kind in kinds.items():
        assert kind.name == name
        assert set(kind.after) < set(kinds), name
        assert set(kind.permissions) <= set(Verb), name
        assert all(actions for actions in kind.permissions.values()), name
        assert kind.immutable <= {field.name for field in fields(kind.settings)}, name


def test_an_address_that_is_none_of_what_is_there_reads_nothing(sandbox: Sandbox) -> None:
    sandbox.apply(sandbox.whole_document())
    estate = estate_of(sandbox.spec(sandbox.whole_document()))
    with sessions_of(estate, platforms=sandbox.platforms) as sessions:
        kinds = sandbox.platforms[sandbox.platform].kinds
        there = {address: live for name in sessions for address, live in list_registry(sessions[name], {}).items()}
        assert {live.kind for live in there.values()} == set(sandbox.platforms[sandbox.platform].own_kinds)
        for address, live in there.items():
            session = sessions[address.registry]
            found = list(kinds[live.kind].read(session, [address]))
            assert [item.address for item in found] == [address]
            for odd in odd_ones(address, sandbox.empty_place):
                nothing = [item for item in kinds[live.kind].read(session, [odd]) if not item.vacant]
                assert nothing == [], f"{odd} is taken for {[item.address for item in nothing]}"


def odd_ones(address: Address, elsewhere: str) -> Iterator[Address]:
    """Addresses that begin as this one does and are of nothing that is there."""
    yield Address.of(address.registry, address.kind, f"{address.name}-copy", address.where)
    if not address.where:
        yield Address.of(address.registry, address.kind, address.name, elsewhere)


def test_a_target_that_names_what_nobody_owns_is_an_error_too(sandbox: Sandbox, document: Document) -> None:
    sandbox.make_foreign("stray")
    with pytest.raises(ReconcilerError, match="no resource has this address"):
        sandbox.plan(document, targets=["images.repository.stray"])


def test_a_saved_plan_is_applied_as_wide_as_it_is_asked_for(
    sandbox: Sandbox, document: Document, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    class Watched(Mapping[str, Platform]):
        def __getitem__(self, name: str) -> Platform:
            platform = copy.copy(sandbox.platforms[name])
            opening = platform.open

            def opened(estate: Estate, registry: RegistryBase) -> Session:
                seen.append(estate.parallelism)
                return opening(estate, registry)

            monkeypatch.setattr(platform, "open", opened)
            return platform

        def __iter__(self) -> Iterator[str]:
            return iter(sandbox.platforms)

        def __len__(self) -> int:
            return len(sandbox.platforms)

    plan = loads(dumps(sandbox.plan(document)))
    apply(plan, platforms=Watched(), saved=True, parallelism=7)
    assert seen == [7]
