"""What a spec that a commit does not have was called there: as git finds it, and as the names in the specs say it.

git pairs the files that left with those that are new by how alike they are, so whoever adds a copy of the old spec chooses what the
other one is paired with. A spec of the same name that left is therefore never passed over.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from yaml import MappingNode, ScalarNode

from reconciler.errors import ReconcilerError
from reconciler.spec.source import bytes_of, exists, files_of, is_stream, locate, parse
from reconciler.spec.variables import REFERENCE
from reconciler.words import SHOWN_NAMES, all_of, plural

from .git import Git
from .git_files import SUFFIXES, CommitFiles

#: how the mode of a file begins; links and other repositories are none
_FILE = "100"


@dataclass(frozen=True, slots=True)
class _Changed:
    """A file of the commit that is another now. `digest`, `since`: what it was and what is there now, "" if nothing is; `now`: what
    git says that it is called now, "" if it does not."""

    name: str
    digest: str
    since: str = ""
    now: str = ""


def earlier_name(git: Git, commit: str, base: str, inside: str, spec: Path, files: CommitFiles) -> str | None:
    """What the spec is called in the commit, if git finds that it was renamed; None if it does not. Raises ReconcilerError where it
    may have been another: a spec of the same name that is no longer there. `base`: what the commit was given as."""
    changed = list(_changed(git, commit, inside, files, folder=spec.is_dir()))
    found = _was(git, inside, changed, files, folder=spec.is_dir())
    left = [item for item in _of_the_same_name(changed, spec, files) if not _within(item.name, found)]
    if left:
        first = left[0].name
        are = plural(len(left), "a spec of the same name, is", "specs of the same name, are")
        said = [f"{item.name} ({item.now} now, as git has it)" if item.now else item.name for item in left]
        if more := said[SHOWN_NAMES:]:
            said[SHOWN_NAMES:] = [f"{len(more)} more"]
        paired = f" (git says that it was {found or 'the top folder'})" if found is not None else ""
        raise ReconcilerError(
            f"--base {base}: has no {inside or 'spec in the top folder'}{paired}, and {all_of(said)}, {are} no longer there: what to"
            f" compare with is not clear. If it was {first}: `git worktree add --detach ../base {commit[:12]}`, then `--base"
            f" ../base/{first}`"
        )
    return found


def _changed(git: Git, commit: str, inside: str, files: CommitFiles, *, folder: bool) -> Iterator[_Changed]:
    patterns = [f":(top,icase,glob)**/*{suffix}" for suffix in SUFFIXES]
    if not folder:
        patterns.append(f":(top,literal){inside}")
    # the index, not the files: to compare those, git runs whatever filters its configuration names
    # (the format: https://git-scm.com/docs/git-diff-index#_raw_output_format)
    raw = ("--cached", "-M", "--diff-filter=DMRT", "--raw", "--no-abbrev", "-z")
    said = iter(git.names("diff-index", *raw, commit, "--", *patterns))
    for about in said:
        _, mode, digest, since, status = about.split()
        name = next(said)
        now = next(said) if status.startswith("R") else ""
        gone = status.startswith(("D", "R")) or not mode.startswith(_FILE)
        yield _Changed(name, digest, "" if gone else since, now)
    for name in git.names("ls-files", "--deleted", "-z", "--full-name", "--", *patterns):
        if digest := files.digest(name):
            yield _Changed(name, digest)


def _within(name: str, found: str | None) -> bool:
    return found is not None and (found in ("", name) or name.startswith(f"{found}/"))


def _of_the_same_name(changed: list[_Changed], spec: Path, files: CommitFiles) -> list[_Changed]:
    """The files that were specs of the head's name and are no more."""
    wanted = _names(spec)
    if not wanted:
        return []
    there = {item.name: item for item in changed if files.digest(item.name) == item.digest}
    digests = sorted({digest for item in there.values() for digest in (item.digest, item.since) if digest})
    texts = dict(zip(digests, files.contents(digests), strict=True))
    names = {digest: _name(digest, data) for digest, data in texts.items() if _can_have_a_name(data)}
    return [
        item
        for _, item in sorted(there.items())
        if (was := names.get(item.digest)) and _may_be(was, wanted) and names.get(item.since) != was
    ]


def _can_have_a_name(data: bytes) -> bool:
    """Whether a file is worth to be parsed: it has the key, which may be escaped."""
    plain = data.replace(b"\0", b"")  # which UTF-16 has between letters
    return b"name" in plain or b"\\" in plain


def _may_be(name: str, wanted: set[str]) -> bool:
    """Whether a spec's name is one of these, or may be, as a variable stands in one of them."""
    return name in wanted or any(REFERENCE in item for item in (name, *wanted))


def _names(spec: Path) -> set[str]:
    """The names that the head's spec has in its text; none where it can't be read, which is said later."""
    if is_stream(spec):
        return set()
    try:
        found = {_name(str(file), bytes_of(file)) for file in files_of(spec)}
    except (OSError, ValueError):
        return set()
    return found - {""}


def _name(file: str, data: bytes) -> str:
    """The name of a spec; "" of a file that is none, or no more than a part of one."""
    tree = parse(file, data, [])
    if not isinstance(tree, MappingNode) or not exists(tree, ("name",)):
        return ""
    version, name = locate(tree, ("version",)), locate(tree, ("name",))
    # a workflow has a name too
    is_spec = exists(tree, ("registries",)) or (isinstance(version, ScalarNode) and version.value == "1")
    return name.value if is_spec and isinstance(name, ScalarNode) else ""


def _was(git: Git, inside: str, changed: list[_Changed], files: CommitFiles, *, folder: bool) -> str | None:
    renamed: Mapping[str, str] = {item.now: item.name for item in changed if item.now}
    if not folder:
        return renamed.get(inside)
    start = f"{inside}/" if inside else ""
    mine = {now: was for now, was in renamed.items() if now.startswith(start)}
    if len(set(mine.values())) == 1:  # a file whose parts have a folder since, or a folder with one file
        return next(iter(mine.values()))
    folders = Counter(
        was.removesuffix(now.removeprefix(start)).rstrip("/")
        for now, was in mine.items()
        if f"/{was}".endswith(f"/{now.removeprefix(start)}")
    )
    for name, _ in folders.most_common(1):
        # a folder of which a part stays where it was is no spec that moved
        if all(part in mine.values() or not os.path.lexists(f"{git.root}/{part}") for part in files.parts(name)):
            return name
    return None
