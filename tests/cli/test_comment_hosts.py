"""What hosts do to a comment: limits, broken connections, odd answers, tokens of every kind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reconciler.comments import waiting

from .forge import CUT, CUT_AFTER, FORBIDDEN, MARK, TOKEN, Forge, comment

CAROL = "user carol can now pull tool"
SECONDARY = {"message": "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."}
NOW = 1_700_000_000.0  # Tue, 14 Nov 2023 22:13:20 GMT


@pytest.fixture(autouse=True)
def now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "now", lambda: NOW)


only_github = pytest.mark.parametrize("forge", ["github"], indirect=True)


@pytest.mark.parametrize("status", [CUT, 502, 503, 504, CUT_AFTER, -502, -503, -504])
def test_a_comment_that_may_be_there_is_looked_for_before_it_is_written_again(
    forge: Forge, saved: str, capsys: pytest.CaptureFixture[str], status: int
) -> None:
    forge.instead = [("POST", status, {}, {"message": "Server Error"})]
    assert "commented: " in comment(capsys, "--review", saved)
    (ours,) = forge.comments
    assert CAROL in ours["body"]
    assert len(forge.made("POST")) == (1 if status < CUT else 2)


def test_a_comment_that_can_t_be_written_is_tried_so_often_and_then_printed(
    forge: Forge, saved: str, capsys: pytest.CaptureFixture[str]
) -> None:
    forge.instead = [("POST", 502, {}, {"message": "Server Error"})] * 9
    said = comment(capsys, "--review", saved, code=1)
    assert f"no comment: POST {forge.listed}: 502: Server Error" in said
    assert CAROL in said
    assert len(forge.made("POST")) == waiting.ATTEMPTS


@pytest.mark.parametrize("refused", [False, True])
def test_of_several_of_ours_the_first_is_kept(
    forge: Forge, saved: str, capsys: pytest.CaptureFixture[str], *, refused: bool
) -> None:
    theirs = forge.written("someone", f"{MARK}\ntheirs")
    first, *more = [forge.written(forge.me, f"{MARK}\nolder {number}") for number in range(3)]
    other = forge.written(forge.me, "<!-- reconciler:acme:plan -->\na plan")
    forge.instead = [("DELETE", 403, {}, FORBIDDEN)] * 2 if refused else []
    comment(capsys, "--review", saved)
    assert CAROL in first["body"]
    assert not forge.made("POST")
    assert forge.comments == [theirs, first, *(more if refused else ()), other]


def test_one_of_several_that_was_deleted_meanwhile_leaves_the_next(
    forge: Forge, saved: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(2):
        forge.written(forge.me, f"{MARK}\nolder {number}")
    forge.instead = [(forge.change, 404, {}, {"message": "Not Found"})]
    comment(capsys, "--review", saved)
    assert CAROL in forge.comments[1]["body"]
    assert len(forge.made(forge.change)) == 2


@only_github
@pytest.mark.parametrize(
    ("me", "user", "viewer"),
    [
        ("github-actions[bot]", False, True),
        ("github-actions[bot]", False, False),
        ("images-review[bot]", False, True),
        ("octocat", True, False),
    ],
)
def test_each_kind_of_token_knows_its_own_comment_and_no_other(
    forge: Forge, saved: str, capsys: pytest.CaptureFixture[str], me: str, *, user: bool, viewer: bool
) -> None:
    forge.me, forge.user, forge.viewer = me, user, viewer
    others = {"github-actions[bot]", "images-review[bot]", "other[bot]", "octocat", "images-review"} - {me}
    theirs = [forge.written(name, f"{MARK}\ntheirs") for name in sorted(others)]
    for _ in range(3):
        comment(capsys, "--review", saved)
    assert forge.comments[:-1] == theirs
    assert {item["body"] for item in theirs} == {f"{MARK}\ntheirs"}
    assert forge.comments[-1]["user"]["login"] == me


@pytest.mark.parametrize("path", ["/user", "/graphql"])
@only_github
def test_a_limit_while_it_asks_who_it_is_is_waited_for(
    forge: Forge, saved: str, capsys: pytest.CaptureFixture[str], slept: list[float], path: str
) -> None:
    forge.me = "images-review[bot]"
    forge.written(forge.me, f"{MARK}\nolder")
    forge.user = path == "/user"
    forge.instead = [("GET /user" if forge.user else "POST /graphql", 403, {}, SECONDARY)]
    comment(capsys, "--review", saved)
    assert slept == [60]
    assert len(forge.comments) == 1


def test_a_token_that_is_none_is_no_token_of_a_workflow(
    forge: Forge, saved: str, capsys: pytest.CaptureFixture[str]
) -> None:
    forge.written(forge.me, f"{MARK}\nolder")
    forge.instead = [("GET /user", 401, {}, {"message": "Bad credentials"})]
    assert "no comment: GET /user: 401: Bad credentials; a comment needs " in comment(capsys, "--review", saved)
    assert not forge.made("POST")


@pytest.mark.parametrize(
    ("status", "headers", "body", "waits"),
    [
        (403, {}, SECONDARY, [60]),
        (403, {"x-ratelimit-remaining": "4000"}, SECONDARY, [60, 120]),
        (403, {}, {"message": "You have triggered an abuse detection mechanism."}, [60]),
        (403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": f"{NOW + 90:.0f}"}, {"message": "exceeded"}, [91]),
        (429, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": f"{NOW - 5:.0f}"}, {"message": "exceeded"}, [1]),
        (403, {"x-ratelimit-remaining": "0"}, {"message": "exceeded"}, [60]),
        (403, {"Retry-After": "7"}, SECONDARY, [7, 7]),
        (403, {"Retry-After": "Tue, 14 Nov 2023 22:13:50 GMT"}, SECONDARY, [30]),
        (429, {"Retry-After": "Tue, 14 Nov 2023 22:00:00 GMT"}, {}, [0]),
        (429, {"Retry-After": "soon"}, {}, [60]),
        (429, {}, "<p>Retry later</p>", [60, 120, 240]),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_limit_is_waited_for_as_long_as_the_host_asks(
    forge: Forge,
    saved: str,
    capsys: pytest.CaptureFixture[str],
    slept: list[float],
    method: str,
    status: int,
    headers: dict[str, str],
    body: Any,
    waits: list[float],
) -> None:
    forge.instead = [(method, status, headers, body)] * len(waits)
    assert "commented: " in comment(capsys, "--review", saved)
    assert slept == waits
    assert len(forge.comments) == 1


def test_a_right_that_is_missing_is_not_waited_for(
    forge: Forge, saved: str, capsys: pytest.CaptureFixture[str], slept: list[float]
) -> None:
    forge.instead = [("POST", 403, {"x-ratelimit-remaining": "4000"}, FORBIDDEN)]
    said = comment(capsys, "--review", saved)
    needs = (
        "permissions: pull-requests: write" if forge.kind == "github" else "a token with the scope api in GITLAB_TOKEN"
    )
    assert f"403: Resource not accessible by integration; a comment needs {needs}" in said
    assert slept == []


@pytest.mark.parametrize(
    ("headers", "times", "asked"),
    [
        ({"Retry-After": "3600"}, 1, 3600),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": f"{NOW + 1800:.0f}"}, 1, 1801),
        ({"Retry-After": "250"}, 9, 250),
        ({"Retry-After": "Wed, 15 Nov 2023 22:13:20 GMT"}, 1, 86400),
    ],
)
def test_a_limit_that_is_too_long_is_an_error(
    forge: Forge,
    saved: str,
    capsys: pytest.CaptureFixture[str],
    slept: list[float],
    headers: dict[str, str],
    times: int,
    asked: int,
) -> None:
    forge.instead = [("POST", 429, headers, {"message": "later"})] * times
    said = comment(capsys, "--review", saved, code=1)
    assert f"no comment: POST {forge.listed}: the host's limit did not pass: asked to wait for {asked} s" in said
    assert sum(slept) <= waiting.PATIENCE
    assert CAROL in said


def test_what_the_host_refuses_is_said_with_its_words_and_the_request_id(
    forge: Forge, saved: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found = {
        "message": "Validation Failed",
        "errors": [{"code": "unprocessable", "field": "data", "message": "too\nlong"}],
    }
    forge.instead = [("POST", 422, {"X-Request-Id": "abc"}, found)]
    said = comment(capsys, "--review", saved, code=1)
    assert ": 422: Validation Failed " in said
    assert "(request id abc)" in said
    assert "unprocessable" in said


def test_an_answer_that_leads_elsewhere_is_not_followed_with_the_token(
    forge: Forge, saved: str, capsys: pytest.CaptureFixture[str]
) -> None:
    forge.instead = [("POST", 307, {"Location": f"{forge.url}/elsewhere"}, {})]
    assert ": 307: " in comment(capsys, "--review", saved, code=1)
    assert not [path for _, path in forge.calls if "elsewhere" in path]


@pytest.mark.parametrize("how", ["not there", "no network", "limit", "summary"])
def test_what_can_t_be_posted_is_not_lost(
    forge: Forge,
    saved: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    how: str,
) -> None:
    summary = tmp_path / "summary.md"
    if how == "summary":
        monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    if how == "no network":
        forge.close()
    status = 429 if how == "limit" else 404
    forge.instead = [("GET", status, {"Retry-After": "3600"}, {"message": "Not Found"})]
    said = comment(capsys, "--review", saved, code=1)
    assert f"no comment: GET {forge.listed}" in said
    if how == "summary":
        assert "it is in the job's summary instead" in said
        assert CAROL in summary.read_text()
    else:
        assert "it is printed instead" in said
        assert CAROL in said


@pytest.mark.parametrize("found", ["<html>Sign in</html>", {"id": "x"}, 7, None])
@pytest.mark.parametrize("call", ["list", "create", "change", "user", "viewer"])
def test_an_odd_answer_is_an_error_that_names_the_call(
    forge: Forge, saved: str, capsys: pytest.CaptureFixture[str], call: str, found: Any
) -> None:
    if call != "create":
        forge.written(forge.me, f"{MARK}\nolder")
    named = {
        "list": f"GET {forge.listed}",
        "create": f"POST {forge.listed}",
        "change": f"{forge.change} {forge.one(1)}",
        "user": "GET /user",
        # there is one on GitHub alone
        "viewer": "POST /graphql" if forge.kind == "github" else "GET /user",
    }[call]
    forge.user = forge.user or call == "user"
    forge.instead = [(named, 200, {}, found)]
    said = comment(capsys, "--review", saved, code=1)
    place = "GITHUB_API_URL" if forge.kind == "github" else "CI_API_V4_URL"
    assert f"no comment: {named}: 200, but with another answer than this call has: " in said
    assert ("call has: it is text/html; " in said) == isinstance(found, str)
    assert f"; is {place} right?" in said
    assert "internal error" not in said


@only_github
@pytest.mark.parametrize("address", ["{}", "//host:port"])
def test_a_page_at_another_host_gets_no_token(
    forge: Forge, saved: str, capsys: pytest.CaptureFixture[str], address: str
) -> None:
    other = Forge("github")
    address = address.format(other.url)
    forge.instead = [("GET", 200, {"Link": f'<{address}{forge.listed}?page=2>; rel="next"'}, [])]
    said = comment(capsys, "--review", saved, code=1)
    assert "no comment: the next page of comments is at " in said
    assert ("at another host than GITHUB_API_URL says" in said) == (address == other.url)
    assert not other.calls
    other.close()


@pytest.mark.parametrize("end", ["\n", "\r\n", " "])
def test_white_space_around_a_token_is_none_of_it(
    forge: Forge, saved: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    monkeypatch.setenv("GITHUB_TOKEN" if forge.kind == "github" else "GITLAB_TOKEN", TOKEN + end)
    comment(capsys, "--review", saved)
    assert len(forge.comments) == 1


@pytest.mark.parametrize("middle", ["\n", " ", "é", "\x1b"])
def test_a_token_that_no_header_can_have_is_not_shown(
    forge: Forge, saved: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, middle: str
) -> None:
    name = "GITHUB_TOKEN" if forge.kind == "github" else "GITLAB_TOKEN"
    monkeypatch.setenv(name, f"{TOKEN}{middle}{TOKEN}")
    said = comment(capsys, "--review", saved, code=1)
    assert f"{name} holds characters that no token has, such as spaces; set it again" in said


@pytest.mark.parametrize("url", ["http://host:port", "api.github.com", "ftp://api.github.com", "/api/v3"])
def test_an_address_that_is_none_is_named(
    forge: Forge, saved: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    name = "GITHUB_API_URL" if forge.kind == "github" else "CI_API_V4_URL"
    monkeypatch.setenv(name, url)
    assert f"{name} is no address: " in comment(capsys, "--review", saved, code=1)


REPOSITORY: dict[str, Any] = {"repository": {"id": 5}}


def request_of(repository: int, number: int) -> dict[str, Any]:
    return {"number": number, "base": {"repo": {"id": repository}}}


@only_github
@pytest.mark.parametrize(
    ("event", "number"),
    [
        ({"pull_request": {"number": 7}}, 7),
        ({"issue": {"number": 7, "pull_request": {}}}, 7),
        ({"issue": {"number": 7}}, None),
        ({**REPOSITORY, "workflow_run": {"pull_requests": [request_of(5, 7)]}}, 7),
        ({**REPOSITORY, "workflow_run": {"pull_requests": [request_of(6, 3), request_of(5, 7)]}}, 7),
        ({**REPOSITORY, "workflow_run": {"pull_requests": [request_of(6, 3)]}}, None),
        ({"workflow_run": {"pull_requests": [{"number": 3}]}}, None),
        ({"workflow_run": {"pull_requests": {"number": 3}}}, None),
        ({"workflow_run": {"pull_requests": None}}, None),
        ({"pull_request": [7]}, None),
        ({"pull_request": {"number": "7"}}, None),
        ([{"pull_request": {"number": 7}}], None),
        ("text", None),
        (None, None),
    ],
)
def test_the_number_is_the_event_s(
    forge: Forge,
    saved: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    event: Any,
    number: int | None,
) -> None:
    monkeypatch.setenv("GITHUB_REF", "refs/heads/main")
    monkeypatch.setenv("GITHUB_EVENT_PATH", str(tmp_path / "event.json"))
    (tmp_path / "event.json").write_text(json.dumps(event))
    if number is None:
        said = comment(capsys, "--review", saved, code=1)
        assert "this run is of no pull request; name one with --number" in said
    else:
        comment(capsys, "--review", saved)
        assert ("POST", forge.listed) in forge.calls


@only_github
def test_a_run_of_several_requests_asks_for_one(
    forge: Forge,
    saved: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("GITHUB_REF", "refs/heads/main")
    monkeypatch.setenv("GITHUB_EVENT_PATH", str(tmp_path / "event.json"))
    listed = [request_of(5, 7), request_of(5, 9)]
    (tmp_path / "event.json").write_text(json.dumps({**REPOSITORY, "workflow_run": {"pull_requests": listed}}))
    said = comment(capsys, "--review", saved, code=1)
    assert "this run is of several pull requests (7, 9); name each with --number" in said
