"""A host that means harm, or is broken: the text is left all the same, and nothing that it says is markup, a command or endless."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from reconciler.comments import sticky, waiting

from .forge import FORBIDDEN, MARK, Forge, comment

CAROL = "user carol can now pull tool"
only_github = pytest.mark.parametrize("forge", ["github"], indirect=True)


@pytest.mark.parametrize("where", ["printed", "summary"])
@pytest.mark.parametrize(
    ("status", "headers", "answer"),
    [
        (500, {}, "[" * 100_000),
        (500, {"Content-Type": "application/json; charset=hex"}, "no hex"),
        (429, {"Retry-After": "Tue, 14 Nov 2023 22:13:50 +99999999999999999"}, "[" * 100_000),
    ],
)
def test_an_answer_that_can_t_be_read_is_an_error_and_leaves_the_text(
    forge: Forge,
    saved: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    status: int,
    headers: dict[str, str],
    answer: str,
    where: str,
) -> None:
    summary = tmp_path / "summary.md"
    if where == "summary":
        monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    forge.instead = [("GET", status, headers, answer)] * waiting.ATTEMPTS
    said = comment(capsys, "--review", saved, code=1)
    assert f"no comment: GET {forge.listed}" in said
    assert "internal error" not in said
    assert CAROL in (summary.read_text() if where == "summary" else said)


def test_a_fault_that_nobody_foresaw_leaves_the_text_too(
    forge: Forge, saved: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a fault")

    monkeypatch.setattr(sticky, "_stick", broken)
    said = comment(capsys, "--review", saved, code=1)
    assert "no comment: it is printed instead\n" in said
    assert "internal error (RuntimeError: a fault, at " in said
    assert CAROL in said


def test_a_run_of_no_request_leaves_the_text_too(
    forge: Forge, saved: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("GITHUB_REF", raising=False)
    monkeypatch.delenv("CI_MERGE_REQUEST_IID", raising=False)
    said = comment(capsys, "--review", saved, code=1)
    assert "name one with --number\n  it is printed instead\n" in said
    assert CAROL in said


@pytest.mark.parametrize("how", ["the same", "in a circle", "always another"])
def test_pages_that_come_to_no_end_are_refused(
    forge: Forge, saved: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    monkeypatch.setattr(sticky, "MOST_PAGES", 7)
    pages = {"the same": [2] * 30, "in a circle": [2, 1] * 15, "always another": range(2, 32)}[how]
    forge.instead = [
        ("GET", 200, {"Link": f'<{forge.url}{forge.listed}?page={page}>; rel="next"', "x-next-page": f"{page}"}, [])
        for page in pages
    ]
    said = comment(capsys, "--review", saved, code=1)
    why = "one more, after 7 of them" if how == "always another" else "one that was read already"
    place = "GITHUB_API_URL" if forge.kind == "github" else "CI_API_V4_URL"
    assert f"no comment: the next page of comments is {why}; is {place} right?" in said
    assert CAROL in said
    assert len(forge.made("GET")) <= 8


@only_github
def test_a_next_page_may_be_named_from_the_page_itself(
    forge: Forge, saved: str, capsys: pytest.CaptureFixture[str]
) -> None:
    link = {"Link": f'<{forge.listed}?per_page=100&page=2>; rel="next"'}
    ours = forge.written(forge.me, f"{MARK}\nolder")
    for number in range(4):
        forge.written("someone", f"comment {number}")
    forge.comments.append(forge.comments.pop(0))
    forge.instead = [("GET", 200, link, [])]
    comment(capsys, "--review", saved)
    assert CAROL in ours["body"]
    assert not forge.made("POST")


@pytest.mark.parametrize(
    ("where", "shown"),
    [
        ("x\n::error::y", "x\\n::error::y"),
        ("\r\n::stop-commands::x", "\\r\\n::stop-commands::x"),
        ("##[error]x", "#\\x23[error]x"),
        ("\x1b]0;x\x07\u202e", "\\x1b]0;x\\x07\\u202e"),
    ],
)
@only_github
def test_the_address_of_a_comment_is_one_line_and_no_command(
    forge: Forge, saved: str, capsys: pytest.CaptureFixture[str], where: str, shown: str
) -> None:
    forge.instead = [("POST", 201, {}, {"id": 1, "html_url": where, "user": {"login": forge.me}})]
    assert comment(capsys, "--review", saved) == f"commented: {shown}\n"


@pytest.mark.parametrize("status", [403, 500])
def test_what_a_host_says_is_no_command(
    forge: Forge, saved: str, capsys: pytest.CaptureFixture[str], status: int
) -> None:
    forge.instead = [("GET", status, {}, {"message": "##[error]x\n::error::y"})]
    said = comment(capsys, "--review", saved, code=0 if status == 403 else 1)
    assert f": {status}: #\\x23[error]x\\n::error::y" in said


def test_the_printed_text_is_no_command(forge: Forge, saved: str, capsys: pytest.CaptureFixture[str]) -> None:
    made = json.loads(Path(saved).read_text())
    made["findings"][0]["addresses"] = ["##[error]x"]
    Path(saved).write_text(json.dumps(made))
    forge.instead = [("GET", 403, {}, FORBIDDEN)]
    assert "\n  `#\\x23[error]x`\n" in comment(capsys, "--review", saved)
