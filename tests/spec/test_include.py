"""Guards in a file of their own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from reconciler.errors import SpecError
from reconciler.platforms.catalog import Spec
from reconciler.spec.loader import load_spec, parse_spec
from reconciler.spec.models import Guards

SPEC = """\
version: 1
name: shop
guards:
  include: guards.yaml
  protect: [web]
registries: [{name: box, platform: local, path: ./box}]
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("registry.yaml").write_text(SPEC)
    Path("guards.yaml").write_text("max_deletes: 2\nallow_public: true\n")
    return tmp_path


def problems(path: str = "registry.yaml") -> list[str]:
    with pytest.raises(SpecError) as caught:
        load_spec(path, {}, model=Spec)
    return [f"{item.file}:{item.line}:{item.column}: {item.path}: {item.message}" for item in caught.value.problems]


@pytest.mark.usefixtures("here")
def test_what_the_included_file_says_counts_as_if_it_stood_in_guards() -> None:
    guards = load_spec("registry.yaml", {}, model=Spec).guards
    assert guards == Guards(max_deletes=2, allow_public=True, protect=("web",))


def test_it_is_relative_to_the_spec_s_folder_wherever_one_is(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "elsewhere").mkdir()
    monkeypatch.chdir(here / "elsewhere")
    assert load_spec("../registry.yaml", {}, model=Spec).guards.max_deletes == 2
    assert parse_spec(SPEC, base=str(here), model=Spec).guards.max_deletes == 2


@pytest.mark.usefixtures("here")
def test_an_included_file_of_a_folder_of_specs_is_no_part_of_the_spec() -> None:
    os.mkdir("specs")
    for name in ("registry.yaml", "guards.yaml"):
        os.rename(name, f"specs/{name}")
    Path("specs/more.yaml").write_text("repositories: [{name: web, registry: box}]\n")
    spec = load_spec("specs", {}, model=Spec)
    assert (spec.guards.max_deletes, [item.name for item in spec.repositories]) == (2, ["web"])
    Path("specs/guards.yaml").write_text("max_deletes: {\n")
    assert len(problems("specs")) == 1, "a file that is read as both is reported once"


@pytest.mark.usefixtures("here")
def test_variables_and_anchors_of_the_included_file_are_its_own() -> None:
    Path("guards.yaml").write_text("allowed_accounts: [&one '${env:ONE}', *one]\n")
    spec = load_spec("registry.yaml", {"ONE": "123456789012"}, model=Spec)
    assert spec.guards.allowed_accounts == ("123456789012",) * 2
    assert dict(spec.variables) == {"ONE": "123456789012"}


@pytest.mark.usefixtures("here")
def test_a_key_of_both_is_an_error_at_both_places_beside_all_others() -> None:
    Path("guards.yaml").write_text("max_deletes: many\nprotect: []\nprotec: []\n")
    assert problems() == [
        "guards.yaml:1:14: guards.max_deletes: 'many' must be a number, or a percentage such as 10%",
        "guards.yaml:3:1: guards.protec: unknown key (did you mean 'protect'?)",
        "registry.yaml:5:3: guards.protect: is set in the included file too, at guards.yaml:2:1: remove one",
    ]


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("none.yaml", "none.yaml can't be read: No such file or directory"),
        (".", "must be a file whose name ends in .yaml, .yml or .json"),
        ("/etc/passwd", "must be a file whose name ends in .yaml, .yml or .json"),
        ("registry.yaml", "can't be the file that includes it"),
        ("[guards.yaml]", "must be the path of a file, relative to the spec's folder"),
        ("''", "must be the path of a file, relative to the spec's folder"),
        ('"guards\\0.yaml"', "must be the path of a file, relative to the spec's folder"),
        ("'${env:FILE}.yaml'", "must be the path of a file, relative to the spec's folder"),
    ],
)
def test_what_names_no_file_is_an_error_at_its_place(value: str, message: str) -> None:
    Path("registry.yaml").write_text(SPEC.replace("guards.yaml", value))
    assert problems() == [f"registry.yaml:4:12: guards.include: {message}"]


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("include: more.yaml\n", "guards.yaml:1:1: include: an included file can't include another"),
        ("", "guards.yaml:1:1: : must be a mapping with the keys of guards, such as max_deletes"),
        ("<<: {max_deletes: 1}\n", "guards.yaml:1:1: : write the keys of guards out: this file can't merge them in"),
        ("- a\n", "guards.yaml:1:1: : must be a mapping with the keys of guards, such as max_deletes"),
    ],
)
def test_what_holds_no_guards_is_an_error_in_the_file(text: str, message: str) -> None:
    Path("guards.yaml").write_text(text)
    assert problems() == [message]


@pytest.mark.usefixtures("here")
def test_a_file_that_is_named_by_way_of_an_anchor_is_an_error_and_is_not_left_out() -> None:
    text = SPEC.replace(
        "guards:\n  include: guards.yaml\n", "x-all: &all {include: guards.yaml}\nguards:\n  <<: *all\n"
    )
    Path("registry.yaml").write_text(text)
    assert problems() == ["registry.yaml:3:23: guards.include: must stand in guards itself"]


@pytest.mark.usefixtures("here")
def test_a_key_that_is_no_text_is_an_error_as_anywhere_else() -> None:
    Path("guards.yaml").write_text("[1]: 2\n")
    assert [line.partition(": ")[0] for line in problems()] == ["guards.yaml:1:1"]
