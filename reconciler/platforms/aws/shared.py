"""Statements that several grants share, where one for each grant would make a repository policy too long. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache

from reconciler.words import all_of

from . import policy
from .policy import Statement

#: https://docs.aws.amazon.com/AmazonECR/latest/userguide/service-quotas.html (10,240 characters)
MAX_POLICY = 10_240
#: characters that the statements of grants may have, one for each; what is left is for those of others
MOST_APART = 8_192
#: the id says what the statement is for: `ReconcilerGrantsPullPush`. In the id of one grant's statement an X stands there.
_SID = re.compile(r"ReconcilerGrants((?:[A-Z][a-z]+)+)([0-9]*)")
_WORD = re.compile(r"[A-Z][a-z]+")

#: why each principal stands in each shared statement: the statement's id, the principal, and the ids of the statements that the
#: grants that name it would have
Shares = tuple[tuple[str, str, tuple[str, ...]], ...]


def is_shared(sid: str) -> bool:
    """Whether a statement id is of one that several grants share."""
    return _SID.fullmatch(sid) is not None


def title(sid: str) -> str:
    """A shared statement for people: `grants to pull and push`."""
    match = _SID.fullmatch(sid)
    words = [word.lower() for word in _WORD.findall(match.group(1))] if match else []
    return f"grants to {all_of(words)} {match.group(2) if match else ''}".rstrip()


@lru_cache(maxsize=4096)
def in_one_form(apart: tuple[Statement, ...], partition: str) -> tuple[tuple[Statement, ...], Shares]:
    """The statements of grants as they are written, sorted, and who has access by which grant where that can't be seen in them.

    One statement for each grant; where those are longer than MOST_APART together, one for all that allow the same to the same sort of
    principals under the same conditions.
    """
    if size_of(apart, partition) <= MOST_APART:
        return apart, ()
    alike: dict[tuple[object, ...], list[Statement]] = {}
    for item in apart:
        sorts = frozenset(map(_sort, item.principals))
        alike.setdefault((sorts, _same(item)), []).append(item)
    found = [items[0] for items in alike.values() if len(items) == 1]
    shares: list[tuple[str, str, tuple[str, ...]]] = []
    used: set[str] = set()
    for items in alike.values():
        if len(items) == 1:
            continue
        sid = _free(_sid(items[0].actions), used)
        by: dict[str, set[str]] = {}
        for item in items:
            for principal in item.principals:
                by.setdefault(principal, set()).add(item.sid)
        found.append(replace(items[0], sid=sid, principals=tuple(sorted(by))))
        shares += [(sid, principal, tuple(sorted(sids))) for principal, sids in by.items()]
    return tuple(sorted(found)), tuple(sorted(shares))


def shares_of(statements: Iterable[Statement], wanted: Iterable[Statement], shares: Shares) -> Shares:
    """Why principals stand in the shared ones of the statements, as far as `wanted`, with its shares, says it in either form."""
    why: dict[tuple[object, ...], tuple[str, ...]] = {}
    of = {(sid, principal): sids for sid, principal, sids in shares}
    for item in wanted:
        for principal in item.principals:
            why[principal, _same(item)] = of.get((item.sid, principal), ()) if is_shared(item.sid) else (item.sid,)
    found = (
        (item.sid, principal, sids)
        for item in statements
        if is_shared(item.sid)
        for principal in item.principals
        if (sids := why.get((principal, _same(item))))
    )
    return tuple(sorted(found))


def taken_apart(statements: Iterable[Statement], shares: Shares) -> Iterator[Statement]:
    """The statements as if each grant had its own, where it is known why a principal stands in one."""
    of = {(sid, principal): sids for sid, principal, sids in shares}
    for item in statements:
        apart: dict[str, list[str]] = {}
        for principal in item.principals:
            for sid in of.get((item.sid, principal)) or (item.sid,):
                apart.setdefault(sid, []).append(principal)
        yield from (replace(item, sid=sid, principals=tuple(found)) for sid, found in apart.items())


def _same(item: Statement) -> tuple[object, ...]:
    return item.effect, item.actions, item.conditions, item.other


def size_of(statements: Iterable[Statement], partition: str, others: Iterable[policy.Document] = ()) -> int:
    """How many characters a policy of these statements has, with others' in it."""
    ours = [policy.document_of(item, partition) for item in statements]
    return len(text_of({"Version": "2012-10-17", "Statement": [*others, *ours]}))


def text_of(document: Mapping[str, object]) -> str:
    """A policy as it is written: without spaces, which count."""
    return json.dumps(document, separators=(",", ":"))


def _sid(actions: tuple[str, ...]) -> str:
    words = [word.capitalize() for word in map(str, policy.may_shown(actions)) if word.isalpha()]
    return f"ReconcilerGrants{''.join(words) or 'Other'}"


def _free(sid: str, used: set[str]) -> str:
    number = 1
    while (name := sid if number == 1 else f"{sid}{number}") in used:
        number += 1
    used.add(name)
    return name


def _sort(principal: str) -> str:
    """What may stand together in one statement: accounts, roles and users; services; anyone."""
    return principal if principal == "*" else principal.partition(":")[0] if principal.startswith("service:") else "AWS"
