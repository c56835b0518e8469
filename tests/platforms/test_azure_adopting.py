"""A registry that was there before: what it lets in is seen before it is adopted, and what it holds is not called new."""

from __future__ import annotations

import pytest

from reconciler import Plan, dumps, loads
from reconciler.model.change import Action
from reconciler.model.marks import Marks
from reconciler.render.change_item import change_item
from reconciler.render.sentences import all_losses, given
from tests.sandbox.azure import NAME, RESOURCE, AzureSandbox
from tests.sandbox.base import Document

AT = f"images.registry.{NAME}"
IDENTITIES = RESOURCE.replace(f"ContainerRegistry/registries/{NAME}", "ManagedIdentity/userAssignedIdentities")
WHOLE = "all repositories of the registry"
ADMIN = "whoever has the password of the admin user"
OPEN = {"anonymousPullEnabled": True, "adminUserEnabled": True}
SEEN = [
    f"anyone can pull {WHOLE} (its anonymous pull)",
    f"{ADMIN} can delete images in {WHOLE} (its admin user)",
    f"{ADMIN} can pull {WHOLE} (its admin user)",
    f"{ADMIN} can push {WHOLE} (its admin user)",
]


def foreign(plan: Plan) -> list[str]:
    return sorted(sentence.text for item in plan.kept for sentence in given(item))


def make(azure: AzureSandbox, **tags: str) -> None:
    azure.call(
        "PUT", RESOURCE, {"location": "westeurope", "sku": {"name": "Standard"}, "properties": OPEN, "tags": tags}
    )


@pytest.mark.parametrize("owner", ["", "others"])
def test_what_its_settings_let_in_is_seen_as_long_as_it_is_not_ours(owner: str, azure: AzureSandbox) -> None:
    make(azure, **(Marks(owner, "spec", None, "images").texts() if owner else {}))
    plan = azure.plan(azure.document("app-a"))
    assert [item.address for item in plan.problems] == [AT]
    assert [text for text in foreign(plan) if "(its " in text] == SEEN
    assert sorted(item.removal for item in plan.objectionable if item.what.startswith("its ")) == [
        f"run `az acr update --name {NAME} --admin-enabled false`",
        f"run `az acr update --name {NAME} --anonymous-enabled false`",
    ]
    assert {"allow_admin", "allow_public"} == {item.guard for item in plan.strangers}


@pytest.mark.parametrize("wishes", [{}, {"adopt": [AT]}])
def test_what_its_adoption_ends_is_lost_and_no_longer_others(wishes: Document, azure: AzureSandbox) -> None:
    make(azure)
    document = azure.document("app-a", registry={} if wishes else {"adopt": True})
    plan = azure.plan(document, **wishes)
    assert foreign(plan) == []
    assert sorted(item.text for item in all_losses(plan)) == [
        f"not everyone can pull {WHOLE} any more",
        *(
            f"{ADMIN} can no longer {verb} any repository of the registry"
            for verb in ("delete images in", "pull", "push")
        ),
    ]
    saved = loads(dumps(plan))
    assert (dumps(saved), foreign(saved)) == (dumps(plan), [])
    azure.carry_out(saved, saved=True)
    assert (azure.plan(document).changes, foreign(azure.plan(document))) == ((), [])


@pytest.mark.parametrize("wishes", [{}, {"adopt": [AT]}])
def test_a_repository_of_an_adopted_registry_is_not_said_to_be_new(wishes: Document, azure: AzureSandbox) -> None:
    make(azure)
    azure.push_image("app-a")
    plan = azure.plan(azure.document("app-a", registry={} if wishes else {"adopt": True}), **wishes)
    for found in (plan, loads(dumps(plan))):
        (change,) = (item for item in found.changes if item.kind == "repository")
        assert change.action is Action.CREATE
        assert change.notes == ("images that were pushed to it before stay, and are the spec's from then on",)
        assert change_item(change).state == "may exist: what it is in is adopted as it is"
        server = azure.acr.properties["loginServer"]
        assert change_item(change).native_name == f"as app-a, pulled from {server}/app-a as soon as it holds an image"
    azure.carry_out(loads(dumps(plan)), saved=True)
    assert set(azure.acr.images) == {"app-a"}


def test_a_repository_of_a_registry_that_is_ours_is_new(azure: AzureSandbox) -> None:
    azure.apply(azure.document("app-a"))
    (change,) = azure.plan(azure.document("app-a", "app-b")).changes
    assert (change.notes, change_item(change).state) == ((), "does not exist: new in the spec, or deleted by hand")


def test_images_that_were_there_before_need_permission_also_where_the_spec_lets_images_go(azure: AzureSandbox) -> None:
    make(azure)
    azure.push_image("app-a")
    guards, registry = {"max_deletes": "100%"}, {"adopt": True}
    with_it = azure.document({"name": "app-a", "delete_images": True}, "app-b", guards=guards, registry=registry)
    azure.carry_out(loads(dumps(azure.plan(with_it))), saved=True)
    assert azure.plan(with_it).changes == ()
    without = azure.document("app-b", guards=guards, registry=registry)
    assert [item.message for item in azure.plan(without).violations] == [
        "images.repository.app-a was there before reconciler adopted it and would be deleted without permission:"
        " add --allow-delete images.repository.app-a; to keep it, set release: true"
    ]
    azure.apply(without, allow_delete=["images.repository.app-a"])
    assert set(azure.acr.images) == set()


@pytest.mark.parametrize(
    ("path", "address", "what", "marks"),
    [
        (f"{RESOURCE}/replications/northeurope", "images.replication.northeurope", "replication", 5),
        (f"{IDENTITIES}/images-pull", "images.identity.pull", "identity", 6),
    ],
)
def test_what_has_too_many_tags_for_our_marks_is_an_error_of_the_plan(
    azure: AzureSandbox, path: str, address: str, what: str, marks: int
) -> None:
    azure.apply(azure.document("app-a", registry={"sku": "Premium"}))
    document = azure.document("app-a", registry={"sku": "Premium", "replication_regions": ["northeurope"]})
    theirs = {f"tag-{number}": "1" for number in range(51 - marks)}
    azure.call("PUT", path, {"location": "northeurope", "tags": theirs})
    (problem,) = azure.plan(document, adopt=[address]).problems
    assert (problem.address, problem.message) == (
        address,
        f"the {what} would have 51 tags; Azure allows at most 50: {51 - marks} set by somebody else, and {marks} for reconciler's"
        " marks; remove some of the others' first",
    )
    theirs.popitem()
    azure.call("PUT", path, {"location": "northeurope", "tags": theirs})
    azure.apply(document, adopt=[address])
    assert azure.plan(document).changes == ()
