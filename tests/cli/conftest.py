"""A folder with the module's SPEC, in which its commands run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.command_line import in_this_process


@pytest.fixture
def here(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder, which is the current one, with `SPEC` of the test's module as its registry.yaml."""
    (tmp_path / "registry.yaml").write_text(request.module.SPEC)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def applied(here: Path) -> Path:
    """The same folder, with the spec applied."""
    in_this_process("apply", "--yes")
    return here
