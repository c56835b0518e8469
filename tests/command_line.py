"""The command line: in this process, which is quick, and as a process of its own, as a user runs it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

from reconciler.cli.app import run

COMMAND = [sys.executable, "-m", "reconciler"]
ROOT = Path(__file__).parent.parent


def _environ() -> dict[str, str]:
    """This process's, with the package that is tested before one that is installed."""
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def in_this_process(*arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Runs a command that must end with `code`, without a terminal."""
    output, errors = StringIO(), StringIO()
    with redirect_stdout(output), redirect_stderr(errors):
        found = run(arguments)
    done = subprocess.CompletedProcess(arguments, found, output.getvalue(), errors.getvalue())
    assert done.returncode == code, done.stdout + done.stderr
    return done


def as_a_process(*arguments: str, code: int = 0, **environ: str) -> subprocess.CompletedProcess[str]:
    """The same in a process of its own, where exit codes, imports, terminals or the environment are what is tested."""
    done = subprocess.run(
        [*COMMAND, *arguments],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env=_environ() | environ,
        timeout=60,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done


class Reconciler:
    """`reconciler` in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, *arguments: str, code: int = 0) -> str:
        """Runs a command that must end with `code`; returns what it printed (its errors, if it is to fail)."""
        with chdir(self.folder):
            done = in_this_process(*arguments, code=code)
        return done.stderr if code == 1 else done.stdout

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Starts a command as a process."""
        return subprocess.Popen(
            [*COMMAND, *arguments],
            cwd=self.folder,
            env=_environ() | {"NO_COLOR": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


def url_of(process: subprocess.Popen[str], registry: str) -> str:
    """Waits for the line that says where the registry is served."""
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
