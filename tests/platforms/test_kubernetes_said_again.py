"""What is said of pull secrets, and how to let go of what nobody can look at any more."""

from __future__ import annotations

import json

import pytest

from tests.onprem import Stage, notes_of, secret_name


def secret_at(stage: Stage, namespace: str, grant: str = "prod") -> str:
    return f"/api/v1/namespaces/{namespace}/secrets/{secret_name(stage, grant)}"


# -- what can be let go of ----------------------------------------------------------------------------------------


@pytest.fixture
def gone(stage: Stage) -> str:
    """A namespace that is deleted together with its Role, of a grant that left the spec; another one stays."""
    cluster = stage.cluster
    gone, stays = cluster.namespace("app"), cluster.namespace("app")
    stage.grant("prod", gone, "app")
    stage.grant("stays", stays, "app")
    stage.apply()
    notes = f"reconciler-{stage.document['name']}-notes"
    cluster.allow("reconciler", "default", ["get", "patch", "delete"], "configmaps", names=[notes])
    cluster.allow("reconciler", stays, ["get", "patch", "delete"], "secrets", "serviceaccounts")
    cluster.request("DELETE", secret_at(stage, gone))
    cluster.request("DELETE", f"/api/v1/namespaces/{gone}/serviceaccounts/app")
    cluster.request("DELETE", f"/api/v1/namespaces/{gone}")
    found = cluster.request("GET", f"/api/v1/namespaces/{gone}")
    found["spec"]["finalizers"] = []
    cluster.request("PUT", f"/api/v1/namespaces/{gone}/finalize", found)
    del stage.document["grants"][0]
    stage.reach("reconciler")
    return gone


def test_what_was_made_in_a_namespace_that_is_gone_with_its_role_can_be_taken_out_of_the_notes(
    stage: Stage, gone: str
) -> None:
    said = stage.apply()
    assert "give that user a Role there" not in said, "nobody can in a namespace that is gone"
    assert f"if namespace {gone} is gone, let that user get namespaces, or take pull-secret." in said
    at = f"/api/v1/namespaces/default/configmaps/reconciler-{stage.document['name']}-notes"
    data = stage.cluster.request("GET", at)["data"]
    named = [key for key, text in data.items() if gone in json.loads(text)["name"]]
    assert all(f"take {key} out of ConfigMap {at.rpartition('/')[2]} in namespace default" in said for key in named)
    body = {"data": dict.fromkeys(named)}
    stage.cluster.request("PATCH", at, body, kind="application/merge-patch+json")
    assert stage.plan("--detailed-exitcode").startswith("No changes. 2 resources")


def test_whoever_may_get_namespaces_sees_that_one_is_gone_and_its_notes_go(stage: Stage, gone: str) -> None:
    stage.cluster.allow("reconciler", "", ["get"], "namespaces")
    stage.apply()
    assert gone not in str(notes_of(stage))
    assert stage.plan("--detailed-exitcode").startswith("No changes. 2 resources")


def test_a_cluster_that_is_down_and_of_which_the_spec_has_nothing_is_pending_once(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reconciler.platforms.kubernetes.connection.PATIENCE", 0.1)
    there = dict(stage.document["registries"][0], name="second")
    there["url"] = there["url"].replace("localhost", "127.0.0.1")
    stage.document["registries"].append(there)
    down = {"name": "down", "kubeconfig": str(stage.cluster.kubeconfig(url="https://localhost:1"))}
    stage.document["clusters"].append(down)
    stage.write()
    said = stage.run("drift", code=2)
    assert "onprem.note.down: cluster down can't be reached" in said
    assert "second.note.down" not in said, said
    assert "take it out of the spec if it is gone for good, or the spec has never made anything there" in said
    assert "second.note.down: cluster down can't be reached" in stage.plan("--target", "second.*")
    stage.document["clusters"].pop()
    stage.write()
    assert "No drift" in stage.run("drift")
