"""The schemas are current, and say of examples what the loader says."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from reconciler import dumps, load_spec, plan
from reconciler.schemas import schema_text
from tests.sandbox.aws import AwsSandbox
from tests.sandbox.local import LocalSandbox

ROOT = Path(__file__).parents[1]
EXAMPLES = [*sorted(ROOT.glob("examples/*/registry.yaml")), ROOT / "registry.yaml"]


@cache
def validator(document: str) -> Draft202012Validator:
    schema = json.loads(schema_text(document))
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


@pytest.mark.parametrize("document", ["spec", "part", "guards", "plan", "review"])
def test_the_schema_in_the_tree_is_current(document: str) -> None:
    stored = (ROOT / "schemas" / f"{document}.schema.json").read_text()
    assert stored == schema_text(document), "run `reconciler schema --write schemas`"


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.parent.name)
def test_every_example_is_valid_for_the_loader_and_for_the_schema(path: Path) -> None:
    assert load_spec(path, {}).registries
    assert [error.message for error in validator("spec").iter_errors(yaml.safe_load(path.read_text()))] == []


@pytest.mark.parametrize(
    "change",
    [
        {"nope": 1},
        {"version": 2},
        {"name": "Upper"},
        {"registries": [{"name": "x", "platform": "asw"}]},
        {"registries": [{"name": "x", "platform": "aws", "account_id": 123456789012, "region": "us-east-1"}]},
        {"repositories": [{"name": "a"}]},
        {"guards": {"max_deletes": "ten"}},
    ],
)
def test_the_schema_refuses_what_the_loader_refuses(change: dict[str, Any]) -> None:
    assert list(validator("spec").iter_errors({"version": 1, "name": "x", **change}))


def test_the_schema_takes_an_environment_variable_in_place_of_an_id() -> None:
    registry = {"name": "x", "platform": "aws", "account_id": "${env:ACCOUNT}", "region": "us-east-1"}
    assert not list(validator("spec").iter_errors({"version": 1, "name": "x", "registries": [registry]}))


def told(document: str, text: str) -> list[str]:
    """What an editor marks in a file: each error's place and sentence."""
    errors = validator(document).iter_errors(yaml.safe_load(text))
    return sorted(f"{error.json_path}: {error.message}" for error in errors)


HEAD = "{version: 1, name: x}"
PLATFORMS = "['aws', 'azure', 'external', 'gcp', 'local']"
TARGETS = "['aws', 'azure', 'azure-token', 'gcp', 'kubernetes', 'local']"


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        (
            "registries: [{name: a, platform: asw, path: b}]",
            [f"$.registries[0].platform: 'asw' is not one of {PLATFORMS}"],
        ),
        ("registries: [{name: a}]", ["$.registries[0]: 'platform' is a required property"]),
        ("registries: [{name: a, platform: local}]", ["$.registries[0]: 'path' is a required property"]),
        (
            "registries: [{name: a, platform: local, path: b, region: eu-west-1}]",
            ["$.registries[0]: Additional properties are not allowed ('region' was unexpected)"],
        ),
        (
            "grants: [{name: g, registry: a, to: {type: asw, account_ids: []}}]",
            [f"$.grants[0].to.type: 'asw' is not one of {TARGETS}"],
        ),
        ("grants: [{name: g, registry: a, to: {type: local}}]", ["$.grants[0].to: 'users' is a required property"]),
        ("registries: []\nrepositories:\ngrants:\n", []),
        ("x-anything: {a: 1}", []),
        ("{}", []),
        (
            "repositories: [{name: a, registry: b, immutable_tags: {exept: [latest]}}]",
            [
                "$.repositories[0].immutable_tags: 'except' is a required property",
                "$.repositories[0].immutable_tags: Additional properties are not allowed ('exept' was unexpected)",
            ],
        ),
        (
            "repositories: [{name: a, registry: b, immutable_tags: maybe}]",
            ["$.repositories[0].immutable_tags: 'maybe' is not of type 'boolean'"],
        ),
        ("version: 2", ["$.version: 1 was expected"]),
    ],
)
def test_an_editor_answers_with_what_is_wrong_and_nothing_else(text: str, messages: list[str]) -> None:
    assert told("part", text) == messages
    whole = yaml.safe_dump({**yaml.safe_load(HEAD), **yaml.safe_load(text)})
    assert told("spec", whole) == messages


def test_a_file_of_a_folder_needs_no_version_and_no_name_and_a_whole_spec_does(tmp_path: Path) -> None:
    files = {
        "head.yaml": "version: 1\nname: x\nregistries: [{name: a, platform: local, path: b}]\n",
        "web.yaml": "repositories: [{name: web, registry: a}]\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
        assert told("part", text) == []
    assert load_spec(tmp_path, {}).repositories[0].name == "web"
    assert told("spec", files["web.yaml"]) == [
        "$: 'name' is a required property",
        "$: 'version' is a required property",
    ]
    assert told("part", "repository: []") == ["$: 'repository' does not match any of the regexes: '^x-'"]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.parent.name)
def test_every_example_cut_in_files_is_valid_as_parts(path: Path) -> None:
    for key, value in yaml.safe_load(path.read_text()).items():
        assert [error.message for error in validator("part").iter_errors({key: value})] == []


@pytest.mark.parametrize("document", ["spec", "part", "guards", "plan", "review"])
def test_nothing_has_a_title_since_editors_show_it_above_every_hint(document: str) -> None:
    schema = json.loads(schema_text(document))

    def titles(node: Any) -> list[str]:
        below = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
        own = [node["title"]] if isinstance(node, dict) and isinstance(node.get("title"), str) else []
        return own + [title for item in below for title in titles(item)]

    assert titles(schema) == []


def test_the_description_of_the_local_registry_says_what_it_is() -> None:
    found = json.loads(schema_text("spec"))["$defs"]["LocalRegistry"]
    assert found["description"] == "A registry in a folder of this machine; `reconciler serve` is its server."


def test_every_field_has_a_description() -> None:
    def undescribed(node: Any, path: str) -> list[str]:
        if not isinstance(node, dict):
            return []
        missing = [
            f"{path}.{name}"
            for name, field in node.get("properties", {}).items()
            if not field.get("description") and "$ref" not in field
        ]
        return missing + [item for key, below in node.get("$defs", {}).items() for item in undescribed(below, key)]

    for document in ("spec", "part", "guards", "plan"):
        assert undescribed(json.loads(schema_text(document)), document) == []


def test_a_plan_file_is_valid(local: LocalSandbox) -> None:
    document = local.document("app-a", grants=({"name": "one", "to": local.target("1")},))
    for _ in range(2):
        stored = json.loads(dumps(local.plan(document)))
        assert [error.message for error in validator("plan").iter_errors(stored)] == []
        local.apply(document)
        document["repositories"][0]["description"] = "other"


def test_a_plan_file_of_aws_is_valid(aws: AwsSandbox) -> None:
    stored = json.loads(dumps(plan(load_spec(ROOT / "examples" / "aws" / "registry.yaml", {}))))
    assert stored["changes"]
    assert [error.message for error in validator("plan").iter_errors(stored)] == []


def test_the_aws_example_applies_and_then_has_nothing_left_to_do(aws: AwsSandbox) -> None:
    document = yaml.safe_load((ROOT / "examples" / "aws" / "registry.yaml").read_text())
    aws.apply(document)
    assert aws.plan(document).changes == ()
