"""The spec as another commit has it: its files at the merge base with what is checked out, in a folder of their own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from reconciler.errors import ReconcilerError
from reconciler.words import all_of, any_of, counted

from .git import WHOLE, Git, NoRepository
from .git_files import SUFFIXES, CommitFiles
from .git_moved import earlier_name

#: how a path begins that nothing else can be
_AS_PATH = ("/", "./", "../")


@dataclass(frozen=True, slots=True)
class Base:
    """Where the base's spec is. `path`: None if the base has none. `folder`: what its files' names begin with, and `shown`: what they
    are said to begin with instead; `warnings`: about the commit."""

    path: Path | None
    folder: str = ""
    shown: str = ""
    warnings: tuple[str, ...] = ()


@contextmanager
def base_spec(base: str, spec: Path) -> Iterator[Base]:
    """The base's spec: a path that exists, or the spec's own path as of the merge base of a git ref and HEAD. What was taken out of
    git is deleted at the end. Raises ReconcilerError, also for what may be both, and for what may be several commits: whoever adds a
    file or pushes a tag of a ref's name must not choose what the spec is compared with."""
    if not base.strip():
        raise ReconcilerError(
            "--base is empty (is GITHUB_BASE_REF set?); give a git ref such as origin/main, or the path of a spec"
        )
    if _is_path_alone(base):
        _there(spec)
        if not os.path.lexists(base):
            more = "; a ref has no slash at its end (is GITHUB_BASE_REF set?)" if base.endswith("/") else ""
            raise ReconcilerError(f"--base {base}: there is no such file or folder{more}")
        yield Base(Path(base))
        return
    commit, git = _commit(base, spec)
    _there(spec, git, commit, base)
    if commit is None:
        yield Base(Path(base))
        return
    assert git is not None
    with TemporaryDirectory(prefix="reconciler-base-") as into:
        yield _of_commit(git, commit, base, spec, Path(into))


def _is_path_alone(base: str) -> bool:
    """Whether it can be nothing but a path: no ref begins or ends like that (https://git-scm.com/docs/git-check-ref-format)."""
    return base.startswith(_AS_PATH) or base.endswith("/") or os.path.isabs(base) or base in (".", "..")


def _is_spec_file(base: str) -> bool:
    return base.lower().endswith(SUFFIXES) and os.path.isfile(base)


def _folder(spec: Path) -> Path:
    """The nearest folder that there is, to ask git in."""
    folder = spec if spec.is_dir() else spec.parent
    return next((item for item in (folder, *folder.parents) if item.is_dir()), Path())


def _commit(base: str, spec: Path) -> tuple[str | None, Git | None]:
    """The commit that a name stands for, or None if it is a path. Raises ReconcilerError for what may be both or several, and for a
    path that could be a ref's name: git may not know the ref here, as in a shallow clone."""
    written = f"write ./{base} for the path" if os.path.lexists(base) else ""
    try:
        git = Git(_folder(spec))
    except NoRepository as error:
        if _is_spec_file(base):
            return None, None
        raise ReconcilerError(f"--base {base}: {error}{f'; {written}' if written else ''}") from None
    except ReconcilerError as error:
        raise ReconcilerError(f"--base {base}: {error}") from None
    found = git.commits(base)
    if len(set(found.values())) > 1:
        first = next(iter(found))
        raise ReconcilerError(
            f"--base {base}: may be {any_of(list(found))}, which are different commits; write {first} if you mean that one"
        )
    if found and written:
        raise ReconcilerError(f"--base {base}: is a git ref and a path too; {written}, {next(iter(found))} for the ref")
    if not found and _is_spec_file(base):
        return None, git
    if not found:
        raise ReconcilerError(f"--base {base}: {git.missing(base)}{f'; {written}' if written else ''}")
    return next(iter(found.values())), git


def root_of(spec: Path) -> str:
    """The top of the clone that a spec is in; "" where git does not say it."""
    try:
        return Git(_folder(spec)).root
    except ReconcilerError:
        return ""


def _there(spec: Path, git: Git | None = None, commit: str | None = None, base: str = "") -> None:
    """Raises ReconcilerError if the head has no spec: that it is missing is said of it, not of the base."""
    if str(spec) == "-":
        if commit is not None:
            raise ReconcilerError(
                f"--base {base}: standard input has no path to look up in a commit; give the spec's path, or as --base the path of"
                " a spec"
            )
        return
    if os.path.lexists(spec):
        return
    if git is not None and commit is not None:
        name = _inside(git, spec)
        if not name.startswith("..") and git.run("cat-file", "-e", f"{commit}:{name}").returncode == 0:
            raise ReconcilerError(
                f"{spec} is not there, and {base} has it: the change deletes or moves it; if it was moved, give its path. What a"
                " spec that is gone leaves behind stays as it is, unwatched: `reconciler plan --destroy` removes it first"
            )
    raise ReconcilerError(f"{spec} is not there; give the path of the spec, or run in its folder")


def _inside(git: Git, spec: Path) -> str:
    """The spec's name in the repository. A link is looked at in the commit itself: it may have led elsewhere."""
    found = os.path.relpath(os.path.join(os.path.realpath(spec.parent), spec.name), os.path.realpath(git.root))
    return "" if found == "." else found.replace(os.sep, "/")


def _of_commit(git: Git, given: str, base: str, spec: Path, into: Path) -> Base:
    commit, others = _merge_base(git, base, given)
    inside = _inside(git, spec)
    files = CommitFiles(git, commit, into)
    warnings: list[str] = []
    name: str | None = inside
    if not files.has(inside, folder=spec.is_dir()):
        name = earlier_name(git, commit, base, inside, spec, files)
        if name is None:
            near = [one for one in sorted(files.names) if os.path.basename(one) == os.path.basename(inside)]
            elsewhere = f" (it has {near[0]}; give a copy of that as --base to compare with it)" if near else ""
            warnings.append(f"{base} has no {inside}{elsewhere}: all of it counts as new")
        else:
            warnings.append(f"{inside} is {name or 'the top folder'} in {base}, and is compared with that")
    if name is not None:
        files.take(name)
    parts = sorted({name or inside, inside, *files.taken})
    warnings += _parted(git, base, commit, given, parts)
    warnings += _crossed(git, base, commit, others, parts)
    root = os.path.relpath(git.root, os.path.curdir)
    shown = "" if root == "." else f"{root}/"
    return Base(into / name if name is not None else None, f"{into}/", shown, tuple(warnings))


def _merge_base(git: Git, base: str, given: str) -> tuple[str, list[str]]:
    """Where HEAD and the commit parted, and where else they did: branches that were merged into each other did so several times."""
    if not git.commits("HEAD"):
        raise ReconcilerError(f"--base {base}: HEAD has no commit yet to compare from; commit first")
    ran = git.run("merge-base", "--all", given, "HEAD")
    found = ran.stdout.decode().split()
    if not found:
        ask = (
            f"; fetch the history first: `git fetch --unshallow`, {WHOLE}"
            if git.shallow
            else ", so there is no spec that both began with; give the path of a spec"
        )
        raise ReconcilerError(f"--base {base}: it has no commit in common with HEAD{ask}")
    return found[0], found[1:]


def _parted(git: Git, base: str, commit: str, given: str, parts: list[str]) -> Iterator[str]:
    """Warns where the target has changed the spec since the branch left it."""
    if commit == given:
        return
    paths = [f"{git.root}/{part}" for part in parts]
    ahead = int(git.text("--literal-pathspecs", "rev-list", "--count", f"{commit}..{given}", "--", *paths))
    if ahead:
        yield (
            f"{base} has {counted(ahead, 'commit')} with changes of this spec that HEAD does not have: the review shows what your"
            f" branch does to the spec as of commit {commit[:12]}, and what comes out of the merge may be something else; merge or"
            " rebase to see that"
        )


def _crossed(git: Git, base: str, commit: str, others: list[str], parts: list[str]) -> Iterator[str]:
    """Warns where it matters with which of several merge bases the spec is compared."""
    paths = [f"{git.root}/{part}" for part in parts]
    differing = [
        other
        for other in others
        if git.run("--literal-pathspecs", "diff-tree", "-r", "--quiet", commit, other, "--", *paths).returncode
    ]
    if differing:
        those = all_of([one[:12] for one in (commit, *differing)])
        yield (
            f"HEAD and {base} were merged into each other, and parted at {those}, which have different specs: the review compares"
            f" with {commit[:12]} alone"
        )
