"""The files of a spec as a commit has them, in a folder of their own: the spec's and what they name, nothing else of the clone."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from reconciler.errors import ReconcilerError
from reconciler.spec.include import names_included

from .git import Git

SUFFIXES = (".yaml", ".yml", ".json")
#: where a link leads to that leads out of the repository: nowhere
_OUTSIDE = "/nonexistent/outside-of-the-repository"
#: links that one path may lead through, as Linux has it (https://man7.org/linux/man-pages/man7/path_resolution.7.html)
_MOST_LINKS = 40


class CommitFiles:
    """The files of a commit, which are read from git as they are asked for: a clone may be partial, and then each is fetched.

    `names`: all files and links that the commit has. `taken`: those that were written into the folder.
    """

    def __init__(self, git: Git, commit: str, into: Path) -> None:
        self._git, self._into = git, into
        self._links: dict[str, str] = {}
        self._blobs: dict[str, str] = {}
        self._folders = {""}
        self._written: list[str] = []
        self.taken: set[str] = set()
        for entry in git.names("ls-tree", "-r", "-z", "--full-tree", commit):
            about, _, name = entry.partition("\t")
            mode, kind, digest = about.split()
            if kind == "blob":
                (self._links if mode == "120000" else self._blobs)[name] = digest
                self._folders.update(str(above) for above in PurePosixPath(name).parents if above.name)

    @property
    def names(self) -> set[str]:
        return {*self._links, *self._blobs}

    def digest(self, name: str) -> str:
        """The id of what a file holds; "" if there is no such file, or a link."""
        return self._blobs.get(name, "")

    def has(self, name: str, *, folder: bool = False) -> bool:
        """Whether the commit has a file of that name, or a folder with a spec's files, or a link to one. `folder`: a folder alone."""
        at = self._led_to(name)
        if name in self._links and not folder:  # one to nowhere is read, and said to be one
            return True
        if at is None or (folder and at in self._blobs):
            return False
        return at in self._blobs or bool(at in self._folders and self.parts(at))

    def is_folder(self, name: str) -> bool:
        """Whether it is a folder there, or a link to one."""
        return self._led_to(name) in self._folders

    def parts(self, folder: str) -> list[str]:
        """The YAML and JSON files and the links of a folder and the folders in it that may be a spec's: what is hidden is not."""
        start = f"{folder}/" if folder else ""
        below = ((name, name.removeprefix(start)) for name in self.names if name.startswith(start))
        return sorted(
            name
            for name, rest in below
            if not any(part.startswith(".") for part in rest.split("/"))
            and (name in self._links or name.lower().endswith(SUFFIXES))
        )

    def take(self, spec: str) -> None:
        """Writes the files of a spec, a file or a folder of that name, with what its links lead to and the guards that it includes,
        as they are in git: no attribute of the repository has a say. Raises ReconcilerError."""
        self._take([spec])
        folder = spec if self.is_folder(spec) else os.path.dirname(spec)
        named = {
            os.path.join(folder, included)
            for name in sorted(self.taken)
            for included in names_included(name, (self._into / name).read_bytes())
        }
        self._take(sorted(named))
        self._keep_inside()

    def _take(self, asked: Iterable[str]) -> None:
        found: set[str] = set()
        seen: set[str] = set()
        waiting = list(asked)
        while waiting:
            at = self._led_to(waiting.pop())
            if at is None or at in seen:
                continue
            seen.add(at)
            if at in self._blobs:
                found.add(at)
            elif at in self._folders:
                waiting += (part for part in self.parts(at) if part.lower().endswith(SUFFIXES) or self.is_folder(part))
                (self._into / at).mkdir(parents=True, exist_ok=True)
        wanted = sorted(found - self.taken)
        for name, data in zip(wanted, self.contents(self._blobs[name] for name in wanted), strict=True):
            path = self._into / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        self.taken |= found

    def _keep_inside(self) -> None:
        """Makes links that lead out of the folder through other links lead nowhere."""
        top = os.path.realpath(self._into)
        for link in self._written:
            if os.path.commonpath((top, os.path.realpath(self._into / link))) != top:
                (self._into / link).unlink()
                (self._into / link).symlink_to(_OUTSIDE)

    def _led_to(self, name: str) -> str | None:
        """Where a path leads in the commit, through links, as the file system would read it; the links on the way are written. None
        for out of the repository, and for a circle."""
        at: list[str] = []
        ahead = [part for part in reversed(name.split("/")) if part not in ("", ".")]
        links = 0
        while ahead:
            part = ahead.pop()
            if part == "..":
                if not at:
                    return None
                at.pop()
                continue
            at.append(part)
            here = "/".join(at)
            if here in self._links:
                links += 1
                target = self._target(here)
                if target is None or links > _MOST_LINKS:
                    return None
                at.pop()
                ahead += [item for item in reversed(target.split("/")) if item not in ("", ".")]
        return "/".join(at)

    def _target(self, link: str) -> str | None:
        """What a link holds, once it is written; None where that leads out of the repository."""
        path = self._into / link
        if not os.path.lexists(path):
            (data,) = self.contents([self._links[link]])
            target = os.fsdecode(data)
            away = os.path.isabs(target) or "\0" in target or _leaves(os.path.dirname(link), target)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.symlink_to(_OUTSIDE if away else target)
            self._written.append(link)
        target = os.readlink(path)
        return None if target == _OUTSIDE else target

    def contents(self, digests: Iterable[str]) -> Iterator[bytes]:
        """What the blobs hold. Raises ReconcilerError for one that git does not have: a clone may be partial."""
        asked = list(digests)
        if not asked:
            return
        ran = self._git.run("cat-file", "--batch", given="".join(f"{digest}\n" for digest in asked).encode())
        at = 0
        for digest in asked:
            end = ran.stdout.find(b"\n", at)
            size = ran.stdout[at:end].split()[-1] if end > 0 else b""
            if not size.isdigit():
                raise ReconcilerError(
                    f"git has no file {digest[:12]} of that commit here, and could not fetch it: the clone is partial;"
                    " `git fetch --refetch --filter=blob:limit=32m` fetches what is missing"
                )
            yield ran.stdout[end + 1 : end + 1 + int(size)]
            at = end + 1 + int(size) + 1


def _leaves(folder: str, target: str) -> bool:
    return os.path.normpath(os.path.join(folder, target)).split("/")[0] == ".."
