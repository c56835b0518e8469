"""What leaves a spec: registries that are retired, repositories that are released, and what was there before it was adopted."""

from __future__ import annotations

import copy
import re
from pathlib import Path

import pytest
import yaml

from reconciler.api.review import review
from reconciler.engine.plan_file import dumps, loads
from reconciler.errors import GuardViolation, ReconcilerError, SpecError, StalePlan
from reconciler.model.change import Action
from reconciler.render.report import report_of
from reconciler.render.text import joined, plan_lines
from tests.sandbox.base import Document, Sandbox

WEB = "images.repository.web"


def text(plan: object) -> str:
    return joined(plan_lines(report_of(plan)))  # type: ignore[arg-type]  # any plan


def with_grant(sandbox: Sandbox, *repositories: Document | str) -> Document:
    return sandbox.document(
        *repositories, grants=({"name": "one", "to": sandbox.target("1")},), guards={"max_deletes": "100%"}
    )


# -- retired


def test_all_of_a_retired_registry_is_deleted_and_nothing_of_another(sandbox: Sandbox) -> None:
    document = with_grant(sandbox, "web", "api")
    document["registries"].append(sandbox.registry("other"))
    document["repositories"].append({"name": "stays", "registry": "other"})
    sandbox.apply(document)
    everything = sandbox.plan(document, destroy=True)
    document["registries"][0]["retired"] = True
    plan = sandbox.plan(document)
    assert {change.action for change in plan.changes} == {Action.DELETE}
    assert [change.address for change in plan.changes] == [
        change.address for change in everything.changes if change.registry == "images"
    ]
    assert re.search(r"can no longer pull (api, )?web\b", text(plan))
    sandbox.carry_out(plan)
    after = sandbox.plan(document)
    assert after.changes == ()
    assert after.warnings == ("registry images is retired and nothing of it is left; take it out of the spec",)
    document["registries"].pop(0)
    document["repositories"] = [row for row in document["repositories"] if row["registry"] == "other"]
    document["grants"] = []
    assert sandbox.plan(document).changes == ()


@pytest.mark.parametrize("how", ["retired", "destroyed"])
def test_what_a_registry_of_every_kind_holds_goes_in_an_order(sandbox: Sandbox, tmp_path: Path, how: str) -> None:
    """A review says what the plan does: it sorts the same changes, of what the base says instead of what is there."""
    document = sandbox.rich_document()
    sandbox.apply(document)
    retired = copy.deepcopy(document)
    for row in retired["registries"]:
        row["retired"] = True
    plan = sandbox.plan(retired) if how == "retired" else sandbox.plan(document, destroy=True)
    assert {change.action for change in plan.changes} == {Action.DELETE}
    for name, text_of in (("base", document), ("head", retired)):
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(text_of))
    found = review(tmp_path / "base.yaml", tmp_path / "head.yaml")
    assert {change.address for change in found.plan.changes} >= {change.address for change in plan.changes}
    sandbox.carry_out(loads(dumps(plan), platforms=sandbox.platforms))
    assert sandbox.plan(retired).changes == ()


def test_guards_hold_for_what_is_retired(sandbox: Sandbox) -> None:
    document = with_grant(sandbox, {"name": "web", "protect": True}, "api")
    sandbox.apply(document)
    sandbox.push_image("api")
    document["registries"][0]["retired"] = True
    plan = sandbox.plan(document)
    assert {verdict.guard for verdict in plan.violations} == {"protect", "images"}
    before = sandbox.state()
    with pytest.raises(GuardViolation):
        sandbox.carry_out(plan)
    assert sandbox.state() == before


def test_a_registry_that_has_left_the_spec_is_warned_about(sandbox: Sandbox) -> None:
    document = with_grant(sandbox, "web")
    sandbox.apply(document)
    gone = {**document, "registries": [], "repositories": [], "grants": []}
    plan = sandbox.plan(gone)
    assert plan.changes == ()
    (warning,) = plan.warnings
    assert "the spec has no registries" in warning
    assert "`retired: true`" in warning
    assert warning in text(plan)


# -- adopted


def test_what_was_there_before_it_was_adopted_is_deleted_only_by_its_address(sandbox: Sandbox) -> None:
    sandbox.make_foreign("web")
    document = with_grant(sandbox, {"name": "web", "adopt": True}, "api")
    sandbox.apply(document)
    assert sandbox.tag("web", "reconciler-adopted") == "true"
    document["repositories"][0]["description"] = "the shop"  # an update keeps the mark
    sandbox.apply(document)
    assert sandbox.tag("web", "reconciler-adopted") == "true"
    without = copy.deepcopy(document)
    without["repositories"].pop(0)
    for plan in (sandbox.plan(without), sandbox.plan(document, destroy=True)):
        assert [(verdict.guard, verdict.addresses) for verdict in plan.violations] == [("adopted", (WEB,))]
        assert f"--allow-delete {WEB}" in plan.violations[0].message
        assert "was there before reconciler adopted it" in re.sub(r"\n.*adopted: .*", "", text(plan))
        before = sandbox.state()
        with pytest.raises(GuardViolation):
            sandbox.carry_out(plan)
        assert sandbox.state() == before
    sandbox.apply(without, allow_delete=[WEB])
    assert sandbox.repository_names() == {"api"}


def test_what_the_spec_gives_on_something_adopted_goes_without_permission(sandbox: Sandbox) -> None:
    sandbox.make_foreign("web")
    document = with_grant(sandbox, {"name": "web", "adopt": True})
    sandbox.apply(document)
    document["grants"] = []
    plan = sandbox.plan(document)
    assert plan.violations == ()
    sandbox.carry_out(plan)
    assert sandbox.plan(document).changes == ()


# -- released


@pytest.mark.parametrize("by_address", [False, True])
def test_a_released_repository_stays_without_our_marks_and_statements(sandbox: Sandbox, by_address: bool) -> None:
    sandbox.make_foreign("web")
    sandbox.put_foreign_tag("web", "cost", "42")
    sandbox.put_foreign_tag("web", "team", "infra")
    row = {"name": "web", "adopt": True, "labels": {"team": "shop", "tier": "1"}, "protect": True}
    document = with_grant(sandbox, row, "api")
    sandbox.apply(document)
    sandbox.push_image("web")
    sandbox.give_foreign_access("web")
    theirs = sandbox.foreign_access("web")
    if by_address:
        plan = sandbox.plan(document, release=[WEB])
    else:
        row = {"name": "web", "release": True}
        document["repositories"][0] = {"registry": "images", **row}
        plan = sandbox.plan(document)
    found = {change.address: change.action for change in plan.changes}
    assert found == {WEB: Action.RELEASE, "images.access.web": Action.DELETE}
    assert plan.graph == (("images.access.web", WEB),)
    shown = text(plan)
    assert "can no longer pull web" in shown
    assert "protect: true → false" in shown
    assert "is kept, with its images and its other settings, and is no longer owned by this spec" in shown
    assert plan.violations == ()
    sandbox.carry_out(plan)
    for key in ("owner", "registry", "origin", "applied", "adopted", "labels", "protect", "was-team", "applied-access"):
        with pytest.raises(KeyError):
            sandbox.tag("web", f"reconciler-{key}")
    assert sandbox.tag("web", "cost") == "42"
    assert sandbox.tag("web", "team") == "infra", "what a label of ours stood in the place of is given back"
    assert sandbox.tag("web", "tier") == "1"
    assert sandbox.foreign_access("web") == theirs
    without = {**document, "repositories": document["repositories"][1:]}
    after = sandbox.plan(without)
    assert (after.changes, after.unowned) == ((), {"images": 1})
    if not by_address:
        again = sandbox.plan(document)
        assert again.changes == ()
        assert again.warnings == (
            "this spec manages nothing of repository web of registry images, which has release: true; take it out of the spec",
        )


def test_destroy_and_a_retired_registry_leave_what_is_released(sandbox: Sandbox) -> None:
    document = with_grant(sandbox, "web", "api")
    sandbox.apply(document)
    document["repositories"][0]["release"] = True
    document["registries"][0]["retired"] = True
    assert sandbox.plan(document).changes == sandbox.plan(document, destroy=True).changes
    sandbox.apply(document, destroy=True)
    assert sandbox.repository_names() == {"web"}


def test_release_refuses_what_is_not_this_spec_s(sandbox: Sandbox) -> None:
    sandbox.make_foreign("stray")
    sandbox.make_foreign("theirs", owner="somebody-else")
    document = with_grant(sandbox, "web")
    sandbox.apply(document)
    for wrong in (
        "images.repository.stray",
        "images.repository.theirs",
        sandbox.access("web"),
        "web",
        "images.repository.wbe",
    ):
        with pytest.raises(ReconcilerError, match=re.escape(wrong)):
            sandbox.plan(document, release=[wrong])
    with pytest.raises(ReconcilerError, match=re.escape("did you mean 'images.repository.web'")):
        sandbox.plan(document, release=["images.repository.wbe"])


def test_adopt_and_release_contradict_each_other(sandbox: Sandbox) -> None:
    with pytest.raises(SpecError, match=r"repositories\[0\].release"):
        sandbox.spec(with_grant(sandbox, {"name": "web", "adopt": True, "release": True}))


@pytest.mark.parametrize("origin", ["runtime", "somewhere"])
def test_who_names_what_cannot_be_released_changes_nothing_else(sandbox: Sandbox, origin: str) -> None:
    """A release that comes to nothing was a plan of everything: repositories were deleted."""
    sandbox.apply(sandbox.document("gone"))
    sandbox.make_foreign("odd", owner="tests", origin=origin)
    for targets in ((), ("images.repository.new",)):
        with pytest.raises(ReconcilerError, match=r"run time|can't be released"):
            sandbox.plan(sandbox.document("new"), release=["images.repository.odd"], targets=targets)


def test_a_release_and_a_target_are_both_done(sandbox: Sandbox) -> None:
    sandbox.apply(sandbox.document("web", "api"))
    plan = sandbox.plan(sandbox.document("web", "api", "new"), release=[WEB], targets=["images.repository.new"])
    assert {change.address: change.action for change in plan.changes if change.kind == "repository"} == {
        WEB: Action.RELEASE,
        "images.repository.new": Action.CREATE,
    }
    assert {change.address for change in plan.changes if change.kind == "access"} <= {"images.access.web"}


def test_a_delete_is_not_done_already_where_the_resource_only_has_other_marks(sandbox: Sandbox) -> None:
    document = sandbox.document("web", "api")
    sandbox.apply(document)
    saved = dumps(sandbox.plan(sandbox.document("api", guards={"max_deletes": 9})))
    sandbox.apply(document, release=[WEB])
    with pytest.raises(StalePlan) as refused:
        sandbox.carry_out(loads(saved, platforms=sandbox.platforms), saved=True)
    assert not refused.value.applied
    assert "web" in sandbox.repository_names()
