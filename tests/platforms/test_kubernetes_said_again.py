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


# -- what stands in the place of a secret of ours -----------------------------------------------------------------


@pytest.mark.parametrize("command", [["apply", "--yes"], ["destroy", "--yes"]])
def test_a_secret_of_others_by_a_name_that_is_noted_stays_and_gives_nothing_and_the_note_goes(
    stage: Stage, command: list[str]
) -> None:
    namespace = stage.cluster.namespace("app")
    stage.grant("prod", namespace, "app")
    stage.apply()
    stage.cluster.request("DELETE", secret_at(stage, namespace))
    theirs = {"metadata": {"name": secret_name(stage)}, "data": {"key": "eA=="}}
    stage.cluster.request("POST", f"/api/v1/namespaces/{namespace}/secrets", theirs)
    assert "already exists and has no owner" in stage.plan(code=6)
    if command[0] == "apply":
        stage.document["grants"].clear()
        stage.write()
    said = stage.run(*command)
    assert stage.secret(namespace, secret_name(stage)) is not None
    assert "whoever uses pull-secret" not in said, said
    assert notes_of(stage) is None
    assert stage.cluster.pull_secrets(namespace, "app") == []


def test_a_login_that_others_have_put_in_the_place_of_a_secret_is_named_as_theirs(stage: Stage) -> None:
    namespace = stage.cluster.namespace("app")
    stage.grant("prod", namespace, "app")
    stage.apply()
    held = stage.secret(namespace, secret_name(stage))
    assert held is not None
    stage.cluster.request("DELETE", secret_at(stage, namespace))
    theirs = {"metadata": {"name": secret_name(stage)}, "type": held["type"], "data": held["data"]}
    stage.cluster.request("POST", f"/api/v1/namespaces/{namespace}/secrets", theirs)
    stage.document["grants"].clear()
    stage.write()
    stage.apply()
    assert f"whoever uses pull-secret prod/{namespace}/prod can pull all repositories of the registry" in stage.plan()
