"""What must be said, and said once, by plans that a guard stops, wrong names on the command line, and credentials."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from reconciler.cli.usage import plainly
from reconciler.engine.guard import ABOUT
from reconciler.spec.models import Guards
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
    protect, deletes = "'protect' (protected repositories)", "'max_deletes' (the number of deletes)"
    stop = f"guard {protect} stops" if command[0] == "destroy" else f"guards {deletes} and {protect} stop"
    assert done.stderr == (f'Error: the {stop} the plan: see "Guards that stop the plan" above; nothing was written\n')


def test_every_guard_says_what_it_is_about() -> None:
    own = {"adopted", "dangerous", "foreign", "images"}  # these need no line in the spec
    assert set(ABOUT) - own == set(Guards.model_fields) - {"include"}


def test_what_is_in_the_way_of_a_plan_is_printed_once(here: Path) -> None:
    reconciler("apply", "--yes")
    write(here, (HEAD + WEB).replace("tests", "others"))
    done = reconciler("apply", "--yes", code=6)
    assert done.stdout.count("an owned resource is never taken over") == 1
    assert done.stderr == (
        "Error: the plan can't be applied: see \"The plan can't be applied\" above; nothing was written\n"
    )


def test_a_permission_that_permits_nothing_says_why(here: Path) -> None:
    reconciler("apply", "--yes")

    def told(address: str, *arguments: str) -> str:
        plan = reconciler("plan", "--allow-delete", address, *arguments).stdout
        return next((line for line in plan.splitlines() if line.startswith("  --allow-delete")), "")

    meant = "(did you mean 'images.repository.web'?)"
    assert told("images.access.web") == (
        f"  --allow-delete images.access.web: only repositories need this permission {meant}, so it has no effect"
    )
    unused = "  --allow-delete images.repository.web: the plan does not delete or replace it, so it has no effect"
    assert told("images.repository.web") == unused
    assert f"Warnings\n{unused}\n" in reconciler("plan", "--allow-delete", "images.repository.web").stdout
    write(here, f"{HEAD}repositories:\n{API}")
    assert told("images.repository.web") == ""
    write(here, f"{HEAD}repositories:\n{API}  - {{name: other, registry: images}}\n")
    assert told("images.repository.web", "--target", "images.repository.other") == unused


@pytest.mark.parametrize("address", ["images.repositry.web", "images.lifecycle.web"])
@pytest.mark.parametrize("command", ["plan", "apply", "destroy"])
def test_a_permission_at_an_address_that_no_resource_has_is_refused(here: Path, address: str, command: str) -> None:
    reconciler("apply", "--yes")
    done = reconciler(command, "--allow-delete", address, *(["--yes"] if command != "plan" else []), code=1)
    assert done.stderr.endswith(
        f"Error: --allow-delete {address}: no resource has this address (did you mean 'images.repository.web'?)\n"
    )
    assert (here / "box/control/repositories/web.json").exists()


def test_an_adoption_of_what_the_spec_does_not_have_names_the_right_address(here: Path) -> None:
    for given in ("web", "images/web", "images.web", "images.repositry.web", "images.lifecycle.web"):
        told = f"{given}: --adopt: the spec has no such address (did you mean 'images.repository.web'?)"
        assert told in reconciler("plan", "--adopt", given, code=1).stdout


def test_an_adoption_that_adopts_nothing_says_why(here: Path) -> None:
    def told() -> str:
        plan = reconciler("plan", "--adopt", "images.repository.web").stdout
        return next((line.strip() for line in plan.splitlines() if line.startswith("  --adopt")), "")

    assert told() == "--adopt images.repository.web: it does not exist, so nothing is adopted"
    reconciler("apply", "--yes")
    assert told() == "--adopt images.repository.web: it is already owned by this spec, so nothing is adopted"
    stored = here / "box" / "control" / "repositories" / "web.json"
    document = json.loads(stored.read_text())
    stored.write_text(json.dumps({"settings": document["settings"]}))
    assert told() == ""


@pytest.mark.parametrize("command", ["plan", "validate", "drift", "destroy", "output"])
def test_a_plan_file_in_the_place_of_a_spec_is_told_in_one_line(here: Path, command: str) -> None:
    reconciler("plan", "--out", "plan.json")
    assert reconciler(command, "plan.json", code=1).stderr == (
        "Error: plan.json:1:1: is a plan file, not a spec: `reconciler show plan.json` prints it,"
        " `reconciler apply plan.json` applies it\n"
    )


def test_a_spec_in_the_place_of_a_plan_file_is_told(here: Path) -> None:
    saves = "`reconciler plan --out FILE` saves one\n"
    told = reconciler("show", "registry.yaml", code=1).stderr
    assert told == f"Error: registry.yaml is not a plan file, which is JSON; {saves}"
    (here / "spec.json").write_text('{"version": 1}')
    told = reconciler("show", "spec.json", code=1).stderr
    assert told == f"Error: spec.json is not a plan file: it does not say its `format`; {saves}"
    (here / "cut.json").write_text('{"format": 3,\n')
    assert reconciler("show", "cut.json", code=1).stderr == (
        "Error: cut.json is not a plan file: not JSON at line 2, column 1\n"
    )
    (here / "other.json").write_text('{"format": null}')
    assert "(its format is (none)); make a new plan" in reconciler("show", "other.json", code=1).stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("serve", "--port", "80x"), "'--port': must be a whole number"),
        (("serve", "--port", "70000"), "'--port': must be 65535 or less"),
        (("plan", "--parallelism", "0"), "'--parallelism': must be 1 or more"),
        (("plan", "--format", "xml"), "'--format': must be text, json or markdown, not 'xml'"),
        (("plan", "--format", "jsom"), "must be text, json or markdown, not 'jsom' (did you mean 'json'?)"),
        (
            ("schema", "spek"),
            "'DOCUMENT': must be spec, part, guards, plan or review, not 'spek' (did you mean 'spec'?)",
        ),
        (("serve", "--trusted-proxy", "x"), "--trusted-proxy x: not an address, such as 10.0.0.7, or a network,"),
        (("serve", "--trusted-proxy", "10.0.0.7/24"), "an address in a network; the network is 10.0.0.0/24\n"),
    ],
)
def test_a_wrong_value_is_answered_without_words_of_a_library(
    here: Path, arguments: tuple[str, ...], said: str
) -> None:
    # an argument's name stands in brackets in some versions of the library
    told = reconciler(*arguments, code=1).stderr.replace("'[DOCUMENT]'", "'DOCUMENT'")
    assert said in told
    assert not re.search("Input should|Value error|valid integer|does not appear", told)


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("'80x' is not a valid int.", "must be a whole number"),
        ("'80x' is not a valid integer range.", "must be a whole number"),
        ("70000 is not in the range 0<=x<=65535.", "must be 65535 or less"),
        ("-5 is not in the range 0<=x<=65535.", "must be 0 or more"),
        ("0 is not in the range x>=1.", "must be 1 or more"),
        ("7 is not in the range x<=5.", "must be 5 or less"),
        ("'xml' is not one of 'text', 'json'.", "must be text or json, not 'xml'"),
        ("'x' is not a duration, such as 90s", "'x' is not a duration, such as 90s"),
    ],
)
def test_the_words_of_other_versions_of_the_library_are_known_too(message: str, said: str) -> None:
    assert plainly(message) == said


@pytest.mark.parametrize(
    ("held", "why"),
    [
        (b'{"settings":', "can't be read: it is not JSON at line 1, column 13"),
        (b"\xff", "can't be read: it is not text in UTF-8"),
        (b'{"settings": 5}', "is not a valid document of a registry: a value in it is of the wrong type"),
        (b"[1]", "is not a JSON object"),
    ],
)
def test_a_damaged_file_is_told_without_words_of_a_library(here: Path, held: bytes, why: str) -> None:
    reconciler("apply", "--yes")
    (here / "box/control/repositories/web.json").write_bytes(held)
    told = reconciler("plan", code=1).stderr
    assert f"control/repositories/web.json {why}\n" in told
    assert not re.search("Expecting|codec|attribute|char 0", told)


def test_an_address_that_is_in_use_is_told_without_numbers(here: Path) -> None:
    reconciler("apply", "--yes")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        told = reconciler("serve", "--port", str(port), code=1).stderr
    assert f"can't listen on 127.0.0.1:{port}: something else listens there already\n" in told
    assert "Errno" not in told
    assert "Errno" not in reconciler("serve", "--host", "192.0.2.1", code=1).stderr


def test_a_spec_that_was_renamed_is_told_what_to_do(here: Path) -> None:
    reconciler("apply", "--yes")
    write(here, (HEAD + WEB + API + GRANTS).replace("name: tests", "name: renamed"))
    nothing = reconciler("destroy", "--yes", code=0).stdout
    assert "Nothing to destroy" in nothing
    assert "2 resources are owned by the spec 'tests': if this spec, 'renamed', was called 'tests' before," in nothing
    for command in (("plan",), ("drift",), ("plan", "--format", "markdown")):
        told = reconciler(*command, code=6).stdout.replace("\\", "")
        assert "2 resources are owned by the spec 'tests': if this spec, 'renamed', was called 'tests' before," in told
        assert "reconciler help renaming-a-registry-or-a-spec" in told
        assert told.count("an owned resource is never taken over") == 2, "the count agrees with what is listed"
        if "drift" in command:
            assert "Drift: 2 conflicts, " in told
            assert told.startswith("What is in the way of the spec\n")
            assert "The plan" not in told
        assert "box/control/repositories/web.json" in told, "a path that exists"
    reconciler("help", "renaming-a-registry-or-a-spec")
    write(here, (HEAD + WEB + API + GRANTS).replace("images", "pictures"))
    told = reconciler("plan", code=6).stdout
    assert "2 resources belong to the registry 'images': if the registry 'pictures' was called 'images' before," in told
    write(here, HEAD + WEB + API + GRANTS)
    assert "before" not in reconciler("plan").stdout


def test_a_label_that_is_adopted_as_it_is_is_kept(here: Path) -> None:
    write(here, HEAD + WEB.replace("images}", "images, labels: {team: shop}}"))
    reconciler("apply", "--yes")
    reconciler("release", "images.repository.web", "--yes")
    for form in ("text", "markdown"):
        told = reconciler("plan", "--adopt", "images.repository.web", "--format", form).stdout
        assert 'labels.team: "shop" (set by somebody else, kept)\n' in told
        assert "→" not in told


def test_a_plan_that_was_applied_already_says_so(here: Path) -> None:
    applied = "Error: nothing of this plan is left to do, most likely since it has been applied already; nothing was written\n"
    reconciler("plan", "--out", "plan.json")
    reconciler("apply", "plan.json", "--yes")
    assert reconciler("apply", "plan.json", "--yes", code=4).stderr == applied
    write(here, (HEAD + WEB + API + GRANTS).replace("alice", "bob"))
    reconciler("plan", "--out", "later.json")
    reconciler("apply", "later.json", "--yes")
    assert reconciler("apply", "later.json", "--yes", code=4).stderr == applied
    told = reconciler("apply", "plan.json", "--yes", code=4).stderr
    assert told.startswith("Error:\nthe plan is stale; nothing was written:\n  images.repository.api: ")


def test_credentials_before_apply_say_what_makes_the_repository(here: Path) -> None:
    made = "the spec has web: `reconciler apply` creates it\n"
    assert reconciler("credentials", "images/web", code=1).stderr.endswith(f"no repository web\n  {made}")
    both = "the spec has api, web: `reconciler apply` creates them\n"
    assert reconciler("credentials", "images/*", code=1).stderr.endswith(both)
    reconciler("apply", "--yes")
    unknown = "it has api, web; add a new one to the spec and run `reconciler apply`\n"
    assert reconciler("credentials", "images/nope", code=1).stderr.endswith(unknown)
    write(here, HEAD + WEB + API + GRANTS.replace("[alice]", "[alice, bob]"))
    hint = (
        "add a grant to the spec if it has none, and run `reconciler apply`: a grant takes effect once it is applied\n"
    )
    assert reconciler("credentials", "images/web", "--as", "bob", code=1).stderr.endswith(hint)


@pytest.mark.parametrize("form", ["text", "json"])
def test_credentials_say_that_no_server_is_running(here: Path, form: str) -> None:
    reconciler("apply", "--yes")
    issued = reconciler("credentials", "images/web", "--format", form)
    assert issued.stderr == (
        "note: registry images is not being served; `reconciler serve images` serves it at 127.0.0.1:5000,"
        " unless given another --host or --port\n"
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
def test_the_workflow_of_the_docs_comments_also_when_a_guard_stops_the_plan(
    tmp_path: Path, spec: str, code: int, said: str
) -> None:
    """As CI runs it: a shell that ends at the first failure. Without a token, what would be commented is in the job's summary."""
    workflow = (ROOT / "docs" / "ci.md").read_text()
    block = re.search(r"^ +rm -f plan\.json .*?exit \"\$code\"\n", workflow, re.DOTALL | re.MULTILINE)
    assert block is not None
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "reconciler").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m reconciler "$@"\n')
    (tools / "reconciler").chmod(0o755)
    write(tmp_path, spec)
    summary = tmp_path / "summary.md"
    environ = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    environ |= {"GITHUB_STEP_SUMMARY": str(summary), "GITHUB_TOKEN": ""}
    done = subprocess.run(["sh", "-e", "-c", block[0]], cwd=tmp_path, env=environ, capture_output=True, timeout=60)
    assert done.returncode == code, done.stderr
    assert (said in summary.read_text()) if said else not summary.exists()


def test_fields_are_in_words_in_every_form_and_json_keeps_data(here: Path) -> None:
    """The words of the local platform are those of AWS (tests/golden/later-plan.txt)."""
    reconciler("apply", "--yes")
    everyone = GRANTS.replace("alice", "'*'").replace(
        "registry: images, r", "registry: images, permission: push-pull, r"
    )
    write(here, f"{HEAD}guards: {{allow_public: true}}\n{WEB}{API}{everyone}")
    text = reconciler("plan").stdout
    for form in (text, reconciler("plan", "--format", "markdown").stdout):
        assert "g.principals: user alice → anyone\n" in form
        assert "g.may: pull → pull and push\n" in form
        assert "anyone can now pull and push web\n" in form
        assert "loses access" not in form, "alice is one of everyone"
    drift = reconciler("drift", code=2).stdout
    assert "g.principals: user alice (live), anyone (spec)\n" in drift
    (change,) = json.loads(reconciler("plan", "--format", "json").stdout)["changes"]
    assert change["fields"] == [
        {"path": "g.may", "old": ["pull"], "new": ["pull", "push"]},
        {"path": "g.principals", "old": ["alice"], "new": ["*"]},
    ]
    reconciler("plan", "--out", "plan.json")
    assert reconciler("show", "plan.json").stdout == text, "a saved plan has the words again"
