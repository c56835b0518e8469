"""Repositories that are this spec's, and of a registry that it does not have: one that was renamed, or removed. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from reconciler.model.marks import Marks
from reconciler.words import counted, plural, some_of

HOW = (
    "put the registry back into the spec under that name, with retired: true to have them deleted (`reconciler help"
    " renaming-a-registry-or-a-spec` says how to keep them under another)"
)


class Orphans:
    """Those among the repositories of a project that somebody lists. `registries`: the names that the spec has."""

    def __init__(self, owner: str, registries: Collection[str]) -> None:
        self._owner, self._registries = owner, registries
        self._found: dict[str, list[str]] = {}

    def see(self, repository: Mapping[str, Any]) -> None:
        """Looks at one, as Google answers it."""
        marks = Marks.of(repository.get("labels") or {})
        if marks.owner == self._owner and marks.registry is not None and marks.registry not in self._registries:
            self._found.setdefault(marks.registry, []).append(str(repository["name"]).rpartition("/")[2])

    def said(self) -> Iterator[str]:
        """A sentence for each such registry."""
        for registry, names in sorted(self._found.items()):
            yield (
                f"{counted(len(names), 'repository', 'repositories')} ({some_of(sorted(names))}) of this spec"
                f" {plural(len(names), 'belongs', 'belong')} to a registry '{registry}', which it does not have: with all access to"
                f" them, and with the accounts {registry}-pull and {registry}-push, they stay, and nothing else of them is looked at;"
                f" {HOW}"
            )
