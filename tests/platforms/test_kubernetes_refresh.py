"""`reconciler refresh`: logins are renewed where they are, in time, and by whoever may do nothing else."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from reconciler.errors import PlatformError
from reconciler.model.service import Credentials
from reconciler.platforms.external.session import ExternalSession
from reconciler.platforms.kubernetes import validity
from tests.command_line import ROOT
from tests.emulators.distribution import docker_registry
from tests.emulators.kubernetes import Fails, KubernetesCall
from tests.emulators.proxy import Proxy
from tests.onprem import LIFE, OTHER, PASSWORD, Stage, login_in, secret_name

EXAMPLE = ROOT / "examples" / "kubernetes"


def age(stage: Stage, namespace: str, part: float) -> None:
    """Makes the login of the secret one that has used up that part of its life."""
    made = datetime.now(UTC) - LIFE * part
    texts = {"reconciler-made": made.isoformat(), "reconciler-valid-until": (made + LIFE).isoformat()}
    at = f"/api/v1/namespaces/{namespace}/secrets/{secret_name(stage)}?fieldManager=reconciler"
    stage.cluster.request("PATCH", at, {"metadata": {"annotations": texts}}, kind="application/merge-patch+json")


@pytest.fixture
def namespace(stage: Stage) -> str:
    found = stage.cluster.namespace("app")
    stage.grant("prod", found, "app")
    return found


def password(stage: Stage, namespace: str) -> str:
    (entry,) = login_in(stage.secret(namespace, secret_name(stage)))["auths"].values()
    found: str = entry["password"]
    return found


def test_a_login_is_renewed_after_half_of_its_life(stage: Stage, tokens: list[str], namespace: str) -> None:
    stage.apply()
    assert "No changes" in stage.plan()
    before = stage.secret(namespace, secret_name(stage))
    at = f"onprem.pull-secret.prod/{namespace}/prod"
    assert f"{at} good until 20" in stage.run("refresh")
    age(stage, namespace, 0.45)
    assert f"{at} good until 20" in stage.run("refresh")
    assert tokens == ["token-0"]
    age(stage, namespace, 0.55)
    assert "No changes" in stage.plan()
    assert f"{at} renewed, good until 20" in stage.run("refresh")
    after = stage.secret(namespace, secret_name(stage))
    assert password(stage, namespace) == "token-1"
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert validity.used(after["metadata"]["annotations"], datetime.now(UTC)) < 0.1
    assert "No changes" in stage.plan()
    assert f"{at} good" in stage.run("refresh")


@pytest.mark.parametrize(
    ("part", "said"), [(0.8, "one that ends at 20"), (1.2, "one that ended at 20"), (-1.0, "one that ends at 20")]
)
def test_what_nobody_has_renewed_in_time_is_in_the_plan(
    stage: Stage, tokens: list[str], namespace: str, part: float, said: str
) -> None:
    stage.apply()
    age(stage, namespace, part)
    if part < 0:  # a clock that is wrong: not yet made
        assert "No changes" in stage.plan()
        return
    assert f"login: {said}" in stage.plan()
    stage.apply()
    assert password(stage, namespace) == tokens[-1] == "token-1"
    assert "No changes" in stage.plan()


def test_a_login_that_a_hand_changed_is_renewed_and_named_in_the_drift(
    stage: Stage, tokens: list[str], namespace: str
) -> None:
    stage.apply()
    secret = stage.secret(namespace, secret_name(stage))
    at = f"/api/v1/namespaces/{namespace}/secrets/{secret_name(stage)}?fieldManager=a-person"
    stage.cluster.request("PATCH", at, {"data": secret["data"] | {}}, kind="application/merge-patch+json")
    assert "No changes" in stage.plan(), "nothing is other than it was"
    host = stage.registry.url.removeprefix("https://")
    from reconciler.platforms.kubernetes.login_document import KEY, written

    forged = written(Credentials(host, "mallory", "guessed", None))
    stage.cluster.request("PATCH", at, {"data": {KEY: forged}}, kind="application/merge-patch+json")
    drift = stage.run("drift", code=2)
    assert "login: changed by hand (live), good (spec)" in drift
    assert "what it holds was last written by a-person" in drift
    assert "renewed" in stage.run("refresh")
    assert password(stage, namespace) == tokens[-1]
    assert "No changes" in stage.plan()


def test_what_can_t_be_renewed_ends_with_1_and_stops_no_other(
    stage: Stage, tokens: list[str], namespace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = stage.cluster.namespace("app")
    stage.grant("other", other, "app")
    stage.apply()
    age(stage, namespace, 1.5)
    working = ExternalSession.login_of

    def fails(self: ExternalSession, grant: str) -> Credentials:
        if grant == "prod":
            raise PlatformError("the cloud gives no login today", operation="sts:AssumeRole", hint="log in again")
        return working(self, grant)

    monkeypatch.setattr(ExternalSession, "login_of", fails)
    said = stage.run("refresh", code=1)
    assert "sts:AssumeRole: the cloud gives no login today; it held one that ended at 20" in said
    assert "\n  log in again" in said
    assert f"onprem.pull-secret.prod/{other}/other good" in said
    age(stage, namespace, 0.6)
    assert "sts:AssumeRole: the cloud gives no login today; it held one that is good until 20" in stage.run(
        "refresh", code=1
    )


def test_a_lasting_login_is_compared_and_renewed_after_a_rotation(stage: Stage, namespace: str) -> None:
    stage.apply()
    assert f"onprem.pull-secret.prod/{namespace}/prod good\n" in stage.run("refresh")
    stage.login_as("bob", OTHER)
    said = stage.run("refresh")
    assert "renewed: it held another one" in said
    assert password(stage, namespace) == OTHER
    assert PASSWORD not in said
    assert OTHER not in said


def test_a_login_that_the_registry_does_not_take_is_never_written(stage: Stage, namespace: str) -> None:
    """Such as that of a CronJob which has not heard of a rotation: it would put the old password back."""
    stage.apply()
    stage.login_as("alice", "of-last-year")
    said = stage.run("refresh", code=1)
    assert f"onprem.pull-secret.prod/{namespace}/prod failed: " in said
    assert "the registry refuses the login of user alice" in said
    assert password(stage, namespace) == PASSWORD
    assert "of-last-year" not in said


def test_a_login_that_the_registry_has_ceased_to_take_is_not_good(stage: Stage, namespace: str, tmp_path: Path) -> None:
    """In the first minutes of a rotation, job and secret both have the former login, and every pull fails."""
    with docker_registry(tmp_path / "registry", users={"alice": PASSWORD}) as registry:
        stage.document["registries"][0] |= {"url": registry.url, "ca_file": str(registry.authority.file)}
        stage.write()
        stage.apply()
        at = f"onprem.pull-secret.prod/{namespace}/prod"
        assert f"{at} good\n" in stage.run("refresh")
        registry.let_in({"alice": OTHER})
        said = stage.run("refresh", code=1)
    assert f"{at} failed: " in said
    assert "the registry refuses the login of user alice" in said
    said = stage.run("refresh", code=1)
    assert f"{at} failed: " in said, "nobody knows whether it is good"
    assert "the registry refuses connections" in said


def test_what_is_not_there_or_not_ours_is_said_and_left(stage: Stage, namespace: str) -> None:
    at = f"onprem.pull-secret.prod/{namespace}/prod"
    assert f"{at} missing: there is no such secret yet: `reconciler apply` makes it" in stage.run("refresh")
    theirs = {"metadata": {"name": secret_name(stage)}, "data": {"a": "YQ=="}}
    stage.cluster.request("POST", f"/api/v1/namespaces/{namespace}/secrets", theirs)
    assert f"{at} foreign: the secret of that name is somebody else's" in stage.run("refresh")
    assert stage.secret(namespace, secret_name(stage))["data"] == {"a": "YQ=="}


def test_a_secret_of_a_type_that_no_kubelet_logs_in_with_is_not_renewed(stage: Stage, namespace: str) -> None:
    stage.apply()
    found, at = stage.secret(namespace, secret_name(stage)), f"/api/v1/namespaces/{namespace}/secrets"
    stage.cluster.request("DELETE", f"{at}/{secret_name(stage)}")
    metadata = {key: found["metadata"][key] for key in ("name", "annotations")}
    stage.cluster.request("POST", at, {"metadata": metadata, "type": "Opaque", "data": found["data"]})
    said = stage.run("refresh", code=1)
    assert "failed: it is of type Opaque, which no kubelet logs in with, and which can't be changed" in said
    assert "run `reconciler apply`, which makes it anew" in said
    drift = stage.run("drift", code=2)
    assert f"by hand: service account {namespace}/app in cluster prod can no longer pull any" in drift
    stage.apply()
    assert "good" in stage.run("refresh")


def test_get_and_patch_on_the_named_secret_suffice(stage: Stage, namespace: str, cluster_proxy: Proxy) -> None:
    stage.apply()
    stage.login_as("bob", OTHER)
    stage.reach("renewer", url=cluster_proxy.url)
    said = stage.run("refresh", code=1)
    assert f"user renewer may not get secret {secret_name(stage)} in namespace {namespace} of cluster prod" in said
    stage.cluster.allow_rules("renewer", namespace, *rules_of_the_example(secret_name(stage)))
    cluster_proxy.calls.clear()
    assert "renewed" in stage.run("refresh")
    assert "good" in stage.run("refresh")
    calls = [(call.operation, call.name) for call in cluster_proxy.calls if isinstance(call, KubernetesCall)]
    assert {*calls} == {("secrets:get", secret_name(stage)), ("secrets:patch", secret_name(stage))}


def test_two_at_once_are_in_nobody_s_way(stage: Stage, namespace: str, cluster_proxy: Proxy) -> None:
    stage.apply()
    stage.login_as("bob", OTHER)
    stage.reach(url=cluster_proxy.url)
    cluster_proxy.behaviours.append(Fails("secrets:patch", "409", times=2))
    assert "renewed" in stage.run("refresh")
    cluster_proxy.behaviours.append(Fails("secrets:patch", "409", lost=True))
    stage.login_as("alice", PASSWORD)
    assert "good" in stage.run("refresh"), "the other run has written the same"
    assert password(stage, namespace) == PASSWORD


def test_clusters_are_chosen_by_name(stage: Stage, namespace: str) -> None:
    stage.apply()
    assert "--cluster prd: the spec has no such cluster (did you mean 'prod'?)" in stage.run(
        "refresh", "--cluster", "prd", code=1
    )
    assert "--in-cluster is for one cluster" in stage.run("refresh", "--in-cluster", code=1)
    said = stage.run("refresh", "--cluster", "prod", "--in-cluster", code=1)
    assert "cluster prod can't be reached as from one of its own pods: KUBERNETES_SERVICE_HOST and" in said
    assert "`--in-cluster` and `in_cluster: true` are for a pod of the cluster" in said
    stage.document["clusters"].append({"name": "other", "context": "nowhere"})
    stage.write()
    assert "No grant of the spec makes a pull secret in cluster other." in stage.run("refresh", "--cluster", "other")


def test_a_pod_of_the_cluster_reaches_it_whatever_the_spec_says(stage: Stage, namespace: str) -> None:
    stage.apply()
    stage.login_as("bob", OTHER)
    stage.document["clusters"] = [{"name": "prod", "context": "of-ci"}, {"name": "other", "in_cluster": True}]
    stage.write()
    stage.run_in_a_pod("renewer")
    (rule,) = rules_of_the_example(secret_name(stage))
    stage.cluster.allow_rules("renewer", namespace, rule)
    assert "renewed: it held another one" in stage.run("refresh", "--cluster", "prod", "--in-cluster")
    assert password(stage, namespace) == OTHER
    assert "can't be reached as the spec says" in stage.run("refresh", "--cluster", "prod", code=1)


def rules_of_the_example(secret: str) -> list[dict[str, Any]]:
    """What the Roles of the example allow, of which each is the same, for a secret of another name."""
    objects = yaml.safe_load_all((EXAMPLE / "refresh.yaml").read_text())
    roles = [item["rules"] for item in objects if item["kind"] == "Role"]
    assert all(rules == roles[0] for rules in roles)
    return [{**rule, "resourceNames": [secret]} for rule in roles[0]]


def test_the_example_is_what_a_cluster_takes_and_its_role_is_the_smallest(stage: Stage) -> None:
    """Its objects are made with dryRun: the server validates them, and keeps nothing."""
    spec = yaml.safe_load((EXAMPLE / "registry.yaml").read_text())
    objects = [item for item in yaml.safe_load_all((EXAMPLE / "refresh.yaml").read_text()) if item]
    paths = {
        "Namespace": "namespaces",
        "ServiceAccount": "serviceaccounts",
        "Role": "roles",
        "RoleBinding": "rolebindings",
        "CronJob": "cronjobs",
    }
    groups = {
        "v1": "/api/v1",
        "rbac.authorization.k8s.io/v1": "/apis/rbac.authorization.k8s.io/v1",
        "batch/v1": "/apis/batch/v1beta1",
    }
    namespaces = {name: stage.cluster.namespace() for name in ("reconciler", "checkout", "billing")}
    for item in objects:
        body: dict[str, Any] = item
        base = groups[item["apiVersion"]]
        if item["kind"] == "CronJob":  # which kube-apiserver 1.20 has by its earlier name alone
            body = {**item, "apiVersion": "batch/v1beta1"}
        where = ""
        if "namespace" in item["metadata"]:
            real = namespaces[item["metadata"]["namespace"]]
            where, body = f"/namespaces/{real}", {**body, "metadata": {**item["metadata"], "namespace": real}}
        stage.cluster.request("POST", f"{base}{where}/{paths[item['kind']]}?dryRun=All&fieldValidation=Strict", body)
    (grant,) = spec["grants"]
    roles = {item["metadata"]["namespace"]: item["rules"] for item in objects if item["kind"] == "Role"}
    named = [f"{spec['name']}-{grant['name']}"]
    rule = {"apiGroups": [""], "resources": ["secrets"], "resourceNames": named, "verbs": ["get", "patch"]}
    assert roles == {namespace: [rule] for namespace in grant["to"]["namespaces"]}
    bound = {item["metadata"]["namespace"] for item in objects if item["kind"] == "RoleBinding"}
    assert bound == roles.keys()
    (job,) = (item for item in objects if item["kind"] == "CronJob")
    (container,) = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    assert container["args"] == ["refresh", "/spec/registry.yaml", "--cluster", "prod", "--in-cluster"]
    assert spec["clusters"][0]["name"] == "prod"
    pod = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    made = yaml.safe_load((EXAMPLE / "kustomization.yaml").read_text())
    assert all((EXAMPLE / name).is_file() for name in made["resources"])
    (files,) = made["configMapGenerator"]
    assert files["files"] == ["registry.yaml"]
    assert files["namespace"] == job["metadata"]["namespace"]
    (mounted,) = (item for item in pod["volumes"] if item["name"] == container["volumeMounts"][0]["name"])
    assert mounted["configMap"]["name"] == files["name"]
    account = (pod["serviceAccountName"], job["metadata"]["namespace"])
    bound_to = [item["subjects"] for item in objects if item["kind"] == "RoleBinding"]
    assert bound_to == [[{"kind": "ServiceAccount", "name": account[0], "namespace": account[1]}]] * len(bound)
