"""What somebody found who used pull secrets with the docs alone."""

from __future__ import annotations

import pytest

from tests.onprem import Stage


def two_registries(stage: Stage, namespace: str) -> None:
    """A grant of each of two registries to one service account."""
    first = stage.document["registries"][0]
    stage.document["registries"].append({**first, "name": "second"})
    stage.grant("one", namespace, "app")
    to = stage.document["grants"][0]["to"]
    stage.document["grants"].append({"name": "two", "registry": "second", "to": to})
    stage.write()


def test_a_service_account_may_pull_from_several_registries(stage: Stage) -> None:
    namespace = stage.cluster.namespace("app")
    two_registries(stage, namespace)
    stage.apply()
    name = stage.document["name"]
    assert sorted(stage.cluster.pull_secrets(namespace, "app")) == [f"{name}-one", f"{name}-two"]
    assert "No changes. 4 resources match the spec." in stage.plan()
    stage.document["grants"].pop(0)
    stage.write()
    stage.apply()
    assert stage.cluster.pull_secrets(namespace, "app") == [f"{name}-two"]
    assert stage.secret(namespace, f"{name}-two") is not None
    stage.run("destroy", "--yes")
    assert stage.cluster.pull_secrets(namespace, "app") == []


@pytest.mark.parametrize("way", ["retired", "both"])
def test_what_two_registries_give_one_service_account_is_given_up_by_each(stage: Stage, way: str) -> None:
    namespace = stage.cluster.namespace("app")
    two_registries(stage, namespace)
    stage.apply()
    if way == "retired":
        stage.document["registries"][1]["retired"] = True
    else:
        stage.document["grants"].clear()
    stage.write()
    stage.apply()
    left = [] if way == "both" else [f"{stage.document['name']}-one"]
    assert stage.cluster.pull_secrets(namespace, "app") == left
    assert "No changes." in stage.plan()
