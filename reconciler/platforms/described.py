"""Marks in the description of what has no tags or labels, beside whatever people have written there. Pure.

`reconciler: owner=shop registry=images origin=spec applied=v1-0123456789abcdef`
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from reconciler.model.marks import ADOPTED, APPLIED, ORIGIN, OWNER, PREFIX, REGISTRY

_BEGIN = "reconciler: "
_BETWEEN = " | "
#: what the values of marks are made of
_PLAIN = re.compile(r"[\w-]*")
#: by which nothing is deleted without permission, whatever a hand has made of it
_MAY_BE_ADOPTED = re.compile(r"adopted\s*=\s*[ty]", re.IGNORECASE)
#: where a word that may be ours begins in one without spaces, and what stands before it
_NEXT = re.compile(r"(?<=[\w-])(?=[^\w\s=-]+[A-Za-z][\w-]*=)")
_LED = re.compile(r"([^\w=]*)([^=]*)=(.*)", re.DOTALL)
_MARKS = frozenset({OWNER, ORIGIN, APPLIED, REGISTRY, ADOPTED})


@dataclass(frozen=True)
class Said:
    """What a description says: our texts, with the keys that marks have, and what people wrote before our words and behind them. What
    somebody wrote between our words counts as behind."""

    texts: Mapping[str, str]
    before: str = ""
    behind: str = ""

    @property
    def of_people(self) -> dict[str, str]:
        """What people wrote, as `written` takes it; empty if nothing."""
        return {key: item for key, item in (("before", self.before), ("behind", self.behind)) if item}


def is_mark(key: str) -> bool:
    """Whether it is the key of one of the marks that every resource has."""
    return key in _MARKS


def _is_key(key: str, value: str) -> bool:
    return key != PREFIX and value != ""


def parsed(text: str, is_ours: Callable[[str, str], bool] = _is_key) -> Said:
    """What a description says; no texts if it is not ours. `is_ours`: which keys our texts have, with which values, if not any; each
    other word, and whatever comes a second time or behind the beginning of a second description, is somebody else's."""
    starts = list(_starts(text))
    if not starts:
        return Said({}, text)
    parts = zip(starts, [*starts[1:], len(text)], strict=True)
    # what somebody appends may begin as our words do
    start = next((at for at, end in parts if OWNER in _divided(text[at:end], is_ours)[0]), starts[-1])
    texts, behind = _divided(text[start:], is_ours)
    if OWNER in texts and is_ours(ADOPTED, "true") and _MAY_BE_ADOPTED.search(text):
        texts.setdefault(ADOPTED, "true")
    return Said(texts, text[:start], behind)


def written(texts: Mapping[str, str], before: str = "", behind: str = "") -> str:
    """The description with these texts."""
    words = " ".join(f"{key.removeprefix(PREFIX)}={value}" for key, value in texts.items() if value)
    return f"{before}{_BETWEEN if before else ''}{_BEGIN}{words}{behind}"


def _starts(text: str) -> Iterator[int]:
    """Where our words may begin."""
    if text.startswith(_BEGIN):
        yield 0
    yield from (found.start() for found in re.finditer(re.escape(_BETWEEN + _BEGIN), text))


def _divided(text: str, is_ours: Callable[[str, str], bool]) -> tuple[dict[str, str], str]:
    """Our texts in what begins with our words, and the rest, with the spaces before each of its words."""
    texts: dict[str, str] = {}
    rest = before = ""
    whole = False  # what follows is a copy of a whole description of ours, which somebody put behind it
    for space, word in _words(text.removeprefix(_BETWEEN).removeprefix(_BEGIN)):
        led = _LED.fullmatch(word)
        lead, name, value = led.groups() if led is not None else ("", "", "")
        key = PREFIX + name
        whole = whole or (key == OWNER and key in texts and before.endswith(_BEGIN.strip()))
        found = _value(key, value, is_ours) if name and key not in texts and not whole else ""
        before = word
        if found:
            texts[key] = found
            behind = value[len(found) :]
            rest += lead + (f" {behind}" if re.match(r"[\w-]", behind) else behind)
        elif word:
            rest += space + word
        else:
            rest += space
    return texts, rest


def _words(text: str) -> Iterator[tuple[str, str]]:
    """The words of a text, each with the space before it; a hand may have put a comma, or the like, in the place of that."""
    for space, word in re.findall(r"(\s*)(\S+|\Z)", text):
        first, *others = _NEXT.split(word)
        yield (space or " " if word else space), first
        yield from (("", item) for item in others)


def _value(key: str, said: str, is_ours: Callable[[str, str], bool]) -> str:
    """What of a word's value is ours, "" if nothing: whoever writes on behind it may leave no space."""
    if key == ADOPTED:  # by which nothing is deleted without permission, whatever is behind it
        return "true" if said.startswith("true") and is_ours(key, "true") else ""
    (start,) = re.findall(rf"\A{_PLAIN.pattern}", said)
    if key in _MARKS and key != APPLIED:
        return start if start and is_ours(key, start) else ""
    # those whose form says where they end
    values = (said, *(start[:end] for end in range(len(start), 0, -1)))
    return next((value for value in values if value and is_ours(key, value)), "")
