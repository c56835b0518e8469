"""What was found by attacking pull secrets and external registries once more: each test says what should be."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from reconciler.platforms.kubernetes import run_within
from tests.cluster import await_that
from tests.emulators.kubernetes import Fails
from tests.emulators.proxy import Proxy
from tests.onprem import OTHER, Stage, login_in, notes_of, secret_name

MERGE = "application/merge-patch+json"


def second(stage: Stage) -> None:
    """Another registry of the spec: the same server by another host."""
    there = dict(stage.document["registries"][0], name="second")
    there["url"] = there["url"].replace("localhost", "127.0.0.1")
    stage.document["registries"].append(there)
    stage.write()


def to_second(stage: Stage, name: str) -> None:
    """A grant is on the other registry from now on."""
    for grant in stage.document["grants"]:
        if grant["name"] == name:
            grant["registry"] = "second"
    stage.write()


def secret_at(stage: Stage, namespace: str, grant: str = "prod") -> str:
    return f"/api/v1/namespaces/{namespace}/secrets/{secret_name(stage, grant)}"


def account_at(namespace: str) -> str:
    return f"/api/v1/namespaces/{namespace}/serviceaccounts/app"


def rename(stage: Stage, name: str = "harbor") -> None:
    """The registry has another name in the spec."""
    stage.document["registries"][0]["name"] = name
    for item in (*stage.document["grants"], *stage.document["repositories"]):
        item["registry"] = name
    stage.write()


@pytest.fixture
def namespace(stage: Stage) -> str:
    """A namespace whose grant has been applied, in a spec of two registries."""
    namespace = stage.cluster.namespace("app")
    stage.grant("prod", namespace, "app")
    second(stage)
    stage.apply()
    return namespace


# -- A: refresh does what a plan refuses --------------------------------------------------------------------------


def test_refresh_does_not_move_a_grant_that_no_plan_moves(stage: Stage, namespace: str) -> None:
    to_second(stage, "prod")
    assert "does not move in one apply from registry onprem to second" in stage.plan(code=1)
    before = login_in(stage.secret(namespace, secret_name(stage)))
    said = stage.run("refresh", code=1)
    assert login_in(stage.secret(namespace, secret_name(stage))) == before, said
    assert "renewed" not in said
    assert "belongs to registry onprem" in said


# -- B: a grant moves to another registry once nothing of it is there any more -------------------------------------


@pytest.mark.parametrize("linked", [True, False])
def test_a_grant_that_moves_after_its_secret_was_deleted_loses_no_entry(
    stage: Stage, namespace: str, linked: bool
) -> None:
    to_second(stage, "prod")
    stage.cluster.request("DELETE", secret_at(stage, namespace))
    if not linked:
        stage.cluster.request("PATCH", account_at(namespace), {"imagePullSecrets": []}, kind=MERGE)
    said = stage.run("apply", "--yes", code=int(linked))
    assert stage.cluster.pull_secrets(namespace, "app") == [secret_name(stage)], said
    if linked:
        assert "does not move in one apply from registry onprem to second" in said
        return
    assert stage.secret(namespace, secret_name(stage)) is not None, said
    assert "No changes." in stage.plan()
    stage.document["grants"].clear()
    stage.write()
    stage.apply()
    assert stage.cluster.pull_secrets(namespace, "app") == []
    assert notes_of(stage) is None


def test_a_delete_takes_no_secret_that_another_registry_has_made_meanwhile(
    stage: Stage, namespace: str, cluster_proxy: Proxy
) -> None:
    stage.cluster.request("DELETE", secret_at(stage, namespace))
    stage.document["grants"].clear()
    stage.reach(url=cluster_proxy.url)

    class Makes:
        looks = 0

        def before(self, call: Any) -> None:
            self.looks += call.operation == "secrets:get"
            if call.operation == "secrets:get" and self.looks == 3:  # the plan has looked, and apply before it deletes
                marks = {
                    "reconciler-owner": stage.document["name"],
                    "reconciler-origin": "spec",
                    "reconciler-registry": "second",
                    "reconciler-namespace": namespace,
                    "reconciler-grant": "prod",
                }
                body = {"metadata": {"name": secret_name(stage), "annotations": marks}}
                stage.cluster.request("POST", f"/api/v1/namespaces/{namespace}/secrets", body)

        def after(self, call: Any) -> None:
            return None

    cluster_proxy.behaviours.append(Makes())
    said = stage.run("apply", "--yes", code=None)
    assert stage.secret(namespace, secret_name(stage)) is not None, said


# -- C: a registry with another name whose secret was deleted by hand ----------------------------------------------


def test_a_renamed_registry_whose_secret_was_deleted_keeps_its_links(stage: Stage) -> None:
    namespace = stage.cluster.namespace("app")
    stage.grant("prod", namespace, "app")
    stage.apply()
    rename(stage)
    stage.cluster.request("DELETE", secret_at(stage, namespace))
    said = stage.apply()
    assert f"harbor: service account {namespace}/app in cluster prod can now pull" in said
    assert "No changes." in stage.plan()
    stage.document["grants"].clear()
    stage.write()
    said = stage.apply()
    assert stage.cluster.pull_secrets(namespace, "app") == [], said
    assert notes_of(stage) is None


# -- D: access that can't be taken away ---------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["link.prod/{}/prod/app", "pull-secret.prod/{}/prod", ""])
def test_what_another_registry_gives_the_same_account_is_not_in_the_way_of_a_revocation(
    stage: Stage, namespace: str, cluster_proxy: Proxy, target: str
) -> None:
    stage.document["grants"].clear()
    stage.grant("other", namespace, "app")
    to_second(stage, "other")
    if target:
        theirs = {"metadata": {"name": secret_name(stage, "other")}}
        stage.cluster.request("POST", f"/api/v1/namespaces/{namespace}/secrets", theirs)
        said = stage.run("apply", "--yes", "--target", f"onprem.{target.format(namespace)}")
    else:  # also where it fails on the way
        stage.reach(url=cluster_proxy.url)
        cluster_proxy.behaviours.append(Fails("secrets:create", "403"))
        said = stage.apply(code=1)
    assert stage.cluster.pull_secrets(namespace, "app") == [], said


# -- E: a renamed grant whose new secret waits --------------------------------------------------------------------


def test_a_renamed_grant_leaves_the_old_secret_while_the_new_one_can_not_be_made(stage: Stage, namespace: str) -> None:
    at = f"/api/v1/namespaces/{namespace}/secrets"
    waiting = {"metadata": {"name": secret_name(stage, "live"), "finalizers": ["example.com/x"]}}
    stage.cluster.request("POST", at, waiting)
    stage.cluster.request("DELETE", secret_at(stage, namespace, "live"))
    stage.document["grants"][0]["name"] = "live"
    stage.write()
    said = stage.apply()
    assert stage.cluster.pull_secrets(namespace, "app") == [secret_name(stage)], said
    assert stage.secret(namespace, secret_name(stage)) is not None, said
    assert f"it stays until onprem.link.prod/{namespace}/live/app takes its place" in said
    assert "4 pending" in said
    free = {"metadata": {"finalizers": None}}
    stage.cluster.request("PATCH", secret_at(stage, namespace, "live"), free, kind=MERGE)
    stage.apply()
    assert stage.cluster.pull_secrets(namespace, "app") == [secret_name(stage, "live")]
    assert stage.secret(namespace, secret_name(stage)) is None
    assert "No changes." in stage.plan()


# -- F: who gets another login by a renaming ----------------------------------------------------------------------


@pytest.mark.parametrize("command", ["review", "plan"])
def test_a_grant_renamed_together_with_its_login_gives_another_login(
    stage: Stage, namespace: str, command: str
) -> None:
    text = (stage.reconciler.folder / "registry.yaml").read_text()
    (stage.reconciler.folder / "base.yaml").write_text(text)
    stage.monkeypatch.setenv("ADMIN_USER", "bob")
    stage.monkeypatch.setenv("ADMIN_PASSWORD", OTHER)
    arguments = ["review", "--base", "base.yaml"] if command == "review" else ["plan", "--out", "plan.json"]
    gains = "can now do what the login in ADMIN_USER and ADMIN_PASSWORD may"
    stage.document["grants"][0]["name"] = "live"
    stage.write()
    assert gains not in stage.run(*arguments)  # with the same login
    admin = {"env": {"username": "ADMIN_USER", "password": "ADMIN_PASSWORD"}}
    stage.document["registries"][0]["credentials"] = admin
    stage.write()
    said = stage.run(*arguments, code=None)
    assert f"whoever uses pull-secret prod/{namespace}/live {gains}" in said
    assert "Nobody gains or loses access" not in said
    if command == "plan":
        assert gains in stage.run("show", "plan.json")
        only = f"onprem.pull-secret.prod/{namespace}/live"
        stage.plan("--target", only, "--out", "plan.json")
        stage.run("apply", "plan.json", "--yes")


# -- G: whose access ends with a secret, where its account can not be read --------------------------------------


def test_who_may_lose_by_a_secret_that_goes_is_said_where_its_account_can_not_be_read(
    stage: Stage, namespace: str
) -> None:
    notes = f"reconciler-{stage.document['name']}-notes"
    stage.cluster.allow("reconciler", "default", ["get", "patch", "delete"], "configmaps", names=[notes])
    stage.cluster.allow("reconciler", namespace, ["get", "patch", "delete"], "secrets")
    stage.document["grants"].clear()
    stage.reach("reconciler")
    said = stage.plan()
    assert f"-   pull-secret prod/{namespace}/prod" in said
    assert f"service account {namespace}/app in cluster prod may" in said
    assert "Nobody gains or loses access" not in said, said


# -- I: a registry that refuses the login -------------------------------------------------------------------------


def test_a_login_that_is_refused_is_in_the_way_of_a_secret_that_is_to_be_made(stage: Stage, namespace: str) -> None:
    other = stage.cluster.namespace("app")
    stage.document["grants"][0]["to"]["namespaces"] = [other]
    stage.document["registries"].pop()
    stage.write()
    stage.login_as("alice", "wrong")
    said = stage.run("plan", "--detailed-exitcode", code=None)
    assert "The plan can't be applied" in said, said
    assert f"onprem.pull-secret.prod/{other}/prod: the registry refuses the login of user alice" in said
    stage.apply("--target", f"onprem.link.prod/{namespace}/*", "--target", f"onprem.pull-secret.prod/{namespace}/*")
    assert stage.secret(namespace, secret_name(stage)) is None


# -- J: a mark that names no registry of the spec -----------------------------------------------------------------


def mark(stage: Stage, namespace: str, name: str = "harbor") -> None:
    """The secret's mark says the new name, as kubernetes.md has it."""
    body = {"metadata": {"annotations": {"reconciler-registry": name}}}
    stage.cluster.request("PATCH", secret_at(stage, namespace), body, kind=MERGE)


def test_what_a_hand_has_marked_for_a_registry_that_is_not_there_is_named(stage: Stage, namespace: str) -> None:
    mark(stage, namespace, "gone")
    stage.document["grants"].clear()
    stage.write()
    for command in (["apply", "--yes"], ["plan"], ["destroy", "--yes"]):
        said = stage.run(*command)
        assert f"onprem.pull-secret.prod/{namespace}/prod: secret {secret_name(stage)} in namespace {namespace}" in said
        assert "its mark reconciler-registry says 'gone', which the spec does not have" in said
    mark(stage, namespace, "onprem")
    stage.apply()
    assert stage.secret(namespace, secret_name(stage)) is None
    assert notes_of(stage) is None


# -- K: a plugin whose run is ended -------------------------------------------------------------------------------


def test_a_plugin_ends_with_whoever_runs_it(tmp_path: Path) -> None:
    marker, program = tmp_path / "pid", tmp_path / "plugin.sh"
    program.write_text(f"#!/bin/sh\necho $$ > {marker}.new\nmv {marker}.new {marker}\nexec sleep 300\n")
    program.chmod(0o755)
    command = [sys.executable, "-I", "-S", run_within.__file__, "60", "60", str(program)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        await_that(marker.exists)
        process.terminate()
        pid = int(marker.read_text())
        process.wait()
        left = Path(f"/proc/{pid}").exists()
        if left:
            os.kill(pid, signal.SIGKILL)
    assert not left


# -- M: what is retired, and is pending ---------------------------------------------------------------------------


def test_a_retired_registry_is_not_said_to_have_nothing_left_while_something_is_pending(stage: Stage) -> None:
    namespace = stage.cluster.namespace("app")
    stage.grant("prod", namespace, "app")
    stage.apply()
    notes = f"reconciler-{stage.document['name']}-notes"
    stage.cluster.allow("reconciler", "default", ["get", "patch", "delete"], "configmaps", names=[notes])
    stage.document["grants"].clear()
    stage.document["registries"][0]["retired"] = True
    stage.reach("reconciler")
    said = stage.apply()
    assert stage.secret(namespace, secret_name(stage)) is not None
    assert f"onprem.pull-secret.prod/{namespace}/prod: an earlier apply has made it, and it stays" in said
    assert "nothing of it is left; take it out of the spec" not in said


# -- L: what leaves the spec together with the name of its registry ------------------------------------------------


@pytest.mark.parametrize("unlinked", [True, False])
def test_what_leaves_with_the_name_of_its_registry_goes_by_its_mark(stage: Stage, unlinked: bool) -> None:
    one, two = stage.cluster.namespace("app"), stage.cluster.namespace("app")
    stage.grant("prod", one, "app")
    stage.document["grants"][0]["to"]["namespaces"].append(two)
    second(stage)
    stage.apply()
    rename(stage)
    mark(stage, one)
    mark(stage, two)
    if unlinked:
        stage.cluster.request("PATCH", account_at(two), {"imagePullSecrets": []}, kind=MERGE)
    stage.document["grants"][0]["to"]["namespaces"].remove(two)
    stage.write()
    said = stage.apply()
    if not unlinked:
        assert f"harbor: service account {two}/app in cluster prod can no longer pull" in said
    assert "pending" not in said
    assert stage.secret(two, secret_name(stage)) is None, said
    assert stage.cluster.pull_secrets(two, "app") == []
    assert two not in str(notes_of(stage))
    assert stage.cluster.pull_secrets(one, "app") == [secret_name(stage)]
    assert "No changes." in stage.plan("--detailed-exitcode")


def test_what_leaves_with_the_name_of_its_registry_and_is_not_marked_is_named(stage: Stage) -> None:
    one, two = stage.cluster.namespace("app"), stage.cluster.namespace("app")
    stage.grant("prod", one, "app")
    stage.document["grants"][0]["to"]["namespaces"].append(two)
    stage.write()
    stage.apply()
    rename(stage)
    mark(stage, one)
    stage.document["grants"][0]["to"]["namespaces"].remove(two)
    stage.write()
    stage.apply()
    assert f"onprem.pull-secret.prod/{two}/prod: it was made for registry onprem" in stage.plan()
    mark(stage, two)
    stage.apply()
    assert stage.secret(two, secret_name(stage)) is None
