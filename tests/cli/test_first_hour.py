"""What somebody stumbles over who uses the tool for the first time."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.command_line import in_this_process as reconciler

pytestmark = pytest.mark.slow  # many commands

SPEC = """\
version: 1
name: tests
registries:
  - {name: images, platform: local, path: box}
repositories:
  - {name: web, registry: images}
  - {name: api, registry: images}
"""


def test_validate_notes_that_nothing_scans_on_the_local_platform(here: Path) -> None:
    assert reconciler("validate").stderr == ""
    (here / "registry.yaml").write_text(f"{SPEC}defaults: {{repository: {{scan_on_push: true}}}}\n")
    assert reconciler("validate").stderr == (
        "registry.yaml:4:5: note: registry images: the local platform does not scan images:"
        " scan_on_push of api, web has no effect\n"
    )


@pytest.mark.parametrize("command", [("plan",), ("apply", "--yes")])
@pytest.mark.parametrize("name", ["file", "missing", "file/below"])
def test_rescue_must_name_a_folder(here: Path, command: tuple[str, ...], name: str) -> None:
    (here / "file").write_text("")
    (here / "registry.yaml").unlink()  # it is told before anything is read
    assert reconciler(*command, "--rescue", name, code=1).stderr == f"Error: --rescue {name}: not a folder\n"


def test_repositories_that_nobody_owns_are_named_up_to_three(here: Path) -> None:
    folder = here / "box" / "control" / "repositories"
    folder.mkdir(parents=True)
    found = []
    for number in range(1, 12, 5):
        (folder / f"old-{number}.json").write_text('{"settings": {}}')
        found.append(f"old-{number}")
        count = f"{number // 5 + 1} repositories" if number > 1 else "1 repository"
        assert (
            f"Left alone: {count} of registry images that nobody owns ({', '.join(found)})."
            in reconciler("plan").stdout
        )
    for number in (2, 10):
        (folder / f"old-{number}.json").write_text('{"settings": {}}')
    for command in (("plan",), ("drift",), ("plan", "--format", "markdown")):
        told = reconciler(*command, code=2 if "drift" in command else 0).stdout
        assert "5 repositories of registry images that nobody owns (old-1, old-2, old-6 and 2 more)." in told


@pytest.mark.parametrize("given", ["web", "images/web", "images.web", "images.repositry.web"])
def test_a_target_that_is_a_name_alone_is_told_the_address(here: Path, given: str) -> None:
    told = f"--target {given}: no resource has this address (did you mean 'images.repository.web'?)"
    assert told in reconciler("plan", "--target", given, code=1).stderr
    permits = f"--allow-delete {given}: no resource has this address (did you mean 'images.repository.web'?)"
    assert permits in reconciler("plan", "--allow-delete", given, code=1).stderr
    assert "did you mean" not in reconciler("plan", "--target", "nothing-like-it", code=1).stderr


def test_a_log_is_made_also_where_nothing_changes(here: Path) -> None:
    reconciler("apply", "--yes")
    reconciler("plan", "--out", "plan.json")
    for arguments in (("apply", "--log", "a.jsonl"), ("apply", "plan.json", "--log", "b.jsonl")):
        reconciler(*arguments, "--yes")
        assert (here / arguments[-1]).read_text() == ""
    assert (here / "a.jsonl").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("command", "codes"),
    [
        ("validate", [0, 1, 130]),
        ("plan", [0, 1, 2, 3, 6, 130]),
        ("apply", [0, 1, 3, 4, 6, 130]),
        ("drift", [0, 1, 2, 6, 130]),
        ("destroy", [0, 1, 3, 4, 130]),
    ],
)
def test_the_help_of_a_command_has_its_exit_codes(command: str, codes: list[int]) -> None:
    told = " ".join(reconciler(command, "--help").stdout.partition("Exit codes: ")[2].split())
    assert [int(part.split()[0]) for part in re.split(r"(?:^|, )(?=[0-9])", told) if part] == codes


def test_help_says_what_each_option_of_that_command_does() -> None:
    def told(command: str) -> str:
        return " ".join(reconciler(command, "--help").stdout.split())

    assert "The output format." in told("drift")
    assert "Log each request: method, path, status, bytes, milliseconds; never a header." in told("serve")
    for command in ("plan", "apply", "serve", "gc", "credentials"):
        assert "[default: (" not in told(command)
    assert "[default: 30m]" in told("plan")
    assert "[default: the current folder]" in told("plan")


def test_full_names_all_that_somebody_gains_in_every_command_that_gathers(here: Path) -> None:
    names = [f"s{number:02}" for number in range(20)]
    rows = "".join(f"  - {{name: {name}, registry: images}}\n" for name in names)
    grant = "grants: [{name: g, registry: images, to: {type: local, users: [alice]}}]\n"
    text = SPEC[: SPEC.index("repositories:")] + "guards: {max_deletes: 100}\n"
    (here / "registry.yaml").write_text(f"{text}repositories:\n{rows}{grant}")
    everything, some = ", ".join(names), f"{', '.join(names[:12])} and 8 more (--full names them)"
    reconciler("plan", "--out", "plan.json")
    for command in (("plan",), ("show", "plan.json"), ("plan", "--format", "markdown")):
        assert f"user alice can now pull {some}" in reconciler(*command).stdout
        assert f"user alice can now pull {everything}" in reconciler(*command, "--full").stdout
    assert f"user alice can now pull {some}" in reconciler("apply", "--yes").stdout
    (here / "registry.yaml").write_text(f"{text}repositories:\n{rows}")
    for command in (("plan",), ("plan", "--full"), ("plan", "--destroy"), ("apply", "--yes")):
        assert f"user alice can no longer pull {everything}" in reconciler(*command).stdout
    assert "--full" in reconciler("destroy", "--help").stdout


def test_a_registry_that_this_build_cannot_plan_is_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, without_external: None
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "registry.yaml").write_text(
        "version: 1\nname: tests\nregistries:\n"
        "  - {name: images, platform: external, url: https://registry.example.com}\n"
        "  - {name: box, platform: local, path: box}\n"
    )
    done = reconciler("validate")
    note = "note: registry images: this build validates registries on external, but can't plan or apply them\n"
    assert done.stderr == f"registry.yaml:4:5: {note}"
    assert done.stdout == "registry.yaml is valid: 2 registries, 0 repositories, 0 grants.\n"


def test_the_name_of_a_registry_is_answered_with_its_rule(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "registry.yaml").write_text(
        "version: 1\nname: tests\nregistries: [{name: 1one, platform: local, path: box}]\n"
    )
    assert (
        "'1one' must be lower-case letters and digits in words joined by single dashes, starting with a letter,"
        " at most 40 characters" in reconciler("validate", code=1).stderr
    )
