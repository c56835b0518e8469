"""Which repositories a registry has, noted in scope maps of ours, since Azure has no repository before its first push, and no place
on one for a mark.

A scope map gives nobody access unless a token has it, and no token has these. Each is called
`reconciler-ORIGIN[-protected][-deletable][-adopted]-N` and has one action, metadata/read, for each repository that is so; 500 fit
into one (https://docs.azure.cn/en-us/container-registry/container-registry-skus). Its description says whose it is, and of a
deletable one which actions we gave it: what a hand puts there is noted, and its images stay.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from threading import Condition, Lock
from typing import TYPE_CHECKING, Any

from reconciler.errors import PlatformError
from reconciler.model.canonical import digest
from reconciler.model.marks import ORIGIN, OWNER, REGISTRY
from reconciler.platforms import described
from reconciler.spec.fields import REPOSITORY
from reconciler.words import all_of, plural

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
#: the key, in a description, of what is said of the actions of a map whose repositories lose their images when they leave the spec
SUM = "reconciler-sum"


@dataclass(frozen=True, slots=True, order=True)
class Note:
    """What is noted of a repository. `owner`, `registry`: whose its map says that it is. `twice`: whether several maps do, as after a
    run that was cut off; `by_hand`: whether it says that images may go, and a hand may have put it there."""

    name: str
    origin: str = "spec"
    protect: bool = False
    delete_images: bool = False
    adopted: bool = False
    owner: str = field(default="", compare=False)
    registry: str = field(default="", compare=False)
    twice: bool = field(default=False, compare=False)
    by_hand: bool = field(default=False, compare=False)

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
        by_hand = not _is_sound(match[0], said)
        for action in said.get("actions") or ():
            name = _named(str(action))
            if name is not None:
                note = Note(
                    name,
                    match["origin"],
                    match["protected"] is not None,
                    match["deletable"] is not None and not by_hand,
                    match["adopted"] is not None,
                    whose.get(OWNER, ""),
                    whose.get(REGISTRY, ""),
                    by_hand=by_hand,
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
        by_hand=one.by_hand or other.by_hand,
    )


def _sum(name: str, actions: Iterable[str]) -> str:
    """What the description of a map says of its actions."""
    return digest([name, sorted(set(actions))])


def _is_sound(name: str, said: Mapping[str, Any]) -> bool:
    """Whether a map has the actions that we gave it. Only those are asked whose repositories lose their images when they leave the
    spec: whatever else a hand notes makes a repository no easier to delete."""
    match = _MAP.fullmatch(name)
    if match is None or match["deletable"] is None:
        return True
    texts = described.parsed(str(said.get("description") or "")).texts
    return texts.get(SUM) == _sum(name, map(str, said.get("actions") or ()))


def _named(action: str) -> str | None:
    """The repository of which an action is a note; None if it is of none."""
    found = _ACTION.fullmatch(action)
    return found["name"] if found is not None and REPOSITORY.fits(found["name"]) else None


@dataclass(frozen=True, slots=True)
class _Job:
    """What is to be noted of a repository, and whoever waits until it is."""

    note: Note | None
    at: str
    futures: tuple[Future[None], ...]


class Notes:
    """The notes of one registry. Changes that wait while a map is written go together with the next write."""

    def __init__(self, session: AzureSession) -> None:
        self._session = session
        self._turn = Condition(Lock())
        self._waiting: dict[str, _Job] = {}
        #: what this run noted: maps in which nothing else stands are as they should be, whatever a hand did to them
        self._known: dict[str, Note] = {}
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
        mine: Future[None] = Future()
        with self._turn:
            before = self._waiting.get(name)
            self._waiting[name] = _Job(note, at, (*(before.futures if before is not None else ()), mine))
            while self._busy and not mine.done():
                self._turn.wait()
            if mine.done():  # another thread has written it, or could not
                return mine.result()
            batch, self._waiting, self._busy = self._waiting, {}, True
        futures = [future for job in batch.values() for future in job.futures]
        try:
            self._written(batch)
        except BaseException as error:  # whatever it is: nothing of the batch is known to be noted
            for future in futures:
                future.set_exception(error)
            raise
        else:
            for future in futures:
                future.set_result(None)
        finally:
            with self._turn:
                self._busy = False
                self._turn.notify_all()

    def _written(self, batch: Mapping[str, _Job]) -> None:
        at = next(job.at for job in batch.values())
        wanted = {name: job.note for name, job in batch.items()}
        self._known.update({name: note for name, note in wanted.items() if note is not None})
        for _ in range(TRIES):
            items = self._session.scope_maps(at)
            maps, taken = divided(items, self._session.owner)
            doubtful = {name for item in items if not _is_sound(name := str(item.get("name")), properties(item))}
            after = arranged(maps, wanted, taken)
            settled = {name for name in doubtful & after.keys() - taken if self._is_known(name, after[name])}
            changed = {name: actions for name, actions in after.items() if actions != maps.get(name) or name in settled}
            if not changed:
                return
            # what is added first: a repository that is noted twice for a moment is noted, one that is noted nowhere is forgotten
            for name in sorted(changed, key=lambda item: len(changed[item]) < len(maps.get(item, ()))):
                is_sound = name not in doubtful or name in settled
                if not self._write(at, name, maps.get(name), changed[name], is_sound=is_sound):
                    break
        raise PlatformError(
            "what was noted of its repositories was overwritten again and again",
            address=at,
            operation="scopeMaps:update",
            hint="is another run under way? run again when it is over",
        )

    def _is_known(self, name: str, actions: Iterable[str]) -> bool:
        """Whether this run put there all that a map notes."""
        names, group = filter(None, map(_named, actions)), f"{name.rpartition('-')[0]}-"
        return all(item in self._known and self._known[item].group == group for item in names)

    def _write(self, at: str, name: str, before: Sequence[str] | None, after: Sequence[str], *, is_sound: bool) -> bool:
        """Whether it was written: not where it is no longer as it was read (None: not there), since another run has its notes there
        and a PUT or a DELETE would take them away."""
        session, maps = self._session, self._session.client.scope_maps
        found = session.found_plain(at, "scopeMaps:get", partial(maps.get, *session.group, name))
        there = None if found is None else sorted(properties(found).get("actions") or ())
        if there != (None if before is None else sorted(before)):
            return False
        self._send(at, name, after, found, is_sound=is_sound)
        return True

    def _send(self, at: str, name: str, actions: Sequence[str], found: Document | None, *, is_sound: bool) -> None:
        session, maps = self._session, self._session.client.scope_maps
        if not actions:
            self._delete(at, name)
            return
        said: Document = {"actions": list(actions)}
        texts = {SUM: _sum(name, actions)} if "-deletable-" in name else {}
        if found is None:
            marks = {OWNER: session.owner, REGISTRY: session.name, ORIGIN: name.split("-")[1]}
            said["description"] = described.written({**marks, **texts})
            session.done(at, "scopeMaps:create", partial(maps.begin_create, *session.group, name, {"properties": said}))
            return
        there = described.parsed(str(properties(found).get("description") or ""), _is_ours)
        if texts and is_sound and there.texts.get(OWNER) == session.owner:
            said["description"] = described.written({**there.texts, **texts}, **there.of_people)
        session.done(at, "scopeMaps:update", partial(maps.begin_update, *session.group, name, {"properties": said}))

    def _delete(self, at: str, name: str) -> None:
        session = self._session
        try:
            session.done(at, "scopeMaps:delete", partial(session.client.scope_maps.begin_delete, *session.group, name))
        except PlatformError as error:
            # Azure keeps a scope map that a token has, and names none
            having = sorted(
                str(item.get("name"))
                for item in session.tokens(session.own_address())
                if str(properties(item).get("scopeMapId", "")).rpartition("/")[2].lower() == name
            )
            if not having:
                raise
            raise PlatformError(
                held(name, having),
                address=at,
                operation=error.operation,
                request_id=error.request_id,
                code=error.code,
                hint=f"give {plural(len(having), 'it', 'them')} another scope map, and run again: then the note goes",
            ) from None


def held(name: str, tokens: Sequence[str]) -> str:
    """That tokens have a map of notes, as a sentence without its end."""
    return (
        f"somebody gave {plural(len(tokens), 'token')} {all_of(tokens)} the scope map {name}, which is for notes alone"
    )


def names_in(scope_map: Mapping[str, Any]) -> list[str]:
    """The repositories that a scope map notes."""
    return list(filter(None, (_named(str(action)) for action in properties(scope_map).get("actions") or ())))


def _is_ours(key: str, value: str) -> bool:
    return described.is_mark(key) or key == SUM


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
