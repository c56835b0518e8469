"""Registries on Azure that get another name, or another place: nothing of the old one is lost unseen."""

from __future__ import annotations

import json

import pytest

from reconciler.engine.plan_file import dumps, loads
from reconciler.errors import PlanRefused, ReconcilerError
from reconciler.model.change import Action
from reconciler.platforms.azure import tags
from tests.sandbox.azure import GROUP, NAME, AzureSandbox
from tests.sandbox.azure_fields import SUBSCRIPTION
from tests.sandbox.base import Document

NEXT = "acmenext"
STAYS = (
    f"it is the identity of registry {NAME}, which another registry_name leaves behind with its images: put {NAME} back, and give"
    f" {NEXT} a second registry in the spec, under another name; once its images are copied, retire the first"
)


def named(azure: AzureSandbox, name: str, **registry: object) -> Document:
    return azure.document(
        "app-a", registry={"registry_name": name, **registry}, grants=({"name": "one", "to": azure.target("1")},)
    )


def identity(azure: AzureSandbox, job: str) -> str:
    group = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}"
    return f"{group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/images-{job}"


def test_another_registry_name_is_refused_while_the_registry_of_the_old_one_is_there(azure: AzureSandbox) -> None:
    """Their identities are called the same, so that a destroy of the old one would take those of the new one."""
    azure.apply(named(azure, NAME))
    before = azure.state()
    plan = azure.plan(named(azure, NEXT))
    assert [(item.address, item.message) for item in plan.problems] == [
        ("images.identity.pull", STAYS),
        ("images.identity.push", STAYS),
    ]
    with pytest.raises(PlanRefused):
        azure.carry_out(plan)
    gone = azure.plan(named(azure, NEXT), destroy=True)
    why = f"it is the identity of registry {NAME}, and the spec says {NEXT}: to delete it, put {NAME} back as registry_name first"
    assert [item.message for item in gone.problems] == [why, why]
    with pytest.raises(PlanRefused):
        azure.carry_out(gone)
    assert azure.state() == before
    assert azure.plan(named(azure, NAME)).changes == ()


def test_another_casing_is_no_other_registry_name(azure: AzureSandbox) -> None:
    azure.apply(named(azure, NAME))
    again = azure.plan(named(azure, NAME.upper()))
    assert (again.changes, again.problems) == ((), ())


def test_the_identities_of_a_registry_that_is_gone_are_the_next_one_s(azure: AzureSandbox) -> None:
    azure.apply(named(azure, NAME))
    del azure.cloud.registries[NAME]
    principals = {item.name: item.properties["principalId"] for item in azure.cloud.identities.values()}
    azure.apply(named(azure, NEXT))
    found = {item.name: item for item in azure.cloud.identities.values()}
    assert {name: item.properties["principalId"] for name, item in found.items()} == principals
    assert {item.tags[tags.REGISTRY_NAME] for item in found.values()} == {NEXT}
    assert azure.plan(named(azure, NEXT)).changes == ()


@pytest.mark.parametrize("said", [None, "no name at all"])
def test_an_identity_that_does_not_say_of_which_registry_it_is_says_so_again(
    said: str | None, azure: AzureSandbox
) -> None:
    azure.apply(named(azure, NAME))
    (found,) = (item for item in azure.cloud.identities.values() if item.name == "images-pull")
    without = {key: value for key, value in found.tags.items() if key != tags.REGISTRY_NAME}
    azure.call("PATCH", identity(azure, "pull"), {"tags": {**without, **({tags.REGISTRY_NAME: said} if said else {})}})
    plan = azure.plan(named(azure, NAME))
    assert [(change.action, str(change.address)) for change in plan.changes] == [
        (Action.UPDATE, "images.identity.pull")
    ]
    azure.carry_out(plan)
    assert azure.plan(named(azure, NAME)).changes == ()


def test_a_saved_plan_makes_identities_of_its_own_registry_alone(azure: AzureSandbox) -> None:
    saved = json.loads(dumps(azure.plan(named(azure, NAME))))
    made = [change["desired"] for change in saved["changes"] if change["kind"] == "identity"]
    assert [item["settings"]["registry_name"] for item in made] == [NAME, NAME]
    made[0]["settings"]["registry_name"] = NEXT
    with pytest.raises(ReconcilerError, match="registry_name"):
        loads(json.dumps(saved), platforms=azure.platforms)
