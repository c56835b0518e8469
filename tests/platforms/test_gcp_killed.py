"""Killed at a call, before or after Google carried it out, the next apply converges, and nothing of ours is a stranger's."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.apply_process import run_apply
from tests.emulators.aws import KillAfter
from tests.emulators.gcp import Server
from tests.sandbox.base import Document
from tests.sandbox.gcp import ELSEWHERE, GcpSandbox, account


def document_of(gcp: GcpSandbox, *names: str, **repository: Any) -> Document:
    to = {"type": "gcp", "service_account_emails": [account(name) for name in names]}
    return gcp.document(
        {"name": "app-a", "labels": {"team": "shop"}, "retention": {"keep_last": 3}, **repository},
        grants=({"name": "robots", "to": to},),
        registry={"trusted_principals": [f"serviceAccount:{account(names[0])}"]},
        guards={"max_deletes": "100%"},
    )


@pytest.mark.parametrize("carried_out", [False, True])
def test_killed_at_any_writing_call_the_next_apply_converges(
    gcp: GcpSandbox, stand_in: Server, tmp_path: Path, carried_out: bool
) -> None:
    first = document_of(gcp, "deploy", "batch-1")
    second = document_of(gcp, "batch-1", "nightly", description="the shop", labels={"tier": "1"})
    for before, after in ((None, first), (first, second)):
        gcp.reset()
        if before is not None:
            gcp.apply(before)
        stand_in.calls.clear()
        assert run_apply(tmp_path, after) == 0, (tmp_path / "said").read_text()
        good = gcp.state()
        writes = [
            number for number, call in enumerate(stand_in.calls, 1) if not call.operation.startswith(("Get", "List"))
        ]
        assert len(writes) >= 5
        for number in writes:
            gcp.reset()
            if before is not None:
                gcp.apply(before)
            killer = KillAfter(number, carried_out)
            stand_in.behaviours.append(killer)
            assert run_apply(tmp_path, after, partial(setattr, killer, "pid")) != 0
            assert killer.killed
            stand_in.behaviours.clear()
            assert gcp.plan(after).foreign == (), number
            gcp.apply(after)
            assert gcp.state() == good, number
            assert gcp.plan(after).changes == (), number


@pytest.mark.parametrize("carried_out", [False, True])
@pytest.mark.parametrize("back", [False, True])
def test_killed_at_any_writing_call_of_a_move_the_old_or_the_new_one_is_there_with_all_access(
    gcp: GcpSandbox, stand_in: Server, tmp_path: Path, carried_out: bool, back: bool
) -> None:
    """To another location and layout, and back."""
    before, after = document_of(gcp, "deploy"), document_of(gcp, "deploy")
    after["registries"][0] |= {"location": ELSEWHERE, "layout": "shared"}
    before, after = (after, before) if back else (before, after)
    gcp.apply(before)
    old = there(gcp)
    stand_in.calls.clear()
    assert run_apply(tmp_path, after) == 0, (tmp_path / "said").read_text()
    good, new = gcp.state(), there(gcp)
    assert len(old) == len(new) == 1
    assert {*old}.isdisjoint(new)
    writes = [number for number, call in enumerate(stand_in.calls, 1) if not call.operation.startswith(("Get", "List"))]
    assert len(writes) >= 5
    for number in writes:
        gcp.reset()
        gcp.apply(before)
        killer = KillAfter(number, carried_out)
        stand_in.behaviours.append(killer)
        assert run_apply(tmp_path, after, partial(setattr, killer, "pid")) != 0
        assert killer.killed
        stand_in.behaviours.clear()
        found = there(gcp)
        assert old.items() <= found.items() or new.items() <= found.items(), number
        gcp.apply(after)
        assert gcp.state() == good, number
        assert gcp.plan(after).changes == (), number


def there(gcp: GcpSandbox) -> dict[str, list[tuple[str, str]]]:
    """Who has which role on each repository, sorted."""
    return {
        name: sorted(
            (binding["role"], member)
            for binding in gcp.estate.policy(name).get("bindings", [])
            for member in binding["members"]
        )
        for name in gcp.estate.repositories()
    }
