"""What must be said, and said once, by plans that a guard stops, wrong names on the command line, and credentials."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.command_line import ROOT
from tests.command_line import in_this_process as reconciler

HEAD = """\
version: 1
name: tests
registries:
  - {name: images, platform: local, path: box}
"""
WEB = "repositories:\n  - {name: web, registry: images}\n"
API = "  - {name: api, registry: images, protect: true}\n"
GRANTS = "grants:\n  - {name: g, registry: images, repositories: [web], to: {type: local, users: [alice]}}\n"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, HEAD + WEB + API + GRANTS)
    return tmp_path


def write(folder: Path, text: str) -> None:
    (folder / "registry.yaml").write_text(text)


@pytest.mark.parametrize("command", [("apply", "--yes"), ("destroy", "--yes"), ("apply", "plan.json", "--yes")])
def test_what_a_guard_says_is_printed_once(here: Path, command: tuple[str, ...]) -> None:
    reconciler("apply", "--yes")
    write(here, f"{HEAD}guards: {{max_deletes: 0}}\n")
    reconciler("plan", "--out", "plan.json", code=3)
    done = reconciler(*command, code=3)
    assert done.stdout.count("protect: images.repository.api is protected") == 1
    stop = "guard protect stops" if command[0] == "destroy" else "guards max_deletes and protect stop"
    assert done.stderr == (f'Error: the {stop} the plan: see "Guards that stop the plan" above; nothing was written\n')


def test_what_is_in_the_way_of_a_plan_is_printed_once(here: Path) -> None:
    reconciler("apply", "--yes")
    write(here, (HEAD + WEB).replace("tests", "others"))
    done = reconciler("apply", "--yes", code=1)
    assert done.stdout.count("ownership is never taken over") == 1
    assert done.stderr == (
        "Error: the plan can't be applied: see \"The plan can't be applied\" above; nothing was written\n"
    )


def test_a_permission_that_permits_nothing_says_why(here: Path) -> None:
    reconciler("apply", "--yes")

    def told(address: str, *arguments: str) -> str:
        plan = reconciler("plan", "--allow-delete", address, *arguments).stdout
        return next((line for line in plan.splitlines() if line.startswith("--allow-delete")), "")

    meant = "(did you mean 'images.repository.web'?); it permits nothing"
    assert told("images.repositry.web") == (
        f"--allow-delete images.repositry.web: no resource has such an address {meant}"
    )
    assert told("images.lifecycle.web") == (
        f"--allow-delete images.lifecycle.web: no resource has such an address {meant}"
    )
    assert told("images.access.web") == (f"--allow-delete images.access.web: only repositories need permission {meant}")
    unused = "--allow-delete images.repository.web: the plan does not delete it; it permits nothing"
    assert told("images.repository.web") == unused
    write(here, f"{HEAD}repositories:\n{API}")
    assert told("images.repository.web") == ""
    write(here, f"{HEAD}repositories:\n{API}  - {{name: other, registry: images}}\n")
    assert told("images.repository.web", "--target", "images.repository.other") == unused


def test_an_adoption_of_what_the_spec_does_not_have_names_the_right_address(here: Path) -> None:
    for given in ("web", "images/web", "images.web", "images.repositry.web", "images.lifecycle.web"):
        told = f"{given}: --adopt names an address that the spec does not have (did you mean 'images.repository.web'?)"
        assert told in reconciler("plan", "--adopt", given, code=1).stdout


def test_an_adoption_that_adopts_nothing_says_why(here: Path) -> None:
    def told() -> str:
        plan = reconciler("plan", "--adopt", "images.repository.web").stdout
        return next((line for line in plan.splitlines() if line.startswith("--adopt")), "")

    assert told() == "--adopt images.repository.web: it is not there; nothing is adopted"
    reconciler("apply", "--yes")
    assert told() == "--adopt images.repository.web: it is this spec's already; nothing is adopted"
    stored = here / "box" / "control" / "repositories" / "web.json"
    document = json.loads(stored.read_text())
    stored.write_text(json.dumps({"settings": document["settings"]}))
    assert told() == ""


@pytest.mark.parametrize("command", ["plan", "validate", "drift", "destroy", "output"])
def test_a_plan_file_in_the_place_of_a_spec_is_told_in_one_line(here: Path, command: str) -> None:
    reconciler("plan", "--out", "plan.json")
    assert reconciler(command, "plan.json", code=1).stderr == (
        "Error: plan.json:1:1: is a plan file and no spec: `reconciler show FILE` prints it, `reconciler apply FILE` carries it out\n"
    )


def test_a_spec_in_the_place_of_a_plan_file_is_told(here: Path) -> None:
    told = reconciler("show", "registry.yaml", code=1).stderr
    assert told.startswith("Error: registry.yaml is not a plan file")
    assert told.endswith("; `reconciler plan --out FILE` saves one\n")


def test_credentials_before_apply_say_what_makes_the_repository(here: Path) -> None:
    made = "the spec has web: `reconciler apply` makes it\n"
    assert reconciler("credentials", "images/web", code=1).stderr.endswith(f"no repository web\n  {made}")
    both = "the spec has api, web: `reconciler apply` makes them\n"
    assert reconciler("credentials", "images/*", code=1).stderr.endswith(both)
    reconciler("apply", "--yes")
    unknown = "it has api, web; a new one goes into the spec, and `reconciler apply` makes it\n"
    assert reconciler("credentials", "images/nope", code=1).stderr.endswith(unknown)
    write(here, HEAD + WEB + API + GRANTS.replace("[alice]", "[alice, bob]"))
    hint = "a grant in the spec counts once `reconciler apply` has written it; if there is none, add one\n"
    assert reconciler("credentials", "images/web", "--as", "bob", code=1).stderr.endswith(hint)


@pytest.mark.parametrize("form", ["text", "json"])
def test_credentials_say_that_no_server_is_running(here: Path, form: str) -> None:
    reconciler("apply", "--yes")
    issued = reconciler("credentials", "images/web", "--format", form)
    assert issued.stderr == (
        "note: no server of registry images is running; `reconciler serve images` starts one at 127.0.0.1:5000,"
        " unless --host or --port says otherwise\n"
    )
    assert "127.0.0.1:5000" in issued.stdout


@pytest.mark.slow  # a shell, and processes of its own
@pytest.mark.parametrize(
    ("spec", "code", "said"),
    [
        (f"{HEAD}{WEB}", 0, "1 to create"),
        (HEAD + WEB + GRANTS.replace("alice", "'*'"), 3, "Guards that stop the plan"),
        ("version: 2\n", 1, ""),
    ],
)
def test_the_pipeline_of_the_docs_comments_also_when_a_guard_stops_the_plan(
    tmp_path: Path, spec: str, code: int, said: str
) -> None:
    """As CI runs it: a shell that ends at the first failure. `gh` stands for GitHub's."""
    block = re.search(r"\n    code=0\n.*?exit \$code\n", (ROOT / "docs" / "commands.md").read_text(), re.DOTALL)
    assert block is not None
    tools = tmp_path / "tools"
    tools.mkdir()
    for name, does in {"gh": 'cp "$4" commented', "reconciler": f'exec "{sys.executable}" -m reconciler "$@"'}.items():
        (tools / name).write_text(f"#!/bin/sh\n{does}\n")
        (tools / name).chmod(0o755)
    write(tmp_path, spec)
    environ = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(["sh", "-e", "-c", block[0]], cwd=tmp_path, env=environ, capture_output=True, timeout=60)
    assert done.returncode == code, done.stderr
    commented = tmp_path / "commented"
    assert (said in commented.read_text()) if said else not commented.exists()


def test_fields_are_in_words_in_every_form_and_json_keeps_data(here: Path) -> None:
    """The words of the local platform are those of AWS (tests/golden/later-plan.txt)."""
    reconciler("apply", "--yes")
    everyone = GRANTS.replace("alice", "'*'").replace(
        "registry: images, r", "registry: images, permission: push-pull, r"
    )
    write(here, f"{HEAD}guards: {{allow_public: true}}\n{WEB}{API}{everyone}")
    text = reconciler("plan").stdout
    for form in (text, reconciler("plan", "--format", "markdown").stdout):
        assert "g.principals: user alice → everyone\n" in form
        assert "g.may: pull → pull and push\n" in form
        assert "everyone can now pull and push web\n" in form
        assert "loses access" not in form, "alice is one of everyone"
    drift = reconciler("drift", code=2).stdout
    assert "g.principals: user alice (live), everyone (spec)\n" in drift
    (change,) = json.loads(reconciler("plan", "--format", "json").stdout)["changes"]
    assert change["fields"] == [
        {"path": "g.may", "old": ["pull"], "new": ["pull", "push"]},
        {"path": "g.principals", "old": ["alice"], "new": ["*"]},
    ]
    reconciler("plan", "--out", "plan.json")
    assert reconciler("show", "plan.json").stdout == text, "a saved plan has the words again"
