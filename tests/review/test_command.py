"""`review` as a command: its options, what it says of a spec that can't be read, and places as code hosts show them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from reconciler.api.review import read_review
from reconciler.cli.app import run
from reconciler.render.review_markdown import markdown_of
from reconciler.schemas import schema_text

from .specs import ABSENT, BASE, replaced
from .test_git_base import WIDER, Clone, clone, review

__all__ = ["clone"]
BROKEN = replaced(("platform: local", "platform: locl"), ("permission: push-pull", "permission: pul"))
LOOSER = replaced(
    ('  protect: ["payments*"]\n', '  protect: ["payments*"]\n  allow_public: true\n'),
    ("[alice, bob]", '[alice, bob, "*"]'),
)


def test_the_exit_code_says_the_risks_that_are_asked_for(
    clone: Clone, capsys: pytest.CaptureFixture[str], without_external: None
) -> None:
    clone.write(WIDER)
    review(capsys, "--base", "main", "--fail-on", "destroys,widens", code=5)
    review(capsys, "--base", "main", "--fail-on", "destroys, narrows")
    said = review(capsys, "--base", "main", "--fail-on", "widen,fly", code=1)
    assert "--fail-on widen: is no risk (did you mean 'widens'?) (known: destroys, widens," in said
    assert "--fail-on fly: is no risk (known:" in said
    clone.write(replaced(("repositories:\n", f"  - {ABSENT}\nrepositories:\n")))
    review(capsys, "--base", "main")
    assert "not reviewed: eu" in review(capsys, "--base", "main", "--strict", code=1)


@pytest.mark.parametrize(
    ("head", "end", "code"),
    [
        (replaced(("[alice, bob]", "[bob, alice]")), "cosmetic (1 finding).", 0),
        (
            replaced(('  protect: ["payments*"]\n', '  protect: ["payments*"]\n  max_grants_per_repository: 0\n')),
            "cosmetic (1 finding); guards stop the plan.",
            5,
        ),
        (LOOSER, "widens and weakens (2 findings); guards of the base would stop the plan.", 5),
    ],
)
def test_that_a_guard_stops_the_plan_is_in_the_last_line_and_in_the_exit_code(
    clone: Clone, capsys: pytest.CaptureFixture[str], head: str, end: str, code: int
) -> None:
    clone.write(head)
    text = review(capsys, "--base", "main", "--fail-on", "guards", code=code)
    assert f"\nReview of acme: {end}\n" in text
    review(capsys, "--base", "main", "--fail-on", "unmanaged")
    commands = review(capsys, "--base", "main", "--fail-on", "guards", "--format", "github", code=code)
    assert commands.endswith(f"\nReview of acme: {end}\n")
    assert ("::error title=guard " in commands) is (code == 5)
    marked = review(capsys, "--base", "main", "--format", "markdown")
    if code:
        assert marked.startswith(f"### acme: {end.removesuffix('.')}\n")


@pytest.mark.parametrize("text", ["", " ", ","])
def test_an_option_that_is_given_empty_fails_on_nothing_and_says_so(
    clone: Clone, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    assert review(capsys, "--base", "main", "--fail-on", text, code=1) == (
        "Error: --fail-on is empty; name risks, such as destroys,widens, or leave it out\n"
    )


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("TEAM=secret", "--env TEAM=…: write the name alone; its value is taken from the environment"),
        ("TEAM,ROLE", "--env TEAM,ROLE: takes one name; repeat it for more: --env TEAM --env ROLE"),
        ("TEAM", "--env: TEAM not set"),
        ("", "--env : takes one name; repeat it for more"),
    ],
)
def test_a_variable_is_named_one_at_a_time(
    clone: Clone, capsys: pytest.CaptureFixture[str], given: str, message: str
) -> None:
    assert review(capsys, "--base", "main", "--env", given, code=1) == f"Error: {message}\n"


def broken(capsys: pytest.CaptureFixture[str], form: str, *arguments: str) -> str:
    """What is printed of a spec that can't be read; the errors go to standard error all the same."""
    assert run(["review", "--base", "main", "--format", form, *arguments]) == 1
    printed = capsys.readouterr()
    assert printed.err.startswith("Error:\n")
    assert "is no platform" in printed.err or "locl" in printed.err
    return printed.out


def test_each_fault_of_a_spec_that_can_t_be_read_is_in_every_form(
    clone: Clone, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    clone.write(BROKEN)
    document = json.loads(broken(capsys, "json"))
    errors = list(Draft202012Validator(json.loads(schema_text("review"))).iter_errors(document))
    assert [error.message for error in errors] == []
    assert (document["owner"], document["verdict"], document["findings"]) == ("acme", [], [])
    places = [(item["place"]["line"], item["place"]["column"]) for item in document["errors"]]
    assert places == [(19, 15), (32, 17)]
    assert document["errors"][1]["message"].startswith("grants[1].permission: ")
    marked = broken(capsys, "markdown")
    assert marked.startswith("### :no_entry: acme: the spec can't be read\n\n- `registry.yaml:19`: registries")
    assert "\n- `registry.yaml:32`: grants\\[1\\].permission: " in marked
    (tmp_path / "review.json").write_text(json.dumps(document))
    assert markdown_of(read_review(tmp_path / "review.json")) == marked
    commands = broken(capsys, "github").splitlines()
    assert commands[0].startswith("::error file=registry.yaml,line=19,col=15,title=spec::registries")
    assert commands[1].startswith("::error file=registry.yaml,line=32,col=17,title=spec::grants[1].permission: ")
    assert commands[2:] == ["Review of acme: the spec can't be read (2 errors)."]
    issues = json.loads(broken(capsys, "gitlab"))
    assert [(item["severity"], item["check_name"], item["location"]["lines"]["begin"]) for item in issues] == [
        ("blocker", "spec", 19),
        ("blocker", "spec", 32),
    ]
    (log,) = json.loads(broken(capsys, "sarif"))["runs"]
    assert [(item["ruleId"], item["level"]) for item in log["results"]] == [("spec", "error"), ("spec", "error")]
    assert broken(capsys, "text") == ""


def test_no_line_of_an_error_is_a_command_to_the_runner(clone: Clone, capsys: pytest.CaptureFixture[str]) -> None:
    clone.write(replaced(("platform: local", 'platform: "##[add-mask]local"')), "::error::x.yaml")
    clone.write("a: [", "::warning::y.yaml")
    for spec in ("::error::x.yaml", "::warning::y.yaml"):
        assert run(["review", spec, "--base", "./registry.yaml"]) == 1
        said = capsys.readouterr().err
        assert r"\x3a:" in said
        assert "##[" not in said
        assert not [line for line in said.splitlines() if line.lstrip().startswith("::")]


@pytest.mark.parametrize("text", ["name: acme\nregistries: [\n", "- a list\n", "", '{"version": 1, '])
def test_a_spec_whose_name_can_t_be_read_has_that_of_the_base(
    clone: Clone, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    clone.write(text)
    assert run(["review", "--base", "main", "--format", "json"]) == 1
    assert json.loads(capsys.readouterr().out)["owner"] == "acme"


def test_a_base_that_can_t_be_read_has_no_place_in_the_head(clone: Clone, capsys: pytest.CaptureFixture[str]) -> None:
    clone.git("checkout", "-q", "main")
    clone.write(BROKEN)
    clone.commit("broken")
    clone.git("checkout", "-q", "-B", "change")
    clone.write(BASE)
    commands = broken(capsys, "github").splitlines()
    assert commands[0].startswith("::error title=spec::base registry.yaml:19:15: registries")


def files(capsys: pytest.CaptureFixture[str], *arguments: str) -> set[str]:
    """The files that findings are at, which all forms for code hosts agree on."""
    issues = json.loads(review(capsys, *arguments, "--format", "gitlab"))
    found = {item["location"]["path"] for item in issues}
    (log,) = json.loads(review(capsys, *arguments, "--format", "sarif"))["runs"]
    locations: list[dict[str, Any]] = [item["locations"][0]["physicalLocation"] for item in log["results"]]
    assert {item["artifactLocation"]["uri"] for item in locations} == found
    commands = review(capsys, *arguments, "--format", "github").splitlines()
    assert {line.split("file=")[1].split(",")[0] for line in commands if "file=" in line} == found
    return found


def test_places_are_relative_to_the_top_of_the_repository(
    clone: Clone, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    clone.git("checkout", "-q", "main")
    clone.write(BASE, "team/shop/registry.yaml")
    clone.write(BASE, "team/real.yaml")
    (clone.folder / "linked.yaml").symlink_to("team/real.yaml")
    clone.commit("specs")
    clone.git("checkout", "-q", "-B", "change")
    clone.write(WIDER, "team/shop/registry.yaml")
    clone.write(WIDER, "team/real.yaml")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(tmp_path.parent))
    absolute = str(tmp_path / "team" / "shop" / "registry.yaml")
    for folder, spec in {
        "team/shop": "registry.yaml",
        "team": "shop/registry.yaml",
        ".git": "../team/shop/registry.yaml",
    }.items():
        monkeypatch.chdir(tmp_path / folder)
        assert files(capsys, spec, "--base", "main") == {"team/shop/registry.yaml"}
        assert files(capsys, absolute, "--base", "main") == {"team/shop/registry.yaml"}
    monkeypatch.chdir(tmp_path / "team")
    assert files(capsys, "shop", "--base", "main") == {"team/shop/registry.yaml"}
    assert files(capsys, "../linked.yaml", "--base", "main") == {"team/real.yaml"}
    assert review(capsys, "../linked.yaml", "--base", "main").startswith("widens: ../linked.yaml:39:43\n")
    clone.write(BROKEN, "team/shop/registry.yaml")
    assert broken(capsys, "github", "shop/registry.yaml").startswith("::error file=team/shop/registry.yaml,line=19,")


@pytest.mark.parametrize("name", ["GITHUB_WORKSPACE", "CI_PROJECT_DIR"])
def test_without_git_places_are_relative_to_the_runner_s_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / "work" / "team").mkdir(parents=True)
    (tmp_path / "work" / "base.yaml").write_text(BASE)
    (tmp_path / "work" / "team" / "registry.yaml").write_text(WIDER)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.delenv("GITHUB_WORKSPACE", raising=False)
    monkeypatch.setenv(name, str(tmp_path / "work"))
    monkeypatch.chdir(tmp_path / "work" / "team")
    assert files(capsys, "--base", "../base.yaml") == {"team/registry.yaml"}
    monkeypatch.setenv(name, str(tmp_path / "elsewhere"))
    assert files(capsys, "--base", "../base.yaml") == {"registry.yaml"}


FORMS = ("text", "json", "markdown", "github", "gitlab", "sarif")


def test_one_review_is_saved_in_every_format(clone: Clone, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    clone.write(WIDER)
    saving = [argument for form in FORMS for argument in ("--save", f"{form}={tmp_path / form}")]
    printed = {form: review(capsys, "--base", "main", "--format", form) for form in FORMS}
    assert review(capsys, "--base", "main", "--format", "github", "--fail-on", "narrows", *saving) == printed["github"]
    assert {form: (tmp_path / form).read_text() for form in FORMS} == printed
    clone.write(BROKEN)
    broken(capsys, "github", *saving)
    assert {form: (tmp_path / form).read_text() for form in FORMS} == {form: broken(capsys, form) for form in FORMS}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("review.json", "--save review.json: write a format, = and a file, such as json=review.json"),
        ("jsn=review.json", "--save jsn=review.json: write a format, = and a file, such as json=review.json"),
        ("json=", "--save json=: write a format, = and a file, such as json=review.json"),
        ("json=missing/review.json", "--save: missing/review.json can't be written: No such file or directory"),
    ],
)
def test_what_can_t_be_saved_is_an_error(
    clone: Clone, capsys: pytest.CaptureFixture[str], given: str, message: str
) -> None:
    assert review(capsys, "--base", "main", "--save", given, code=1).startswith(f"Error: {message}")
