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
    assert f"onprem.note.down: {DOWN}: what grants that left the spec have made in cluster down stays as it is" in said
    assert stage.secret(down, secret_name(stage)) is not None
    assert "No changes yet, 1 pending." in stage.plan("--detailed-exitcode", code=2)
    assert "Drift: 1 pending, 2 unchanged." in stage.run("drift", code=2)


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


def test_what_has_left_the_spec_and_may_not_be_looked_at_is_pending(stage: Stage) -> None:
    """Nobody must believe that access is revoked which is not."""
    cluster = stage.cluster
    namespace, stays = cluster.namespace("app"), cluster.namespace("app")
    stage.grant("prod", namespace, "app")
    stage.document["grants"][0]["to"]["namespaces"].append(stays)
    stage.write()
    stage.apply()
    notes = f"reconciler-{stage.document['name']}-notes"
    cluster.allow("reconciler", "default", ["get", "patch"], "configmaps", names=[notes])
    cluster.allow("reconciler", stays, ["get", "patch"], "secrets", "serviceaccounts")
    stage.document["grants"][0]["to"]["namespaces"] = [stays]
    stage.reach("reconciler")
    made = "an earlier apply has made it, and it stays as it is, since it can't be looked at"
    for said in (stage.run("drift", code=2), stage.plan("--detailed-exitcode", code=2), stage.apply()):
        assert (
            f"onprem.pull-secret.prod/{namespace}/prod: {made}: user reconciler may not get secret {secret_name(stage)}"
            in said
        )
        assert f"onprem.link.prod/{namespace}/prod/app: {made}: user reconciler may not get service account app" in said
        assert "run `reconciler apply` again then" in said
        assert "No drift" not in said
        assert "No changes." not in said
    cluster.allow("reconciler", namespace, ["get", "patch", "delete"], "secrets", "serviceaccounts")
    stage.apply()
    assert cluster.pull_secrets(namespace, "app") == []
    assert stage.plan().startswith("No changes. 2 resources")


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
    said, name = stage.plan(code=1), secret_name(stage, "there")
    assert (
        f"onprem.pull-secret.prod/{theirs}/there: user reconciler may not get secret {name} in namespace {theirs} of cluster prod;"
        f" give that user a Role there with the verb get on secrets, by the name {name};" in said
    )
    assert "Plan: 3 to create, 0 unchanged." in said
    stage.apply("--target", f"onprem.link.prod/{ours}/here/app")
    assert cluster.pull_secrets(ours, "app") == [secret_name(stage, "here")]


def test_nothing_is_made_while_the_namespace_of_the_notes_is_not_there(stage: Stage) -> None:
    cluster = stage.cluster
    namespace = cluster.namespace("app")
    stage.grant("prod", namespace, "app")
    home = f"{namespace}-notes"
    stage.document["clusters"][0]["namespace"] = home
    stage.write()
    both = f"onprem.link.prod/{namespace}/prod/app, onprem.pull-secret.prod/{namespace}/prod"
    said = stage.apply()
    assert (
        f"{both}: namespace {home} of cluster prod, in which the spec notes what it makes there, does not exist" in said
    )
    assert said.startswith("No changes yet, 2 pending.")
    assert "Nothing to destroy." in stage.plan("--destroy")
    cluster.request("POST", "/api/v1/namespaces", {"metadata": {"name": home}})
    assert "Apply: 2 done." in stage.apply()
    # notes that are to be elsewhere make nothing of what is there go
    stage.document["clusters"][0]["namespace"] = f"{home}-later"
    stage.write()
    assert "No changes yet, 2 pending." in stage.plan("--detailed-exitcode", code=2)
    assert stage.secret(namespace, secret_name(stage)) is not None
