"""No text of a spec or of a cloud makes output of its own: a line, a heading, a link, a mention, a terminal's escape sequence."""

from __future__ import annotations

import json
import logging
import re
import unicodedata
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from reconciler.cli.options import OneLine
from reconciler.engine.guard import Verdict
from reconciler.engine.plan import Plan
from reconciler.engine.write import Outcome, Status
from reconciler.errors import PlatformError, Problem, SpecError, StalePlan
from reconciler.model.access import Access, ForeignAccess, Principal
from reconciler.model.address import Address
from reconciler.model.change import Action, Cause, Change, FieldChange, PlanProblem
from reconciler.places import Place
from reconciler.platforms.local.spec import LocalRegistry
from reconciler.render.graph import dot, mermaid
from reconciler.render.markdown import plan_markdown
from reconciler.render.outcome import outcome_line, outcome_record
from reconciler.render.report import report_of
from reconciler.render.text import drift_lines, joined, plan_lines
from reconciler.words import one_line, value

pytestmark = pytest.mark.slow  # every text field

#: what means something to a terminal, to markdown, to HTML, or to GitHub
PIECES = (
    *(
        "\n",
        "\r",
        "\r\n",
        "\t",
        "\x00",
        "\x1b[2K\x1b[1A",
        "\x9b2K",
        "\x85",
        "\u2028",
        "\u202e",
        "\u2066",
        "\u200b",
        "\x7f",
    ),
    *(
        "```",
        "~~~",
        "`",
        "``",
        "# ",
        "#1",
        "- ",
        "* ",
        "+ ",
        "1. ",
        "2) ",
        "> ",
        "=== ",
        "--- ",
        "    ",
        " ",
        "| a | b |",
    ),
    *(
        "**",
        "_",
        "~~",
        "[a](https://x)",
        "![a](x)",
        "[a]",
        "<b>",
        "</details>",
        "<!--",
        "-->",
        "<https://x>",
        "&lt;",
        "\\",
    ),
    *(
        "www.x.org",
        "http://x.org",
        "https://x.org",
        "HTTPS://x",
        "GH-1",
        "gh-22",
        ":tada:",
        ":+1:",
        "a@x.org",
        "mailto:a@x.org",
    ),
    *("##[add-mask]", "::error::", "::add-mask::x"),
    *("@everyone", "'", '"', "\\n", "team", "no drift", "+ images: account 1 can now pull"),
)
TEXT = st.one_of(st.text(), st.lists(st.sampled_from(PIECES), max_size=6).map("".join))
MARKDOWN = MarkdownIt("commonmark").enable(["table", "strikethrough"])
#: what stands after each @ and #, and shows nothing
COMMENT = "<!-- -->"
#: what a comment's own words have of it
OWN = re.compile("^:(no_entry|warning):")
#: what GitHub makes a link or a picture of: https://github.github.com/gfm/#autolinks-extension-,
#: https://docs.github.com/en/get-started/writing-on-github/working-with-advanced-formatting/autolinked-references-and-urls
_LINKED = re.compile(r"www\.|(https?|ftp|mailto|xmpp):|GH-\d|:[a-z0-9_+-]+:", re.IGNORECASE)


def plan(text: str) -> Plan:
    """A plan with the text wherever a plan can have one."""
    at = Address.of("box", "repository", text)
    access = (Access(Principal(text), text, text, text),)
    foreign = ForeignAccess(Address.of("box", "access", text), text, access)
    gone = ForeignAccess(at, text, ())
    return Plan(
        owner=text,
        base="",
        spec_hash="",
        registries=(LocalRegistry.model_construct(name="box", platform="local", path=text),),
        changes=(
            Change(
                Action.DELETE,
                at,
                "repository",
                Cause.BOTH,
                fields=(FieldChange(text, text, [text]), FieldChange("labels", {text: text}, None)),
                losses=access,
                foreign=(foreign,),
                along=(Address.of("box", "access", text),),
                notes=(text,),
            ),
            Change(
                Action.CREATE,
                Address.of("box", "access", text),
                "access",
                Cause.PENDING,
                gains=(Access(Principal(text), "x", "box", text),),
            ),
        ),
        graph=(),
        verdicts=(Verdict(text, False, text, (at,)),),
        problems=(PlanProblem(at, text),),
        foreign=(foreign, gone),
        unowned={text: 2},
        nobodys={text: (text,)},
        runtime=(),
        unchanged=1,
        left_out=1,
    )


PLAIN = report_of(plan("team"))


def prints(text: str) -> bool:
    """Whether nothing in the text moves a cursor, turns the reading order or is invisible, but the ends of its lines."""
    return not any(unicodedata.category(item)[0] == "C" for item in text.replace("\n", ""))


@given(TEXT)
def test_no_text_makes_a_line_of_a_plan_or_a_drift_report(text: str) -> None:
    report = report_of(plan(text))
    for lines in (plan_lines, drift_lines):
        shown, expected = joined(lines(report)), joined(lines(PLAIN))
        assert len(shown.splitlines()) == len(expected.splitlines())
        assert prints(shown)
        assert not any("##[" in line or line.lstrip().startswith("::") for line in shown.splitlines()), (
            "GitHub's runner"
        )


def blocks(markdown: str) -> list[tuple[str, str, int]]:
    return [(token.type, token.tag, token.level) for token in MARKDOWN.parse(markdown)]


def inline(markdown: str) -> Iterator[Token]:
    for token in MARKDOWN.parse(markdown):
        yield from token.children or ()


@given(TEXT)
def test_no_text_makes_markup_of_a_comment(text: str) -> None:
    markdown = plan_markdown(report_of(plan(text)))
    assert prints(markdown)
    assert len(markdown.splitlines()) == len(plan_markdown(PLAIN).splitlines())
    assert blocks(markdown) == blocks(plan_markdown(PLAIN))
    for token in inline(markdown):
        assert token.type in ("text", "code_inline", "strong_open", "strong_close", "html_inline"), token
        assert token.type != "html_inline" or token.content == COMMENT, token
    seen = "".join("" if token.type == "html_inline" else token.content for token in inline(markdown))
    assert one_line(text).strip() in seen, "it is shown as it is"
    for token in MARKDOWN.parse(markdown):
        if token.type == "html_block":
            assert token.content.count("<") - token.content.count(COMMENT) in (1, 3), token.content


@given(TEXT)
def test_github_finds_no_mention_and_no_reference(text: str) -> None:
    """It looks for `@name` and `#1` in the text of the page, wherever that is not code (github/cmark-gfm#181)."""
    for token in inline(plan_markdown(report_of(plan(text)))):
        if token.type == "text":
            assert not any(sign in token.content[:-1] for sign in "@#"), token
            assert not _LINKED.search(OWN.sub("", token.content)), token


@given(TEXT)
def test_json_keeps_the_true_text(text: str) -> None:
    from reconciler import dumps

    changes = json.loads(dumps(plan(text)))["changes"]
    assert changes[0]["notes"] == [text]
    assert changes[0]["fields"][0]["old"] == text
    assert outcome_record(failed(text)).get("message", "") == text


def failed(text: str) -> Outcome:
    place = Place("grant", text, text, 1, 1)
    return Outcome(Address.of("box", "access", text), Action.UPDATE, Status.FAILED, text, 1.0, text, (place,))


@given(TEXT)
def test_no_text_makes_an_outcome_or_an_error(text: str) -> None:
    lines = outcome_line(failed(text)).split("\n")
    assert all(line.startswith("    ") for line in lines[1:]), "an outcome has two spaces and a sign"
    assert prints("\n".join(lines))
    refused = str(PlatformError(text, address=text, operation=text, request_id=text, hint=text))
    assert len(refused.splitlines()) <= 2
    assert prints(refused)
    problems = [Problem(text, 1, 1, text, text), Problem("z", 2, 1, "", "")]
    for error in (SpecError(problems), StalePlan({"z": text, text: "z"})):
        assert prints(str(error))
    assert len(str(SpecError(problems)).splitlines()) == 2


@given(TEXT)
def test_no_text_makes_a_node_or_an_arrow(text: str) -> None:
    assert len(mermaid([text, "b"], [(text, "b")]).splitlines()) == len(mermaid(["a", "b"], [("a", "b")]).splitlines())
    drawn = dot([text, "b"], [(text, "b")])
    assert len(drawn.splitlines()) == 7 - (text == "b")
    bare = drawn.replace("\\\\", "").replace('\\"', "")
    assert bare.count('"') == 2 * (4 - (text == "b"))
    assert mermaid([text], []).count('"') == 2


@given(TEXT)
def test_no_text_makes_a_line_of_the_log_of_calls(text: str) -> None:
    record = logging.LogRecord("reconciler.calls", logging.INFO, "", 1, "%s", (text,), None)
    shown = OneLine("%(message)s").format(record)
    assert len(shown.splitlines()) <= 1
    assert prints(shown)


@given(TEXT, TEXT)
def test_two_values_never_look_alike(one: str, other: str) -> None:
    assert (value(one) == value(other)) == (one == other)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("the shop", '"the shop"'),
        ("a\nb", r'"a\nb"'),
        ("a\\nb", r'"a\\nb"'),
        ("\x1b[2K", r'"\x1b[2K"'),
        ("a\u202eb", r'"a\u202eb"'),
        ('{"rules": []}', """'{"rules": []}'"""),
        ("\"'", '''"\\"'"'''),
        ("Käse → 世界", '"Käse → 世界"'),
    ],
)
def test_a_value_is_in_quotes_and_on_one_line(text: str, shown: str) -> None:
    assert value(text) == shown
