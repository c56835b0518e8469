"""The command that a kubeconfig names for its login: it is run as kubectl runs it, and within a time limit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from reconciler.platforms.kubernetes import run_within
from tests.cluster import ADMIN, await_that
from tests.onprem import Stage

SECRET = "Hunter22xyz"
OVERDUE = (
    "the command that its kubeconfig names for the login gives none within 2 seconds: it may be waiting for somebody"
)


@pytest.fixture(autouse=True)
def grant(stage: Stage) -> None:
    stage.grant("prod", stage.cluster.namespace("app"), "app")


def login(token: str, end: str = "") -> str:
    """What such a command prints. `end`: when the login ends.

    https://kubernetes.io/docs/reference/access-authn-authz/authentication/#input-and-output-formats
    """
    status = {"token": token, **({"expirationTimestamp": end} if end else {})}
    return json.dumps(
        {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status}
    ).replace("TOKEN", "'$2$TOKEN'")


def is_running(process: str) -> bool:
    """Whether a process runs, and is not only waited for."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_it_gets_its_arguments_and_variables_and_is_looked_for_beside_the_kubeconfig(stage: Stage) -> None:
    token = stage.cluster.tokens[ADMIN]
    script = f'test "$1" = "a b" && test -n "$KUBERNETES_EXEC_INFO" && echo \'{login("TOKEN")}\''
    stage.reach_by(script, "a b", token[:5], TOKEN=token[5:])
    assert "Plan: 2 to create" in stage.plan()
    stage.apply()


@pytest.mark.parametrize(
    "script", ["sleep 300", "sleep 300 & echo $! >PID; echo '{}'", "sleep 300 & echo $! >PID; wait"]
)
def test_one_that_does_not_end_is_ended_with_all_that_it_has_started(stage: Stage, tmp_path: Path, script: str) -> None:
    stage.reach_by(script.replace("PID", f"{tmp_path}/pid"))
    said = stage.run("plan", "--timeout", "2s", code=1)
    assert f"cluster prod can't be reached as the spec says: {OVERDUE}" in said
    assert "check the kubeconfig with `kubectl --kubeconfig " in said
    if "PID" in script:
        started = (tmp_path / "pid").read_text().strip()
        await_that(lambda: not is_running(started))


def test_one_that_asks_at_a_terminal_has_none_where_nobody_looks(stage: Stage) -> None:
    stage.reach_by("read answer </dev/tty; sleep 300")
    command = f"{sys.executable} -m reconciler plan --timeout 2s >said 2>&1"
    at_a_terminal = "import pty, sys; pty.spawn(sys.argv[1:])"
    folder = stage.reconciler.folder
    subprocess.run(
        [sys.executable, "-c", at_a_terminal, "sh", "-c", command], cwd=folder, stdin=subprocess.DEVNULL, check=False
    )
    assert "the command that its kubeconfig names for the login gives none" in (folder / "said").read_text()


def test_one_that_fails_when_the_login_has_ended_is_said_without_what_it_says(stage: Stage, tmp_path: Path) -> None:
    good = login(stage.cluster.tokens[ADMIN], "2020-01-01T00:00:00Z")
    again = f"{tmp_path}/again"
    stage.reach_by(f"if test -e {again}; then echo {SECRET} >&2; exit 3; fi; touch {again}; echo '{good}'")
    command = [sys.executable, "-m", "reconciler", "plan"]
    done = subprocess.run(command, cwd=stage.reconciler.folder, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    assert "can't be reached as the spec says: the command that its kubeconfig names for the login gives none" in said
    assert SECRET not in said
    assert "ERROR:root" not in said


def within(*command: str, alone: str = "60", interactive: bool = False) -> subprocess.CompletedProcess[str]:
    """What the program of its own makes of a command."""
    info = json.dumps({"spec": {"interactive": interactive}})
    return subprocess.run(
        [sys.executable, "-I", "-S", run_within.__file__, alone, "60", *command],
        env={**os.environ, "KUBERNETES_EXEC_INFO": info},
        input="yes\n",
        capture_output=True,
        text=True,
        check=False,
    )


def test_what_a_command_prints_and_how_it_ends_is_passed_on() -> None:
    done = within("sh", "-c", "echo out; echo err >&2; exit 7")
    assert (done.stdout, done.stderr, done.returncode) == ("out\n", "err\n", 7)
    assert within("sh", "-c", "kill -TERM $$").returncode == 128 + 15
    assert within("there-is-no-such-command").returncode == run_within.MISSING
    assert within("sleep", "60", alone="0.1").returncode == run_within.OVERDUE


def test_only_where_somebody_can_be_asked_is_there_anything_to_read() -> None:
    assert within("cat").stdout == ""
    assert within("cat", interactive=True).stdout == "yes\n"


def test_what_a_command_says_without_an_end_is_not_kept(tmp_path: Path) -> None:
    program = tmp_path / "plugin.sh"
    program.write_text("#!/bin/sh\nhead -c 9000000 /dev/zero\nhead -c 9000000 /dev/zero >&2\nexit 3\n")
    program.chmod(0o755)
    command = [sys.executable, "-I", "-S", run_within.__file__, "60", "60", str(program)]
    found = subprocess.run(command, capture_output=True, check=False)
    assert found.returncode == 3
    assert (len(found.stdout), len(found.stderr)) == (run_within.KEPT, run_within.KEPT)
