"""The shell steps of what is ready to copy for CI, run on a clone with a change of the spec."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.ci_files import (
    ACTION,
    CI_PAGE,
    LOCAL,
    RUN,
    Commenting,
    Runner,
    all_steps,
    github,
    installs,
    load,
    load_gitlab,
    steps,
)
from tests.cli.forge import TOKEN, Forge
from tests.command_line import ROOT
from tests.pages import blocks
from tests.review.specs import BASE

pytestmark = pytest.mark.slow  # processes


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    return Runner(tmp_path)


@pytest.mark.parametrize("name", sorted(installs()))
def test_installing_runs_no_code_of_the_checkout(runner: Runner, name: str) -> None:
    runner.hostile()
    given = {"RECONCILER": "nothing-of-that-name==1", "GITHUB_ACTION_PATH": str(ROOT), "PIP_NO_INDEX": "1"}
    given["PIP_BREAK_SYSTEM_PACKAGES"] = "1"  # Debian's pip would refuse before it looks for anything
    if name == ACTION.name:
        runner.environ["RUNNER_TEMP"] = str(runner.summary.parent / "runner")
        Path(runner.environ["RUNNER_TEMP"]).mkdir()
    found = runner.run(installs()[name], **given)
    # there is no index here, so pip has come as far as it can
    assert "No matching distribution found for" in found.stderr, found.stderr
    assert not runner.owned


def test_a_checkout_could_run_code(runner: Runner) -> None:
    """So that the test above does not pass by itself."""
    runner.hostile()
    runner.run("python3 -m pip install --quiet nothing", PIP_NO_INDEX="1")
    assert runner.owned


def test_the_action_reviews_annotates_and_leaves_its_outputs(runner: Runner) -> None:
    runner.hostile()
    script = all_steps(ACTION)[1]
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
    assert runner.outputs["verdict"] == '["widens"]', "what --fail-on stops has its outputs too"
    found = runner.run(script, SPEC="nowhere.yaml", BASE="main", FAIL_ON="")
    assert found.returncode == 1
    assert not runner.owned
    inputs = load(ACTION)["inputs"]
    assert {"spec", "base", "fail-on"} == set(inputs)


def test_a_spec_that_can_t_be_reviewed_is_reported_once(runner: Runner) -> None:
    runner.clone.write(BASE.replace("platform: local", "platform: locl"))
    (workflow,) = steps(github("review"), "review")
    for script in (all_steps(ACTION)[1], workflow):
        found = runner.run(script, SPEC="registry.yaml", BASE="main", FAIL_ON="")
        assert found.returncode == 1
        assert found.stderr.count("registry.yaml:19:15: ") == 1, found.stderr
        assert "Traceback" not in found.stderr


def test_the_review_workflow_fails_for_what_widens_and_leaves_the_review(runner: Runner) -> None:
    (script,) = steps(github("review"), "review")
    (runner.clone.folder / "review.json").symlink_to(runner.clone.folder / "owned")  # a checkout can have this
    found = runner.run(script)
    assert found.returncode == 5, found.stderr
    assert json.loads((runner.summary.parent / "review.json").read_text())["owner"] == "acme"
    assert "user carol can now pull tool" in runner.summary.read_text()
    assert not (runner.clone.folder / "owned").exists()


@pytest.fixture
def commenting(runner: Runner) -> Iterator[Commenting]:
    found = Commenting(runner)
    yield found
    found.forge.close()


def test_the_comment_workflow_comments_on_each_request_of_that_commit(runner: Runner, commenting: Commenting) -> None:
    found = commenting.run(7, 9)
    assert found.returncode == 0, found.stderr
    forge = commenting.forge
    assert [path.partition("?")[0] for method, path in forge.calls if method == "GET" and path != "/user"] == [
        "/repos/acme/images/issues/7/comments",
        "/repos/acme/images/issues/9/comments",
    ]
    assert all("_Made by the run of this pull request itself." in item["body"] for item in forge.comments)


def test_a_request_that_can_t_be_commented_keeps_no_other_from_it(commenting: Commenting) -> None:
    commenting.forge.instead = [("GET", 404, {}, {"message": "Not Found"})]
    assert commenting.run(7, 9).returncode == 1
    (comment,) = commenting.forge.comments
    assert "user carol can now pull tool" in comment["body"]


def test_where_there_is_nothing_to_comment_on_it_says_so(commenting: Commenting) -> None:
    found = commenting.run()
    assert (found.returncode, found.stderr) == (0, "")
    assert found.stdout == (
        "No open pull request has 0123456789abcdef0123456789abcdef01234567 as its last commit any more: there is nothing to comment"
        " on.\n"
    )
    assert not commenting.forge.calls


@pytest.mark.parametrize("how", ["missing", "empty"])
def test_a_run_that_left_no_review_is_named(commenting: Commenting, how: str) -> None:
    commenting.review.unlink()
    if how == "empty":
        commenting.review.touch()
    found = commenting.run(7)
    assert (found.returncode, found.stderr) == (0, "")
    assert found.stdout == (
        "::warning title=no review::the run has left no review to comment; its log says why: https://github.example/runs/1\n"
    )
    assert not commenting.forge.calls


def test_what_a_pull_request_leaves_may_be_anything(runner: Runner, commenting: Commenting) -> None:
    assert commenting.run(7).returncode == 0
    (comment,) = commenting.forge.comments
    assert "user carol can now pull tool" in comment["body"]
    assert "head=fork:x; touch owned" in (runner.summary.parent / "asked").read_text()
    assert not (runner.clone.folder / "owned").exists()
    text = commenting.review.read_text()
    commenting.review.write_text(text.replace('"owner": "acme"', '"owner": "x --> @team"'))
    assert commenting.run(7).returncode == 1
    commenting.review.write_text(text.replace("user carol", "@team <script>"))
    assert commenting.run(7).returncode == 0
    # whatever it calls its spec, there is one comment
    commenting.review.write_text(text.replace('"owner": "acme"', '"owner": "other"'))
    assert commenting.run(7).returncode == 0
    assert commenting.forge.comments == [comment]
    commenting.review.write_text(text.replace("user carol", "@team <script>"))
    assert commenting.run(7).returncode == 0
    body = re.sub(r"(?s)```mermaid.*?```", "", comment["body"])  # in code nobody is mentioned
    assert "@team" not in body
    assert "<script>" not in body


def test_what_was_approved_is_applied_and_nothing_else(runner: Runner) -> None:
    runner.clone.write(LOCAL)
    (plan,) = steps(github("plan"), "plan")
    found = runner.run(plan)
    assert found.returncode == 0, found.stderr
    assert "no comment: GITHUB_TOKEN is not set\n  it is in the job's summary instead\n" in found.stderr
    assert runner.summary.read_text().count("### acme: ") == 1
    fetched, apply = steps(github("apply-reviewed"), "apply")
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


def test_a_fresh_plan_is_applied_and_drift_is_reported(runner: Runner) -> None:
    runner.clone.write(LOCAL)
    (drift,) = steps(github("drift"), "drift")
    (apply,) = steps(github("apply"), "apply")
    found = runner.run(drift)
    assert (found.returncode, found.stdout) == (2, "::error title=drift::the summary of this run says what differs\n")
    assert runner.summary.read_text()
    found = runner.run(apply)
    assert found.returncode == 0, found.stderr
    assert runner.outputs["changed"] == "true"
    assert runner.run(drift).returncode == 0


def test_a_plan_that_the_request_brings_along_is_none(runner: Runner) -> None:
    runner.clone.write(BASE.replace("platform: local", "platform: locl"))
    runner.program("reconciler", f'[ "$1" = comment ] && touch "$OWNED"; {RUN}')
    (plan,) = steps(github("plan"), "plan")
    for script in (plan, "\n".join(load_gitlab()["plan"]["script"])):
        runner.clone.write("{}", "plan.json")
        found = runner.run(script, GITHUB_TOKEN="x", GITLAB_TOKEN="x", CI_MERGE_REQUEST_IID="7")
        assert found.returncode == 1
        assert not (runner.clone.folder / "plan.json").exists()
        assert not runner.owned


def test_the_merge_request_has_the_review_and_the_plan(runner: Runner) -> None:
    forge = Forge("gitlab")
    jobs = load_gitlab()
    runner.clone.write(LOCAL)
    given = {
        "GITLAB_CI": "true",
        "GITLAB_TOKEN": TOKEN,
        "CI_API_V4_URL": forge.url,
        "CI_PROJECT_ID": "12",
        "CI_MERGE_REQUEST_IID": "7",
        "CI_MERGE_REQUEST_DIFF_BASE_SHA": "main",
    }
    for job in ("review", "plan"):
        found = runner.run("\n".join(jobs[job]["script"]), **given)
        assert "commented: note " in found.stdout, found.stderr
    first = [item["body"].splitlines()[0] for item in forge.comments]
    assert first == ["<!-- reconciler:tag=registry.yaml:review -->", "<!-- reconciler:tag=registry.yaml:plan -->"]
    forge.close()


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
    of_azure = f"{runner.clone.folder}.tmp/azure-token"
    given |= {"AZURE_TOKEN": "other", "AZURE_FEDERATED_TOKEN_FILE": of_azure}
    assert runner.run("\n".join(jobs[".signed-in"]["before_script"][1:]), **given).returncode == 0
    assert (Path(token).read_text(), Path(of_azure).read_text()) == ("jwt", "other")
    for job in ("plan", "apply"):
        found = runner.run("\n".join(jobs[job]["script"]))
        assert found.returncode == 0, found.stderr


def test_the_hook_checks_the_spec_whichever_file_was_changed(runner: Runner) -> None:
    (hook,) = yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    # pre-commit shows a hook no file that the commit deletes, and skips one that has no file
    assert (hook["pass_filenames"], hook["always_run"], hook["language"]) == (False, True, "python")
    assert runner.run(hook["entry"]).returncode == 0
    runner.clone.write(BASE.replace("platform: local", "platform: locl"))
    found = runner.run(hook["entry"])
    assert found.returncode == 1
    assert "registry.yaml:19:15" in found.stderr


def test_the_hook_is_told_what_stands_for_a_variable_that_is_not_set(runner: Runner) -> None:
    (block,) = [block for block in blocks(CI_PAGE) if "entry: env " in block.text]
    (hook,) = yaml.safe_load(block.text)["hooks"]
    runner.clone.write(BASE.replace("111111111111", "${env:TEAM_ACCOUNT}"))
    found = runner.run("reconciler validate")
    assert found.returncode == 1
    assert "TEAM_ACCOUNT" in found.stderr
    assert runner.run(hook["entry"]).returncode == 0
