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
        ("a: 'x\n", "the quote that opens here isn't closed"),
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


_MORE = "".join(f"  - {{name: r{number}, registry: img}}\n" for number in range(300))
_GOES_ON = "the quote that opens here goes on to line {}, and what follows it there can't be read: close it where its text ends"


@pytest.mark.parametrize(
    ("text", "at", "message"),
    [
        (f'  - {{name: "one, registry: img}}\n{_MORE}', (4, 12), "the quote that opens here isn't closed"),
        (f"  - {{name: one, registry: 'img}}\n{_MORE}", (4, 27), "the quote that opens here isn't closed"),
        (f"  - name: 'one\n    registry: img\n{_MORE}", (4, 11), "the quote that opens here isn't closed"),
        (f"  - name: 'one\n---\n{_MORE}", (4, 11), "the quote that opens here isn't closed"),
        # the next one closes it
        ('  - name: "one\n    registry: "img"\n', (4, 11), _GOES_ON.format("5, column 15")),
        (f"  - {{name: 'one, registry: img}}\n{_MORE}  - {{name: 'two', registry: img}}\n", (4, 12),
         _GOES_ON.format("305, column 12")),
        # the text of several lines that is closed as it is meant is not to blame
        ("  - name: one\n    description: 'of\n      two lines'\n    registry: @img\n", (7, 15),
         "found '@', which can't begin a value: quote the text"),
    ],
)  # fmt: skip
def test_a_quote_that_is_not_closed_is_reported_where_it_opens(text: str, at: tuple[int, int], message: str) -> None:
    with pytest.raises(SpecError) as found:
        parse_spec(f"{HEAD}repositories:\n{text}")
    (problem,) = found.value.problems
    assert (problem.line, problem.column, problem.message) == (*at, f"not YAML: {message}")


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("a: {team: ${env:T}}", 11),
        ("a: {team: x-${env:T}-y, b: c}", 13),
        ("a: [b, ${env:T}]", 8),
        ("a: {b: [${env:T}, c]}", 9),
        ("a: {${env:T}: c}", 5),
        ("ä: {'ö': ${env:T}}", 10),
    ],
)
def test_a_variable_that_must_be_quoted_is_named(text: str, column: int) -> None:
    with pytest.raises(SpecError) as found:
        parse_spec(HEAD + text)
    (problem,) = found.value.problems
    assert problem.message == "not YAML: inside { } and [ ], quote text that contains ${env:T}"
    assert (problem.line, problem.column) == (3, column)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ('guards: {allow_public: "true"}', "true or false"),
        ('defaults: {repository: {scan_on_push: "no"}}', "true or false"),
        ('defaults: {repository: {protect: "False"}}', "true or false"),
        ("defaults: {repository: {immutable_tags: 'true'}}", "true or false"),
        ('defaults: {repository: {retention: {keep_last: "50"}}}', "a whole number"),
    ],
)
def test_what_is_quoted_and_should_not_be_is_told_so(text: str, kind: str) -> None:
    assert told(text) == f"must be {kind}, not a string: remove the quotes"


def test_a_number_in_quotes_where_a_percentage_would_do_is_told_so() -> None:
    says = "must be a number, or a percentage such as 10%"
    assert told("guards: {max_deletes: '5'}") == f"'5' {says}: remove the quotes"
    assert told("guards: {max_deletes: '5 '}") == f"'5 ' {says}"
    assert told("guards: {max_deletes: '101%'}") == f"'101%' {says}"


def test_quotes_that_are_not_what_is_wrong_are_left_alone() -> None:
    assert told('guards: {allow_public: "perhaps"}') == "must be true or false"
    for text in ("five", "'five'", "'5 '", "|\n          5"):
        assert told(f"defaults:\n  repository:\n    retention:\n      keep_last: {text}\n") == "must be a whole number"


_A_SPEC = "a spec is YAML that begins with `version: 1` and `name: NAME` (`reconciler help spec` describes the rest)"


@pytest.mark.parametrize(
    "text",
    [
        'resource "aws_ecr_repository" "app" {\n  name = "app"\n}\n',
        'provider "aws" {\n  assume_role {\n    role_arn = "x: y"\n  }\n}\n',
        '\ufeff# ours\n\n// and\n/* theirs:\n more */ terraform {\n  required_version = ">= 1.5"\n}\n',
        'locals {\n\ta = [1, 2]\n}\nvariable "x" {}\n',
        "/* a */ " * 1000 + "module \"m\" { source = './m' }",
    ],
)
def test_a_terraform_file_is_told_so(text: str) -> None:
    with pytest.raises(SpecError) as found:
        parse_spec(text)
    (problem,) = found.value.problems
    assert str(problem) == f"registry.yaml:1:1: is Terraform, not a spec: {_A_SPEC}"


@pytest.mark.parametrize(
    "text", ["- a\n", "hello\n", "5\n", "[version]\n", "/* a */ " * 1000, "terraform\n", "data: {"]
)
def test_whoever_gives_no_mapping_is_told_what_is_expected(text: str) -> None:
    with pytest.raises(SpecError) as found:
        parse_spec(text)
    (problem,) = found.value.problems
    wanted = f"must be a mapping: {_A_SPEC}"
    assert problem.message == wanted if text != "data: {" else problem.message.startswith("not YAML: ")
    assert reconciler("help", "spec").stdout


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
