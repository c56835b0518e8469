"""What is ready to copy for CI: linted by others' tools, offline, and as the pages show it. `test_ci_steps.py` runs it."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from reconciler import __version__
from reconciler.cli.review import ReviewFormat
from tests.ci_files import ACTION, CI_PAGE, GITHUB, GITLAB, TOOLS, github, installs, load, load_gitlab
from tests.command_line import ROOT
from tests.pages import blocks

pytestmark = pytest.mark.slow  # processes of other tools


def tool(name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(TOOLS / name), *map(str, arguments)], capture_output=True, text=True, check=False, timeout=120
    )


def test_zizmor_and_actionlint_find_nothing() -> None:
    found = tool("zizmor", "--offline", "--no-progress", ACTION, *GITHUB)
    assert found.returncode == 0, found.stdout
    found = tool("actionlint", *GITHUB)
    assert found.returncode == 0, found.stdout


def test_zizmor_finds_what_is_wrong(tmp_path: Path) -> None:
    """So that a lint that looks at nothing does not pass."""
    wrong = tmp_path / "review.yml"
    text = next(path for path in GITHUB if path.name == "review.yml").read_text()
    wrong.write_text(
        text.replace("on: pull_request\n", "on: pull_request_target\n").replace("persist-credentials: false", "")
    )
    assert tool("zizmor", "--offline", "--no-progress", wrong).returncode == 14


@pytest.mark.parametrize(
    ("schema", "path"),
    [
        *(("vendor.github-workflows", path) for path in GITHUB),
        ("vendor.github-actions", ACTION),
        ("vendor.gitlab-ci", GITLAB),
    ],
    ids=lambda item: item.name if isinstance(item, Path) else item,
)
def test_each_file_is_as_its_published_schema_says(schema: str, path: Path) -> None:
    more = ("--data-transform", "gitlab-ci") if "gitlab" in schema else ()
    found = tool("check-jsonschema", "--builtin-schema", schema, *more, path)
    assert found.returncode == 0, found.stdout


def test_actions_are_pinned_by_commits_the_same_everywhere() -> None:
    pins: dict[str, set[str]] = {}
    for path in (ACTION, *GITHUB, ROOT / "docs" / "ci.md"):
        for name, pin in re.findall(r"uses: ([\w./-]+)@(.+)$", path.read_text(), re.MULTILINE):
            pins.setdefault(name, set()).add(pin)
    assert all(re.fullmatch(r"[0-9a-f]{40} # v[0-9.]+", pin) for found in pins.values() for pin in found), pins
    assert all(len(found) == 1 for found in pins.values()), pins
    assert len(pins) >= 6


def test_a_review_can_read_the_repository_and_nothing_else() -> None:
    review = load(next(path for path in GITHUB if path.name == "review.yml"))
    assert review["permissions"] == {"contents": "read"}
    assert "permissions" not in review["jobs"]["review"]
    assert review[True] == "pull_request"  # YAML 1.1 reads `on` as true
    text = "".join(path.read_text() for path in GITHUB)
    assert "pull_request_target" not in text
    assert "secrets." not in text


def test_what_is_installed_is_a_version_that_is_pinned_in_one_place() -> None:
    for path in GITHUB:
        assert re.fullmatch(
            rf"registry-reconciler\[[a-z,]+\]=={re.escape(__version__)}", load(path)["env"]["RECONCILER"]
        )
    assert load_gitlab()["variables"]["RECONCILER"] == f"registry-reconciler[aws,comment]=={__version__}"
    for name, text in installs().items():
        if name != ACTION.name:
            assert re.fullmatch(r'python3 -I -m pip install --quiet "\$RECONCILER"(  ?# .+)?', text.strip()), name
    # the commit that the action is pinned by is what runs
    assert '"$GITHUB_ACTION_PATH[comment]"' in installs()[ACTION.name]
    assert "registry-reconciler" not in ACTION.read_text()


def test_of_two_commits_the_newer_one_counts() -> None:
    for name in ("review", "plan"):
        found = load(github(name))["concurrency"]
        assert found == {"group": f"{name}-${{{{ github.ref }}}}", "cancel-in-progress": True}
        assert load_gitlab()[name]["interruptible"] is True
    # of the job, so that a run that is skipped takes nobody's place
    comment = load(github("comment"))
    assert "concurrency" not in comment
    assert comment["jobs"]["comment"]["concurrency"]["cancel-in-progress"] is False
    for name in ("apply", "apply-reviewed"):
        assert load(github(name))["concurrency"] == {"group": "reconciler", "cancel-in-progress": False}


def test_the_page_has_the_files_that_are_ready_to_copy() -> None:
    shown = {block.title.rpartition("/")[2]: block.text for block in blocks(CI_PAGE) if ".github/" in block.title}
    assert sorted(shown) == ["apply-reviewed.yml", "apply.yml", "drift.yml", "plan.yml"]
    for name, text in shown.items():
        assert text == (ROOT / "examples" / "ci" / "github" / name).read_text(), name
    page = CI_PAGE.read_text()
    for path in (*GITHUB, GITLAB):
        assert f"| `{path.relative_to(ROOT)}` |" in page


def test_the_page_lists_every_format_of_a_review() -> None:
    rows = re.findall(r"^\| `(\w+)` \| .+ \| .+ \|$", (ROOT / "docs" / "pull-requests.md").read_text(), re.MULTILINE)
    assert [form.value for form in ReviewFormat] == rows
