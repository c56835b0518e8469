"""A comment that would be too long: what stops the plan, what is deleted and who gains access stay in it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from reconciler import apply, load_spec, plan, render
from reconciler.render.review_markdown import markdown_of, review_markdown
from reconciler.render.shortened import MOST, shortened
from reconciler.review.document import ReviewDocument
from tests.review.specs import replaced, reviewed

GONE = re.compile(
    r"\nThis is longer than a comment may be: ([\d,]+) more parts are left out\. `reconciler` prints all of it\.\n$"
)


def closed(text: str) -> None:
    """No fold and no fence is left open, and no line is in a fence that belongs outside."""
    depth, fence = 0, False
    for line in text.splitlines():
        if line.startswith("```"):
            fence = not fence
            continue
        if not fence:
            depth += line.startswith("<details>") - (line == "</details>")
        assert depth in (0, 1)
        assert not (fence and line.startswith(("<details>", "</details>", "#")))
    assert (depth, fence) == (0, False)


@pytest.mark.slow  # hundreds of repositories
def test_a_guard_with_hundreds_of_repositories_hides_nothing_else(tmp_path: Path) -> None:
    names = "".join(f"  - {{name: service-{number:04}, registry: images}}\n" for number in range(600))
    base = replaced(("repositories:\n", f"repositories:\n{names}"))
    head = replaced(
        ('  protect: ["payments*"]\n', '  protect: ["payments*"]\n  max_grants_per_repository: 0\n'),
        ('["222222222222"]}', '["222222222222", "333333333333"]}'),
        ("[alice, bob]", '[alice, bob, "*"]'),
        base=base,
    )
    text = review_markdown(reviewed(tmp_path, head, base))
    assert MOST - 3_000 < len(text) <= MOST
    assert text.startswith("### acme: widens (")
    assert "; guards stop the plan\n" in text
    assert "#### :no_entry: Stops the plan\n" in text
    assert re.search(r"\n- and [\d,]+ more\n", text)
    assert "anyone can now pull tool" in text
    assert "account 333333333333 can now pull payments, service-0000" in text
    assert GONE.search(text)
    closed(text)


@pytest.mark.slow  # hundreds of repositories
def test_a_plan_with_many_new_repositories_names_what_it_deletes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    head = "version: 1\nname: demo\nregistries:\n  - {name: box, platform: local, path: box}\nrepositories:\n"
    labels = ", ".join(f'key-{number}: "{"x" * 40}"' for number in range(8))
    new = "".join(f"  - {{name: app-{number:03}, registry: box, labels: {{{labels}}}}}\n" for number in range(210))
    grants = "".join(
        f"  - {{name: team-{number}, registry: box, to: {{type: local, users: [user-{number}]}}}}\n"
        for number in range(40)
    )
    path = tmp_path / "registry.yaml"
    path.write_text(f"{head}  - {{name: payments-prod, registry: box}}\n")
    apply(plan(load_spec(path)))
    path.write_text(f"{head}{new}grants:\n{grants}")
    whole = render(plan(load_spec(path)), "markdown")
    assert len(whole) > MOST
    text = shortened(whole)
    assert len(text) <= MOST
    assert "\n- -   repository payments-prod " in text
    assert "user user-0 can now pull app-000, app-001" in text
    assert re.search(r"\nand \d+ more\n```\n\n</details>\n", text)
    for heading in re.findall(r"(?m)^#+ .*$", whole):
        assert heading in text
    closed(text)


def test_one_line_that_is_too_long_is_cut_at_a_name_and_not_inside_of_a_comment() -> None:
    names = ", ".join(f"@<!-- -->team-{number}" for number in range(20_000))
    text = shortened(
        f"### demo: widens\n\n#### Who gains access\n\n- box: user alice can now pull {names}\n\n1 unchanged.\n"
    )
    assert len(text) < 3_000
    assert re.search(r", @<!-- -->team-\d+ … and [\d,]+ more\n\n1 unchanged\.\n$", text)
    assert text.count("<!--") == text.count("-->")


LIVE = "@octo/team [click](https://evil.example/x) ![i](https://evil.example/i.png) <img src=x> a"
#: a code span, an HTML comment and an escape (https://spec.commonmark.org/0.31.2/#code-spans)
CLOSED = re.compile(r"(?<![`\\])(`+)(?!`).*?(?<!`)\1(?!`)|<!--.*?-->|\\.")


def live(text: str) -> list[str]:
    """What would be a mention, a link, an image or a tag, and backticks that nothing closes, outside of code."""
    left = "\n".join(CLOSED.sub("", line) for line in text.splitlines() if not line.startswith(("<", "```")))
    return re.findall(r"@\w+|\]\(|https?:|<\w+|`", left)


@pytest.mark.parametrize("around", ["{}", "``{}``", "`{}", "{}`", "````{}"])
@pytest.mark.parametrize("where", ["address", "file", "base", "error"])
def test_a_forged_review_that_is_too_long_leaves_no_code_span_open(where: str, around: str) -> None:
    names = around.format(", ".join([LIVE, *["a"] * 1_500]))
    there = {"file": names, "line": 1, "column": 1}
    plain = {"file": "a.yaml", "line": 1, "column": 1}
    finding = {
        "risk": "destroys",
        "removed": True,
        "place": there if where == "file" else plain,
        "base": there if where == "base" else plain,
        "messages": ["x"],
        "addresses": [names, names] if where == "address" else [],
    }
    long = {**finding, "place": plain, "base": None, "addresses": [], "messages": ["app is deleted " * 200] * 40}
    errors = [{"message": "wrong " * 300, "place": there}] * 60 if where == "error" else []
    made = {"format": 1, "owner": "demo", "verdict": [], "findings": [finding, long, long], "errors": errors}
    text = markdown_of(ReviewDocument.model_validate_json(json.dumps(made)))
    assert GONE.search(text)
    assert "octo" in text or where in ("file", "base", "error"), "of a file the end is shown"
    assert live(text) == []
    closed(text)


@pytest.mark.parametrize("text", ["---", "- x", "1. x", "+ x", "==="])
def test_a_forged_problem_is_no_rule_and_no_list(text: str) -> None:
    made = {"format": 1, "owner": "demo", "verdict": [], "findings": [], "problems": [text]}
    wrong = {"format": 1, "owner": "demo", "verdict": [], "findings": [], "errors": [{"message": text, "place": None}]}
    for document in (made, wrong):
        marked = markdown_of(ReviewDocument.model_validate_json(json.dumps(document)))
        assert re.search(r"(?m)^- [0-9]*\\[-+=.]", marked)


@pytest.mark.parametrize("size", [1_960, 1_990, 1_999, 2_100])
@pytest.mark.parametrize(
    "whole",
    [
        "`a b, c d, @octo/team e`",
        "``a ` b, c d, @octo/team e``",
        "@<!-- -->octo, x",
        "<br title='a, b c, d e'>x",
        "\\`a, b c\\`, d",
    ],
)
def test_a_line_is_cut_inside_of_nothing_that_would_stay_open(whole: str, size: int) -> None:
    start = "- " + "word, " * ((size - len(whole)) // 6)
    text = shortened(f"### demo: widens\n\n{start}{f'{whole}, ' * 10_000}\n\nThe end.\n")
    line = text.splitlines()[2]
    assert len(line) < 2_100
    assert re.search(r" … and [\d,]+ more$", line)
    assert live(line.replace(whole, "")) == []
    assert "<!" not in line.replace("@<!-- -->", "")
    assert "@octo" not in line.replace(whole, "")


@pytest.mark.parametrize("most", [700, 1_500, 4_000, 20_000])
def test_whatever_the_limit_is_the_headings_and_the_end_are_there(most: int) -> None:
    stops = "".join(f"- **protect**: images.repository.app-{number} is protected\n" for number in range(100))
    rows = "".join(f"| :fire: destroys | app-{number} is deleted | `a.yaml:{number}` |\n" for number in range(100))
    folds = "".join(
        f"<details><summary>destroys: a.yaml:{number}</summary>\n\n- app-{number} is deleted\n- more\n"
        "\n  `images.x`\n\n</details>\n\n"
        for number in range(300)
    )
    edges = "  n0 --> n1\n" * 50
    drawn = f"<details><summary>drawn</summary>\n\n```mermaid\nflowchart LR\n{edges}```\n\n</details>\n\n"
    head = "### demo: destroys\n\n#### :no_entry: Stops the plan\n\n"
    text = shortened(f"{head}{stops}\n| | what | where |\n|---|---|---|\n{rows}\n{drawn}{folds}The end.\n", most)
    assert len(text) <= most
    assert text.startswith(head + stops.splitlines()[0])
    closed(text)
    found = GONE.search(text)
    assert found
    assert "mermaid" not in text or drawn in text
    if "| what |" in text:
        assert "\n\n| | what | where |\n|---|---|---|\n| :fire:" in text


def test_a_text_that_fits_is_as_it_was() -> None:
    text = "### demo: No changes\n\n3 unchanged.\n"
    assert shortened(text) == text
    assert shortened(text * 1_500, len(text) * 1_500) == text * 1_500
