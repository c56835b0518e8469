"""What the guards require of every repository."""

from __future__ import annotations

import json
from typing import Any

import pytest

from reconciler import ReconcilerError, dumps, loads
from tests.sandbox.base import Document, Sandbox

GRANTS = [{"name": name, "to": {"type": "local", "users": [name]}} for name in ("anna", "bert", "carl")]
LOCAL = pytest.mark.parametrize("sandbox", ["local"], indirect=True)


def document(sandbox: Sandbox, **guards: Any) -> Document:
    rows = (
        {"name": "app-a", "labels": {"team": "a"}, "immutable_tags": True},
        {"name": "app-b", "labels": {"tier": "1"}, "immutable_tags": {"except": ["dev-*"]}},
        {"name": "app-c", "immutable_tags": False},
    )
    return sandbox.document(*rows, grants=tuple(GRANTS[:2]), guards=guards)


def said(sandbox: Sandbox, wanted: Document) -> list[str]:
    return [item.message for item in sandbox.plan(wanted).violations]


CASES: tuple[tuple[Document, list[str]], ...] = (
    (
        {"require_labels": ["team", "tier"]},
        [
            "images.repository.app-a and images.repository.app-c have no label 'tier', which guards.require_labels lists",
            "images.repository.app-b and images.repository.app-c have no label 'team', which guards.require_labels lists",
        ],
    ),
    (
        {"require_immutable_tags": True},
        [
            "tags of images.repository.app-c can be moved, where guards.require_immutable_tags wants immutable_tags: true"
            " (exceptions may be listed)"
        ],
    ),
    (
        {"max_grants_per_repository": 1},
        [
            f"images.repository.app-{one} has 2 grants (anna, bert), at most 1 is allowed (max_grants_per_repository)"
            for one in "abc"
        ],
    ),
    ({"max_grants_per_repository": 2, "require_labels": []}, []),
)


@LOCAL
@pytest.mark.parametrize(("guards", "expected"), CASES)
def test_what_lacks_what_is_required_stops_the_plan(sandbox: Sandbox, guards: Document, expected: list[str]) -> None:
    assert said(sandbox, document(sandbox, **guards)) == expected


@LOCAL
@pytest.mark.parametrize(("guards", "expected"), CASES)
def test_also_where_nothing_changes_and_in_a_plan_that_was_saved(
    sandbox: Sandbox, guards: Document, expected: list[str]
) -> None:
    sandbox.apply(document(sandbox))
    plan = sandbox.plan(document(sandbox, **guards))
    assert plan.changes == ()
    assert [item.message for item in loads(dumps(plan)).violations] == expected


@LOCAL
@pytest.mark.parametrize("pattern", ["*", "**"])
def test_exceptions_that_except_everything_are_none(sandbox: Sandbox, pattern: str) -> None:
    wanted = sandbox.document(
        {"name": "app-a", "immutable_tags": {"except": [pattern]}}, guards={"require_immutable_tags": True}
    )
    assert len(said(sandbox, wanted)) == 1


@LOCAL
def test_many_are_counted(sandbox: Sandbox) -> None:
    wanted = sandbox.document(*(f"app-{number}" for number in range(9)), guards={"require_labels": ["team"]})
    assert said(sandbox, wanted) == [
        "images.repository.app-0, images.repository.app-1, images.repository.app-2, and 6 more have no label 'team',"
        " which guards.require_labels lists"
    ]


@LOCAL
def test_destroy_asks_nothing_of_what_goes(sandbox: Sandbox) -> None:
    wanted = document(sandbox, require_labels=["team"])
    sandbox.apply(document(sandbox))
    assert sandbox.plan(wanted, destroy=True).violations == ()


@LOCAL
@pytest.mark.parametrize("passed", [False, True])
def test_a_plan_file_that_keeps_quiet_about_what_is_required_is_damaged(sandbox: Sandbox, passed: bool) -> None:
    guards = {"require_labels": ["team"], "require_immutable_tags": True}
    plan = json.loads(dumps(sandbox.plan(document(sandbox, **guards))))
    names = set(guards)
    if passed:
        for verdict in (*plan["basis"]["required"], *(item for item in plan["guards"] if item["guard"] in names)):
            verdict["passed"] = True
    else:
        plan["basis"]["required"] = []
        plan["guards"] = [item for item in plan["guards"] if item["guard"] not in names]
    with pytest.raises(ReconcilerError, match="damaged"):
        loads(json.dumps(plan))


@LOCAL
def test_a_release_beside_a_change_asks_for_what_is_required(sandbox: Sandbox) -> None:
    sandbox.apply(document(sandbox))
    wanted = document(sandbox, require_labels=["tier"])
    wanted["repositories"][0]["description"] = "the shop"
    repository = "images.repository.{}".format
    assert sandbox.plan(wanted, release=[repository("app-b")]).violations == ()
    plan = sandbox.plan(wanted, release=[repository("app-b")], targets=[repository("app-a")])
    assert [item.guard for item in plan.violations] == ["require_labels"]
    assert loads(dumps(plan)).violations == plan.violations
