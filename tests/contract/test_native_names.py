"""What the platform itself calls a repository, and where its images are pulled from: said once, and the same everywhere."""

from __future__ import annotations

import json

from reconciler import dumps, loads, parse_spec
from reconciler.engine.plan import Plan
from reconciler.model.change import Action
from reconciler.platforms.catalog import CATALOG
from reconciler.render.markdown import plan_markdown
from reconciler.render.report import report_of
from reconciler.render.text import joined, plan_lines
from tests.sandbox.base import Document, Sandbox


def values_of(document: Document) -> dict[str, dict[str, str]]:
    """What `output` gives, by address."""
    spec = parse_spec(json.dumps(document))
    found: dict[str, dict[str, str]] = {}
    for registry in spec.registries:
        for item in CATALOG[registry.platform].outputs(spec, registry):
            found.setdefault(item.address, {})[item.name] = item.value
    return found


def said_once(plan: Plan, values: dict[str, dict[str, str]], *expected: str) -> None:
    """The changes at these addresses, and no others, say their name and URI, in every form."""
    named = {change.address: change.native_name for change in plan.changes if change.native_name is not None}
    assert named.keys() == set(expected)
    document = json.loads(dumps(plan))
    for address, name in named.items():
        assert {"name": name.name, "uri": name.uri}.items() <= values[address].items()
        for form in (joined(plan_lines(report_of(plan))), plan_markdown(report_of(plan))):
            assert form.count(f" as {name.name}, pulled from {name.uri}") == 1
            assert form.count(name.uri) == 1
        (change,) = [change for change in document["changes"] if change["address"] == address]
        assert (change["native_name"]["name"], change["native_name"]["uri"]) == (name.name, name.uri)
    loaded = loads(dumps(plan))
    assert {change.address: change.native_name for change in loaded.changes if change.native_name is not None} == named


def test_a_repository_s_own_name_and_uri_are_said_where_it_is_created_or_adopted(sandbox: Sandbox) -> None:
    names = (sandbox.names[0], sandbox.names[2])
    document = sandbox.document(*names)
    first = sandbox.plan(document)
    said_once(first, values_of(document), *(f"images.repository.{name}" for name in names))
    sandbox.apply(document)
    sandbox.make_foreign("old")
    document["repositories"][0]["description"] = "the shop"
    document["repositories"].append({"name": "old", "registry": "images", "adopt": True})
    later = sandbox.plan(document)
    assert {change.action for change in later.changes if change.kind == "repository"} == {Action.UPDATE, Action.ADOPT}
    said_once(later, values_of(document), "images.repository.old")
