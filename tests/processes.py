"""The command line as a process, as a user runs it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

COMMAND = [sys.executable, "-m", "reconciler"]
ROOT = Path(__file__).parent.parent


class Reconciler:
    """`reconciler` in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environ = {**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"}

    def __call__(self, *arguments: str, code: int = 0) -> str:
        """Runs a command that must end with `code`; returns what it printed (its errors, if it is to fail)."""
        done = subprocess.run(
            [*COMMAND, *arguments], cwd=self.folder, env=self.environ, capture_output=True, text=True, timeout=120
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stderr if code == 1 else done.stdout

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Starts a command."""
        return subprocess.Popen(
            [*COMMAND, *arguments],
            cwd=self.folder,
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


def url_of(process: subprocess.Popen[str], registry: str) -> str:
    """Waits for the line that tells where the registry is served."""
    assert process.stdout is not None
    line = process.stdout.readline().strip()
    said = f"serving registry {registry} at "
    assert line.startswith(said), line + (process.stderr.read() if process.stderr else "")
    return line.removeprefix(said)


@contextmanager
def serving(reconciler: Reconciler, registry: str, *options: str) -> Iterator[str]:
    """Runs `reconciler serve` on a free port; gives its URL; ends it with SIGTERM, and it must end well."""
    process = reconciler.start("serve", registry, "--port", "0", *options)
    try:
        yield url_of(process, registry)
    finally:
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert "Traceback" not in errors, errors
