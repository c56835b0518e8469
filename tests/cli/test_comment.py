"""`comment`: one comment that is kept up to date, against stand-ins for both hosts; `test_comment_hosts.py` has what hosts do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reconciler.cli.app import run
from reconciler.render.review_document import review_json
from tests.review.specs import BASE, replaced, reviewed

from .forge import FORBIDDEN, MARK, Forge, comment


def test_it_is_created_once_and_then_changed(
    forge: Forge, saved: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for number in range(7):
        forge.written("someone", f"comment {number}")
    comment(capsys, "--review", saved)
    (ours,) = [item for item in forge.comments if item["body"].startswith(MARK)]
    assert "user carol can now pull tool" in ours["body"]
    assert forge.made("GET") == ["GET"] * 3, "all pages are read"
    comment(capsys, "--review", saved)
    assert forge.made("POST", "PATCH", "PUT") == ["POST"], "what is there already is not written again"
    Path(saved).write_text(review_json(reviewed(tmp_path, replaced(("[alice, bob]", "[bob]")))))
    comment(capsys, "--review", saved)
    assert len(forge.comments) == 8
    assert "user alice can no longer pull tool" in ours["body"]


def test_a_comment_of_somebody_else_with_the_marker_is_left_alone(
    forge: Forge, saved: str, capsys: pytest.CaptureFixture[str]
) -> None:
    theirs = forge.written("mallory", f"{MARK}\nnothing to see here")
    comment(capsys, "--review", saved)
    assert theirs["body"] == f"{MARK}\nnothing to see here"
    assert len(forge.comments) == 2
    comment(capsys, "--review", saved)
    assert len(forge.comments) == 2


def test_two_specs_have_a_comment_each(
    forge: Forge, saved: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    comment(capsys, "--review", saved)
    other = tmp_path / "other.json"
    text = Path(saved).read_text().replace('"owner": "acme"', '"owner": "other"')
    other.write_text(text)
    comment(capsys, "--review", str(other))
    assert [item["body"].splitlines()[0] for item in forge.comments] == [MARK, "<!-- reconciler:other:review -->"]


def test_a_spec_whose_name_a_variable_gives_has_one_comment(
    forge: Forge, saved: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    base = replaced(("name: acme", 'name: "${env:N}"'))
    for user in ("carol", "dave"):
        head = replaced(("[alice, bob]", f"[alice, bob, {user}]"), base=base)
        Path(saved).write_text(review_json(reviewed(tmp_path, head, base)))
        comment(capsys, "--review", saved)
    (ours,) = forge.comments
    assert ours["body"].startswith("<!-- reconciler:${env:N}:review -->\n### ${env:N}: widens ")
    assert "user dave can now pull tool" in ours["body"]


@pytest.mark.parametrize("status", [404, 410])
def test_one_that_was_deleted_meanwhile_is_written_again(
    forge: Forge, saved: str, capsys: pytest.CaptureFixture[str], status: int
) -> None:
    comment(capsys, "--review", saved)
    forge.comments[0]["body"] = f"{MARK}\nolder"
    forge.instead = [(forge.change, status, {}, {"message": "Not Found"})]
    comment(capsys, "--review", saved)
    assert len(forge.comments) == 2


def test_a_tag_tells_comments_apart_and_stays_when_the_spec_is_renamed(
    forge: Forge, saved: str, capsys: pytest.CaptureFixture[str]
) -> None:
    comment(capsys, "--review", saved)
    comment(capsys, "--review", saved, "--tag", "eu")
    comment(capsys, "--review", saved, "--tag", "us")
    Path(saved).write_text(Path(saved).read_text().replace('"owner": "acme"', '"owner": "other"'))
    comment(capsys, "--review", saved, "--tag", "eu")
    first = [item["body"].splitlines()[0] for item in forge.comments]
    assert first == [MARK, "<!-- reconciler:tag=eu:review -->", "<!-- reconciler:tag=us:review -->"]
    assert "### other: " in forge.comments[1]["body"]


@pytest.mark.parametrize("tag", ["", "x -->", "-x", "a b", "x" * 41, "x\n"])
def test_a_tag_can_t_end_the_hidden_marker(capsys: pytest.CaptureFixture[str], saved: str, tag: str) -> None:
    said = comment(capsys, "--review", saved, "--tag", tag, code=1)
    assert "--tag: takes letters, digits, dots, dashes and underscores, at most 40 of them" in said


HEAD, MERGED = "0123456789ABCDEF0123456789abcdef01234567", "f" * 40


@pytest.mark.parametrize(
    ("environ", "event", "shown"),
    [
        ({"GITHUB_SHA": MERGED}, {"pull_request": {"head": {"sha": HEAD}}}, "0123456789"),
        ({"GITHUB_SHA": MERGED}, {"workflow_run": {"head_sha": HEAD}}, "0123456789"),
        ({"GITHUB_SHA": HEAD}, {}, "0123456789"),
        ({"GITHUB_SHA": HEAD}, ["odd"], "0123456789"),
        ({"GITHUB_SHA": MERGED}, {"issue": {"number": 7}}, ""),
        ({"GITHUB_SHA": MERGED}, {"workflow_run": {"head_sha": "@team <b>"}}, ""),
        ({}, {}, ""),
    ],
)
@pytest.mark.parametrize("forge", ["github"], indirect=True)
def test_the_comment_names_the_last_commit_of_the_pull_request(
    forge: Forge,
    saved: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    environ: dict[str, str],
    event: object,
    shown: str,
) -> None:
    (tmp_path / "event.json").write_text(json.dumps(event))
    for name, value in {**environ, "GITHUB_EVENT_PATH": str(tmp_path / "event.json")}.items():
        monkeypatch.setenv(name, value)
    comment(capsys, "--review", saved)
    body = forge.comments[0]["body"]
    assert body.endswith(f"\n\nThis is about commit {shown}.\n") if shown else "This is about commit" not in body
    comment(capsys, "--review", saved, "--commit", "abcdef0")
    assert forge.comments[0]["body"].endswith("\n\nThis is about commit abcdef0.\n")


@pytest.mark.parametrize("forge", ["gitlab"], indirect=True)
def test_the_comment_names_the_last_commit_of_the_merge_request(
    forge: Forge, saved: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI_COMMIT_SHA", MERGED)
    comment(capsys, "--review", saved)
    assert forge.comments[0]["body"].endswith("\n\nThis is about commit ffffffffff.\n")
    monkeypatch.setenv("CI_MERGE_REQUEST_SOURCE_BRANCH_SHA", HEAD)
    comment(capsys, "--review", saved)
    assert forge.comments[0]["body"].endswith("\n\nThis is about commit 0123456789.\n")


@pytest.mark.parametrize("sha", ["", "main", "abc", "0123456 @team"])
def test_a_commit_is_a_hash(capsys: pytest.CaptureFixture[str], saved: str, sha: str) -> None:
    said = comment(capsys, "--review", saved, "--commit", sha, code=1)
    assert "--commit: takes a commit's hash, 7 to 64 hexadecimal digits" in said


def test_what_the_request_s_own_run_has_made_says_so_first(
    forge: Forge, saved: str, capsys: pytest.CaptureFixture[str]
) -> None:
    comment(capsys, "--review", saved, "--untrusted")
    mark, first, blank, heading, *_ = forge.comments[0]["body"].splitlines()
    assert (mark, blank) == (MARK, "")
    assert first == (
        "_Made by the run of this pull request itself. Who opened it can change what that run does and leaves, so this is a help"
        " for reading the change and no proof._"
    )
    assert heading.startswith("### acme: ")


def test_the_job_s_summary_has_it_once_whether_it_is_commented_or_not(
    forge: Forge,
    saved: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    said = comment(capsys, "--review", saved, "--job-summary", code=1)
    assert "--job-summary: GITHUB_STEP_SUMMARY not set; GitHub sets it in every workflow" in said
    assert not forge.comments
    summary = tmp_path / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    comment(capsys, "--review", saved, "--job-summary")
    assert f"{MARK}\n{summary.read_text()}" == forge.comments[0]["body"]
    forge.instead = [("GET", 403, {}, FORBIDDEN)]
    summary.write_text("")
    assert "it is in the job's summary instead" in comment(capsys, "--review", saved, "--job-summary")
    assert f"{MARK}\n{summary.read_text()}" == forge.comments[0]["body"]


@pytest.mark.parametrize("options", [(), ("--job-summary",)])
def test_a_summary_that_would_be_dropped_is_not_said_to_be_there(
    forge: Forge,
    saved: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    options: tuple[str, ...],
) -> None:
    summary = tmp_path / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    summary.write_bytes(b"x" * 1024 * 1024)
    forge.instead = [("GET", 403, {}, FORBIDDEN)]
    said = comment(capsys, "--review", saved, *options)
    assert "it is printed instead, since the job's summary would be larger than GitHub shows" in said
    assert "it is in the job's summary" not in said
    assert "user carol can now pull tool" in said
    assert ("not in the job's summary: the job's summary would be larger than GitHub shows\n" in said) == bool(options)
    assert summary.stat().st_size == 1024 * 1024


@pytest.mark.parametrize("how", ["forbidden", "no token"])
def test_without_the_right_to_comment_the_summary_is_elsewhere_and_all_is_well(
    forge: Forge,
    saved: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    how: str,
) -> None:
    if how == "forbidden":
        forge.instead = [("POST", 403, {}, FORBIDDEN)] * 2
    else:
        monkeypatch.delenv("GITHUB_TOKEN", raising=False)
        monkeypatch.delenv("GITLAB_TOKEN", raising=False)
    said = comment(capsys, "--review", saved)
    assert said.count("user carol can now pull tool") >= 1
    assert "no comment: " in said
    assert "it is printed instead" in said
    summary = tmp_path / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    assert "it is in the job's summary instead" in comment(capsys, "--review", saved)
    assert "user carol can now pull tool" in summary.read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name one of --plan and --review"),
        (["--plan", "a", "--review", "b"], "name one of --plan and --review"),
        (["--review", "nowhere.json"], "nowhere.json can't be read: No such file or directory"),
    ],
)
def test_what_can_t_be_commented(capsys: pytest.CaptureFixture[str], arguments: list[str], message: str) -> None:
    assert message in comment(capsys, *arguments, code=1)


def test_a_file_of_the_other_kind_names_the_option_for_it(
    capsys: pytest.CaptureFixture[str], saved: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert f"{saved} is a review and no plan; use --review {saved}" in comment(capsys, "--plan", saved, code=1)
    (tmp_path / "registry.yaml").write_text("version: 1\nname: acme\nregistries: []\n")
    assert run(["plan", "--out", "plan.json"]) == 0
    capsys.readouterr()
    said = comment(capsys, "--review", "plan.json", code=1)
    assert "plan.json is a plan and no review; use --plan plan.json" in said


@pytest.mark.parametrize("text", ["", " \n"])
@pytest.mark.parametrize("kind", ["plan", "review"])
def test_an_empty_file_is_said_to_be_empty(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, kind: str, text: str
) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    said = comment(capsys, f"--{kind}", str(path), code=1)
    assert f"{path} is empty: no {kind} was made; what should have made it has printed why" in said


def test_what_is_no_review_and_a_run_of_no_request(
    forge: Forge, saved: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "x.json").write_text('{"format": 1}')
    said = comment(capsys, "--review", str(tmp_path / "x.json"), code=1)
    assert "is no review saved by `review --format json`: owner: Field required" in said
    monkeypatch.delenv("GITHUB_REF", raising=False)
    monkeypatch.delenv("CI_MERGE_REQUEST_IID", raising=False)
    assert "name one with --number" in comment(capsys, "--review", saved, code=1)
    comment(capsys, "--review", saved, "--number", "7")
    assert len(forge.comments) == 1


def test_a_plan_has_a_comment_too_and_is_cut_to_what_one_holds(
    forge: Forge, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = "".join(f"  - {{name: tool-{number}, registry: box}}\n" for number in range(900))
    start = BASE.index("registries:")
    local = BASE[:start] + "registries:\n  - {name: box, platform: local, path: box}\nrepositories:\n" + rows
    local = local.replace('  protect: ["payments*"]\n', "")
    (tmp_path / "registry.yaml").write_text(local)
    assert run(["plan", "--out", "plan.json"]) == 0
    capsys.readouterr()
    comment(capsys, "--plan", "plan.json")
    body = forge.comments[0]["body"]
    assert body.startswith("<!-- reconciler:acme:plan -->\n### acme: ")
    assert len(body) <= 65_100
    assert body.count("<details>") == body.count("</details>")
