"""What becomes of a saved plan when a secret is written between its review and its apply, and what plan and drift call each state."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from reconciler.platforms.kubernetes.connection import MANAGER
from reconciler.platforms.kubernetes.login_document import KEY
from reconciler.platforms.kubernetes.written_by import by_others, last_writer, ours
from tests.onprem import OTHER, PASSWORD, Stage, login_in, secret_name

PLAN = "plan.json"
MERGE = "application/merge-patch+json"
OUTDATED = (
    "nobody has changed it since the last apply, but the login that it holds ends, or is to be another one by now"
)
BY_HAND = "changed since the last apply, by hand or by an interrupted apply"


@pytest.fixture
def namespace(stage: Stage) -> str:
    """A namespace whose grant has been applied."""
    namespace = stage.cluster.namespace("app")
    stage.grant("prod", namespace, "app")
    stage.apply()
    return namespace


def write(stage: Stage, namespace: str, login: str, *, manager: str = "a-person") -> None:
    """Somebody writes a login into the secret."""
    host = stage.registry.url.removeprefix("https://")
    document = {"auths": {host: {"auth": base64.b64encode(login.encode()).decode()}}}
    text = base64.b64encode(json.dumps(document).encode()).decode()
    at = f"/api/v1/namespaces/{namespace}/secrets/{secret_name(stage)}?fieldManager={manager}"
    stage.cluster.request("PATCH", at, {"data": {KEY: text}}, kind=MERGE)


def password(stage: Stage, namespace: str) -> str:
    """The password in the secret."""
    (entry,) = login_in(stage.secret(namespace, secret_name(stage)))["auths"].values()
    return base64.b64decode(entry["auth"]).decode().partition(":")[2]


def test_a_login_that_somebody_else_wrote_since_is_named_with_who_wrote_it(stage: Stage, namespace: str) -> None:
    stage.login_as("bob", OTHER)
    stage.plan("--out", PLAN)
    write(stage, namespace, "mallory:guessed")
    said = stage.run("apply", PLAN, "--yes", code=4)
    assert f"onprem.pull-secret.prod/{namespace}/prod: somebody else has written it since the plan was made; " in said
    assert "what it holds was last written by a-person at 20" in said
    assert password(stage, namespace) == "guessed"


def test_a_second_write_of_the_same_hand_in_the_same_second_is_one_too(stage: Stage, namespace: str) -> None:
    write(stage, namespace, "mallory:guessed")
    stage.plan("--out", PLAN)
    write(stage, namespace, "mallory:another")
    assert "somebody else has written it" in stage.run("apply", PLAN, "--yes", code=4)
    assert password(stage, namespace) == "another"


def test_what_somebody_else_wrote_before_the_plan_is_what_was_reviewed(stage: Stage, namespace: str) -> None:
    write(stage, namespace, "mallory:guessed")
    stage.plan("--out", PLAN)
    stage.run("apply", PLAN, "--yes")
    assert password(stage, namespace) == PASSWORD
    write(stage, namespace, "mallory:guessed")
    stage.document["grants"].clear()
    stage.write()
    stage.plan("--out", PLAN)
    stage.run("apply", PLAN, "--yes")
    assert stage.secret(namespace, secret_name(stage)) is None


def test_a_secret_that_was_to_go_and_was_written_since_stays(stage: Stage, namespace: str) -> None:
    stage.document["grants"].clear()
    stage.write()
    stage.plan("--out", PLAN)
    write(stage, namespace, "mallory:guessed")
    assert "somebody else has written it since the plan was made" in stage.run("apply", PLAN, "--yes", code=4)
    assert password(stage, namespace) == "guessed"


@pytest.mark.parametrize("by_hand", [True, False])
def test_a_refresh_in_between_makes_no_plan_stale(stage: Stage, namespace: str, by_hand: bool) -> None:
    stage.login_as("bob", OTHER)
    if by_hand:
        write(stage, namespace, "mallory:guessed")
    stage.plan("--out", PLAN)
    assert "renewed" in stage.run("refresh")
    stage.run("apply", PLAN, "--yes")
    assert password(stage, namespace) == OTHER


def test_what_a_hand_has_put_right_is_not_said_to_have_been_applied(stage: Stage, namespace: str) -> None:
    write(stage, namespace, "mallory:guessed")
    stage.plan("--out", PLAN)
    write(stage, namespace, f"alice:{PASSWORD}")
    said = stage.run("apply", PLAN, "--yes", code=4)
    assert "this plan has been applied" not in said


@pytest.mark.parametrize("command", ["plan", "drift"])
def test_a_rotated_login_is_outdated_and_by_nobody_s_hand(stage: Stage, namespace: str, command: str) -> None:
    stage.login_as("bob", OTHER)
    said = stage.run(command, code=None)
    assert OUTDATED in said
    assert "an apply renews it, and so does `reconciler refresh`" in said
    assert "by hand" not in said
    if command == "drift":
        assert "Drift: 1 outdated, 1 unchanged." in said


@pytest.mark.parametrize("command", ["plan", "drift"])
def test_a_login_that_somebody_wrote_is_drift(stage: Stage, namespace: str, command: str) -> None:
    write(stage, namespace, "mallory:guessed")
    said = stage.run(command, code=None)
    assert BY_HAND in said
    assert OUTDATED not in said


def test_a_hand_within_the_second_of_the_apply_is_seen(stage: Stage, namespace: str) -> None:
    """Times in `managedFields` are seconds: it is the fields that say who has written last."""
    for _ in range(3):
        write(stage, namespace, "mallory:guessed")
        assert "what it holds was last written by a-person" in stage.run("drift", code=2)
        stage.apply()
        assert "No changes" in stage.plan()


def test_a_saved_plan_of_an_outdated_login_is_read_again(stage: Stage, namespace: str) -> None:
    stage.login_as("bob", OTHER)
    stage.plan("--out", PLAN)
    changes = json.loads((stage.reconciler.folder / PLAN).read_text())["changes"]
    assert [item["cause"] for item in changes] == ["outdated"]
    assert OUTDATED in stage.run("show", PLAN)
    stage.run("apply", PLAN, "--yes")
    assert password(stage, namespace) == OTHER


def entry(manager: str, fields: dict[str, Any], time: str = "2026-11-28T09:00:00Z") -> dict[str, Any]:
    return {"manager": manager, "time": time, "fieldsV1": {"f:data": fields}}


def written(*entries: dict[str, Any]) -> dict[str, Any]:
    return {"metadata": {"managedFields": list(entries)}}


def test_whoever_has_the_field_has_written_it_last_whatever_the_time() -> None:
    left: dict[str, Any] = {".": {}}
    taken: dict[str, Any] = {f"f:{KEY}": {}}
    orders: list[Callable[[list[Any]], list[Any]]] = [list, lambda items: items[::-1]]
    for order in orders:
        theirs = written(*order([entry(MANAGER, left), entry("a-person", taken)]))
        assert last_writer(theirs, "f:data") == ("a-person", "2026-11-28T09:00:00Z")
        assert not ours(theirs, "f:data")
        again = written(*order([entry(MANAGER, taken), entry("a-person", left)]))
        assert ours(again, "f:data")
        assert by_others(again, "f:data", "what it holds") == ()
    assert not ours({"metadata": {}}, "f:data"), "nobody knows"
