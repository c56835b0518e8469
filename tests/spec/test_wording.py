"""Errors are in words of ours, and say what to do: neither the parser's nor pydantic's own English is enough."""

from __future__ import annotations

import io
import json
import sys
from typing import Any

import pytest

from reconciler import apply, parse_spec
from reconciler.api.plan_file import dumps, loads
from reconciler.errors import ReconcilerError, SpecError
from tests.command_line import in_this_process as reconciler
from tests.sandbox.local import LocalSandbox

HEAD = "version: 1\nname: t\n"


def told(text: str) -> str:
    with pytest.raises(SpecError) as found:
        parse_spec(HEAD + text)
    return found.value.problems[0].message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a:\n\t- b\n", "found a tab character: indent with spaces"),
        ("a:\n  b: 1\n\tc: 2\n", "found a tab character that violates indentation: indent with spaces"),
        ("a: 'x\n", "a quote isn't closed"),
        ('a: "\\q"\n', "in double quotes, write a backslash twice; in single quotes, once"),
        ("a: *b\n", "quote text that begins with *"),
        ("a: [*]\n", "quote text that begins with * or &"),
        ("a: b: c\n", "quote text that contains ': ', or check the indentation"),
        ("a: [1, 2\nb: 3\n", "a [ isn't closed, or a comma is missing"),
        ("a: {b: 1\nc: 2\n", "a { isn't closed, or a comma is missing"),
        ("a: @b\n", "found '@', which can't begin a value: quote the text"),
        ("a: - b\n", "start the list on the line below its key"),
        ("key value\nother: x\n", "end a key with ': '; quote text of several lines"),
        ("a: 'b' c\n", "the keys of a mapping must begin in the same column"),
        ("---\na: b\n", "a spec is a single document: remove the line ---"),
    ],
)
def test_what_the_parser_says_comes_with_advice(text: str, message: str) -> None:
    found = told(text)
    assert found.startswith("not YAML: ")
    assert found.endswith(message)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda plan: plan.update(unchanged=-1), "unchanged: must be 0 or more"),
        (lambda plan: plan.update(unchanged="x"), "unchanged: must be a whole number"),
        (lambda plan: plan.update(owner=5), "owner: must be a string"),
        (lambda plan: plan.pop("owner"), "owner: is required"),
        (lambda plan: plan.update(more=1), "more: unknown key"),
        (lambda plan: plan.update(runtime=5), "runtime: must be a list"),
        (lambda plan: plan["changes"][0].update(action="make"), "changes.0.action: must be "),
    ],
)
def test_a_damaged_plan_file_is_told_in_words_of_ours(local: LocalSandbox, edit: Any, message: str) -> None:
    document = json.loads(dumps(local.plan(local.document("app-a"))))
    edit(document)
    with pytest.raises(ReconcilerError) as found:
        loads(json.dumps(document))
    assert message in str(found.value)
    for theirs in ("Input should", "Value error", "Field required", "Extra inputs"):
        assert theirs not in str(found.value)


def test_standard_input_is_called_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def given(text: str) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))

    for command in ("validate", "plan", "apply", "graph"):
        given("version: 2\nname: t\n")
        assert reconciler(command, "-", code=1).stderr.startswith("Error: standard input:1:10: version: must be 1")
    given("version: 1\nname: t\n")
    assert reconciler("validate", "-").stdout.startswith("standard input is valid: ")
    given("{")
    assert "standard input is not a plan" in reconciler("show", "-", code=1).stderr
    monkeypatch.setattr(sys, "stdin", None)
    assert "standard input:1:1: can't be read" in reconciler("validate", "-", code=1).stderr


def test_exceptions_from_movable_tags_are_drift_in_the_specs_own_field(local: LocalSandbox) -> None:
    local.apply(local.document("app-a"))
    path = local.root / "control" / "repositories" / "app-a.json"
    stored = json.loads(path.read_text())
    stored["settings"]["movable_tags"] = ["latest"]
    path.write_text(json.dumps(stored))
    (change,) = local.plan(local.document("app-a")).changes
    assert [(item.path, item.old, item.new) for item in change.fields] == [
        ("immutable_tags", "false, with exceptions from it: latest", False)
    ]


def test_what_waits_for_a_failure_says_that_it_failed(local: LocalSandbox) -> None:
    document = local.document("app-a", grants=({"name": "g", "to": {"type": "local", "users": ["alice"]}},))
    plan = local.plan(document)
    (local.root / "control").mkdir(parents=True)
    (local.root / "control" / "repositories").write_text("in the way")
    outcomes = {str(outcome.address): outcome.message for outcome in apply(plan, raise_on_failure=False)}
    assert outcomes["images.access.app-a"] == "it depends on images.repository.app-a, which failed"
