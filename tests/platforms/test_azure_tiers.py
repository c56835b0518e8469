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
        " type azure-token or kubernetes"
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


def other_notes(wanted: Document, **fields: object) -> Document:
    """The document whose first repository is noted otherwise."""
    first, *more = wanted["repositories"]
    return {**wanted, "repositories": [{**first, **fields}, *more]}


@pytest.mark.parametrize("field", ["protect", "delete_images"])
def test_a_note_that_moves_to_a_new_map_needs_room_beside_the_old_one(azure: AzureSandbox, field: str) -> None:
    converges(azure, document(azure, 5))
    wanted = other_notes(document(azure, 5), **{field: True})
    assert refused(azure.plan(wanted)) == [
        (
            "images.repository.app-a",
            "while it is changed, the registry would have 7 scope maps, 1 of them for notes that go; its sku allows 6: choose a"
            " larger sku, which may be a smaller one again after that; or apply without the changes of repositories and with 1 grant"
            " less first, then with the changes, and then with that grant",
        )
    ]
    converges(azure, document(azure, 4))
    converges(azure, other_notes(document(azure, 4), **{field: True}))
    converges(azure, wanted)


def test_a_larger_tier_gives_notes_their_room_and_may_be_a_smaller_one_again(azure: AzureSandbox) -> None:
    converges(azure, document(azure, 5))
    wanted = other_notes(document(azure, 5, sku="Standard"), protect=True)
    converges(azure, wanted)
    converges(azure, other_notes(document(azure, 5, sku="Basic"), protect=True))


def test_a_note_that_moves_to_a_map_that_is_there_needs_no_room(azure: AzureSandbox) -> None:
    before = document(azure, 4, "app-a", "app-b")
    before["repositories"][1]["protect"] = True
    converges(azure, before)
    converges(azure, other_notes(before, protect=True))


def test_a_note_that_a_hand_moved_needs_room_to_go_back(azure: AzureSandbox) -> None:
    converges(azure, document(azure, 4))
    ours = dict(azure.acr.scope_maps["reconciler-spec-1"].properties)
    azure.call("DELETE", f"{RESOURCE}/scopeMaps/reconciler-spec-1")
    azure.call("PUT", f"{RESOURCE}/scopeMaps/reconciler-spec-deletable-1", {"properties": ours})
    azure.call("PUT", f"{RESOURCE}/scopeMaps/theirs", {"properties": {"actions": ["repositories/b/content/read"]}})
    plan = azure.plan(document(azure, 4))
    assert [item.address for item in plan.changes] == ["images.repository.app-a"]
    ((at, message),) = refused(plan)
    assert at == "images.repository.app-a"
    assert message.startswith(
        "while it is changed, the registry would have 7 scope maps, 1 of them for notes that go; "
    )


def test_what_is_new_is_named_as_what_it_is(azure: AzureSandbox) -> None:
    converges(azure, document(azure, 4))
    wanted = document(azure, 2, "app-a", "app-b", "app-c")
    wanted["repositories"][1]["protect"], wanted["repositories"][2]["delete_images"] = True, True
    words = (
        "while it is changed, the registry would have {} scope maps, {} of them of grants that go; its sku allows 6: apply without {}"
        " first, and then with them"
    )
    changes = "the changes of repositories"
    another = {**wanted, "grants": [wanted["grants"][0], {**wanted["grants"][1], "name": "another"}]}
    assert refused(azure.plan(wanted)) == [("images.repository.app-b", words.format(7, 2, changes))]
    assert refused(azure.plan(another)) == [
        ("images.scope-map.another", words.format(8, 3, f"the new grants and {changes}"))
    ]
    converges(azure, document(azure, 2))
    converges(azure, wanted)


def test_tokens_that_a_hand_deleted_take_no_room(azure: AzureSandbox) -> None:
    converges(azure, document(azure, 4))
    for number in range(4):
        azure.call("DELETE", f"{RESOURCE}/tokens/partner-{number}")
    for number in range(3):
        said_of = {"scopeMapId": f"{RESOURCE}/scopeMaps/_repositories_pull"}
        azure.call("PUT", f"{RESOURCE}/tokens/theirs{number}", {"properties": said_of})
    converges(
        azure,
        {**document(azure, 0), "grants": [{"name": "other-0", "registry": "images", "to": {"type": "azure-token"}}]},
    )


def test_a_scope_map_that_stays_with_others_takes_room(azure: AzureSandbox) -> None:
    """Azure deletes none that a token has: it is theirs from then on."""
    converges(azure, document(azure, 5))
    azure.call("PUT", f"{RESOURCE}/tokens/theirs", {"properties": {"scopeMapId": f"{RESOURCE}/scopeMaps/partner-4"}})
    converges(azure, document(azure, 4))
    parts = "5 of grants, 1 for notes of repositories, and 1 of others"
    wanted = renamed(document(azure, 5), 5)
    wanted["grants"] = [*document(azure, 4)["grants"], wanted["grants"][4]]
    assert refused(azure.plan(wanted)) == [("images.scope-map.other-partner-4", said(7, parts, "Basic"))]


def test_one_that_will_stay_with_others_is_counted_before_it_is_theirs(azure: AzureSandbox) -> None:
    converges(azure, document(azure, 4))
    azure.call("PUT", f"{RESOURCE}/tokens/theirs", {"properties": {"scopeMapId": f"{RESOURCE}/scopeMaps/partner-0"}})
    parts = "5 of grants, 1 for notes of repositories, and 1 of others"
    wanted = renamed(document(azure, 5), 1)
    assert refused(azure.plan(wanted)) == [("images.scope-map.other-partner-0", said(7, parts, "Basic"))]


def test_tokens_of_grants_to_clusters_count_and_the_error_names_their_type(azure: AzureSandbox) -> None:
    to = {"type": "kubernetes", "cluster": "prod", "namespaces": ["checkout"]}
    grants = tuple({"name": f"cluster-{number}", "to": to} for number in range(6))
    clusters = [{"name": "prod", "context": "nowhere"}]
    found = refused(azure.plan(azure.document("app-a", grants=grants, clusters=clusters)))
    parts = "6 of grants and 1 for notes of repositories"
    assert (f"images.registry.{NAME}", said(7, parts, "Basic")) in found
