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


def marks(applied: Path, name: str) -> dict[str, str]:
    found: dict[str, str] = json.loads((applied / f"box/control/repositories/{name}.json").read_text())["marks"]
    return found


def test_release_lets_go_of_one_repository_and_of_nothing_else(applied: Path) -> None:
    spec = applied / "registry.yaml"
    spec.write_text(
        SPEC.replace("app-b, registry", "app-b, description: other, registry")
    )  # pending, and not asked for
    refused = reconciler("release", "images.repository.app-a", code=1)
    assert "there is no terminal to confirm on; nothing was written" in refused.stderr
    assert marks(applied, "app-a")["reconciler-owner"] == "tests"
    done = reconciler("release", "images.repository.app-a", "--yes").stdout
    assert "user alice can no longer pull app-a" in done
    assert "images.repository.app-a released" in done
    assert "Apply: 2 done." in done
    assert "left out" not in done
    assert "Now take repository app-a out of the spec" in done
    assert marks(applied, "app-a") == {}
    assert not (applied / "box/control/access/app-a.json").exists()
    assert "already exists and has no owner" in reconciler("plan", code=6).stdout
    spec.write_text(SPEC.replace("  - {name: app-a, registry: images}\n", ""))
    assert "Left alone: 1 repository of registry images that nobody owns" in reconciler("plan").stdout


def test_release_in_the_spec_and_a_saved_plan(applied: Path) -> None:
    (applied / "registry.yaml").write_text(
        SPEC.replace("app-a, registry: images", "app-a, registry: images, release: true")
    )
    reconciler("plan", "--out", "plan.json")
    assert "Apply: 2 done." in reconciler("apply", "plan.json", "--yes").stdout
    assert marks(applied, "app-a") == {}
    quiet = reconciler("plan", "--detailed-exitcode").stdout
    assert "this spec manages nothing of repository app-a of registry images, which has release: true;" in quiet


def test_release_says_which_address_was_meant(applied: Path) -> None:
    told = reconciler("release", "images.repository.ap-a", "--yes", code=1).stderr
    assert told == (
        "Error: images.repository.ap-a: this spec owns no repository with this address (did you mean"
        " 'images.repository.app-a'?)\n"
    )


@pytest.mark.parametrize("command", ["plan", "drift", "validate"])
def test_a_spec_without_a_registry_is_warned_about(applied: Path, command: str) -> None:
    (applied / "registry.yaml").write_text("version: 1\nname: tests\nregistries: []\n")
    told = reconciler(command)
    assert "the spec has no registries: what a removed registry holds is kept" in told.stdout + told.stderr


def test_a_retired_registry_asks_for_nothing_and_has_no_output(applied: Path) -> None:
    (applied / "registry.yaml").write_text(SPEC.replace("path: box", "path: box, retired: true"))
    assert (
        "note: registry images is retired, so its 2 repositories and 1 grant are ignored"
        in reconciler("validate").stderr
    )
    alone = SPEC.partition("grants:")[0].replace("path: box", "path: box, retired: true")
    (applied / "registry.yaml").write_text(alone)
    assert "so its 2 repositories are ignored" in reconciler("validate").stderr
    (applied / "registry.yaml").write_text(SPEC.replace("path: box", "path: box, retired: true"))
    assert reconciler("output").stdout == "{}\n"
    assert "Plan: 2 to delete (and 2 resources with them)" in reconciler("plan").stdout
    reconciler("apply", "--yes")
    assert "registry images is retired and nothing of it is left; take it out of the spec" in reconciler("plan").stdout


def test_what_is_protected_in_a_retired_registry_says_what_to_apply_first(applied: Path) -> None:
    spec = applied / "registry.yaml"
    kept = SPEC.replace("app-a, registry: images", "app-a, registry: images, protect: true")
    retired = "path: box, retired: true"
    spec.write_text(kept)
    reconciler("apply", "--yes")
    spec.write_text(kept.replace("path: box", retired))
    first = "it was applied with protect: true; apply retired: false for registry images and protect: false for the repository first"
    assert f"{first}, then retired: true again\n" in reconciler("plan", code=3).stdout
    assert f"{first}\n" in reconciler("plan", "--destroy", code=3).stdout
    spec.write_text(kept.replace("protect: true", "protect: false"))  # retired: false is the default
    reconciler("apply", "--yes")
    spec.write_text(SPEC.replace("path: box", retired))
    assert "Plan: 2 to delete" in reconciler("plan").stdout


@pytest.mark.parametrize("given", ["app-a", "images.repository.app-aa", "images/app-a"])
def test_a_wrong_address_is_answered_with_what_may_be_meant(applied: Path, given: str) -> None:
    assert applied.is_dir()
    told = reconciler("release", given, "--yes", code=1)
    assert "this spec owns no repository with this address (did you mean 'images.repository.app-a'?)" in told.stderr
