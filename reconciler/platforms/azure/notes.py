"""Which repositories a registry has, noted in scope maps of ours, since Azure has no repository before its first push, and no place
on one for a mark.

A scope map gives nobody access unless a token has it, and no token has these. Each is called
`reconciler-ORIGIN[-protected][-deletable][-adopted]-N` and has one action, metadata/read, for each repository that is so; 500 fit
into one (https://docs.azure.cn/en-us/container-registry/container-registry-skus). Its description says whose it is.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from threading import Condition, Lock
from typing import TYPE_CHECKING, Any

from reconciler.errors import PlatformError
from reconciler.model.marks import ORIGIN, OWNER, REGISTRY
from reconciler.platforms import described
from reconciler.spec.fields import REPOSITORY

from . import rules
from .documents import properties

if TYPE_CHECKING:
    from .session import AzureSession

Document = dict[str, Any]
_MAP = re.compile(
    rf"{rules.NOTES}(?P<origin>[a-z]+)(?P<protected>-protected)?(?P<deletable>-deletable)?(?P<adopted>-adopted)?"
    r"-(?P<number>[0-9]+)"
)
_ACTION = re.compile(r"repositories/(?P<name>[^*]+)/metadata/read")
#: how often a map is written anew when what somebody else wrote meanwhile took its place: a scope map has no etag
TRIES = 8


@dataclass(frozen=True, slots=True, order=True)
class Note:
    """What is noted of a repository. `owner`, `registry`: whose its map says that it is. `twice`: whether several maps do, as after a
    run that was cut off."""

    name: str
    origin: str = "spec"
    protect: bool = False
    delete_images: bool = False
    adopted: bool = False
    owner: str = field(default="", compare=False)
    registry: str = field(default="", compare=False)
    twice: bool = field(default=False, compare=False)

    @property
    def group(self) -> str:
        """What the names of the maps that hold it begin with."""
        words = {"protected": self.protect, "deletable": self.delete_images, "adopted": self.adopted}
        return f"{rules.NOTES}{'-'.join((self.origin, *(word for word, said in words.items() if said)))}-"

    @property
    def action(self) -> str:
        """How it stands there."""
        return f"repositories/{self.name}/metadata/read"


def read(maps: Iterable[Mapping[str, Any]]) -> list[Note]:
    """The notes in a registry's scope maps; one that is noted twice, after a change that was cut off, as both allow."""
    found: dict[str, Note] = {}
    for item in sorted(maps, key=lambda item: str(item.get("name"))):
        match = _MAP.fullmatch(str(item.get("name", "")))
        if match is None:
            continue
        said = item.get("properties") or {}
        whose = described.parsed(str(said.get("description") or "")).texts
        for action in said.get("actions") or ():
            name = _ACTION.fullmatch(str(action))
            if name is not None and REPOSITORY.fits(name["name"]):  # no other is a note of ours
                note = Note(
                    name["name"],
                    match["origin"],
                    match["protected"] is not None,
                    match["deletable"] is not None,
                    match["adopted"] is not None,
                    whose.get(OWNER, ""),
                    whose.get(REGISTRY, ""),
                )
                found[note.name] = _stricter(found.get(note.name), note)
    return list(found.values())


def _stricter(one: Note | None, other: Note) -> Note:
    """Of two notes of one repository what both allow: it is protected if one says so, and deletable if both do. It is somebody's
    if one says whose."""
    if one is None:
        return other
    return Note(
        one.name,
        max(one.origin, other.origin),  # `spec` is before nothing that a program made
        one.protect or other.protect,
        one.delete_images and other.delete_images,
        one.adopted or other.adopted,
        *((one.owner, one.registry) if one.owner else (other.owner, other.registry)),
        twice=True,
    )


class Notes:
    """The notes of one registry. Changes that wait while a map is written go together with the next write."""

    def __init__(self, session: AzureSession) -> None:
        self._session = session
        self._turn = Condition(Lock())
        self._waiting: dict[str, tuple[Note | None, str]] = {}
        self._failed: dict[str, PlatformError] = {}
        self._busy = False

    def put(self, note: Note, at: str) -> None:
        """Notes a repository. Raises PlatformError."""
        self._change(note.name, note, at)

    def remove(self, name: str, at: str) -> None:
        """Takes the note of a repository away; none is no error. Raises PlatformError."""
        self._change(name, None, at)

    def close(self) -> None:
        """Nothing is held."""

    def _change(self, name: str, note: Note | None, at: str) -> None:
        with self._turn:
            self._failed.pop(name, None)
            self._waiting[name] = (note, at)
            while self._busy and name in self._waiting:
                self._turn.wait()
            if name not in self._waiting:  # another thread has written it
                if name in self._failed:
                    raise self._failed.pop(name)
                return
            batch, self._waiting, self._busy = self._waiting, {}, True
        try:
            self._written(batch)
        except PlatformError as error:
            with self._turn:
                self._failed.update({item: error for item in batch if item != name})
            raise
        finally:
            with self._turn:
                self._busy = False
                self._turn.notify_all()

    def _written(self, batch: Mapping[str, tuple[Note | None, str]]) -> None:
        at = next(at for _, at in batch.values())
        wanted = {name: note for name, (note, _) in batch.items()}
        for _ in range(TRIES):
            maps, taken = self._maps(at)
            after = arranged(maps, wanted, taken)
            changed = {name: actions for name, actions in after.items() if actions != maps.get(name)}
            if not changed:
                return
            # what is added first: a repository that is noted twice for a moment is noted, one that is noted nowhere is forgotten
            for name in sorted(changed, key=lambda item: len(changed[item]) < len(maps.get(item, ()))):
                if not self._write(at, name, maps.get(name), changed[name]):
                    break
        raise PlatformError(
            "what was noted of its repositories was overwritten again and again",
            address=at,
            operation="scopeMaps:update",
            hint="is another run under way? run again when it is over",
        )

    def _maps(self, at: str) -> tuple[dict[str, list[str]], set[str]]:
        """As `divided` has them, read now. Raises PlatformError."""
        return divided(self._session.scope_maps(at), self._session.owner)

    def _write(self, at: str, name: str, before: Sequence[str] | None, after: Sequence[str]) -> bool:
        """Whether it was written: not where it is no longer as it was read (None: not there), since another run has its notes there
        and a PUT or a DELETE would take them away."""
        session, maps = self._session, self._session.client.scope_maps
        found = session.found_plain(at, "scopeMaps:get", partial(maps.get, *session.group, name))
        there = None if found is None else sorted(properties(found).get("actions") or ())
        if there != (None if before is None else sorted(before)):
            return False
        self._send(at, name, after, is_there=there is not None)
        return True

    def _send(self, at: str, name: str, actions: Sequence[str], *, is_there: bool) -> None:
        session, maps = self._session, self._session.client.scope_maps
        if not actions:
            session.done(at, "scopeMaps:delete", partial(maps.begin_delete, *session.group, name))
            return
        said: Document = {"actions": list(actions)}
        if is_there:
            session.done(at, "scopeMaps:update", partial(maps.begin_update, *session.group, name, {"properties": said}))
        else:
            texts = {OWNER: session.owner, REGISTRY: session.name, ORIGIN: name.split("-")[1]}
            said["description"] = described.written(texts)
            session.done(at, "scopeMaps:create", partial(maps.begin_create, *session.group, name, {"properties": said}))


def divided(maps: Iterable[Mapping[str, Any]], of: str) -> tuple[dict[str, list[str]], set[str]]:
    """The actions of an owner's maps and of nobody's by their names, and the names of those that get no note of theirs: another
    spec's, and nobody's, from which only what is adopted is taken away. Pure."""
    ours, others = {}, set()
    for item in maps:
        name, said = str(item.get("name", "")), item.get("properties") or {}
        if _MAP.fullmatch(name):
            owner = described.parsed(str(said.get("description") or "")).texts.get(OWNER)
            if owner in (of, None):
                ours[name] = list(said.get("actions") or ())
            if owner != of:
                others.add(name)
    return ours, others


def arranged(
    maps: Mapping[str, Sequence[str]], wanted: Mapping[str, Note | None], taken: Collection[str] = ()
) -> dict[str, list[str]]:
    """The actions of each map once these repositories are noted so (None: not at all); all others stay where they are. `taken`: names
    that no map of ours can have. Pure."""
    gone = {f"repositories/{name}/metadata/read" for name in wanted}
    after = {name: [action for action in actions if action not in gone] for name, actions in maps.items()}
    for note in sorted(item for item in wanted.values() if item is not None):
        places = (f"{note.group}{number}" for number in range(1, len(after) + len(taken) + 2))
        place = next(name for name in places if name not in taken and len(after.get(name, ())) < rules.MAX_ACTIONS)
        after.setdefault(place, []).append(note.action)
    for name, actions in after.items():
        before = maps.get(name)
        if before is not None and set(before) == set(actions):
            after[name] = list(before)
    return after
