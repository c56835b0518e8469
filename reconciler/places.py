"""Places in the text of a spec, so that whatever is said of a thing can name its line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, order=True)
class Spot:
    """A place in a file. `line` and `column` count from 1."""

    file: str
    line: int
    column: int

    @property
    def at(self) -> str:
        """`file:line:column`, as editors and compilers write it."""
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where a registry, a repository (named `REGISTRY/NAME`), a grant or a cluster stands. `line` and `column` count from 1."""

    kind: Literal["registry", "repository", "grant", "cluster"]
    name: str
    file: str
    line: int
    column: int

    @property
    def at(self) -> str:
        """`file:line:column`, as editors and compilers write it."""
        return f"{self.file}:{self.line}:{self.column}"
