"""A spec under a new path: no file that a change adds can choose what it is compared with, or that it is compared with nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from .specs import BASE, replaced
from .test_git_base import WIDER, Clone, clone, review

__all__ = ["clone"]
#: a spec that deletes what the base has, and is far from alike
SMALL = """\
version: 1
name: acme
registries:
  - {name: box, platform: local, path: .reconciler/box}
"""


def moved(clone: Clone, text: str = SMALL, name: str = "new.yaml") -> None:
    """The spec is under another name, with this text."""
    (clone.folder / name).parent.mkdir(parents=True, exist_ok=True)
    clone.git("mv", "registry.yaml", name)
    clone.write(text, name)


def refused(clone: Clone, said: str, left: str = "registry.yaml") -> str:
    commit = clone.git("rev-parse", "main").strip()[:12]
    return (
        f"Error: --base main: has no {said} no longer there: what to compare with is not clear. If it was {left}: `git worktree add"
        f" --detach ../base {commit}`, then `--base ../base/{left}`\n"
    )


@pytest.mark.parametrize("committed", [True, False])
@pytest.mark.parametrize("text", [SMALL, WIDER])
def test_a_copy_of_the_old_spec_does_not_make_all_of_the_new_one_new(
    clone: Clone, capsys: pytest.CaptureFixture[str], text: str, committed: bool
) -> None:
    moved(clone, text)
    clone.write(BASE, "decoy.yaml")
    clone.git("add", "-A")
    if committed:
        clone.commit("moved")
    assert review(capsys, "new.yaml", "--base", "main", "--fail-on", "destroys", code=1) == refused(
        clone, "new.yaml, and registry.yaml (decoy.yaml now, as git has it), a spec of the same name, is"
    )


def test_what_the_error_says_to_do_compares_with_the_old_spec(
    clone: Clone, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    moved(clone)
    clone.write(BASE, "decoy.yaml")
    clone.commit("moved")
    said = review(capsys, "new.yaml", "--base", "main", code=1)
    there = str(tmp_path / "there")
    _, command, _, option, _ = said.replace("../base", there).split("`")
    clone.git(*command.split()[1:])
    text = review(capsys, "new.yaml", *option.split(), "--fail-on", "destroys", code=5)
    assert "tool: the repository is deleted" in text
    assert "counts as new" not in text


def test_a_spec_that_is_rewritten_as_it_moves_is_not_new(clone: Clone, capsys: pytest.CaptureFixture[str]) -> None:
    moved(clone)
    clone.git("add", "-A")
    assert review(capsys, "new.yaml", "--base", "main", code=1) == refused(
        clone, "new.yaml, and registry.yaml, a spec of the same name, is"
    )


def test_a_spec_that_is_moved_and_not_added_yet_is_not_new(clone: Clone, capsys: pytest.CaptureFixture[str]) -> None:
    (clone.folder / "registry.yaml").rename(clone.folder / "new.yaml")
    assert review(capsys, "new.yaml", "--base", "main", code=1) == refused(
        clone, "new.yaml, and registry.yaml, a spec of the same name, is"
    )


def test_another_spec_that_leaves_does_not_take_the_old_one_s_place(
    clone: Clone, capsys: pytest.CaptureFixture[str]
) -> None:
    clone.git("checkout", "-q", "main")
    loose = replaced(("name: acme", "name: loose"), base=WIDER)
    clone.write(loose, "loose.yaml")
    clone.commit("a loose one")
    clone.git("checkout", "-q", "-B", "change")
    clone.git("mv", "loose.yaml", "new.yaml")
    clone.git("mv", "registry.yaml", "decoy.yaml")
    clone.write(WIDER, "new.yaml")
    clone.git("add", "-A")
    assert review(capsys, "new.yaml", "--base", "main", code=1) == refused(
        clone,
        "new.yaml (git says that it was loose.yaml), and registry.yaml (decoy.yaml now, as git has it), a spec of the same name, is",
    )


@pytest.mark.parametrize("instead", ["a: 1\n", BASE.replace("name: acme", "name: other"), "[", None])
def test_what_stands_where_the_old_one_stood_hides_nothing(
    clone: Clone, capsys: pytest.CaptureFixture[str], instead: str | None
) -> None:
    clone.write(SMALL, "new.yaml")
    if instead is None:
        clone.spec.unlink()
        clone.spec.symlink_to("new.yaml")
    else:
        clone.write(instead)
    clone.git("add", "-A")
    assert review(capsys, "new.yaml", "--base", "main", code=1) == refused(
        clone, "new.yaml, and registry.yaml, a spec of the same name, is"
    )


@pytest.mark.parametrize("name", ["name: ${env:N}", '"na\\x6de": acme', "name: ac${env:N}", "name: !!str acme"])
def test_however_the_name_is_written(clone: Clone, capsys: pytest.CaptureFixture[str], name: str) -> None:
    moved(clone, SMALL.replace("name: acme", name, 1))
    clone.git("add", "-A")
    assert "registry.yaml, a spec of the same name, is no longer there" in review(
        capsys, "new.yaml", "--base", "main", code=1
    )


@pytest.mark.parametrize(
    "data",
    [
        BASE.encode("utf-16"),
        BASE.replace("name: acme", '"na\\x6de": acme', 1).replace("name:", '"na\\x6de":').encode(),
    ],
)
def test_however_the_base_is_written(clone: Clone, capsys: pytest.CaptureFixture[str], data: bytes) -> None:
    clone.git("checkout", "-q", "main")
    clone.spec.write_bytes(data)
    clone.git("commit", "-q", "--allow-empty", "-am", "another text")
    clone.git("checkout", "-q", "-B", "change")
    moved(clone)
    (clone.folder / "decoy.yaml").write_bytes(data)
    clone.git("add", "-A")
    assert "has no new.yaml, and registry.yaml (decoy.yaml now, as git has it)" in review(
        capsys, "new.yaml", "--base", "main", code=1
    )


@pytest.mark.parametrize(
    ("others", "said"),
    [
        (1, "a/0.yaml and registry.yaml"),
        (2, "a/0.yaml, a/1.yaml, and registry.yaml"),
        (4, "a/0.yaml, a/1.yaml, a/2.yaml, and 2 more"),
    ],
)
def test_of_several_some_are_named(clone: Clone, capsys: pytest.CaptureFixture[str], others: int, said: str) -> None:
    clone.git("checkout", "-q", "main")
    for number in range(others):
        clone.write(BASE, f"a/{number}.yaml")
    clone.commit("others of that name")
    clone.git("checkout", "-q", "-B", "change")
    clone.git("rm", "-q", "-r", "a")
    moved(clone)
    clone.git("add", "-A")
    assert review(capsys, "new.yaml", "--base", "main", code=1) == refused(
        clone, f"new.yaml, and {said}, specs of the same name, are", "a/0.yaml"
    )


def test_a_folder_is_no_way_around_it(clone: Clone, capsys: pytest.CaptureFixture[str]) -> None:
    moved(clone, name="specs/registry.yaml")
    clone.write(BASE, "decoy.yaml")
    clone.git("add", "-A")
    assert review(capsys, "specs", "--base", "main", code=1) == refused(
        clone, "specs, and registry.yaml (decoy.yaml now, as git has it), a spec of the same name, is"
    )


def test_what_is_no_spec_of_that_name_may_leave(clone: Clone, capsys: pytest.CaptureFixture[str]) -> None:
    clone.git("checkout", "-q", "main")
    texts = {
        "workflow.yml": "name: acme\non: push\n",
        "compose.yaml": 'version: "3"\nname: acme\nservices: {}\n',
        "chart.yaml": "{{ broken\nname: acme\n",
        "list.json": '["name"]',
        "other.yaml": SMALL.replace("acme", "other"),
    }
    for name, text in texts.items():
        clone.write(text, name)
    clone.commit("others")
    clone.git("checkout", "-q", "-B", "change")
    clone.git("rm", "-q", *texts)
    clone.write(replaced(("tool", "tools"), base=BASE), "new.yaml")
    clone.git("add", "-A")
    text = review(capsys, "new.yaml", "--base", "main")
    assert "Warning: main has no new.yaml: all of it counts as new\n" in text
