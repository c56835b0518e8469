"""Push and pull with skopeo: our server beside Debian's docker-registry, on the same disk, in the same run."""

from __future__ import annotations

import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.process import resident
from tests.images import Image

#: layers, bytes of each, and how often each registry is measured: what takes less than a second varies more
SHAPES = {"1 x 200 MB": (1, 200_000_000, 20), "200 x 1 MB": (200, 1_000_000, 6)}
SPEC = """
version: 1
name: bench
registries: [{name: bench, platform: local, path: store}]
repositories: [{name: app, registry: bench}]
"""


@dataclass
class Target:
    """A registry that is running: where, how to log in, and its process."""

    place: str
    login: list[str]
    process: int


def registry() -> None:
    """Prints seconds and peak memory for both, and the ratios."""
    absent = [name for name in ("skopeo", "docker-registry") if shutil.which(name) is None]
    if absent:
        print(f"\n(push and pull are not measured: {', '.join(absent)} not found)")
        return
    print("\npush and pull with skopeo, medians; seconds of wall, and the server's peak memory in MiB")
    print(f"{'':<12} {'':<6} {'reconciler':>11} {'registry':>9} {'ratio':>6} {'MiB':>6} {'MiB':>6}")
    for shape, (layers, size, rounds) in SHAPES.items():
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            image = Image(1, layers, size).write(folder / "image")
            seconds: dict[tuple[str, str], list[float]] = {}
            peaks: dict[str, float] = {}
            for number in range(rounds):  # in turn, and each first as often, so that a slow minute hits both
                for who, start in (("ours", ours), ("theirs", theirs))[:: -1 if number % 2 else 1]:
                    with start(folder / f"{who}-{number}") as target:
                        peak = _Peak(target.process)
                        seconds.setdefault(("push", who), []).append(_push(image, target))
                        seconds.setdefault(("pull", who), []).append(_pull(folder / "copy", target))
                        peaks[who] = max(peaks.get(who, 0.0), peak.high())
                    shutil.rmtree(folder / f"{who}-{number}")
        for what in ("push", "pull"):
            here, there = (statistics.median(seconds[what, who]) for who in ("ours", "theirs"))
            print(
                f"{shape:<12} {what:<6} {here:>11.2f} {there:>9.2f} {here / there:>6.2f}"
                f" {peaks['ours']:>6.0f} {peaks['theirs']:>6.0f}"
            )


class _Peak:
    """The highest resident memory of a process, as the kernel keeps it."""

    def __init__(self, process: int) -> None:
        self.process = process

    def high(self) -> float:
        return resident(str(self.process), "VmHWM:") or resident(str(self.process), "VmRSS:")


def _push(image: str, target: Target) -> float:
    return _timed("copy", "--dest-tls-verify=false", *target.login, image, f"docker://{target.place}/app:v1")


def _pull(copy: Path, target: Target) -> float:
    login = [item.replace("--dest-", "--src-") for item in target.login]
    try:
        return _timed("copy", "--src-tls-verify=false", *login, f"docker://{target.place}/app:v1", f"dir:{copy}")
    finally:
        shutil.rmtree(copy, ignore_errors=True)


def _timed(*arguments: str) -> float:
    started = time.monotonic()
    subprocess.run(
        ["skopeo", "--insecure-policy", *arguments], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    return time.monotonic() - started


@contextmanager
def ours(folder: Path) -> Iterator[Target]:
    """Our server, and a login for its repository `app`."""
    folder.mkdir()
    (folder / "registry.yaml").write_text(SPEC)
    command = [sys.executable, "-m", "reconciler"]
    root = str(Path(__file__).parent.parent)
    environ = {**os.environ, "PYTHONPATH": root}
    subprocess.run([*command, "apply", "--yes"], cwd=folder, env=environ, check=True, stdout=subprocess.DEVNULL)
    with subprocess.Popen(
        [*command, "serve", "--port", "0"], cwd=folder, env=environ, stdout=subprocess.PIPE
    ) as server:
        try:
            assert server.stdout is not None
            place = server.stdout.readline().decode().split("//")[1].strip()
            issued = subprocess.run(
                [*command, "credentials", "bench/app", "--push", "--format", "json"],
                cwd=folder,
                env=environ,
                check=True,
                capture_output=True,
            )
            found = json.loads(issued.stdout)
            yield Target(place, ["--dest-creds", f"{found['username']}:{found['password']}"], server.pid)
        finally:
            server.terminate()


@contextmanager
def theirs(folder: Path) -> Iterator[Target]:
    """docker-registry, open to everyone."""
    folder.mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (folder / "config.yml").write_text(
        f"version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n"
        f"storage: {{filesystem: {{rootdirectory: {folder}/store}}}}\nhttp: {{addr: '127.0.0.1:{port}'}}\n"
    )
    output = (folder / "log").open("wb")
    command = ["docker-registry", "serve", str(folder / "config.yml")]
    with subprocess.Popen(command, stdout=output, stderr=output) as server:
        try:
            for _ in range(200):
                try:
                    urllib.request.urlopen(f"http://127.0.0.1:{port}/v2/", timeout=5)
                    break
                except OSError:
                    time.sleep(0.05)
            yield Target(f"127.0.0.1:{port}", [], server.pid)
        finally:
            server.terminate()
