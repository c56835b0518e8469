"""The proxy in front of a cluster: what it says of calls, and that its faults are those of the real server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.cluster import Cluster
from tests.emulators.kubernetes import Fails, KubernetesCall, KubernetesWire
from tests.emulators.proxy import Proxy, Request

MERGE = {"Content-Type": "application/merge-patch+json"}
SECRET = {"metadata": {"name": "pull"}, "data": {"key": "b25l"}}
CHANGE = {"data": {"key": "dHdv"}}


@pytest.fixture
def secrets(cluster: Cluster) -> str:
    """The path of a fresh namespace's secrets, of which there is one, `pull`."""
    path = f"/api/v1/namespaces/{cluster.namespace()}/secrets"
    cluster.request("POST", path, SECRET)
    return path


@pytest.fixture
def through(cluster: Cluster, cluster_proxy: Proxy) -> Iterator[httpx.Client]:
    """The admin's client, by way of the proxy."""
    with cluster.http() as http:
        http.base_url = httpx.URL(cluster_proxy.url)
        yield http


def value(cluster: Cluster, secrets: str) -> Any:
    return cluster.request("GET", f"{secrets}/pull")["data"]["key"]


def test_calls_go_through_and_are_logged(
    cluster: Cluster, through: httpx.Client, secrets: str, cluster_proxy: Proxy
) -> None:
    assert through.patch(f"{secrets}/pull?fieldManager=test", json=CHANGE, headers=MERGE).status_code == 200
    assert through.get(secrets).status_code == 200
    version = through.get("/version")
    assert version.json()["major"] == "1", version.text
    assert value(cluster, secrets) == "dHdv"
    patch, listed, asked = cluster_proxy.calls
    assert isinstance(patch, KubernetesCall)
    assert patch.operation == "secrets:patch"
    assert (patch.method, patch.path) == ("PATCH", f"{secrets}/pull?fieldManager=test")
    assert (patch.user, patch.namespace, patch.name) == ("admin", secrets.split("/")[4], "pull")
    assert (patch.content_type, patch.sent) == (MERGE["Content-Type"], CHANGE)
    assert (listed.operation, asked.operation) == ("secrets:list", "/version:GET")


@pytest.mark.parametrize(
    ("path", "operation", "namespace", "name"),
    [
        ("/api/v1/namespaces", "namespaces:list", "", ""),
        ("/api/v1/namespaces/prod", "namespaces:get", "", "prod"),
        ("/api/v1/namespaces/prod/secrets/pull", "secrets:get", "prod", "pull"),
        ("/api/v1/namespaces/prod/serviceaccounts/app/token", "serviceaccounts/token:get", "prod", "app"),
        ("/apis/apps/v1/namespaces/prod/deployments", "deployments:list", "prod", ""),
        ("/api/v1", "/api/v1:GET", "", ""),
    ],
)
def test_a_path_is_a_resource_and_a_verb(path: str, operation: str, namespace: str, name: str) -> None:
    call = KubernetesWire({}).call(Request("GET", path, {}, b""))
    assert (call.operation, call.namespace, call.name) == (operation, namespace, name)


def test_a_conflict_is_the_servers_own(through: httpx.Client, secrets: str, cluster_proxy: Proxy) -> None:
    cluster_proxy.behaviours.append(Fails("secrets:*", "409", times=2))
    stale = {**CHANGE, "metadata": {"resourceVersion": "1"}}
    patches = [through.patch(f"{secrets}/pull", json=stale, headers=MERGE) for _ in range(2)]
    cluster_proxy.behaviours[:] = [Fails("secrets:create", "409")]
    creates = [through.post(secrets, json=SECRET) for _ in range(2)]
    cluster_proxy.behaviours.clear()
    patches.append(through.patch(f"{secrets}/pull", json=stale, headers=MERGE))
    for fault, *_, real in (patches, creates):
        assert (fault.status_code, fault.json()) == (409, real.json())


@pytest.mark.parametrize("method", ["GET", "LIST", "POST", "PATCH", "DELETE"])
def test_a_refusal_is_the_servers_own(method: str, cluster: Cluster, secrets: str, cluster_proxy: Proxy) -> None:
    bodies: dict[str, dict[str, Any]] = {"POST": {"json": SECRET}, "PATCH": {"json": CHANGE, "headers": MERGE}}
    target = secrets if method in ("LIST", "POST") else f"{secrets}/pull"
    cluster_proxy.behaviours.append(Fails("*", "403"))
    verb, sent = method.replace("LIST", "GET"), bodies.get(method, {})
    with cluster.http("nobody") as http:
        fault, real = (http.request(verb, f"{url}{target}", **sent) for url in (cluster_proxy.url, cluster.url))
    assert (fault.status_code, fault.json()) == (403, real.json())
    assert fault.headers["Content-Type"].partition(";")[0] == real.headers["Content-Type"]


def test_it_throttles_in_plain_text(through: httpx.Client, secrets: str, cluster_proxy: Proxy) -> None:
    cluster_proxy.behaviours.append(Fails("secrets:get", "429"))
    answer = through.get(f"{secrets}/pull")
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "1")
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert through.get(f"{secrets}/pull").status_code == 200


@pytest.mark.parametrize(("lost", "kept"), [(False, "b25l"), (True, "dHdv")])
def test_it_cuts_before_and_after_the_server_has_done_it(
    lost: bool, kept: str, cluster: Cluster, through: httpx.Client, secrets: str, cluster_proxy: Proxy
) -> None:
    cluster_proxy.behaviours.append(Fails("secrets:patch", "drop", lost=lost))
    with pytest.raises(httpx.RemoteProtocolError):
        through.patch(f"{secrets}/pull", json=CHANGE, headers=MERGE)
    assert value(cluster, secrets) == kept


@pytest.mark.parametrize(("lost", "kept"), [(False, "b25l"), (True, "dHdv")])
def test_it_lets_wait_before_and_after_the_server_has_done_it(
    lost: bool, kept: str, cluster: Cluster, through: httpx.Client, secrets: str, cluster_proxy: Proxy
) -> None:
    cluster_proxy.behaviours.append(Fails("secrets:patch", "slow", lost=lost))
    with pytest.raises(httpx.ReadTimeout):
        through.patch(f"{secrets}/pull", json=CHANGE, headers=MERGE, timeout=1)
    assert value(cluster, secrets) == kept


def test_a_slow_answer_is_the_servers_own(through: httpx.Client, secrets: str, cluster_proxy: Proxy) -> None:
    cluster_proxy.behaviours.append(Fails("secrets:get", "slow", seconds=0.1, lost=True))
    assert through.get(f"{secrets}/pull").json()["data"] == SECRET["data"]


def test_the_nth_call_of_one_object_fails(through: httpx.Client, secrets: str, cluster_proxy: Proxy) -> None:
    cluster_proxy.behaviours.append(Fails("secrets:get", "500", name="pull", passing=1))
    asked = ("pull", "other", "pull", "pull")
    assert [through.get(f"{secrets}/{name}").status_code for name in asked] == [200, 404, 500, 200]
