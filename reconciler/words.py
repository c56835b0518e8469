"""Words that messages of every room are made of. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from difflib import get_close_matches
from typing import Any, Self

#: what the package is called where it is installed from; `reconciler` belongs to somebody else there
DISTRIBUTION = "registry-reconciler"
#: what to do about what waits for something else
APPLY_AGAIN = "run `reconciler apply` again"
#: words that are nothing but words: no arrow, no quotes, and nothing that says which value is whose
_PHRASE = re.compile(
    r"(?!.*\((?:none\)|live\b|spec\)|set by somebody else\b))[\w.:/*?$@=+,;()' -]*[\w.:/*?$@=+)]", re.ASCII
)
#: what Python makes of bytes of a file's name that are no UTF-8, and what no file and no terminal takes
#: (https://docs.python.org/3/library/os.html#file-names-command-line-arguments-and-environment-variables)
_SURROGATE = re.compile("[\ud800-\udfff]")
#: of many names, so many are shown
SHOWN_NAMES = 3


def natural(text: str) -> tuple[str, ...]:
    """A key to sort names by as people count: app-9 before app-10."""
    return tuple(part.zfill(20) if index % 2 else part for index, part in enumerate(re.split("([0-9]+)", text)))


def plural(count: int, word: str, several: str = "") -> str:
    """The word for that many: `1 image`, `2 images`; `several` where an s is not enough (`repositories`)."""
    return word if count == 1 else several or f"{word}s"


def images_counted(count: int) -> str:
    """`1 image`, `2 images`; below 0: that they could not be counted."""
    return counted(count, "image") if count >= 0 else "images that can't be counted"


def counted(count: int, word: str, several: str = "") -> str:
    """The count and its word: `1 image`, `2 repositories`."""
    return f"{count} {plural(count, word, several)}"


def and_along(text: str, count: int, along: int) -> str:
    """The text with how many resources go with what it counts: `2 to delete (and 3 resources with them)`."""
    return f"{text} (and {counted(along, 'resource')} with {'it' if count == 1 else 'them'})" if along else text


def any_of(words: Sequence[str]) -> str:
    """The words as a choice: `a`, `a or b`, `a, b or c`; `a, b, or c or d` where one of them is a choice itself."""
    comma = "," if len(words) > 2 and any(" or " in word for word in words) else ""
    return f"{comma} or ".join(part for part in (", ".join(words[:-1]), *words[-1:]) if part)


def all_of(words: Sequence[str]) -> str:
    """The words as a list: `a`, `a and b`, `a, b, and c`."""
    return " and ".join(words) if len(words) < 3 else f"{', '.join(words[:-1])}, and {words[-1]}"


def some_of(words: Sequence[str], count: int = 0) -> str:
    """The first few words and how many more there are: `a, b, c and 2 more`. `count`: how many there are, if not all are given."""
    more = max(count, len(words)) - len(words[:SHOWN_NAMES])
    return ", ".join(words[:SHOWN_NAMES]) + (f" and {more} more" if more else "")


def duration(seconds: float) -> str:
    """A time in words, in the largest unit that it is a whole number of: `30 minutes`, `90 seconds`."""
    for size, unit in ((3600, "hour"), (60, "minute")):
        if seconds >= size and seconds % size == 0:
            return counted(int(seconds // size), unit)
    return f"{seconds:g} {'second' if seconds == 1 else 'seconds'}"


def did_you_mean(word: str, known: Collection[str], least: float = 0.6) -> str:
    """` (did you mean 'x'?)`, or "" where nothing known is near. `least`: how alike they must be, from 0 to 1."""
    near = get_close_matches(word, sorted(known), n=1, cutoff=least)
    return f" (did you mean '{near[0]}'?)" if near else ""


def in_utf8(text: str) -> str:
    r"""The text with each byte of a name that is no UTF-8 as an escape (`x\xff/registry.yaml`), so that it can be written anywhere.
    Asked twice, it changes nothing more."""
    return _SURROGATE.sub(lambda match: _escaped(ord(match.group())), text)


def _escaped(point: int) -> str:
    return rf"\x{point - 0xDC00:02x}" if 0xDC80 <= point <= 0xDCFF else rf"\u{point:04x}"


def one_line(text: str) -> str:
    r"""The text with whatever does not print as an escape (`\n`, `\x1b`, `\u202e`), so that no text of a spec or of a cloud makes
    a line, moves a terminal's cursor or turns the reading order. Asked twice, it changes nothing more."""
    if text.isprintable():
        return text
    text = in_utf8(text)
    return "".join(item if item.isprintable() else item.encode("unicode_escape").decode() for item in text)


def quoted(text: str) -> str:
    """The text in quotes, on one line; no text but this one looks like that."""
    plain = one_line(text.replace("\\", "\\\\"))
    if '"' in plain and "'" not in plain:  # a policy in JSON stays legible
        return f"'{plain}'"
    return '"' + plain.replace('"', '\\"') + '"'


class Alternatives(list[Any]):
    """A list of which any one is enough: `value` joins it with "or". Elsewhere it is a list."""


class Named(str):
    """A value with how people read it: `Named("1", "account 1")`. It is the value itself wherever it is compared, hashed or written
    as JSON; `value` shows the words: without quotes, unless they could be read as something else."""

    words: str

    def __new__(cls, item: str, words: str = "") -> Self:
        found = super().__new__(cls, item)
        found.words = words or item
        return found

    def __reduce__(self) -> tuple[type[Self], tuple[str, str]]:
        return type(self), (str(self), self.words)


def value(item: object) -> str:
    """The value on one line, in words; `(none)` for None and for what is empty, which stand for nothing.

    A text is in quotes, a list is `"a", "b", and "c"`, a mapping `key "a", other 1`. One inside another is in parentheses.
    """
    if item is None or item in ((), [], {}):
        return "(none)"
    if isinstance(item, bool):
        return "true" if item else "false"
    if isinstance(item, Named):
        return item.words if _PHRASE.fullmatch(item.words) else quoted(item.words)
    if isinstance(item, str):
        return quoted(item)
    if isinstance(item, dict):
        return ", ".join(f"{_key(key)} {_inside(below)}" for key, below in item.items())
    if isinstance(item, Alternatives):
        return any_of([_inside(below) for below in item])
    if isinstance(item, list | tuple):
        return all_of([_inside(below) for below in item])
    return str(item)


def _inside(item: object) -> str:
    several = isinstance(item, dict) or (isinstance(item, list | tuple) and len(item) > 1)
    return f"({value(item)})" if several and item else value(item)


def _key(key: object) -> str:
    return str(key) if _PHRASE.fullmatch(str(key)) else quoted(str(key))
