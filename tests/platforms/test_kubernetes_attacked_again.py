"""What was found by attacking pull secrets and external registries once more: each test says what should be."""

from __future__ import annotations

import pytest

from tests.onprem import Stage, login_in, secret_name

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
