"""Apply runs on any executor, another process's too: sessions and tasks pickle."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor

from reconciler.engine.apply import succeeded
from tests.sandbox.local import LocalSandbox


def test_plan_and_apply_run_in_other_processes(local: LocalSandbox) -> None:
    document = local.document("app-a", "app-b", grants=({"name": "one", "to": local.target("1")},))
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        assert succeeded(local.carry_out(local.plan(document, executor=pool), executor=pool))
        assert local.plan(document, executor=pool).changes == ()
    assert len(local.state()) == 4
