"""Azure as a sandbox: the stand-in of tests/emulators/azure with nothing in it."""

from __future__ import annotations

import copy
import gc
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from reconciler import Plan
from reconciler.errors import GuardViolation
from reconciler.model import marks
from reconciler.model.address import Address
from reconciler.model.platform import Platforms
from reconciler.platforms import described
from reconciler.platforms.azure import rules
from reconciler.platforms.azure.platform import PLATFORM
from reconciler.platforms.azure.spec import AzureRegistry, AzureTarget, AzureTokenTarget
from reconciler.platforms.catalog import CATALOG
from tests.emulators.azure import Server, push
from tests.emulators.azure.cloud import find
from tests.emulators.azure.state import Registry, State
from tests.emulators.azure.wire import asked

from .azure_fields import ELSEWHERE, FIELDS, INAPPLICABLE, SUBSCRIPTION, TENANT, principal
from .azure_hands import Hands
from .base import Document, Hand, Sandbox, Setting, TakesAlong

pytest_plugins = ["tests.emulators.azure.fixtures"]

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


class AzureSandbox(Sandbox):
    """The stand-in, on which whoever calls may do everything, with images too."""

    platform = "azure"
    slow = True
    names = ("app-a", "app-b", "team/c", "d.e")
    examples = int(os.environ.get("AZURE_EXAMPLES", "10"))
    longest_chain = 3
    # the origin of a repository stands in the name of a scope map
    any_mark = "byhand"
    below = "mode"
    inapplicable = INAPPLICABLE
    targets = st.one_of(
        st.just({"type": "azure-token"}),
        st.lists(st.sampled_from([principal(1), principal(2)]), min_size=1, unique=True).map(
            lambda ids: {"type": "azure", "principal_ids": ids}
        ),
    )
    registry_fields = {
        "sku": st.sampled_from(rules.TIERS),
        "labels": st.dictionaries(st.sampled_from(["team", "tier", "cost.center"]), st.sampled_from(["a", "b"])),
        "replication_regions": st.lists(st.sampled_from(["northeurope", "uksouth"]), unique=True),
        "public_network_access": st.booleans(),
        "role_assignment_mode": st.sampled_from(["abac", "legacy"]),
        # not here: where it is, with which what is there is another's; `tenant_id` and `cloud`, which change nothing that is there
    }
    repository_fields = {"protect": st.just(False)}
    models = (AzureRegistry, AzureTarget, AzureTokenTarget)
    fields = FIELDS
    elsewhere = ELSEWHERE

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
            "defaults": {"repository": {"retention": {"untagged_days": 7}}},
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
                    "to": {"type": "azure", "principal_ids": [principal(2), principal(4)], "principal_type": "Group"},
                },
                {"name": "partner", "registry": "images", "repositories": ["team/*"], "to": {"type": "azure-token"}},
            ],
        }

    def valid(self, document: Document) -> Document:
        for here in document["registries"]:
            if here.get("sku") != "Premium":
                here.pop("replication_regions", None)
                here.pop("public_network_access", None)
            for row in document["grants"]:
                if row["registry"] == here["name"] and here.get("role_assignment_mode") == "legacy":
                    row.pop("repositories", None)
        for row in document["repositories"]:
            # of which Azure has none, or one for a whole registry
            for field in ("immutable_tags", "scan_on_push", "labels", "retention"):
                row.pop(field, None)
        for row in document["grants"]:
            if row["to"]["type"] == "azure-token":
                row["name"] = f"partner-{row['name']}"
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

    # -- where things stand

    def access(self, repository: str) -> Address:
        """What is for `app-a` alone is the second principal's, what is for all is the first's."""
        return Address.of("images", "assignment", f"{principal(2 if repository == 'app-a' else 1)}-pull")

    def foreign_at(self, repository: str) -> str:
        """What others gave stands on the registry, and no document of ours has it."""
        return self.labelled_at

    def grants_at(self, address: Address) -> set[str]:
        ours = {f"{principal(1)}-pull": {"one"}, f"{principal(2)}-pull": {"two"}}
        return ours.get(address.name, set())

    def setting(self) -> Setting:
        """The registry's: that a hand changed what is noted of a repository can't be seen, since the note is all that there is."""

        def put(document: Document, value: str) -> None:
            document["registries"][0]["sku"] = value

        return Setting(self.labelled_at, "sku", ("Basic", "Standard", "Premium"), put)

    def change_setting(self) -> None:
        self.call("PATCH", RESOURCE, {"sku": {"name": "Standard"}})

    @property
    def full_row(self) -> Document:
        return {}

    def takes_along(self, document: Document) -> TakesAlong:
        """A scope map and its token: a repository takes nothing along, since what is given on it stands in others' conditions."""
        grant = {"name": "partner", "registry": "images", "repositories": ["app-b"], "to": {"type": "azure-token"}}
        before = {**document, "grants": [*document["grants"], grant]}
        return TakesAlong(
            before,
            document,
            "images.scope-map.partner",
            "images.token.partner",
            lambda: not {"partner"} & {*self.acr.scope_maps, *self.acr.tokens},
        )

    @property
    def labelled_at(self) -> str:
        return f"images.registry.{NAME}"

    def put_labels(self, document: Document, labels: Mapping[str, str]) -> None:
        document["registries"][0]["labels"] = dict(labels)

    def make_foreign_labelled(self) -> None:
        mode = {"roleAssignmentMode": rules.ABAC}
        self.call("PUT", RESOURCE, {"location": LOCATION, "sku": {"name": "Basic"}, "properties": mode})

    def destroy_around(self, document: Document) -> None:
        """Azure deletes a registry with all that is in it: while something in it is not the spec's, all stays."""
        plan = self.plan(document, destroy=True)
        assert [verdict.addresses for verdict in plan.violations] == [(self.labelled_at,)]
        with pytest.raises(GuardViolation, match="would be deleted without permission"):
            self.carry_out(plan)

    def meddle(self, repository: str) -> str:
        """Our assignment is of other repositories then. What others gave stands beside it, and nothing of ours is written over it."""
        (found,) = [
            item for item in self.cloud.assignments.values() if f"{item.principal}-pull" in self.access(repository)
        ]
        found.properties["condition"] = str(found.properties["condition"]).replace(repository, "elsewhere")
        return f'repositories was "{repository}", is now "elsewhere"'

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
        if NAME not in self.cloud.registries:
            return set()
        return {*self.acr.images, *(name for names in self._notes().values() for name in names)}

    def foreign_access(self, repository: str) -> list[Any]:
        return [item.id for item in self.cloud.assignments.values() if item.principal == STRANGER]

    def tag(self, repository: str, key: str) -> str:
        """The registry's; a mark of a repository is a word of what is noted of it."""
        if key == "reconciler-adopted" and any(
            repository in names for item, names in self._notes().items() if "-adopted-" in item
        ):
            return "true"
        return self.acr.tags[key]

    def _notes(self) -> dict[str, list[str]]:
        """The names of repositories by the scope map in which they are noted."""
        return {
            key: [action.split("/", 1)[1].removesuffix("/metadata/read") for action in found.properties["actions"]]
            for key, found in self.acr.scope_maps.items()
            if key.startswith(rules.NOTES)
        }

    def _note(self, repository: str, at: str, owner: str | None) -> None:
        """Notes a repository by hand there, and nowhere else; `at` "": nowhere."""
        for key, names in self._notes().items():
            if repository in names and key != at:
                self._write_note(key, [name for name in names if name != repository])
        if at:
            self._write_note(at, [*self._notes().get(at, []), repository], owner)

    def _write_note(self, at: str, names: list[str], owner: str | None = None) -> None:
        path = f"{RESOURCE}/scopeMaps/{at}"
        said: Document = {"actions": [f"repositories/{name}/metadata/read" for name in names]}
        if not names:
            self.call("DELETE", path)
        elif at in self.acr.scope_maps:
            self.call("PATCH", path, {"properties": said})
        else:
            texts = {marks.OWNER: owner, marks.REGISTRY: "images", marks.ORIGIN: at.split("-")[1]}
            told = (
                {"description": described.written({key: text for key, text in texts.items() if text})} if owner else {}
            )
            self.call("PUT", path, {"properties": {**said, **told}})

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
        return dict(reply.body) if isinstance(reply.body, dict) else {}

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
        """A note of somebody else's, or of nobody's. What a program made holds an image: without one there is no repository."""
        if NAME not in self.cloud.registries:
            self.apply(self.document())
        self._note(repository, f"{rules.NOTES}{origin}-{1 if owner else 9}", owner)
        if origin != "spec":
            self.push_image(repository)

    def give_foreign_access(self, repository: str) -> None:
        self.assign(STRANGER, "7f951dda-4ed3-4680-a7ca-43fe172d538d")

    def put_foreign_tag(self, repository: str, key: str, value: str) -> None:
        self.call("PATCH", RESOURCE, {"tags": {**self.acr.tags, key: value}})

    def describe(self, repository: str) -> None:
        """Azure has no setting of a repository: this changes what is noted of it, so that its images may go."""
        self._note(repository, f"{rules.NOTES}spec-deletable-1", "tests")

    def remove_access(self, repository: str) -> None:
        for name, item in list(self.cloud.assignments.items()):
            if f"{item.principal}-pull" in self.access(repository):
                del self.cloud.assignments[name]

    def remove_repository(self, repository: str) -> None:
        self.acr.images.pop(repository, None)
        self._note(repository, "", None)


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
    # what is waited for here is there at once, or never
    monkeypatch.setattr("reconciler.platforms.http._FIRST", 0.01)
    monkeypatch.setattr("reconciler.platforms.azure.session.POLLING", 0.01)
    monkeypatch.setattr("reconciler.platforms.azure.replication.RECREATING", 0.5)
    folder = tmp_path / "rescue"
    folder.mkdir()
    sandbox = AzureSandbox(azure_stand_in, folder)
    monkeypatch.setattr("reconciler.platforms.azure.session.AzureSession.behind", 3.0)
    sandbox.reset()
    yield sandbox
    # a connection that nobody closed is warned of here, at the test that left it, and not in whichever test runs next
    gc.collect()
