"""`reconciler release` and what a spec says that asks for nothing."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.command_line import in_this_process as reconciler

SPEC = """\
version: 1
name: tests
registries:
  - {name: images, platform: local, path: box}
repositories:
  - {name: app-a, registry: images}
  - {name: app-b, registry: images}
grants:
  - {name: one, registry: images, to: {type: local, users: [alice]}}
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "registry.yaml").write_text(SPEC)
    monkeypatch.chdir(tmp_path)
    reconciler("apply", "--yes")
    return tmp_path


def marks(here: Path, name: str) -> dict[str, str]:
    found: dict[str, str] = json.loads((here / f"box/control/repositories/{name}.json").read_text())["marks"]
    return found


def test_release_lets_go_of_one_repository_and_of_nothing_else(here: Path) -> None:
    spec = here / "registry.yaml"
    spec.write_text(
        SPEC.replace("app-b, registry", "app-b, description: other, registry")
    )  # pending, and not asked for
    refused = reconciler("release", "images.repository.app-a", code=1)
    assert "there is no terminal to ask on; nothing was written" in refused.stderr
    assert marks(here, "app-a")["reconciler-owner"] == "tests"
    done = reconciler("release", "images.repository.app-a", "--yes").stdout
    assert "user alice can no longer pull app-a" in done
    assert "images.repository.app-a released" in done
    assert "Apply: 2 done." in done
    assert "left out" not in done
    assert "Take repository app-a out of the spec now" in done
    assert marks(here, "app-a") == {}
    assert not (here / "box/control/access/app-a.json").exists()
    assert "already exists and nobody owns it" in reconciler("plan", code=1).stdout
    spec.write_text(SPEC.replace("  - {name: app-a, registry: images}\n", ""))
    assert "Left alone: 1 repository of registry images that nobody owns" in reconciler("plan").stdout


def test_release_in_the_spec_and_a_saved_plan(here: Path) -> None:
    (here / "registry.yaml").write_text(
        SPEC.replace("app-a, registry: images", "app-a, registry: images, release: true")
    )
    reconciler("plan", "--out", "plan.json")
    assert "Apply: 2 done." in reconciler("apply", "plan.json", "--yes").stdout
    assert marks(here, "app-a") == {}
    quiet = reconciler("plan", "--detailed-exitcode").stdout
    assert "repository app-a of registry images is released: take it out of the spec" in quiet


def test_release_says_which_address_was_meant(here: Path) -> None:
    told = reconciler("release", "images.repository.ap-a", "--yes", code=1).stderr
    assert told == (
        "Error: images.repository.ap-a: no repository of this spec has such an address (did you mean"
        " 'images.repository.app-a'?)\n"
    )


@pytest.mark.parametrize("command", ["plan", "drift", "validate"])
def test_a_spec_without_a_registry_is_warned_about(here: Path, command: str) -> None:
    (here / "registry.yaml").write_text("version: 1\nname: tests\nregistries: []\n")
    told = reconciler(command)
    assert (
        "the spec has no registry: what a registry holds that has left the spec stays there"
        in told.stdout + told.stderr
    )


def test_a_retired_registry_asks_for_nothing_and_has_no_output(here: Path) -> None:
    (here / "registry.yaml").write_text(SPEC.replace("path: box", "path: box, retired: true"))
    assert (
        "note: registry images is retired: its 2 repositories and 1 grant ask for nothing"
        in reconciler("validate").stderr
    )
    assert reconciler("output").stdout == "{}\n"
    assert "Plan: 2 to delete (and 2 resources with them)" in reconciler("plan").stdout
    reconciler("apply", "--yes")
    assert "registry images is retired and nothing of it is left: take it out of the spec" in reconciler("plan").stdout
