"""Every command of README.md and docs/*.md is run, and prints what the page shows."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command

from reconciler.cli.app import UsageError, application
from reconciler.cli.commands import COMMANDS
from tests.clients import PROGRAMS, docker_hub
from tests.command_line import ROOT
from tests.images import Image
from tests.pages import PAGES, Shell, blocks, elsewhere, matches
from tests.sandbox.aws import AwsSandbox

#: what each language of a block is checked by
LANGUAGES = {
    "console": "run here",
    "sh": "run here",
    "yaml": "parsed here, and written where it has a title",
    "json": "parsed here",
    "pycon": "test_api.py",
    "python": "test_registry_commands.py, test_new_kind.py and test_aws_shared_words.py",
    "text": "no commands",
    "nginx": "test_local_proxy.py has the same",
}
#: the pages whose Python other tests run
PYTHON = {"pycon": {"api.md"}, "python": {"local.md", "architecture.md", "aws.md"}}
#: what other files run, by page; test_packaging.py has a test for all of its blocks
RUN_BY = Counter([("README.md", "tests/test_packaging.py")] * 2 + [("README.md", ".ci/run")])
README = next(page for page in PAGES if page.name == "README.md")
#: `reconciler` as a command, in a script, a workflow or a sentence, up to where the shell takes over
_RECONCILER = re.compile(r"(?:^(?: |- |run: )*|&& |\| |\$ |`)reconciler ([^|&><#`\n]+)", re.MULTILINE)


def text_of(page: Path) -> str:
    """The commands of a page."""
    return "".join(block.text for block in blocks(page) if block.language in ("console", "sh") and not block.run_by)


def programs_of(page: Path) -> set[str]:
    """The programs that the commands of a page need: without one of them it is skipped loudly, and fails in CI."""
    return {
        program for name, program in PROGRAMS.items() if re.search(rf"(^\$ |\| ){name} ", text_of(page), re.MULTILINE)
    }


def before(page: Path, folder: Path, shell: Shell) -> None:
    """What the reader of a page has done before."""
    if page.name == "moving.md":
        Image(1).write(folder / "image", "v1")
    if page.name == "commands.md":
        (folder / "registry.yaml").write_text(next(block.text for block in blocks(README) if block.title))
        assert shell.run("reconciler apply --yes")[1] == 0
        # nothing has drifted, so nobody is to be notified: if somebody is, the block fails; test_exit_codes.py has the other outcomes
        (folder.parent / "programs" / "notify").symlink_to("/bin/false")


@pytest.fixture
def hub(page: Path, tmp_path: Path) -> Iterator[str]:
    """Where the clients of the page find Docker Hub, if they ask for it."""
    if missing := [program for program in sorted(programs_of(page)) if shutil.which(program) is None]:
        message = (
            f"{' and '.join(missing)} not installed: the commands of {page.name} can't be run (Debian: apt install)"
        )
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    with docker_hub(tmp_path / "hub") if "alpine:3" in text_of(page) else nullcontext("") as place:
        yield place


@pytest.mark.slow  # many commands, and servers
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_prints_what_the_page_shows(page: Path, hub: str, aws: AwsSandbox, tmp_path: Path) -> None:
    folder, programs = tmp_path / "reader", tmp_path / "programs"
    folder.mkdir()
    programs.mkdir()
    with Shell(folder, programs, hub) as shell:
        before(page, folder, shell)
        for block in blocks(page):
            place = f"{page.name}:{block.line}"
            if block.title:
                (folder / block.title).parent.mkdir(parents=True, exist_ok=True)
                (folder / block.title).write_text(block.text)
            if block.language == "sh" and not block.run_by:
                printed, code = shell.run(f"bash -eu -o pipefail <<'THE-BLOCK'\n{block.text}THE-BLOCK")
                assert code == 0, f"{place}: {printed}"
            if block.language != "console" or block.run_by:
                continue
            for number, (command, expected) in enumerate(block.commands):
                background = command.endswith("&")
                printed, code = shell.run(command, expected.count("\n") if background else 0)
                assert matches(expected, printed), f"{place}: $ {command}\n{printed}"
                following = block.commands[number + 1 : number + 2]
                assert code == 0 or (following and following[0][0] == "echo $?"), f"{place}: $ {command}: exit {code}"


def test_what_the_pages_need_is_installed_by_the_script_that_runs_the_tests() -> None:
    (line,) = re.findall(r"^script/packages (.+)", (ROOT / "script" / "test").read_text(), re.MULTILINE)
    assert set().union(*map(programs_of, PAGES)) == {"skopeo", "jq", "podman"} <= set(line.split())


def test_what_is_run_elsewhere_is_known() -> None:
    found = Counter((page.name, block.run_by) for page in PAGES for block in blocks(page) if block.run_by)
    assert found == RUN_BY
    assert [page.name for page in PAGES if "<!-- not run" in page.read_text()] == []


def test_what_ci_runs_is_the_line_of_the_page() -> None:
    (block,) = elsewhere(".ci/run")
    (line,) = block.text.splitlines()
    assert (ROOT / ".ci" / "run").read_text().splitlines()[-1] == f"exec {line.partition(' #')[0].strip()}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_is_of_a_language_that_something_checks(page: Path) -> None:
    for block in blocks(page):
        place = f"{page.name}:{block.line}"
        assert block.language in LANGUAGES, place
        assert page.name in PYTHON.get(block.language, {page.name}), place
        if block.language in ("yaml", "json"):
            yaml.safe_load(block.text)
        if block.language == "text":
            assert not re.search(r"^(\$ |reconciler )", block.text, re.MULTILINE), (
                f"{place}: commands that nothing runs"
            )


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_block_is_without_a_fence(page: Path) -> None:
    outside = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    assert re.findall(r"(?<=\n)\n    \S.*", outside) == []


def parse(arguments: list[str]) -> None:
    """Raises if the command line does not take these arguments. Nothing is run."""
    group: Any = get_command(application(COMMANDS))
    with group.make_context("reconciler", list(arguments)) as context:
        name, command, rest = group.resolve_command(context, arguments)
        command.make_context(name, rest, parent=context).close()


def command_lines(page: Path) -> list[str]:
    """What follows `reconciler` wherever the page has it as a command."""
    return [line.strip() for line in _RECONCILER.findall(page.read_text())]


@pytest.mark.parametrize("page", [page for page in PAGES if command_lines(page)], ids=lambda page: page.name)
def test_the_command_line_takes_every_command_of_a_page(page: Path) -> None:
    for line in command_lines(page):
        try:
            parse(shlex.split(line))
        except UsageError as error:
            pytest.fail(f"{page.name}: reconciler {line}: {error.format_message()}")


def test_a_command_that_the_command_line_does_not_take_is_seen() -> None:
    with pytest.raises(UsageError):
        parse(["plan", "--ouput", "plan.json"])
    with pytest.raises(UsageError):
        parse(["plam"])


def test_the_workflows_of_the_page_on_ci_are_workflows() -> None:
    page = next(page for page in PAGES if page.name == "ci.md")
    workflows = [block for block in blocks(page) if block.title.startswith(".github/workflows/")]
    assert len(workflows) == 4
    for block in workflows:
        # YAML 1.1 reads the key `on` as true
        document = yaml.safe_load(block.text)
        assert document.keys() == {"name", True, "permissions", "env", "jobs"} | ({"concurrency"} & document.keys())
        (job,) = document["jobs"].values()
        runs = [step["run"] for step in job["steps"] if "run" in step]
        assert any(re.search("reconciler (plan|apply|drift)", run) for run in runs)
        for run in runs:
            assert subprocess.run(["bash", "-n"], input=run, text=True, capture_output=True).returncode == 0
        assert ("apply" in block.title) == ("environment" in job)
        assert ("drift" in block.title) != ("concurrency" in document)
        assert document["permissions"] == {}
        assert job["permissions"]["id-token"] == "write"
        assert ("drift" in block.title) == ("schedule" in document[True])


def test_an_output_matches_but_for_what_the_page_leaves_open() -> None:
    assert matches("a … c\n…\nend\n", "a b c\n1\n2\nend\n")
    assert matches("…\nend\n", "end\n")
    assert not matches("a … c\n", "a b\n")
    assert not matches("a\n", "a\nb\n")
    assert not matches("a.c\n", "abc\n")
    assert matches("", "")
