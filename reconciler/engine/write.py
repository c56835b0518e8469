"""One change made true: re-read, written through its kind, and compared with what was wanted."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from reconciler.errors import Moved, PlatformError, ReconcilerError, TimeIsUp, os_sentence
from reconciler.model.address import Address
from reconciler.model.call_log import changing, working_on
from reconciler.model.canonical import applied_hash
from reconciler.model.change import Action, Change
from reconciler.model.kind import UNCOUNTED, HoldsImages, Kind, Releasable, Trait, Write
from reconciler.model.marks import ADOPTED, APPLIED, REGISTRY, Marks, Origin
from reconciler.model.platform import Session
from reconciler.model.resource import Desired, Live
from reconciler.places import Place
from reconciler.redaction import redacted
from reconciler.words import counted, one_line, value

from .cause import changed_settings
from .fields import changes_of
from .whole import count as images_of
from .whole import given_since

LOGGER = logging.getLogger("reconciler.faults")
#: the message of a delete that had nothing to delete
GONE = "it was already gone"


class Status(StrEnum):
    """What became of a change."""

    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"  # something it needs failed, or the run was interrupted
    STALE = "stale"  # its resource moved since the plan was made; nothing was written


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one change. `seconds`: how long it took. `places`: what in the spec an error is about. `time_is_up`: it failed
    because the platform throttled it until the time limit ran out. `live`: what was created, as the platform answered it.
    """

    address: Address
    action: Action
    status: Status
    message: str = ""
    seconds: float = 0.0
    request_id: str = ""
    places: tuple[Place, ...] = ()
    time_is_up: bool = False
    live: Live | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class Task:
    """All that one change needs on its way to wherever it is carried out.

    `origin`: what the resource will say made it. `carried`: its parent was made in this run, with its mark. `remade`: its
    parent was replaced, in this run or in one that was cut off, and holds what others had put there.
    `known`: what the session is told of its resource and the parent before it reads them. `going`: what else the plan deletes in the
    registry, as `whole.going_with` has it.
    """

    change: Change
    owner: str
    origin: Origin = "spec"
    children: tuple[Desired, ...] = ()
    carried: bool = False
    remade: bool = False
    fresh: frozenset[Address] = frozenset()
    known: tuple[Desired | Live, ...] = ()
    going: Mapping[Address, int] = field(default_factory=dict)


def carry_out(session: Session, task: Task) -> Outcome:
    """Carries one change out and never raises what a platform says. A function of its own, so that any executor can run it."""
    change = task.change
    started = time.monotonic()
    status, message, request_id = Status.DONE, "", ""
    places: tuple[Place, ...] = ()
    time_is_up = False
    made: Live | None = None
    with working_on(change.address), changing():
        try:
            message, made = write(session, task)
        except PlatformError as error:
            status, message, request_id, places = Status.FAILED, str(error), error.request_id, error.places
            time_is_up = isinstance(error, TimeIsUp)
        except Moved as moved:
            status, message = Status.STALE, one_line(str(moved))
        except ReconcilerError as error:
            status, message = Status.FAILED, one_line(str(error))
        except OSError as error:  # a folder that is full, say
            status, message = Status.FAILED, os_sentence(error)
        except Exception as error:  # what else is under way has an outcome too, and this one must not be lost
            LOGGER.debug("%s: internal error", change.address, exc_info=True)
            status, message = (
                Status.FAILED,
                one_line(redacted(f"internal error ({type(error).__name__}: {error}); please report it")),
            )
    seconds = time.monotonic() - started
    message = message.removeprefix(f"{change.address}: ")  # whoever prints an outcome names its address
    return Outcome(change.address, change.action, status, message, seconds, request_id, places, time_is_up, made)


class NotConverged(ReconcilerError):
    """The platform accepted the write and answered something else than was asked for."""


def write(session: Session, task: Task) -> tuple[str, Live | None]:
    """Writes one change; returns what is to be said of it beside that it is done, most often nothing, and what was created.

    Raises Moved, NotConverged and PlatformError.
    """
    change = task.change
    kind = session.platform.kinds[change.kind]
    session.learn(task.known)
    live = _current(session, kind, task)
    wanted = change.desired
    if wanted is None:
        if live is None or _is_gone(change, live):
            return GONE, None
        if change.action is Action.RELEASE:
            return _release(session, kind, live), None
        kind.delete(session, live, force=change.force)
        return "", None
    # what may hold images from before is guarded as what was there before is
    adopted = (
        change.action is Action.ADOPT
        or change.may_be_there
        or (change.action is Action.UPDATE and live is not None and live.marks.adopted)
    )
    marks = Marks(task.owner, task.origin, applied_hash(wanted.settings), change.registry, adopted)
    asked = Write(wanted, marks, changed_settings(wanted, live), task.children, task.carried, task.fresh)
    if live is None:
        now = kind.create(session, asked)
    elif change.action is Action.REPLACE:
        now = kind.replace(session, asked, live, force=change.force)
    else:
        now = kind.update(session, asked, live)
    wrong = unconverged(change, now, session)
    if wrong:
        raise NotConverged(f"did not converge: the platform answered that {wrong}")
    return "", now if live is None else None


def _release(session: Session, kind: Kind, live: Live) -> str:
    if not isinstance(kind, Releasable):
        raise TypeError(f"{live.address} can't be released")
    now = kind.release(session, live)
    if now is None:
        return GONE
    if now.marks != Marks():
        raise NotConverged("did not converge: the platform answered that its marks are still there")
    return ""


def _current(session: Session, kind: Kind, task: Task) -> Live | None:
    """What is there right before the write. Raises Moved if that is not what the plan saw."""
    change = task.change
    if task.remade:
        return kind.read_one(session, change.address)  # whatever is there, the replacement has just put there
    if task.carried or (change.live is None and Trait.UPSERTS not in kind.traits):
        return change.live
    live = kind.read_one(session, change.address)
    moved = moved_since(change, live, session, task.going)
    if moved:
        raise Moved(moved)
    return live


def moved_since(change: Change, now: Live | None, session: Session, going: Mapping[Address, int]) -> str:
    """What moved between the plan and now, in words; "" if nothing did, or if what was to be deleted is gone already. `going`: as
    `whole.going_with` has it."""
    if change.lets_go and _is_gone(change, now):
        return ""
    kind = session.platform.kinds[change.kind]
    before = change.live
    meanwhile = map(kind.fingerprint, kind.meanwhile(before)) if before is not None else ()
    if (found := kind.fingerprint(now)) != change.fingerprint and found not in meanwhile:
        if now is None:
            return "it was deleted since the plan was made"
        if before is None:
            return "it was created since the plan was made"
        fields = changes_of(kind, before.settings, now.settings)
        said = [f"{item.path} was {value(item.old)}, is now {value(item.new)}" for item in fields]
        if now.version not in ("", before.version):
            said = ["somebody else has written it since the plan was made", *said, *now.notes]
        if said:
            return "; ".join(said)
        if kind.in_order(before.rest) != kind.in_order(now.rest):
            return "what others keep in the same document changed"
        return "its owner's marks changed"
    if change.removes and change.images is not None and now is not None and isinstance(kind, HoldsImages):
        count, why = images_of(kind, session, now, going)
        if count == UNCOUNTED:
            return "" if change.images == UNCOUNTED else f"its images can't be counted now: {why}"
        if change.images != UNCOUNTED and count > change.images:
            return f"it holds {counted(count, 'image')} now; it held {change.images} when the plan was made"
        # a replacement keeps what others gave
        given = kind.given_by_others(session, now) if change.desired is None else ()
        new = ", ".join(given_since(kind, change, given))
        if new:
            return f"somebody else gave access since the plan was made: {new}"
    return ""


def _is_gone(change: Change, now: Live | None) -> bool:
    """Whether nothing is left of what was there, and nothing that says that it is ours."""
    if now is None:
        return True
    was_there = change.live is not None and not change.live.vacant
    return was_there and now.vacant and not now.owed and now.marks == Marks()


def unconverged(change: Change, now: Live | None, session: Session) -> str:
    """How the resource differs from what was wanted, in words; "" if it does not."""
    wanted = change.desired
    if wanted is None:
        if now is None or now.vacant:
            return ""
        if change.action is Action.RELEASE:
            return "its marks are still there" if now.marks.owner == session.owner else ""
        shared = Trait.SHARED in session.platform.kinds[change.kind].traits
        # our part of what others share is gone where nothing says that it is ours; anything else is deleted or is there
        return "" if shared and now.marks.owner != session.owner else "it still exists"
    if now is None:
        return "it does not exist"
    kind = session.platform.kinds[change.kind]
    if now.settings != wanted.settings:
        fields = changes_of(kind, now.settings, wanted.settings)
        return "; ".join(f"{item.path} is {value(item.old)}, not {value(item.new)}" for item in fields)
    if now.marks.owner != session.owner:
        return f"its owner is {now.marks.owner or 'nobody'}, not {session.owner}"
    if change.action is Action.ADOPT and not now.marks.adopted and Trait.INHERITS not in kind.traits:
        return f"{ADOPTED} is missing"
    if now.marks.registry != change.registry and Trait.INHERITS not in kind.traits:
        return f"{REGISTRY} is {now.marks.registry}, not {change.registry}"
    if now.marks.applied != applied_hash(wanted.settings):
        return f"{APPLIED} is {now.marks.applied}, not {applied_hash(wanted.settings)}"
    return ""
