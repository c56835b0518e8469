"""Killed at a call, before or after Azure carried it out, the next apply converges, and nothing of ours is a stranger's."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from reconciler.platforms.azure import session
from tests.apply_process import run_apply
from tests.emulators.aws import KillAfter
from tests.emulators.azure import Server
from tests.sandbox.azure import AzureSandbox
from tests.sandbox.base import Document


def polling_soon() -> None:
    """The command looks at operations as soon as the tests do."""
    session.POLLING = 0.01


def document_of(azure: AzureSandbox, first: str, second: str, **registry: object) -> Document:
    return azure.document(
        "app-a",
        {"name": "app-b", "protect": first == "2"},
        grants=(
            {"name": "nodes", "repositories": ["app-a"], "to": azure.target(first)},
            {"name": f"partner-{second}", "to": {"type": "azure-token"}},
        ),
        registry=registry,
        guards={"max_deletes": "100%"},
    )


@pytest.mark.parametrize("carried_out", [False, True])
@pytest.mark.parametrize("first_run", [True, False])
def test_killed_at_any_writing_call_the_next_apply_converges(
    azure: AzureSandbox,
    azure_stand_in: Server,
    tmp_path: Path,
    carried_out: bool,
    first_run: bool,
) -> None:
    """Also between a scope map and its token, which are two calls."""
    before = document_of(azure, "1", "a")
    after = before if first_run else document_of(azure, "2", "b", labels={"tier": "1"})

    def start() -> None:
        azure.reset()
        if not first_run:
            azure.apply(before)
        azure_stand_in.calls.clear()

    start()
    assert run_apply(tmp_path, after, prepare=polling_soon) == 0, (tmp_path / "said").read_text()
    good = azure.state()
    writes = {
        number: call.operation
        for number, call in enumerate(azure_stand_in.calls, 1)
        if call.operation.partition(":")[2] in ("PUT", "PATCH", "DELETE")
    }
    assert {"scopeMaps:PUT", "tokens:PUT"} <= set(writes.values())
    for number, operation in writes.items():
        start()
        killer = KillAfter(number, carried_out)
        azure_stand_in.behaviours.append(killer)
        kill = partial(setattr, killer, "pid")
        assert run_apply(tmp_path, after, kill, polling_soon) != 0
        assert killer.killed, operation
        azure_stand_in.behaviours.clear()
        assert azure.plan(after).foreign == (), operation
        azure.apply(after)
        assert azure.state() == good, operation
        assert azure.plan(after).changes == (), operation
