"""How many scope maps and tokens a registry's tier takes: what would be more is an error of the plan, and never of the apply."""

from __future__ import annotations

import pytest

from reconciler.engine.plan import Plan
from reconciler.engine.write import Status
from reconciler.platforms.azure import rules
from tests.emulators.azure import children
from tests.sandbox.azure import NAME, RESOURCE, AzureSandbox
from tests.sandbox.base import Document

MOST = {"Basic": 6, "Standard": 8, "Premium": 20}


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tiers that take fewer, here and there."""
    monkeypatch.setattr(rules, "TOKENS", MOST)
    monkeypatch.setattr(children, "AT_MOST", MOST)


def document(azure: AzureSandbox, grants: int, *repositories: str, sku: str = "") -> Document:
    return azure.document(
        *(repositories or ("app-a",)),
        grants=tuple({"name": f"partner-{number}", "to": {"type": "azure-token"}} for number in range(grants)),
        registry={"sku": sku} if sku else {},
        guards={"max_deletes": "100%"},
    )


def refused(plan: Plan) -> list[tuple[str, str]]:
    return [(str(item.address), item.message) for item in plan.problems]


def said(count: int, parts: str, sku: str, what: str = "scope maps") -> str:
    return (
        f"the registry would have {count} {what} ({parts}); sku {sku} allows {MOST[sku]}: choose a larger sku, or use fewer grants of"
        " type azure-token"
    )


def converges(azure: AzureSandbox, wanted: Document) -> None:
    assert {item.status for item in azure.carry_out(azure.plan(wanted))} == {Status.DONE}
    assert azure.plan(wanted).changes == ()


@pytest.mark.parametrize("sku", ["", "Basic", "Standard"])
def test_a_registry_that_is_not_there_yet_is_counted_as_the_spec_has_it(azure: AzureSandbox, sku: str) -> None:
    most = MOST[sku or "Basic"]
    parts = f"{most} of grants and 1 for notes of repositories"
    assert refused(azure.plan(document(azure, most, sku=sku))) == [
        (f"images.registry.{NAME}", said(most + 1, parts, sku or "Basic"))
    ]
    converges(azure, document(azure, most - 1, sku=sku))


def test_the_refusal_stands_where_something_is_made(azure: AzureSandbox) -> None:
    converges(azure, document(azure, 3))
    parts = "6 of grants and 1 for notes of repositories"
    assert refused(azure.plan(document(azure, 6))) == [("images.scope-map.partner-3", said(7, parts, "Basic"))]
    converges(azure, document(azure, 5))


def test_a_larger_tier_of_the_spec_counts_before_it_is_there(azure: AzureSandbox) -> None:
    converges(azure, document(azure, 3))
    converges(azure, document(azure, 7, sku="Standard"))


def test_a_smaller_tier_is_refused_while_the_spec_has_too_many(azure: AzureSandbox) -> None:
    converges(azure, document(azure, 7, sku="Standard"))
    parts = "7 of grants and 1 for notes of repositories"
    wanted = document(azure, 7, sku="Basic")
    assert refused(azure.plan(wanted)) == [(f"images.registry.{NAME}", said(8, parts, "Basic"))]


def test_notes_of_each_kind_and_what_others_made_count(azure: AzureSandbox) -> None:
    converges(azure, document(azure, 3))
    for name in ("theirs", "unused"):
        actions = {"actions": ["repositories/app-a/content/read"], "description": "theirs"}
        azure.call("PUT", f"{RESOURCE}/scopeMaps/{name}", {"properties": actions})
    assert azure.plan(document(azure, 3)).changes == ()
    wanted = document(azure, 3)
    wanted["repositories"].append({"name": "app-b", "registry": "images", "delete_images": True})
    parts = "3 of grants, 2 for notes of repositories, and 2 of others"
    assert refused(azure.plan(wanted)) == [("images.repository.app-b", said(7, parts, "Basic"))]
    converges(azure, document(azure, 3, "app-a", "app-b"))


def test_tokens_of_others_count(azure: AzureSandbox) -> None:
    converges(azure, document(azure, 2))
    for number in range(3):
        said_of = {"scopeMapId": f"{RESOURCE}/scopeMaps/_repositories_pull"}
        azure.call("PUT", f"{RESOURCE}/tokens/theirs{number}", {"properties": said_of})
    parts = "4 of grants and 3 of others"
    assert refused(azure.plan(document(azure, 4))) == [
        ("images.scope-map.partner-2", said(7, parts, "Basic", "tokens"))
    ]
    converges(azure, document(azure, 3))


def renamed(wanted: Document, some: int) -> Document:
    """The document with other names for so many of its grants."""
    grants = [
        {**item, "name": f"other-{item['name']}"} if at < some else item for at, item in enumerate(wanted["grants"])
    ]
    return {**wanted, "grants": grants}


def test_grants_that_take_the_place_of_others_need_room_beside_them(azure: AzureSandbox) -> None:
    """What is new is made before what goes is deleted: an apply would stop half-way."""
    converges(azure, document(azure, 4))
    converges(azure, renamed(document(azure, 4), 1))
    converges(azure, document(azure, 4))
    wanted = renamed(document(azure, 4), 2)
    assert refused(azure.plan(wanted)) == [
        (
            "images.scope-map.other-partner-0",
            "while it is changed, the registry would have 7 scope maps, 2 of them of grants that go; its sku allows 6: apply"
            " without the new grants first, and then with them",
        )
    ]
    converges(azure, {**wanted, "grants": wanted["grants"][2:]})
    converges(azure, wanted)


def test_what_leaves_the_spec_makes_room(azure: AzureSandbox) -> None:
    converges(azure, document(azure, 5))
    wanted = document(azure, 6)
    wanted["repositories"], wanted["grants"] = [], []
    assert refused(azure.plan(wanted)) == []
    converges(azure, renamed(document(azure, 5, sku="Premium"), 5))
