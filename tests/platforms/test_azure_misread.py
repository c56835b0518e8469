"""What whoever reads a plan on Azure could take for something else than it is."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from reconciler import session
from reconciler.cli.app import run
from reconciler.engine.plan_file import dumps, loads
from reconciler.errors import PlatformError
from reconciler.model.change import Action, Cause
from reconciler.model.resource import NativeName
from reconciler.model.service import issuing
from reconciler.render.report import report_of
from reconciler.render.text import drift_lines, joined, plan_lines
from reconciler.review.make import make_review
from reconciler.spec.variables import StandIns
from tests.sandbox.azure import NAME, RESOURCE, STRANGER, AzureSandbox

HOME = f"images.registry.{NAME}"
OWNER = "8e3af657-a8ff-443c-a75c-2fe8c4bcb635"


def test_what_a_mode_does_not_need_is_not_said_to_have_no_owner(azure: AzureSandbox) -> None:
    """In mode legacy the role to pull reads the catalog too, so that no assignment for it is there, or can be adopted."""
    azure.call("PUT", RESOURCE, {"location": "westeurope", "sku": {"name": "Basic"}, "properties": {}})
    document = azure.document("app-a", registry={"adopt": True})
    azure.apply(document)
    plan = azure.plan(document, destroy=True)
    assert not [item for item in plan.warnings if "has no owner" in item]


@pytest.mark.parametrize("modes", [("abac", "legacy"), ("legacy", "abac")])
def test_whoever_imports_images_in_either_mode_neither_gains_nor_loses_that_by_a_switch(
    modes: tuple[str, str], azure: AzureSandbox
) -> None:
    azure.apply(azure.document("app-a", registry={"role_assignment_mode": modes[0]}))
    azure.assign(STRANGER, OWNER)
    plan = azure.plan(azure.document("app-a", registry={"role_assignment_mode": modes[1]}))
    said = [access for change in plan.changes for access in (*change.gains, *change.losses)]
    assert any(STRANGER in item.principal.label for item in said)
    assert not [item for item in said if "import" in item.verb]


def test_a_switch_of_the_mode_calls_the_registry_s_identities_by_their_names(azure: AzureSandbox) -> None:
    azure.apply(azure.document("app-a"))
    text = joined(
        plan_lines(report_of(azure.plan(azure.document("app-a", registry={"role_assignment_mode": "legacy"}))))
    )
    writer = "Container Registry Repository Writer of managed identity images-push on the registry counts no longer"
    assert f"{writer}, and another one takes its place" in text
    for item in azure.cloud.identities.values():
        assert item.properties["principalId"] not in text


def test_a_registry_that_lost_its_marks_is_not_said_to_be_adopted_for_a_change_of_the_spec(azure: AzureSandbox) -> None:
    """`az acr update --tags` replaces all of them, and nothing is left that says what was applied."""
    document = azure.document("app-a", registry={"adopt": True})
    azure.call("PUT", RESOURCE, {"location": "westeurope", "sku": {"name": "Basic"}, "properties": {}})
    azure.apply(document)
    azure.acr.tags.clear()
    plan = azure.plan(document)
    causes = {str(change.address): (change.action, change.cause) for change in plan.changes}
    assert causes[HOME] == (Action.ADOPT, Cause.CHANGED)
    assert "Pending: the spec has changed" not in "\n".join(map(str, drift_lines(report_of(plan))))


def test_what_is_left_of_an_identity_that_was_deleted_by_hand_is_drift_and_takes_nothing_from_nobody(
    azure: AzureSandbox,
) -> None:
    document = azure.document("app-a", grants=({"name": "one", "to": azure.target("1")},))
    azure.apply(document)
    (gone,) = (key for key, item in azure.cloud.identities.items() if item.name == "images-pull")
    del azure.cloud.identities[gone]
    plan = azure.plan(document)
    left = [change for change in plan.changes if change.action is Action.DELETE]
    assert left
    assert {change.cause for change in left} == {Cause.DRIFT}
    assert [access for change in left for access in change.losses] == []
    assert loads(dumps(plan), platforms=azure.platforms).changes == plan.changes
    azure.apply(document)
    assert azure.plan(document).changes == ()


def test_the_admin_user_deletes_images_and_lets_nobody_in(azure: AzureSandbox) -> None:
    azure.apply(azure.document("app-a"))
    azure.call("PATCH", RESOURCE, {"properties": {"adminUserEnabled": True}})
    text = joined(plan_lines(report_of(azure.plan(azure.document("app-a")))))
    assert "whoever has the password of the admin user can no longer delete images in any repository" in text
    assert "change who has access" not in text


@pytest.mark.parametrize(
    ("cloud", "suffix"), [("public", "azurecr.io"), ("china", "azurecr.cn"), ("government", "azurecr.us")]
)
def test_each_of_azure_s_clouds_has_login_servers_of_its_own(cloud: str, suffix: str, azure: AzureSandbox) -> None:
    document = azure.document("app-a", registry={"cloud": cloud})
    nothing = azure.spec({**document, "registries": [], "repositories": []})
    plan = make_review(nothing, azure.spec(document), (), StandIns({}), azure.platforms).plan
    uris = {item.native_name.uri for item in plan.changes if item.native_name is not None}
    assert uris == {f"{NAME}.{suffix}", f"{NAME}.{suffix}/app-a"}


def test_a_grant_that_does_not_cover_a_repository_needs_no_apply(
    azure: AzureSandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    partner = {"name": "partner", "repositories": ["app-a"], "to": {"type": "azure-token"}}
    document = azure.document("app-a", "app-b", grants=(partner,))
    azure.apply(document)
    monkeypatch.chdir(tmp_path)
    ask = ["credentials", "images/app-b", "--as", "partner"]
    (tmp_path / "registry.yaml").write_text(yaml.safe_dump(document))
    assert run(ask) == 1
    assert "grant partner gives nothing on app-b\n  it gives access to app-a" in capsys.readouterr().err
    document["grants"][0]["repositories"].append("app-b")
    (tmp_path / "registry.yaml").write_text(yaml.safe_dump(document))
    assert run(ask) == 1
    assert "the spec has app-b: `reconciler apply` creates it" in capsys.readouterr().err


def test_a_token_that_a_hand_deleted_is_made_anew_by_an_apply(azure: AzureSandbox) -> None:
    document = azure.document("app-a", grants=({"name": "partner", "to": {"type": "azure-token"}},))
    azure.apply(document)
    azure.acr.tokens.pop("partner")
    with session(azure.spec(document)) as opened, pytest.raises(PlatformError) as refused:
        issuing(opened).credentials("*", push=False, ttl=3600.0, user="partner")
    assert "token partner is not there: somebody deleted it" in str(refused.value)
    assert refused.value.hint == "run `reconciler apply`, which makes it anew"


def test_the_plan_of_a_new_registry_says_its_tier_where_it_is_and_whether_the_internet_reaches_it(
    azure: AzureSandbox,
) -> None:
    text = joined(plan_lines(report_of(azure.plan(azure.document("app-a")))))
    for said in ('sku: "Basic"', 'location: "westeurope"', "public_network_access: "):
        assert said in text


def test_an_identity_that_is_let_go_of_says_which_tag_goes(azure: AzureSandbox) -> None:
    azure.apply(azure.document("app-a"))
    plan = azure.plan(azure.document("app-a"), release=[HOME])
    (pull,) = (change for change in plan.changes if change.address == "images.identity.pull")
    assert [(item.path, item.old, item.new) for item in pull.fields] == [("reconciler-registry-name", NAME, None)]


def test_a_note_about_repositories_is_said_at_the_line_of_the_first_of_them(
    azure: AzureSandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    text = yaml.safe_dump(azure.document("app-a", {"name": "app-b", "adopt": True}), sort_keys=False)
    (tmp_path / "registry.yaml").write_text(text)
    assert run(["validate"]) == 0
    (line,) = (number for number, row in enumerate(text.splitlines(), 1) if "name: app-b" in row)
    (note,) = (row for row in capsys.readouterr().err.splitlines() if "needs no adopt, as app-b has it" in row)
    assert note.startswith((f"registry.yaml:{line - 1}:", f"registry.yaml:{line}:"))


def test_a_login_server_that_is_known_is_said_of_what_is_new_and_adopted(azure: AzureSandbox) -> None:
    azure.cloud.knobs.login_server = "{name}-{hash}.azurecr.io"
    azure.call("PUT", RESOURCE, {"location": "westeurope", "sku": {"name": "Basic"}, "properties": {}})
    server = azure.acr.properties["loginServer"]
    document = azure.document("app-a", registry={"adopt": True})
    plan = azure.plan(document)
    names = {str(item.address): item.native_name for item in plan.changes if item.native_name is not None}
    assert names[HOME] == NativeName(NAME, server)
    assert names["images.repository.app-a"] == NativeName("app-a", f"{server}/app-a", "as soon as it holds an image")
    azure.carry_out(loads(dumps(plan), platforms=azure.platforms), saved=True)
    assert azure.plan(document).changes == ()
