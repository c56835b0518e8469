"""The id of a statement that several grants share says which of them each of its principals has. Pure.

`ReconcilerGrantsPullN4k2x9YprodXlambdasYstagingZteamXaW3` is of four principals, in the order in which they sort: the first is in for
the grant `prod-lambdas`, the other three (`W3`) for `staging` and `team-a` (`Z` joins them). `N`: by names; `C`: by codes. Behind
that letter stands a check of all that the statement says: where it does not hold, somebody has changed the statement by hand.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from itertools import groupby

from reconciler.model.canonical import plain, text
from reconciler.words import all_of

from . import policy
from .own_ids import decoded, encoded
from .policy import Statement

#: characters of one statement's id. ECR documents no limit; services that do have 64 (EventBridge) or 100 (Lambda) for theirs, and
#: so many does the id of one grant with a long name have
MOST = 255
NAMES, CODES = "N", "C"
#: characters of the check: of 60 million values, so that two statements of a policy have one id as good as never
_CHECK = 5
#: characters of a code; a longer one is taken where two grants of a policy would have the same
WIDTHS = (4, 6, 8)
_VERBS = {"Admin": policy.EVERYTHING, "Pull": policy.PULL, "Push": policy.PUSH, "Read": policy.READ, "Other": ()}
#: a name, or a code, which has no X
_NAME = r"[a-z0-9]+(?:X[a-z0-9]+)*"
_ENTRY = rf"Y({_NAME}(?:Z{_NAME})*)(?:W([1-9][0-9]{{0,4}}))?"
#: every part begins with a capital letter of its own, so that no text is looked at twice. What stands behind the last `|` was written
#: before there were checks
_ID = re.compile(
    rf"ReconcilerGrants(?P<verbs>(?:{'|'.join(_VERBS)})+)(?:"
    rf"(?P<form>[{NAMES}{CODES}])(?P<check>[a-z0-9]{{{_CHECK}}})(?P<entries>(?:Y[a-z0-9XZ]+(?:W[0-9]+)?)+)"
    r"|[0-9]*(?:Y[a-z0-9X]+)*)"
)
_RUN = re.compile(_ENTRY)
_WORD = re.compile(r"[A-Z][a-z]+")
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"

#: the grants of one principal, by their names or their codes, sorted
Entry = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Read:
    """What an id says of its statement: the grants of each principal, in the order of these. `codes`: whether by codes."""

    entries: tuple[Entry, ...]
    codes: bool


def is_shared(sid: str) -> bool:
    """Whether a statement id is of one that several grants share."""
    return _ID.fullmatch(sid) is not None


def is_checked(sid: str) -> bool:
    """Whether it is one with a check, which holds unless somebody has changed the statement."""
    match = _ID.fullmatch(sid)
    return match is not None and match["form"] is not None


def short(sid: str) -> str:
    """An id for people: what it is for, and its check."""
    return sid.partition("Y")[0]


def title(actions: tuple[str, ...]) -> str:
    """What a shared statement with these actions gives beside what its grants do, for people."""
    words = _words(actions)
    if "admin" in words:
        return "admin access that no grant names"
    return f"access{f' to {all_of(words)}' if words else ''} that no grant names"


def _words(actions: tuple[str, ...]) -> list[str]:
    """The actions as words, if these say all that they allow: `pull`, `push`, `read` or `admin`."""
    words = [str(item) for item in policy.may_shown(actions)]
    return words if all(word.capitalize() in _VERBS for word in words) else []


def actions_of(sid: str, principal: str) -> frozenset[str]:
    """The actions that the words in a shared statement's id stand for, given to a principal."""
    match = _ID.fullmatch(sid)
    words = _WORD.findall(match["verbs"]) if match else []
    if principal == policy.LAMBDA:
        return frozenset(policy.WORKER_PULL).union(policy.READ if "Read" in words else ())
    return frozenset().union(*(_VERBS[word] for word in words))


def head(actions: tuple[str, ...]) -> str:
    """How the id of a statement with these actions begins."""
    return f"ReconcilerGrants{''.join(map(str.capitalize, _words(actions))) or 'Other'}"


def written(entries: Iterable[Entry]) -> str:
    """The entries, in the order of their principals, as an id has them."""
    found = []
    for entry, run in groupby(entries):
        count = len(list(run))
        found.append(f"Y{'Z'.join(map(encoded, entry))}{f'W{count}' if count > 1 else ''}")
    return "".join(found)


def length(actions: tuple[str, ...], entries: Iterable[Entry]) -> int:
    """How many characters the id would have."""
    return len(head(actions)) + 1 + _CHECK + len(written(entries))


def id_of(statement: Statement, entries: Sequence[Entry], *, codes: bool) -> str:
    """The id of a statement whose principals, which are sorted, are in for these grants."""
    said = f"{CODES if codes else NAMES}{{}}{written(entries)}"
    content = [list(statement.principals), list(statement.actions), plain(statement.conditions)]
    check = _short_hash(text([said, *content, statement.effect, statement.other]), _CHECK)
    return head(statement.actions) + said.format(check)


def read(statement: Statement) -> Read | None:
    """What the id of a shared statement says; None if that does not hold of this statement, or if it has no such id.

    Whatever stands in the id, it costs no more than the id and the principals are long: an id that counts others than there are is
    not looked into."""
    match = _ID.fullmatch(statement.sid)
    if match is None or match["form"] is None:
        return None
    runs = [(run[1], int(run[2] or 1)) for run in _RUN.finditer(match["entries"])]
    if sum(count for _, count in runs) != len(statement.principals):
        return None
    entries = tuple(tuple(map(decoded, names.split("Z"))) for names, count in runs for _ in range(count))
    codes = match["form"] == CODES
    # written again, it must be the same: names that are twice there, say, are no id of ours
    known = all(list(entry) == sorted(set(entry)) for entry in entries)
    return Read(entries, codes) if known and id_of(statement, entries, codes=codes) == statement.sid else None


@lru_cache(maxsize=65536)
def code_of(grant: str, width: int) -> str:
    """The code of a grant: so many characters of a hash of its name."""
    return _short_hash(grant, width)


def width_for(grants: Iterable[str]) -> int:
    """How many characters the codes of these grants have, so that no two are alike; 0 if they can't have any."""
    names = set(grants)
    return next((width for width in WIDTHS if len({code_of(name, width) for name in names}) == len(names)), 0)


def _short_hash(content: str, width: int) -> str:
    number = int.from_bytes(sha256(content.encode()).digest()[:8])
    found = ""
    while len(found) < width:
        number, digit = divmod(number, len(_DIGITS))
        found += _DIGITS[digit]
    return found
