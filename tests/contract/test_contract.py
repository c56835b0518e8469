"""The contract that every platform passes: the same tests, another stage."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from reconciler import apply, dumps, loads
from reconciler.engine.write import Status
from reconciler.errors import GuardViolation, PlanRefused, ReconcilerError, StalePlan
from reconciler.model.change import Action, Cause
from reconciler.render.markdown import plan_markdown
from reconciler.render.report import report_of
from reconciler.render.text import joined, plan_lines
from tests.stages import Document, Stage


@pytest.fixture
def document(stage: Stage) -> Document:
    return stage.document(
        {"name": "app-a", "description": "the shop", "labels": {"team": "shop"}, "retention": {"keep_last": 5}},
        "app-b",
        grants=(
            {"name": "one", "to": stage.target("1")},
            {"name": "two", "repositories": ["app-a"], "to": stage.target("2")},
        ),
        guards={"max_deletes": "100%"},
    )


def test_after_apply_there_is_nothing_left_to_do(stage: Stage, document: Document) -> None:
    outcomes = stage.apply(document)
    assert {"images.repository.app-a", "images.access.app-a", "images.repository.app-b"} <= {
        o.address for o in outcomes
    }
    again = stage.plan(document)
    assert again.changes == ()
    assert again.unchanged == len(outcomes)


def test_a_plan_changes_nothing(stage: Stage, document: Document) -> None:
    before = stage.state()
    stage.plan(document)
    assert stage.state() == before


def describe(stage: Stage, repository: str) -> None:
    """Changes the description of a repository by hand."""
    place = {"local": f"repositories/{repository}.json", "aws": f"images-{repository} in us-east-1"}[stage.platform]
    dict(stage.hands())[f"describe {place}"]()


def test_a_change_by_hand_is_drift_and_apply_heals_it(stage: Stage, document: Document) -> None:
    stage.apply(document)
    good = stage.state()
    describe(stage, "app-a")
    plan = stage.plan(document)
    assert [(c.address, c.action, c.cause) for c in plan.changes] == [
        ("images.repository.app-a", Action.UPDATE, Cause.DRIFT)
    ]
    assert [(item.path, item.old, item.new) for item in plan.changes[0].fields] == [
        ("description", "by hand", "the shop")
    ]
    stage.apply(document)
    assert stage.state() == good


def test_a_change_of_the_spec_is_pending_not_drift(stage: Stage, document: Document) -> None:
    stage.apply(document)
    document["repositories"][0]["description"] = "the new shop"
    assert [(c.address, c.cause) for c in stage.plan(document).changes] == [("images.repository.app-a", Cause.PENDING)]


def test_both_changed_is_told_as_both(stage: Stage, document: Document) -> None:
    stage.apply(document)
    describe(stage, "app-a")
    document["repositories"][0]["description"] = "the new shop"
    assert [c.cause for c in stage.plan(document).changes] == [Cause.BOTH]


def test_access_that_was_removed_by_hand_is_drift_and_comes_back(stage: Stage, document: Document) -> None:
    stage.apply(document)
    good = stage.state()
    wanted = {"local": "remove access/app-b.json", "aws": "delete the policy of images-app-b in us-east-1"}[
        stage.platform
    ]
    dict(stage.hands())[wanted]()
    plan = stage.plan(document)
    assert [(c.address, c.action) for c in plan.changes] == [("images.access.app-b", Action.CREATE)]
    assert plan.changes[0].cause in (Cause.DRIFT, Cause.PENDING)
    stage.apply(document)
    assert stage.state() == good


def test_what_left_the_spec_is_deleted_with_what_stands_below_it(stage: Stage, document: Document) -> None:
    stage.apply(document)
    smaller = copy.deepcopy(document)
    del smaller["repositories"][1]
    plan = stage.plan(smaller)
    assert [(c.address, c.action) for c in plan.changes] == [("images.repository.app-b", Action.DELETE)]
    assert "images.access.app-b" in plan.changes[0].along
    assert {access.repository for access in plan.changes[0].losses} == {"app-b"}
    stage.apply(smaller)
    assert not any("app-b" in key for key in stage.state().get("repositories", stage.state()))


def test_destroy_leaves_nothing_of_ours(stage: Stage, document: Document) -> None:
    empty = stage.state()
    stage.apply(document)
    stage.apply(document, destroy=True)
    assert stage.state() == empty
    assert stage.plan(document, destroy=True).changes == ()


def test_a_saved_plan_survives_the_file_and_does_the_same(stage: Stage, document: Document) -> None:
    plan = stage.plan(document)
    loaded = loads(dumps(plan))
    assert dumps(loaded) == dumps(plan)
    assert all(outcome.status is Status.DONE for outcome in apply(loaded, saved=True, verify=True))
    assert stage.plan(document).changes == ()


def test_two_orders_of_the_same_spec_give_the_same_plan_file(stage: Stage, document: Document) -> None:
    turned: dict[str, Any] = dict(reversed(copy.deepcopy(document).items()))
    for section in ("repositories", "grants"):
        turned[section] = [dict(reversed(row.items())) for row in reversed(turned[section])]
    assert dumps(stage.plan(turned)) == dumps(stage.plan(document))
    stage.apply(document)
    for each in (document, turned):
        each["guards"] = {"protect": ["app-a", "x"]}
    del document["grants"][0]
    del turned["grants"][1]
    assert stage.plan(document).changes
    assert dumps(stage.plan(turned)) == dumps(stage.plan(document))


def test_a_repository_that_nobody_owns_is_a_conflict_until_it_is_adopted(stage: Stage, document: Document) -> None:
    stage.make_foreign("app-a")
    before = stage.state()
    plan = stage.plan(document)
    assert [problem.address for problem in plan.problems] == ["images.repository.app-a"]
    assert "nobody owns it" in plan.problems[0].message
    assert "--adopt images.repository.app-a" in plan.problems[0].message
    with pytest.raises(PlanRefused):
        apply(plan)
    assert stage.state() == before
    adopting = stage.plan(document, adopt=["images.repository.app-a"])
    assert {str(c.address): c.action for c in adopting.changes}["images.repository.app-a"] is Action.ADOPT
    stage.apply(document, adopt=["images.repository.app-a"])
    assert stage.plan(document).changes == ()


def test_adopt_in_the_spec_is_enough(stage: Stage, document: Document) -> None:
    stage.make_foreign("app-a")
    document["repositories"][0]["adopt"] = True
    stage.apply(document)
    assert stage.plan(document).changes == ()


def test_what_another_spec_owns_is_never_taken_over(stage: Stage, document: Document) -> None:
    stage.make_foreign("app-a", owner="somebody-else")
    document["repositories"][0]["adopt"] = True
    plan = stage.plan(document, adopt=["images.repository.app-a"])
    assert len(plan.problems) == 1
    assert "'somebody-else'" in plan.problems[0].message
    assert "'tests'" in plan.problems[0].message
    with pytest.raises(PlanRefused):
        apply(plan)


def test_what_was_created_at_run_time_is_reported_and_left_alone(stage: Stage, document: Document) -> None:
    stage.make_foreign("made-by-program", owner="tests", origin="runtime")
    stage.apply(document)
    plan = stage.plan(document)
    assert plan.runtime == ("images.repository.made-by-program",)
    stage.apply(document, destroy=True)
    assert any("made-by-program" in key for key in stage.state().get("repositories", stage.state()))


def test_what_nobody_owns_and_the_spec_does_not_name_is_counted_and_kept(stage: Stage, document: Document) -> None:
    stage.make_foreign("stray")
    plan = stage.plan(document)
    assert plan.unowned == {"images": 1}
    assert not any("stray" in change.address for change in plan.changes)


def test_a_repository_with_images_is_not_deleted_without_permission(stage: Stage, document: Document) -> None:
    stage.apply(document)
    stage.push_image("app-b")
    stage.push_image("app-b", "v2")
    smaller = copy.deepcopy(document)
    del smaller["repositories"][1]
    plan = stage.plan(smaller)
    assert plan.changes[0].images == 2
    assert [verdict.guard for verdict in plan.violations] == ["images"]
    assert "holds 2 images" in plan.violations[0].message
    with pytest.raises(GuardViolation):
        apply(plan)
    assert any("app-b" in key for key in stage.state().get("repositories", stage.state()))
    stage.apply(smaller, allow_delete=["images.repository.app-b"])
    assert not any("app-b" in key for key in stage.state().get("repositories", stage.state()))


def test_delete_images_in_the_spec_is_remembered_when_the_repository_leaves_it(
    stage: Stage, document: Document
) -> None:
    document["repositories"][1]["delete_images"] = True
    stage.apply(document)
    stage.push_image("app-b")
    del document["repositories"][1]
    assert stage.plan(document).violations == ()
    stage.apply(document)
    assert stage.plan(document).changes == ()


def test_a_protected_repository_is_never_deleted(stage: Stage, document: Document) -> None:
    document["repositories"][1]["protect"] = True
    stage.apply(document)
    del document["repositories"][1]
    for wishes in ({}, {"allow_delete": ["images.repository.app-b"]}, {"destroy": True}):
        plan = stage.plan(document, **wishes)
        assert "protect" in {verdict.guard for verdict in plan.violations}
        with pytest.raises(GuardViolation, match=r"images\.repository\.app-b is protected"):
            apply(plan)


def test_guards_protect_names_repositories_by_glob(stage: Stage, document: Document) -> None:
    stage.apply(document)
    del document["repositories"][1]
    document["guards"]["protect"] = ["app-*"]
    assert [verdict.guard for verdict in stage.plan(document).violations] == ["protect"]


def test_more_than_30_percent_of_deletes_are_refused_by_default(stage: Stage) -> None:
    names = [f"app-{number:02}" for number in range(12)]
    stage.apply(stage.document(*names))
    few, many = stage.document(*names[3:]), stage.document(*names[6:])
    assert stage.plan(few).violations == ()
    violations = stage.plan(many).violations
    assert [verdict.guard for verdict in violations] == ["max_deletes"]
    assert "deletes 6 resources" in violations[0].message
    with pytest.raises(GuardViolation):
        apply(stage.plan(many))
    many["guards"] = {"max_deletes": 6}
    assert stage.plan(many).violations == ()


def test_a_grant_to_everyone_is_refused_unless_it_is_allowed(stage: Stage, document: Document) -> None:
    target = {"local": {"type": "local", "users": ["*"]}, "aws": {"type": "aws", "account_ids": ["*"]}}[stage.platform]
    document["grants"].append({"name": "world", "registry": "images", "to": target})
    assert [verdict.guard for verdict in stage.plan(document).violations] == ["allow_public"]
    document["guards"]["allow_public"] = True
    assert stage.plan(document).violations == ()
    stage.apply(document)
    assert stage.plan(document).changes == ()


def test_foreign_access_survives_and_is_reported(stage: Stage, document: Document) -> None:
    stage.apply(document)
    stage.give_foreign_access("app-a")

    def foreign() -> list[Any]:
        state = stage.state()
        if stage.platform == "local":
            entries = state.get("sandbox/control/access/app-a.json", {}).get("entries", [])
            return [entry for entry in entries if "grant" not in entry]
        statements = state["repositories"]["us-east-1/images-app-a"].get("policy", {}).get("Statement", [])
        return [item for item in statements if not item["Sid"].startswith("Reconciler")]

    given = foreign()
    assert len(given) == 1
    plan = stage.plan(document)
    assert plan.changes == ()
    assert [item.address for item in plan.foreign] == ["images.access.app-a"]
    document["grants"][0]["to"] = stage.target("5")  # update
    stage.apply(document)
    assert foreign() == given
    grants, document["grants"] = document["grants"], []  # delete of ours
    stage.apply(document)
    assert foreign() == given
    document["grants"] = grants  # create of ours beside it
    stage.apply(document)
    assert foreign() == given
    assert stage.plan(document).changes == ()


def test_a_repository_with_access_that_others_gave_is_not_deleted_without_permission(
    stage: Stage, document: Document
) -> None:
    stage.apply(document)
    stage.give_foreign_access("app-b")
    del document["repositories"][1]
    before = stage.state()
    plan = stage.plan(document)
    (change,) = plan.changes
    assert [item.address for item in change.foreign] == ["images.access.app-b"]
    assert {access.principal.label for access in change.foreign[0].access} <= {
        access.principal.label for access in change.losses
    }, "who loses access by the delete is told"
    (violation,) = plan.violations
    assert (violation.guard, violation.addresses) == ("foreign", ("images.repository.app-b",))
    assert change.foreign[0].what in violation.message
    assert "--allow-delete images.repository.app-b" in violation.message
    with pytest.raises(GuardViolation):
        apply(plan)
    assert stage.state() == before
    allowed = stage.plan(document, allow_delete=["images.repository.app-b"])
    assert loads(dumps(allowed)).changes[0].foreign == change.foreign
    for told in (joined(plan_lines(report_of(allowed))), plan_markdown(report_of(allowed))):
        assert "takes along what somebody else gave: " in told
        assert "kept" not in told
    stage.apply(document, allow_delete=["images.repository.app-b"])
    assert not any("app-b" in key for key in stage.state().get("repositories", stage.state()))


def test_access_that_others_give_after_the_plan_makes_a_delete_stale(stage: Stage, document: Document) -> None:
    document["grants"][0]["repositories"] = ["app-a"]  # app-b has no access document yet
    stage.apply(document)
    del document["repositories"][1]
    plan = stage.plan(document, allow_delete=["images.repository.app-b"])
    stage.give_foreign_access("app-b")
    before = stage.state()
    (outcome,) = apply(plan)
    assert outcome.status is Status.STALE
    assert "somebody else gave access since the plan was made" in outcome.message
    assert stage.state() == before
    with pytest.raises(StalePlan, match="somebody else gave access"):
        apply(loads(dumps(plan)), saved=True)
    assert stage.state() == before


def test_foreign_tags_survive(stage: Stage, document: Document) -> None:
    stage.apply(document)
    stage.put_foreign_tag("app-a", "cost-center", "42")

    def tag() -> str:
        state = stage.state()
        if stage.platform == "local":
            labels: dict[str, str] = state["sandbox/control/repositories/app-a.json"]["labels"]
        else:
            labels = state["repositories"]["us-east-1/images-app-a"]["tags"]
        return labels["cost-center"]

    assert stage.plan(document).changes == ()
    for labels in ({"team": "other", "tier": "1"}, {}, {"team": "shop"}):
        document["repositories"][0]["labels"] = labels
        stage.apply(document)
        assert tag() == "42"
        assert stage.plan(document).changes == ()


def test_a_saved_plan_is_stale_when_access_changed_meanwhile(stage: Stage, document: Document) -> None:
    stage.apply(document)
    document["grants"][0]["to"] = stage.target("7")
    document["repositories"][0]["description"] = "the new shop"
    plan = loads(dumps(stage.plan(document)))
    assert {"images.access.app-a", "images.access.app-b"} <= {change.address for change in plan.changes}
    stage.give_foreign_access("app-a")
    before = stage.state()
    with pytest.raises(StalePlan) as refused:
        apply(plan, saved=True)
    assert set(refused.value.moved) == {"images.access.app-a"}
    assert "others keep in the same document" in refused.value.moved["images.access.app-a"]
    assert stage.state() == before


def test_what_moves_during_the_run_is_stale_and_the_rest_goes_on(stage: Stage, document: Document) -> None:
    stage.apply(document)
    document["grants"][0]["to"] = stage.target("7")
    plan = stage.plan(document)
    stage.give_foreign_access("app-a")
    outcomes = {outcome.address: outcome.status for outcome in apply(plan)}
    assert outcomes == {"images.access.app-a": Status.STALE, "images.access.app-b": Status.DONE}
    stage.apply(document)
    assert stage.plan(document).changes == ()


def test_what_is_gone_already_need_not_be_deleted(stage: Stage, document: Document) -> None:
    stage.apply(document)
    del document["repositories"][1]
    plan = loads(dumps(stage.plan(document)))
    wanted = {"local": "remove repositories/app-b.json", "aws": "delete images-app-b in us-east-1"}[stage.platform]
    dict(stage.hands())[wanted]()
    assert [outcome.status for outcome in apply(plan, saved=True, verify=True)] == [Status.DONE]


def test_images_pushed_after_the_plan_make_a_delete_stale(stage: Stage, document: Document) -> None:
    stage.apply(document)
    del document["repositories"][1]
    plan = stage.plan(document)
    stage.push_image("app-b")
    assert [outcome.status for outcome in apply(plan)] == [Status.STALE]
    with pytest.raises(StalePlan, match="holds 1 images now, 0 when the plan was made"):
        apply(loads(dumps(plan)), saved=True)


def test_a_target_that_names_nothing_is_an_error_and_not_a_plan_of_nothing(stage: Stage, document: Document) -> None:
    for wishes in ({}, {"destroy": True}):
        with pytest.raises(ReconcilerError, match=r"images\.acces\.app-a: .*did you mean 'images\.access\.app-a'"):
            stage.plan(document, targets=["images.repository.*", "images.acces.app-a"], **wishes)
        assert stage.plan(document, targets=["images.repository.*"], **wishes)
    stage.apply(document)
    stage.apply(document, destroy=True)
    assert stage.plan(document, targets=["images.access.*"], destroy=True).changes == (), "destroyed twice is no error"


def test_a_target_takes_what_it_needs_along_and_nothing_else(stage: Stage, document: Document) -> None:
    whole = len(stage.plan(document).changes)
    plan = stage.plan(document, targets=["images.access.app-a"])
    assert plan.left_out == loads(dumps(plan)).left_out == whole - len(plan.changes)
    assert joined(plan_lines(report_of(plan))).endswith(f"{plan.left_out} changes are left out by --target.\n")
    addresses = {change.address for change in plan.changes}
    assert {"images.access.app-a", "images.repository.app-a"} <= addresses
    assert not any("app-b" in address for address in addresses)
    stage.apply(document, targets=["images.access.app-a"])
    stage.apply(document)
    assert stage.plan(document).changes == ()
