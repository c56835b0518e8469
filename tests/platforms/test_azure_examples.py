"""The examples for Azure: each is planned and applied, and lets in whom it names and nobody else."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from reconciler.cli.app import run
from tests.command_line import ROOT
from tests.emulators.azure import may, push, token_may
from tests.pages import blocks
from tests.sandbox.azure import AzureSandbox
from tests.sandbox.azure_fields import SUBSCRIPTION
from tests.sandbox.base import Document

EXAMPLES = sorted(ROOT.glob("examples/azure*/registry.yaml"))
KUBELETS, BUILDERS = "11111111-2222-3333-4444-555555555555", "66666666-7777-8888-9999-000000000000"
SHARED = (
    f"/subscriptions/{SUBSCRIPTION}/resourceGroups/shared/providers/Microsoft.ContainerRegistry/registries/acmeshared"
)


def example(name: str) -> Document:
    found: Document = yaml.safe_load((ROOT / "examples" / name / "registry.yaml").read_text())
    return found


def on_the_page() -> Document:
    (block,) = (item for item in blocks(ROOT / "docs" / "azure.md") if item.title == "registry.yaml")
    found: Document = yaml.safe_load(block.text)
    return found


def shared_by_hand(azure: AzureSandbox) -> None:
    """What examples/azure-adopted takes over: a registry in mode legacy with a tag of somebody's and two repositories."""
    azure.call("PUT", SHARED, {"location": "westeurope", "sku": {"name": "Standard"}, "tags": {"cost": "42"}})
    for name in ("legacy/api", "legacy/web", "of-others"):
        push(azure.cloud.registries["acmeshared"], name)


def test_there_is_an_example_of_a_new_and_of_an_adopted_registry() -> None:
    assert [path.parent.name for path in EXAMPLES] == ["azure", "azure-adopted"]


@pytest.mark.parametrize("path", [*EXAMPLES, ROOT / "docs" / "azure.md"], ids=lambda path: path.parent.name)
def test_a_plan_that_was_reviewed_is_applied_with_the_spec_that_it_was_made_from(
    path: Path, azure: AzureSandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As docs/ci.md does it, for a registry that is made, for one that is taken over, and for a change of it."""
    document = example(path.parent.name) if path.suffix == ".yaml" else on_the_page()
    if document["name"] == "images-shared":
        shared_by_hand(azure)
    monkeypatch.chdir(tmp_path)
    for more in ([], [{**document["grants"][0], "name": "second-cluster"}]):
        document["grants"] += more
        (tmp_path / "registry.yaml").write_text(yaml.safe_dump(document))
        assert run(["plan", "--out", "plan.json"]) == 0
        assert run(["apply", "plan.json", "--spec", "registry.yaml", "--yes"]) == 0
    assert azure.plan(document).changes == ()


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.parent.name)
def test_after_an_example_was_applied_there_is_nothing_left_to_do(path: Path, azure: AzureSandbox) -> None:
    document = example(path.parent.name)
    if document["name"] == "images-shared":
        shared_by_hand(azure)
    azure.apply(document)
    again = azure.plan(document)
    assert (again.changes, again.foreign) == ((), ())


def test_the_spec_on_the_page_lets_in_whom_it_names(azure: AzureSandbox) -> None:
    document = on_the_page()
    azure.apply(document)
    names = ("checkout", "tools/lint")
    assert [name for name in names if may(azure.cloud, KUBELETS, azure.acr, name, "pull")] == ["checkout"]
    assert [name for name in names if token_may(azure.acr, "partner", name, "pull")] == ["tools/lint"]
    assert azure.plan(document).changes == ()


def test_the_example_lets_in_whom_it_names(azure: AzureSandbox) -> None:
    azure.apply(example("azure"))
    acr = azure.acr
    names = ("checkout", "payments-api", "tools/lint")

    def can(who: str, action: str) -> list[str]:
        return [name for name in names if may(azure.cloud, who, acr, name, action)]

    assert (can(KUBELETS, "pull"), can(KUBELETS, "push")) == (["checkout", "payments-api"], [])
    assert (can(BUILDERS, "pull"), can(BUILDERS, "push")) == (["tools/lint"], ["tools/lint"])
    assert [name for name in names if token_may(acr, "partner", name, "pull")] == ["checkout"]
    assert (sorted(acr.replications), acr.properties["policies"]["retentionPolicy"]["days"]) == (["northeurope"], 30)


def test_the_adopted_registry_keeps_its_mode_its_tags_and_its_images(azure: AzureSandbox) -> None:
    shared_by_hand(azure)
    azure.apply(example("azure-adopted"))
    acr = azure.cloud.registries["acmeshared"]
    assert (acr.abac, acr.tags["cost"], sorted(acr.images)) == (False, "42", ["legacy/api", "legacy/web", "of-others"])
    assert may(azure.cloud, KUBELETS, acr, "legacy/api", "pull")
    assert not may(azure.cloud, KUBELETS, acr, "legacy/api", "push")
