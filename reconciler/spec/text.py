"""What a spec's text says, value by value, and where each value stands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from yaml import MappingNode

from reconciler.places import Spot

from .source import Loc, exists, locate

#: the lists of a spec, and what one of their items is called
ITEMS = {"registries": "registry", "repositories": "repository", "grants": "grant", "clusters": "cluster"}


class SpecText:
    """The plain values of a valid spec, before defaults are merged, and the places of these values."""

    def __init__(self, root: MappingNode, values: Mapping[str, Any]) -> None:
        self._root = root
        self.values = values
        #: what the names of files begin with, and what they are said to begin with instead
        self.folder = self.shown = ""

    def spot(self, loc: Loc, *, key: bool = False) -> Spot:
        """Where the value at a path begins (of an alias: where its anchor is), or the deepest that there is on the way. `key`: where
        its key does."""
        mark = locate(self._root, loc, key=key).start_mark
        name = str(mark.name)
        if self.folder and name.startswith(self.folder):
            name = self.shown + name.removeprefix(self.folder)
        return Spot(name, mark.line + 1, mark.column + 1)

    def has(self, loc: Loc) -> bool:
        """Whether the text has every part of the path."""
        return exists(self._root, loc)

    def items(self) -> Iterator[tuple[tuple[str, str], Loc, Any]]:
        """Each registry, repository (named `REGISTRY/NAME`), grant and cluster: what it is and its name, its place, and its value."""
        for section, kind in ITEMS.items():
            for index, value in enumerate(self.values.get(section) or ()):
                name = f"{value['registry']}/{value['name']}" if kind == "repository" else value["name"]
                yield (kind, name), (section, index), value
