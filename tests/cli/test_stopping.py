"""Ctrl-C, SIGTERM and SIGHUP, as a terminal and a supervisor send them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import yaml
from filelock import FileLock

from reconciler.cli.stopping import stopping
from tests.command_line import ROOT

pytestmark = pytest.mark.slow  # many processes

#: the command line as a shell starts it in the foreground: pytest-xdist's workers hand on that Ctrl-C is ignored
FOREGROUND = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from reconciler.cli import main; main()"
)
AWS = {
    "name": "images",
    "platform": "aws",
    "account_id": "123456789012",
    "region": "us-east-1",
    "replication_regions": ["eu-west-1"],
}


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """A server that accepts and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(30)
        yield server


def start(folder: Path, silent: socket.socket, *arguments: str) -> subprocess.Popen[str]:
    keys = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_CONFIG_FILE": os.devnull}
    place = {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{silent.getsockname()[1]}", "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-c", FOREGROUND, *arguments],
        cwd=folder,
        env={**os.environ, **keys, **place},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def spec(folder: Path, *registries: Mapping[str, object]) -> None:
    document = {
        "version": 1,
        "name": "tests",
        "registries": [dict(registry) for registry in registries],
        "repositories": [{"name": "app-a", "registry": registries[0]["name"]}],
    }
    (folder / "registry.yaml").write_text(yaml.safe_dump(document))


@pytest.mark.parametrize(
    "arguments", [("plan",), ("drift",), ("apply", "--yes"), ("destroy", "--yes"), ("apply", "plan.json", "--yes")]
)
def test_ctrl_c_ends_the_reading_of_an_endpoint_that_hangs(
    tmp_path: Path, silent: socket.socket, arguments: tuple[str, ...]
) -> None:
    spec(tmp_path, AWS, {**AWS, "name": "more"})
    if "plan.json" in arguments:
        saved(tmp_path)
    process = start(tmp_path, silent, *arguments)
    connection, _ = silent.accept()
    with connection:
        assert connection.recv(1), "the call is under way"
        process.send_signal(signal.SIGINT)
        errors = process.communicate(timeout=10)[1]  # the calls' own time limit is a minute
    assert process.returncode == 130, errors
    assert errors.splitlines()[-1] == "Interrupted; nothing was written."
    assert "Traceback" not in errors


def saved(folder: Path) -> None:
    """A saved plan for what nobody can read: it says that nothing was there."""
    from reconciler import dumps, load_spec
    from reconciler.engine.diff import diff
    from reconciler.engine.expand import expand
    from reconciler.engine.picture import picture
    from reconciler.engine.plan import homes_of, settle
    from reconciler.engine.wishes import Wishes
    from reconciler.platforms.catalog import CATALOG

    loaded = load_spec(folder / "registry.yaml")
    kinds, desired = expand(loaded, CATALOG)
    homes = homes_of(loaded.name, loaded.registries)
    seen = picture(kinds, desired, {name: {} for name in desired}, destroy=False, homes=homes)
    plan = settle(loaded, seen, diff(seen, loaded.name, ()), Wishes())
    (folder / "plan.json").write_text(dumps(plan, folder))


def test_what_the_caller_ignores_stays_ignored() -> None:
    """`nohup reconciler apply` outlives its terminal."""
    usual = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stopping() as stop:
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
            assert signal.getsignal(signal.SIGTERM) is stop
        assert signal.getsignal(signal.SIGTERM) is not stop
    finally:
        signal.signal(signal.SIGHUP, usual)


def hanging(folder: Path) -> subprocess.Popen[str]:
    """An apply that has made one repository, waits for a lock that this process holds to make another, and has the access to that
    one still to do."""
    for name in ("a", "b"):
        (folder / name).mkdir(exist_ok=True)
    document = {
        "version": 1,
        "name": "tests",
        "registries": [{"name": name, "platform": "local", "path": name} for name in ("a", "b")],
        "repositories": [{"name": "app", "registry": name} for name in ("a", "b")],
        "grants": [{"name": "one", "registry": "b", "to": {"type": "local", "users": ["alice"]}}],
    }
    (folder / "registry.yaml").write_text(yaml.safe_dump(document))
    process = subprocess.Popen(
        [sys.executable, "-c", FOREGROUND, "apply", "--yes", "--parallelism", "2"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if "a.repository.app created" in line:
            return process
    raise AssertionError(process.communicate()[1])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_waits_for_what_is_under_way(tmp_path: Path, number: signal.Signals) -> None:
    with FileLock(tmp_path / "b" / ".lock"):
        process = hanging(tmp_path)
        process.send_signal(number)
        assert process.stderr is not None
        assert process.stderr.readline() == "Stopping: finishing what is under way; nothing new is started.\n"
        process.send_signal(signal.SIGHUP)  # as often as a terminal that closes likes
    output, errors = process.communicate(timeout=60)
    assert "b.repository.app created" in output
    assert output.splitlines()[-1] == "Interrupted: 2 done, 1 skipped."
    assert (process.returncode, errors) == (1, "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_second_signal_waits_for_nothing(tmp_path: Path, number: signal.Signals) -> None:
    with FileLock(tmp_path / "b" / ".lock"):
        process = hanging(tmp_path)
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        process.stderr.readline()
        process.send_signal(number)
        process.communicate(timeout=20)
    assert process.returncode == -number
    assert not list((tmp_path / "b").glob("control/*/*.json"))
