"""`comment`: one comment that is kept up to date, against stand-ins for GitHub's and GitLab's REST APIs over a real socket.

The answers' shapes are those of https://docs.github.com/en/rest/issues/comments and https://docs.gitlab.com/api/notes/.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from reconciler.cli.app import run
from reconciler.comments import sticky
from reconciler.render.review_document import review_json
from tests.review.specs import BASE, replaced, reviewed

TOKEN = "ghs_secret0123456789"
MARK = "<!-- reconciler:acme:review -->"
PAGE = 3


class Forge:
    """GitHub, or GitLab, with one request and its comments."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.comments: list[dict[str, Any]] = []
        self.calls: list[tuple[str, str]] = []
        #: answers to give instead, in order: (method, status, headers, body)
        self.instead: list[tuple[str, int, dict[str, str], Any]] = []
        self.me = "github-actions[bot]" if kind == "github" else "bot"
        forge = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *arguments: Any) -> None:
                pass

            def answer(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = json.loads(self.rfile.read(length)) if length else {}
                status, headers, found = forge.answer(self.command, self.path, dict(self.headers), body)
                data = json.dumps(found).encode()
                self.send_response(status)
                for name, value in {
                    **headers,
                    "Content-Type": "application/json",
                    "Content-Length": str(len(data)),
                }.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PATCH = do_PUT = answer  # noqa: N815 - the names that http.server asks for

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def written(self, author: str, body: str) -> dict[str, Any]:
        number = len(self.comments) + 1
        if self.kind == "github":
            who: dict[str, Any] = {"user": {"login": author}}
        else:
            who = {"author": {"id": len(author), "username": author}, "system": False}
        found = {"id": number, "body": body, "html_url": f"https://github.example/c/{number}", **who}
        self.comments.append(found)
        return found

    def answer(self, method: str, path: str, headers: dict[str, str], body: Any) -> tuple[int, dict[str, str], Any]:
        self.calls.append((method, path))
        given = {name.lower(): value for name, value in headers.items()}
        token = given.get("authorization", "").removeprefix("Bearer ") or given.get("private-token")
        if token != TOKEN:
            return 401, {}, {"message": "Bad credentials"}
        if self.instead and self.instead[0][0] in (method, f"{method} {path}"):
            _, status, more, found = self.instead.pop(0)
            return status, more, found
        if path == "/user":
            # https://docs.github.com/en/rest/users/users#get-the-authenticated-user: not for the token of a workflow
            forbidden: Any = 403, {}, {"message": "Resource not accessible by integration"}
            return forbidden if self.kind == "github" else (200, {}, {"id": len(self.me), "username": self.me})
        name, _, query = path.partition("?")
        if method == "GET":
            return self.page(name, query)
        if method == "POST":
            return 201, {}, self.written(self.me, body["body"])
        number = int(name.rpartition("/")[2])
        found = next((item for item in self.comments if item["id"] == number), None)
        if found is None:
            return 404, {}, {"message": "Not Found"}
        found["body"] = body["body"]
        return 200, {}, found

    def page(self, name: str, query: str) -> tuple[int, dict[str, str], Any]:
        page = int(dict(part.split("=") for part in query.split("&")).get("page", "1"))
        found = self.comments[(page - 1) * PAGE : page * PAGE]
        more = page * PAGE < len(self.comments)
        if self.kind == "github":
            link = f'<{self.url}{name}?per_page=100&page={page + 1}>; rel="next"'
            return 200, {"Link": link} if more else {}, found
        return 200, {"x-next-page": str(page + 1) if more else ""}, found


@pytest.fixture(params=["github", "gitlab"])
def forge(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Forge]:
    found = Forge(request.param)
    for name in ("GITLAB_CI", "GITHUB_TOKEN", "GITLAB_TOKEN", "GITHUB_STEP_SUMMARY", "GITHUB_EVENT_PATH", "GITHUB_REF"):
        monkeypatch.delenv(name, raising=False)
    if found.kind == "github":
        said = {
            "GITHUB_TOKEN": TOKEN,
            "GITHUB_API_URL": found.url,
            "GITHUB_REPOSITORY": "acme/images",
            "GITHUB_REF": "refs/pull/7/merge",
        }
    else:
        said = {
            "GITLAB_CI": "true",
            "GITLAB_TOKEN": TOKEN,
            "CI_API_V4_URL": found.url,
            "CI_PROJECT_ID": "12",
            "CI_MERGE_REQUEST_IID": "7",
        }
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    yield found
    found.server.shutdown()
    found.server.server_close()


@pytest.fixture
def saved(tmp_path: Path) -> str:
    path = tmp_path / "review.json"
    path.write_text(review_json(reviewed(tmp_path, replaced(("[alice, bob]", "[alice, bob, carol]")))))
    return str(path)


def comment(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    assert run(["comment", *arguments]) == code
    printed = capsys.readouterr()
    assert TOKEN not in printed.out + printed.err
    return printed.out + printed.err


def test_it_is_created_once_and_then_changed(
    forge: Forge, saved: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for number in range(7):
        forge.written("someone", f"comment {number}")
    comment(capsys, "--review", saved)
    (ours,) = [item for item in forge.comments if item["body"].startswith(MARK)]
    assert "user carol can now pull tool" in ours["body"]
    assert [method for method, path in forge.calls if method == "GET" and path != "/user"] == ["GET"] * 3, (
        "all pages are read"
    )
    calls = len(forge.calls)
    comment(capsys, "--review", saved)
    assert not [method for method, _ in forge.calls[calls:] if method != "GET"], (
        "what is there already is not written again"
    )
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


def test_one_that_was_deleted_meanwhile_is_written_again(
    forge: Forge, saved: str, capsys: pytest.CaptureFixture[str]
) -> None:
    comment(capsys, "--review", saved)
    forge.comments[0]["body"] = f"{MARK}\nolder"
    change = "PATCH" if forge.kind == "github" else "PUT"
    forge.instead = [(change, 404, {}, {"message": "Not Found"})]
    comment(capsys, "--review", saved)
    assert len(forge.comments) == 2


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
        forge.instead = [("POST", 403, {}, {"message": "Resource not accessible by integration"})] * 2
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


def test_a_limit_is_waited_for(forge: Forge, saved: str, capsys: pytest.CaptureFixture[str]) -> None:
    said = {"message": "You have exceeded a secondary rate limit"}
    status = 403 if forge.kind == "github" else 429
    forge.instead = [("POST", status, {"Retry-After": "0"}, said)] * 3
    comment(capsys, "--review", saved)
    assert len(forge.comments) == 1


def test_a_limit_that_is_too_long_is_an_error(forge: Forge, saved: str, capsys: pytest.CaptureFixture[str]) -> None:
    forge.instead = [("POST", 429, {"Retry-After": "3600"}, {"message": "later"})]
    assert "the host's limit did not pass: asked to wait for 3600 s" in comment(capsys, "--review", saved, code=1)


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


def test_a_host_that_does_not_answer_is_an_error(
    forge: Forge, saved: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sticky, "ATTEMPTS", 1)
    forge.server.shutdown()
    forge.server.server_close()
    assert "ConnectError" in comment(capsys, "--review", saved, code=1)


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
    if forge.kind == "github":
        (tmp_path / "event.json").write_text(json.dumps({"workflow_run": {"pull_requests": [{"number": 7}]}}))
        monkeypatch.setenv("GITHUB_EVENT_PATH", str(tmp_path / "event.json"))
        comment(capsys, "--review", saved)
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
