"""Azure's own client on what we make: it reads it, what it adds is somebody else's, and the commands that we print work in it.

az is 700 MB and pins libraries of its own: `pip install azure-cli` in a virtual environment of its own, whose `az` is on the PATH.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import ssl
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.emulators.azure import Server
from tests.sandbox.azure import CLIENT, GROUP, NAME, RESOURCE, STRANGER, AzureSandbox
from tests.sandbox.azure_fields import TENANT, principal
from tests.sandbox.base import Document

pytestmark = pytest.mark.skipif(
    shutil.which("az") is None, reason="az is not installed: Azure's client did not check what we make"
)
HERE = ("--registry", NAME)


class Az:
    """`az`, logged in to a cloud that is the stand-in."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.environ = {
            **{key: value for key, value in os.environ.items() if not key.startswith(("AZURE_", "PYTHON"))},
            "AZURE_CONFIG_DIR": str(folder),
            "AZURE_CORE_COLLECT_TELEMETRY": "no",
            "AZURE_CORE_INSTANCE_DISCOVERY": "no",  # msal would ask Microsoft whether the authority is one
            "AZURE_CORE_ONLY_SHOW_ERRORS": "yes",
            "REQUESTS_CA_BUNDLE": str(server.ca),
        }
        self("cloud", "register", "--name", "standin", "--endpoint-resource-manager", server.url)
        self("cloud", "set", "--name", "standin")
        self("login", "--service-principal", "-u", CLIENT, "-p", "stand-in-secret", "--tenant", TENANT)

    def __call__(self, *arguments: str) -> Any:
        """What a command that must succeed answers."""
        done = subprocess.run(
            ["az", *arguments, "--output=json"],
            env=self.environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, f"az {shlex.join(arguments)}: {done.stderr}"
        return json.loads(done.stdout or "null")


@pytest.fixture(scope="module")
def logged_in(azure_server: Server, tmp_path_factory: pytest.TempPathFactory) -> Az:
    return Az(azure_server, tmp_path_factory.mktemp("az"))


@pytest.fixture
def az(logged_in: Az, azure: AzureSandbox) -> Az:
    """az beside a stand-in with nothing in it."""
    return logged_in


@pytest.fixture
def document(azure: AzureSandbox) -> Document:
    found = azure.rich_document()
    azure.apply(found)
    return found


def test_az_reads_what_we_make(az: Az, document: Document) -> None:
    (listed,) = az("acr", "list")
    found = az("acr", "show", "--name", NAME)
    assert (listed["name"], found["id"], found["sku"]["name"]) == (NAME, RESOURCE, "Premium")
    assert (found["adminUserEnabled"], found["anonymousPullEnabled"]) == (False, False)
    assert found["roleAssignmentMode"] == "AbacRepositoryPermissions"
    assert (found["tags"]["team"], found["tags"]["reconciler-owner"]) == ("a", "tests")
    kept = az("acr", "config", "retention", "show", *HERE)
    assert (kept["status"], kept["days"]) == ("enabled", 7)
    replications = az("acr", "replication", "list", *HERE)
    assert sorted(item["name"] for item in replications) == ["northeurope", "westeurope"]
    maps = {item["name"]: item["actions"] for item in az("acr", "scope-map", "list", *HERE) if item["name"][0] != "_"}
    assert maps == {
        "partner": ["repositories/team/c/content/read", "repositories/team/c/metadata/read"],
        "reconciler-spec-1": ["repositories/app-a/metadata/read", "repositories/team/c/metadata/read"],
        "reconciler-spec-deletable-1": ["repositories/app-b/metadata/read"],
    }
    (token,) = az("acr", "token", "list", *HERE)
    assert (token["name"], token["status"], token["credentials"]["passwords"]) == ("partner", "enabled", [])
    assert token["scopeMapId"] == f"{RESOURCE}/scopeMaps/partner"


def test_az_reads_whom_we_let_in(az: Az, document: Document) -> None:
    identities = {item["principalId"]: item for item in az("identity", "list", "--resource-group", GROUP)}
    assert sorted(item["name"] for item in identities.values()) == ["images-pull", "images-push"]
    assert {item["tags"]["reconciler-owner"] for item in identities.values()} == {"tests"}
    assignments = az("role", "assignment", "list", "--scope", RESOURCE)
    found = {
        (identities.get(item["principalId"], {}).get("name") or item["principalId"], item["roleDefinitionName"])
        for item in assignments
    }
    reader, writer = "Container Registry Repository Reader", "Container Registry Repository Writer"
    assert found == {
        ("images-pull", reader),
        ("images-pull", "Container Registry Repository Catalog Lister"),
        ("images-push", writer),
        (principal(1), reader),
        (principal(2), writer),
        (principal(4), writer),
    }
    names = {item["principalName"] for item in assignments}
    assert names == {"", *(item["clientId"] for item in identities.values())}
    (narrowed,) = (item for item in assignments if item["principalId"] == principal(2))
    assert (narrowed["principalType"], narrowed["conditionVersion"]) == ("Group", "2.0")
    assert re.findall(r"EqualsIgnoreCase '(.*?)'", narrowed["condition"]) == ["app-a", "app-b"]
    assert narrowed["description"].endswith("grants=builders")


def test_a_password_that_az_generates_lets_its_holder_in_and_outlives_our_writes(
    az: Az, azure: AzureSandbox, document: Document
) -> None:
    azure.push_image("team/c")
    azure.push_image("app-a")
    generate = ("acr", "token", "credential", "generate", *HERE, "--name", "partner")
    made = az(*generate, "--password1", "--expiration-in-days", "30")
    az(*generate, "--password2")
    (password,) = made["passwords"]
    assert azure.plan(document).changes == ()

    def status(repository: str) -> int:
        login = (made["username"], password["value"])
        scope = f"repository:{repository}:pull"
        trusted = ssl.create_default_context(cafile=str(azure.server.ca))
        with httpx.Client(base_url=azure.server.url, verify=trusted) as client:
            token = client.get("/oauth2/token", params={"scope": scope}, auth=login).json()["access_token"]
            return client.get(f"/v2/{repository}/tags/list", headers={"Authorization": f"Bearer {token}"}).status_code

    assert (status("team/c"), status("app-a")) == (200, 401)
    az("acr", "token", "update", *HERE, "--name", "partner", "--status", "disabled")
    (change,) = azure.plan(document).changes
    assert str(change.address) == "images.token.partner"
    azure.apply(document)
    kept = az("acr", "token", "show", *HERE, "--name", "partner")
    assert (kept["status"], [item["name"] for item in kept["credentials"]["passwords"]]) == (
        "enabled",
        ["password1", "password2"],
    )
    az("acr", "token", "credential", "delete", *HERE, "--name", "partner", "--password2")
    assert (status("team/c"), azure.plan(document).changes) == (200, ())


def test_what_az_adds_is_somebody_elses_and_stays(az: Az, azure: AzureSandbox, document: Document) -> None:
    az("acr", "scope-map", "create", *HERE, "--name", "theirs", "--repository", "app-a", "content/read")
    az("acr", "token", "create", *HERE, "--name", "their-token", "--scope-map", "theirs", "--no-passwords", "true")
    az("acr", "replication", "create", *HERE, "--location", "swedencentral")
    az("tag", "update", "--resource-id", RESOURCE, "--operation", "merge", "--tags", "cost=much")
    az("identity", "create", "--resource-group", GROUP, "--name", "theirs")
    assert azure.plan(document).changes == ()
    document["registries"][0]["labels"] = {"team": "b"}
    azure.apply(document)
    acr = azure.acr
    assert (acr.tags["cost"], acr.tags["team"]) == ("much", "b")
    assert ("theirs" in acr.scope_maps, "their-token" in acr.tokens) == (True, True)
    assert sorted(acr.replications) == ["northeurope", "swedencentral"]
    assert {item.name for item in azure.cloud.identities.values()} == {"images-pull", "images-push", "theirs"}


@pytest.mark.parametrize("how", [("--tags", "cost=much"), ("--set", "tags.cost=much")])
def test_marks_that_az_acr_update_took_away_come_back_by_adopting(
    how: tuple[str, ...], az: Az, azure: AzureSandbox, document: Document
) -> None:
    """It sends the tags that it is given as all of them (azure-cli, command_modules/acr/custom.py)."""
    az("acr", "update", "--name", NAME, *how)
    assert azure.acr.tags == {"cost": "much"}
    (problem,) = azure.plan(document).problems
    assert problem.message.endswith(
        "already exists and has no owner; to adopt it, add --adopt images.registry.acmeimages to plan and apply (or `adopt: true` in"
        " the spec)"
    )
    azure.apply(document, adopt=frozenset({"images.registry.acmeimages"}))
    assert (azure.acr.tags["cost"], azure.acr.tags["reconciler-owner"]) == ("much", "tests")
    assert azure.plan(document).changes == ()


def test_az_removes_a_role_assignment_of_others_by_the_command_that_we_print(
    az: Az, azure: AzureSandbox, document: Document
) -> None:
    who = ("--assignee-object-id", STRANGER, "--assignee-principal-type", "ServicePrincipal")
    az("role", "assignment", "create", *who, "--role", "AcrPull", "--scope", RESOURCE)
    (foreign,) = azure.plan(document).foreign
    command = re.fullmatch(r"run `az (.*)`", foreign.removal)
    assert command is not None
    az(*shlex.split(command[1]))
    plan = azure.plan(document)
    assert (plan.changes, plan.foreign) == ((), ())


def test_az_waits_for_the_operations_that_it_begins(az: Az, azure: AzureSandbox, document: Document) -> None:
    # without it az looks again after 30 s
    azure.cloud.knobs.polls, azure.cloud.knobs.retry_after = 2, 1
    az("acr", "create", "--resource-group", GROUP, "--name", "acmesecond", "--sku", "Basic")
    assert azure.cloud.registries["acmesecond"].state == "Succeeded"
    az("acr", "replication", "create", *HERE, "--location", "swedencentral")
    assert azure.acr.replications["swedencentral"].state == "Succeeded"
    az("acr", "replication", "delete", *HERE, "--name", "swedencentral")
    az("acr", "token", "create", *HERE, "--name", "their-token", "--scope-map", "partner", "--no-passwords", "true")
    az("acr", "token", "delete", *HERE, "--name", "their-token", "--yes")
    az("acr", "delete", "--name", "acmesecond", "--yes")
    assert (sorted(azure.acr.replications), sorted(azure.acr.tokens)) == (["northeurope"], ["partner"])
    assert sorted(azure.cloud.registries) == [NAME]


def test_az_logs_in_to_the_registry_and_lists_and_deletes_in_it(
    az: Az, azure: AzureSandbox, document: Document
) -> None:
    azure.push_image("app-a")
    azure.push_image("team/c")
    said = az("acr", "login", "--name", NAME, "--expose-token")
    assert (said["loginServer"], said["username"]) == (azure.server.url[8:], "00000000-0000-0000-0000-000000000000")
    assert az("acr", "repository", "list", "--name", NAME) == ["app-a", "team/c"]
    # as the error says of images that these credentials may not delete
    az("acr", "repository", "delete", "--name", NAME, "--repository", "team/c", "--yes")
    assert sorted(azure.acr.images) == ["app-a"]
