"""A replacement whose delete goes on when its end is asked for in vain: what others had there is not forgotten."""

from __future__ import annotations

import pytest

from tests.emulators.gcp import Fails, Server
from tests.sandbox.gcp import LOCATION, PROJECT, GcpSandbox, key

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
