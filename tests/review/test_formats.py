"""Each form of a review: as golden files, and with hostile texts in every field that is free."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from reconciler.api.review import read_review
from reconciler.model.access import ADMIN, Access, Principal
from reconciler.places import Spot
from reconciler.render.review import review_text, sentences
from reconciler.render.review_document import review_json
from reconciler.render.review_github import MOST, command, in_data, in_property, review_commands
from reconciler.render.review_gitlab import review_gitlab
from reconciler.render.review_markdown import MOST as MOST_MARKDOWN
from reconciler.render.review_markdown import markdown_of, review_markdown
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


def test_findings_of_the_same_words_are_told_apart_and_stay_so_when_lines_move(tmp_path: Path) -> None:
    plan = reviewed(tmp_path, BASE).plan

    def marks(*lines: int) -> list[list[str]]:
        some = [Finding(Risk.COSMETIC, ("labels change",), Spot("a.yaml", line, 1)) for line in lines]
        found = Review("acme", plan, tuple(some))
        results = json.loads(review_sarif(found))["runs"][0]["results"]
        return [
            [item["fingerprint"] for item in json.loads(review_gitlab(found))],
            [item["partialFingerprints"]["primaryLocationLineHash"] for item in results],
        ]

    before = marks(1, 5, 9)
    assert [len(set(found)) for found in before] == [3, 3]
    assert [found.rpartition(":")[2] for found in before[1]] == ["1", "2", "3"]
    assert marks(4, 8, 12) == before
    assert [found[:2] for found in before] == marks(2, 3)


def test_sarif_counts_columns_as_it_says(tmp_path: Path) -> None:
    (log,) = json.loads(review_sarif(reviewed(tmp_path, BASE)))["runs"]
    assert log["columnKind"] == "unicodeCodePoints"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("##[add-mask]secret", r"#\x23[add-mask]secret"),
        ("x ##[error]forged", r"x #\x23[error]forged"),
        ("###[error]forged", r"##\x23[error]forged"),
        ("::add-mask::secret", r"\x3a:add-mask::secret"),
        (" ::error::forged", r" \x3a:error::forged"),
        (":::error::forged", r"\x3a::error::forged"),
        ("a :: b: # [c]", "a :: b: # [c]"),
    ],
)
def test_no_line_of_text_is_a_command_to_the_runner(tmp_path: Path, text: str, shown: str) -> None:
    plan = reviewed(tmp_path, BASE).plan
    said = Finding(Risk.WIDENS, (text,), Spot(text, 1, 1))
    lines = review_text(Review("acme", plan, (said,), (), {text: text}, (text,))).splitlines()
    assert not [line for line in lines if "##[" in line or line.lstrip().startswith("::")]
    assert f"  {shown}" in lines


def cell(tmp_path: Path, *messages: str) -> str:
    """The cell of a finding in the table."""
    said = Finding(Risk.WIDENS, messages, Spot("a.yaml", 3, 4))
    marked = review_markdown(Review("acme", reviewed(tmp_path, BASE).plan, (said,)))
    (row,) = (line for line in marked.splitlines() if line.startswith("| :unlock:"))
    return row.split(" | ")[1]


def test_a_row_has_as_many_sentences_as_fit(tmp_path: Path) -> None:
    assert cell(tmp_path, "one", "two", "three") == "one<br>two<br>three"
    long = "x" * 140
    assert cell(tmp_path, long, long, "three", "four", long) == f"{long}<br>{long}<br>three<br>four (and 1 more)"
    assert cell(tmp_path, "y" * 400, "two") == f"{'y' * 300}… (and 1 more)"


def test_of_access_what_is_everybodys_comes_first_and_then_who_can_push(tmp_path: Path) -> None:
    anyone = Principal("anyone (no login needed)", public=True)
    gains = [Access(Principal(f"account {number}"), "pull", "images", "cart") for number in range(20)]
    gains += [Access(Principal("user zoe"), verb, "images", "cart") for verb in ("pull", "push")]
    gains += [Access(Principal("user yan"), ADMIN, "images", "cart"), Access(anyone, "pull", "images", "cart")]
    found = Finding(Risk.WIDENS, ("cart: covered by grant all",), Spot("a.yaml", 1, 1), gains=tuple(gains))
    said = sentences(found)
    assert said[0] == "anyone (no login needed) can now pull cart"
    assert said[1].startswith("user yan can now change or delete cart (danger: ")
    assert said[2] == "user zoe can now pull and push cart"
    assert said[3] == "account 0 can now pull cart"
    assert said[-1] == "cart: covered by grant all"
    marked = review_markdown(Review("acme", reviewed(tmp_path, BASE).plan, (found,)))
    row = next(line for line in marked.splitlines() if line.startswith("| :unlock:"))
    assert row.index("anyone") < row.index("user yan") < row.index("user zoe")
    assert "covered by" not in row


def test_a_bar_in_the_name_of_a_file_ends_no_cell(tmp_path: Path) -> None:
    said = Finding(Risk.WIDENS, ("text",), Spot("a|b.yaml", 3, 4))
    marked = review_markdown(Review("acme", reviewed(tmp_path, BASE).plan, (said,)))
    assert "| :unlock: widens | text | `a\\|b.yaml:3` |\n" in marked


def test_what_a_saved_review_does_is_taken_from_its_findings(tmp_path: Path) -> None:
    true = json.loads(review_json(reviewed(tmp_path, ALL)))
    path = tmp_path / "review.json"
    for verdict in ([], ["cosmetic"], ["widens", "narrows", "widens"]):
        for count in (len(true["findings"]), 1, 0):
            findings = true["findings"][:count]
            path.write_text(json.dumps({**true, "verdict": verdict, "findings": findings}))
            marked = markdown_of(read_review(path))
            risks = {item["risk"] for item in findings}
            assert ("destroys" in marked.splitlines()[0]) is ("destroys" in risks)
            assert ("widens" in marked.splitlines()[0]) is ("widens" in risks)
            assert "; guards stop the plan" in marked.splitlines()[0]


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
