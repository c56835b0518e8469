"""Apply, plan and plan again on moto_server, beside Terraform: each run of ours is followed by one of Terraform's, and what is
compared is each such pair, so that a slow minute of the machine hits both."""

from __future__ import annotations

import os
import platform
import re
import statistics
import sys
import sysconfig
import tempfile
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Protocol

from bench import estate
from bench.process import HEADER, Figures, run
from tests.emulators.servers import moto_server

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "bench", "AWS_SECRET_ACCESS_KEY": "bench", "AWS_EC2_METADATA_DISABLED": "true"}
RECONCILER = [str(Path(sys.executable).with_name("reconciler"))]


class Tool(Protocol):
    """One of the two that are compared, with an estate of its own."""

    name: str

    def write(self, number: int, changed: int = 0) -> None:
        """Writes its configuration: `number` repositories, of which `changed` are not as before."""

    def apply(self) -> Figures:
        """Makes all of it anew, on an empty account."""

    def plan(self, code: int) -> Figures:
        """Plans; `code` is the exit code that it must end with: 0 no change, 2 changes."""


@dataclass
class Reconciler:
    """Ours."""

    folder: Path
    log: Path
    name: str = "reconciler"

    def write(self, number: int, changed: int = 0) -> None:
        (self.folder / "registry.yaml").write_text(estate.spec(number, changed))

    def apply(self) -> Figures:
        return run([*RECONCILER, "apply", "--yes"], self.folder, {}, self.log)

    def plan(self, code: int) -> Figures:
        return run([*RECONCILER, "plan", "--detailed-exitcode"], self.folder, {}, self.log, (code,))


@dataclass
class Terraform:
    """Terraform with its AWS provider, from a filesystem mirror."""

    folder: Path
    log: Path
    mirror: Path
    name: str = "terraform"
    environ: Mapping[str, str] = field(default_factory=dict)

    def write(self, number: int, changed: int = 0) -> None:
        (self.folder / "main.tf").write_text(estate.terraform(number, changed))
        if not self.environ:
            self.environ = estate.terraform_environ(self.folder, self.mirror)
            self._run("init")

    def apply(self) -> Figures:
        for old in self.folder.glob("terraform.tfstate*"):
            old.unlink()
        figures = self._run("apply", "-auto-approve", codes=(0, 1))
        # a create whose answer is lost is tried again by the provider's SDK, meets its own repository, and the run fails: what its
        # users do then is import and apply again. That is not counted, so the figures are lower than what it took
        printed = (self.folder / "bench.out").read_text()
        lost = sorted(set(re.findall(r"creating ECR Repository \(([^)]+)\)", printed)))
        for name in lost:
            self._run("import", f'aws_ecr_repository.app["{name}"]', name)
        if lost:
            print(f"terraform  apply failed for {', '.join(lost)} (already exists); imported, and applied again")
            self._run("apply", "-auto-approve")
        return figures

    def plan(self, code: int) -> Figures:
        return self._run("plan", "-detailed-exitcode", codes=(code,))

    def _run(self, command: str, *arguments: str, codes: tuple[int, ...] = (0,)) -> Figures:
        line = ["terraform", command, "-input=false", "-no-color", *arguments]
        return run(line, self.folder, self.environ, self.log, codes)


def aws(sizes: list[int], *, with_terraform: bool) -> None:
    """Prints the tables."""
    home = sysconfig.get_config_var("BINDIR")
    print(f"\nPython {platform.python_version()} of {home}, botocore {version('botocore')}, moto {version('moto')}")
    mirror = estate.provider_mirror() if with_terraform else None
    if mirror is None:
        print("\n(terraform with its AWS provider is not compared: not found, or not wanted)")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        log = folder / "moto.log"
        with moto_server(log) as url:
            os.environ.update(CREDENTIALS, AWS_ENDPOINT_URL=url, AWS_REGION=estate.REGION)
            ours = Reconciler(_made(folder / "ours"), log)
            tools: list[Tool] = [ours]
            if mirror is not None:
                tools.append(Terraform(_made(folder / "theirs"), log, mirror))
            for number in sizes:
                print(f"\n{number} repositories, each with a lifecycle policy and a grant\n{HEADER}")
                _measure(tools, number, lambda: _reset(url))
            _reset(url)
            (ours.folder / "registry.yaml").write_text(estate.spec(100, regions=("eu-west-1",)))
            print(f"\nwith one replication region\n{HEADER}\n{ours.apply().row('reconciler apply, 100 new', 100)}")


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _reset(url: str) -> None:
    urllib.request.urlopen(urllib.request.Request(f"{url}/moto-api/reset", method="POST"), timeout=60)


def _measure(tools: list[Tool], number: int, reset: Callable[[], None]) -> None:
    def configure(changed: int = 0) -> None:
        for tool in tools:
            tool.write(number, changed)

    def made_anew() -> list[Figures]:
        reset()
        return [tool.apply() for tool in tools]

    configure()
    _print("apply, all new", tools, number, [made_anew() for _ in range(3 if number <= 100 else 1)])
    rounds = 7 if number <= 100 else 3
    _print("plan, no change", tools, number, [[tool.plan(0) for tool in tools] for _ in range(rounds)])
    configure(max(1, number // 100))
    _print("plan, 1% changed", tools, number, [[tool.plan(2) for tool in tools] for _ in range(rounds)])


def _print(what: str, tools: list[Tool], number: int, rounds: list[list[Figures]]) -> None:
    """A row for each tool, its run with the median CPU, and the median of the pairs' ratios with the lowest and the highest."""
    for at, tool in enumerate(tools):
        runs = sorted((each[at] for each in rounds), key=lambda figures: figures.cpu)
        print(runs[len(runs) // 2].row(f"{tool.name:<10} {what}", number))
    if len(tools) == 2:
        calls, cpu, wall, peak = zip(*(mine.ratios(theirs) for mine, theirs in rounds), strict=True)
        print(
            f"{'ratio      ' + what:<34} {statistics.median(calls):>7.2f} {'':>6} {statistics.median(cpu):>8.3f}"
            f" {statistics.median(wall):>8.3f} {statistics.median(peak):>8.3f}   cpu of {len(rounds)} pairs:"
            f" {min(cpu):.3f} to {max(cpu):.3f}"
        )
