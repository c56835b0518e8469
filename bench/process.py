"""One command as a whole process: CPU, wall, peak memory of it and all its children, and the calls that a server saw."""

from __future__ import annotations

import os
import resource
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Figures:
    """What one run took. `cpu` and `wall` in seconds, `peak` in MiB (the sum over the process tree), `calls` to the server."""

    cpu: float
    wall: float
    peak: float
    calls: int

    def row(self, name: str, repositories: int) -> str:
        """The figures as a line of a table."""
        each = self.calls / repositories
        return f"{name:<34} {self.calls:>7} {each:>6.2f} {self.cpu:>8.2f} {self.wall:>8.2f} {self.peak:>8.0f}"

    def ratios(self, other: Figures) -> tuple[float, float, float, float]:
        """Calls, CPU, wall and peak, each as a part of the other's."""
        return self.calls / other.calls, self.cpu / other.cpu, self.wall / other.wall, self.peak / other.peak


HEADER = f"{'':<34} {'calls':>7} {'/repo':>6} {'cpu s':>8} {'wall s':>8} {'MiB':>8}"


def run(
    command: Sequence[str], folder: Path, environ: Mapping[str, str], log: Path, codes: tuple[int, ...] = (0,)
) -> Figures:
    """Runs a command to its end. `log`: the server's access log, whose lines are counted. Raises if its code is another."""
    calls = _lines(log)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.monotonic()
    with (folder / "bench.out").open("wb") as output:
        process = subprocess.Popen(
            command, cwd=folder, env={**os.environ, **environ}, stdout=output, stderr=output, start_new_session=True
        )
        watch = _Peak(process.pid)
        watch.start()
        code = process.wait()
        watch.stop()
    wall = time.monotonic() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if code not in codes:
        raise RuntimeError(f"{' '.join(command)} ended with {code}:\n{(folder / 'bench.out').read_text()[-3000:]}")
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    time.sleep(0.2)  # the server writes its log line after it answered
    return Figures(cpu, wall, watch.peak, _lines(log) - calls)


def _lines(log: Path) -> int:
    return log.read_bytes().count(b'"POST / HTTP') if log.exists() else 0


class _Peak(threading.Thread):
    """Samples the resident memory of a session of processes (Terraform's provider is a process of its own)."""

    def __init__(self, session: int) -> None:
        super().__init__(daemon=True)
        self.session = session
        self.peak = 0.0
        self._done = threading.Event()

    def run(self) -> None:
        while not self._done.wait(0.1):  # seldom enough not to take the processor from what is measured
            self.peak = max(self.peak, sum(resident(pid) for pid in _members(self.session)))

    def stop(self) -> None:
        """Stops sampling."""
        self._done.set()
        self.join()


def _members(session: int) -> list[str]:
    found = []
    for pid in os.listdir("/proc"):
        if pid.isdigit():
            try:
                stat = Path(f"/proc/{pid}/stat").read_text()
            except OSError:
                continue
            if int(stat.rpartition(")")[2].split()[3]) == session:
                found.append(pid)
    return found


def resident(pid: str, field: str = "VmRSS:") -> float:
    """The resident memory of a process in MiB, now or (VmHWM) at its highest; 0 if it can't be told."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(field):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    return 0.0
