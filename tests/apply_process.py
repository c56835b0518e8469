"""`reconciler apply` in a process of its own, which a test may kill."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable
from pathlib import Path
from runpy import run_module

import yaml

from tests.sandbox.base import Document

#: what apply would import anew in each process, once for hundreds of them; the platforms' libraries are most of its start
PRELOADED = [
    "tests.apply_process",
    "reconciler.cli",
    "boto3",
    "botocore.session",
    "google.cloud.artifactregistry_v1",
    "azure.mgmt.containerregistry",
    "azure.identity",
]
_FORKED = multiprocessing.get_context("forkserver")
_FORKED.set_forkserver_preload(PRELOADED)


def run_apply(
    folder: Path,
    document: Document,
    on_start: Callable[[int], object] | None = None,
    prepare: Callable[[], object] | None = None,
) -> int:
    """`reconciler apply --yes` in a process of its own, and its exit code (below zero: the signal that ended it).

    What it prints is in the folder's file `said`. `on_start` gets its process id; `prepare` is called in it, before the command.
    """
    (folder / "registry.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    process = _FORKED.Process(target=_apply, args=(folder, dict(os.environ), prepare))
    process.start()
    assert process.pid is not None
    if on_start is not None:
        on_start(process.pid)
    process.join(60)
    if process.exitcode is None:
        process.kill()
        raise AssertionError(f"apply still runs after 60 s: {(folder / 'said').read_text()}")
    return process.exitcode


def _apply(folder: Path, environment: dict[str, str], prepare: Callable[[], object] | None) -> None:
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    said = os.open("said", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for stream in (1, 2):
        os.dup2(said, stream)
    if prepare is not None:
        prepare()
    sys.argv = ["reconciler", "apply", "--yes", "--parallelism", "2"]
    run_module("reconciler", run_name="__main__", alter_sys=True)
