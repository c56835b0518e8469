"""The base's files as git has them: those of the spec and what they name, whatever the spec is called there."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import pytest

from reconciler.cli import git_files
from reconciler.cli.git import Git

from .specs import BASE, replaced
from .test_git_base import WIDER, Clone, clone, review

__all__ = ["clone"]
PART = "repositories:\n  - {name: more, registry: box}\n"


def test_a_spec_in_a_folder_and_guards_beside_it_are_read_from_the_tree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    clone = Clone(tmp_path, "specs/registry.yaml")
    clone.write('protect: ["x*"]\n', "guards/all.yaml")
    clone.write(replaced(('  protect: ["payments*"]\n', "  include: ../guards/all.yaml\n")))
    clone.write("*.yaml export-ignore\n", ".gitattributes")
    clone.commit("guards of their own")
    clone.git("branch", "-f", "main")
    clone.write("protect: []\n", "guards/all.yaml")
    clone.write(
        "repositories:\n  - {name: more, registry: box}\n",
        "specs/more.yaml",
    )
    found = json.loads(review(capsys, "specs", "--base", "main", "--format", "json"))
    assert found["verdict"] == ["widens", "weakens", "creates"]
    places = {(item["risk"], item["place"]["file"]) for item in found["findings"]}
    assert ("creates", "specs/more.yaml") in places
    assert ("weakens", "specs/../guards/all.yaml") in places
    base = next(item["base"] for item in found["findings"] if item["risk"] == "weakens")
    assert base["file"] == "specs/../guards/all.yaml"


def test_links_of_the_base_are_followed_as_they_were(clone: Clone, capsys: pytest.CaptureFixture[str]) -> None:
    clone.git("checkout", "-q", "main")
    clone.write(BASE, "specs/registry.yaml")
    clone.write("repositories:\n  - {name: more, registry: box}\n", "shared/more.txt")
    (clone.folder / "specs" / "more.yaml").symlink_to("../shared/more.txt")
    clone.write("repositories:\n  - {name: far, registry: box}\n", "far/one.yaml")
    (clone.folder / "specs" / "folder").symlink_to("../far")
    clone.write(BASE, "one.yaml")
    (clone.folder / "linked.yaml").symlink_to("one.yaml")
    clone.commit("links")
    clone.git("checkout", "-q", "-B", "change")
    assert "no effect" in review(capsys, "specs", "--base", "main")
    (clone.folder / "specs" / "more.yaml").unlink()
    (clone.folder / "specs" / "folder").unlink()
    text = review(capsys, "specs", "--base", "main", "--fail-on", "destroys", code=5)
    assert "far: the repository is deleted" in text
    assert "more: the repository is deleted" in text
    clone.write(WIDER, "two.yaml")
    (clone.folder / "linked.yaml").unlink()
    (clone.folder / "linked.yaml").symlink_to("two.yaml")
    assert "user carol can now pull tool" in review(capsys, "linked.yaml", "--base", "main")


def test_a_link_that_leads_out_of_the_repository_is_no_part_that_is_missing_silently(
    clone: Clone, capsys: pytest.CaptureFixture[str]
) -> None:
    clone.git("checkout", "-q", "main")
    clone.write(BASE, "specs/registry.yaml")
    (clone.folder / "specs" / "out.yaml").symlink_to("/etc/hostname")
    clone.commit("a link out")
    clone.git("checkout", "-q", "-B", "change")
    (clone.folder / "specs" / "out.yaml").unlink()
    assert "base specs/out.yaml:1:1: can't be read: No such file" in review(capsys, "specs", "--base", "main", code=1)


def written(clone: Clone, spec: str, into: Path) -> set[str]:
    """What is written of a spec of main: names of files and links."""
    commit = clone.git("rev-parse", "main").strip()
    git_files.CommitFiles(Git(clone.folder), commit, into).take(spec)
    return {os.path.relpath(path, into) for path in into.rglob("*") if path.is_symlink() or path.is_file()}


def test_nothing_is_read_but_the_spec_and_what_it_names(clone: Clone, tmp_path: Path) -> None:
    clone.git("checkout", "-q", "main")
    clone.write(replaced(('  protect: ["payments*"]\n', "  include: guards/all.yaml\n")))
    clone.write('protect: ["x*"]\n', "guards/all.yaml")
    clone.write("a: 1\n", "guards/other.yaml")
    clone.write("a: 1\n", "deploy/values.yaml")
    clone.write('{"a": 1}\n', "package.json")
    clone.write(PART, "specs/more.yaml")
    clone.write(PART, "specs/.hidden/more.yaml")
    clone.write(BASE, "specs/deep/registry.yml")
    clone.write("# text\n", "specs/README.md")
    (clone.folder / "specs" / "linked.yaml").symlink_to("../shared/one.txt")
    (clone.folder / "specs" / "notes").symlink_to("../shared/notes.txt")
    clone.write(PART, "shared/one.txt")
    clone.write(PART, "shared/notes.txt")
    clone.commit("a monorepo")
    of_folder = {"specs/more.yaml", "specs/deep/registry.yml", "specs/linked.yaml", "shared/one.txt", "specs/notes"}
    for spec, names in (("registry.yaml", {"registry.yaml", "guards/all.yaml"}), ("specs", of_folder)):
        into = tmp_path / f"into-{spec}"
        into.mkdir()
        assert written(clone, spec, into) == names


def test_of_a_partial_clone_only_the_spec_is_fetched(
    clone: Clone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clone.git("checkout", "-q", "main")
    for number in range(20):
        clone.write(f"a: {number}\n", f"deploy/{number}.yaml")
    clone.commit("a monorepo")
    clone.git("checkout", "-q", "-B", "change")
    for number in range(20):
        clone.write(f"b: {number}\n", f"deploy/{number}.yaml")
    clone.write(WIDER)
    clone.commit("wider")
    clone.git("config", "uploadpack.allowFilter", "true")
    clone.git("config", "uploadpack.allowAnySHA1InWant", "true")
    clone.git("clone", "-q", "--filter=blob:none", "--branch=change", f"file://{tmp_path}", "partial")
    monkeypatch.chdir(tmp_path / "partial")

    def missing() -> int:
        listed = clone.git("-C", "partial", "rev-list", "--objects", "--all", "--missing=print")
        return sum(line.startswith("?") for line in listed.splitlines())

    before = missing()
    assert "user carol can now pull tool" in review(capsys)
    assert before - missing() == 1


def test_a_spec_without_a_suffix_and_one_in_utf_16(clone: Clone, capsys: pytest.CaptureFixture[str]) -> None:
    clone.git("checkout", "-q", "main")
    including = replaced(('  protect: ["payments*"]\n', "  include: guards.yaml\n"))
    clone.write('protect: ["x*"]\n', "guards.yaml")
    clone.write(including, "registry")
    (clone.folder / "wide.yaml").write_bytes(including.encode("utf-16"))
    clone.commit("specs")
    clone.git("checkout", "-q", "-B", "change")
    (clone.folder / "guards.yaml").write_text("protect: []\n")
    for spec in ("registry", "wide.yaml"):
        assert review(capsys, spec, "--base", "main").startswith("weakens: guards.yaml:1:")


@pytest.mark.parametrize("committed", [True, False])
def test_a_spec_that_moved_is_compared_with_what_it_was(
    clone: Clone, capsys: pytest.CaptureFixture[str], committed: bool
) -> None:
    (clone.folder / "team").mkdir()
    clone.git("mv", "registry.yaml", "team/images.yaml")
    clone.write(WIDER, "team/images.yaml")
    if committed:
        clone.commit("moved")
    text = review(capsys, "team/images.yaml", "--base", "main")
    assert text.startswith("widens: team/images.yaml:39:43\n  user carol can now pull tool\n")
    assert "Warning: team/images.yaml is registry.yaml in main, and is compared with that\n" in text


def test_what_a_clone_s_configuration_names_is_not_run(clone: Clone, capsys: pytest.CaptureFixture[str]) -> None:
    clone.git("checkout", "-q", "main")
    clone.write("*.yaml filter=spy diff=spy\n", ".gitattributes")
    clone.commit("attributes")
    clone.git("checkout", "-q", "-B", "change")
    clone.git("mv", "registry.yaml", "images.yaml")
    for name in ("filter.spy.clean", "filter.spy.smudge", "diff.spy.textconv", "diff.spy.command", "core.fsmonitor"):
        clone.git("config", name, "touch spied; cat")
    clone.write(WIDER, "images.yaml")
    assert "user carol can now pull tool" in review(capsys, "images.yaml", "--base", "main")
    assert not list(clone.folder.rglob("spied"))


def test_a_folder_that_moved_is_compared_with_what_it_was(clone: Clone, capsys: pytest.CaptureFixture[str]) -> None:
    clone.git("checkout", "-q", "main")
    clone.write(BASE, "specs/registry.yaml")
    clone.write(PART, "specs/part/more.yaml")
    clone.git("rm", "-q", "registry.yaml")
    clone.commit("a folder")
    clone.git("checkout", "-q", "-B", "change")
    clone.git("mv", "specs", "images")
    clone.write(WIDER, "images/registry.yaml")
    text = review(capsys, "images", "--base", "main")
    assert text.startswith("widens: images/registry.yaml:39:43\n  user carol can now pull more, tool\n")
    assert "Warning: images is specs in main, and is compared with that\n" in text


def test_a_file_that_became_a_folder_is_compared_with_what_it_was(
    clone: Clone, capsys: pytest.CaptureFixture[str]
) -> None:
    (clone.folder / "split").mkdir()
    clone.git("mv", "registry.yaml", "split/registry.yaml")
    clone.write(PART, "split/more.yaml")
    text = review(capsys, "split", "--base", "main")
    assert "creates: split/more.yaml:2:5\n  more: a new repository\n" in text
    assert "tool: a new repository" not in text
    assert "Warning: split is registry.yaml in main, and is compared with that\n" in text


def test_files_that_left_a_folder_make_no_spec_of_it(clone: Clone, capsys: pytest.CaptureFixture[str]) -> None:
    clone.git("checkout", "-q", "main")
    clone.write(PART, "more.yaml")
    clone.write("a: 1\n", "values.yaml")
    clone.commit("more")
    clone.git("checkout", "-q", "-B", "change")
    (clone.folder / "specs").mkdir()
    clone.git("mv", "registry.yaml", "more.yaml", "specs")
    said = review(capsys, "specs", "--base", "main", code=1)
    assert (
        "has no specs, and registry.yaml (specs/registry.yaml now, as git has it), a spec of the same name, is no"
        in said
    )
    clone.write(replaced(("name: acme", "name: another")), "specs/registry.yaml")
    text = review(capsys, "specs", "--base", "main")
    assert "Warning: main has no specs: all of it counts as new\n" in text


def test_a_spec_that_is_new_is_all_new(clone: Clone, capsys: pytest.CaptureFixture[str]) -> None:
    clone.write(BASE, "other/registry.yaml")
    clone.commit("another")
    found = json.loads(review(capsys, "other/registry.yaml", "--base", "main", "--format", "json"))
    assert found["verdict"] == ["widens", "creates"]
    assert found["warnings"] == [
        "main has no other/registry.yaml (it has registry.yaml; give a copy of that as --base to compare with it): all of it counts"
        " as new"
    ]
    assert {item["place"]["file"] for item in found["findings"]} == {"other/registry.yaml"}
    assert {item["base"] and item["base"]["file"] for item in found["findings"]} == {None}
    said = {sentence for item in found["findings"] for sentence in item["messages"]}
    assert "user alice can now pull tool" in said


@pytest.mark.parametrize("base", ["main", "registry.yaml"])
@pytest.mark.parametrize("spec", ["nope.yaml", "no/such/folder/registry.yaml"])
def test_a_spec_that_is_missing_is_said_to_be_that(
    clone: Clone, capsys: pytest.CaptureFixture[str], base: str, spec: str
) -> None:
    said = review(capsys, spec, "--base", base, code=1)
    assert said == f"Error: {spec} is not there; give the path of the spec, or run in its folder\n"


def test_a_spec_that_the_change_deletes(clone: Clone, capsys: pytest.CaptureFixture[str]) -> None:
    clone.git("rm", "-q", "registry.yaml")
    assert review(capsys, "--base", "main", code=1).startswith(
        "Error: registry.yaml is not there, and main has it: the change deletes or moves it; if it was moved, give its path."
    )


def test_standard_input_is_compared_with_a_path_alone(
    clone: Clone, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert review(capsys, "-", "--base", "main", code=1) == (
        "Error: --base main: standard input has no path to look up in a commit; give the spec's path, or as --base the path of a"
        " spec\n"
    )
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(WIDER.encode())))
    assert "user carol can now pull tool" in review(capsys, "-", "--base", "./registry.yaml")


def test_a_link_leads_nowhere_if_it_leads_out_through_another(clone: Clone, tmp_path: Path) -> None:
    clone.git("checkout", "-q", "main")
    (clone.folder / "specs").mkdir()
    (clone.folder / "specs" / "here").symlink_to(".")
    (clone.folder / "specs" / "out.yaml").symlink_to("here/here/../../../secret.yaml")
    clone.commit("links")
    into = tmp_path / "into" / "below"
    into.mkdir(parents=True)
    (tmp_path / "into" / "secret.yaml").write_text(BASE)
    written(clone, "specs", into)
    assert (into / "specs" / "out.yaml").is_symlink()
    assert not (into / "specs" / "out.yaml").exists()
