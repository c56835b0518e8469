"""Clusters of which one can't be looked at: what the others have is planned all the same."""

from __future__ import annotations

import pytest

from tests.emulators.proxy import Proxy
from tests.onprem import Stage, secret_name

DOWN = "cluster down can't be reached: nothing answers there"


@pytest.fixture
def down(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> str:
    """Adds a cluster to the spec at which nothing answers, with a grant in it, beside a grant in `prod`; the namespace of that."""
    monkeypatch.setattr("reconciler.platforms.kubernetes.connection.PATIENCE", 0.1)
    namespace = stage.cluster.namespace("app")
    stage.grant("prod", namespace, "app")
    stage.document["clusters"].append(
        {"name": "down", "kubeconfig": str(stage.cluster.kubeconfig(url="https://localhost:1"))}
    )
    to = {"type": "kubernetes", "cluster": "down", "namespaces": ["shop"], "service_accounts": ["app"]}
    stage.document["grants"].append({"name": "far", "registry": "onprem", "to": to})
    stage.write()
    return namespace


def test_what_is_wanted_in_a_cluster_that_is_down_is_in_the_way_of_itself_alone(stage: Stage, down: str) -> None:
    said = stage.plan(code=1)
    both = "onprem.link.down/shop/far/app, onprem.pull-secret.down/shop/far"
    assert f"{both}: {DOWN}; check the server in the kubeconfig, and the network" in said
    assert "Plan: 2 to create, 0 unchanged." in said
    assert "The plan can't be applied" in stage.apply(code=1)
    assert stage.secret(down, secret_name(stage)) is None
    # a glob may name what only the notes of a cluster have, so that each is asked
    stage.apply("--target", f"onprem.*.prod/{down}/*")
    assert stage.cluster.pull_secrets(down, "app") == [secret_name(stage)]
    assert DOWN in stage.apply("--target", "onprem.pull-secret.down/shop/far", code=1)
    assert "Drift: 2 problems, 2 unchanged." in stage.run("drift", code=1)


def test_a_target_asks_nothing_of_a_cluster_that_it_is_not_in(stage: Stage, down: str, cluster_proxy: Proxy) -> None:
    stage.document["clusters"][1]["kubeconfig"] = str(stage.cluster.kubeconfig(url=cluster_proxy.url))
    stage.write()
    said = stage.apply("--target", f"onprem.link.prod/{down}/prod/app")
    assert cluster_proxy.calls == []
    assert "left out" not in said, "nobody knows what there would be to do in a cluster that was not asked"
    assert stage.cluster.pull_secrets(down, "app") == [secret_name(stage)]


def test_a_registry_that_wants_nothing_there_is_planned_and_the_plan_says_what_it_has_not_seen(
    stage: Stage, down: str
) -> None:
    stage.document["grants"].pop()
    stage.write()
    said = stage.apply()
    assert f"{DOWN}: what grants that left the spec have made in cluster down stays as it is" in said
    assert stage.secret(down, secret_name(stage)) is not None


@pytest.mark.parametrize("how", ["destroy", "retired"])
def test_nothing_is_given_up_while_what_the_spec_has_in_a_cluster_can_not_be_seen(
    stage: Stage, down: str, how: str
) -> None:
    stage.apply("--target", f"onprem.link.prod/{down}/prod/app")
    if how == "retired":
        stage.document["registries"][0]["retired"] = True
        stage.write()
    said = stage.run("destroy" if how == "destroy" else "apply", "--yes", code=1)
    assert f"onprem.pull-secret.down/shop/far: {DOWN}" in said
    assert stage.secret(down, secret_name(stage)) is not None


def test_a_secret_that_may_not_be_read_is_in_the_way_of_itself_alone(stage: Stage) -> None:
    cluster = stage.cluster
    theirs, ours = cluster.namespace("app"), cluster.namespace("app")
    stage.grant("there", theirs, "app")
    stage.grant("here", ours, "app")
    notes = f"reconciler-{stage.document['name']}-notes"
    cluster.allow("reconciler", "default", ["get", "patch"], "configmaps", names=[notes])
    cluster.allow("reconciler", "default", ["create"], "configmaps")
    cluster.allow("reconciler", ours, ["get", "create", "patch"], "secrets", "serviceaccounts")
    cluster.allow("reconciler", theirs, ["get"], "serviceaccounts")
    stage.reach("reconciler")
    said = stage.plan(code=1)
    assert (
        f"onprem.pull-secret.prod/{theirs}/there: user reconciler may not get secrets in namespace {theirs} of cluster prod; allow"
        " get secrets there with a Role" in said
    )
    assert "Plan: 3 to create, 0 unchanged." in said
    stage.apply("--target", f"onprem.link.prod/{ours}/here/app")
    assert cluster.pull_secrets(ours, "app") == [secret_name(stage, "here")]
