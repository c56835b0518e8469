"""Apply runs on any executor, another process's too: sessions and tasks pickle."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor

from reconciler import apply
from reconciler import plan as make_plan
from reconciler.engine.apply import succeeded
from tests.stages import LocalStage


def test_plan_and_apply_run_in_other_processes(local: LocalStage) -> None:
    spec = local.spec(local.document("app-a", "app-b", grants=({"name": "one", "to": local.target("1")},)))
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as pool:
        assert succeeded(apply(make_plan(spec, executor=pool), executor=pool))
        assert make_plan(spec, executor=pool).changes == ()
    assert len(local.state()) == 4
