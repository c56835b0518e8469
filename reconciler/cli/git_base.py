"""The spec as another commit has it: the files of its merge base with what is checked out, in a folder of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from reconciler.errors import ReconcilerError
from reconciler.words import counted, plural

_SUFFIXES = (".yaml", ".yml", ".json")
#: a shallow clone has no history to find it in
_SHALLOW = "fetch the history first: `git fetch --unshallow`, or `fetch-depth: 0` of actions/checkout"


@dataclass(frozen=True, slots=True)
class Base:
    """Where the base's spec is. `folder`: what its files' names begin with, and `shown`: what they are said to begin with instead;
    `warnings`: about the commit."""

    path: Path
    folder: str = ""
    shown: str = ""
    warnings: tuple[str, ...] = ()


@contextmanager
def base_spec(base: str, spec: Path) -> Iterator[Base]:
    """The base's spec: a path that exists, or the spec's own path as of the merge base of a git ref and HEAD. What was taken out of
    git is deleted at the end. Raises ReconcilerError, also for what may be both: whoever adds a file of a ref's name must not choose
    what it is compared with."""
    folder = spec if spec.is_dir() else spec.parent
    if os.path.lexists(base) and not _is_commit(folder, base):
        yield Base(Path(base))
        return
    if os.path.lexists(base) and not base.startswith(("/", "./", "../")):
        raise ReconcilerError(
            f"--base {base}: is a git ref and a path too; write ./{base} for the path, refs/... for the ref"
        )
    root = _git(folder, "rev-parse", "--show-toplevel").rstrip("\n")
    commit, warnings = _merge_base(folder, base)
    # a link is looked at in the commit itself: it may have led elsewhere
    inside = os.path.relpath(os.path.join(os.path.realpath(spec.parent), spec.name), os.path.realpath(root))
    shown = os.path.relpath(root, os.path.curdir)
    with TemporaryDirectory(prefix="reconciler-base-") as into:
        names = _take_out(root, commit, Path(into))
        path = Path(into, inside)
        if not os.path.lexists(path):
            near = [name for name in sorted(names) if os.path.basename(name) == os.path.basename(inside)]
            moved = f" (it has {near[0]})" if near else ""
            raise ReconcilerError(
                f"--base {base}: commit {commit[:12]} has no {inside}{moved}; give the path of a spec"
            )
        yield Base(path, f"{into}/", "" if shown == "." else f"{shown}/", warnings)


def _is_commit(folder: Path, ref: str) -> bool:
    if shutil.which("git") is None or not ref:
        return False
    return _run(folder, ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")).returncode == 0


def _merge_base(folder: Path, ref: str) -> tuple[str, tuple[str, ...]]:
    given = _git(folder, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}", wrong=ref).strip()
    try:
        common = _git(folder, "merge-base", given, "HEAD").strip()
    except ReconcilerError:
        raise ReconcilerError(f"--base {ref}: it has no commit in common with HEAD; {_SHALLOW}") from None
    if common == given:
        return common, ()
    ahead = int(_git(folder, "rev-list", "--count", f"{common}..{given}"))
    return common, (
        f"{ref} has {counted(ahead, 'commit')} that HEAD does not have: the review compares with commit {common[:12]}, where the"
        f" two parted; {plural(ahead, 'it', 'they')} may change what the merge does",
    )


def _take_out(root: str, commit: str, into: Path) -> set[str]:
    """Writes all YAML and JSON files of a commit into a folder, and what links lead to, as they are: no attribute of the repository
    has a say. Returns the names of the files."""
    listed = _git(Path(root), "ls-tree", "-r", "-z", "--full-tree", commit)
    blobs: dict[str, str] = {}
    links: dict[str, str] = {}
    for entry in filter(None, listed.split("\0")):
        about, _, name = entry.partition("\t")
        mode, kind, digest = about.split()
        if kind == "blob":
            (links if mode == "120000" else blobs)[name] = digest
    targets = {name: os.fsdecode(data) for name, data in zip(links, _contents(root, links.values()), strict=True)}
    led_to = {os.path.normpath(os.path.join(os.path.dirname(name), target)) for name, target in targets.items()}
    wanted = {name: digest for name, digest in blobs.items() if name.lower().endswith(_SUFFIXES) or name in led_to}
    for name, data in zip(wanted, _contents(root, wanted.values()), strict=True):
        path = into / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    for name, target in targets.items():
        path = into / name
        inside = not os.path.isabs(target) and not os.path.normpath(
            os.path.join(os.path.dirname(name), target)
        ).startswith("..")
        if not os.path.lexists(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.symlink_to(target if inside else "/nonexistent/outside-of-the-repository")
    return set(wanted)


def _contents(root: str, digests: Iterable[str]) -> list[bytes]:
    """What the blobs hold. Raises ReconcilerError for one that git does not have: a clone may be partial."""
    asked = list(digests)
    if not asked:
        return []
    ran = _run(Path(root), ("cat-file", "--batch"), "".join(f"{digest}\n" for digest in asked).encode())
    found: list[bytes] = []
    at = 0
    for digest in asked:
        end = ran.stdout.find(b"\n", at)
        size = ran.stdout[at:end].split()[-1] if end > 0 else b""
        if not size.isdigit():
            raise ReconcilerError(
                f"git has no file {digest[:12]} of that commit here: the clone is partial; {_SHALLOW}"
            )
        found.append(ran.stdout[end + 1 : end + 1 + int(size)])
        at = end + 1 + int(size) + 1
    return found


def _git(folder: Path, *arguments: str, wrong: str = "") -> str:
    found = _run(folder, arguments)
    if found.returncode == 0:
        return found.stdout.decode("utf-8", "surrogateescape")
    if wrong:
        raise ReconcilerError(f"--base {wrong}: is neither a path nor a commit that git knows here; {_SHALLOW}")
    said = found.stderr.decode("utf-8", "replace").strip().splitlines()
    if "not a git repository" in found.stderr.decode("utf-8", "replace"):
        raise ReconcilerError(f"{folder} is in no git repository; give the path of a spec as --base")
    raise ReconcilerError(f"git {arguments[0]}: {said[0] if said else f'exit code {found.returncode}'}")


def _run(folder: Path, arguments: tuple[str, ...], given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    program = shutil.which("git")
    if program is None:
        raise ReconcilerError(
            "--base: git is not installed, and this is no path; install git, or give the path of a spec"
        )
    # nothing that a repository's configuration names is run (fsmonitor), and nobody is asked anything
    return subprocess.run(  # noqa: S603 - no shell, and a ref that looks like an option is none
        [program, "-c", "core.fsmonitor=false", *arguments],
        cwd=folder,
        input=given,
        capture_output=True,
        check=False,
        env={**os.environ, "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0"},
    )
