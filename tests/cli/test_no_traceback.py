"""Whatever comes in, what goes wrong is a sentence and an exit code, never a traceback."""

from __future__ import annotations

import json
import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import chdir, redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from unittest.mock import patch

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.cli.app import run
from reconciler.cli.exits import Exit
from reconciler.render import report
from tests.command_line import Reconciler, in_this_process

pytestmark = pytest.mark.slow  # many commands

SPEC = """\
version: 1
name: tests
defaults: {repository: {labels: {team: "a"}}}
guards: {max_deletes: 10%, protect: ["app-*"]}
registries:
  - {name: box, platform: local, path: "box"}
repositories:
  - {name: app-a, registry: box, description: "the shop", retention: {keep_last: 5, untagged_days: 7}}
  - &b {name: app-b, registry: box, immutable_tags: {except: ["dev-*"]}}
grants:
  - {name: one, registry: box, to: {type: local, users: [alice]}}
"""
DIGITS = "9" * 4300


@pytest.fixture
def here(tmp_path: Path) -> Reconciler:
    (tmp_path / "registry.yaml").write_text(SPEC)
    return Reconciler(tmp_path)


def refused(reconciler: Reconciler, *arguments: str) -> str:
    said = reconciler(*arguments, code=1)
    assert said.startswith("Error:"), said
    assert "internal error" not in said
    assert "Traceback" not in said
    return said


@pytest.mark.parametrize("number", [DIGITS, "0x" + "f" * 4300, "1" * 4300 + ".5", "1_" * 2200 + "1"])
def test_a_number_of_4300_digits_is_an_error_at_its_line(here: Reconciler, number: str) -> None:
    (here.folder / "registry.yaml").write_text(SPEC.replace("keep_last: 5", f"keep_last: {number}"))
    said = refused(here, "plan")
    assert "registry.yaml:8:" in said
    assert "repositories[0].retention.keep_last: a number of 4,3" in said or "a number of 4,401 characters" in said
    assert len(said) < 300


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("x" * 5000, "is too long for a path: at most 4,095 bytes, and 255 between slashes"),
        ("x/" * 2500, "is too long for a path: at most 4,095 bytes, and 255 between slashes"),
        ("é" * 128, "is too long for a path: at most 4,095 bytes, and 255 between slashes"),
        (r"a\0b", "contains a NUL character, which a path can't have"),
    ],
    ids=("a name", "many names", "bytes", "NUL"),
)
def test_a_path_that_no_path_can_be_is_an_error_at_its_line(here: Reconciler, path: str, reason: str) -> None:
    (here.folder / "registry.yaml").write_text(SPEC.replace('path: "box"', f'path: "{path}"'))
    said = refused(here, "plan")
    assert "registry.yaml:6:" in said
    assert f"registries[0].path: {reason}" in said


def test_a_variable_that_is_not_utf_8_is_an_error_at_its_line(here: Reconciler) -> None:
    (here.folder / "registry.yaml").write_text(SPEC.replace("the shop", "${env:SHOP}"))
    with patch.dict(os.environb, {b"SHOP": b"\xff"}):
        said = refused(here, "plan")
    assert "registry.yaml:8:47: repositories[0].description: the environment variable SHOP is not UTF-8" in said


@pytest.mark.parametrize("command", ["validate", "plan", "apply", "graph", "show", "drift"])
@pytest.mark.parametrize("path", ["x" * 5000, "x/" * 2500, "registry.yaml/x", "loop", "loop/x", "absent"])
def test_a_spec_s_path_that_can_t_be_read_is_a_sentence(here: Reconciler, command: str, path: str) -> None:
    (here.folder / "loop").symlink_to("loop")
    said = refused(here, command, path)
    assert "can't be read: " in said


@pytest.mark.parametrize("path", ["file", "file/below", "~no-such-user/x"])
@pytest.mark.parametrize("command", [("plan",), ("apply", "--yes"), ("drift",)])
def test_a_folder_that_can_t_be_used_is_a_sentence(here: Reconciler, command: tuple[str, ...], path: str) -> None:
    (here.folder / "file").write_text("")
    (here.folder / "registry.yaml").write_text(SPEC.replace('path: "box"', f'path: "{path}"'))
    assert path.split("/")[0] in refused(here, *command)


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_folder_above_that_may_not_be_searched_is_a_sentence(here: Reconciler) -> None:
    above = here.folder / "above"
    above.mkdir(mode=0)
    (here.folder / "registry.yaml").write_text(SPEC.replace('path: "box"', 'path: "above/box"'))
    try:
        assert "Permission denied" in refused(here, "plan")
        assert "Permission denied" in refused(here, "plan", "above/registry.yaml")
        assert "Permission denied" in refused(here, "schema", "--write", "above/schemas")
    finally:
        above.chmod(0o700)


def test_files_that_can_t_be_written_are_a_sentence(here: Reconciler) -> None:
    for arguments in (
        ("schema", "--write", "registry.yaml/schemas"),
        ("plan", "--out", "registry.yaml/plan.json"),
        ("plan", "--out", "x" * 5000),
        ("apply", "--yes", "--log", "registry.yaml/log"),
    ):
        assert "can't be written: " in refused(here, *arguments)
    assert not (here.folder / "box").exists()


@pytest.mark.parametrize("url", ["no url", "127.0.0.1:5000", "http//x", "://", "http://[::1", "ftp//", "http:// x"])
def test_an_endpoint_that_is_no_url_is_a_sentence(tmp_path: Path, url: str) -> None:
    registry = {"name": "images", "platform": "aws", "account_id": "123456789012", "region": "us-east-1"}
    (tmp_path / "registry.yaml").write_text(yaml.safe_dump({"version": 1, "name": "tests", "registries": [registry]}))
    with patch.dict(os.environ, {"AWS_ENDPOINT_URL": url, "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}):
        said = refused(Reconciler(tmp_path), "plan")
    assert "registry images: " in said
    assert "AWS_ENDPOINT_URL" in said


def test_a_fault_of_the_program_says_where_and_shows_all_of_it_if_asked(
    here: Reconciler, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: object, **named: object) -> object:
        raise KeyError("a\nb")

    monkeypatch.setattr(report, "report_of", broken)
    said = here("plan", code=1)
    assert len(said.splitlines()) == 1
    assert "internal error (KeyError: " in said
    assert "test_no_traceback.py:" in said
    loggers = [logging.getLogger(name) for name in ("reconciler.calls", "reconciler.faults")]
    before = [(logger.handlers[:], logger.level, logger.propagate) for logger in loggers]
    try:
        assert "Traceback" in here("plan", "-vv", code=1)
    finally:
        for logger, state in zip(loggers, before, strict=True):
            logger.handlers, level, logger.propagate = state
            logger.setLevel(level)


#: what stands in the place of what was there
PIECES = st.one_of(
    st.text(max_size=3),
    st.sampled_from(
        [
            DIGITS,
            "x" * 5000,
            r'"\0"',
            "\0",
            "~",
            "~x/",
            "[",
            "{",
            "]",
            "}",
            "- ",
            ": ",
            "&a ",
            "*a",
            "*b",
            "<<: *b",
            "!!x ",
            "? ",
        ]
    ),
    st.sampled_from(
        ["[" * 200, "1e999", ".nan", "0x", "0o9", "1:30", "2020-01-01", "${env:", "${env:PATH}", "null", "true", "é"]
    ),
    st.sampled_from(
        ["box", "app-a", "local", "aws", "name", "path", "/", "..", '"', "'", "|", "#", "%", "@", "`", "\t", "\r"]
    ),
)
EDITS = st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 12), PIECES), min_size=1, max_size=4)


def edited(text: str, edits: list[tuple[int, int, str]]) -> str:
    for at, length, piece in edits:
        start = at % (len(text) + 1)
        text = text[:start] + piece + text[start + length :]
    return text


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def outcome(folder: Path, *arguments: str) -> tuple[int, str]:
    """The exit code, and what stands on standard error."""
    with chdir(folder), redirect_stdout(StringIO()), redirect_stderr(StringIO()) as errors:
        code = run(arguments)
    said = errors.getvalue()
    assert code in set(Exit), said
    assert "Traceback" not in said
    problems = [
        line for line in said.splitlines() if not line.startswith("note: ")
    ]  # `output` says where it got a URI from
    assert bool(problems) == (code != 0), (code, said)
    return code, said


@settings(max_examples=150)
@given(EDITS)
def test_no_spec_ends_in_a_traceback(folder: Path, edits: list[tuple[int, int, str]]) -> None:
    (folder / "registry.yaml").write_bytes(edited(SPEC, edits).encode("utf-8", "surrogatepass"))
    code, said = outcome(folder, "validate")
    assert "internal error" not in said
    if code == 0:
        for command in ("plan", "graph", "output"):
            assert "internal error" not in outcome(folder, command)[1]


@pytest.fixture(scope="module")
def saved(folder: Path) -> str:
    (folder / "registry.yaml").write_text(SPEC)
    with chdir(folder):
        return in_this_process("plan", "--format", "json").stdout


@given(EDITS)
def test_no_plan_file_ends_in_a_traceback(folder: Path, saved: str, edits: list[tuple[int, int, str]]) -> None:
    (folder / "plan.json").write_bytes(edited(saved, edits).encode("utf-8", "surrogatepass"))
    for command in ("show", "graph"):
        outcome(folder, command, "plan.json")


VALUES = st.one_of(
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=5),
    st.sampled_from(["", "0", "x" * 5000, "/", "-1", "{}"]),
)
NAMES = (
    *("TERM", "COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "HOME", "TMPDIR", "LANG", "LC_ALL", "CI"),
    *(
        "AWS_PROFILE",
        "AWS_CONFIG_FILE",
        "AWS_SHARED_CREDENTIALS_FILE",
        "AWS_ENDPOINT_URL",
        "AWS_REGION",
        "AWS_DATA_PATH",
        "AWS_CA_BUNDLE",
    ),
    *("AWS_MAX_ATTEMPTS", "AWS_RETRY_MODE", "AWS_USE_FIPS_ENDPOINT", "AWS_STS_REGIONAL_ENDPOINTS", "AWS_DEFAULTS_MODE"),
)
ENVIRONMENT = st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=4)


@settings(max_examples=30)
@given(ENVIRONMENT, st.text(max_size=20))
def test_no_environment_ends_in_a_traceback(folder: Path, environ: dict[str, str], config: str) -> None:
    registry = {"name": "images", "platform": "aws", "account_id": "123456789012", "region": "us-east-1"}
    box = {"name": "box", "platform": "local", "path": "box"}
    document = {"version": 1, "name": "tests", "registries": [registry, box]}
    (folder / "registry.yaml").write_text(json.dumps(document))
    (folder / "config").write_bytes(config.encode("utf-8", "surrogatepass"))
    usual = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    keyless = {"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": str(folder / "config")}
    with patch.dict(os.environ, usual | keyless | environ, clear=True):
        _, said = outcome(folder, "plan")
        assert "internal error" not in said
