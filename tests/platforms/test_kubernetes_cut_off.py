"""Who pulls by a secret that is gone, of no use, or not there yet: they lose and gain by it, though no link changes."""

from __future__ import annotations

import pytest

from reconciler.model.service import Credentials
from reconciler.platforms.kubernetes.login_document import KEY, written
from tests.onprem import OTHER, Stage, secret_name


@pytest.fixture
def namespace(stage: Stage) -> str:
    found = stage.cluster.namespace("app")
    stage.grant("prod", found, "app")
    return found


def overwrite(stage: Stage, namespace: str, value: str) -> None:
    at = f"/api/v1/namespaces/{namespace}/secrets/{secret_name(stage)}?fieldManager=a-person"
    stage.cluster.request("PATCH", at, {"data": {KEY: value}}, kind="application/merge-patch+json")


def test_who_loses_by_a_deleted_secret_is_said_and_gains_by_the_plan_that_makes_it_again(
    stage: Stage, namespace: str
) -> None:
    stage.apply()
    stage.cluster.request("DELETE", f"/api/v1/namespaces/{namespace}/secrets/{secret_name(stage)}")
    account = f"service account {namespace}/app in cluster prod"
    assert f"by hand: {account} can no longer pull any repository of the registry" in stage.run("drift", code=2)
    said = stage.plan("--out", "plan.json")
    assert f"Who gains access\n  + onprem: {account} can now pull all repositories of the registry" in said
    assert "Plan: 1 to create, 1 unchanged." in said
    assert f"{account} can now pull" in stage.apply("plan.json")
    assert "No changes." in stage.plan()


def test_so_it_is_by_one_that_holds_nothing_or_a_login_for_elsewhere(stage: Stage, namespace: str) -> None:
    stage.apply()
    elsewhere = written(Credentials("ghcr.io", "alice", "guessed", None))
    for value in ("e30=", elsewhere):
        overwrite(stage, namespace, value)
        drift = stage.run("drift", code=2)
        assert f"by hand: service account {namespace}/app in cluster prod can no longer pull any repository" in drift
    assert f"service account {namespace}/app in cluster prod can now pull all repositories" in stage.apply()


def test_by_a_login_that_nobody_knows_they_may_lose_it(stage: Stage, namespace: str) -> None:
    stage.apply()
    host = stage.registry.place
    overwrite(stage, namespace, written(Credentials(host, "mallory", "guessed", None)))
    drift = stage.run("drift", code=2)
    assert f"by hand: service account {namespace}/app in cluster prod may no longer be able to pull any" in drift
    stage.apply()
    # a rotation is nobody's doing, and the former login may be good for a while
    stage.login_as("bob", OTHER)
    assert "by hand" not in stage.run("drift", code=2)


def test_whoever_names_the_secret_before_it_is_there_gains_by_it(stage: Stage) -> None:
    name = secret_name(stage)
    namespace = stage.cluster.namespace("app")
    stage.cluster.service_account(namespace, "early", name)
    stage.grant("prod", namespace, "app", "early")
    said = stage.plan("--out", "plan.json")
    for account in ("app", "early"):
        assert f"service account {namespace}/{account} in cluster prod can now pull all repositories" in said
    stage.apply("plan.json")
    assert stage.plan().startswith("No changes.")
    assert stage.cluster.pull_secrets(namespace, "early") == [name]
