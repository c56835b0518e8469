"""Each form of a review: as golden files, and with hostile texts in every field that is free."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from reconciler.places import Spot
from reconciler.render.review import review_text
from reconciler.render.review_document import review_json
from reconciler.render.review_github import MOST, command, in_data, in_property, review_commands
from reconciler.render.review_gitlab import review_gitlab
from reconciler.render.review_markdown import MOST as MOST_MARKDOWN
from reconciler.render.review_markdown import review_markdown
from reconciler.render.review_sarif import review_sarif
from reconciler.review.model import Finding, Review, Risk
from reconciler.schemas import schema_text

from .specs import BASE, edited, replaced, reviewed

FORMS: dict[str, Callable[[Review], str]] = {
    "txt": review_text,
    "json": review_json,
    "md": review_markdown,
    "github": review_commands,
    "gitlab": review_gitlab,
    "sarif": review_sarif,
}
#: something of each risk
ALL = replaced(
    ('["222222222222"]}', '["222222222222", "333333333333"]}'),
    ('["222222222222", "333333333333"]\n', '["222222222222", "333333333333", "444444444444"]\n'),
    ("[alice, bob]", "[alice]"),
    ("keep_last: 100", "keep_last: 10"),
    ("  - {name: cart, registry: images}\n", "  - {name: cart, registry: images, release: true}\n  - {name: new, registry: box}\n"),
    ("  - {name: payments, registry: images, protect: true}\n", ""),
    ("name: team", "name: crew"),
)  # fmt: skip


@pytest.mark.parametrize("form", FORMS)
def test_each_form_of_a_review_of_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, golden: Callable[[str, str], None], form: str
) -> None:
    monkeypatch.chdir(tmp_path)
    golden(f"review.{form}", FORMS[form](reviewed(Path(), ALL)))


@pytest.mark.parametrize(
    ("head", "line"),
    [
        (BASE, "**acme**: the change of the spec has no effect: nobody gains or loses access, and nothing is changed.\n"),
        (replaced(("[alice, bob]", "[bob, alice]")), "**acme**: nobody gains or loses access by the change of the spec.\n"),
    ],
)  # fmt: skip
def test_where_there_is_nothing_to_say_markdown_is_one_line(tmp_path: Path, head: str, line: str) -> None:
    assert review_markdown(reviewed(tmp_path, head)) == line


def test_json_is_as_its_schema_says(tmp_path: Path) -> None:
    schema = json.loads(schema_text("review"))
    document = json.loads(review_json(reviewed(tmp_path, ALL)))
    assert [error.message for error in Draft202012Validator(schema).iter_errors(document)] == []
    assert document["verdict"] == ["destroys", "widens", "weakens", "unmanaged", "narrows", "creates"]


HOSTILE = (
    "\n::error::forged",
    "::set-output name=x::y",
    "%0A::error::forged",
    "`</script><script>alert(1)</script>`",
    "@team #1 https://example.org",
    "| a | b |\n---",
    "\x1b[31mred",
    "</details>",
    "```\nmermaid",
    '"] --> n0["x',
)


@pytest.mark.parametrize("text", HOSTILE)
def test_free_text_means_nothing_in_any_form(tmp_path: Path, text: str) -> None:
    """Descriptions, labels' values and file names are free; a principal's condition is nearly so."""

    def change(document: dict[str, object]) -> None:
        repositories = document["repositories"]
        assert isinstance(repositories, list)
        repositories[0]["description"] = text[:200]

    found = reviewed(tmp_path, edited(change))
    hostile = found.findings[0]
    spot = Spot(f"specs/{text}.yaml", 3, 4)
    said = Finding(Risk.WIDENS, (text, f"by {text}"), spot, spot, removed=True, gains=())
    forged = Review("acme", found.plan, (said, hostile), (), {text: text}, (text,))
    plain = review_text(forged)
    assert all(line.isprintable() for line in plain.splitlines())
    assert not [line for line in plain.splitlines() if line.startswith(("::", "---"))]
    commands = review_commands(forged).splitlines()
    levels = [re.match(r"::(\w+) ", line) for line in commands]
    assert [match.group(1) for match in levels if match] == ["warning", "notice", "notice", "notice"]
    assert not [
        line for line in commands if line.lstrip().startswith("::") and not re.match(r"::(warning|notice) ", line)
    ]
    marked = review_markdown(forged)
    marked = re.sub(r"(?<![`\\])(`+)(?!`).*?(?<![`\\])\1(?!`)", "", marked)  # in a code span nothing means anything
    assert "<script" not in marked
    assert not re.search(r"@team", marked)
    assert marked.count("<details>") == marked.count("</details>")
    table = [line for line in marked.splitlines() if line.startswith("|")]
    assert len(table) == 4
    assert all(len(re.findall(r"(?<!\\)\|", line)) == 4 for line in table)
    assert json.loads(review_json(forged))["findings"][0]["messages"] == [text, f"by {text}"]


def test_where_there_is_nothing_gitlab_gets_an_empty_list(tmp_path: Path) -> None:
    assert json.loads(review_gitlab(reviewed(tmp_path, BASE))) == []


def test_a_finding_of_gitlab_keeps_its_fingerprint_when_it_moves(tmp_path: Path) -> None:
    def fingerprints(text: str) -> list[str]:
        return [item["fingerprint"] for item in json.loads(review_gitlab(reviewed(tmp_path, text)))]

    head = replaced(("[alice, bob]", "[alice, bob, carol]"))
    assert len(set(fingerprints(ALL))) == len(fingerprints(ALL)) > 5
    assert fingerprints(head) == fingerprints(f"# a line\n{head}")


def test_commands_are_escaped_as_the_runner_reads_them() -> None:
    assert in_data("50% of\na: b, c") == r"50%25 of\na: b, c"
    assert in_property("a%:b,c") == "a%25%3Ab%2Cc"
    assert (
        command("notice", Spot("a,b.yaml", 1, 2), "x: y", "::z")
        == "::notice file=a%2Cb.yaml,line=1,col=2,title=x%3A y::%3A:z"
    )


def test_of_each_level_the_worst_nine_and_how_many_more(tmp_path: Path) -> None:
    some = tuple(Finding(Risk.WEAKENS, (f"number {number}",), Spot("a.yaml", number + 1, 1)) for number in range(50))
    found = reviewed(tmp_path, BASE)
    lines = review_commands(Review("acme", found.plan, some)).splitlines()
    assert len(lines) == MOST + 2
    assert lines[MOST] == "::warning title=review::and 41 more"
    assert len(review_commands(Review("acme", found.plan, some[:10])).splitlines()) == 11


def test_a_review_that_is_too_long_for_a_comment_ends_at_the_end_of_a_fold(tmp_path: Path) -> None:
    some = tuple(
        Finding(Risk.WEAKENS, tuple(f"{number} {line} {'x' * 80}" for line in range(40)), Spot("a.yaml", number + 1, 1))
        for number in range(200)
    )
    text = review_markdown(Review("acme", reviewed(tmp_path, BASE).plan, some))
    assert MOST_MARKDOWN - 8_000 < len(text) <= MOST_MARKDOWN
    assert text.count("<details>") == text.count("</details>") > 5
    assert re.search(r"\d+ more parts are left out\. `reconciler` prints all of it\.\n$", text)


@pytest.mark.parametrize(("count", "drawn"), [(3, True), (80, False)])
def test_a_graph_is_drawn_unless_it_is_too_large(tmp_path: Path, count: int, drawn: bool) -> None:
    users = ", ".join(f"user-{number}" for number in range(count))
    text = review_markdown(reviewed(tmp_path, replaced(("[alice, bob]", f"[alice, {users}]"))))
    assert ("```mermaid" in text) == drawn
    if drawn:
        assert '-->|"pull"|' in text
        assert '-.->|"pull"|' in text


def test_however_many_findings_there_are_the_worst_is_in_the_table(tmp_path: Path) -> None:
    some = [
        Finding(Risk.COSMETIC, (f"{number} {'x' * 250}",), Spot("a.yaml", number + 1, 1)) for number in range(5_000)
    ]
    worst = Finding(Risk.WIDENS, ("anyone can now pull",), Spot("a.yaml", 9, 1))
    text = review_markdown(Review("acme", reviewed(tmp_path, BASE).plan, (*some, worst)))
    assert "| :unlock: widens | anyone can now pull | `a.yaml:9` |" in text
    assert "and 4901 more" in text
    assert len(text) <= MOST_MARKDOWN
