"""From where a registry is reached: what is there stays until the spec names it, and who can reach it then is said as it is."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.engine.plan import Plan
from reconciler.errors import GuardViolation
from reconciler.model.change import Cause
from reconciler.render.report import report_of
from reconciler.render.text import joined, plan_lines
from tests.sandbox.azure import NAME, RESOURCE, AzureSandbox
from tests.sandbox.base import Document

REGISTRY = f"images.registry.{NAME}"
OUTSIDE = "whoever comes through no private endpoint"
BY_RULES = "whoever its network rules let in without a private endpoint"
PERIMETER = "whoever public network access SecuredByPerimeter lets in"
DENY = {"defaultAction": "Deny", "ipRules": [{"action": "Allow", "value": "198.51.100.7"}]}


def by_hand(azure: AzureSandbox, **properties: Any) -> None:
    body = {"location": "westeurope", "sku": {"name": "Premium"}, "properties": properties}
    azure.call("PUT", RESOURCE, body)


def adopting(azure: AzureSandbox, **registry: Any) -> Document:
    return azure.document("app-a", registry={"adopt": True, **registry})


def words(plan: Plan) -> str:
    return joined(plan_lines(report_of(plan)))


def reached(plan: Plan) -> tuple[list[str], list[str]]:
    """Who gains and who loses the reach of the registry."""
    gains = [item for change in plan.changes for item in change.gains]
    losses = [item for change in plan.changes for item in change.losses]
    named = [[item.principal.label for item in found if item.verb == "reach the registry"] for found in (gains, losses)]
    return named[0], named[1]


def test_an_adopted_registry_stays_private_until_the_spec_names_it(azure: AzureSandbox) -> None:
    by_hand(azure, publicNetworkAccess="Disabled")
    document = adopting(azure)
    plan = azure.plan(document)
    assert reached(plan) == ([], [])
    assert "public_network_access" not in words(plan)
    azure.apply(document)
    assert azure.acr.properties["publicNetworkAccess"] == "Disabled"
    assert azure.plan(document).changes == ()
    document["registries"][0]["labels"] = {"team": "a"}
    azure.apply(document)
    assert azure.acr.properties["publicNetworkAccess"] == "Disabled"
    document["registries"][0]["public_network_access"] = True
    plan = azure.plan(document)
    assert reached(plan) == ([OUTSIDE], [])
    assert "public_network_access: false → true" in words(plan)
    azure.apply(document)
    assert azure.acr.properties["publicNetworkAccess"] == "Enabled"
    assert azure.plan(document).changes == ()


def test_a_registry_of_ours_is_open_unless_the_spec_says_otherwise(azure: AzureSandbox) -> None:
    document = azure.document("app-a", registry={"sku": "Premium"})
    azure.apply(document)
    assert azure.acr.properties["publicNetworkAccess"] == "Enabled"
    azure.call("PATCH", RESOURCE, {"properties": {"publicNetworkAccess": "Disabled"}})
    plan = azure.plan(document)
    assert ([item.cause for item in plan.changes], reached(plan)) == ([Cause.DRIFT], ([OUTSIDE], []))
    document["registries"][0]["public_network_access"] = False
    azure.apply(document)
    assert azure.acr.properties["publicNetworkAccess"] == "Disabled"


def test_a_smaller_tier_is_refused_while_an_adopted_registry_is_private(azure: AzureSandbox) -> None:
    by_hand(azure, publicNetworkAccess="Disabled")
    (problem,) = azure.plan(adopting(azure, sku="Standard")).problems
    assert problem.message == (
        "it is not reached from the internet, which needs sku: Premium: Azure refuses Standard until the spec says"
        " public_network_access: true"
    )
    azure.apply(adopting(azure, sku="Standard", public_network_access=True))
    assert (azure.acr.sku, azure.acr.properties["publicNetworkAccess"]) == ("Standard", "Enabled")


def test_with_network_rules_only_whom_they_let_in_reaches_it(azure: AzureSandbox) -> None:
    document = azure.document("app-a", registry={"sku": "Premium", "public_network_access": True})
    azure.apply(document)
    azure.acr.properties["networkRuleSet"] = DENY
    assert azure.plan(document).changes == ()
    document["registries"][0]["public_network_access"] = False
    plan = azure.plan(document)
    assert reached(plan) == ([], [BY_RULES])
    assert f"{BY_RULES} can no longer reach the registry" in words(plan)
    azure.apply(document)
    document["registries"][0]["public_network_access"] = True
    plan = azure.plan(document)
    assert reached(plan) == ([BY_RULES], [])
    assert f"{BY_RULES} can now reach the registry" in words(plan)
    azure.acr.properties["networkRuleSet"] = {"defaultAction": "Allow", "ipRules": []}
    (stale,) = azure.carry_out(plan)
    assert "what others keep in the same document changed" in stale.message, (
        "then more people would reach it than was said"
    )


def test_a_word_that_no_spec_has_stays_until_the_spec_names_another(azure: AzureSandbox) -> None:
    document = azure.document("app-a", registry={"sku": "Premium"})
    azure.apply(document)
    azure.acr.properties["publicNetworkAccess"] = "SecuredByPerimeter"
    document["registries"][0]["labels"] = {"team": "a"}
    plan = azure.plan(document)
    (change,) = plan.changes
    assert change.notes == (
        "its public network access is SecuredByPerimeter, which stays until the spec names public_network_access",
    )
    assert ([item.path for item in change.fields], reached(plan)) == (["labels.team"], ([], []))
    azure.apply(document)
    assert (azure.acr.tags["team"], azure.acr.properties["publicNetworkAccess"]) == ("a", "SecuredByPerimeter")
    for asked, said, gains, losses in ((True, "true", [OUTSIDE], []), (False, "false", [], [PERIMETER])):
        document["registries"][0]["public_network_access"] = asked
        plan = azure.plan(document)
        assert f'public_network_access: "SecuredByPerimeter" → {said}' in words(plan)
        assert reached(plan) == (gains, losses)
    azure.apply(document)
    assert azure.acr.properties["publicNetworkAccess"] == "Disabled"
    assert azure.plan(document).changes == ()


def test_private_endpoint_connections_go_with_a_registry_and_are_named(azure: AzureSandbox) -> None:
    document = azure.document("app-a", registry={"sku": "Premium"})
    azure.apply(document)
    name = "acme-endpoint.0a1b2c3d"
    azure.acr.properties["privateEndpointConnections"] = [
        {
            "id": f"{RESOURCE}/privateEndpointConnections/{name}",
            "name": name,
            "type": "Microsoft.ContainerRegistry/registries/privateEndpointConnections",
            "properties": {"privateLinkServiceConnectionState": {"status": "Approved"}},
        }
    ]
    assert azure.plan(document).changes == ()
    plan = azure.plan(document, destroy=True)
    assert f"also deletes what somebody else made there: private endpoint connection {name}" in words(plan)
    azure.push_image("stray")
    with pytest.raises(GuardViolation):
        azure.carry_out(azure.plan(document, destroy=True))
