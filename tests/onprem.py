"""A spec of one external registry and one cluster, on a real registry and a real cluster's API, for the tests of pull secrets."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from kubernetes.config import incluster_config

from reconciler.cli.app import run
from reconciler.model.service import Credentials
from reconciler.platforms.external.session import ExternalSession
from reconciler.platforms.kubernetes.login_document import KEY
from tests.cluster import ADMIN, Cluster
from tests.command_line import Reconciler
from tests.emulators.distribution import Distribution, available, docker_registry

#: of the logins of `tokens`
LIFE = timedelta(hours=1)
PASSWORD, OTHER = "pass:word", "an0ther-passw0rd"


@pytest.fixture(scope="session")
def onprem_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Distribution]:
    """One for the session: alice and bob may log in, and it has team/app."""
    if why := available():
        # where everything is to be there, what is missing fails
        (pytest.fail if os.environ.get("CI") else pytest.skip)(why)
    with docker_registry(tmp_path_factory.mktemp("registry"), users={"alice": PASSWORD, "bob": OTHER}) as found:
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

    def reach(self, user: str = ADMIN, url: str = "") -> None:
        """Reaches the cluster as a user, and by a proxy if its url is given."""
        self.document["clusters"][0]["kubeconfig"] = str(self.cluster.kubeconfig(user, url=url))
        self.write()

    def reach_by(self, script: str, *arguments: str, **variables: str) -> None:
        """Reaches the cluster by a kubeconfig whose login a shell script gives, as a program beside it."""
        path = self.cluster.kubeconfig()
        program = path.with_suffix(".sh")
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        document = yaml.safe_load(path.read_text())
        document["users"][0]["user"] = {
            "exec": {
                "apiVersion": "client.authentication.k8s.io/v1",
                "command": f"./{program.name}",
                "args": list(arguments),
                "env": [{"name": name, "value": value} for name, value in variables.items()],
                "interactiveMode": "Never",
            }
        }
        path.write_text(yaml.safe_dump(document))
        self.document["clusters"][0]["kubeconfig"] = str(path)
        self.write()

    def run_in_a_pod(self, user: str = ADMIN) -> None:
        """Has the tool run as in a pod of the cluster, which finds there its address, a token and the authority:
        https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/"""
        token = self.reconciler.folder / "token"
        token.write_text(self.cluster.tokens[user])
        server = urlsplit(self.cluster.url)
        self.monkeypatch.setenv("KUBERNETES_SERVICE_HOST", str(server.hostname))
        self.monkeypatch.setenv("KUBERNETES_SERVICE_PORT", str(server.port))
        self.monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(token))
        self.monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(self.cluster.ca))

    def run(self, *arguments: str, code: int | None = 0) -> str:
        """Runs a command that must end with `code` (None: any); all that it printed."""
        output, errors = StringIO(), StringIO()
        with chdir(self.reconciler.folder), redirect_stdout(output), redirect_stderr(errors):
            found = run(arguments)
        said = output.getvalue() + errors.getvalue()
        assert code in (None, found), said
        return said

    def apply(self, *arguments: str, code: int = 0) -> str:
        """Applies; what it printed."""
        return self.run("apply", "--yes", *arguments, code=code)

    def plan(self, *arguments: str, code: int = 0) -> str:
        """What a plan prints."""
        return self.run("plan", *arguments, code=code)

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
    onprem_registry: Distribution,
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
                "url": onprem_registry.url,
                "ca_file": str(onprem_registry.authority.file),
                "credentials": {"env": {"username": "REG_USER", "password": "REG_PASSWORD"}},
            }
        ],
        "repositories": [{"name": "team/app", "registry": "onprem"}],
        "grants": [],
    }
    found = Stage(Reconciler(tmp_path), cluster, onprem_registry, document, monkeypatch)
    found.login_as("alice", PASSWORD)
    found.write()
    return found


@pytest.fixture
def tokens(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A registry whose logins end after an hour, as clouds' do: the passwords that it has made."""
    made: list[str] = []

    def login_of(self: ExternalSession, grant: str) -> Credentials:
        made.append(f"token-{len(made)}")
        return Credentials(self.login_host(), "alice", made[-1], datetime.now(UTC) + LIFE)

    monkeypatch.setattr(ExternalSession, "lasting", False)
    monkeypatch.setattr(ExternalSession, "login_of", login_of)
    return made


def login_in(secret: Any) -> dict[str, Any]:
    """The config.json that a secret holds."""
    found: dict[str, Any] = json.loads(base64.b64decode(secret["data"][KEY]))
    return found


def secret_name(stage: Stage, grant: str = "prod") -> str:
    return f"{stage.document['name']}-{grant}"


def notes_of(stage: Stage) -> Any:
    """The ConfigMap of the spec's notes; None if there is none."""
    with stage.cluster.http() as http:
        answer = http.get(f"/api/v1/namespaces/default/configmaps/reconciler-{stage.document['name']}-notes")
    return None if answer.status_code == 404 else answer.json()
