"""Which exit code comes first where several hold, and that the documented lines tell them apart."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from reconciler.cli.exits import Exit
from tests.command_line import ROOT
from tests.command_line import in_this_process as reconciler

SPEC = """\
version: 1
name: tests
registries:
  - {name: images, platform: local, path: box}
repositories:
  - {name: app-a, registry: images}
  - {name: app-b, registry: images}
"""


def by_hand(folder: Path, name: str, part: str, **values: object) -> None:
    stored = folder / "box" / "control" / "repositories" / f"{name}.json"
    document = json.loads(stored.read_text())
    document[part] = {**document[part], **values}
    stored.write_text(json.dumps(document))


def unread(folder: Path) -> None:
    """What stands where the registry was can't be read."""
    (folder / "box" / "control" / "repositories" / "app-a.json").write_text("[")


#: marks that make app-b somebody else's, or nobody's
CONFLICTS = {
    "nobody's": {"reconciler-owner": None},
    "another spec's": {"reconciler-owner": "somebody-else"},
    "another registry's": {"reconciler-registry": "elsewhere"},
    "made at run time": {"reconciler-origin": "runtime"},
}


def in_conflict(folder: Path, which: str = "another spec's") -> None:
    stored = folder / "box" / "control" / "repositories" / "app-b.json"
    document = json.loads(stored.read_text())
    marks = {key: value for key, value in (document["marks"] | CONFLICTS[which]).items() if value is not None}
    stored.write_text(json.dumps({**document, "marks": marks if "reconciler-owner" in marks else {}}))


@pytest.mark.parametrize("which", CONFLICTS)
def test_a_conflict_has_an_exit_code_of_its_own(applied: Path, which: str) -> None:
    in_conflict(applied, which)
    for command in (["plan"], ["plan", "--out", "plan.json"], ["drift"], ["apply", "--yes"], ["apply", "plan.json"]):
        done = reconciler(*command, code=6)
        assert "images.repository.app-b: box/control/repositories/app-b.json " in done.stdout
    (problem,) = json.loads((applied / "plan.json").read_text())["problems"]
    assert problem["conflict"] is True
    assert "The plan can't be applied" in reconciler("show", "plan.json").stdout


def test_a_conflict_comes_before_guards_and_changes_and_a_stale_plan(applied: Path) -> None:
    in_conflict(applied)
    by_hand(applied, "app-a", "settings", description="by hand")
    assert "Drift: 1 conflict, and 1 resource drifted, 0 unchanged.\n" in reconciler("drift", code=6).stdout
    reconciler("plan", "--detailed-exitcode", "--out", "plan.json", code=6)
    by_hand(applied, "app-a", "settings", description="by hand once more")
    reconciler("apply", "plan.json", "--yes", code=6)
    spec = SPEC.replace("  - {name: app-a, registry: images}\n", "") + "guards: {max_deletes: 0}\n"
    (applied / "registry.yaml").write_text(spec)
    assert "Guards that stop the plan" in reconciler("plan", code=6).stdout
    reconciler("apply", "--yes", code=6)


def test_a_conflict_hides_no_error(applied: Path) -> None:
    in_conflict(applied)
    beside = reconciler("plan", "--adopt", "images.repository.nope", "--out", "plan.json", code=1)
    assert "nobody" not in beside.stdout
    assert "owned by the spec 'somebody-else'" in beside.stdout
    reconciler("apply", "--yes", "--adopt", "images.repository.nope", code=1)
    reconciler("apply", "plan.json", "--yes", code=1)
    unread(applied)
    for command in (["plan"], ["drift"], ["apply", "--yes"]):
        assert "app-a" in reconciler(*command, code=1).stderr


def test_drift_ends_with_counts_in_text_and_in_markdown(applied: Path) -> None:
    def last(form: str, code: int) -> str:
        return reconciler("drift", "--format", form, code=code).stdout.splitlines()[-1]

    for form in ("text", "markdown"):
        assert last(form, 0) == "No drift. 2 resources match the spec."
    by_hand(applied, "app-a", "settings", description="by hand")
    (applied / "registry.yaml").write_text(
        SPEC.replace("app-b, registry: images", "app-b, registry: images, labels: {tier: one}")
        + "  - {name: app-c, registry: images}\n"
    )
    for form in ("text", "markdown"):
        assert last(form, 2) == "Drift: 1 drifted, 1 changed, 1 pending, 0 unchanged."
    (applied / "registry.yaml").write_text(SPEC.replace("app-a, ", "app-a, description: the shop, "))
    for form in ("text", "markdown"):
        assert last(form, 2) == "Drift: 1 drifted and pending, 1 unchanged."


def test_drift_counts_what_others_gave_that_guards_would_not_let_the_spec_give(applied: Path) -> None:
    stored = applied / "box" / "control" / "access" / "app-b.json"
    stored.parent.mkdir(exist_ok=True)
    entry = {"users": ["*"], "permission": "pull", "note": "by hand"}
    stored.write_text(json.dumps({"entries": [entry], "marks": {}}))
    for form in ("text", "markdown"):
        last = reconciler("drift", "--format", form, code=2).stdout.splitlines()[-1]
        assert last == "Drift: foreign access at 1 address, 2 unchanged."


def test_the_documented_exit_codes_are_those_of_the_command() -> None:
    rows = re.findall(r"^\| (\d+) \| ", (ROOT / "docs" / "commands.md").read_text(), re.MULTILINE)
    assert [int(row) for row in rows] == [code.value for code in Exit]
    told = reconciler("--help").stdout
    for code in Exit:
        assert re.search(rf"\b{code.value}\s+[a-z]", told), code


def changed(folder: Path) -> None:
    by_hand(folder, "app-a", "settings", description="by hand")


def in_conflict_and_changed(folder: Path) -> None:
    in_conflict(folder)
    changed(folder)


@pytest.mark.slow  # a shell, and processes of its own
@pytest.mark.parametrize("shell", [["bash"], ["bash", "-e", "-o", "pipefail"], ["sh"]], ids=" ".join)
@pytest.mark.parametrize(
    ("happens", "code", "about", "said"),
    [
        (Path.exists, 0, "", ""),
        (changed, 2, "images: Drift: 1 drifted, 1 unchanged.", 'description: "by hand" (live)'),
        (
            in_conflict,
            6,
            "repositories that are not ours are in the way: Drift: 1 conflict, 1 unchanged.",
            "owned by the spec 'somebody-else'",
        ),
        (
            in_conflict_and_changed,
            6,
            "repositories that are not ours are in the way: Drift: 1 conflict, and 1 resource drifted, 0 unchanged.",
            'description: "by hand" (live)',
        ),
        (unread, 1, "an error: exit code 1. What drifted is not known", "app-a.json can't be read"),
    ],
    ids=["no drift", "drift", "conflict", "conflict and drift", "error"],
)
def test_the_drift_cron_of_the_docs_takes_no_error_for_drift(
    applied: Path, happens: object, code: int, about: str, said: str, shell: list[str]
) -> None:
    """`notify` keeps what it was called with and given."""
    block = re.search(
        r"^code=0\nreconciler drift .*?\nexit \$code\n",
        (ROOT / "docs" / "commands.md").read_text(),
        re.DOTALL | re.MULTILINE,
    )
    assert block is not None
    assert callable(happens)
    happens(applied)
    tools = applied / "tools"
    tools.mkdir()
    programs = {
        "notify": 'printf "%s\\n" "$*" > notified; cat >> notified',
        "reconciler": f'exec "{sys.executable}" -m reconciler "$@"',
    }
    for name, does in programs.items():
        (tools / name).write_text(f"#!/bin/sh\n{does}\n")
        (tools / name).chmod(0o755)
    environ = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [*shell, "-c", block[0]], cwd=applied, env=environ, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (code, "", "")
    notified = applied / "notified"
    assert notified.exists() == bool(about)
    if about:
        first, rest = notified.read_text().split("\n", 1)
        assert first == about
        assert said in rest


@pytest.mark.slow  # a shell, and processes of its own
@pytest.mark.parametrize(
    ("happens", "code", "annotated", "summary"),
    [
        (Path.exists, 0, "", "No drift"),
        (changed, 2, "::error title=drift::the summary of this run says what differs", 'by hand" (live)'),
        (in_conflict, 6, "::error title=conflict::repositories that are not ours are in the way", "somebody-else"),
        (unread, 1, "::error title=error::exit code 1; what drifted is not known", ""),
    ],
    ids=["no drift", "drift", "conflict", "error"],
)
def test_the_scheduled_workflow_fails_on_drift_and_says_which_kind(
    applied: Path, happens: object, code: int, annotated: str, summary: str
) -> None:
    page = (ROOT / "docs" / "ci.md").read_text()
    block = re.search(r'title="\.github/workflows/drift\.yml"\n(.*?)^```', page, re.DOTALL | re.MULTILINE)
    assert block is not None
    (job,) = yaml.safe_load(block[1])["jobs"].values()
    assert callable(happens)
    happens(applied)
    (applied / "tools").mkdir()
    (applied / "tools" / "reconciler").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m reconciler "$@"\n')
    (applied / "tools" / "reconciler").chmod(0o755)
    environ = {
        **os.environ,
        "PATH": f"{applied / 'tools'}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "GITHUB_STEP_SUMMARY": str(applied / "summary.md"),
    }
    # what GitHub runs a step with
    shell = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", job["steps"][-1]["run"]]
    done = subprocess.run(shell, cwd=applied, env=environ, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout.rstrip("\n")) == (code, annotated)
    assert summary in (applied / "summary.md").read_text()


def test_no_documented_line_takes_every_failure_for_drift() -> None:
    """`reconciler drift || notify` would."""
    texts = [path.read_text() for path in (ROOT / "README.md", *(ROOT / "docs").glob("*.md"))]
    helps = reconciler("drift", "--help").stdout
    for text in (*texts, helps):
        assert not re.search(r"reconciler drift[^\n]*\|\|(?! *code=\$\?)", text)
