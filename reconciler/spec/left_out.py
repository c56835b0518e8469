"""What `defaults.repository` asks for and a registry's platform does not have: it is left out there, and said once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

from pydantic import TypeAdapter, ValidationError

from reconciler.words import all_of

from .fields import Fault
from .registry import RegistryBase
from .repository import Repository, merge_defaults

_DEFAULTS = "defaults.repository"
Row = Mapping[str, Any]


class LeftOut:
    """What is left out of the repositories of a spec. `under`: the defaults as they are written; `adapter` validates a repository."""

    def __init__(self, under: dict[str, Any], adapter: TypeAdapter[Any]) -> None:
        self._under = under
        self._adapter = adapter
        self._found: dict[str, set[str]] = {}

    def of(self, registry: RegistryBase, row: dict[str, Any], item: Repository) -> Repository:
        """The repository that a row and the defaults make, without what comes from the defaults alone and its registry's platform
        does not have; what the row itself says stays, for the rules to object to."""
        if not self._under or not registry.leaves_out or not (item.whole and registry.whole):
            return item
        merged = deepcopy(merge_defaults(self._under, row))
        while (fault := next(self._inherited(registry, row, item), None)) is not None:
            path = _keys(fault)
            if not _remove(merged, path, row):
                return item
            try:
                item = self._adapter.validate_python(merged)
            except ValidationError:  # what is left is nothing without it
                _remove(merged, path[:1], row)
                item = self._adapter.validate_python(merged)
            self._found.setdefault(registry.name, set()).add(".".join(path))
        return item

    def notes(self) -> Iterator[str]:
        """What was left out, a sentence for each registry."""
        for name, found in sorted(self._found.items()):
            it = "it" if len(found) == 1 else "them"
            yield f"registry {name} leaves out {all_of(sorted(found))} of {_DEFAULTS}: its platform can't honour {it}"

    def _inherited(self, registry: RegistryBase, row: Row, item: Repository) -> Iterator[Fault]:
        return (fault for fault in registry.repository_faults(item) if fault.unable and not _has(row, _keys(fault)))


def _keys(fault: Fault) -> tuple[str, ...]:
    """The path as far as it names keys: an item of a list is not left out alone."""
    found: list[str] = []
    for part in fault.loc:
        if not isinstance(part, str):
            break
        found.append(part)
    return tuple(found)


def _has(row: Row, path: tuple[str, ...]) -> bool:
    at: Any = row
    for key in path:
        if not isinstance(at, Mapping) or key not in at:
            return False
        at = at[key]
    return True


def _remove(merged: dict[str, Any], path: tuple[str, ...], row: Row) -> bool:
    """Takes what is at the path away, and whatever of the defaults' is empty without it; False if it is not there."""
    above: list[tuple[dict[str, Any], str]] = []
    at: Any = merged
    for key in path:
        if not isinstance(at, dict) or key not in at:
            return False
        above.append((at, key))
        at = at[key]
    for depth in range(len(above), 0, -1):
        holder, key = above[depth - 1]
        del holder[key]
        if holder or _has(row, path[: depth - 1]):
            break
    return True
