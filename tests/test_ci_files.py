"""What is ready to copy for CI: linted by others' tools, offline, and its shell steps run."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.command_line import ROOT
from tests.review.specs import BASE, replaced
from tests.review.test_git_base import Clone

pytestmark = pytest.mark.slow  # processes of other tools

ACTION = ROOT / "action.yml"
GITHUB = sorted((ROOT / "examples" / "ci" / "github").glob("*.yml"))
GITLAB = ROOT / "examples" / "ci" / "gitlab" / ".gitlab-ci.yml"
TOOLS = Path(sys.executable).parent


def tool(name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(TOOLS / name), *map(str, arguments)], capture_output=True, text=True, check=False, timeout=120
    )


def load(path: Path) -> dict[Any, Any]:
    found: dict[Any, Any] = yaml.safe_load(path.read_text())
    return found


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


class Runner:
    """A job's shell on a clone with a change of the spec, where `reconciler` is the one that is tested."""

    def __init__(self, folder: Path) -> None:
        (folder / "clone").mkdir()
        self.clone = Clone(folder / "clone")
        self.clone.git("update-ref", "refs/remotes/origin/main", "main")
        self.clone.write(replaced(("[alice, bob]", "[alice, bob, carol]")))
        self.programs = folder / "programs"
        self.programs.mkdir()
        self.program("reconciler", f"exec '{sys.executable}' -m reconciler \"$@\"")
        self.program("apt-get", "exit 0")
        self.program("pip", "exit 0")
        self.summary, self.output = folder / "summary", folder / "output"
        self.environ = {
            "PATH": f"{self.programs}:{os.environ['PATH']}",
            "HOME": str(folder),
            "PYTHONPATH": str(ROOT),
            "RUNNER_TEMP": str(folder),
            "GITHUB_STEP_SUMMARY": str(self.summary),
            "GITHUB_OUTPUT": str(self.output),
            "GITHUB_BASE_REF": "main",
            "GITHUB_REPOSITORY": "acme/images",
            "LC_ALL": "C.UTF-8",
        }

    def program(self, name: str, text: str) -> None:
        path = self.programs / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)

    def run(self, script: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """As GitHub runs `shell: bash`
        (https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-syntax#jobsjob_idstepsshell)."""
        return subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
            cwd=self.clone.folder,
            env={**self.environ, **environ},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    @property
    def outputs(self) -> dict[str, str]:
        return dict(line.split("=", 1) for line in self.output.read_text().splitlines())


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    return Runner(tmp_path)


def steps(path: Path, job: str = "") -> list[str]:
    found = load(path)
    listed = found["jobs"][job]["steps"] if job else found["runs"]["steps"]
    return [step["run"] for step in listed if "run" in step and "pip install" not in step["run"]]


def github(name: str) -> Path:
    return next(path for path in GITHUB if path.name == f"{name}.yml")


def test_the_action_reviews_annotates_and_leaves_its_outputs(runner: Runner) -> None:
    (script,) = steps(ACTION)
    found = runner.run(script, SPEC="registry.yaml", BASE="", FAIL_ON="")
    assert found.returncode == 0, found.stderr
    assert found.stdout.startswith(
        "::warning file=registry.yaml,line=39,col=43,title=widens::user carol can now pull tool\n"
    )
    assert runner.outputs["verdict"] == '["widens"]'
    assert json.loads(Path(runner.outputs["review"]).read_text())["verdict"] == ["widens"]
    assert "user carol can now pull tool" in runner.summary.read_text()
    found = runner.run(script, SPEC="registry.yaml", BASE="main", FAIL_ON="widens")
    assert found.returncode == 5
    assert found.stdout.startswith("::error ")
    found = runner.run(script, SPEC="nowhere.yaml", BASE="main", FAIL_ON="")
    assert found.returncode == 1
    inputs = load(ACTION)["inputs"]
    assert {"spec", "base", "fail-on", "install"} == set(inputs)


def test_the_review_workflow_fails_for_what_widens_and_leaves_the_review(runner: Runner) -> None:
    (script,) = steps(github("review"), "review")
    found = runner.run(script)
    assert found.returncode == 5, found.stderr
    assert json.loads((runner.clone.folder / "review.json").read_text())["owner"] == "acme"


def test_the_comment_workflow_comments_on_the_request_of_that_commit(runner: Runner) -> None:
    from tests.cli.forge import TOKEN, Forge

    (script,) = steps(github("comment"), "comment")
    (review,) = steps(github("review"), "review")
    runner.run(review)
    untrusted = runner.summary.parent / "untrusted"
    untrusted.mkdir()
    (runner.clone.folder / "review.json").rename(untrusted / "review.json")
    runner.program("gh", 'echo "$@" > "$HOME/asked"; echo 7')
    forge = Forge("github")
    given = {
        "GITHUB_TOKEN": TOKEN,
        "GITHUB_API_URL": forge.url,
        "OWNER": "fork",
        "BRANCH": "x; touch owned",
        "SHA": "abc",
    }
    found = runner.run(script, **given)
    assert found.returncode == 0, found.stderr
    (comment,) = forge.comments
    assert "user carol can now pull tool" in comment["body"]
    assert ("POST", "/repos/acme/images/issues/7/comments") in forge.calls
    assert "head=fork:x; touch owned" in (runner.summary.parent / "asked").read_text()
    assert not (runner.clone.folder / "owned").exists()
    # what a pull request leaves may be anything
    text = (untrusted / "review.json").read_text()
    (untrusted / "review.json").write_text(text.replace('"owner": "acme"', '"owner": "x --> @team"'))
    assert runner.run(script, **given).returncode == 1
    (untrusted / "review.json").write_text(text.replace("user carol", "@team <script>"))
    assert runner.run(script, **given).returncode == 0
    body = re.sub(r"(?s)```mermaid.*?```", "", comment["body"])  # in code nobody is mentioned
    assert "@team" not in body
    assert "<script>" not in body
    forge.close()


LOCAL = re.sub(r"  - name: images\n(    .*\n)+", "", BASE).replace('  protect: ["payments*"]\n', "")
LOCAL = re.sub(r"  - \{name: (cart|payments), .*\n", "", LOCAL)
LOCAL = re.sub(r"  - name: (staging|production)\n(    .*\n|      .*\n)+", "", LOCAL)


def test_what_was_approved_is_applied_and_nothing_else(runner: Runner) -> None:
    runner.clone.write(LOCAL)
    (plan,) = steps(github("plan"), "plan")
    found = runner.run(plan.replace("reconciler comment", "echo would comment"))
    assert found.returncode == 0, found.stderr
    assert "would comment --plan plan.json" in found.stdout
    fetched, apply = steps(github("apply"), "apply")
    assert "gh run download" in fetched
    runner.clone.write(LOCAL.replace("[alice, bob]", "[alice]"))
    refused = runner.run(apply)
    assert refused.returncode == 4
    assert "the plan was not made from registry.yaml" in refused.stderr
    runner.clone.write(LOCAL)
    found = runner.run(apply)
    assert found.returncode == 0, found.stderr
    assert runner.outputs["changed"] == "true"
    assert "box.repository.tool" in runner.summary.read_text()
    assert (runner.clone.folder / "outcomes.jsonl").exists()


def test_the_scripts_of_gitlab(runner: Runner) -> None:
    jobs = load_gitlab()
    script = "\n".join(jobs["review"]["script"])
    base = runner.clone.git("rev-parse", "main").strip()
    found = runner.run(script, CI_MERGE_REQUEST_DIFF_BASE_SHA=base, CI_COMMIT_SHA=base)
    assert found.returncode == 5, found.stderr
    report = json.loads((runner.clone.folder / "gl-code-quality-report.json").read_text())
    assert [item["check_name"] for item in report] == ["widens"]
    runner.clone.commit("merged")
    found = runner.run(script, CI_COMMIT_SHA=runner.clone.git("rev-parse", "HEAD").strip())
    assert found.returncode == 0, found.stderr
    assert json.loads((runner.clone.folder / "gl-code-quality-report.json").read_text()) == []
    runner.clone.write(LOCAL)
    token = f"{runner.clone.folder}.tmp/aws-token"
    given = {"CI_PROJECT_DIR": str(runner.clone.folder), "AWS_TOKEN": "jwt", "AWS_WEB_IDENTITY_TOKEN_FILE": token}
    assert runner.run("\n".join(jobs[".on-aws"]["before_script"][1:]), **given).returncode == 0
    assert Path(token).read_text() == "jwt"
    for job in ("plan", "apply"):
        found = runner.run("\n".join(jobs[job]["script"]))
        assert found.returncode == 0, found.stderr


def load_gitlab() -> dict[str, Any]:
    class Loader(yaml.SafeLoader):
        pass

    Loader.add_constructor("!reference", lambda loader, node: loader.construct_sequence(node))  # type: ignore[arg-type]  # pyyaml's own
    found: dict[str, Any] = yaml.load(GITLAB.read_text(), Loader)
    return found


def test_the_hook_checks_the_spec_whichever_file_was_changed(runner: Runner) -> None:
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    assert (hook["pass_filenames"], hook["language"]) == (False, "python")
    assert runner.run(hook["entry"]).returncode == 0
    runner.clone.write(BASE.replace("platform: local", "platform: locl"))
    found = runner.run(hook["entry"])
    assert found.returncode == 1
    assert "registry.yaml:19:15" in found.stderr
