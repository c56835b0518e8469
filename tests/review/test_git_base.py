"""The base as a git ref: what the spec was where the branch left it."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from reconciler.cli.app import run
from reconciler.cli.git import WHOLE

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
    assert (
        "Warning: main has 1 commit with changes of this spec that HEAD does not have: the review shows what your branch does to the"
        f" spec as of commit {clone.git('rev-parse', 'change').strip()[:12]}, and what comes out of the merge may be something else;"
        " merge or rebase to see that\n"
    ) in text


def test_a_target_whose_new_commits_leave_the_spec_alone_is_no_news(
    clone: Clone, capsys: pytest.CaptureFixture[str]
) -> None:
    clone.git("checkout", "-q", "main")
    clone.write("print()\n", "app.py")
    clone.commit("an app")
    clone.git("checkout", "-q", "change")
    clone.write(WIDER)
    assert "Warning" not in review(capsys, "--base", "main")


def test_what_was_removed_says_where_the_base_has_it(clone: Clone, capsys: pytest.CaptureFixture[str]) -> None:
    clone.write(replaced(("[alice, bob]", "[alice]")))
    assert "narrows: registry.yaml:39:23 (base registry.yaml:39:38)" in review(capsys, "--base", "main")


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


@pytest.mark.parametrize(
    ("base", "message"),
    [
        (
            "nowhere",
            "--base nowhere: git knows no such ref here; branches of origin begin with origin/; `git branch --all` lists those that",
        ),
        ("--upload-pack=x", "--base --upload-pack=x: git knows no such ref here"),
        ("main^{tree}", "--base main^{tree}: git knows no such ref here"),
        ("mian", "--base mian: git knows no such ref here (did you mean 'main'?)"),
        ("origin/mian", "--base origin/mian: git knows no such ref here (did you mean 'origin/main'?)"),
        (
            "origin/release",
            "--base origin/release: git knows no such ref here; `git fetch origin release:refs/remotes/origin/release` fetches it if"
            " it is on the server",
        ),
        (
            "origin/main:registry.yaml",
            "--base origin/main:registry.yaml: git knows no such ref here; write the ref alone, origin/main: the spec's own path",
        ),
        ("origin/", "--base origin/: there is no such file or folder; a ref has no slash at its end (is GITHUB_BASE_REF set?)"),
        ("", "--base is empty (is GITHUB_BASE_REF set?); give a git ref such as origin/main, or the path of a spec"),
        ("blob", "--base blob: is a blob and no commit; give a branch, a tag of a commit, or a commit's id\n"),
        ("signed", "--base signed: is a blob and no commit; give a branch"),
        ("tree", "--base tree: is a tree and no commit; give a branch"),
        ("refs/tags/blob", "--base refs/tags/blob: is a blob and no commit"),
        ("blob~1", "--base blob~1: is a blob and no commit"),
        ("./nowhere.yaml", "--base ./nowhere.yaml: there is no such file or folder\n"),
        ("nowhere.yaml", "--base nowhere.yaml: git knows no such ref here"),
    ],
)  # fmt: skip
def test_a_base_that_is_none_says_what_to_do(
    clone: Clone, capsys: pytest.CaptureFixture[str], base: str, message: str
) -> None:
    clone.git("remote", "add", "origin", "https://git.example/shop.git")
    clone.git("update-ref", "refs/remotes/origin/main", "main")
    clone.git("tag", "blob", "main:registry.yaml")
    clone.git("tag", "-a", "-m", "a tag with a message", "signed", "main:registry.yaml")
    clone.git("tag", "tree", "main^{tree}")
    said = review(capsys, f"--base={base}", code=1)
    assert message in said
    assert "--unshallow" not in said


def test_the_id_of_what_is_no_commit_says_what_it_is(clone: Clone, capsys: pytest.CaptureFixture[str]) -> None:
    for what, kind in (("main:registry.yaml", "blob"), ("main^{tree}", "tree")):
        for digest in (clone.git("rev-parse", what).strip(), clone.git("rev-parse", what)[:12]):
            said = review(capsys, "--base", digest, code=1)
            assert said.startswith(f"Error: --base {digest}: is a {kind} and no commit; ")


def test_without_a_remote_nothing_can_be_fetched(clone: Clone, capsys: pytest.CaptureFixture[str]) -> None:
    assert "git knows no such ref here, and this clone has no remote; `git branch --all` lists those" in review(
        capsys, "--base", "origin/main", code=1
    )


def test_in_a_shallow_clone_the_history_is_to_be_fetched(
    clone: Clone, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clone.write(WIDER)
    clone.commit("wider")
    clone.git("clone", "-q", "--depth=1", "--branch=change", f"file://{tmp_path}", "shallow")
    monkeypatch.chdir(tmp_path / "shallow")
    fetch = f"`git fetch --unshallow origin main:refs/remotes/origin/main`, {WHOLE}"
    said = review(capsys, code=1)
    assert said == f"Error: --base origin/main: git knows no such ref here; fetch the history first: {fetch}\n"
    clone.git("-C", "shallow", "fetch", "-q", "--depth=1", "origin", "main:refs/remotes/origin/main")
    said = review(capsys, code=1)
    assert "it has no commit in common with HEAD; fetch the history first: `git fetch --unshallow`" in said
    # whoever adds a file or a folder of the ref's name to the branch must not choose the base
    clone.git("-C", "shallow", "update-ref", "-d", "refs/remotes/origin/main")
    clone.write(WIDER, "shallow/origin/main")
    assert "; write ./origin/main for the path" in review(capsys, code=1)
    (tmp_path / "shallow/origin/main").unlink()
    clone.write(WIDER, "shallow/origin/main/registry.yaml")
    assert "; write ./origin/main for the path" in review(capsys, code=1)
    assert "no effect" in review(capsys, "--base", "./origin/main")
    assert "no effect" in review(capsys, "--base", "origin/main/")


@pytest.mark.parametrize("kind", ["tag", "branch"])
@pytest.mark.parametrize("name", ["origin/main", "refs/remotes/origin/main"])
def test_a_tag_or_a_branch_that_is_named_like_the_targets_branch_does_not_become_the_base(
    clone: Clone, capsys: pytest.CaptureFixture[str], kind: str, name: str
) -> None:
    clone.git("update-ref", "refs/remotes/origin/main", "main")
    clone.write(WIDER)
    clone.commit("wider")
    place = f"refs/{'tags' if kind == 'tag' else 'heads'}/{name}"
    clone.git("update-ref", place, "HEAD")
    if name == "origin/main":
        assert review(capsys, "--base", name, code=1) == (
            f"Error: --base origin/main: may be refs/remotes/origin/main or {place}, which are different commits; write"
            " refs/remotes/origin/main if you mean that one\n"
        )
    assert "user carol can now pull tool" in review(capsys, "--base", "refs/remotes/origin/main")
    clone.git("update-ref", place, "main")
    assert "user carol can now pull tool" in review(capsys, "--base", "origin/main"), "the same commit is no question"
    clone.git("update-ref", "-d", "refs/remotes/origin/main")
    assert "git knows no such ref here" in review(capsys, "--base", "refs/remotes/origin/main", code=1)


def test_a_branch_that_is_named_like_a_commit_does_not_become_the_base(
    clone: Clone, capsys: pytest.CaptureFixture[str]
) -> None:
    short = clone.git("rev-parse", "main").strip()[:7]
    clone.write(WIDER)
    clone.commit("wider")
    assert "user carol" in review(capsys, "--base", short)
    clone.git("branch", short)
    assert "which are different commits" in review(capsys, "--base", short, code=1)


@pytest.mark.parametrize("base", ["HEAD", "HEAD~1", "change^", "main", "v1", "refs/tags/v1", "heads/main", "@~1"])
def test_whatever_names_one_commit_is_a_base(clone: Clone, capsys: pytest.CaptureFixture[str], base: str) -> None:
    clone.git("tag", "-a", "v1", "-m", "a tag with a message")
    clone.write("print()\n", "app.py")
    clone.commit("an app")
    clone.write(WIDER)
    assert "user carol can now pull tool" in review(capsys, "--base", base)


def test_what_a_hook_sets_leads_to_no_other_repository(
    clone: Clone, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "other").mkdir()
    other = Clone(tmp_path / "other")
    other.write(WIDER)
    other.commit("wider")
    other.git("branch", "-f", "main")
    clone.write(WIDER)
    for name, value in {
        "GIT_DIR": ".git",
        "GIT_WORK_TREE": ".",
        "GIT_INDEX_FILE": ".git/index",
        "GIT_COMMON_DIR": ".git",
        "GIT_OBJECT_DIRECTORY": ".git/objects",
        "GIT_PREFIX": "",
    }.items():
        monkeypatch.setenv(name, str(tmp_path / "other" / value))
    monkeypatch.setenv("GIT_NAMESPACE", "other")
    assert "user carol can now pull tool" in review(capsys, "--base", "main")


def test_a_hook_of_a_linked_worktree_reviews_that(
    clone: Clone, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    clone.git("checkout", "-q", "main")
    clone.write(WIDER)
    clone.write(BASE, "team/registry.yaml")
    clone.commit("another spec of that name")
    clone.git("worktree", "add", "-q", "-b", "linked", str(tmp_path / "linked"))
    clone.write(WIDER, "linked/team/registry.yaml")
    monkeypatch.chdir(tmp_path / "linked" / "team")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / ".git" / "worktrees" / "linked"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / ".git" / "worktrees" / "linked" / "index"))
    assert "user carol can now pull tool" in review(capsys, "--base", "main")


def test_a_clone_that_git_does_not_read_takes_no_file_for_the_base(
    clone: Clone, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # https://github.com/git/git/blob/master/t/t0033-safe-directory.sh: as if the clone was somebody else's
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    clone.write(WIDER, "origin/main")
    clone.write(WIDER, "base.yaml")
    for base in ("origin/main", "base.yaml"):
        said = review(capsys, "--base", base, code=1)
        assert said.startswith(
            f"Error: --base {base}: git does not read the clone at {tmp_path}, since it belongs to somebody else"
        )
        assert f"`git config --global --add safe.directory {tmp_path}`" in said
    assert "user carol can no longer pull tool" in review(capsys, "--base", "./base.yaml")
    # what is set for one command is kept, as git itself keeps it
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "safe.directory")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "*")
    assert "no effect" in review(capsys, "--base", "main")


def test_a_path_is_a_spec_s_file_or_is_written_as_a_path(clone: Clone, capsys: pytest.CaptureFixture[str]) -> None:
    clone.write(WIDER, "base.yaml")
    clone.write(WIDER, "old/registry.yaml")
    for base in ("base.yaml", "./base.yaml", "./old", "old/", str(clone.folder / "base.yaml")):
        assert "user carol can no longer pull tool" in review(capsys, "--base", base)
    assert "write ./old for the path" in review(capsys, "--base", "old", code=1)


def test_histories_without_a_common_commit(clone: Clone, capsys: pytest.CaptureFixture[str]) -> None:
    clone.git("checkout", "-q", "--orphan", "other")
    assert "--base main: HEAD has no commit yet" in review(capsys, "--base", "main", code=1)
    clone.commit("no history")
    assert review(capsys, "--base", "main", code=1) == (
        "Error: --base main: it has no commit in common with HEAD, so there is no spec that both began with; give the path of a"
        " spec\n"
    )


@pytest.mark.parametrize("alike", [True, False])
def test_branches_that_were_merged_into_each_other_say_which_spec_is_compared(
    clone: Clone, capsys: pytest.CaptureFixture[str], alike: bool
) -> None:
    clone.write("1\n", "one.txt")
    if not alike:
        clone.write(WIDER)
    clone.commit("one")
    clone.git("checkout", "-q", "main")
    clone.write("2\n", "two.txt")
    clone.commit("two")
    clone.git("branch", "two")
    clone.git("merge", "-q", "--no-edit", "change")
    clone.git("checkout", "-q", "change")
    clone.git("merge", "-q", "--no-edit", "two")
    text = review(capsys, "--base", "main")
    assert ("Warning: HEAD and main were merged into each other, and parted at " in text) is not alike
    assert ("which have different specs: the review compares with " in text) is not alike


def test_without_git_or_outside_of_a_clone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    (tmp_path / "registry.yaml").write_text(BASE)
    (tmp_path / "base.yaml").write_text(WIDER)
    assert ". is in no git repository; give the path of a spec as --base" in review(capsys, "--base", "main", code=1)
    assert "user carol" in review(capsys, "--base", "base.yaml")
    # a runner without git downloads the branch, and so whatever file it has: https://github.com/actions/checkout
    (tmp_path / "main").write_text(WIDER)
    assert "write ./main for the path" in review(capsys, "--base", "main", code=1)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "--base main: git is not installed" in review(capsys, "--base", "main", code=1)
    assert "user carol" in review(capsys, "--base", "base.yaml")
