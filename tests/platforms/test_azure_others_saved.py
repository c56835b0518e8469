"""A saved plan on Azure, beside what else gives the same."""

from __future__ import annotations

import json

import pytest

from reconciler import dumps, loads
from reconciler.engine.write import Status
from reconciler.errors import ReconcilerError, StalePlan
from tests.sandbox.azure import RESOURCE, AzureSandbox
from tests.sandbox.azure_fields import principal
from tests.sandbox.base import Document

from .test_azure_others import ALL, ONE, document, gains, grant


def overlapping(azure: AzureSandbox) -> Document:
    """A spec whose grant to push gives what another one gives already."""
    azure.apply(document(azure, grant("one", 1, "app-a")))
    return document(azure, grant("one", 1, "app-a"), grant("two", 1, "app-a", permission="push-pull"))


def test_a_saved_plan_knows_what_else_gives_the_same(azure: AzureSandbox) -> None:
    wanted = overlapping(azure)
    plan = azure.plan(wanted)
    assert gains(plan) == [f"{ONE} can now push app-a"]
    azure.carry_out(loads(dumps(plan)), saved=True)
    assert azure.plan(wanted).changes == ()


def test_a_saved_plan_beside_which_something_else_is_given_is_stale(azure: AzureSandbox) -> None:
    plan = azure.plan(overlapping(azure))
    (found,) = (item for item in azure.cloud.assignments.values() if item.principal == principal(1))
    found.properties["condition"] = str(found.properties["condition"]).replace("app-a", "app-b")
    with pytest.raises(StalePlan) as caught:
        azure.carry_out(loads(dumps(plan)), saved=True)
    assert caught.value.moved == {
        f"images.assignment.{principal(1)}-push": (
            f"images.assignment.{principal(1)}-pull, which gives some of the same, is not as the plan has it"
        )
    }


def test_no_edit_of_a_file_hides_a_gain_behind_what_others_gave(azure: AzureSandbox) -> None:
    azure.apply(document(azure))
    plan = json.loads(dumps(azure.plan(document(azure, grant("one", 1, "app-a")))))
    (change,) = plan["changes"]
    given = [{**item, "verb": f"pull {ALL}", "repository": ""} for item in change["gains"]]
    plan["foreign"] = [{"address": "images.mode.acmeimages", "what": "x", "access": given, "after": []}]
    change["gains"] = []
    with pytest.raises(ReconcilerError, match="'gains' does not follow from what would be written"):
        loads(json.dumps(plan))


def test_a_saved_plan_deletes_a_repository_with_a_slash_in_its_name(azure: AzureSandbox) -> None:
    """What stands below a delete is read by its name, and no token is called so."""
    azure.apply(azure.document("app-a", {"name": "team/c", "delete_images": True}))
    plan = azure.plan(azure.document("app-a"))
    (outcome,) = azure.carry_out(loads(dumps(plan)), saved=True)
    assert (outcome.address, outcome.status, outcome.message) == ("images.repository.team/c", Status.DONE, "")


def test_a_saved_plan_that_changes_a_scope_map_is_stale_once_others_have_it(azure: AzureSandbox) -> None:
    def wanted(*repositories: str) -> Document:
        partner = {"name": "partner", "repositories": list(repositories), "to": {"type": "azure-token"}}
        return azure.document("app-a", "app-b", grants=(partner,))

    azure.apply(wanted("app-a"))
    plan = dumps(azure.plan(wanted("app-a", "app-b")))
    azure.call("PUT", f"{RESOURCE}/tokens/theirs", {"properties": {"scopeMapId": f"{RESOURCE}/scopeMaps/partner"}})
    with pytest.raises(StalePlan, match=r"images\.scope-map\.partner: what others keep"):
        azure.carry_out(loads(plan), saved=True)
    plan = dumps(azure.plan(wanted("app-a", "app-b")))
    azure.carry_out(loads(plan), saved=True)
    assert azure.plan(wanted("app-a", "app-b")).changes == ()
    assert azure.acr.tokens["theirs"].properties["scopeMapId"].endswith("/scopeMaps/partner")
