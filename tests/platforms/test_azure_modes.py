"""The role assignment mode on Azure: what a plan says of it, and whether it is carried out, wherever a switch stands."""

from __future__ import annotations

import pytest

from reconciler import dumps, loads
from reconciler.engine.apply import succeeded
from reconciler.platforms.azure.rules import MODES
from tests.sandbox.azure import LOCATION, RESOURCE, AzureSandbox

from .test_azure_others import document, grant


@pytest.mark.parametrize("mode", MODES)
def test_a_saved_plan_adopts_a_registry_in_the_mode_that_it_has(azure: AzureSandbox, mode: str) -> None:
    """In legacy, nothing is made that lists the catalog, and the mode needs it no less."""
    made = {"location": LOCATION, "sku": {"name": "Basic"}, "properties": {"roleAssignmentMode": MODES[mode]}}
    azure.call("PUT", RESOURCE, made)
    for grants in ([grant("one", 1)], [grant("one", 1), grant("two", 2)]):
        adopted = document(azure, *grants, registry={"adopt": True})
        assert succeeded(azure.carry_out(loads(dumps(azure.plan(adopted))), saved=True))
        assert azure.acr.abac == (mode == "abac")
        assert azure.plan(adopted).changes == ()
