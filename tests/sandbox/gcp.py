"""Google Cloud as a sandbox: the stand-in of tests/emulators/gcp, with nothing in its projects. Hands are in gcp_hands.py."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from reconciler.platforms.gcp import rules
from reconciler.platforms.gcp.spec import GcpRegistry, GcpTarget
from tests.emulators.gcp import Server, push

from .base import Document, Hand, Sandbox
from .fields import grant, guards, registry, repository, target
from .gcp_hands import READER, Hands, members_of
from .gcp_state import Estate

pytest_plugins = ["tests.emulators.gcp.fixtures"]

PROJECT, LOCATION, ELSEWHERE = "my-project", "europe-west1", "us-central1"
#: whose accounts grants and trust are for: of its accounts the stand-in knows none, so that it takes any for one that is there
STRANGERS = "other-project"
SCANNING_API = "containerscanning.googleapis.com"
#: a member that no spec here names: what it has, others gave it
FOREIGN = "user:stranger@example.com"
POOL = "iam.googleapis.com/projects/123456789012/locations/global/workloadIdentityPools/ci"
REPOSITORY_OF_CI = f"principalSet://{POOL}/attribute.repository/acme/shop"
#: names of a registry of layout `shared`, where a repository is part of an image's path, and not a repository of Google's
LONGER_NAMES = {"team-c": "team/c", "d-e": "d.e"}


def key(name: str, location: str = LOCATION) -> Document:
    """An encryption with a key in the location."""
    return {"kms_key": f"projects/{PROJECT}/locations/{location}/keyRings/images/cryptoKeys/{name}"}


def account(name: str) -> str:
    """The email of an account of the strangers' project."""
    return f"{name}@{STRANGERS}.iam.gserviceaccount.com"


def _sharing(document: Document) -> None:
    """The first registry with layout `shared`, and so with one setting each for all of its repositories."""
    document["registries"][0]["layout"] = "shared"
    for row in document["repositories"]:
        for field in rules.SHARED:
            row.pop(field, None)


def _named_once(to: Document) -> Document:
    """The target with somebody in it, and with both of what needs the other or none."""
    if not (to.get("project_numbers") and to.get("allowed_service_types")):
        to = {name: value for name, value in to.items() if name not in ("project_numbers", "allowed_service_types")}
    named = any(to.get(name) for name in ("service_account_emails", "members", "project_numbers"))
    return to if named else {**to, "service_account_emails": [account("deploy")]}


class GcpSandbox(Sandbox):
    """The stand-in, in whose project the scanning of images is on, as a spec with `scan_on_push` needs it."""

    platform = "gcp"
    slow = True
    empty_place = "asia-south1"
    examples = int(os.environ.get("GCP_EXAMPLES", "6"))
    longest_chain = 3
    # an id of Artifact Registry has neither slashes nor dots; layout `shared` has them in `valid`
    names = ("app-a", "app-b", "team-c", "d-e")
    # a label's value has no spaces
    any_mark = "by-hand"
    targets = st.fixed_dictionaries(
        {"type": st.just("gcp")},
        optional={
            "service_account_emails": st.lists(st.sampled_from([account("deploy"), account("batch-1")]), unique=True),
            "members": st.lists(
                st.sampled_from(
                    [
                        "group:devs@example.com",
                        f"serviceAccount:{account('nightly')}",
                        f"serviceAccount:{STRANGERS}.svc.id.goog[shop/cart]",
                        f"principal://{POOL}/subject/repo:acme/shop:ref:refs/heads/main",
                        REPOSITORY_OF_CI,
                        f"principalSet://{POOL}/group/builders",
                        f"principalSet://{POOL}/*",
                    ]
                ),
                unique=True,
                max_size=4,
            ),
            "project_numbers": st.lists(st.sampled_from(["123456789012", "210987654321"]), unique=True),
            "allowed_service_types": st.lists(st.sampled_from(["worker", "compute"]), unique=True),
        },
    ).map(_named_once)
    registry_fields = {
        "location": st.sampled_from([LOCATION, ELSEWHERE]),
        "layout": st.sampled_from(["repository", "shared"]),
        "trusted_principals": st.lists(
            st.sampled_from([f"serviceAccount:{account('ci-runner')}", "group:admins@example.com", REPOSITORY_OF_CI]),
            unique=True,
        ),
        # not here: `project`, with which what is there is another's; `quota_project`, which changes nothing that is there;
        # `impersonate_service_account`, which wants credentials, and here are none
    }
    repository_fields = {
        "immutable_tags": st.booleans(),
        "labels": st.dictionaries(st.sampled_from(["team", "tier", "cost_center"]), st.sampled_from(["a", "b", ""])),
        "encryption": st.sampled_from("12").map(key),
    }
    models = (GcpRegistry, GcpTarget)
    fields = {
        # no exceptions; patterns are beginnings of tags; nobody on Google Cloud is told a grant's name
        "Repository.immutable_tags": (repository(immutable_tags=True), "state"),
        "Repository.encryption": (repository(encryption=key("one")), "state"),
        "Grant.name": (grant(name="renamed"), "same"),
        "Guards.allowed_accounts": (guards(allowed_accounts=[STRANGERS]), "same"),
        "GcpRegistry.project": (registry(project="next-project"), "moved"),
        "GcpRegistry.location": (registry(location=ELSEWHERE), "state"),
        "GcpRegistry.layout": (_sharing, "state"),
        "GcpRegistry.quota_project": (registry(quota_project="billing-project"), "same"),
        "GcpRegistry.trusted_principals": (registry(trusted_principals=[REPOSITORY_OF_CI]), "state"),
        "GcpRegistry.retired": (registry(retired=True), "state"),
        "GcpTarget.service_account_emails": (target(service_account_emails=[account("batch-1")]), "state"),
        "GcpTarget.members": (target(members=["group:devs@example.com", REPOSITORY_OF_CI]), "state"),
        "GcpTarget.project_numbers": (
            target(project_numbers=["123456789012"], allowed_service_types=["worker"]),
            "state",
        ),
        "GcpTarget.allowed_service_types": (
            target(project_numbers=["123456789012"], allowed_service_types=["worker", "compute"]),
            "state",
        ),
    }
    elsewhere = {
        "GcpRegistry.name": "another registry: the chains of test_transitions.py",
        "GcpRegistry.platform": "another platform: the contract suite runs on each",
        "GcpRegistry.impersonate_service_account": "another identity: test_gcp_session.py",
        "GcpTarget.type": "one type per platform",
        "Grant.also": "refused: test_aws_verbs.py",
        "Repository.native_name": "refused: test_gcp_spec.py",
        "Repository.lifecycle_policy": "refused: test_gcp_spec.py",
    }

    def __init__(self, stand_in: Server, folder: Path) -> None:
        self.stand_in = stand_in
        self.estate = Estate(stand_in)
        self.rescue = str(folder)

    def registry(self, name: str = "images", **fields: Any) -> Document:
        return {"name": name, "platform": "gcp", "project": PROJECT, "location": LOCATION, **fields}

    def target(self, who: str) -> Document:
        return {"type": "gcp", "service_account_emails": [account(f"deploy-{who}")]}

    def everyone(self) -> Document:
        return {"type": "gcp", "service_account_emails": ["*"]}

    @property
    def rich(self) -> Document:
        trusted = [f"serviceAccount:{account('ci-runner')}", f"serviceAccount:{account('release')}"]
        kept = {"keep_last": 3, "untagged_days": 14, "keep_tags": ["release-*"]}
        return {
            "registries": [self.registry(trusted_principals=trusted)],
            "repositories": [
                {
                    "name": "app-a",
                    "registry": "images",
                    "description": "the shop",
                    "labels": {"team": "a"},
                    "retention": kept,
                },
                {"name": "app-b", "registry": "images", "immutable_tags": True},
            ],
            "grants": [
                {
                    "name": "one",
                    "registry": "images",
                    "to": {"type": "gcp", "service_account_emails": [account("deploy"), account("nightly")]},
                }
            ],
        }

    def valid(self, document: Document) -> Document:
        for here in document["registries"]:
            rows = [row for row in document["repositories"] if row["registry"] == here["name"]]
            if here.get("layout") == "shared":
                _share(rows, [row for row in document["grants"] if row["registry"] == here["name"]])
            for row in rows:
                if "encryption" in row:
                    row["encryption"] = key(row["encryption"]["kms_key"].rpartition("/")[2], here.get("location", ""))
        return document

    # -- what is there

    def state(self) -> Document:
        return self.estate.state()

    def repository_names(self) -> set[str]:
        return {name.rpartition("/")[2].removeprefix("images-") for name in self.estate.repositories()}

    def readers(self, repository: str) -> list[str]:
        """Who can pull from a repository, as its policy names them."""
        bindings = self.estate.policy(self._name(repository)).get("bindings", [])
        return [member for binding in bindings if binding["role"] == READER for member in binding["members"]]

    def foreign_access(self, repository: str) -> list[Any]:
        bindings = self.estate.policy(self._name(repository)).get("bindings", [])
        return [{**binding, "members": [FOREIGN]} for binding in bindings if FOREIGN in binding["members"]]

    def tag(self, repository: str, key: str) -> str:
        found: str = self.estate.settings(self._name(repository))["labels"][key]
        return found

    # -- changes by hand

    def reset(self) -> None:
        for kept in Path(self.rescue).glob("reconciler-rescue-*"):
            kept.unlink()
        self.stand_in.reset()
        state = self.stand_in.cloud.state
        state.knobs.flaps = ()
        state.switch(PROJECT, SCANNING_API, on=True)

    def hands(self) -> list[Hand]:
        return Hands(self.estate).all()

    def theirs(self) -> list[Hand]:
        """Ways to put something of their own beside ours, which stays for ever: no plan changes it, and no apply takes it away."""
        return Hands(self.estate).strangers(FOREIGN)

    def push_image(self, repository: str, tag: str = "v1") -> None:
        with self.stand_in.cloud.lock:
            push(self.stand_in.cloud.state.repositories[self._name(repository)], repository, tag)

    def make_foreign(self, repository: str, owner: str | None = None, origin: str = "spec") -> None:
        labels = {"reconciler-owner": owner, "reconciler-origin": origin} if owner else {}
        self.estate.make(self._name(repository), {"format": "DOCKER", **({"labels": labels} if labels else {})})

    def give_foreign_access(self, repository: str) -> None:
        self.estate.change_policy(self._name(repository), lambda bindings: members_of(bindings, READER).append(FOREIGN))

    def put_foreign_tag(self, repository: str, key: str, value: str) -> None:
        self.estate.change(self._name(repository), "labels", lambda labels: {**(labels or {}), key: value})

    def describe(self, repository: str) -> None:
        self.estate.change(self._name(repository), "description", lambda _: "by hand")

    def remove_access(self, repository: str) -> None:
        self.estate.change_policy(self._name(repository), list.clear)

    def remove_repository(self, repository: str) -> None:
        self.estate.remove(self._name(repository))

    def _name(self, repository: str) -> str:
        return f"projects/{PROJECT}/locations/{LOCATION}/repositories/images-{repository}"


def _share(rows: list[Document], grants: list[Document]) -> None:
    """Makes the rows of a registry such as layout `shared` can have: as the first in all that is one there, and granted together."""
    for row in rows:
        row["name"] = LONGER_NAMES.get(row["name"], row["name"])
        for field in rules.SHARED:
            row.pop(field, None) if field not in rows[0] else row.update({field: rows[0][field]})
    for row in grants:
        row.pop("repositories", None)


SANDBOX = GcpSandbox


def google_variables() -> Iterator[str]:
    """The names of what this process has of Google's environment: identities, projects, endpoints."""
    starts = ("GOOGLE_", "CLOUDSDK_", "GCLOUD_", "GCE_METADATA_", "NO_GCE_CHECK")
    yield from (name for name in os.environ if name.startswith(starts))


@pytest.fixture(autouse=True)
def _no_google_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in tuple(google_variables()):
        monkeypatch.delenv(name)
    # the credentials that gcloud keeps in the home folder are not found, and no metadata server is asked
    monkeypatch.setenv("CLOUDSDK_CONFIG", "/nonexistent")
    monkeypatch.setenv("NO_GCE_CHECK", "true")


@pytest.fixture
def gcp(stand_in: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> GcpSandbox:
    """Google Cloud with nothing in it."""
    for service in ("ARTIFACTREGISTRY", "IAM", "IAMCREDENTIALS", "SERVICEUSAGE"):
        # without the slash at the end gcloud asks for nothing that is there
        monkeypatch.setenv(f"CLOUDSDK_API_ENDPOINT_OVERRIDES_{service}", f"{stand_in.url}/")
    monkeypatch.setenv("CLOUDSDK_AUTH_DISABLE_CREDENTIALS", "true")
    # what is waited for here is there at once, or never
    monkeypatch.setattr("reconciler.platforms.http._FIRST", 0.01)
    folder = tmp_path / "rescue"
    folder.mkdir()
    sandbox = GcpSandbox(stand_in, folder)
    sandbox.reset()
    return sandbox
