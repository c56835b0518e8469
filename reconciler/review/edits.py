"""What differs between the texts of two specs, value by value, with the places. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from reconciler.model.canonical import text as canonical
from reconciler.places import Spot
from reconciler.spec.source import Loc
from reconciler.spec.text import SpecText

#: what an edit is about: a registry, repository or grant and its name, or a top-level key and ""
Item = tuple[str, str]


class How(StrEnum):
    """What was done to a value."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"
    RENAMED = "renamed"


#: in the place of a value that is not there; null is one that is
ABSENT = object()


@dataclass(frozen=True, slots=True)
class Edit:
    """One value that differs.

    `path`: below the item, () for the item itself. `spot`: of the value in the head; of a value that was removed, of what it was
    removed from. `base`: of the value in the base, if it was there. `was`: the name that a renamed item had.
    """

    item: Item
    path: Loc
    how: How
    old: Any
    new: Any
    spot: Spot
    base: Spot | None = None
    was: str = ""

    @property
    def order(self) -> tuple[Spot, Loc]:
        """By where it stands."""
        return self.spot, tuple(map(str, self.path))


def edits(base: SpecText, head: SpecText) -> list[Edit]:
    """All that differs, in the order of the head's text."""
    return sorted(_Texts(base, head).edits(), key=lambda edit: edit.order)


class _Texts:
    def __init__(self, base: SpecText, head: SpecText) -> None:
        self.base, self.head = base, head

    def edits(self) -> Iterator[Edit]:
        before = {item: (loc, value) for item, loc, value in self.base.items()}
        after = {item: (loc, value) for item, loc, value in self.head.items()}
        for name in ("name", "defaults", "guards"):
            yield from self.values(
                (name, ""), self.base.values.get(name, ABSENT), self.head.values.get(name, ABSENT), (name,), (name,), ()
            )
        gone = {item: found for item, found in before.items() if item not in after}
        new = {item: found for item, found in after.items() if item not in before}
        for item, (loc, value) in after.items():
            if item in before:
                yield from self.values(item, before[item][1], value, before[item][0], loc, ())
        for item, was in _renamed(gone, new).items():
            (old_loc, old), (loc, value) = gone.pop(was), new.pop(item)
            yield Edit(item, (), How.RENAMED, old, value, self.head.spot(loc), self.base.spot(old_loc), was[1])
            same_name = {**old, "name": value["name"]}  # that it is another is said already
            yield from self.values(item, same_name, value, old_loc, loc, ())
        for item, (loc, value) in new.items():
            yield Edit(item, (), How.ADDED, None, value, self.head.spot(loc))
        for item, (loc, value) in gone.items():
            spot = self.head.spot((str(loc[0]),), key=True)
            yield Edit(item, (), How.REMOVED, value, None, spot, self.base.spot(loc))

    def values(self, item: Item, old: Any, new: Any, was: Loc, now: Loc, path: Loc) -> Iterator[Edit]:
        """`was`, `now`: where the values stand in the two texts."""
        if old == new and type(old) is type(new):
            return
        if isinstance(old, dict) and isinstance(new, dict):
            for key in {**old, **new}:
                before, after = old.get(key, ABSENT), new.get(key, ABSENT)
                yield from self.values(item, before, after, (*was, key), (*now, key), (*path, key))
        elif isinstance(old, list) and isinstance(new, list):
            yield from self.lists(item, old, new, was, now, path)
        elif new is ABSENT:
            spot = (
                self.head.spot(now, key=True) if self.head.has(now) else self.head.spot(now[:-1], key=_is_key(now[:-1]))
            )
            yield Edit(item, path, How.REMOVED, old, None, spot, self.base.spot(was))
        elif old is ABSENT:
            yield Edit(item, path, How.ADDED, None, new, self.head.spot(now, key=isinstance(new, dict | list)))
        else:
            yield Edit(item, path, How.CHANGED, old, new, self.head.spot(now), self.base.spot(was))

    def lists(self, item: Item, old: list[Any], new: list[Any], was: Loc, now: Loc, path: Loc) -> Iterator[Edit]:
        left = Counter(map(canonical, old))
        added = []
        for index, value in enumerate(new):
            if left[canonical(value)] > 0:
                left[canonical(value)] -= 1
            else:
                added.append(index)
        if not added and not +left:
            yield Edit(item, path, How.CHANGED, old, new, self.head.spot(now, key=True), self.base.spot(was, key=True))
            return
        for index in added:
            yield Edit(item, (*path, index), How.ADDED, None, new[index], self.head.spot((*now, index)))
        for index, value in enumerate(old):
            if left[canonical(value)] > 0:
                left[canonical(value)] -= 1
                yield Edit(
                    item, (*path, index), How.REMOVED, value, None, self.of_list(now), self.base.spot((*was, index))
                )

    def of_list(self, now: Loc) -> Spot:
        """Where a list of the head is: at its key, or where its anchor is defined."""
        return min(self.head.spot(now), self.head.spot(now, key=True))


def _is_key(loc: Loc) -> bool:
    return bool(loc) and isinstance(loc[-1], str)


def _renamed(gone: Mapping[Item, tuple[Loc, Any]], new: Mapping[Item, tuple[Loc, Any]]) -> Mapping[Item, Item]:
    """New grants that say what one that is gone said, under another name; to that. One that is for somebody more, or somebody less,
    is the same."""
    were: dict[str, list[Item]] = {}
    for item, (_, value) in gone.items():
        if item[0] == "grant":
            were.setdefault(_nameless(value), []).append(item)
    found: dict[Item, Item] = {}
    for item, (_, value) in new.items():
        if item[0] == "grant" and (alike := were.get(_nameless(value))):
            found[item] = alike.pop(0)
    for item, (_, value) in new.items():
        if item[0] == "grant" and item not in found:
            near = [
                was
                for was, (_, old) in gone.items()
                if was[0] == "grant" and was not in found.values() and _near(old, value)
            ]
            if len(near) == 1:
                found[item] = near[0]
    return found


def _near(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether two grants differ only in whom they are for, and have somebody in common."""
    keys = (old.keys() | new.keys()) - {"name", "to"}
    if any(old.get(key) != new.get(key) for key in keys):
        return False
    then, now = (_whom(value.get("to")) for value in (old, new))
    return not then.isdisjoint(now)


def _whom(to: Any) -> set[str]:
    lists = (value for value in to.values() if isinstance(value, list)) if isinstance(to, dict) else ()
    return {str(item) for found in lists for item in found}


def _nameless(value: Mapping[str, Any]) -> str:
    return canonical({key: below for key, below in value.items() if key != "name"})
