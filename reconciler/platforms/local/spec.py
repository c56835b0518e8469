"""The local platform in the spec: a folder, and the users that its server knows."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from reconciler.spec.fields import Fault, Text, each, repeated
from reconciler.spec.registry import GrantTarget, RegistryBase, refused
from reconciler.spec.repository import Repository
from reconciler.words import some_of

#: bytes of a path with the one that ends it, and of one name in it (PATH_MAX and NAME_MAX of Linux,
#: https://man7.org/linux/man-pages/man0/limits.h.0p.html)
LONGEST_PATH, LONGEST_NAME = 4096, 255

User = Annotated[
    str,
    Text(
        r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,127}|\*",
        "a user name (letters, digits and _ . @ -, starting with a letter or digit), or '*' for anyone",
    ),
]


class LocalRegistry(RegistryBase):
    """A registry in a folder of this machine; `reconciler serve` is its server."""

    grant_types = ("local",)
    placing = ("path",)
    pushers_delete = True  # `RIGHTS` in server/auth.py

    platform: Literal["local"] = Field(description="A registry in a folder on this machine, with its own server.")
    path: str = Field(min_length=1, description="The folder, relative to the spec's folder.")

    def place(self, base: str, start: str | None = None) -> tuple[str, ...]:
        if start is None:
            return (str(self.folder(base)),)
        if self.path.startswith(("/", "~")):
            return (self.path,)
        return (os.path.relpath(os.path.join(base, self.path), start),)

    def portable(self, base: str) -> dict[str, Any]:
        return {**super().portable(base), "path": str(self.folder(base))}

    def found_by(self, later: RegistryBase) -> bool:
        return isinstance(later, LocalRegistry) and os.path.normpath(self.path) == os.path.normpath(later.path)

    def native_name(self, repository: str) -> str:
        return repository

    def notes(self, repositories: Sequence[Repository] = ()) -> Iterator[str]:
        scanned = [item.name for item in repositories if item.scan_on_push]
        if scanned:
            yield f"the local platform does not scan images: scan_on_push of {some_of(scanned)} has no effect"

    def faults(self) -> Iterator[Fault]:
        if "\0" in self.path:
            yield Fault(("path",), "contains a NUL character, which a path can't have")
        size = len(self.path.encode())
        longest = max(len(part.encode()) for part in self.path.split("/"))
        if size >= LONGEST_PATH or longest > LONGEST_NAME:
            limits = f"at most {LONGEST_PATH - 1:,} bytes, and {LONGEST_NAME} between slashes"
            yield Fault(("path",), f"is too long for a path: {limits}")

    def repository_faults(self, repository: Repository) -> Iterator[Fault]:
        yield from each(
            self._name_faults(repository),
            refused(repository, "encryption", "the local platform does not encrypt; encrypt the disk instead"),
            refused(repository, "lifecycle_policy", "is for AWS; use retention on the local platform"),
            refused(repository, "native_name", "is for AWS; on the local platform, name is the repository's own name"),
        )

    def _name_faults(self, repository: Repository) -> Iterator[Fault]:
        # each repository is a file; file systems allow 255 bytes, and a slash takes three
        if len(repository.name) + 2 * repository.name.count("/") > 250:
            yield Fault(("name",), "is too long for a file name: at most 250 characters, where a slash counts as three")

    def folder(self, base: str) -> Path:
        """The folder itself, wherever links lead. `base`: what a relative path starts from."""
        try:
            return Path(os.path.realpath(Path(base) / Path(self.path).expanduser()))
        except (OSError, ValueError, RuntimeError):  # no path at all, or of a user that there isn't: opening it says so
            return Path(base, self.path)

    def clashes(self, other: RegistryBase, base: str) -> str | None:
        if not isinstance(other, LocalRegistry):
            return None
        here, there = self.folder(base), other.folder(base)
        if here == there:
            return f"registry {other.name} has the same path" + (
                f" ('{self.path}' and '{other.path}' are both {here})" if self.path != other.path else ""
            )
        if there in here.parents:
            return f"its path is inside that of registry {other.name}: each registry needs a folder of its own"
        return None


class LocalTarget(GrantTarget):
    """Users of the local server."""

    type: Literal["local"] = Field(description="Users of the local registry's server.")
    users: tuple[User, ...] = Field(min_length=1, description="User names, or '*' for anyone, which a guard refuses.")

    def faults(self) -> Iterator[Fault]:
        yield from repeated(self, "users")
