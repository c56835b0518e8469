"""A note that a hand put among those whose images may go: its repository is noted, and its images stay."""

from __future__ import annotations

import pytest

from reconciler.errors import GuardViolation
from reconciler.model.address import Address
from tests.sandbox.azure import RESOURCE, AzureSandbox
from tests.sandbox.base import Document

DELETABLE = "reconciler-spec-deletable-1"


def document(azure: AzureSandbox, *deletable: str, protected: bool = True) -> Document:
    app = {"name": "app-a", "protect": True} if protected else {"name": "app-a"}
    rows = [app, {"name": "app-b"}, *({"name": name, "delete_images": True} for name in deletable)]
    return azure.document(*rows, guards={"max_deletes": "100%"})


def without(wanted: Document, *names: str) -> Document:
    return {**wanted, "repositories": [row for row in wanted["repositories"] if row["name"] not in names]}


def moved(azure: AzureSandbox, repository: str) -> None:
    """By a hand, with the words that the map had, if it was there."""
    azure._note(repository, DELETABLE, "tests")


@pytest.mark.parametrize(
    "deletable", [(), ("app-c",), ("app-c", "app-d"), tuple(f"app-{letter}" for letter in "cdefghijk")]
)
@pytest.mark.parametrize("repository", ["app-a", "app-b"])
def test_images_of_a_repository_whose_note_was_moved_stay(
    azure: AzureSandbox, repository: str, deletable: tuple[str, ...]
) -> None:
    wanted = document(azure, *deletable)
    azure.apply(wanted)
    azure.push_image(repository)
    moved(azure, repository)
    plan = azure.plan(without(wanted, repository))
    (change,) = (item for item in plan.changes if item.address == f"images.repository.{repository}")
    assert not change.force
    assert [item.guard for item in plan.violations] == ["images"]
    with pytest.raises(GuardViolation):
        azure.carry_out(plan)
    assert repository in azure.acr.images
    azure.apply(wanted)
    assert azure.plan(wanted).changes == ()


def test_what_else_this_run_writes_does_not_make_a_moved_note_a_true_one(azure: AzureSandbox) -> None:
    wanted = document(azure, "app-c")
    azure.apply(wanted)
    azure.push_image("app-a")
    moved(azure, "app-a")
    more = without(document(azure, "app-c", "app-d"), "app-a")
    azure.apply(more, targets=["images.repository.app-c", "images.repository.app-d"])
    assert "repositories/app-d/metadata/read" in azure.acr.scope_maps[DELETABLE].properties["actions"]
    plan = azure.plan(more)
    assert [item.guard for item in plan.violations] == ["images"]
    assert not any(change.force for change in plan.changes)
    azure.apply(document(azure, "app-c", "app-d"))
    assert azure.plan(document(azure, "app-c", "app-d")).changes == ()


@pytest.mark.parametrize("forgotten", ["app-c", "app-d"])
def test_a_map_from_which_a_hand_took_a_note_is_as_it_was_after_an_apply(azure: AzureSandbox, forgotten: str) -> None:
    wanted = document(azure, "app-c", "app-d")
    azure.apply(wanted)
    good = azure.state()
    found = azure.acr.scope_maps[DELETABLE].properties
    found["actions"] = [action for action in found["actions"] if forgotten not in action]
    azure.apply(wanted)
    assert azure.state() == good
    assert azure.plan(wanted).changes == ()


@pytest.mark.parametrize("description", ["", "theirs", "reconciler: owner=tests registry=images origin=spec"])
def test_a_map_without_what_we_wrote_of_it_lets_no_images_go(azure: AzureSandbox, description: str) -> None:
    wanted = document(azure, "app-c", protected=False)
    azure.apply(wanted)
    azure.push_image("app-c")
    azure.call("PATCH", f"{RESOURCE}/scopeMaps/{DELETABLE}", {"properties": {"description": description}})
    assert not any(item.force for item in azure.plan(without(wanted, "app-c")).changes)


def test_a_plan_says_what_a_hand_moved_and_writes_it_back_in_its_place(azure: AzureSandbox) -> None:
    wanted = document(azure, "app-c", "app-d")
    azure.apply(wanted)
    good = azure.state()
    moved(azure, "app-b")
    changes = azure.plan(wanted).changes
    assert {item.address for item in changes} == {
        Address.of("images", "repository", name) for name in ("app-b", "app-c", "app-d")
    }
    fields = {field.path: (field.old, field.new) for item in changes for field in item.fields}
    assert fields["moved_by_hand"] == (True, False)
    azure.apply(wanted)
    assert azure.state() == good


def test_words_of_people_in_a_map_of_notes_outlive_its_writes(azure: AzureSandbox) -> None:
    azure.apply(document(azure, "app-c"))
    found = azure.acr.scope_maps[DELETABLE].properties
    found["description"] = f"TICKET-1 | {found['description']} ask Bob"
    assert azure.plan(document(azure, "app-c")).changes == ()
    azure.apply(document(azure, "app-c", "app-d"))
    assert azure.plan(document(azure, "app-c", "app-d")).changes == ()
    said = azure.acr.scope_maps[DELETABLE].properties["description"]
    assert said.startswith("TICKET-1 | reconciler: owner=tests ")
    assert said.endswith(" ask Bob")
