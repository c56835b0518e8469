"""What a local registry's repositories are pulled from."""

from __future__ import annotations

from reconciler import dumps, loads
from reconciler.render.report import report_of
from reconciler.render.text import joined, plan_lines
from tests.sandbox.local import LocalSandbox


def test_several_local_registries_need_a_port_each(local: LocalSandbox) -> None:
    document = local.document("app-a")
    assert "needs a port" not in joined(plan_lines(report_of(local.plan(document))))
    document["registries"].append(document["registries"][0] | {"name": "other", "path": "other"})
    plan = local.plan(document)
    note = "unless `serve` listens elsewhere (each local registry needs a port of its own: `serve --port`)"
    assert f" as app-a, pulled from 127.0.0.1:5000/app-a {note}\n" in joined(plan_lines(report_of(plan)))
    assert loads(dumps(plan)) == plan
