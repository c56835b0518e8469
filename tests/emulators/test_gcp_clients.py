"""The stand-in against Google's own clients: gcloud, and google-cloud-artifact-registry over REST."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.command_line import ROOT
from tests.emulators.gcp import Server, push

pytest_plugins = ["tests.emulators.gcp.fixtures"]

PROJECT, PLACE = "my-project", "us-central1"
REPOSITORY = f"projects/{PROJECT}/locations/{PLACE}/repositories/app"
READER = "roles/artifactregistry.reader"
PULL = f"images-pull@{PROJECT}.iam.gserviceaccount.com"


class Gcloud:
    """`gcloud` without credentials, whose APIs are the stand-in."""

    def __init__(self, url: str, folder: Path) -> None:
        self.environ = {
            **os.environ,
            "CLOUDSDK_CONFIG": str(folder),
            "CLOUDSDK_AUTH_DISABLE_CREDENTIALS": "true",
            "CLOUDSDK_CORE_PROJECT": PROJECT,
            "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
            "CLOUDSDK_CORE_DISABLE_USAGE_REPORTING": "true",
            "CLOUDSDK_COMPONENT_MANAGER_DISABLE_UPDATE_CHECK": "true",
            "CLOUDSDK_CORE_CHECK_GCE_METADATA": "false",
            # without the slash at the end it asks for nothing that is there
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_ARTIFACTREGISTRY": f"{url}/",
            "CLOUDSDK_API_ENDPOINT_OVERRIDES_IAM": f"{url}/",
        }

    def fails(self, *arguments: str) -> str:
        """What a command that must fail says."""
        done = self._run(*arguments)
        assert done.returncode == 1, done.stdout
        return done.stderr

    def __call__(self, *arguments: str) -> Any:
        """What a command that must succeed answers."""
        done = self._run(*arguments, "--format=json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout or "null")

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["gcloud", *arguments],
            env=self.environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )


@pytest.fixture
def gcloud(stand_in: Server, tmp_path: Path) -> Gcloud:
    if shutil.which("gcloud") is None:
        pytest.skip("NOT RUN: gcloud is not installed; the stand-in is not compared with what it asks for")
    return Gcloud(stand_in.url, tmp_path)


@pytest.mark.slow
def test_gcloud_manages_a_repository(gcloud: Gcloud, stand_in: Server, tmp_path: Path) -> None:
    repositories = ("artifacts", "repositories")
    at = ("app", f"--location={PLACE}")
    settings = ("--labels=a=b", "--immutable-tags", "--description=d")
    gcloud(*repositories, "create", *at, "--repository-format=docker", *settings)
    assert "ALREADY_EXISTS: the repository already exists" in gcloud.fails(
        *repositories, "create", *at, "--repository-format=docker"
    )
    updated = gcloud(*repositories, "update", *at, "--update-labels=c=d", "--description=e")
    described = gcloud(*repositories, "describe", *at)
    assert described["labels"] == {"a": "b", "c": "d"}
    assert described["description"] == "e"
    assert described["mode"] == "STANDARD_REPOSITORY"
    assert described["dockerConfig"] == {"immutableTags": True}
    assert "registryUri" not in updated
    assert described["registryUri"] == f"{PLACE}-docker.pkg.dev/{PROJECT}/app"

    # without a location it asks for all of them first
    assert [found["name"] for found in gcloud(*repositories, "list")] == [REPOSITORY]

    policies = [
        {"name": "old", "action": {"type": "Delete"}, "condition": {"tagState": "untagged", "olderThan": "14d"}},
        {"name": "recent", "action": {"type": "Keep"}, "mostRecentVersions": {"keepCount": 5}},
    ]
    (tmp_path / "policies.json").write_text(json.dumps(policies))
    gcloud(*repositories, "set-cleanup-policies", *at, f"--policy={tmp_path / 'policies.json'}", "--no-dry-run")
    assert stand_in.cloud.state.repositories[REPOSITORY].settings["cleanupPolicies"] == {
        "old": {"id": "old", "action": "DELETE", "condition": {"tagState": "UNTAGGED", "olderThan": "1209600s"}},
        "recent": {"id": "recent", "action": "KEEP", "mostRecentVersions": {"keepCount": 5}},
    }
    gcloud(*repositories, "delete-cleanup-policies", *at, "--policynames=old")
    left = gcloud(*repositories, "list-cleanup-policies", *at)
    assert [policy["name"] for policy in left] == ["recent"]
    # the patch without a mask left all else alone
    assert stand_in.cloud.state.repositories[REPOSITORY].settings["labels"] == {"a": "b", "c": "d"}

    push(stand_in.cloud.state.repositories[REPOSITORY], "web", "v1")
    images = gcloud("artifacts", "docker", "images", "list", f"{PLACE}-docker.pkg.dev/{PROJECT}/app")
    assert [image["package"] for image in images] == [f"{PLACE}-docker.pkg.dev/{PROJECT}/app/web"]

    gcloud(*repositories, "delete", *at)
    assert "NOT_FOUND: Requested entity was not found." in gcloud.fails(*repositories, "describe", *at)


@pytest.mark.slow
def test_gcloud_manages_service_accounts_and_who_may_pull(gcloud: Gcloud, stand_in: Server, tmp_path: Path) -> None:
    accounts, repositories = ("iam", "service-accounts"), ("artifacts", "repositories")
    at = ("app", f"--location={PLACE}")
    gcloud(*accounts, "create", "images-pull", "--display-name=pull")
    assert f"Service account images-pull already exists within project projects/{PROJECT}." in gcloud.fails(
        *accounts, "create", "images-pull"
    )
    assert gcloud(*accounts, "describe", PULL)["displayName"] == "pull"
    gcloud(*accounts, "update", PULL, "--description=ours")
    assert [(found["email"], found["description"]) for found in gcloud(*accounts, "list")] == [(PULL, "ours")]
    creator = ("--member=user:dev@example.com", "--role=roles/iam.serviceAccountTokenCreator")
    bound = gcloud(*accounts, "add-iam-policy-binding", PULL, *creator)
    assert bound["bindings"] == [{"members": ["user:dev@example.com"], "role": "roles/iam.serviceAccountTokenCreator"}]

    gcloud(*repositories, "create", *at, "--repository-format=docker")
    binding = (f"--member=serviceAccount:{PULL}", f"--role={READER}")
    gcloud(*repositories, "add-iam-policy-binding", *at, *binding)
    policy = gcloud(*repositories, "get-iam-policy", *at)
    assert policy["bindings"] == [{"members": [f"serviceAccount:{PULL}"], "role": READER}]
    nobody = ("--member=serviceAccount:nobody@my-project.iam.gserviceaccount.com", f"--role={READER}")
    refused = gcloud.fails(*repositories, "add-iam-policy-binding", *at, *nobody)
    assert f"Service account nobody@{PROJECT}.iam.gserviceaccount.com does not exist." in refused

    # written back as it was read, the etag in another alphabet; then it is the etag of a policy that is no more
    (tmp_path / "policy.json").write_text(json.dumps(policy))
    set_policy = (*repositories, "set-iam-policy", *at, str(tmp_path / "policy.json"))
    gcloud(*set_policy)
    assert "ABORTED: There were concurrent policy changes." in gcloud.fails(*set_policy)
    gcloud(*repositories, "remove-iam-policy-binding", *at, *binding)
    assert "bindings" not in gcloud(*repositories, "get-iam-policy", *at)

    gcloud(*repositories, "add-iam-policy-binding", *at, *binding)
    unique_id = stand_in.cloud.state.accounts[PULL].unique_id
    gcloud(*accounts, "delete", PULL)
    members = gcloud(*repositories, "get-iam-policy", *at)["bindings"][0]["members"]
    assert members == [f"deleted:serviceAccount:{PULL}?uid={unique_id}"]
    assert "PERMISSION_DENIED" in gcloud.fails(*accounts, "describe", PULL)


@pytest.fixture
def library(stand_in: Server) -> Any:
    """google-cloud-artifact-registry, and its client whose API is the stand-in."""
    reason = (
        "NOT RUN: google-cloud-artifact-registry is not installed; the stand-in is not compared with what it asks for"
    )
    registry = pytest.importorskip("google.cloud.artifactregistry_v1", reason=reason)
    credentials = pytest.importorskip("google.auth.credentials", reason=reason)
    client = registry.ArtifactRegistryClient(
        transport="rest",
        credentials=credentials.AnonymousCredentials(),
        client_options={"api_endpoint": stand_in.url},
    )
    with client:
        yield registry, client


def test_googles_library_manages_a_repository(library: Any, stand_in: Server) -> None:
    registry, client = library
    exceptions = import_module("google.api_core.exceptions")  # it came with the library
    parent = REPOSITORY.partition("/repositories/")[0]
    docker = registry.Repository(format_=registry.Repository.Format.DOCKER, labels={"a": "b"})

    def create(name: str) -> Any:
        return client.create_repository(parent=parent, repository_id=name, repository=docker)

    assert create("app").result().name == REPOSITORY
    with pytest.raises(exceptions.Conflict) as raised:
        create("app")
    assert raised.value.response.json()["error"]["status"] == "ALREADY_EXISTS"

    policy = registry.CleanupPolicy(
        id="old",
        action=registry.CleanupPolicy.Action.DELETE,
        condition={"tag_state": registry.CleanupPolicyCondition.TagState.UNTAGGED, "older_than": {"seconds": 86_400}},
    )
    changed = registry.Repository(name=REPOSITORY, description="e", cleanup_policies={"old": policy})
    updated = client.update_repository(repository=changed, update_mask={"paths": ["description", "cleanup_policies"]})
    assert (updated.description, updated.labels, updated.registry_uri) == ("e", {"a": "b"}, "")
    found = client.get_repository(name=REPOSITORY)
    assert found.cleanup_policies["old"].condition.older_than.total_seconds() == 86_400
    assert found.mode == registry.Repository.Mode.STANDARD_REPOSITORY
    assert found.registry_uri == f"{PLACE}-docker.pkg.dev/{PROJECT}/app"

    for number in range(4):
        create(f"more-{number}").result()
    listed = client.list_repositories(request={"parent": parent, "page_size": 2})
    assert [item.name.rpartition("/")[2] for item in listed] == ["app", "more-0", "more-1", "more-2", "more-3"]
    assert stand_in.operations().count("artifactregistry:ListRepositories") == 3

    client.delete_repository(name=REPOSITORY).result()
    with pytest.raises(exceptions.NotFound, match=r"Requested entity was not found\."):
        client.get_repository(name=REPOSITORY)


def test_googles_library_reads_and_writes_policies(library: Any) -> None:
    registry, client = library
    exceptions = import_module("google.api_core.exceptions")  # it came with the library
    parent = REPOSITORY.partition("/repositories/")[0]
    client.create_repository(
        parent=parent, repository_id="app", repository=registry.Repository(format_="DOCKER")
    ).result()
    resource = {"resource": REPOSITORY}
    policy = client.get_iam_policy(request=resource)
    policy.bindings.add(role=READER, members=["allUsers"])
    written = client.set_iam_policy(request={**resource, "policy": policy})
    assert client.get_iam_policy(request=resource) == written
    with pytest.raises(exceptions.Conflict) as raised:
        client.set_iam_policy(request={**resource, "policy": policy})
    assert raised.value.response.json()["error"]["status"] == "ABORTED"
    asked = {**resource, "permissions": ["artifactregistry.repositories.get"]}
    assert list(client.test_iam_permissions(request=asked).permissions) == asked["permissions"]


@contextmanager
def process(*options: str) -> Iterator[subprocess.Popen[str]]:
    """The stand-in as a process, ended by its own id."""
    command = [sys.executable, "-m", "tests.emulators.gcp", *options]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as found:
        try:
            yield found
        finally:
            found.terminate()


def ready(found: subprocess.Popen[str]) -> str:
    """The URL that it prints."""
    assert found.stdout is not None
    word, url = found.stdout.readline().split()
    assert word == "ready"
    return url


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_as_a_process_it_says_when_it_is_ready_and_ends_when_it_is_told(number: signal.Signals) -> None:
    with process("--port", "0") as found:
        url = ready(found)
        assert httpx.get(f"{url}/v1/{REPOSITORY}").json()["error"]["status"] == "NOT_FOUND"
        with process("--port", url.rpartition(":")[2]) as second:
            _, errors = second.communicate(timeout=60)
        assert second.returncode == 2
        assert "choose another with --port, or 0 for any free one" in errors
        found.send_signal(number)
        output, errors = found.communicate(timeout=60)
        assert (found.returncode, output, errors) == (0, "", "")


@pytest.mark.slow
@pytest.mark.parametrize(("options", "reads"), [((), [200, 404, 200]), (("--steady",), [200, 200, 200])])
def test_as_a_process_it_flaps_as_recorded_unless_it_is_to_be_steady(
    options: tuple[str, ...], reads: list[int]
) -> None:
    with process("--port", "0", *options) as found:
        url = ready(found)
        made = httpx.post(f"{url}/v1/projects/{PROJECT}/serviceAccounts", json={"accountId": "images-pull"}).json()
        assert [httpx.get(f"{url}/v1/{made['name']}").status_code for _ in range(3)] == reads
