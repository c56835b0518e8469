"""The documentation says what there is: every field of the spec, every mark of a plan."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from reconciler.platforms.aws import spec as aws
from reconciler.platforms.catalog import CATALOG, Grant, Spec
from reconciler.platforms.local import spec as local
from reconciler.render.change_item import SIGNS
from reconciler.spec import models, repository

DOCS = Path(__file__).parents[1] / "docs"
#: the models of what can be planned in this build
MODELS: list[type[BaseModel]] = [
    Spec,
    models.Defaults,
    models.Guards,
    repository.Repository,
    repository.Retention,
    repository.ImmutableTags,
    repository.Encryption,
    Grant,
    aws.AwsRegistry,
    aws.AssumeRole,
    aws.NarrowedPrincipal,
    aws.FederatedPrincipal,
    aws.AwsTarget,
    local.LocalRegistry,
    local.LocalTarget,
]


def test_the_models_are_those_of_the_platforms_that_can_be_planned() -> None:
    assert set(CATALOG) == {"aws", "local"}
    found = {item for module in (aws, local, repository) for item in vars(module).values() if isinstance(item, type)}
    own = {item for item in found if issubclass(item, BaseModel) and item.__module__.startswith("reconciler.")}
    bases = {"Model", "RegistryBase", "GrantTarget", "RepositoryDefaults"}
    assert {item.__name__ for item in own} - bases <= {item.__name__ for item in MODELS}


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_field_stands_in_a_table_of_the_spec_or_in_its_row(model: type[BaseModel]) -> None:
    rows = [line for line in (DOCS / "spec.md").read_text().splitlines() if line.startswith("|")]
    named = {word for row in rows for code in re.findall("`([^`]+)`", row) for word in re.findall(r"[a-z_]+", code)}
    assert {info.alias or name for name, info in model.model_fields.items()} - named == set()


def test_every_sign_of_a_plan_is_explained() -> None:
    rows = [line for line in (DOCS / "commands.md").read_text().splitlines() if line.startswith("| `")]
    assert {f"| `{sign}` |" for sign in SIGNS.values()} <= {row[: row.index("|", 1) + 1] for row in rows}


@pytest.mark.parametrize("model", [aws.AwsRegistry, local.LocalRegistry])
def test_every_field_of_a_registry_has_a_row_with_its_type_and_default(model: type[BaseModel]) -> None:
    rows = [line.split("|") for line in (DOCS / "spec.md").read_text().splitlines() if line.startswith("| `")]
    by_name = {row[1].strip(" `"): row for row in rows if len(row) == 6}
    for name, info in model.model_fields.items():
        kind, default, meaning = (part.strip() for part in by_name[name][2:5])
        assert kind
        assert meaning
        assert (default == "required") == info.is_required(), name
