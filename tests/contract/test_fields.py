"""Every field of the spec is changed by some transition: each platform has one for each, and a test counts them."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from pydantic import BaseModel

from reconciler import Plan
from reconciler.render.change_item import FieldItem
from reconciler.render.report import report_of
from reconciler.spec.models import Grant, Guards, Spec
from reconciler.spec.repository import Repository
from tests.sandbox import PLATFORMS, sandbox_class
from tests.sandbox.base import Document, Sandbox

FIELDS = {platform: sandbox_class(platform).changes() for platform in PLATFORMS}


def fields_of(*models: type[BaseModel]) -> set[str]:
    return {f"{model.__name__}.{name}" for model in models for name in model.model_fields}


@pytest.mark.parametrize("platform", PLATFORMS)
def test_the_tables_cover_every_field(platform: str) -> None:
    found = sandbox_class(platform)
    every = fields_of(Spec, Guards, Repository, Grant, *found.models)
    changed = FIELDS[platform].keys()
    elsewhere = found.no_changes().keys()
    assert every - changed - elsewhere == set()
    assert (changed | elsewhere) - every == set()
    assert changed & elsewhere == set()
    assert get_args(Spec.model_fields["version"].annotation) == (1,)


@pytest.mark.parametrize("platform", PLATFORMS)
def test_what_a_platform_can_t_promise_is_in_the_contract_and_has_its_reason(platform: str) -> None:
    folder = Path(__file__).parent
    tests = {name for path in folder.glob("*.py") for name in re.findall(r"def (test_\w+)", path.read_text())}
    found = sandbox_class(platform).inapplicable
    assert found.keys() - tests == set()
    assert all(found.values())


def spec(sandbox: Sandbox) -> Document:
    document = sandbox.rich_document()
    document["repositories"].append({"name": "app-c", "registry": "images"})
    return document


def all_fields(plan: Plan) -> Iterator[FieldItem]:
    for registry in report_of(plan).registries:
        for change in registry.changes:
            yield from change.fields


@pytest.mark.parametrize(
    ("sandbox", "field"),
    [(platform, field) for platform in PLATFORMS for field in FIELDS[platform]],
    indirect=["sandbox"],
)
def test_a_change_of_the_field_is_planned_and_applied(sandbox: Sandbox, field: str) -> None:
    change, expected = FIELDS[sandbox.platform][field]
    before, after = spec(sandbox), spec(sandbox)
    change(after)
    sandbox.apply(before)
    start = sandbox.state()
    plan = sandbox.plan(after)
    assert bool(plan.changes) == (expected != "same"), [c.address for c in plan.changes]
    for item in all_fields(plan):
        assert not set("[]{}") & set(item.old + item.new), f"Python or JSON: {item.text}"
    if plan.changes:
        sandbox.apply(after)
    end = sandbox.state()
    assert sandbox.plan(after).changes == ()
    assert (end != start) == (expected != "same")
    if expected == "state":
        sandbox.reset()
        sandbox.apply(after)
        assert sandbox.state() == end
    # and back again: no transition is a one-way street
    if expected != "moved":
        unprotected = copy.deepcopy(after)
        unprotected["repositories"][0]["protect"] = False
        sandbox.apply(unprotected)
        sandbox.apply(before)
        assert sandbox.state() == start
