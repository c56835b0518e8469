"""What the shell completes from the spec, by the protocol that the shells' scripts speak."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.command_line import COMMAND, _environ

pytestmark = pytest.mark.slow  # many processes

SPEC = """\
version: 1
name: demo
registries:
  - {name: sandbox, platform: local, path: box}
  - {name: spare, platform: local, path: other}
  - {name: images, platform: aws, account_id: "123456789012", region: us-east-1}
  - {name: acr, platform: azure, subscription_id: 00000000-0000-0000-0000-000000000000, resource_group: g,
     location: westeurope, registry_name: acrname}
repositories:
  - {name: app-a, registry: sandbox}
  - {name: app-b, registry: sandbox}
  - {name: web, registry: images}
grants:
  - {name: bob, registry: sandbox, repositories: [app-a], to: {type: local, users: [bob]}}
"""
REPOSITORIES = ["images.repository.web", "sandbox.repository.app-a", "sandbox.repository.app-b"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "registry.yaml").write_text(SPEC)
    (tmp_path / "other.yaml").write_text(
        "{version: 1, name: o, registries: [{name: elsewhere, platform: local, path: e}],"
        " repositories: [{name: a, registry: elsewhere}]}"
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


def bash(line: str) -> list[str]:
    """What bash is told when Tab is pressed at the end of the line; it must hear nothing else."""
    return asked("complete_bash", COMP_WORDS=line, COMP_CWORD=str(len(f"{line}|".split()) - 1)).split()


def asked(instruction: str, **environ: str) -> str:
    done = subprocess.run(
        COMMAND,
        env=_environ() | environ | {"_RECONCILER_COMPLETE": instruction},
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
    )
    assert (done.stderr, done.returncode) == ("", 0)
    return done.stdout


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("reconciler serve ", ["sandbox", "spare"]),
        ("reconciler gc sp", ["spare"]),
        ("reconciler serve --spec other.yaml ", ["elsewhere"]),
        ("reconciler credentials ", ["sandbox/app-a", "sandbox/app-b"]),
        ("reconciler credentials sandbox/app-b", ["sandbox/app-b"]),
        ("reconciler output --registry ", ["acr", "images", "sandbox", "spare"]),
        ("reconciler plan --allow-delete ", REPOSITORIES),
        ("reconciler release ", REPOSITORIES),
        ("reconciler plan --target sandbox.", ["sandbox.access.app-a", *REPOSITORIES[1:]]),
        ("reconciler apply --adopt images.ro", ["images.role.pull", "images.role.push"]),
        ("reconciler apply other.yaml --adopt ", ["elsewhere.repository.a"]),
        ("reconciler destroy other.yaml --target ", ["elsewhere.repository.a"]),
        ("reconciler drift other.yaml --target ", ["elsewhere.repository.a"]),
        ("reconciler plan --target nothing-like-it", []),
        ("reconciler he", ["help"]),
        ("reconciler help gua", ["guards"]),
    ],
)
def test_tab_completes_from_the_spec(here: Path, line: str, found: list[str]) -> None:
    assert bash(line) == found


def test_other_shells_are_told_the_same(here: Path) -> None:
    assert '"sandbox"' in asked("complete_zsh", _TYPER_COMPLETE_ARGS="reconciler serve ")
    fish = {"_TYPER_COMPLETE_ARGS": "reconciler serve ", "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    assert "sandbox" in asked("complete_fish", **fish)


@pytest.mark.parametrize(
    "text", [None, "", "registries: [", SPEC + "more: 1\n", SPEC.replace("path: box", "path: '${env:NOT_SET}'")]
)
def test_without_a_valid_spec_nothing_is_completed_and_nothing_said(here: Path, text: str | None) -> None:
    (here / "registry.yaml").unlink()
    if text is not None:
        (here / "registry.yaml").write_text(text)
    for line in (
        "reconciler serve ",
        "reconciler credentials ",
        "reconciler plan --target ",
        "reconciler plan - --target ",
    ):
        assert bash(line) == []


def test_no_library_of_a_cloud_or_a_server_is_imported(here: Path) -> None:
    program = (
        "import atexit, sys; atexit.register(lambda: print(*sorted({name.partition('.')[0] for name in sys.modules})))\n"
        "sys.argv = ['reconciler']; from reconciler.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=_environ()
        | {"COMP_WORDS": "reconciler plan --target ", "COMP_CWORD": "3", "_RECONCILER_COMPLETE": "complete_bash"},
        capture_output=True,
        text=True,
        check=True,
    )
    found, modules = done.stdout.splitlines()[:-1], done.stdout.splitlines()[-1].split()
    assert "images.role.pull" in found
    assert {"boto3", "botocore", "aiohttp", "argon2"} & set(modules) == set()


@pytest.mark.parametrize(
    "environ",
    [
        {"_RECONCILER_COMPLETE": "complete_bash"},
        {"_RECONCILER_COMPLETE": "complete_bash", "COMP_WORDS": "", "COMP_CWORD": ""},
    ],
)
def test_whoever_asks_by_hand_is_told_how_completion_is_set_up(here: Path, environ: dict[str, str]) -> None:
    done = subprocess.run(COMMAND, env=_environ() | environ, capture_output=True, text=True, timeout=60)
    said = "Completion is for your shell to ask for: `reconciler --install-completion` sets it up.\n"
    assert (done.stdout, done.stderr, done.returncode) == ("", said, 1)
