"""The Python API: what `reconciler` hands on, and the examples of docs/api.md."""

from __future__ import annotations

import dataclasses
import doctest
import inspect
import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest

import reconciler
from reconciler import errors
from reconciler.api.apply import ApplyFailed
from reconciler.words import DISTRIBUTION
from tests.command_line import _environ, in_this_process
from tests.pages import blocks

PAGE = Path(__file__).parents[1] / "docs" / "api.md"
SPEC = """\
version: 1
name: demo
registries: [{name: sandbox, platform: local, path: box}]
repositories: [{name: app-a, registry: sandbox}]
grants: [{name: bob, registry: sandbox, to: {type: local, users: [bob]}}]
"""
#: what is caught inside, and never reaches a caller
INSIDE = {"Halted", "Moved"}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "registry.yaml").write_text(SPEC)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def texts(language: str) -> list[str]:
    return [block.text for block in blocks(PAGE) if block.language == language]


@pytest.mark.slow  # starts a server
def test_the_examples_of_the_page_do_what_it_says(here: Path) -> None:
    (here / "registry.yaml").write_text(texts("yaml")[0])
    told: list[str] = []
    runner = doctest.DocTestRunner(verbose=False)
    names: dict[str, object] = {}
    for number, block in enumerate(texts("pycon")):
        test = doctest.DocTestParser().get_doctest(block, names, f"block {number + 1}", str(PAGE), 0)
        runner.run(test, out=told.append, clear_globs=False)
        names = test.globs
    assert told == []
    assert runner.tries > 20


def test_all_that_is_handed_on_is_there_and_listed() -> None:
    for name in reconciler.__all__:
        assert getattr(reconciler, name) is not None
    assert dir(reconciler) == sorted(reconciler.__all__)
    for name in dir(reconciler):
        assert re.search(rf"\b{name}\b", PAGE.read_text()), name


def test_every_error_that_a_caller_can_get_is_handed_on() -> None:
    found = {name for name, item in vars(errors).items() if inspect.isclass(item) and issubclass(item, Exception)}
    assert found - INSIDE <= set(reconciler.__all__)
    for name in (found - INSIDE) | {"ApplyFailed"}:
        assert issubclass(getattr(reconciler, name), reconciler.ReconcilerError)


def test_the_version_is_the_packages() -> None:
    from importlib.metadata import version

    assert reconciler.__version__ == version(DISTRIBUTION)


@pytest.mark.parametrize("name", ["apply", "dumps", "load_spec", "loads", "parse_spec", "plan", "render", "session"])
def test_help_calls_a_function_by_the_name_that_it_is_imported_by(name: str) -> None:
    function = getattr(reconciler, name)
    assert inspect.isfunction(function)
    assert function.__name__ == name
    assert not {"platforms", "model"} & inspect.signature(function).parameters.keys()
    assert inspect.getdoc(function)


def test_apply_raises_what_failed_unless_it_is_told_not_to(here: Path) -> None:
    spec = reconciler.load_spec("registry.yaml")
    made = reconciler.plan(spec)
    folder = here / "box" / "control" / "access"
    folder.parent.mkdir(parents=True)
    folder.write_text("a file where a folder should be")
    with pytest.raises(ApplyFailed) as raised:
        reconciler.apply(made)
    assert [outcome.status for outcome in raised.value.outcomes] == [reconciler.Status.DONE, reconciler.Status.FAILED]
    assert str(raised.value).startswith("1 of 2 changes was not done:\n  sandbox.access.app-a failed: ")
    assert str(raised.value).count("sandbox.access.app-a") == 1
    assert str(pickle.loads(pickle.dumps(raised.value))) == str(raised.value)
    (outcome,) = reconciler.apply(
        reconciler.plan(spec, reconciler.Wishes(targets=["*.access.*"])), raise_on_failure=False
    )
    assert outcome.status is reconciler.Status.FAILED


def test_render_prints_what_the_command_prints(here: Path) -> None:
    made = reconciler.plan(reconciler.load_spec("registry.yaml"))
    assert reconciler.render(made) == in_this_process("plan", "--full").stdout
    assert reconciler.render(made, "markdown") == in_this_process("plan", "--full", "--format", "markdown").stdout
    assert reconciler.render(made, "json") == in_this_process("plan", "--format", "json").stdout
    with pytest.raises(
        reconciler.ReconcilerError, match=r"'markdwn' is not an output format of a plan \(did you mean 'markdown'\?\)"
    ):
        reconciler.render(made, "markdwn")  # type: ignore[arg-type]  # it is misspelt
    with pytest.raises(
        reconciler.ReconcilerError, match="None is not an output format of a plan: text, markdown or json"
    ):
        reconciler.render(made, None)  # type: ignore[arg-type]  # it is none


@pytest.mark.parametrize("name", ["adopt", "allow_delete", "targets", "release"])
def test_a_string_in_the_place_of_a_list_is_refused_by_name(name: str) -> None:
    said = rf"Wishes\.{name} takes a list of strings, not a string: {name}=\['images\.\*'\]"
    with pytest.raises(TypeError, match=said):
        reconciler.Wishes(**{name: "images.*"})  # type: ignore[arg-type]  # that is the mistake


def test_every_type_that_a_change_or_an_outcome_holds_is_handed_on() -> None:
    left, seen = [reconciler.Change, reconciler.Outcome, reconciler.PlanProblem, reconciler.Verdict], set()
    while left:
        item = left.pop()
        seen.add(item.__name__)
        words = {word for field in dataclasses.fields(item) for word in re.findall(r"\b[A-Z]\w+", str(field.type))}
        for name in words - {"Any", "Literal", "None", "Marks"} - seen:
            assert name in reconciler.__all__ or name == "Settings", f"{item.__name__}: {name}"
            if dataclasses.is_dataclass(found := getattr(reconciler, name, None)):
                left.append(found)  # type: ignore[arg-type]  # a class, as all that it is found by
    assert {"Access", "Address", "FieldChange", "Principal"} <= set(reconciler.__all__)


@pytest.mark.slow  # a process each
@pytest.mark.parametrize("first", ["", "import reconciler.render.text", "from reconciler.render import report"])
def test_render_is_callable_whatever_was_imported_before(here: Path, first: str) -> None:
    program = (
        f"{first}\nfrom reconciler import load_spec, plan, render\nprint(render(plan(load_spec('registry.yaml'))))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=_environ())
    assert "1 to create" in done.stdout or "2 to create" in done.stdout
    helped = f"{first}\nimport reconciler\nhelp(reconciler.render)"
    done = subprocess.run([sys.executable, "-c", helped], capture_output=True, text=True, check=True, env=_environ())
    assert done.stdout.startswith("Help on function render in module reconciler.render.forms:")


def test_nothing_is_imported_before_it_is_used() -> None:
    program = "import sys, reconciler; reconciler.ReconcilerError, dir(reconciler); print('pydantic' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=_environ())
    assert done.stdout == "False\n"
