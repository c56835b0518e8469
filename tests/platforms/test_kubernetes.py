"""Pull secrets and their links, on a real cluster's API and a real registry: what is made, changed, left and taken away."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from reconciler.platforms.kubernetes.login_document import KEY, TYPE
from tests.cluster import ADMIN, Cluster
from tests.command_line import Reconciler
from tests.emulators.distribution import Distribution, available, docker_registry

pytestmark = pytest.mark.skipif(bool(available()) and not os.environ.get("CI"), reason=available() or "it is there")
PASSWORD = "pass:word"


@pytest.fixture(scope="module")
def _registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Distribution]:
    with docker_registry(tmp_path_factory.mktemp("registry"), users={"alice": PASSWORD, "bob": "other"}) as found:
        found.push("team/app", ("alice", PASSWORD))
        yield found


@dataclass
class Stage:
    """A spec of one external registry, `onprem`, and a cluster, `prod`, in a folder of the test."""

    reconciler: Reconciler
    cluster: Cluster
    registry: Distribution
    document: dict[str, Any]
    monkeypatch: pytest.MonkeyPatch

    def write(self) -> None:
        """Writes the spec."""
        (self.reconciler.folder / "registry.yaml").write_text(yaml.safe_dump(self.document))

    def grant(self, name: str, namespace: str, *accounts: str) -> None:
        """Adds a grant, and writes the spec."""
        to = {"type": "kubernetes", "cluster": "prod", "namespaces": [namespace], "service_accounts": list(accounts)}
        self.document["grants"].append({"name": name, "registry": "onprem", "to": to})
        self.write()

    def apply(self, *arguments: str, code: int = 0) -> str:
        """Applies; what it printed."""
        return self.reconciler("apply", "--yes", *arguments, code=code)

    def plan(self, *arguments: str, code: int = 0) -> str:
        """What a plan prints."""
        return self.reconciler("plan", *arguments, code=code)

    def secret(self, namespace: str, name: str) -> Any:
        """A secret; None if there is none."""
        with self.cluster.http() as http:
            answer = http.get(f"/api/v1/namespaces/{namespace}/secrets/{name}")
        return None if answer.status_code == 404 else answer.json()

    def login_as(self, user: str, password: str) -> None:
        """Puts a login into the environment."""
        self.monkeypatch.setenv("REG_USER", user)
        self.monkeypatch.setenv("REG_PASSWORD", password)


@pytest.fixture
def stage(
    cluster: Cluster,
    _registry: Distribution,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Stage:
    document = {
        "version": 1,
        "name": f"s{abs(hash(tmp_path)) % 10**8}",
        "clusters": [{"name": "prod", "kubeconfig": str(cluster.kubeconfig(ADMIN))}],
        "registries": [
            {
                "name": "onprem",
                "platform": "external",
                "url": _registry.url,
                "ca_file": str(_registry.authority.file),
                "credentials": {"env": {"username": "REG_USER", "password": "REG_PASSWORD"}},
            }
        ],
        "repositories": [{"name": "team/app", "registry": "onprem"}],
        "grants": [],
    }
    found = Stage(Reconciler(tmp_path), cluster, _registry, document, monkeypatch)
    found.login_as("alice", PASSWORD)
    found.write()
    return found


def login_in(secret: Any) -> dict[str, Any]:
    """The config.json that a secret holds."""
    found: dict[str, Any] = json.loads(base64.b64decode(secret["data"][KEY]))
    return found


def test_a_grant_becomes_a_secret_with_one_login_and_a_link(stage: Stage) -> None:
    namespace = stage.cluster.namespace("default")
    stage.grant("prod", namespace, "default")
    print(stage.plan())
    print(stage.apply())
    name = f"{stage.document['name']}-prod"
    secret = stage.secret(namespace, name)
    auth = base64.b64encode(f"alice:{PASSWORD}".encode()).decode()
    host = stage.registry.url.removeprefix("https://")
    assert secret["type"] == TYPE
    assert login_in(secret) == {"auths": {host: {"username": "alice", "password": PASSWORD, "auth": auth}}}
    assert stage.cluster.pull_secrets(namespace, "default") == [name]
    print(stage.plan())
    assert "No changes" in stage.plan()
