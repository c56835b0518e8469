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


@pytest.mark.parametrize("document", ["spec", "plan"])
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

    for document in ("spec", "plan"):
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
