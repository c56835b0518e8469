"""Statements that several grants share, where one for each grant would make a repository policy too long. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

from reconciler.words import all_of, counted

from . import policy
from .policy import Statement

#: https://docs.aws.amazon.com/AmazonECR/latest/userguide/service-quotas.html (10,240 characters)
MAX_POLICY = 10_240
#: characters that the statements of grants may have, one for each; what is left is for those of others
MOST_APART = 8_192
#: characters of one statement's id. ECR documents no limit; services that do have 64 (EventBridge) or 100 (Lambda) for theirs, and
#: so many does the id of one grant with a long name have
MOST_NAMED = 255
#: the id says what the statement is for, and whose it is: `ReconcilerGrantsPullPush2YprodXlambdasYstaging` is the second one of
#: grants to pull and push, namely `prod-lambdas` and `staging`. In the id of one grant's statement an X stands behind `Reconciler`.
_SID = re.compile(r"ReconcilerGrants((?:[A-Z][a-z]+)+?)([0-9]*)((?:Y[a-z0-9]+(?:X[a-z0-9]+)*)*)")
_WORD = re.compile(r"[A-Z][a-z]+")
#: what names the grant in the id of its own statement
_ALONE = re.compile(r"Reconciler((?:X[a-z0-9]+)+)")

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


def described(sid: str) -> str:
    """A shared statement for people, by its id: `statement ReconcilerGrantsPull2 of 20 grants`."""
    of = grants_of(sid)
    return f"statement {sid.partition('Y')[0]} of {counted(len(of), 'grant')}" if of else f"statement {sid}"


def grants_of(sid: str) -> tuple[str, ...]:
    """The grants that the id of a shared statement names, sorted; none if they did not fit, or if it is no shared one."""
    match = _SID.fullmatch(sid)
    return tuple(map(decoded, match.group(3).split("Y")[1:])) if match else ()


@lru_cache(maxsize=4096)
def in_one_form(apart: tuple[Statement, ...], partition: str) -> tuple[tuple[Statement, ...], Shares]:
    """The statements of grants as they are written, sorted, and who has access by which grant where that can't be seen in them.

    One statement for each grant; where those are longer than MOST_APART together, those that allow the same to the same sort of
    principals under the same conditions share statements that name their grants; where that is too long as well, one that does not.
    """
    if size_of(apart, partition) <= MOST_APART:
        return apart, ()
    alike: dict[tuple[object, ...], list[Statement]] = {}
    for item in apart:
        sorts = frozenset(map(_sort, item.principals))
        alike.setdefault((sorts, _same(item)), []).append(item)
    named = _shared(alike.values(), named=True)
    return named if size_of(named[0], partition) <= MOST_APART else _shared(alike.values(), named=False)


def _shared(alike: Iterable[Sequence[Statement]], *, named: bool) -> tuple[tuple[Statement, ...], Shares]:
    found: list[Statement] = []
    shares: list[tuple[str, str, tuple[str, ...]]] = []
    used: set[str] = set()
    for group in alike:
        # by principals, so that where each grant has one, the names stand in the order of those
        for items in _packed(sorted(group, key=lambda item: (item.principals, item.sid))) if named else [group]:
            if len(items) == 1:
                found += items
                continue
            names = "".join(dict.fromkeys(_name(item.sid) for item in items)) if named else ""
            sid = _free(_sid(items[0].actions), used) + names
            by: dict[str, set[str]] = {}
            for item in items:
                for principal in item.principals:
                    by.setdefault(principal, set()).add(item.sid)
            found.append(replace(items[0], sid=sid, principals=tuple(sorted(by))))
            shares += [(sid, principal, tuple(sorted(sids))) for principal, sids in by.items()]
    return tuple(sorted(found)), tuple(sorted(shares))


def _packed(group: Iterable[Statement]) -> Iterator[list[Statement]]:
    """The statements, as many together as one id can name the grants of. Those of one grant stay together: whoever reads the id takes
    all of what the grant gives to be there."""
    by_grant: dict[str, list[Statement]] = {}
    for item in group:
        by_grant.setdefault(_name(item.sid), []).append(item)
    items: list[Statement] = []
    left = 0
    for name, own in by_grant.items():
        left -= len(name)
        if items and left < 0:
            yield items
            items = []
        if not items:
            left = MOST_NAMED - len(_sid(own[0].actions)) - len("999") - len(name)
        items += own
    yield items


def shares_of(statements: Iterable[Statement], wanted: Iterable[Statement], shares: Shares) -> Shares:
    """Why principals stand in the shared ones of the statements, as far as `wanted`, with its shares, says it in either form."""
    why: dict[tuple[object, ...], tuple[str, ...]] = {}
    of = {(sid, principal): sids for sid, principal, sids in shares}
    for item in wanted:
        for principal in item.principals:
            more = of.get((item.sid, principal), ()) if is_shared(item.sid) else (item.sid,)
            why[principal, _same(item)] = tuple(sorted({*why.get((principal, _same(item)), ()), *more}))
    found = (
        (item.sid, principal, sids)
        for item in statements
        if is_shared(item.sid)
        for principal in item.principals
        if (sids := _among(why.get((principal, _same(item)), ()), item.sid))
    )
    return tuple(sorted(found))


def _among(sids: tuple[str, ...], shared: str) -> tuple[str, ...]:
    """Those of the statement ids whose grants a shared statement names; all of them where it names none."""
    here = grants_of(shared)
    return tuple(sid for sid in sids if not here or decoded(_name(sid)[1:]) in here)


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


def _name(sid: str) -> str:
    """A grant as the id of a shared statement names it, from that of its own statement."""
    match = _ALONE.match(sid)
    return f"Y{match.group(1)[1:]}" if match else ""


def decoded(name: str) -> str:
    """A grant's name, as an ID has it: letters and digits, as IAM wants them."""
    return name.replace("X", "-")


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
