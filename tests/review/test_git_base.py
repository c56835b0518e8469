"""The base as a git ref: what the spec was where the branch left it."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from reconciler.cli.app import run

from .specs import BASE, replaced

WIDER = replaced(("[alice, bob]", "[alice, bob, carol]"))


class Clone:
    """A git repository with a spec on main, and a branch that is checked out."""

    def __init__(self, folder: Path, spec: str = "registry.yaml") -> None:
        self.folder, self.spec = folder, folder / spec
        self.git("init", "-q", "-b", "main")
        self.write(BASE)
        self.commit("base")
        self.git("checkout", "-q", "-b", "change")

    def git(self, *arguments: str) -> str:
        names = {f"GIT_{who}_{what}": "x" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        found = subprocess.run(
            ["git", *arguments],
            cwd=self.folder,
            env={**os.environ, **names, "GIT_CONFIG_GLOBAL": "/dev/null"},
            check=True,
            capture_output=True,
            text=True,
        )
        return found.stdout

    def write(self, text: str, name: str = "") -> None:
        path = self.folder / name if name else self.spec
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def commit(self, message: str) -> None:
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Clone:
    monkeypatch.chdir(tmp_path)
    return Clone(tmp_path)


def review(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    assert run(["review", *arguments]) == code
    printed = capsys.readouterr()
    return printed.out if code in (0, 5) else printed.err


def test_the_base_is_where_the_branch_left_it(clone: Clone, capsys: pytest.CaptureFixture[str]) -> None:
    clone.write(WIDER)
    text = review(capsys, "--base", "main")
    assert text.startswith("widens: registry.yaml:39:43\n  user carol can now pull tool\n")
    clone.commit("wider")
    assert review(capsys, "--base", "main") == text, "what is not committed counts too"


def test_a_target_that_has_moved_on_is_said_and_is_not_the_base(
    clone: Clone, capsys: pytest.CaptureFixture[str]
) -> None:
    clone.git("checkout", "-q", "main")
    clone.write(replaced(("[alice, bob]", "[bob]")))
    clone.commit("narrower")
    clone.git("checkout", "-q", "change")
    clone.write(WIDER)
    text = review(capsys, "--base", "main")
    assert "user alice" not in text
    assert "Warning: main has 1 commit that HEAD does not have: the review compares with commit " in text


def test_what_was_removed_says_where_the_base_has_it(clone: Clone, capsys: pytest.CaptureFixture[str]) -> None:
    clone.write(replaced(("[alice, bob]", "[alice]")))
    assert "narrows: registry.yaml:39:23 (base registry.yaml:39:38)" in review(capsys, "--base", "main")


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


def test_from_another_folder_and_with_a_path_that_is_there(
    clone: Clone, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    clone.write(WIDER)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert "user carol can now pull tool" in review(capsys, "../registry.yaml", "--base", "main")
    clone.write(replaced(("[alice, bob]", "[alice]")))
    assert "narrows: ../registry.yaml:39:23 (base ../registry.yaml:39:38)" in review(
        capsys, "../registry.yaml", "--base", "main"
    )


def test_a_file_with_the_name_of_a_ref_does_not_become_the_base(
    clone: Clone, capsys: pytest.CaptureFixture[str]
) -> None:
    clone.git("update-ref", "refs/remotes/origin/main", "main")
    clone.write(WIDER)
    clone.write(WIDER, "origin/main")
    assert "is a git ref and a path too; write ./origin/main for the path" in review(capsys, code=1)
    assert "user carol can now pull tool" in review(capsys, "--base", "refs/remotes/origin/main")
    assert "no effect" in review(capsys, "--base", "./origin/main")


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


@pytest.mark.parametrize(
    ("base", "message"),
    [
        ("nowhere", "--base nowhere: is neither a path nor a commit that git knows here; fetch the history first"),
        ("--upload-pack=x", "--base --upload-pack=x: is neither a path nor a commit"),
        ("main^{tree}", "is neither a path nor a commit"),
    ],
)
def test_a_base_that_is_none_says_what_to_do(
    clone: Clone, capsys: pytest.CaptureFixture[str], base: str, message: str
) -> None:
    assert message in review(capsys, f"--base={base}", code=1)


def test_a_shallow_clone_and_a_spec_that_is_new(clone: Clone, capsys: pytest.CaptureFixture[str]) -> None:
    clone.git("checkout", "-q", "--orphan", "other")
    clone.commit("no history")
    assert "it has no commit in common with HEAD; fetch the history first" in review(capsys, "--base", "main", code=1)
    clone.git("checkout", "-q", "change")
    clone.write(BASE, "new.yaml")
    assert "has no new.yaml; give the path of a spec" in review(capsys, "new.yaml", "--base", "main", code=1)


def test_without_git_or_outside_of_a_clone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    (tmp_path / "registry.yaml").write_text(BASE)
    assert ". is in no git repository; give the path of a spec as --base" in review(capsys, "--base", "main", code=1)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "--base: git is not installed" in review(capsys, "--base", "main", code=1)


def test_the_exit_code_says_the_risks_that_are_asked_for(clone: Clone, capsys: pytest.CaptureFixture[str]) -> None:
    clone.write(WIDER)
    review(capsys, "--base", "main", "--fail-on", "destroys,widens", code=5)
    review(capsys, "--base", "main", "--fail-on", "destroys, narrows")
    said = review(capsys, "--base", "main", "--fail-on", "widen,fly", code=1)
    assert "--fail-on widen: is no risk (did you mean 'widens'?) (known: destroys, widens," in said
    assert "--fail-on fly: is no risk (known:" in said
    clone.write(
        replaced(
            (
                "repositories:\n",
                "  - {name: eu, platform: gcp, project: acme-images, location: europe-west1}\nrepositories:\n",
            )
        )
    )
    review(capsys, "--base", "main")
    assert "not reviewed: eu" in review(capsys, "--base", "main", "--strict", code=1)
