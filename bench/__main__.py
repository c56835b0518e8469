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
from bench.azure import azure
from bench.collect import collecting
from bench.crowd import crowd
from bench.gcp import gcp
from bench.kubernetes import kubernetes
from bench.process import run
from bench.rates import latency, rates
from bench.registry import registry


def main() -> None:
    parser = argparse.ArgumentParser(prog="script/bench")
    parser.add_argument(
        "what",
        nargs="?",
        choices=["core", "validate", "review", "aws", "gcp", "azure", "kubernetes", "rates", "registry", "gc", "all"],
        default="all",
    )
    parser.add_argument("--sizes", default="100,500,1000", help="numbers of repositories")
    parser.add_argument("--parallelism", default="8,16,24,32", help="what `rates` compares")
    parser.add_argument("--no-terraform", action="store_true")
    arguments = parser.parse_args()
    sizes = [int(size) for size in arguments.sizes.split(",")]
    compileall.compile_dir("reconciler", quiet=1)  # as pip leaves a package; an editable install may lack it
    if arguments.what in ("core", "all"):
        core()
    if arguments.what in ("validate", "all"):
        validate()
    if arguments.what in ("review", "all"):
        review()
    if arguments.what in ("registry", "all"):
        registry()
        crowd()
    if arguments.what in ("gc", "all"):
        collecting()
    if arguments.what in ("rates", "all"):
        rates(200)
        latency(1000, [int(number) for number in arguments.parallelism.split(",")])
    if arguments.what in ("gcp", "all"):
        gcp()
    if arguments.what in ("azure", "all"):
        azure()
    if arguments.what in ("kubernetes", "all"):
        kubernetes()
    if arguments.what in ("aws", "all"):
        aws(sizes, with_terraform=not arguments.no_terraform)


def core() -> None:
    """expand + diff + order of a no-change plan, each size in a process of its own, three times in turn."""
    print(
        "\nThe pure core: expand, diff and order of a plan with no change, 3 resources for each repository; medians of 3"
    )
    print(f"{'repositories':>12} {'resources':>10} {'cpu s':>8} {'bytes/resource':>15}")
    sizes = (100_000, 200_000)
    runs = [[_core(number) for number in sizes] for _ in range(3)]
    for number, same in zip(sizes, zip(*runs, strict=True), strict=True):
        resources, cpu, size = sorted(same)[1]
        print(f"{number:>12,} {resources:>10,} {cpu:>8.2f} {size:>15.0f}")
    growth = sorted(larger[1] / smaller[1] for smaller, larger in runs)
    print(
        f"200,000 against 100,000: {growth[1]:.2f} times the CPU, of 3 pairs {growth[0]:.2f} to {growth[2]:.2f}"
        " (target: at most 2.2)"
    )


def _core(number: int) -> tuple[int, float, float]:
    done = subprocess.run([sys.executable, "-m", "bench.core", str(number)], check=True, capture_output=True, text=True)
    resources, cpu, size = done.stdout.split()
    return int(resources), float(cpu), float(size)


def validate() -> None:
    """`reconciler validate` of 1,000 repositories, five times."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "registry.yaml").write_text(estate.spec(1000))
        runs = [run([*RECONCILER, "validate"], folder, {}, folder / "no.log") for _ in range(5)]
    median = sorted(figures.cpu for figures in runs)[2]
    print(f"\nvalidate of 1,000 repositories: {median:.2f} s of CPU, median of 5 (target: at most 0.6)")


def review() -> None:
    """`reconciler review` of 20,000 repositories with one grant changed, against `validate` of the same, three times in turn."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        text = estate.spec(20_000)
        grant = (
            "  - {name: one-more, registry: images, repositories: [app-0001], to: {type: aws, account_ids: ['%s']}}\n"
        )
        for file, accounts in (("base.yaml", "987654321093"), ("registry.yaml", "987654321093', '987654321094")):
            (folder / file).write_text(text.replace("grants:\n", "grants:\n" + grant % accounts, 1))
        commands = (["validate"], ["review", "--base", "base.yaml"])
        runs = [[run([*RECONCILER, *command], folder, {}, folder / "no.log") for command in commands] for _ in range(3)]
    checked, reviewed = (sorted(same, key=lambda item: item.cpu)[1] for same in zip(*runs, strict=True))
    print(
        f"\nreview of 20,000 repositories with one grant changed: {reviewed.cpu:.2f} s of CPU, {reviewed.peak:.0f} MiB;"
        f" validate: {checked.cpu:.2f} s, {checked.peak:.0f} MiB: {reviewed.cpu / checked.cpu:.2f} and"
        f" {reviewed.peak / checked.peak:.2f} times (target: at most 2)"
    )


if __name__ == "__main__":
    gc.collect()
    started = time.monotonic()
    main()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"\n(the bench itself took {time.monotonic() - started:.0f} s and {peak:.0f} MiB)")
