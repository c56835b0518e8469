"""A label of the spec where somebody else has a tag: the plan says so, and what they had comes back when the label goes."""

from __future__ import annotations

import pytest

from reconciler.api.plan_file import loads
from reconciler.engine.plan_file import dumps
from reconciler.model.change import FieldChange
from reconciler.render.report import report_of
from reconciler.render.text import drift_lines, joined, plan_lines
from tests.sandbox.base import Document, Sandbox


def labelled(sandbox: Sandbox, **labels: str) -> Document:
    document = sandbox.document("app-a")
    sandbox.put_labels(document, labels)
    return document


@pytest.mark.parametrize("adopted", [False, True])
def test_somebody_else_s_tag_is_named_kept_and_given_back(sandbox: Sandbox, adopted: bool) -> None:
    if adopted:
        sandbox.make_foreign_labelled()
    else:
        sandbox.apply(labelled(sandbox))
    sandbox.put_foreign_tag("app-a", "team", "infra")
    adopt = [sandbox.labelled_at] if adopted else []
    plan = sandbox.plan(labelled(sandbox, team="web"), adopt=adopt)
    (change,) = (item for item in plan.changes if item.address == sandbox.labelled_at)
    assert FieldChange("labels.team", "infra", "web", "old") in change.fields
    assert 'labels.team: "infra" (set by somebody else) → "web"' in joined(plan_lines(report_of(plan)))
    assert 'labels.team: "infra" (live, set by somebody else), "web" (spec)' in joined(drift_lines(report_of(plan)))
    assert loads(dumps(plan)).changes == plan.changes
    sandbox.apply(labelled(sandbox, team="web"), adopt=adopt)
    assert sandbox.tag("app-a", "team") == "web"
    assert sandbox.plan(labelled(sandbox, team="web")).changes == ()

    sandbox.apply(labelled(sandbox, team="shop"))
    assert sandbox.tag("app-a", "team") == "shop"
    plan = sandbox.plan(labelled(sandbox))
    assert FieldChange("labels.team", "shop", "infra", "new") in plan.changes[0].fields
    assert 'labels.team: "shop" → "infra" (set by somebody else)' in joined(plan_lines(report_of(plan)))
    sandbox.apply(labelled(sandbox))
    assert sandbox.tag("app-a", "team") == "infra"
    assert sandbox.plan(labelled(sandbox)).changes == ()


def test_a_label_of_ours_alone_leaves_nothing_behind(sandbox: Sandbox) -> None:
    sandbox.apply(labelled(sandbox))
    before = sandbox.state()
    sandbox.apply(labelled(sandbox, team="web"))
    sandbox.apply(labelled(sandbox))
    assert sandbox.state() == before
