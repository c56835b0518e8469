"""The bars while registries are read."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from reconciler.engine.observe import observe
from tests.command_line import COMMAND, ROOT
from tests.engine.test_observe import Scripted, ScriptedPlatform
from tests.platforms.test_http import opened

pytestmark = pytest.mark.slow  # pseudo-terminals

SPEC = """\
version: 1
name: tests
registries:
  - {name: one, platform: local, path: one}
  - {name: two, platform: local, path: two}
repositories: [{name: app, registry: one}]
"""


@pytest.mark.parametrize(
    ("environ", "seen"),
    [({}, True), ({"CI": "true"}, False), ({"TERM": "dumb"}, False)],
    ids=["terminal", "CI", "dumb"],
)
@pytest.mark.parametrize("arguments", [("plan",), ("drift",), ("apply", "--yes")])
def test_a_terminal_sees_a_bar_for_each_registry_on_standard_error(
    tmp_path: Path, environ: dict[str, str], seen: bool, arguments: tuple[str, ...]
) -> None:
    (tmp_path / "registry.yaml").write_text(SPEC)
    terminal, end = os.openpty()
    usual = {name: value for name, value in os.environ.items() if name != "CI"}
    done = subprocess.run(
        [*COMMAND, *arguments],
        cwd=tmp_path,
        env={**usual, "PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "100", **environ},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=end,
        timeout=60,
        text=True,
    )
    os.set_blocking(terminal, False)
    os.close(end)
    try:
        said = os.read(terminal, 100_000).decode()
    except OSError:  # nothing was written
        said = ""
    os.close(terminal)
    assert done.returncode in (0, 2)
    assert "reading" not in done.stdout
    for name in ("one", "two"):
        assert (f"reading {name}" in said) == seen
    assert ("2/2" in said) == seen, "the local platform has two kinds"


def test_what_is_done_comes_to_what_was_to_be_done() -> None:
    told: list[tuple[str, int, int]] = []
    with opened(3) as session:
        session.platform = ScriptedPlatform(
            Scripted("a", script=lambda found: session.map(str, range(40))), Scripted("b")
        )
        observe({"r": session}, {"r": {}}, None, lambda *counts: told.append(counts))
    assert {name for name, _, _ in told} == {"r"}
    assert sum(done for _, done, _ in told) == sum(more for _, _, more in told) == 42
