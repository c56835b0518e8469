"""What whoever is new to it meets on Azure: errors that say what to write, guards that can be met, plans that say what there is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from azure.core.exceptions import ServiceRequestError

from reconciler.engine.plan_file import dumps, loads
from reconciler.errors import ReadFailed, SpecError
from reconciler.model.change import Action
from reconciler.platforms.azure import rules
from reconciler.platforms.azure.spec import AzureRegistry
from reconciler.platforms.azure.troubles import translated
from tests.emulators.azure.faults import Fails
from tests.emulators.serving import Answer, Call
from tests.sandbox.azure import NAME, RESOURCE, AzureSandbox
from tests.sandbox.base import Document

WHOLE = "Azure has no grant to everyone"


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (
            "me@contoso.com",
            "'me@contoso.com' must be the principal's object id, a UUID: `az ad user show --id me@contoso.com --query id` says it",
        ),
        ("*", f"'*' must be the object id of one principal, not '*': {WHOLE}"),
        ("kubelets", "'kubelets' must be the principal's object id, a UUID"),
    ],
)
def test_a_name_in_the_place_of_an_object_id_is_one_error_that_says_what_to_write(
    written: str, said: str, azure: AzureSandbox
) -> None:
    target = {"type": "azure", "principal_ids": [written]}
    with pytest.raises(SpecError) as refused:
        azure.spec(azure.document("app-a", grants=({"name": "one", "to": target},)))
    assert [(item.path, item.message) for item in refused.value.problems] == [("grants[0].to.principal_ids[0]", said)]


# -- guards


def test_labels_of_the_registry_are_those_of_its_repositories_to_the_guards(azure: AzureSandbox) -> None:
    document = azure.document("app-a", registry={"labels": {"team": "a"}}, guards={"require_labels": ["team", "tier"]})
    plan = azure.plan(document)
    assert [item.message for item in plan.violations] == [
        "images.repository.app-a has no label 'tier', which guards.require_labels lists: " + rules.NO_LABELS
    ]
    assert loads(dumps(plan), platforms=azure.platforms).violations == plan.violations
    document["registries"][0]["labels"]["tier"] = "1"
    plan = azure.plan(document)
    assert plan.violations == ()
    azure.carry_out(loads(dumps(plan), platforms=azure.platforms))
    assert azure.plan(document).changes == ()


def test_a_guard_that_nothing_on_azure_can_meet_says_so(azure: AzureSandbox) -> None:
    plan = azure.plan(azure.document("app-a", "app-b", guards={"require_immutable_tags": True}))
    assert [item.message for item in plan.violations] == [
        "tags of images.repository.app-a and images.repository.app-b can be moved, and nothing there can meet"
        f" guards.require_immutable_tags: {rules.NO_IMMUTABLE_TAGS}; give such a registry a spec of its own, without it"
    ]
    assert loads(dumps(plan), platforms=azure.platforms).violations == plan.violations


@pytest.mark.parametrize("guards", [{"require_immutable_tags": True}, {"require_labels": ["team"]}])
def test_guards_on_repositories_ask_nothing_of_a_registry(guards: Document, azure: AzureSandbox) -> None:
    """Also of one that is called as a repository is."""
    empty = azure.plan(azure.document(guards=guards))
    assert (empty.violations, loads(dumps(empty), platforms=azure.platforms).violations) == ((), ())
    named = azure.plan(azure.document(NAME, guards=guards))
    assert [item.addresses for item in named.violations] == [(f"images.repository.{NAME}",)]


# -- plans


def test_the_catalog_s_role_is_no_resource_where_the_mode_needs_none(azure: AzureSandbox) -> None:
    azure.call("PUT", RESOURCE, {"location": "westeurope", "sku": {"name": "Basic"}, "properties": {}})
    document = azure.document("app-a", registry={"adopt": True})
    catalog = "images.assignment.pull-catalog"
    plan = azure.plan(document)
    assert catalog not in {change.address for change in plan.changes}
    assert plan.unchanged == 0
    azure.carry_out(plan)
    again = azure.plan(document)
    assert (again.changes, again.unchanged) == ((), len(plan.changes))
    gone = azure.plan(document, destroy=True)
    assert catalog not in {at for change in gone.changes for at in (change.address, *change.along)}
    assert {change.action for change in gone.changes} == {Action.DELETE}


@pytest.mark.parametrize("action", ["roleAssignments:*", "registries:*", "userAssignedIdentities:*"])
def test_whoever_may_not_read_is_told_which_role_is_enough_to_plan(action: str, azure: AzureSandbox) -> None:
    azure.apply(azure.document("app-a"))
    azure.server.behaviours.append(Fails(action, "403", times=-1))
    with pytest.raises(ReadFailed, match="Reader is enough") as failed:
        azure.plan(azure.document("app-a"))
    assert "Contributor" not in str(failed.value)


def test_without_credentials_our_own_error_is_all_that_is_printed(azure: AzureSandbox, tmp_path: Path) -> None:
    """azure-identity logs a page of what it tried, which Python prints where nobody has a handler for it."""
    (tmp_path / "registry.yaml").write_text(yaml.safe_dump(azure.document("app-a")))
    nobody = {key: value for key, value in os.environ.items() if not key.startswith(("AZURE_", "IDENTITY_", "MSI_"))}
    # https://learn.microsoft.com/python/api/overview/azure/identity-readme: one kind of credentials alone, which is not set
    environ = {**nobody, "AZURE_TOKEN_CREDENTIALS": "EnvironmentCredential", "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "reconciler", "plan"],
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert lines[0].startswith("Error")
    assert "the credentials gave no token" in done.stderr
    assert not [line for line in lines if line.startswith("DefaultAzureCredential")]


class Says:
    """A call is answered so, each time."""

    def __init__(self, operation: str, status: int, body: Document) -> None:
        self.operation, self.answer = operation, Answer(status=status, body=body)

    def before(self, call: Call) -> Answer | None:
        return self.answer if call.operation == self.operation else None

    def after(self, call: Call) -> None:
        return None


@pytest.mark.parametrize(
    ("said", "hint"),
    [
        ("AADSTS7000222: The provided client secret keys for app '1' are expired.", "its secret has expired"),
        ("AADSTS90002: Tenant '1' not found.", "there is no such tenant: check AZURE_TENANT_ID"),
        ("AADSTS7000215: Invalid client secret provided.", "AZURE_CLIENT_SECRET is not its secret"),
        ("AADSTS9999999: Something new.", "log in with `az login`"),
    ],
)
def test_why_entra_gives_no_token_is_said(said: str, hint: str, azure: AzureSandbox) -> None:
    # https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow#error-response
    error = {"error": "invalid_client", "error_description": f"{said} Trace ID: 1 Correlation ID: 2 Timestamp: 3"}
    azure.server.behaviours.append(Says("entra:token", 401, error))
    with pytest.raises(ReadFailed) as failed:
        azure.plan(azure.document("app-a"))
    first, second = str(failed.value).splitlines()[-2:]
    assert first.endswith(f"the credentials gave no token: EnvironmentCredential: Authentication failed: {said}")
    assert second.strip().startswith(hint)


def test_an_authority_whose_certificate_nobody_trusts_is_said(
    azure: AzureSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    with pytest.raises(ReadFailed, match="CERTIFICATE_VERIFY_FAILED") as failed:
        azure.plan(azure.document("app-a"))
    assert "REQUESTS_CA_BUNDLE" in str(failed.value)
    assert "az login" not in str(failed.value)


def test_an_api_whose_certificate_nobody_trusts_is_said(azure: AzureSandbox) -> None:
    error = ServiceRequestError(
        "SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] unable to get issuer'))"
    )
    here = azure.spec(azure.document("app-a")).registries[0]
    assert isinstance(here, AzureRegistry)
    assert "REQUESTS_CA_BUNDLE" in translated(error, "", "registries:get", here).hint
    assert "check the network" in translated(ServiceRequestError("refused"), "", "registries:get", here).hint


def test_a_tenant_that_is_not_the_subscription_s_is_said(azure: AzureSandbox) -> None:
    body = {
        "error": {"code": "InvalidAuthenticationTokenTenant", "message": "The access token is from the wrong issuer."}
    }
    azure.server.behaviours.append(Says("registries:GET", 401, body))
    with pytest.raises(ReadFailed, match="set tenant_id of the registry"):
        azure.plan(azure.document("app-a"))


def test_what_an_identity_that_was_deleted_by_hand_leaves_behind_is_said_as_such(azure: AzureSandbox) -> None:
    document = azure.document("app-a", grants=({"name": "one", "to": azure.target("1")},))
    azure.apply(document)
    (key,) = (key for key, item in azure.cloud.identities.items() if item.name == "images-pull")
    principal = azure.cloud.identities.pop(key).properties["principalId"]
    removed = [change for change in azure.plan({**document, "grants": []}).changes if change.action is Action.DELETE]
    why = ("it names no grant: it may have been for one of the registry's own identities, which is gone since",)
    assert {change.notes for change in removed if principal in change.address} == {why}
    assert [change.notes for change in removed if principal not in change.address] == [()]
