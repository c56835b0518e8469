"""Scope maps and tokens of others that a spec takes over on Azure: who gains and who loses by it, as the stand-in has it before and
after."""

from __future__ import annotations

import pytest

from reconciler import dumps, loads
from reconciler.engine.apply import succeeded
from reconciler.errors import StalePlan
from tests.emulators.azure import token_may
from tests.sandbox.azure import RESOURCE, AzureSandbox

from .test_azure_others import document, gains, losses, partner

#: what others let whoever has their scope maps do
THEIRS = {
    "partner": ["repositories/*/content/read", "repositories/*/content/write"],
    "widemap": ["repositories/team/*/content/read", "repositories/*/content/delete"],
}
HOLDER = "whoever holds token partner"
ANY = "any repository of the registry"
AT = "images.scope-map.partner"


def given_by_hand(azure: AzureSandbox, scope_map: str, status: str = "enabled", name: str = "partner") -> None:
    said = {"scopeMapId": f"{RESOURCE}/scopeMaps/{scope_map}", "status": status}
    azure.call("PUT", f"{RESOURCE}/tokens/{name}", {"properties": said})


def maps_of_others(azure: AzureSandbox) -> None:
    azure.apply(document(azure))
    for name, actions in THEIRS.items():
        azure.call("PUT", f"{RESOURCE}/scopeMaps/{name}", {"properties": {"actions": actions}})


@pytest.mark.parametrize(
    ("scope_map", "status", "gained", "lost"),
    [
        ("", "", [f"{HOLDER} can now pull app-a"], []),
        (
            "partner",
            "enabled",
            [],
            [f"{HOLDER} can no longer pull {ANY}, except app-a", f"{HOLDER} can no longer push {ANY}"],
        ),
        ("partner", "disabled", [f"{HOLDER} can now pull app-a"], []),
        (
            "widemap",
            "enabled",
            [f"{HOLDER} can now pull app-a"],
            [
                f"{HOLDER} can no longer delete images in {ANY}",
                f"{HOLDER} can no longer pull any repository under team/",
            ],
        ),
        ("widemap", "disabled", [f"{HOLDER} can now pull app-a"], []),
    ],
)
def test_who_holds_the_token_of_a_scope_map_that_is_adopted_gains_and_loses_what_he_does(
    azure: AzureSandbox, scope_map: str, status: str, gained: list[str], lost: list[str]
) -> None:
    """The token is not there, has the scope map, or has another one, and may be disabled."""
    maps_of_others(azure)
    if scope_map:
        given_by_hand(azure, scope_map, status)
    plan = azure.plan(document(azure, partner("app-a")), adopt=[AT])
    assert (gains(plan), losses(plan)) == (gained, lost)
    assert [note for change in plan.changes for note in change.notes if "somebody else" in note] == []
    assert succeeded(azure.carry_out(loads(dumps(plan)), saved=True))
    assert token_may(azure.acr, "partner", "app-a", "pull")


def test_a_token_of_others_gains_and_loses_with_a_scope_map_that_is_adopted(azure: AzureSandbox) -> None:
    maps_of_others(azure)
    given_by_hand(azure, "partner", name="second")
    given_by_hand(azure, "partner", "disabled", name="third")
    plan = azure.plan(document(azure, partner("app-a")), adopt=[AT])
    second = "whoever holds token second"
    assert gains(plan) == [f"{HOLDER} can now pull app-a"]
    assert losses(plan) == [f"{second} can no longer pull {ANY}, except app-a", f"{second} can no longer push {ANY}"]
    (notes,) = (change.notes for change in plan.changes if change.address == AT)
    assert notes == (
        "token second of somebody else has this scope map, and gains and loses with it",
        "token third of somebody else, which is disabled, has this scope map, and what it allows once it is enabled",
    )
    assert succeeded(azure.carry_out(loads(dumps(plan)), saved=True))


def test_a_scope_map_that_comes_back_gives_its_token_all_of_it(azure: AzureSandbox) -> None:
    """It stayed with a token of others when its grant left the spec."""
    azure.apply(document(azure, partner("app-a")))
    given_by_hand(azure, "partner", name="second")
    azure.apply(document(azure))
    plan = azure.plan(document(azure, partner("app-a", "app-b")), adopt=[AT])
    assert gains(plan) == [f"{HOLDER} can now pull app-a, app-b", "whoever holds token second can now pull app-b"]


def test_a_token_that_a_hand_deleted_is_given_what_its_scope_map_allows(azure: AzureSandbox) -> None:
    wanted = document(azure, partner("app-a"))
    azure.apply(wanted)
    azure.call("DELETE", f"{RESOURCE}/tokens/partner")
    assert gains(azure.plan(wanted)) == [f"{HOLDER} can now pull app-a"]


def test_a_scope_map_alone_gives_nobody_anything(azure: AzureSandbox) -> None:
    azure.apply(document(azure))
    plan = azure.plan(document(azure, partner("app-a")), targets=[AT])
    assert gains(plan) == []
    assert succeeded(azure.carry_out(loads(dumps(plan)), saved=True))
    assert gains(azure.plan(document(azure, partner("app-a")))) == [f"{HOLDER} can now pull app-a"]


def test_a_saved_plan_is_stale_once_a_hand_gives_the_token_another_scope_map(azure: AzureSandbox) -> None:
    azure.apply(document(azure, partner("app-a")))
    plan = loads(dumps(azure.plan(document(azure, partner("app-a", "app-b")))))
    azure.call("PUT", f"{RESOURCE}/scopeMaps/widemap", {"properties": {"actions": THEIRS["widemap"]}})
    given_by_hand(azure, "widemap")
    with pytest.raises(StalePlan) as caught:
        azure.carry_out(plan, saved=True)
    assert caught.value.moved == {AT: "images.token.partner, by which somebody has it, is not as the plan has it"}
