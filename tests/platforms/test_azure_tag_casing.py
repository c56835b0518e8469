"""Tags whose keys come in another casing than a spec's labels have: Azure compares keys without case, keeps the casing of one that is
there (https://github.com/turbot/guardrails-samples/issues/871), and policies and providers change it
(https://github.com/hashicorp/terraform-provider-azurerm/issues/25018)."""

from __future__ import annotations

import pytest

from tests.sandbox.azure import NAME, RESOURCE, AzureSandbox
from tests.sandbox.base import Document

ABAC = {"roleAssignmentMode": "AbacRepositoryPermissions"}
REGISTRY = f"images.registry.{NAME}"


def labelled(azure: AzureSandbox, **labels: str) -> Document:
    return azure.document("app-a", registry={"labels": labels})


def test_a_label_takes_the_place_of_a_tag_of_another_casing_and_gives_it_back(azure: AzureSandbox) -> None:
    body = {"location": "westeurope", "sku": {"name": "Basic"}, "tags": {"Team": "x"}, "properties": ABAC}
    azure.call("PUT", RESOURCE, body)
    document = azure.document("app-a", registry={"adopt": True, "labels": {"team": "a"}})
    azure.apply(document)
    assert azure.acr.tags["Team"] == "a"
    assert azure.plan(document).changes == ()
    azure.apply(azure.document("app-a", registry={"adopt": True}))
    assert azure.acr.tags["Team"] == "x"
    assert azure.plan(azure.document("app-a", registry={"adopt": True})).changes == ()


@pytest.mark.parametrize("there", ["Environment", "ENVIRONMENT"])
def test_a_tag_that_azure_gave_another_casing_is_no_drift(azure: AzureSandbox, there: str) -> None:
    document = labelled(azure, environment="prod", tier="1")
    azure.apply(document)
    azure.acr.tags[there] = azure.acr.tags.pop("environment")
    assert azure.plan(document).changes == ()
    azure.apply(labelled(azure, tier="1"))
    assert {"environment", "reconciler-was-environment"}.isdisjoint(key.lower() for key in azure.acr.tags)


def test_another_value_under_another_casing_is_drift_of_the_label(azure: AzureSandbox) -> None:
    document = labelled(azure, environment="prod")
    azure.apply(document)
    del azure.acr.tags["environment"]
    azure.acr.tags["Environment"] = "test"
    (change,) = azure.plan(document).changes
    assert [item.path for item in change.fields] == ["labels.environment"]
    azure.apply(document)
    assert azure.acr.tags["Environment"] == "prod"
    assert azure.plan(document).changes == ()


def test_a_label_that_the_spec_gives_another_casing_converges(azure: AzureSandbox) -> None:
    azure.apply(labelled(azure, team="a"))
    azure.apply(labelled(azure, Team="a"))
    assert azure.plan(labelled(azure, Team="a")).changes == ()
    assert [key for key in azure.acr.tags if key.lower().endswith("team")] == ["team"]


def test_what_is_kept_of_others_is_known_whatever_the_casing_of_its_key(azure: AzureSandbox) -> None:
    body = {"location": "westeurope", "sku": {"name": "Basic"}, "tags": {"team": "x"}, "properties": ABAC}
    azure.call("PUT", RESOURCE, body)
    document = azure.document("app-a", registry={"adopt": True, "labels": {"team": "a"}})
    azure.apply(document)
    azure.acr.tags = {key.upper(): value for key, value in azure.acr.tags.items()}
    assert azure.plan(document).changes == ()
    azure.apply(azure.document("app-a", registry={"adopt": True}))
    assert [azure.acr.tags[key] for key in azure.acr.tags if key.lower() == "team"] == ["x"]
