"""No secret that somebody else repeats is printed by the command line: in its log, in faults, by git or by a host of comments."""

from __future__ import annotations

import logging
import subprocess
from pathlib import Path

import pytest

from reconciler.cli import app
from reconciler.cli.git import Git
from reconciler.cli.options import OneLine
from reconciler.errors import ReconcilerError

from .forge import Forge, comment

SECRET = "Bearer ya29.SECRET7"


def test_a_line_of_the_log_and_the_traceback_below_it_hide_secrets() -> None:
    try:
        raise ValueError(f"could not read {SECRET}")
    except ValueError as error:
        info = (type(error), error, error.__traceback__)
    record = logging.LogRecord("reconciler.calls", logging.INFO, "", 1, "%s", (f"at\n{SECRET} 200",), info)
    said = OneLine("%(message)s").format(record)
    assert said.startswith("at\\nBearer [hidden] 200\nTraceback (most recent call last):\n")
    assert "could not read Bearer [hidden]" in said
    assert "SECRET7" not in said.replace('f"could not read {SECRET}"', "")


def test_a_fault_that_nobody_foresaw_hides_secrets(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError(f"refresh_token=SECRET7&x=1, {SECRET}")

    monkeypatch.setattr(app, "application", broken)
    assert app.run(["plan"]) == 1
    said = capsys.readouterr().err
    assert "internal error (RuntimeError: refresh_token=[hidden]&x=1, Bearer [hidden]" in said
    assert "SECRET7" not in said


def test_what_git_says_hides_secrets(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    with pytest.raises(ReconcilerError) as failed:
        Git(tmp_path).text("rev-parse", "ya29.SECRET7")
    assert "'[hidden]'" in str(failed.value)
    assert "SECRET7" not in str(failed.value)


@pytest.mark.parametrize("page", [False, True])
def test_what_a_host_of_comments_says_hides_secrets(
    forge: Forge, saved: str, capsys: pytest.CaptureFixture[str], page: bool
) -> None:
    text = f"<html><title>Sign in</title>{SECRET}</html>" if page else f'{{"message": "bad credentials {SECRET}"}}'
    forge.instead = [("GET", 403, {}, text)]
    said = comment(capsys, "--review", saved)
    assert ('403: a web page, "Sign in"' if page else "403: bad credentials Bearer [hidden]") in said
    assert "SECRET7" not in said
