"""Roles that Reconciler does not assign: custom ones, and built-in ones that it does not know, are read by their definitions."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler import dumps, loads
from reconciler.model.access import ADMIN, DELETE_IMAGES
from reconciler.platforms.azure.others_roles import BUILT_IN, IMPORT, of_definition
from tests.emulators.azure import Fails, Server
from tests.emulators.azure.assignments import ROLES
from tests.sandbox.azure import NAME, RESOURCE, STRANGER, AzureSandbox
from tests.sandbox.azure_fields import SUBSCRIPTION, principal
from tests.sandbox.base import Document

CUSTOM = "cccccccc-0000-0000-0000-000000000001"
REGISTRIES = "Microsoft.ContainerRegistry/registries"
DATA = f"{REGISTRIES}/repositories"


def definition(**permission: list[str]) -> dict[str, Any]:
    return {"properties": {"roleName": "Ours", "permissions": [permission]}}


@pytest.mark.parametrize(
    ("permission", "abac", "legacy"),
    [
        ({"dataActions": [f"{DATA}/content/read"]}, ("pull",), ()),
        ({"dataActions": [f"{DATA}/*"]}, ("pull", "push", DELETE_IMAGES), ()),
        ({"dataActions": [f"{DATA}/content/delete"]}, (DELETE_IMAGES,), ()),
        ({"actions": [f"{REGISTRIES}/artifacts/delete"]}, (), (DELETE_IMAGES,)),
        ({"actions": [f"{REGISTRIES}/delete"]}, (DELETE_IMAGES,), (DELETE_IMAGES,)),
        ({"actions": [f"{REGISTRIES}/importImage/action"]}, (IMPORT,), (IMPORT,)),
        ({"actions": [f"{REGISTRIES}/importImage/action", f"{REGISTRIES}/push/write"]}, (IMPORT,), ("push",)),
        ({"actions": [f"{REGISTRIES}/scheduleRun/action"]}, (), ("pull", "push", DELETE_IMAGES)),
        ({"actions": [f"{REGISTRIES}/tasks/*"]}, (), ("pull", "push", DELETE_IMAGES)),
        ({"actions": [f"{REGISTRIES}/taskRuns/write"]}, (), ("pull", "push", DELETE_IMAGES)),
        ({"actions": [f"{REGISTRIES}/scopeMaps/write"]}, (ADMIN,), (ADMIN,)),
        ({"actions": [f"{REGISTRIES}/tokens/write"]}, (ADMIN,), (ADMIN,)),
        ({"actions": ["Microsoft.Authorization/roleDefinitions/write"]}, (ADMIN,), (ADMIN,)),
        ({"actions": ["Microsoft.Authorization/*/Write"]}, (ADMIN,), (ADMIN,)),
        ({"actions": [f"{REGISTRIES}/*/write"]}, (ADMIN,), ("pull", "push", ADMIN)),
        ({"actions": [f"{REGISTRIES}/*/read"]}, (), ("pull",)),
        ({"dataActions": [f"{DATA}/*"], "notDataActions": [f"{DATA}/*/delete"]}, ("pull", "push"), ()),
        ({"dataActions": [f"{DATA}/*/READ"], "actions": ["*/read"]}, ("pull",), ("pull",)),
        ({"actions": ["*"]}, (IMPORT, ADMIN), ("pull", "push", ADMIN)),
        ({"actions": ["*"], "notActions": ["*/delete", f"{REGISTRIES}/*", "Microsoft.Authorization/*"]}, (), ()),
        ({"actions": [f"{REGISTRIES}/generateCredentials/action"]}, (ADMIN,), (ADMIN,)),
        ({"actions": ["Microsoft.Compute/*"]}, (), ()),
        ({}, (), ()),
    ],
)
def test_a_role_allows_what_its_definition_says(
    permission: dict[str, list[str]], abac: tuple[str, ...], legacy: tuple[str, ...]
) -> None:
    found = of_definition(CUSTOM, definition(**permission))
    assert (found.name, found.known) == ("Ours", True)
    assert (found.verbs["abac"], found.verbs["legacy"]) == (abac, legacy)


def test_what_several_permissions_allow_is_not_denied_by_each_other() -> None:
    read, none = {"dataActions": [f"{DATA}/content/read"]}, {"actions": ["*"], "notDataActions": [f"{DATA}/*"]}
    found = of_definition(CUSTOM, {"properties": {"roleName": "Ours", "permissions": [read, none]}})
    assert found.verbs["abac"] == ("pull", IMPORT, ADMIN)


@pytest.mark.parametrize("guid", sorted(BUILT_IN))
def test_the_built_in_ones_are_what_the_stand_in_s_definitions_say(guid: str) -> None:
    name, data, actions = ROLES[guid]
    said = {
        "roleName": name,
        "permissions": [{"dataActions": list(data), "actions": [f"{REGISTRIES}/{item}" for item in actions]}],
    }
    found = of_definition(guid, {"properties": said})
    assert found.name == BUILT_IN[guid].name
    for mode, verbs in BUILT_IN[guid].verbs.items():
        assert set(found.verbs[mode]) <= set(verbs)


@pytest.fixture
def document(azure: AzureSandbox, monkeypatch: pytest.MonkeyPatch) -> Document:
    monkeypatch.setitem(ROLES, CUSTOM, ("Our Puller", (f"{DATA}/content/read", f"{DATA}/metadata/read"), ()))
    document = azure.document(
        "app-a", "app-b", grants=({"name": "one", "repositories": ["app-a"], "to": azure.target("1")},)
    )
    azure.apply(document)
    return document


def foreign(azure: AzureSandbox, document: Document) -> list[tuple[str, list[tuple[str, bool]]]]:
    return [(item.what, [(access.verb, access.may) for access in item.access]) for item in azure.plan(document).foreign]


def test_a_custom_role_on_the_registry_is_access(azure: AzureSandbox, document: Document) -> None:
    azure.assign(STRANGER, CUSTOM)
    pulls = ("pull all repositories of the registry", False)
    assert foreign(azure, document) == [(f"Our Puller of service principal {STRANGER} on the registry", [pulls])]


def test_a_custom_role_above_the_registry_that_voids_a_grant_says_so(azure: AzureSandbox, document: Document) -> None:
    scope = f"/subscriptions/{SUBSCRIPTION}"
    azure.assign(STRANGER, CUSTOM, scope)
    azure.assign(principal(1), CUSTOM, scope)
    ((what, access),) = foreign(azure, document)
    assert what == (
        f"Our Puller of service principal {principal(1)} on {scope}, which reaches every repository whatever its grants say"
    )
    assert access == [("pull all repositories of the registry", False)]


def test_a_role_above_it_that_reaches_no_image_is_not_reported(
    azure: AzureSandbox, document: Document, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ROLES, CUSTOM, ("Virtual Machine Friend", (), ("something/else",)))
    azure.assign(principal(1), CUSTOM, f"/subscriptions/{SUBSCRIPTION}")
    assert foreign(azure, document) == []


def test_a_condition_of_a_custom_role_is_not_read(azure: AzureSandbox, document: Document) -> None:
    condition = f"(!(ActionMatches{{'{DATA}/content/read'}}) OR (@Request[{DATA}:name] StringEquals 'x'))"
    azure.assign(principal(1), CUSTOM, RESOURCE, condition=condition, conditionVersion="2.0")
    ((what, access),) = foreign(azure, document)
    assert what == f"Our Puller of service principal {principal(1)} on the registry"
    assert access == [("pull all repositories of the registry", True)]


def test_a_definition_that_may_not_be_read_may_allow_anything(
    azure: AzureSandbox, azure_stand_in: Server, document: Document
) -> None:
    azure.assign(STRANGER, CUSTOM)
    azure_stand_in.behaviours.append(Fails("roleDefinitions:GET", "403", times=-1))
    ((what, access),) = foreign(azure, document)
    assert what == f"role {CUSTOM} of service principal {STRANGER} on the registry"
    assert access == [(f"do what role {CUSTOM} allows with all repositories of the registry", True)]


def test_a_definition_is_asked_for_once(azure: AzureSandbox, azure_stand_in: Server, document: Document) -> None:
    for number in (7, 8):
        azure.assign(principal(number), CUSTOM)
    azure_stand_in.calls.clear()
    azure.plan(document)
    assert [call.operation for call in azure_stand_in.calls].count("roleDefinitions:GET") == 1


@pytest.mark.parametrize(
    ("data", "actions", "can", "guarded"),
    [
        ((f"{DATA}/content/delete",), (), "delete images in all repositories of the registry", "delete images"),
        ((), (f"{REGISTRIES}/importImage/action",), "import images into all repositories of the registry", ""),
        ((), (f"{REGISTRIES}/scopeMaps/write",), "change or delete", "delete images and change who has access"),
        ((), (f"{REGISTRIES}/tokens/write",), "change or delete", "delete images and change who has access"),
    ],
)
def test_a_role_that_lets_somebody_in_or_change_images_is_said_and_guarded(
    azure: AzureSandbox,
    document: Document,
    monkeypatch: pytest.MonkeyPatch,
    data: tuple[str, ...],
    actions: tuple[str, ...],
    can: str,
    guarded: str,
) -> None:
    monkeypatch.setitem(ROLES, CUSTOM, ("Our Other", data, actions))
    azure.assign(STRANGER, CUSTOM)
    assert foreign(azure, document) == [(f"Our Other of service principal {STRANGER} on the registry", [(can, False)])]
    said = [item.message for item in azure.plan(document).strangers if item.guard == "allow_admin"]
    who = f"service principal {STRANGER} can {guarded} (images.registry.{NAME}), and guards.allow_admin is not true"
    assert said == ([who] if guarded else [])


def test_whoever_only_has_images_imported_does_not_void_a_grant(
    azure: AzureSandbox, document: Document, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ROLES, CUSTOM, ("Our Importer", (), (f"{REGISTRIES}/importImage/action",)))
    azure.assign(principal(1), CUSTOM, f"/subscriptions/{SUBSCRIPTION}")
    ((what, access),) = foreign(azure, document)
    assert what == f"Our Importer of service principal {principal(1)} on /subscriptions/{SUBSCRIPTION}"
    assert access == [("import images into all repositories of the registry", False)]


def test_what_an_identity_of_ours_has_above_the_registry_is_said_before_it_goes(azure: AzureSandbox) -> None:
    document = azure.document("app-a")
    azure.apply(document)
    found = {item.name: item.properties["principalId"] for item in azure.cloud.identities.values()}
    group = RESOURCE.partition("/providers/")[0]
    assert {change.notes for change in azure.plan(document, destroy=True).changes if change.kind == "identity"} == {()}
    for scope in (group, group.partition("/resourceGroups/")[0], f"{group}-elsewhere", RESOURCE):
        azure.assign(found["images-pull"], "b24988ac-6180-42a0-ab88-20f7382dd24c", scope)
    notes = {
        change.address.name: change.notes
        for change in azure.plan(document, destroy=True).changes
        if change.kind == "identity"
    }
    assert notes == {
        "pull": tuple(
            f"it also has Contributor on {scope}, which somebody else gave it: what uses it there loses that"
            for scope in (group.partition("/resourceGroups/")[0], group)
        ),
        "push": (),
    }
    assert azure.plan(document).changes == ()
    saved = loads(dumps(azure.plan(document, destroy=True)))
    assert {change.address.name: change.notes for change in saved.changes if change.kind == "identity"} == notes
