"""`python -m bench`: prints the tables."""

from __future__ import annotations

import argparse
import compileall
import gc
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench import estate
from bench.aws import RECONCILER, aws
from bench.process import run
from bench.registry import registry


def main() -> None:
    parser = argparse.ArgumentParser(prog="script/bench")
    parser.add_argument("what", nargs="?", choices=["core", "validate", "aws", "registry", "all"], default="all")
    parser.add_argument("--sizes", default="100,500,1000", help="numbers of repositories")
    parser.add_argument("--no-terraform", action="store_true")
    arguments = parser.parse_args()
    sizes = [int(size) for size in arguments.sizes.split(",")]
    compileall.compile_dir("reconciler", quiet=1)  # as pip leaves a package; an editable install may lack it
    if arguments.what in ("core", "all"):
        core()
    if arguments.what in ("validate", "all"):
        validate()
    if arguments.what in ("registry", "all"):
        registry()
    if arguments.what in ("aws", "all"):
        aws(sizes, with_terraform=not arguments.no_terraform)


def core() -> None:
    """expand + diff + order of a no-change plan, each size in a process of its own."""
    print("\nThe pure core: expand, diff and order of a plan with no change, 3 resources for each repository")
    print(f"{'repositories':>12} {'resources':>10} {'cpu s':>8} {'bytes/resource':>15}")
    seconds = []
    for number in (100_000, 200_000):
        done = subprocess.run(
            [sys.executable, "-m", "bench.core", str(number)], check=True, capture_output=True, text=True
        )
        resources, cpu, size = done.stdout.split()
        seconds.append(float(cpu))
        print(f"{number:>12,} {int(resources):>10,} {float(cpu):>8.2f} {float(size):>15.0f}")
    print(f"200,000 against 100,000: {seconds[1] / seconds[0]:.2f} times the CPU (target: at most 2.2)")


def validate() -> None:
    """`reconciler validate` of 1,000 repositories, five times."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "registry.yaml").write_text(estate.spec(1000))
        runs = [run([*RECONCILER, "validate"], folder, {}, folder / "no.log") for _ in range(5)]
    median = sorted(figures.cpu for figures in runs)[2]
    print(f"\nvalidate of 1,000 repositories: {median:.2f} s of CPU, median of 5 (target: at most 0.6)")


if __name__ == "__main__":
    gc.collect()
    started = time.monotonic()
    main()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"\n(the bench itself took {time.monotonic() - started:.0f} s and {peak:.0f} MiB)")
