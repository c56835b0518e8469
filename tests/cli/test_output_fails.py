"""Output that fails decides nothing: changes are carried out, and the failure is reported once. A reader that leaves is no failure of
what only reads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from reconciler.cli.streams import Stream
from reconciler.engine.write import Outcome
from reconciler.model.change import Change
from tests.command_line import COMMAND, ROOT, Reconciler
from tests.sandbox.local import LocalSandbox

pytestmark = pytest.mark.slow  # many processes

NAMES = [f"app-{number:02}" for number in range(30)]
#: standard output as a shell gives it
FULL, CLOSED, READ_NO_MORE = ">/dev/full", ">&-", "| true"


@pytest.fixture
def here(tmp_path: Path) -> Path:
    document = {
        "version": 1,
        "name": "tests",
        "registries": [{"name": "box", "platform": "local", "path": "box"}],
        "repositories": [{"name": name, "registry": "box", "description": "Käse 世界"} for name in NAMES],
    }
    (tmp_path / "registry.yaml").write_text(yaml.safe_dump(document))
    return tmp_path


def shell(here: Path, command: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Runs `reconciler ...` as a shell's command line; its exit code is reconciler's own, in a pipe too."""
    program = " ".join(COMMAND)
    line = command.replace("reconciler", program).replace("| true", f"| {sys.executable} -c 'import os; os.close(0)'")
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; {line}"],
        cwd=here,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environ},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        text=True,
        encoding="utf-8",
        errors="surrogateescape",
    )


def made(here: Path) -> int:
    return len(list(here.glob("box/control/repositories/*.json")))


@pytest.mark.parametrize(
    ("output", "reason"),
    [(FULL, "No space left on device"), (CLOSED, "Bad file descriptor")],
)
def test_an_apply_whose_output_fails_is_carried_out_whole(here: Path, output: str, reason: str) -> None:
    done = shell(here, f"reconciler apply --yes {output}")
    assert made(here) == len(NAMES)
    assert done.stderr.splitlines() == [
        "Apply: 30 done.",
        f"Error: standard output can't be written: {reason}. Changes already made are kept.",
    ]
    assert done.returncode == 1


def test_a_reader_that_is_gone_stops_no_apply(here: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [*COMMAND, "apply", "--yes"],
        cwd=here,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=writing,
        stderr=subprocess.PIPE,
        timeout=60,
        text=True,
    )
    os.close(writing)
    assert made(here) == len(NAMES)
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "Apply: 30 done.",
        "Error: standard output can't be written: Broken pipe. Changes already made are kept.",
    ]


def test_a_log_that_fails_stops_no_apply(here: Path) -> None:
    done = shell(here, "reconciler apply --yes --log /dev/full")
    assert made(here) == len(NAMES)
    assert "Apply: 30 done." in done.stdout
    assert done.stderr.splitlines() == [
        "Error: /dev/full can't be written: No space left on device. It lacks some outcomes; the changes themselves are finished."
    ]
    assert done.returncode == 1


@pytest.mark.parametrize(
    "command",
    [f"plan --detailed-exitcode {FULL}", f"drift {FULL}", f"validate {FULL}", f"schema {FULL}", f"plan {CLOSED}"],
)
def test_a_report_that_nobody_got_is_an_error(here: Path, command: str) -> None:
    done = shell(here, f"reconciler {command}")
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("Error: standard output can't be written: ")


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (f"plan --detailed-exitcode {READ_NO_MORE}", 2),
        ("plan --detailed-exitcode | head -n 1", 2),
        (f"drift {READ_NO_MORE}", 2),
        ("plan --format json | head -n 1", 0),
    ],
)
def test_a_reader_that_has_seen_enough_changes_no_exit_code(here: Path, command: str, code: int) -> None:
    done = shell(here, f"reconciler {command}")
    assert (done.returncode, done.stderr) == (code, "")


@pytest.mark.parametrize("closed", ["2>&-", "2>/dev/full", "<&-", ">&- 2>&- <&-"])
def test_no_stream_is_needed_to_apply(here: Path, closed: str) -> None:
    done = shell(here, f"reconciler apply --yes -v {closed}")
    assert made(here) == len(NAMES)
    assert "Traceback" not in done.stdout + done.stderr


def test_without_standard_input_apply_says_that_nobody_can_answer(here: Path) -> None:
    done = shell(here, "reconciler apply <&-")
    assert "there is no terminal to confirm on; nothing was written" in done.stderr
    assert done.returncode == 1


@pytest.mark.parametrize(
    "environ",
    [
        *({"PYTHONIOENCODING": encoding} for encoding in ("ascii", "latin-1", "cp1252")),
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    ],
    ids=str,
)
def test_what_an_encoding_lacks_is_escaped(here: Path, environ: dict[str, str]) -> None:
    Reconciler(here)("apply", "--yes")
    document = yaml.safe_load((here / "registry.yaml").read_text())
    for row in document["repositories"]:
        row["description"] = "Käse x界"
    (here / "registry.yaml").write_text(yaml.safe_dump(document))
    as_json = shell(here, "reconciler plan --format json", **environ).stdout
    text = as_json.encode("utf-8", "surrogateescape").decode(environ.get("PYTHONIOENCODING", "ascii"))
    assert json.loads(text)["changes"][0]["fields"][0]["new"] == "Käse x界", "JSON is JSON in every encoding"
    done = shell(here, "reconciler apply --yes --full", **environ)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count('\\u4e16\\u754c" \\u2192 "K') == len(NAMES)
    assert "30 done." in done.stdout


def test_what_is_printed_in_ascii_stays_unique() -> None:
    assert "é😀".encode("ascii", Stream(None).errors) == b"\\u00e9\\ud83d\\ude00"


@pytest.mark.parametrize("when", ["on_start", "on_outcome"])
def test_a_callback_that_fails_leaves_no_change_undone(local: LocalSandbox, when: str) -> None:
    told: list[Change | Outcome] = []

    def fail(item: Change | Outcome) -> None:
        told.append(item)
        raise OSError("nobody listens")

    plan = local.plan(local.document("app-a", "app-b", "app-c"))
    with pytest.raises(OSError, match="nobody listens"):
        local.carry_out(plan, **{when: fail})
    assert local.repository_names() == {"app-a", "app-b", "app-c"}
    assert len(told) == 3
