"""Registries on Azure that get another name, or another place: nothing of the old one is lost unseen."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from reconciler.engine.plan_file import dumps, loads
from reconciler.errors import PlanRefused, ReconcilerError
from reconciler.model.change import Action
from reconciler.platforms.azure import tags
from reconciler.render.report import report_of
from reconciler.render.text import joined, plan_lines
from tests.command_line import in_this_process
from tests.sandbox.azure import GROUP, NAME, RESOURCE, AzureSandbox
from tests.sandbox.azure_fields import SUBSCRIPTION, principal
from tests.sandbox.base import Document

NEXT = "acmenext"
HOME = f"images.registry.{NAME}"
STAYS = (
    f"it is the identity of registry {NAME}, which another registry_name leaves behind with its images: put {NAME} back, and give"
    f" {NEXT} a second registry in the spec, under another name; once its images are copied, retire the first"
)


def named(azure: AzureSandbox, name: str, **registry: object) -> Document:
    return azure.document(
        "app-a", registry={"registry_name": name, **registry}, grants=({"name": "one", "to": azure.target("1")},)
    )


def identity(job: str) -> str:
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
    azure.call("PATCH", identity("pull"), {"tags": {**without, **({tags.REGISTRY_NAME: said} if said else {})}})
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


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("resource_group", "other", "resource group other"),
        (
            "subscription_id",
            "99999999-0000-0000-0000-000000000000",
            "subscription 99999999-0000-0000-0000-000000000000",
        ),
        ("tenant_id", "99999999-0000-0000-0000-000000000000", "tenant 99999999-0000-0000-0000-000000000000"),
        ("cloud", "china", "cloud china"),
    ],
)
def test_a_plan_says_fully_where_its_registry_is(field: str, value: str, words: str, azure: AzureSandbox) -> None:
    """Also where somebody has written another place into a saved plan."""
    plan = azure.plan(named(azure, NAME))
    header = f"registry images (azure {NAME} westeurope resource group {GROUP} subscription {SUBSCRIPTION})"
    assert header in joined(plan_lines(report_of(plan)))
    saved = json.loads(dumps(plan))
    saved["registries"][0][field] = value
    with pytest.raises(ReconcilerError, match="'where' does not follow from the rest of it"):
        loads(json.dumps(saved), platforms=azure.platforms)
    place = header.removeprefix("registry images (").removesuffix(")")
    assert saved["where"] == {"images": place}
    was = {"resource_group": f"resource group {GROUP}", "subscription_id": f"subscription {SUBSCRIPTION}"}.get(
        field, ""
    )
    saved["where"]["images"] = place.replace(was, words) if was else f"{place} {words}"
    text = json.dumps(saved)
    # login servers of that cloud are called otherwise
    text = text.replace(".azurecr.io", ".azurecr.cn") if field == "cloud" else text
    edited = loads(text, platforms=azure.platforms)
    assert words in joined(plan_lines(report_of(edited)))


def test_two_specs_with_registries_of_one_name_are_no_renamed_one(azure: AzureSandbox) -> None:
    """The identities are called after the registry's name in the spec, which is all that is in the way."""
    azure.apply({**named(azure, NEXT), "name": "big"})
    plan = azure.plan(named(azure, NAME))
    assert [(item.address, item.message.partition("; ")[2]) for item in plan.problems] == [
        (
            f"images.identity.{job}",
            "an owned resource is never taken over, and this one is called after the registry 'images' of that spec and goes with it:"
            " give the registry 'images' another name in this spec",
        )
        for job in ("pull", "push")
    ]
    assert not [item for item in plan.warnings if "destroy" in item or "was called" in item]
    document = named(azure, NAME)
    other = {**document["registries"][0], "name": "other"}
    rows = [{**row, "registry": "other"} for row in document["repositories"]]
    grants = [{**row, "registry": "other"} for row in document["grants"]]
    azure.apply({**document, "registries": [other], "repositories": rows, "grants": grants})


def test_what_to_do_about_a_registry_that_was_renamed_is_said_of_the_registry_alone(azure: AzureSandbox) -> None:
    document = named(azure, NAME)
    azure.apply(document)
    renamed = json.loads(json.dumps(document).replace('"images"', '"pics"'))
    renamed["registries"][0]["resource_group"] = GROUP
    said = {str(item.address): item.message.partition("; ")[2] for item in azure.plan(renamed).problems}
    home = f"pics.registry.{NAME}"
    assert said.pop(home) == (
        "its mark reconciler-registry says 'images': if that is wrong, set it back to 'pics'; otherwise take it out of the registry"
        " 'pics' in the spec (taken out of 'images', it is deleted)"
    )
    assert "pics.repository.app-a" in said
    assert set(said.values()) == {f"so does {home}, of which it is said what to do"}


# -- let go of


def released(azure: AzureSandbox) -> Document:
    """A registry of every kind of resource, with images, and with what others have in it."""
    document = azure.rich_document()
    document["registries"][0]["labels"] = {"team": "ours", "tier": "1"}
    azure.make_foreign_labelled()
    azure.call("PATCH", RESOURCE, {"tags": {"Team": "theirs"}})
    azure.apply({**document, "registries": [{**document["registries"][0], "adopt": True}]}, allow=[])
    for name in ("app-a", "app-b", "nobody-s"):
        azure.push_image(name)
    return document


def test_a_released_registry_keeps_all_but_what_the_spec_gave(azure: AzureSandbox) -> None:
    document = released(azure)
    azure.give_foreign_access("app-a")
    principals = {item.name: item.properties["principalId"] for item in azure.cloud.identities.values()}
    images = {name: dict(found) for name, found in azure.acr.images.items()}
    theirs = azure.foreign_access("app-a")
    plan = azure.plan(document, release=[HOME])
    assert {change.action for change in plan.changes} == {Action.RELEASE, Action.DELETE}
    assert {change.kind for change in plan.changes if change.action is Action.RELEASE} == {
        "registry",
        "identity",
        "replication",
        "repository",
    }
    assert plan.changes[-1].address == HOME
    assert plan.left_out == 0
    text = joined(plan_lines(report_of(plan)))
    assert "whoever holds token partner can no longer pull team/c" in text
    azure.carry_out(loads(dumps(plan), platforms=azure.platforms))
    assert {name: dict(found) for name, found in azure.acr.images.items()} == images
    assert azure.acr.tags == {"Team": "theirs", "tier": "1"}
    assert not {key for key in azure.acr.scope_maps if not key.startswith("_")} | set(azure.acr.tokens)
    assert azure.foreign_access("app-a") == theirs
    ours = [item for item in azure.cloud.assignments.values() if "reconciler" in str(item.properties["description"])]
    assert ours == []
    found = azure.cloud.identities.values()
    assert {item.name: (item.properties["principalId"], dict(item.tags)) for item in found} == {
        name: (principal, {}) for name, principal in principals.items()
    }
    assert {key: dict(item.tags) for key, item in azure.acr.replications.items()}.get("northeurope") == {}
    assert azure.plan(document, destroy=True).changes == ()


def test_a_released_registry_is_adopted_under_another_name_of_the_spec(azure: AzureSandbox) -> None:
    """As the docs say it: between the two nobody but others has access, and no image is lost."""
    document = released(azure)
    images = {name: dict(found) for name, found in azure.acr.images.items()}
    renamed = {**document, "name": "another"}
    assert [item for item in azure.plan(renamed).warnings if "is called" in item or "was called" in item] == [
        "14 resources are owned by the spec 'tests': if this spec, 'another', was called 'tests' before, change its name back, or"
        " run `reconciler release images.registry.acmeimages` under the old name, which lets go of all that it holds, and adopt it"
        " under the new one (`reconciler help renaming-a-registry-or-a-spec`)"
    ]
    azure.apply(document, release=[HOME])
    renamed["registries"] = [{**document["registries"][0], "adopt": True}]
    asked = azure.plan(renamed)
    wanted = [str(problem.address) for problem in asked.problems]
    assert wanted == ["images.identity.pull", "images.identity.push", "images.replication.northeurope"]
    assert all(f"add --adopt {problem.address}" in problem.message for problem in asked.problems)
    azure.apply(renamed, adopt=wanted)
    assert azure.plan(renamed).changes == ()
    assert {name: dict(found) for name, found in azure.acr.images.items()} == images


def test_what_another_spec_has_is_never_to_be_destroyed_first(azure: AzureSandbox) -> None:
    document = released(azure)
    plan = azure.plan({**document, "name": "another"})
    assert plan.problems
    for problem in plan.problems:
        assert "run `reconciler release images.registry.acmeimages` there" in problem.message
        assert "destroy" not in problem.message


def test_a_release_that_was_cut_off_goes_on(azure: AzureSandbox) -> None:
    document = released(azure)
    plan = azure.plan(document, release=[HOME])
    half = {change.address for change in plan.changes[: len(plan.changes) // 2]}
    azure.carry_out(replace(plan, changes=tuple(item for item in plan.changes if item.address in half), graph=()))
    azure.apply(document, release=[HOME])
    assert azure.plan(document, destroy=True).changes == ()


@pytest.mark.parametrize("at", ["images.identity.pull", "images.replication.northeurope", f"images.mode.{NAME}"])
def test_what_belongs_to_a_registry_is_released_with_it_alone(at: str, azure: AzureSandbox) -> None:
    document = released(azure)
    with pytest.raises(ReconcilerError, match=f"{at}: "):
        azure.plan(document, release=[at])


def test_a_repository_that_is_called_as_its_registry_is_released_alone(azure: AzureSandbox) -> None:
    document = azure.document(NAME, "app-a")
    azure.apply(document)
    for found in (
        azure.plan(document, release=[f"images.repository.{NAME}"]),
        azure.plan(azure.document({"name": NAME, "release": True}, "app-a")),
    ):
        assert [change.address for change in found.changes] == [f"images.repository.{NAME}"]


@pytest.mark.parametrize("how", ["in the spec", "by its address"])
def test_a_released_repository_takes_what_the_grants_give_along(how: str, azure: AzureSandbox) -> None:
    """The access stands in conditions and scope maps that are for other repositories too."""
    document = azure.rich_document()
    azure.apply(document)
    azure.push_image("app-a")
    said = copy.deepcopy(document)
    said["repositories"][0]["release"] = True
    plan = azure.plan(document, release=["images.repository.app-a"]) if how == "by its address" else azure.plan(said)
    assert plan.left_out == 0
    assert {change.address for change in plan.changes} == {
        "images.repository.app-a",
        *(f"images.assignment.{principal(number)}-{job}" for number, job in ((1, "pull"), (2, "push"), (4, "push"))),
    }
    text = joined(plan_lines(report_of(plan)))
    assert f"service principal {principal(1)} can no longer pull app-a" in text
    assert f"group {principal(2)} can no longer pull or push app-a" in text
    azure.carry_out(loads(dumps(plan), platforms=azure.platforms))
    assert "app-a" in azure.acr.images
    assert not [item for item in azure.cloud.assignments.values() if "app-a" in str(item.properties["condition"])]
    assert azure.plan(said).changes == ()


def test_release_says_what_is_left_to_do(azure: AzureSandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    document = azure.document("app-a", "app-b", grants=({"name": "one", "to": azure.target("1")},))
    azure.apply(document)
    (tmp_path / "registry.yaml").write_text(yaml.safe_dump(document))
    monkeypatch.chdir(tmp_path)
    done = in_this_process("release", "images.repository.app-a", "--yes").stdout
    assert done.endswith(
        "Now take repository app-a out of the spec, and out of the grants that name it; until then, the next apply takes it back,"
        " with what the grants give.\n"
    )
    assert "Plan: 1 to create, 1 to update, 8 unchanged." in in_this_process("plan").stdout
    done = in_this_process("release", HOME, "--yes").stdout
    assert done.endswith(
        "Now take registry images out of the spec, with its repositories and grants; until then, plan reports it as existing without"
        " an owner.\n"
    )
    said = in_this_process("plan", code=6).stdout
    assert "already exists and has no owner; to adopt it, add --adopt images.registry.acmeimages" in said
