"""A replacement whose delete goes on when its end is asked for in vain: what others had there is not forgotten."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.emulators.gcp import Fails, Server
from tests.sandbox.base import Document
from tests.sandbox.gcp import ELSEWHERE, LOCATION, PROJECT, GcpSandbox, key

REPOSITORY = f"projects/{PROJECT}/locations/{LOCATION}/repositories/images-app-a"
STRANGER = "user:stranger@example.com"


@pytest.mark.parametrize("code", ["PERMISSION_DENIED", "NOT_FOUND", "UNAUTHENTICATED", ""])
def test_what_others_had_outlives_a_delete_whose_end_is_not_known(
    gcp: GcpSandbox, stand_in: Server, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    """Without a code, it takes longer than it may."""
    gcp.apply(gcp.document("app-a"))
    gcp.estate.change(REPOSITORY, "labels", lambda found: {**found, "cost": "42"})
    binding = {"role": "roles/artifactregistry.repoAdmin", "members": [STRANGER]}
    gcp.estate.change_policy(REPOSITORY, lambda found: found.append(binding))
    document = gcp.document(
        {"name": "app-a", "encryption": key("one"), "delete_images": True}, guards={"max_deletes": "100%"}
    )
    plan = gcp.plan(document, allow_delete=["images.repository.app-a"])
    stand_in.cloud.state.knobs.operation_calls = 8
    if code:
        stand_in.behaviours.append(Fails("GetOperation", code))
    else:
        monkeypatch.setattr("reconciler.platforms.gcp.session.OPERATION", 0.3)
    assert any(item.message for item in gcp.carry_out(plan))
    stand_in.behaviours.clear()
    stand_in.cloud.state.knobs.operation_calls = 0
    monkeypatch.setattr("reconciler.platforms.gcp.session.OPERATION", 600.0)
    for _ in range(20):  # Google goes on by itself
        stand_in.cloud.state.tick()
    assert gcp.estate.repositories() == []
    for _ in range(3):
        plan = gcp.plan(document, allow_delete=["images.repository.app-a"])
        gcp.carry_out(plan)
    assert gcp.plan(document).changes == ()
    assert gcp.estate.settings(REPOSITORY)["labels"]["cost"] == "42"
    assert STRANGER in str(gcp.estate.policy(REPOSITORY))


MOVES: dict[str, Document] = {
    "location": {"registry": {"location": ELSEWHERE}},
    "layout": {"registry": {"layout": "shared"}},
    "removed": {"repositories": []},
    "retired": {"registry": {"retired": True}, "repositories": []},
}


def cut_off(gcp: GcpSandbox, stand_in: Server) -> str:
    """A replacement of which the delete is done and the create is refused; the path of the file that keeps what others had there."""
    gcp.apply(gcp.document("app-a"))
    gcp.estate.change(REPOSITORY, "labels", lambda found: {**found, "cost": "42"})
    binding = {"role": "roles/artifactregistry.repoAdmin", "members": [STRANGER]}
    gcp.estate.change_policy(REPOSITORY, lambda found: found.append(binding))
    document = gcp.document(
        {"name": "app-a", "encryption": key("one"), "delete_images": True}, guards={"max_deletes": "100%"}
    )
    stand_in.behaviours.append(Fails("CreateRepository", "PERMISSION_DENIED", times=-1))
    gcp.carry_out(gcp.plan(document, allow_delete=["images.repository.app-a"]))
    stand_in.behaviours.clear()
    (path,) = Path(gcp.rescue).iterdir()
    return str(path)


def warnings(gcp: GcpSandbox, document: Document) -> list[str]:
    return [
        line for line in gcp.plan(document).warnings if "a replacement of" in line or "before it was replaced" in line
    ]


def said(path: str) -> str:
    return (
        f'a replacement of {REPOSITORY} was interrupted: what others put on it (label cost="42"; IAM policy) is kept in {path}.'
        " No apply puts it back, since the spec has no repository of its own there: put back by hand what is still needed, then"
        " delete the file"
    )


@pytest.mark.parametrize("move", MOVES)
def test_what_waits_for_a_repository_that_the_spec_no_longer_has_there_is_named_by_each_plan(
    gcp: GcpSandbox, stand_in: Server, move: str
) -> None:
    path = cut_off(gcp, stand_in)
    fields = {"repositories": ["app-a"], "guards": {"max_deletes": "100%"}, **MOVES[move]}
    document = gcp.document(*fields.pop("repositories"), **fields)
    assert warnings(gcp, document) == [said(path)]
    gcp.apply(document)
    assert warnings(gcp, document) == [said(path)]
    Path(path).unlink()
    assert warnings(gcp, document) == []


def test_what_waits_for_a_repository_that_somebody_else_has_made_since_is_named(
    gcp: GcpSandbox, stand_in: Server
) -> None:
    path = cut_off(gcp, stand_in)
    gcp.estate.make(REPOSITORY, {"format": "DOCKER"})
    assert warnings(gcp, gcp.document("app-a")) == [said(path)]


def test_what_is_put_back_by_the_apply_and_what_is_another_s_is_no_stray(gcp: GcpSandbox, stand_in: Server) -> None:
    path = Path(cut_off(gcp, stand_in))
    assert warnings(gcp, gcp.document("app-a")) == []
    found = json.loads(path.read_text())
    moved = gcp.document("app-a", registry={"location": ELSEWHERE})
    changes = (
        {"owner": "other"},
        {"address": "other.repository.app-a"},
        {"native": REPOSITORY.replace("my-", "your-")},
    )
    for change in changes:
        path.write_text(json.dumps(found | change))
        assert warnings(gcp, moved) == [], change


@pytest.mark.parametrize(
    ("text", "mode", "why"),
    [
        ("{}", 0o600, "it lacks 'format'"),
        ("no", 0o600, "it is not JSON at line 1, column 1"),
        (None, 0o644, "users other than you can read or write it, so it may not be yours (if it is: chmod 600)"),
    ],
)
def test_a_file_of_such_that_can_t_be_read_is_named(
    gcp: GcpSandbox, stand_in: Server, text: str | None, mode: int, why: str
) -> None:
    path = Path(cut_off(gcp, stand_in))
    if text is not None:
        path.write_text(text)
    path.chmod(mode)
    moved = gcp.document("app-a", registry={"location": ELSEWHERE})
    assert warnings(gcp, moved) == [
        f"{path}, which keeps what others put on a repository before it was replaced, can't be read: {why}"
    ]
