"""The sentences of findings that several resources share. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reconciler.words import all_of, counted, natural, plural, value

from .edits import Edit, How

#: resources of a spec that one message names; the others are counted
MOST_NAMED = 12
#: characters of a value that a message shows
MOST_SHOWN = 60
#: what is left of a value that the text no longer has, nor defaults
_NONE = "(none)"


@dataclass(frozen=True, slots=True)
class Happens:
    """What happens to a repository, to its copies alone, or to both, as ends of sentences. `{}`: the places of copies."""

    home: str
    copies: str
    both: str

    def said(self, places: Iterable[str]) -> str:
        """`places`: where it happens; "" is at home."""
        away = sorted({place for place in places if place})
        if not away:
            return self.home
        where = all_of(away)
        if "" not in places:
            return self.copies.format(plural(len(away), "the copy", "the copies"), where)
        both = self.both.format(plural(len(away), "is", "are"), plural(len(away), "its copy", "its copies"), where)
        return f"{self.home}{both}"


def deleted(end: str, noun: str) -> Happens:
    """What holds images, and is called a `noun`, leaves. `end`: what else there is to say, with the space before it."""
    what = f"deleted, with whatever images it holds{end}"
    return Happens(f"the {noun} is {what}", f"{{}} in {{}} is {what}", "; so {} {} in {}")


def deleted_where_it_was(where: str, end: str) -> Happens:
    """A repository leaves the place in which its registry had it: no copy, but all that there is. `end`: as for `deleted`."""
    what = f"the repository in {where} is deleted, with whatever images it holds{end}"
    return Happens(what, what, "; so {} {} in {}")


def replaced(fields: str, end: str, noun: str) -> Happens:
    """What holds images is deleted and made again. `fields`: what can't be changed. `end`, `noun`: as for `deleted`."""
    what = (
        f"replaced, since {fields} can't be changed: it is deleted and created again, nobody can pull from it in between, and"
        f" it is empty afterwards{end}"
    )
    return Happens(f"the {noun} is {what}", f"{{}} in {{}} is {what}", "; so {} {} in {}")


def new(noun: str) -> Happens:
    """What holds images, and is called a `noun`, is new, or a copy of one."""
    return Happens(f"a new {noun}", f"{{}} of the {noun} in {{}}", ", with {1} in {2}")


def adopted(noun: str) -> Happens:
    """What somebody has made is taken over, or else made."""
    return Happens(
        f"a {noun} of that name is taken over, with the images that it holds, and gets the spec's settings; if there is none, it is"
        " made",
        f"{{}} of the {noun} in {{}} is taken over or made",
        ", with {1} in {2}",
    )


def named(names: Sequence[str]) -> str:
    """The names, of many the first ones: `a, b, c and 3 more`."""
    if len(names) <= MOST_NAMED:
        return ", ".join(names)
    return f"{', '.join(names[:MOST_NAMED])} and {len(names) - MOST_NAMED} more"


def together(same: Mapping[str, Iterable[str]]) -> Iterator[str]:
    """A message for each text, with the names of those it is said of: `a, b: new images are not scanned`."""
    for text, names in sorted(same.items(), key=lambda item: (sorted(item[1], key=natural), item[0])):
        who = sorted(names, key=natural)
        yield f"{named(who)}: {text}" if who != [""] else text


def shown(item: Any) -> str:
    """A value on one line, shortened."""
    text = value(item)
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}…"


def quietly(edit: Edit, touched: int, default: Any = None, elsewhere: str = "") -> str:
    """What an edit changes in the text, where nobody gains or loses anything by it. `touched`: how many resources are written again.
    `default`: what holds where the text has no value of its own. `elsewhere`: where it is said who does, if somebody does."""
    kind, name = edit.item
    what = f"{kind} {name}".strip()
    key = ".".join(str(part) for part in edit.path if isinstance(part, str))
    if edit.how is How.RENAMED:
        said = f"{kind} {edit.was} is now called {name}"
    elif not edit.path:
        said = f"{what} is {edit.how.value}"
    elif isinstance(edit.path[-1], int):
        one = shown(edit.new if edit.how is How.ADDED else edit.old)
        said = (
            f"{one} is added to {key} of {what}" if edit.how is How.ADDED else f"{one} is removed from {key} of {what}"
        )
    elif edit.how is How.CHANGED and isinstance(edit.new, list):
        said = f"{key} of {what} has another order"
    else:
        of_default = "" if default is None else f"{shown(default)}, the default"
        old = of_default or _NONE if edit.how is How.ADDED else shown(edit.old)
        new = of_default or _NONE if edit.how is How.REMOVED else shown(edit.new)
        said = f"{key} of {what}: {old} → {new}"
    rewritten = f"; {counted(touched, 'resource')} {plural(touched, 'is', 'are')} written again" if touched else ""
    return f"{said}{rewritten}: {elsewhere or 'nobody gains or loses access by it'}"
