"""A cluster that refuses, throttles, is slow, cuts connections, or is written by others meanwhile; and a run that is killed."""

from __future__ import annotations

import base64
import json
from functools import partial
from itertools import product
from typing import Any

import pytest

from reconciler.model.canonical import digest
from reconciler.platforms.kubernetes import connection
from tests.apply_process import run_apply
from tests.cluster import await_that
from tests.emulators.aws import KillAfter
from tests.emulators.kubernetes import Fails, KubernetesCall
from tests.emulators.proxy import Proxy
from tests.onprem import OTHER, Stage, notes_of, secret_name


@pytest.fixture
def through(stage: Stage, cluster_proxy: Proxy) -> Stage:
    """The stage, whose cluster is reached by the proxy."""
    stage.reach(url=cluster_proxy.url)
    return stage


def state_of(stage: Stage, namespace: str, *accounts: str) -> Any:
    """What is in a namespace of the cluster, without what each write changes."""
    secrets = stage.cluster.request("GET", f"/api/v1/namespaces/{namespace}/secrets")["items"]
    kept = [
        (
            item["metadata"]["name"],
            item["type"],
            item.get("data"),
            sorted((item["metadata"].get("annotations") or {}).items()),
        )
        for item in secrets
    ]
    notes = notes_of(stage)
    return kept, {name: stage.cluster.pull_secrets(namespace, name) for name in accounts}, (notes or {}).get("data")


WRITES = ("configmaps:patch", "configmaps:create", "secrets:create", "serviceaccounts:patch")
READS = ("configmaps:get", "secrets:get", "serviceaccounts:get")


@pytest.mark.parametrize("kind", ["429", "409", "403", "500", "drop"])
@pytest.mark.parametrize(("operation", "lost"), [*product(WRITES, (False, True)), *product(READS, (False,))])
def test_whatever_fails_once_is_said_or_waited_for_and_the_next_apply_converges(
    through: Stage, cluster_proxy: Proxy, operation: str, kind: str, lost: bool
) -> None:
    """`lost`: the cluster has carried it out, and the answer is another one."""
    stage = through
    namespace = stage.cluster.namespace()
    stage.cluster.service_account(namespace, "app", "theirs")
    stage.grant("prod", namespace, "app")
    cluster_proxy.behaviours.append(Fails(operation, kind, lost=lost))
    waited = kind == "429" or (kind in ("500", "drop") and operation.endswith(":get"))
    race = kind == "409" and operation == "serviceaccounts:patch"
    said = stage.run("apply", "--yes", code=None)
    cluster_proxy.behaviours.clear()
    if waited or race:
        # a cluster that throttles a create has not made anything
        assert "Apply: 2 done" in said or (lost and operation.endswith(":create"))
    stage.apply()
    names = stage.cluster.pull_secrets(namespace, "app")
    assert sorted(names) == sorted(["theirs", secret_name(stage)])
    assert "No changes" in stage.plan()
    assert "Traceback" not in said
    if kind == "403" and "FAILED" in said:
        verb, resource = operation.partition(":")[2], operation.partition(":")[0]
        one = {"secrets": "secret", "serviceaccounts": "service account", "configmaps": "ConfigMap"}[resource]
        assert f"user admin may not {verb} {resource if verb == 'create' else one} " in said


def test_a_slow_answer_ends_with_a_sentence(
    through: Stage, cluster_proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "READ_TIMEOUT", 0.5)
    monkeypatch.setattr(connection, "PATIENCE", 1.0)
    namespace = through.cluster.namespace("app")
    through.grant("prod", namespace, "app")
    cluster_proxy.behaviours.append(Fails("secrets:get", "slow", times=-1, seconds=3.0))
    said = through.plan(code=1)
    assert "cluster prod can't be reached: it does not answer in time" in said


def test_what_is_no_kubernetes_api_is_said_so(through: Stage, cluster_proxy: Proxy) -> None:
    namespace = through.cluster.namespace("app")
    through.grant("prod", namespace, "app")
    cluster_proxy.behaviours.append(Fails("*", "page", times=-1))
    assert "cluster prod answers what is no Kubernetes object" in through.plan(code=1)


def test_nothing_listens_there_or_its_certificate_is_nobody_s(stage: Stage, tmp_path: Any) -> None:
    namespace = stage.cluster.namespace("app")
    stage.grant("prod", namespace, "app")
    stage.reach(url="https://localhost:1")
    assert "cluster prod can't be reached: nothing answers there" in stage.plan(code=1)
    config = stage.cluster.kubeconfig()
    text = "".join(line for line in config.read_text().splitlines(True) if "certificate-authority" not in line)
    config.write_text(text)
    stage.document["clusters"][0]["kubeconfig"] = str(config)
    stage.write()
    said = stage.plan("-v", code=1)
    assert "cluster prod can't be reached: its certificate is not trusted" in said
    assert said.count(" get configmaps ") == 1, "it is the same the next time"
    stage.document["clusters"][0]["kubeconfig"] = "nowhere.yaml"
    stage.write()
    assert "cluster prod can't be reached as the spec says" in stage.plan(code=1)
    stage.document["clusters"] = [{"name": "prod", "in_cluster": True}]
    stage.write()
    said = stage.plan(code=1)
    assert "`in_cluster: true` are for a pod of the cluster" in said


def test_a_namespace_that_is_being_deleted_says_so(stage: Stage) -> None:
    namespace = stage.cluster.namespace("app")
    stage.grant("prod", namespace, "app")
    stage.cluster.request("DELETE", f"/api/v1/namespaces/{namespace}")
    probe = {"metadata": {"name": "probe"}}

    def refuses() -> bool:
        """Whether nothing is made in it any more: the server decides by a copy that follows."""
        with stage.cluster.http() as http:
            answer = http.post(f"/api/v1/namespaces/{namespace}/secrets?dryRun=All", json=probe)
        return answer.status_code == 403

    await_that(refuses)
    said = stage.apply(code=1)
    assert f"namespace {namespace} of cluster prod is being deleted: nothing is made in it" in said


def test_a_token_that_the_cluster_does_not_take_is_said(stage: Stage) -> None:
    namespace = stage.cluster.namespace("app")
    stage.grant("prod", namespace, "app")
    stage.document["clusters"][0]["kubeconfig"] = str(stage.cluster.kubeconfig(token="wrong"))
    stage.write()
    said = stage.plan(code=1)
    assert "cluster prod does not take this login" in said
    assert "wrong" not in said


def test_a_configmap_of_somebody_else_is_never_written(stage: Stage) -> None:
    namespace = stage.cluster.namespace("app")
    stage.grant("prod", namespace, "app")
    name = f"reconciler-{stage.document['name']}-notes"
    at = "/api/v1/namespaces/default/configmaps"
    stage.cluster.request("POST", at, {"metadata": {"name": name}, "data": {"theirs": "1"}})
    said = stage.plan(code=1)
    assert f"ConfigMap {name} in namespace default of cluster prod was not made by reconciler" in said
    assert stage.cluster.request("GET", f"{at}/{name}")["data"] == {"theirs": "1"}


def test_every_patch_is_a_merge_patch_and_a_list_goes_with_its_version(through: Stage, cluster_proxy: Proxy) -> None:
    namespace = through.cluster.namespace("app")
    through.grant("prod", namespace, "app")
    through.apply()
    through.login_as("bob", OTHER)
    through.apply()
    through.document["grants"].clear()
    through.write()
    through.apply()
    calls = [call for call in cluster_proxy.calls if isinstance(call, KubernetesCall)]
    patches = [call for call in calls if call.method == "PATCH"]
    assert {call.content_type for call in patches} == {"application/merge-patch+json"}
    assert all("fieldManager=reconciler" in call.path for call in calls if call.method in ("PATCH", "POST"))
    lists = [call.sent for call in patches if call.operation == "serviceaccounts:patch"]
    assert len(lists) == 2
    assert all({"uid", "resourceVersion"} <= sent["metadata"].keys() for sent in lists)
    (deleted,) = (call.sent for call in calls if call.operation == "secrets:delete")
    assert {"uid", "resourceVersion"} <= deleted["preconditions"].keys()
    assert not [call for call in calls if call.operation.endswith((":list", ":update", ":deletecollection"))]


@pytest.mark.parametrize("carried_out", [False, True])
@pytest.mark.parametrize("step", ["first", "rotated", "removed"])
def test_killed_at_any_writing_call_the_next_apply_converges(
    through: Stage, cluster_proxy: Proxy, step: str, carried_out: bool
) -> None:
    stage = through
    folder = stage.reconciler.folder

    def start() -> str:
        """A new namespace, in which what comes before the step is done."""
        stage.document["grants"].clear()
        stage.login_as("alice", "pass:word")
        namespace = stage.cluster.namespace()
        stage.cluster.service_account(namespace, "app", "theirs")
        stage.grant("prod", namespace, "app")
        if step != "first":
            stage.apply()
        if step == "rotated":
            stage.login_as("bob", OTHER)
        if step == "removed":
            stage.document["grants"].clear()
            stage.write()
        cluster_proxy.calls.clear()
        return namespace

    def end(namespace: str) -> Any:
        found = json.dumps(state_of(stage, namespace, "app")).replace(namespace, "NAMESPACE")
        stage.document["grants"].clear()
        stage.write()
        stage.apply()
        assert stage.cluster.pull_secrets(namespace, "app") == ["theirs"]
        return json.loads(found)[:2]

    namespace = start()
    assert run_apply(folder, stage.document) == 0, (folder / "said").read_text()
    writes = [
        number
        for number, call in enumerate(cluster_proxy.calls, 1)
        if isinstance(call, KubernetesCall) and call.method != "GET"
    ]
    assert len(writes) >= 2
    good = end(namespace)
    for number in writes:
        namespace = start()
        killer = KillAfter(number, carried_out)
        cluster_proxy.behaviours.append(killer)
        assert run_apply(folder, stage.document, partial(setattr, killer, "pid")) != 0
        assert killer.killed
        cluster_proxy.behaviours.clear()
        stage.apply()
        assert "No changes" in stage.plan()
        assert end(namespace) == good, number


def test_a_hand_that_empties_the_notes_is_healed(stage: Stage) -> None:
    namespace = stage.cluster.namespace("app")
    stage.grant("prod", namespace, "app")
    stage.apply()
    at = f"/api/v1/namespaces/default/configmaps/reconciler-{stage.document['name']}-notes"
    stage.cluster.request("DELETE", at)
    said = stage.plan()
    assert "noted: false → true" in said
    stage.apply()
    assert "No changes" in stage.plan()
    (noted,) = (json.loads(text) for text in notes_of(stage)["data"].values())
    assert (noted["kind"], noted["name"]) == ("pull-secret", f"{namespace}/prod")


def test_a_secret_deleted_by_hand_is_drift_and_made_again(stage: Stage) -> None:
    namespace = stage.cluster.namespace("app")
    stage.grant("prod", namespace, "app")
    stage.apply()
    stage.cluster.request("DELETE", f"/api/v1/namespaces/{namespace}/secrets/{secret_name(stage)}")
    drift = stage.run("drift", code=2)
    assert "Drift: 1 drifted" in drift
    stage.apply()
    assert stage.secret(namespace, secret_name(stage)) is not None
    assert "No changes" in stage.plan()


def test_a_note_of_a_secret_that_is_gone_goes_with_the_grant(stage: Stage) -> None:
    namespace = stage.cluster.namespace("app")
    stage.grant("prod", namespace, "app")
    stage.apply()
    stage.cluster.request("DELETE", f"/api/v1/namespaces/{namespace}/secrets/{secret_name(stage)}")
    stage.document["grants"].clear()
    stage.write()
    stage.apply()
    assert stage.cluster.pull_secrets(namespace, "app") == []
    assert notes_of(stage) is None
    assert "No changes" in stage.plan()


def test_what_somebody_writes_into_the_notes_reaches_nothing_that_is_not_ours(stage: Stage) -> None:
    """A forged note names a secret of others by an address of ours: it is read, and stays."""
    namespace = stage.cluster.namespace("app")
    stage.grant("prod", namespace, "app")
    stage.apply()
    victim = {"metadata": {"name": secret_name(stage, "victim")}, "data": {"key": base64.b64encode(b"x").decode()}}
    stage.cluster.request("POST", f"/api/v1/namespaces/{namespace}/secrets", victim)
    place = {"registry": "onprem", "kind": "pull-secret", "name": f"{namespace}/victim"}
    key = f"pull-secret.{digest(place['name'])}"
    text = json.dumps({**place, "applied": "v1-0123456789abcdef"})
    at = f"/api/v1/namespaces/default/configmaps/reconciler-{stage.document['name']}-notes"
    others = ({**place, "name": "a/b"}, {**place, "kind": "x.y"}, {**place, "registry": "a@b"}, {"name": 1})
    assert key.partition(".")[0] in {found.partition(".")[0] for found in stage.cluster.request("GET", at)["data"]}
    for value in (text, "not json", "[[[", *map(json.dumps, others)):
        stage.cluster.request("PATCH", at, {"data": {key: value}}, kind="application/merge-patch+json")
        said = stage.apply()
        # what is forged well is read, and taken out: nothing of ours is there
        assert (key in stage.cluster.request("GET", at)["data"]) == (value != text), said
        assert stage.secret(namespace, secret_name(stage, "victim")) is not None
    stage.document["grants"].clear()
    stage.write()
    stage.apply()
    assert stage.secret(namespace, secret_name(stage, "victim")) is not None
