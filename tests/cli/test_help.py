"""--help on a terminal of 80 columns, and `reconciler help TOPIC`."""

from __future__ import annotations

import os
import pty
import re
import subprocess
from importlib import import_module
from pathlib import Path

import pytest

from reconciler.cli.commands import COMMANDS
from reconciler.cli.help import sections, sections_of, topics
from reconciler.cli.help_tables import without_tables
from tests.command_line import COMMAND, _environ
from tests.command_line import in_this_process as reconciler

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("columns", [60, 80, 120])
@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_help_breaks_no_option_in_two(command: str, columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    text = reconciler(*filter(None, (command, "--help"))).stdout
    broken = [line for line in text.splitlines() if re.search(r"\w-$", line)]
    assert broken == []
    assert text.isascii()  # what stood in for the hyphens is gone
    assert columns == 60 or max(map(len, text.splitlines())) <= 80


@pytest.mark.parametrize("name", COMMANDS)
def test_each_example_has_a_line_of_its_own(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = [line.strip() for line in reconciler(name, "--help").stdout.splitlines()]
    examples = import_module(f"reconciler.cli.{COMMANDS[name]}").EXAMPLES.removeprefix("Examples: ").split("; ")
    assert examples
    assert [line for line in lines if line in examples] == examples
    assert all(example.startswith("reconciler ") for example in examples)


def test_help_lists_every_page_and_its_sections() -> None:
    listed = reconciler("help").stdout
    for page in DOCS.glob("*.md"):
        assert f"\n{page.stem}: " in listed
    for topic in ("exit-codes", "guards", "in-ci"):
        assert re.search(rf"\b{topic}\b", listed)
    assert max(map(len, listed.splitlines())) <= 80


def test_a_page_is_printed_as_it_is_and_a_section_up_to_the_next() -> None:
    printed, page = reconciler("help", "moving").stdout, (DOCS / "moving.md").read_text()
    assert printed == without_tables(page, 80)
    assert printed.splitlines()[0] == page.splitlines()[0]
    section = reconciler("help", "exit-codes").stdout
    assert section.startswith("## Exit codes\n")
    assert "\n  3: a guard stops the plan\n" in section
    assert section.count("\n## ") == 0


def test_access_is_a_topic_that_explains_the_sentences_of_plans() -> None:
    section = reconciler("help", "access").stdout
    assert section.startswith("## Access\n")
    for sentence in ("user bob can now pull app-a", "not everyone can pull app-a any more", "(statement 'debug')"):
        assert sentence in section


def test_comments_of_a_page_are_left_out() -> None:
    printed = reconciler("help", "spec").stdout
    text = (DOCS / "spec.md").read_text()
    assert "<!-- Guards -->" in text
    assert "<!--" not in printed
    assert "\n\n\n" not in printed


def test_every_topic_of_the_list_has_something_to_say() -> None:
    for topic in {section.topic for section in sections()} - COMMANDS.keys():
        assert len(reconciler("help", topic).stdout.splitlines()) > 2, topic
    assert "exit-codes" in topics("exi")


def test_help_with_a_command_is_its_help() -> None:
    assert reconciler("help", "schema").stdout == reconciler("schema", "--help").stdout
    printed = reconciler("help", "drift").stdout
    assert printed.startswith(reconciler("drift", "--help").stdout)
    assert printed.endswith("\n  See also:\n    reconciler help scheduled-drift\n    reconciler help the-drift-cron\n")


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_tables_are_lists_that_fit_the_terminal(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    pages = {section.page for section in sections()}
    for page in pages:
        as_it_is = set((DOCS / f"{page}.md").read_text().splitlines())
        listed = [line for line in reconciler("help", page).stdout.splitlines() if line not in as_it_is]
        # a word that is longer than the terminal, such as an address of the web, stays whole
        assert [line for line in listed if len(line) > columns and " " in line.strip()] == []
        assert [line for line in listed if not line.startswith("  ")] == []
    assert "\n  2: changes (`plan --detailed-exitcode`)" in reconciler("help", "exit-codes").stdout


def test_a_table_without_meanings_is_a_list_too() -> None:
    table = "| | one | two |\n|---|---|---|\n| a \\| b | x | |\n| c | y | z |\n\n```\n| no | table |\n|---|---|\n```\n"
    assert without_tables(table, 80) == (
        "  a | b: one: x\n  c: one: y; two: z\n\n```\n| no | table |\n|---|---|\n```\n"
    )


@pytest.mark.parametrize(
    ("topic", "headings", "says"),
    [
        ("retired", ["Registries"], "  `retired`: "),
        ("trusted_principals", ["Amazon ECR", "Google Artifact Registry"], "  `trusted_principals`: "),
        ("Trusted_Principals[].subject", ["Amazon ECR"], "  `trusted_principals[].subject`: "),
    ],
)
def test_a_field_of_the_spec_is_a_topic(topic: str, headings: list[str], says: str) -> None:
    printed = reconciler("help", topic).stdout
    lines = printed.splitlines()
    assert [line for line in lines if line and not line.startswith(" ")] == headings
    assert sum(line.startswith(says) for line in lines) == len(headings)
    assert "(type: " in printed


@pytest.mark.parametrize(
    ("topic", "heading"),
    [
        ("exit codes", "## Exit codes"),
        ("Exit Codes", "## Exit codes"),
        ("drift-cron", "## The drift cron"),
        ("throttle", ""),
        ("throttl", "## Throttling"),
    ],
)
def test_the_one_topic_that_has_these_words_is_opened(topic: str, heading: str) -> None:
    if heading:
        assert reconciler("help", topic).stdout.startswith(f"{heading}\n")
    else:
        assert "there is no help on" in reconciler("help", topic, code=1).stderr


def test_an_unknown_topic_is_answered_with_the_nearest() -> None:
    said = reconciler("help", "gaurds", code=1).stderr
    assert said == (
        "Error: there is no help on 'gaurds' (did you mean 'guards'?); `reconciler help` lists the topics\n"
    )


@pytest.mark.parametrize(
    ("topic", "near"),
    [
        ("renaming", " (did you mean 'renaming-a-registry-or-a-spec' or 'renaming-a-repository'?)"),
        ("trusted_principls", " (did you mean 'trusted_principals'?)"),
        ("plam", " (did you mean 'plan'?)"),
        ("Gaurds", " (did you mean 'guards'?)"),
        ("skopeo", " (it is mentioned in local and moving)"),
        ("xyz", ""),
    ],
)
def test_a_topic_that_there_is_not_is_answered_with_what_may_be_meant(topic: str, near: str) -> None:
    said = reconciler("help", topic, code=1).stderr
    assert said == f"Error: there is no help on '{topic}'{near}; `reconciler help` lists the topics\n"


@pytest.mark.parametrize("arguments", [("help", "Plan"), ("help", "--", "plan"), ("--", "help", "PLAN")])
def test_a_command_is_found_however_it_is_written(arguments: tuple[str, ...]) -> None:
    assert reconciler(*arguments).stdout == reconciler("help", "plan").stdout
    assert reconciler(*arguments).stdout.startswith(reconciler("plan", "--help").stdout)


def test_a_heading_in_a_block_of_code_is_none() -> None:
    text = "# Page\n\n```\n# a comment\n```\n\n## One\n\none\n\n### Below\n\n## It's -v\n\ntwo\n"
    assert [(item.topic, item.level) for item in sections_of("page", text)] == [
        ("page", 1),
        ("one", 2),
        ("below", 3),
        ("its-v", 2),
    ]
    assert [item.text for item in sections_of("page", text)][1] == "## One\n\none\n\n### Below\n"


@pytest.mark.slow  # a process with a terminal
def test_on_a_terminal_a_page_is_set_without_its_marks() -> None:
    ours, theirs = pty.openpty()
    done = subprocess.Popen([*COMMAND, "help", "exit-codes"], stdout=theirs, env=_environ() | {"TERM": "xterm"})
    os.close(theirs)
    text = b""
    try:
        while block := os.read(ours, 4096):
            text += block
    except OSError:  # the other end is closed
        pass
    os.close(ours)
    assert done.wait(timeout=60) == 0
    assert b"Exit codes" in text
    assert b"## Exit codes" not in text
    assert b"|---|" not in text


@pytest.mark.parametrize(
    ("name", "fields"),
    [
        ("keep_last", ["`creation_templates[].retention.keep_last`", "`retention.keep_last`"]),
        ("kms_key", ["`creation_templates[].encryption.kms_key`", "`encryption.kms_key`"]),
        ("on_push", ["`scanning.on_push`"]),
        ("scanning.on_push", ["`scanning.on_push`"]),
    ],
)
def test_a_field_is_found_by_the_end_of_its_path(name: str, fields: list[str]) -> None:
    shown = reconciler("help", name).stdout
    assert [line.split(":")[0].strip() for line in shown.splitlines() if line.startswith("  `")] == fields


def test_a_topic_of_several_words_needs_no_quotes() -> None:
    assert reconciler("help", "exit", "codes").stdout == reconciler("help", "exit-codes").stdout


@pytest.mark.parametrize("command", ["plan", "apply", "destroy"])
def test_the_permission_to_delete_is_said_to_be_for_whatever_a_guard_asks_it_for(command: str) -> None:
    said = (
        "Allow this resource to be deleted or replaced: a repository with its images and access that others gave, or whatever was"
        " there before it was adopted."
    )
    assert said in " ".join(reconciler(command, "--help").stdout.split())


def test_sections_of_several_pages_say_which_page_each_is_of_that_of_the_spec_first() -> None:
    text = reconciler("help", "guards").stdout
    pages = re.findall(r"^From the page `(.+)`:$", text, re.MULTILINE)
    assert pages[0] == "spec"
    assert len(pages) == len(set(pages)) == text.count("\n## Guards\n")


def test_a_type_of_grant_is_a_topic() -> None:
    assert "To Azure" in reconciler("help", "azure-token").stdout
