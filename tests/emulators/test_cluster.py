"""The cluster that tests run against is a real Kubernetes API, and does what a newer one was recorded to do."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from kubernetes import client, config

from tests.cluster import VERSION, Cluster, Document, await_that
from tests.command_line import ROOT

MERGE, STRATEGIC = "application/merge-patch+json", "application/strategic-merge-patch+json"


@pytest.fixture
def namespace(cluster: Cluster) -> str:
    return cluster.namespace("app")


def account(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/serviceaccounts/app"


def refusal(answer: httpx.Response) -> tuple[int, str, Document]:
    """The status, reason and details of what the server refuses."""
    status = answer.json()
    assert (status["kind"], status["status"], status["code"]) == ("Status", "Failure", answer.status_code)
    return answer.status_code, status["reason"], status["details"]


def test_it_is_a_kubernetes_api(cluster: Cluster) -> None:
    assert cluster.request("GET", "/version")["gitVersion"] == f"v{VERSION}"


def test_the_official_client_reaches_it_by_a_kubeconfig(cluster: Cluster, namespace: str) -> None:
    cluster.allow("reconciler", namespace, ["get"], "serviceaccounts")
    settings = client.Configuration()
    config.load_kube_config(str(cluster.kubeconfig()), client_configuration=settings)  # type: ignore[no-untyped-call]
    with client.ApiClient(settings) as api:
        found = client.CoreV1Api(api).read_namespaced_service_account("app", namespace)
    assert found.metadata is not None
    assert found.metadata.name == "app"


def test_a_user_may_do_what_it_was_allowed_and_no_more(cluster: Cluster, namespace: str) -> None:
    cluster.allow("reconciler", namespace, ["get"], "secrets", names=["pull"])
    asked = f"/api/v1/namespaces/{namespace}/secrets/pull"
    with cluster.http("reconciler") as allowed, cluster.http("nobody") as nobody:
        assert refusal(allowed.get(asked)) == (404, "NotFound", {"name": "pull", "kind": "secrets"})
        assert refusal(allowed.get(f"{asked}er")) == (403, "Forbidden", {"name": "puller", "kind": "secrets"})
        refused = nobody.get(asked)
    assert refusal(refused) == (403, "Forbidden", {"name": "pull", "kind": "secrets"})
    assert refused.json()["message"] == (
        f'secrets "pull" is forbidden: User "nobody" cannot get resource "secrets" in API group "" in the namespace "{namespace}"'
    )


def test_a_strategic_merge_takes_others_pull_secrets_away(cluster: Cluster) -> None:
    """The trap: elsewhere a strategic merge adds to a list."""
    namespace = cluster.namespace()
    cluster.service_account(namespace, "app", "theirs")
    cluster.request("PATCH", account(namespace), {"imagePullSecrets": [{"name": "ours"}]}, kind=STRATEGIC)
    assert cluster.pull_secrets(namespace, "app") == ["ours"]


def test_a_merge_patch_of_what_has_changed_meanwhile_is_a_conflict(cluster: Cluster, namespace: str) -> None:
    seen = cluster.request("GET", account(namespace))["metadata"]["resourceVersion"]
    patch = {"metadata": {"resourceVersion": seen}, "imagePullSecrets": [{"name": "ours"}]}
    cluster.request("PATCH", account(namespace), patch, kind=MERGE)
    with cluster.http() as http:
        again = http.patch(account(namespace), json=patch, headers={"Content-Type": MERGE})
    assert refusal(again) == (409, "Conflict", {"name": "app", "kind": "serviceaccounts"})


def test_a_pod_gets_the_pull_secrets_that_its_service_account_has_by_then(cluster: Cluster, namespace: str) -> None:
    def pod(name: str, query: str = "") -> Any:
        spec = {
            "serviceAccountName": "app",
            "automountServiceAccountToken": False,
            "containers": [{"name": "app", "image": "registry.example.com/app"}],
        }
        body = {"metadata": {"name": name}, "spec": spec}
        made = cluster.request("POST", f"/api/v1/namespaces/{namespace}/pods{query}", body)
        return made["spec"].get("imagePullSecrets", [])

    assert pod("before") == []
    cluster.request("PATCH", account(namespace), {"imagePullSecrets": [{"name": "ours"}]}, kind=MERGE)
    # the server decides by a copy, which follows
    await_that(lambda: pod("tried", "?dryRun=All") != [])
    assert pod("after") == [{"name": "ours"}]


def test_no_server_stays_when_the_tests_are_killed(cluster: Cluster, tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from tests.cluster import running\n"
        f"with running(Path({str(tmp_path)!r})) as found: print(found.url, flush=True); time.sleep(600)\n"
    )
    killed = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert killed.stdout is not None
    assert killed.stdout.readline().startswith("https://")
    servers = Path(f"/proc/{killed.pid}/task/{killed.pid}/children").read_text().split()
    assert [_program(server) for server in servers] == ["etcd", "kube-apiserver"]
    os.kill(killed.pid, signal.SIGKILL)
    killed.communicate()
    deadline = time.monotonic() + 30
    while any(map(_program, servers)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert [_program(server) for server in servers] == ["", ""]


def _program(pid: str) -> str:
    """What runs under a number; "" if it has ended, even if nobody has asked how."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return Path(command.partition(b"\0")[0].decode()).name
