"""References to environment variables in place of their values, for whatever is written to a file. Pure.

`${env:NAME}` stands for the value wherever it occurs, also inside a longer text, and `${env:}` for a text that was `${env:` already:
so whatever the texts are, they come back exactly as they were.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from hashlib import scrypt
from json import dumps
from secrets import randbelow
from typing import Any

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
#: how a reference begins
REFERENCE = "${env:"
_PATTERN = re.compile(rf"\$\{{env:({NAME.pattern}(?:\|json)?)?\}}")
#: below these keys of a plan file, mappings have keys that a spec or a platform chose
_FREE = frozenset({"old", "new", "unowned", "nobodys"})


class StandIns(Mapping[str, str]):
    """An environment in which every variable is set to a text that stands for its unknown value, but for those that are given.

    What a variable's value looks like depends on where it is used: `another` gives it the next of the forms that there are. Nobody
    can write the text into a spec, since it is drawn anew each time. Iterating, it has those that stand for something.
    """

    #: with `{d}`, 12 digits, and `{h}`, 12 hex digits, which are unlike all others: a word, an account on AWS, a region, and so on
    FORMS = (
        "0-unknown-{h}",  # what a pattern of a spec begins with is likely to be a letter
        "unknown-{h}",
        "{d}",
        "us-un{l}-1",
        "o-{h}",
        "o-{h}/r-{h4}/*",
        "ou-{h4}-{h}",
        "00000000-0000-0000-0000-{h}",
        "arn:aws:iam::{d}:role/unknown-{h}",
        "{d}:role/unknown-{h}",
        "arn:aws:lambda:us-east-1:{d}:function:unknown-{h}",
        "arn:aws:kms:us-east-1:{d}:key/mrk-{h}",
        "arn:aws:secretsmanager:us-east-1:{d}:secret:ecr-pullthroughcache/{h}",
        "repo:unknown-{h}/unknown:ref:refs/heads/unknown",
        "/unknown-{h}",
        "{h}.azurecr.io",
        "https://unknown-{h}.example",
    )

    def __init__(self, given: Mapping[str, str] | None = None) -> None:
        self._given = given or {}
        self._forms: dict[str, int] = {}
        self._drawn: dict[str, str] = {}
        #: (file, line, column) of each value that a variable is used in, to the variables
        self.uses: dict[tuple[str, int, int], set[str]] = {}

    def __getitem__(self, name: str) -> str:
        if not NAME.fullmatch(name):
            raise KeyError(name)
        if name in self._given:
            return self._given[name]
        drawn = self._drawn.setdefault(name, f"{randbelow(9 * 10**11) + 10**11}")
        letters = "".join(chr(97 + int(digit)) for digit in drawn)
        form = self.FORMS[self._forms.setdefault(name, 0)]
        return form.format(d=drawn, h=f"{int(drawn):012x}", h4=f"{int(drawn):012x}"[-4:], l=letters)

    def __iter__(self) -> Iterator[str]:
        return iter(self._forms)

    def __len__(self) -> int:
        return len(self._forms)

    def used(self, name: str, place: tuple[str, int, int]) -> None:
        """Notes that a value takes a variable."""
        if name not in self._given:
            self.uses.setdefault(place, set()).add(name)

    def another(self, names: Collection[str]) -> bool:
        """Gives each of these variables the next form. Returns whether there is one for all."""
        left = [name for name in names if self._forms[name] + 1 < len(self.FORMS)]
        for name in left:
            self._forms[name] += 1
        return len(left) == len(names) > 0

    def within(self, value: Any) -> bool:
        """Whether a JSON value has a text of ours in it."""
        found = dumps(value, ensure_ascii=False, default=str)
        return any(self[name] in found for name in self._forms)


def hidden(value: Any, variables: Mapping[str, str], words: Collection[str] = ()) -> Any:
    """A JSON value with a reference wherever a variable's value occurs. `words`: texts of the file's own, which stay."""
    spellings: dict[str, str] = {}
    for name, secret in sorted(variables.items()):
        if secret:
            spellings.setdefault(secret, f"{REFERENCE}{name}}}")
            spellings.setdefault(dumps(secret, ensure_ascii=False)[1:-1], f"{REFERENCE}{name}|json}}")
    spellings.setdefault(REFERENCE, f"{REFERENCE}}}")
    # the longest first: of two values one may be a part of the other
    found = re.compile("|".join(map(re.escape, sorted(spellings, key=len, reverse=True))))

    def text(item: str) -> str:
        return item if item in words else found.sub(lambda match: spellings[match.group()], item)

    def walk(item: Any, free: bool) -> Any:
        if isinstance(item, str):
            return text(item)
        if isinstance(item, dict):
            return {text(key) if free else key: walk(below, free or key in _FREE) for key, below in item.items()}
        if isinstance(item, list):
            return [walk(below, free) for below in item]
        return item

    return walk(value, False)


def revealed(value: Any, variables: Mapping[str, str]) -> Any:
    """The JSON value with the variables' values in place of the references: the inverse of `hidden`.

    Raises ValueError for a reference to another variable.
    """

    def text(match: re.Match[str]) -> str:
        name, _, spelling = (match.group(1) or "").partition("|")
        if not name:
            return REFERENCE
        if name not in variables:
            raise ValueError(f"it refers to the environment variable {name}, but the spec does not")
        return dumps(variables[name], ensure_ascii=False)[1:-1] if spelling else variables[name]

    def walk(item: Any) -> Any:
        if isinstance(item, str):
            return _PATTERN.sub(text, item) if REFERENCE in item else item
        if isinstance(item, dict):
            return {walk(key): walk(below) for key, below in item.items()}
        if isinstance(item, list):
            return [walk(below) for below in item]
        return item

    return walk(value)


def proof(name: str, secret: str, salt: str) -> str:
    """What can be kept of a value to know it again: 32 hex digits of a hash that is slow, since a value may be easy to guess."""
    return scrypt(
        secret.encode("utf-8", "surrogateescape"), salt=f"{salt}/{name}".encode(), n=2**14, r=8, p=1, dklen=16
    ).hex()
