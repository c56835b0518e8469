"""One change as its readers see it: every value and sentence that a form may show of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from reconciler.model.access import taken
from reconciler.model.address import Address
from reconciler.model.change import Action, Cause, Change, FieldChange
from reconciler.model.resource import NativeName
from reconciler.words import natural, value

from . import counts, sentences
from .sentences import Sentence

#: the marks are written last, so they can't tell one from the other
BY_WHOM = "by hand or by an interrupted apply"
UNTOUCHED = (
    "nobody has changed it since the last apply, but the login that it holds ends, or is to be another one by now; an apply renews"
    " it, and so does `reconciler refresh`"
)
SIGNS = {
    Action.CREATE: "+",
    Action.UPDATE: "~",
    Action.REPLACE: "-/+",
    Action.DELETE: "-",
    Action.ADOPT: "!",
    Action.RELEASE: ".",
}
_STATES = {
    Action.CREATE: "does not exist",
    Action.DELETE: "is no longer in the spec",
    Action.REPLACE: "differs in settings that can't be changed",
    Action.ADOPT: "exists and will be adopted",
    Action.UPDATE: "differs",
    Action.RELEASE: "will be released",
}


class Meaning(StrEnum):
    """What a detail of a change is about."""

    NATIVE_NAME = "native name"
    FIELD = "field"
    GAIN = "gain"
    LOSS = "loss"
    REMOVAL = "removal"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Detail:
    """One sentence about a change."""

    meaning: Meaning
    text: str


@dataclass(frozen=True, slots=True)
class FieldItem:
    """One field's change, its values as people read them. `new_resource`: the resource itself is new, so `old` is (none). `said`:
    whether sentences on access say it too."""

    path: str
    old: str
    new: str
    new_resource: bool
    theirs: str = ""
    said: bool = False

    @property
    def text(self) -> str:
        """`path: old → new`, or `path: value` of a new resource."""
        if self.new_resource:
            return f"{self.path}: {self.new}"
        if self.theirs and self.old == self.new:
            return f"{self.path}: {self.new} (set by somebody else, kept)"
        return f"{self.path}: {self.old}{_theirs(self.theirs == 'old')} → {self.new}{_theirs(self.theirs == 'new')}"

    @property
    def compared(self) -> str:
        """`path: old (live), new (spec)`."""
        if self.theirs and self.old == self.new:
            return f"{self.path}: {self.new} (live, set by somebody else, kept)"
        if self.theirs == "new":
            return f"{self.path}: {self.old} (live), (none) (spec); {self.new}, set by somebody else, is restored"
        live = "live, set by somebody else" if self.theirs else "live"
        return f"{self.path}: {self.old} ({live}), {self.new} (spec)"


def _theirs(whether: bool) -> str:
    return " (set by somebody else)" if whether else ""


@dataclass(frozen=True, slots=True)
class ChangeItem:
    """One change.

    `title`: the kind and the name. `state`: how the resource differs, as the end of a sentence that starts with its address.
    `removal`: what becomes of its images. `gap`: what a replacement means. `along`: what goes with it. `foreign`: sentences on what
    others gave and goes with it. `by_hand`: who can do what, or no longer, since the last apply. `was_there`: it goes away, and was
    there before a spec adopted it. `native_name`: what the platform calls it, and where its images are pulled from.
    """

    action: Action
    sign: str
    title: str
    address: Address
    kind: str
    cause: Cause
    state: str
    fields: tuple[FieldItem, ...] = ()
    gains: tuple[Sentence, ...] = ()
    losses: tuple[Sentence, ...] = ()
    removal: str = ""
    gap: str = ""
    along: tuple[Address, ...] = ()
    foreign: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    by_hand: tuple[str, ...] = ()
    was_there: bool = False
    native_name: str = ""

    @property
    def drifted(self) -> bool:
        """Whether the platform was changed since the last apply, by hand or by an interrupted apply."""
        return self.cause in (Cause.DRIFT, Cause.BOTH)

    @property
    def details(self) -> Iterator[Detail]:
        """All that there is to say of it, in reading order."""
        if self.native_name:
            yield Detail(Meaning.NATIVE_NAME, self.native_name)
        # for a new grant the sentences on access say it all; for anything else the fields say exactly what is written
        yield from (Detail(Meaning.FIELD, item.text) for item in self.fields if not item.said)
        yield from (Detail(Meaning.GAIN, sentence.text) for sentence in self.gains)
        yield from (Detail(Meaning.LOSS, sentence.text) for sentence in self.losses)
        if self.action is Action.REPLACE:
            yield Detail(Meaning.REMOVAL, self.gap)
        if self.was_there:
            yield Detail(Meaning.REMOVAL, "was there before reconciler adopted it")
        if self.action is Action.RELEASE:
            other = "its other settings" if self.fields else "settings"
            yield Detail(Meaning.NOTE, f"is kept, with its images and {other}, and is no longer owned by this spec")
        if self.removal:
            yield Detail(Meaning.REMOVAL, self.removal)
        if self.along:
            names = ", ".join(address.partition(".")[2] for address in self.along)
            yield Detail(Meaning.REMOVAL, f"also deletes {names}")
        for sentence in self.foreign:
            yield Detail(Meaning.REMOVAL, f"also removes what somebody else gave: {sentence}")
        yield from (Detail(Meaning.NOTE, note) for note in self.notes)
        if self.drifted:
            yield Detail(Meaning.NOTE, f"changed since the last apply, {BY_WHOM}")
        if self.cause is Cause.OUTDATED:
            yield Detail(Meaning.NOTE, UNTOUCHED)


def change_item(change: Change, *, full: bool = True, gathered: bool = False) -> ChangeItem:
    """The change with all its sentences. Unless `full`, one stands for many that say the same of different principals. If `gathered`,
    one on gains names some of many repositories."""
    gains = sentences.gained(change.gains, gathered=gathered)
    new = change.action is Action.CREATE
    # in a document that others wrote into, what they give already is no gain
    gains_say = new and bool(change.gains) and change.live is None
    return ChangeItem(
        action=change.action,
        sign=SIGNS[change.action],
        title=" ".join((change.kind.replace("_", " "), change.address.split(".", 2)[2])),
        address=change.address,
        kind=change.kind,
        cause=change.cause,
        state=_state(change),
        fields=tuple(
            FieldItem(
                item.path.replace(").", ") "),
                value(item.old),
                value(item.new),
                new,
                item.theirs,
                item.said and gains_say,
            )
            for whole in change.fields
            for item in _flat(whole)
        ),
        gains=tuple(gains if full else sentences.folded(gains)),
        losses=tuple(sentences.lost(change.losses)),
        removal=counts.images_going(change.images, change.force),
        gap=_gap(change),
        along=change.along,
        foreign=tuple(sentence.text for item in change.foreign for sentence in sentences.given(item)),
        notes=change.notes,
        by_hand=tuple(_by_hand(change)),
        was_there=change.was_there,
        native_name=_native_name(change.native_name),
    )


def _native_name(found: NativeName | None) -> str:
    """`as images-app, pulled from 123456789012.dkr.ecr.us-east-1.amazonaws.com/images-app`; "" for None."""
    if found is None:
        return ""
    return " ".join(part for part in (f"as {found.name}, pulled from {found.uri}", found.note) if part)


def _flat(change: FieldChange) -> Iterator[FieldChange]:
    """The change of a mapping that comes or goes as a whole, key by key; any other as it is."""
    there = [item for item in (change.old, change.new) if item is not None]
    if not there or not all(isinstance(item, Mapping) and item for item in there):
        yield change
        return
    for key in dict.fromkeys(key for item in there for key in item):
        old, new = (item.get(key) if item is not None else None for item in (change.old, change.new))
        yield from _flat(replace(change, path=f"{change.path}.{key}", old=old, new=new))


def _by_hand(change: Change) -> Iterator[str]:
    """What was done to access since the last apply: the reverse of what this change does, where the spec has not moved."""
    if change.cause is Cause.DRIFT:
        # what is noted of a loss (who still can) is not so of its reverse
        given = sentences.held({replace(item, note="") for item in change.losses})
        lost = sentences.lost(set(map(taken, change.gains)))
        yield from (f"by hand: {sentence.text}" for sentence in (*given, *lost))
    if change.cause is Cause.BOTH:  # the mark says that both changed, and not which of them is behind what
        given = sentences.held({replace(item, note="") for item in change.losses})
        yield from (f"by hand, or by what was applied last: {sentence.text}" for sentence in given)


def reading_order(change: Change) -> tuple[bool, tuple[str, ...], tuple[str, ...]]:
    """What belongs to the registry as a whole first, then repository by repository, each with what stands below it."""
    where = change.address
    resource = change.desired or change.live
    below = where.kind == "repository" or (resource is not None and ".repository." in (resource.parent or ""))
    return (
        below,
        natural(f"{where.name}@{where.where}" if below else change.address),
        natural(change.address if where.kind != "repository" else ""),
    )


def _gap(change: Change) -> str:
    if change.action is not Action.REPLACE:
        return ""
    again = "is deleted and created again"
    return (
        again if change.images is None else f"{again}: nobody can pull from it in between, and it is empty afterwards"
    )


def _state(change: Change) -> str:
    if change.again and change.desired is not None:
        return f"is deleted with {change.desired.parent} and created again"
    if change.may_be_there:
        return "may exist: what it is in is adopted as it is"
    if change.action is Action.CREATE and change.cause is Cause.DRIFT:
        return "was deleted by hand, or the apply that was creating it was interrupted"
    if change.action is Action.CREATE and change.cause is Cause.CHANGED:
        above = change.desired.parent if change.desired is not None else None
        alone = f", by itself or with {above}" if above is not None else ""
        return f"does not exist: new in the spec, or deleted by hand{alone}"
    return _STATES[change.action]
