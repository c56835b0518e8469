"""What somebody stumbles over who uses the tool for the first time."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.command_line import in_this_process as reconciler

SPEC = """\
version: 1
name: tests
registries:
  - {name: images, platform: local, path: box}
repositories:
  - {name: web, registry: images}
  - {name: api, registry: images}
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "registry.yaml").write_text(SPEC)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_validate_notes_that_nothing_scans_on_the_local_platform(here: Path) -> None:
    assert reconciler("validate").stderr == ""
    (here / "registry.yaml").write_text(f"{SPEC}defaults: {{repository: {{scan_on_push: true}}}}\n")
    assert reconciler("validate").stderr == (
        "registry.yaml:4:5: note: registry images: nothing scans images on the local platform:"
        " scan_on_push of api, web is kept and does nothing\n"
    )


@pytest.mark.parametrize("command", [("plan",), ("apply", "--yes")])
@pytest.mark.parametrize("name", ["file", "missing", "file/below"])
def test_rescue_must_name_a_folder(here: Path, command: tuple[str, ...], name: str) -> None:
    (here / "file").write_text("")
    (here / "registry.yaml").unlink()  # it is told before anything is read
    assert reconciler(*command, "--rescue", name, code=1).stderr == f"Error: --rescue {name}: is no folder\n"
