"""The field-by-field difference of two settings: equality first, deepdiff on what is not equal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.model.canonical import plain
from reconciler.model.change import FieldChange
from reconciler.model.kind import GivesAccess, Home, Kind
from reconciler.model.resource import Desired, Live, Settings


def changes_to(kind: Kind, live: Live, new: Settings) -> tuple[FieldChange, ...]:
    """What a write of settings changes on a live resource, with what it takes the place of and what it gives back."""
    theirs = kind.beside(live)
    changes = changes_of(kind, live.settings, new)
    return tuple(_with_theirs(item, theirs[item.path]) if item.path in theirs else item for item in changes)


def set_by(kind: Kind, wanted: Desired, home: Home) -> tuple[FieldChange, ...]:
    """What a create sets beside what is usual, and which of that the sentences on who gains access say too."""
    said, unsaid = (kind.said, kind.unsaid) if isinstance(kind, GivesAccess) else (frozenset(), frozenset())

    def is_said(name: str) -> bool:
        return name in said if said is not None else name not in unsaid

    return tuple(
        FieldChange(item.path, None, item.new, said=is_said(item.path.partition(".")[0]))
        for item in differences(kind.usual(wanted.address, home), kind.shown(wanted.settings))
    )


def _with_theirs(change: FieldChange, theirs: Any) -> FieldChange:
    if change.old is None:
        return FieldChange(change.path, theirs, change.new, "old")
    if change.new is None:
        return FieldChange(change.path, change.old, theirs, "new")
    return change


def changes_of(kind: Kind, old: Settings, new: Settings) -> tuple[FieldChange, ...]:
    """What differs between two settings of a kind as people read them, sorted by path.

    Settings that differ always have a difference: where both are shown alike, it is that of the settings as they are.
    """
    if old == new:
        return ()
    return differences(kind.shown(old), kind.shown(new)) or differences(plain(old), plain(new))


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[FieldChange, ...]:
    """What differs, sorted by path. Lists are compared and shown as wholes; None stands for nothing."""
    if old == new:
        return ()
    unequal = {name for name in old.keys() | new.keys() if old.get(name) != new.get(name)}
    deep = {name for name in unequal if isinstance(old.get(name), Mapping) and isinstance(new.get(name), Mapping)}
    paths: set[tuple[str, ...]] = {(name,) for name in unequal - deep}
    if deep:
        paths |= _paths_below({name: old[name] for name in deep}, {name: new[name] for name in deep})
    changes = (FieldChange(".".join(path), _at(old, path), _at(new, path)) for path in sorted(paths))
    return tuple(change for change in changes if change.old != change.new)


def _paths_below(old: Mapping[str, Any], new: Mapping[str, Any]) -> set[tuple[str, ...]]:
    from deepdiff import DeepDiff  # here: it costs 60 ms to import, and most plans differ in nothing that is nested

    tree = DeepDiff(_leaves(old), _leaves(new), view="tree", ignore_order=False, threshold_to_diff_deeper=0)
    return {_named_path(item.path(output_format="list")) for group in tree.values() for item in group}


def _leaves(value: Any) -> Any:
    """The same mappings, with each list as text, so that a difference in it is a difference of the whole."""
    if isinstance(value, Mapping):
        return {key: _leaves(item) for key, item in value.items()}
    return repr(value) if isinstance(value, list) else value


def _named_path(path: list[Any]) -> tuple[str, ...]:
    return tuple(str(part) for part in path)


def _at(value: Any, path: tuple[str, ...]) -> Any:
    for part in path:
        if not isinstance(value, Mapping) or part not in value:
            return None
        value = value[part]
    return value
