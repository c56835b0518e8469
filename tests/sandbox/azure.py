"""Azure as a sandbox: the stand-in of tests/emulators/azure with nothing in it. The contract suite does not run on it yet."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from reconciler.model.platform import Platforms
from reconciler.platforms.azure.platform import PLATFORM
from reconciler.platforms.azure.spec import AzureRegistry, AzureTarget, AzureTokenTarget
from reconciler.platforms.catalog import CATALOG
from tests.emulators.azure import Server, push
from tests.emulators.azure.cloud import find
from tests.emulators.azure.state import Registry, State
from tests.emulators.azure.wire import asked

from .base import Document, Hand, Sandbox

pytest_plugins = ["tests.emulators.azure.fixtures"]

SUBSCRIPTION, TENANT = "00000000-0000-0000-0000-000000000000", "11111111-1111-1111-1111-111111111111"
NAME, GROUP, LOCATION = "acmeimages", "images", "westeurope"
RESOURCE = (
    f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}/providers/Microsoft.ContainerRegistry/registries/{NAME}"
)
#: as whom tests make calls, and what it may do with images
CLIENT = "33333333-3333-3333-3333-333333333333"
CONTRIBUTOR = "2efddaa5-3f1f-4df3-97df-af3f13818f4c"
LISTER = "bfdb9389-c9a5-478a-bb2f-ba9ca092c3c7"
STRANGER = "99999999-0000-0000-0000-000000000000"


def principal(number: int | str) -> str:
    """An object id of somebody."""
    return f"{int(number):08d}-aaaa-bbbb-cccc-dddddddddddd"


class AzureSandbox(Sandbox):
    """The stand-in, on which whoever calls may do everything, with images too."""

    platform = "azure"
    slow = True
    names = ("app-a", "app-b", "team/c", "d.e")
    targets = st.just({"type": "azure", "principal_ids": [principal(1)]})
    models = (AzureRegistry, AzureTarget, AzureTokenTarget)
    fields = {}
    elsewhere = {}

    def __init__(self, server: Server, folder: Path) -> None:
        self.server = server
        self.rescue = str(folder)
        self.platforms: Platforms = {**CATALOG, "azure": PLATFORM}

    def registry(self, name: str = "images", **fields: Any) -> Document:
        return {
            "name": name,
            "platform": "azure",
            "subscription_id": SUBSCRIPTION,
            "resource_group": GROUP,
            "location": LOCATION,
            "registry_name": NAME,
            **fields,
        }

    def target(self, who: str) -> Document:
        return {"type": "azure", "principal_ids": [principal(who)]}

    def everyone(self) -> Document:
        raise NotImplementedError("no grant on Azure is for everyone")

    @property
    def rich(self) -> Document:
        return {
            "registries": [self.registry(sku="Premium", replication_regions=["northeurope"], labels={"team": "a"})],
            "repositories": [
                {"name": "app-a", "registry": "images", "retention": {"untagged_days": 7}},
                {"name": "app-b", "registry": "images", "retention": {"untagged_days": 7}, "delete_images": True},
                {"name": "team/c", "registry": "images", "retention": {"untagged_days": 7}, "protect": False},
            ],
            "grants": [
                {"name": "kubelets", "registry": "images", "to": self.target("1")},
                {
                    "name": "builders",
                    "registry": "images",
                    "repositories": ["app-*"],
                    "permission": "push-pull",
                    "to": {"type": "azure", "principal_ids": [principal(1), principal(2)], "principal_type": "Group"},
                },
                {"name": "partner", "registry": "images", "repositories": ["team/*"], "to": {"type": "azure-token"}},
            ],
        }

    # -- what is there

    @property
    def cloud(self) -> State:
        """All that the stand-in holds."""
        return self.server.cloud.state

    @property
    def acr(self) -> Registry:
        """The registry. Raises KeyError if it is not there."""
        return self.cloud.registries[NAME]

    def state(self) -> Document:
        """Everything without ids and times, in any order of lists."""
        registries = {
            name: {
                "sku": item.sku,
                "location": item.location,
                "tags": dict(item.tags),
                "properties": {key: value for key, value in item.properties.items() if key != "loginServer"},
                "replications": {key: dict(found.tags) for key, found in item.replications.items()},
                "maps": {
                    key: {**found.properties, "actions": sorted(found.properties["actions"])}
                    for key, found in item.scope_maps.items()
                    if not key.startswith("_")
                },
                "tokens": {
                    key: found.properties["scopeMapId"].rpartition("/")[2] for key, found in item.tokens.items()
                },
                "images": {key: dict(found) for key, found in item.images.items()},
            }
            for name, item in self.cloud.registries.items()
        }
        identities = {item.name: dict(item.tags) for item in self.cloud.identities.values()}
        jobs = {item.properties["principalId"]: item.name for item in self.cloud.identities.values()}
        assignments = sorted(
            (
                jobs.get(item.principal, item.principal),
                item.role,
                item.scope,
                str(item.properties["condition"]),
                str(item.properties["description"]),
            )
            for item in self.cloud.assignments.values()
        )
        return {"registries": registries, "identities": identities, "assignments": assignments}

    def repository_names(self) -> set[str]:
        return set(self.acr.images) if NAME in self.cloud.registries else set()

    def foreign_access(self, repository: str) -> list[Any]:
        return [item.id for item in self.cloud.assignments.values() if item.principal == STRANGER]

    def tag(self, repository: str, key: str) -> str:
        return self.acr.tags[key]

    # -- changes by hand

    def call(self, method: str, path: str, body: Any = None) -> Document:
        """What a call to Azure Resource Manager answers, unseen by what watches the calls. Raises AssertionError if it is refused."""
        sent = b"" if body is None else json.dumps(body).encode()
        found = find(asked(method, f"{path}?api-version=2025-11-01", {}, sent))
        assert found is not None, path
        reply = self.server.cloud.answer(found)
        assert reply.status < 300, reply.body
        with self.server.cloud.lock:
            for operation in self.cloud.operations.values():
                operation.end()
        return dict(reply.body or {})

    def reset(self) -> None:
        self.server.reset()
        self.cloud.knobs.login_server = "{here}"
        caller = self.cloud.principal_of(CLIENT)
        for number, role in enumerate((CONTRIBUTOR, LISTER)):
            self.assign(
                caller, role, f"/subscriptions/{SUBSCRIPTION}", name=f"{number:08d}-0000-0000-0000-00000000ca11"
            )

    def assign(self, who: str, role: str, scope: str = RESOURCE, name: str = "", **more: Any) -> str:
        """Gives somebody a role by hand; the assignment's id."""
        guid = name or f"{self.cloud.next_number():08d}-1111-2222-3333-444444444444"
        definition = f"/subscriptions/{SUBSCRIPTION}/providers/Microsoft.Authorization/roleDefinitions/{role}"
        said = {"roleDefinitionId": definition, "principalId": who, "principalType": "ServicePrincipal", **more}
        path = f"{scope}/providers/Microsoft.Authorization/roleAssignments/{guid}"
        return str(self.call("PUT", path, {"properties": said})["id"])

    def hands(self) -> list[Hand]:
        return []

    def push_image(self, repository: str, tag: str = "v1") -> None:
        push(self.acr, repository, tag)

    def make_foreign(self, repository: str, owner: str | None = None, origin: str = "spec") -> None:
        raise NotImplementedError("a repository on Azure has no owner of its own")

    def give_foreign_access(self, repository: str) -> None:
        self.assign(STRANGER, "7f951dda-4ed3-4680-a7ca-43fe172d538d")

    def put_foreign_tag(self, repository: str, key: str, value: str) -> None:
        self.call("PATCH", RESOURCE, {"tags": {**self.acr.tags, key: value}})

    def describe(self, repository: str) -> None:
        raise NotImplementedError("a repository on Azure has no description")

    def remove_access(self, repository: str) -> None:
        for name, item in list(self.cloud.assignments.items()):
            if item.scope.lower() == RESOURCE.lower():
                del self.cloud.assignments[name]

    def remove_repository(self, repository: str) -> None:
        self.acr.images.pop(repository, None)


@pytest.fixture
def azure(azure_stand_in: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[AzureSandbox]:
    """Azure with nothing in it."""
    for name in ("AZURE_RESOURCE_MANAGER_ENDPOINT", "AZURE_AUTHORITY_HOST"):
        monkeypatch.setenv(name, azure_stand_in.url)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(azure_stand_in.ca))
    monkeypatch.setenv("AZURE_CLIENT_ID", CLIENT)
    monkeypatch.setenv("AZURE_TENANT_ID", TENANT)
    monkeypatch.setenv("AZURE_CLIENT_SECRET", "stand-in-secret")
    # for the tests, it is in the catalog
    monkeypatch.setattr("reconciler.platforms.catalog.UNFINISHED", frozenset())
    # what is waited for here is there at once, or never
    monkeypatch.setattr("reconciler.platforms.http._FIRST", 0.01)
    monkeypatch.setattr("reconciler.platforms.azure.session.POLLING", 0.01)
    folder = tmp_path / "rescue"
    folder.mkdir()
    sandbox = AzureSandbox(azure_stand_in, folder)
    sandbox.reset()
    yield sandbox
    # a connection that nobody closed is warned of here, at the test that left it, and not in whichever test runs next
    gc.collect()
