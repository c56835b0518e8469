"""Against AWS's own limits: an account that takes ten calls of each operation a second, and answers that are 40 ms away."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from bench import estate
from bench.aws import CREDENTIALS, RECONCILER
from bench.front import Front, served
from bench.process import Figures, run
from reconciler.model.platform import PARALLELISM
from tests.emulators.servers import moto_server

RATE, BURST = 10.0, 20.0
LATENCY = 0.040
#: calls for each repository of a plan without changes, where the tagging API lists nothing, as moto's does
CALLS = 3


def rates(number: int) -> None:
    """Prints apply and plan of `number` repositories with ten calls a second for each operation."""
    bound = (number - BURST) / RATE
    print(
        f"\n{RATE:.0f} calls a second for each operation, {BURST:.0f} at once: {number} repositories take {bound:.1f} s at least"
    )
    print(f"{'':<34} {'wall s':>8} {'/bound':>8} {'throttled':>10}   (target: at most 1.15, and no run fails)")
    with tempfile.TemporaryDirectory() as name, moto_server(Path(name) / "moto.log") as moto:
        folder = Path(name)
        front = Front(moto, rate=RATE, burst=BURST)
        with served(front) as url:
            environ = {**os.environ, **CREDENTIALS, "AWS_ENDPOINT_URL": url, "AWS_REGION": estate.REGION}
            (folder / "registry.yaml").write_text(estate.spec(number))
            for what in (("apply", "--yes"), ("plan", "--detailed-exitcode"), ("drift",)):
                front.forget()
                figures = run(
                    [*RECONCILER, *what], folder, environ, folder / "no.log"
                )  # raises if it ends with another code
                refused = sum(front.refused.values())
                print(f"reconciler {what[0]:<23} {figures.wall:>8.2f} {figures.wall / bound:>8.2f} {refused:>10}")


def latency(number: int, parallelisms: list[int]) -> None:
    """Prints a plan of `number` repositories without changes, each answer 40 ms away, at several parallelisms: each run after one
    without latency, so that a slow minute of the machine hits both."""
    print(
        f"\na plan of {number} repositories, answers {LATENCY * 1000:.0f} ms away; the median of 3 (default: {PARALLELISM})"
    )
    print(
        f"{'parallelism':<14} {'calls':>7} {'cpu s':>8} {'wall s':>8} {'no latency':>12} {'latency only':>12} {'/bound':>8}"
        "   (target: at most 1.3 times the larger of the two)"
    )
    with tempfile.TemporaryDirectory() as name, moto_server(Path(name) / "moto.log") as moto:
        folder = Path(name)
        front = Front(moto)
        with served(front) as url:
            environ = {**os.environ, **CREDENTIALS, "AWS_ENDPOINT_URL": url, "AWS_REGION": estate.REGION}
            (folder / "registry.yaml").write_text(estate.spec(number))

            def plan(parallelism: int) -> Figures:
                command = [*RECONCILER, "plan", "--detailed-exitcode", "--parallelism", str(parallelism)]
                return run(command, folder, environ, folder / "no.log")

            run([*RECONCILER, "apply", "--yes"], folder, environ, folder / "no.log")
            front.remember = True
            plan(PARALLELISM)
            for parallelism in parallelisms:
                front.taken.clear()
                pairs = []
                for _ in range(3):
                    front.latency = 0.0
                    alone = plan(parallelism)  # nothing to wait for but ourselves
                    front.latency = LATENCY
                    pairs.append((plan(parallelism), alone.wall))
                waiting = number * CALLS * LATENCY / parallelism
                rows = [(each.wall / max(alone, waiting), each, alone) for each, alone in pairs]
                ratio, figures, cpu = sorted(rows, key=lambda row: row[0])[1]
                print(
                    f"{parallelism:<14} {sum(front.taken.values()) // 6:>7} {figures.cpu:>8.2f} {figures.wall:>8.2f}"
                    f" {cpu:>12.2f} {waiting:>12.2f} {ratio:>8.2f}"
                )
