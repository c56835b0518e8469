"""The spec as another commit has it: the files of its merge base with what is checked out, in a folder of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
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
    """Where the base's spec is. `folder`: what its files' names begin with, and nobody need see; `warnings`: about the commit."""

    path: Path
    folder: str = ""
    warnings: tuple[str, ...] = ()


@contextmanager
def base_spec(base: str, spec: Path) -> Iterator[Base]:
    """The base's spec: a path that exists, or the spec's own path as of the merge base of a git ref and HEAD. What was taken out of
    git is deleted at the end. Raises ReconcilerError."""
    if os.path.exists(base):
        yield Base(Path(base))
        return
    folder = spec if spec.is_dir() else spec.parent
    root = _git(folder, "rev-parse", "--show-toplevel").rstrip("\n")
    commit, warnings = _merge_base(folder, base)
    inside = os.path.relpath(os.path.realpath(spec), os.path.realpath(root))
    shown = os.path.relpath(root, os.path.curdir)
    with TemporaryDirectory(prefix="reconciler-base-") as into:
        _take_out(root, commit, Path(into))
        path = Path(into, inside)
        if not path.exists():
            raise ReconcilerError(f"--base {base}: commit {commit[:12]} has no {inside}; give the path of a spec")
        yield Base(path, f"{into}/" if shown == "." else "", warnings)


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


def _take_out(root: str, commit: str, into: Path) -> None:
    """Writes all YAML and JSON files of a commit into a folder, as they are: no attribute of the repository has a say."""
    listed = _git(Path(root), "ls-tree", "-r", "-z", "--full-tree", commit)
    wanted: list[tuple[str, str]] = []
    for entry in filter(None, listed.split("\0")):
        about, _, name = entry.partition("\t")
        mode, kind, digest = about.split()
        if kind == "blob" and mode != "120000" and name.lower().endswith(_SUFFIXES):
            wanted.append((digest, name))
    asked = "".join(f"{digest}\n" for digest, _ in wanted).encode()
    found = _run(Path(root), ("cat-file", "--batch"), asked).stdout
    at = 0
    for _, name in wanted:
        end = found.index(b"\n", at)
        size = int(found[at:end].split()[-1])
        path = into / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(found[end + 1 : end + 1 + size])
        at = end + 1 + size + 1


def _git(folder: Path, *arguments: str, wrong: str = "") -> str:
    found = _run(folder, arguments)
    if found.returncode == 0:
        return found.stdout.decode("utf-8", "surrogateescape")
    if wrong:
        raise ReconcilerError(f"--base {wrong}: is neither a path nor a commit that git knows here; {_SHALLOW}")
    said = found.stderr.decode("utf-8", "replace").strip().splitlines()
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
