"""Azure as a sandbox: the stand-in of tests/emulators/azure with nothing in it. Hands are in azure_hands.py."""

from __future__ import annotations

import copy
import gc
import json
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from reconciler import Plan
from reconciler.model.platform import Platforms
from reconciler.platforms.azure.platform import PLATFORM
from reconciler.platforms.azure.spec import AzureRegistry, AzureTarget, AzureTokenTarget
from reconciler.platforms.catalog import CATALOG
from tests.emulators.azure import Server, push
from tests.emulators.azure.cloud import find
from tests.emulators.azure.state import Registry, State
from tests.emulators.azure.wire import asked

from .azure_hands import Hands
from .base import Document, Hand, Sandbox
from .fields import Change, guards, registry, repository, target, top

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
LEGACY = "b24988ac-6180-42a0-ab88-20f7382dd24c"
STRANGER = "99999999-0000-0000-0000-000000000000"


def principal(number: int | str) -> str:
    """An object id of somebody."""
    return f"{int(number):08d}-aaaa-bbbb-cccc-dddddddddddd"


def _of_type(kind: str, ids: list[str]) -> Document:
    return {"type": "azure", "principal_ids": ids, "principal_type": kind}


def _lasting(properties: Document) -> Document:
    """What of a registry's properties is no name of its server, and not left of a retention that is off."""
    found = copy.deepcopy({key: value for key, value in properties.items() if key != "loginServer"})
    policies = found.pop("policies", {})
    there = {
        name: {key: value for key, value in policy.items() if key != "lastUpdatedTime"}
        for name, policy in policies.items()
        if policy.get("status") != "disabled"
    }
    return {**found, **({"policies": there} if there else {})}


def _kept(days: int) -> Change:
    """Another retention of all, since a registry has one."""

    def change(document: Document) -> None:
        for row in document["repositories"]:
            row["retention"] = {"untagged_days": days}

    return change


def _standard(document: Document) -> None:
    """A smaller tier, without what needs the larger one."""
    document["registries"][0] |= {"sku": "Standard", "replication_regions": []}
    for row in document["repositories"]:
        row.pop("retention", None)


def _legacy(document: Document) -> None:
    """The other mode, in which no grant is for single repositories."""
    document["registries"][0]["role_assignment_mode"] = "legacy"
    for row in document["grants"]:
        if row["to"]["type"] == "azure":
            row.pop("repositories", None)


class AzureSandbox(Sandbox):
    """The stand-in, on which whoever calls may do everything, with images too."""

    platform = "azure"
    slow = True
    examples = int(os.environ.get("AZURE_EXAMPLES", "6"))
    longest_chain = 3
    names = ("app-a", "app-b", "team/c", "d.e")
    # the origin stands in the name of a scope map
    any_mark = "byhand"
    targets = st.one_of(
        st.just({"type": "azure-token"}),
        *(
            st.lists(st.sampled_from([principal(number) for number in numbers]), min_size=1, unique=True).map(
                partial(_of_type, kind)
            )
            for kind, numbers in (("ServicePrincipal", (1, 2)), ("Group", (3, 4)), ("User", (5,)))
        ),
    )
    registry_fields = {
        "sku": st.sampled_from(["Basic", "Standard", "Premium"]),
        "replication_regions": st.lists(st.sampled_from(["northeurope", "uksouth"]), unique=True),
        "role_assignment_mode": st.sampled_from(["abac", "legacy"]),
        "public_network_access": st.booleans(),
        "labels": st.dictionaries(st.sampled_from(["team", "tier", "cost.center"]), st.sampled_from(["a", "b", ""])),
    }
    repository_fields = {
        "immutable_tags": st.just(value=False),
        "scan_on_push": st.just(value=False),
        "labels": st.just({}),
        "retention": st.sampled_from([7, 30]).map(lambda days: {"untagged_days": days}),
    }
    models = (AzureRegistry, AzureTarget, AzureTokenTarget)
    fields = {
        "Repository.description": (repository(description="something else"), "same"),
        "Repository.retention": (_kept(9), "state"),
        "Guards.allowed_accounts": (guards(allowed_accounts=[SUBSCRIPTION]), "same"),
        "Spec.defaults": (top(defaults={"repository": {"delete_images": True}}), "state"),
        # a registry's name is one in all of Azure
        "AzureRegistry.subscription_id": (
            registry(subscription_id=SUBSCRIPTION.replace("0", "1"), registry_name="acmeothers"),
            "moved",
        ),
        "AzureRegistry.resource_group": (registry(resource_group="other", registry_name="acmeothers"), "moved"),
        "AzureRegistry.registry_name": (registry(registry_name="acmeothers"), "moved"),
        "AzureRegistry.sku": (_standard, "state"),
        "AzureRegistry.replication_regions": (registry(replication_regions=["uksouth"]), "state"),
        "AzureRegistry.role_assignment_mode": (_legacy, "state"),
        "AzureRegistry.public_network_access": (registry(public_network_access=False), "state"),
        "AzureRegistry.labels": (registry(labels={"team": "b", "tier": "1"}), "state"),
        "AzureRegistry.adopt": (registry(adopt=True), "same"),
        "AzureRegistry.tenant_id": (registry(tenant_id=TENANT), "same"),
        "AzureRegistry.retired": (registry(retired=True), "state"),
        "AzureTarget.principal_ids": (target(principal_ids=[principal(1), principal(6)]), "state"),
        "AzureTarget.principal_type": (
            target(principal_ids=[principal(7)], principal_type="User"),
            "state",
        ),
    }
    elsewhere = {
        "AzureRegistry.name": "another registry: the chains of test_transitions.py",
        "AzureRegistry.platform": "another platform: the contract suite runs on each",
        "AzureRegistry.cloud": "another cloud: test_azure_spec.py",
        "AzureRegistry.location": "refused: test_azure_registry.py",
        "AzureTarget.type": "a grant of another type is another one",
        "AzureTokenTarget.type": "a grant of another type is another one",
        "Grant.also": "refused: test_aws_verbs.py",
        **dict.fromkeys(
            (
                "Repository.immutable_tags",
                "Repository.scan_on_push",
                "Repository.labels",
                "Repository.encryption",
                "Repository.native_name",
                "Repository.lifecycle_policy",
            ),
            "refused: test_azure_spec.py",
        ),
    }

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
            "registry_name": NAME if name == "images" else f"acme{name}",
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
                {"name": "app-a", "registry": "images"},
                {"name": "app-b", "registry": "images", "delete_images": True},
                {"name": "team/c", "registry": "images", "protect": False},
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

    def rich_document(self, *, untagged_days: int | None = None) -> Document:
        """With one retention of all repositories, if it is given: a registry has one."""
        found = super().rich_document()
        for row in found["repositories"] if untagged_days is not None else ():
            row["retention"] = {"untagged_days": untagged_days}
        return found

    def valid(self, document: Document) -> Document:
        for here in document["registries"]:
            rows = [row for row in document["repositories"] if row["registry"] == here["name"]]
            premium = here.get("sku") == "Premium"
            if not premium:
                here.pop("replication_regions", None)
                here.pop("public_network_access", None)
            kept = rows[0].get("retention") if rows and premium else None
            for row in rows:  # a registry has one retention
                row.pop("retention", None)
                row |= {"retention": kept} if kept is not None else {}
            for grant in document["grants"]:
                if grant["registry"] == here["name"] and here.get("role_assignment_mode") == "legacy":
                    grant.pop("repositories", None)
        for grant in document["grants"]:
            if grant["to"]["type"] == "azure-token":
                grant["name"] = f"{grant['name']}-token"
        return document

    def plan(self, document: Document, *, executor: Any = None, **wishes: Any) -> Plan:
        """With permission to change the role assignment mode, which nothing but this needs."""
        modes = [
            f"{item['name']}.mode.{item['registry_name'].lower()}"
            for item in document["registries"]
            if "role_assignment_mode" in item or self._is_in_another_mode(item)
        ]
        return super().plan(document, executor=executor, **{"allow": modes, **wishes})

    def _is_in_another_mode(self, item: Document) -> bool:
        found = self.cloud.registries.get(item["registry_name"].lower())
        return found is not None and not found.abac

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
                "properties": _lasting(item.properties),
                "replications": {
                    key: [dict(found.tags), found.properties.get("regionEndpointEnabled", True)]
                    for key, found in item.replications.items()
                },
                "maps": {
                    key: {**found.properties, "actions": sorted(found.properties["actions"])}
                    for key, found in item.scope_maps.items()
                    if not key.startswith("_")
                },
                "tokens": {
                    key: [found.properties["scopeMapId"].rpartition("/")[2], found.properties["status"]]
                    for key, found in item.tokens.items()
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
        for number, role in enumerate((CONTRIBUTOR, LISTER, LEGACY)):
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
        return Hands(self).all()

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


SANDBOX = AzureSandbox


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
    # a connection that nobody closed is found here, and not in the middle of another test
    gc.collect()
