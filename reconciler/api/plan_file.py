"""Saved plans, read with this build's platforms."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from reconciler.engine import plan_file as engine
from reconciler.engine.plan import Plan
from reconciler.engine.plan_file import dumps, is_plan
from reconciler.platforms.catalog import CATALOG

__all__ = ["dumps", "is_plan", "loads", "read_plan"]


def loads(
    data: str | bytes, name: str = "the plan", *, folder: str | Path = ".", environ: Mapping[str, str] | None = None
) -> Plan:
    """The plan in a plan file's text. `name`: what errors call it. `folder`: the folder that the file is in. `environ`: what the
    spec's `${env:NAME}` are taken from again (the process's environment if None).

    Raises ReconcilerError if it is not a plan file, has another format or a platform that this build does not have; if a
    variable is not set or has changed; or if it says something else than it would write.
    """
    return engine.loads(data, name, platforms=CATALOG, folder=folder, environ=environ)


def read_plan(path: Path, environ: Mapping[str, str] | None = None) -> Plan:
    """The plan in a file, or on standard input (`-`). Raises ReconcilerError if it can't be read, as `loads` does."""
    return engine.read(path, platforms=CATALOG, environ=environ)
