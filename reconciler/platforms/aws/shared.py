"""Statements that several grants share, where one for each grant would make a repository policy too long. Pure."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

from reconciler.words import all_of, counted, plural

from . import own_ids, policy, shared_ids
from .policy import Statement
from .shared_ids import Entry, is_shared

#: https://docs.aws.amazon.com/AmazonECR/latest/userguide/service-quotas.html (10,240 characters)
MAX_POLICY = 10_240
#: characters that the statements of grants may have, one for each, or with names; what is left is for those of others
MOST_APART = 8_192

#: what form a shared statement has, of one and of several
_FORMS = _BY_NAMES, _BY_CODES, _DEAD, _BY_HAND, _OLDER = (
    ("that names its grants", "that name their grants"),
    ("with its grants' codes", "with their grants' codes"),
    ("that names a deleted principal", "that name deleted principals"),
    ("changed by hand", "changed by hand"),
    ("of an older form", "of an older form"),
)

#: why each principal stands in each shared statement: the statement's id, the principal, and the ids of the statements that the
#: grants that name it would have
Shares = tuple[tuple[str, str, tuple[str, ...]], ...]


@lru_cache(maxsize=4096)
def in_one_form(
    apart: tuple[Statement, ...], partition: str, others: int = 0, least: int = 0
) -> tuple[tuple[Statement, ...], Shares]:
    """The statements of grants as they are written, sorted, and who has access by which grant where they are shared.

    One statement for each grant; where those are longer than MOST_APART together, or than what others' statements (of so many
    characters) leave, those that allow the same to the same sort of principals under the same conditions share statements that name
    their grants; where that is too long as well, that have the grants' codes, of `least` characters at least: so many as tell the
    registry's grants apart, since a code has to be read when the policy's own grants are others.
    """

    def fits(found: Iterable[Statement]) -> bool:
        size = size_of(found, partition)
        return size <= MOST_APART and size + others <= MAX_POLICY

    if fits(apart):
        return apart, ()
    named = in_form(apart, 0)
    width = max(least, shared_ids.width_for(own_ids.grants_of(item.sid for item in apart)))
    if fits(named[0]) or not width:
        return named
    return min(named, in_form(apart, width), key=lambda form: size_of(form[0], partition))


def in_form(apart: Iterable[Statement], width: int) -> tuple[tuple[Statement, ...], Shares]:
    """The statements of grants with what can be shared shared, by codes of so many characters; 0: by names."""
    alike: dict[tuple[object, ...], list[Statement]] = {}
    for item in apart:
        sorts = frozenset(map(_sort, item.principals))
        alike.setdefault((sorts, _same(item)), []).append(item)
    return _shared(alike.values(), width)


def _shared(alike: Iterable[Sequence[Statement]], width: int) -> tuple[tuple[Statement, ...], Shares]:
    found: list[Statement] = []
    shares: list[tuple[str, str, tuple[str, ...]]] = []
    for group in alike:
        if len(group) == 1:
            found += group
            continue
        by: dict[str, set[str]] = {}
        for item in group:
            for principal in item.principals:
                by.setdefault(principal, set()).add(item.sid)
        for entries in _packed(by, group[0].actions, width):
            one = replace(group[0], principals=tuple(entries))
            one = replace(one, sid=shared_ids.id_of(one, tuple(entries.values()), codes=width > 0))
            found.append(one)
            shares += [(one.sid, principal, tuple(sorted(by[principal]))) for principal in entries]
    return tuple(sorted(found)), tuple(sorted(shares))


def _packed(by: Mapping[str, Collection[str]], actions: tuple[str, ...], width: int) -> Iterator[dict[str, Entry]]:
    """The principals with their entries, sorted, as many together as an id has room for. Those with the same grants stay together."""
    alike: dict[Entry, list[str]] = {}
    for principal in sorted(by):
        names = own_ids.grants_of(by[principal])
        entry = tuple(sorted(shared_ids.code_of(name, width) if width else name for name in names))
        alike.setdefault(entry, []).append(principal)
    now: dict[str, Entry] = {}
    for entry, principals in alike.items():
        more = dict(sorted((now | dict.fromkeys(principals, entry)).items()))
        if now and shared_ids.length(actions, more.values()) > shared_ids.MOST:
            yield now
            more = dict.fromkeys(principals, entry)
        now = more
    yield now


def shares_of(statements: Iterable[Statement], apart: Iterable[Statement], grants: Collection[str] = ()) -> Shares:
    """Why principals stand in the shared ones of a policy's statements of ours.

    Their ids say it. `grants`: the names that codes are translated into, beside those of `apart`, the statements that grants would
    have. In a statement that was changed by hand, or whose id is from before ids said it, a principal stands for whatever grants of
    `apart` give it the same and no other statement does.
    """
    given: dict[tuple[object, ...], set[str]] = {}
    for item in apart:
        for principal in item.principals:
            given.setdefault((principal, _same(item)), set()).add(item.sid)
    statements = list(statements)
    meant = _by_id(statements)
    known = _Names({*grants, *own_ids.grants_of(sid for sids in given.values() for sid in sids)})
    found: dict[tuple[str, str], set[str]] = {}
    elsewhere: dict[tuple[object, ...], set[str]] = {}
    unread: list[Statement] = []
    for item in statements:
        if not is_shared(item.sid):
            for principal in item.principals:
                elsewhere.setdefault((principal, _same(item)), set()).add(item.sid)
        elif (said := shared_ids.read(item)) is None:
            if meant[item.sid] == item:
                unread.append(item)
        else:
            for principal, entry in zip(item.principals, said.entries, strict=True):
                key, part = (principal, _same(item)), own_ids.part_of(principal, item)
                if said.codes:
                    sids = {known.sid(code, part, given.get(key, ())) for code in entry}
                else:
                    sids = {own_ids.sid(name, part) for name in entry}
                found[item.sid, principal] = sids
                elsewhere.setdefault(key, set()).update(sids)
    for item in unread:
        for principal in item.principals:
            key = (principal, _same(_said(item, principal)))
            if sids := given.get(key, set()) - elsewhere.get(key, set()):
                found[item.sid, principal] = sids
    return tuple(sorted((sid, principal, tuple(sorted(sids))) for (sid, principal), sids in found.items()))


class _Names:
    """The names of grants by their codes."""

    def __init__(self, grants: Iterable[str]) -> None:
        self.grants = sorted(grants)
        self.by_code: dict[int, dict[str, list[str]]] = {}

    def sid(self, code: str, part: str, given: Collection[str]) -> str:
        """The id of the own statement of the grant that a code stands for. `given`: those that give its principal the same."""
        width = len(code)
        if width not in self.by_code:
            found = self.by_code.setdefault(width, {})
            for name in self.grants:
                found.setdefault(shared_ids.code_of(name, width), []).append(name)
        sids = [own_ids.sid(name, part) for name in self.by_code[width].get(code, ())]
        if len(sids) > 1:  # when it was written, only one of them was there
            sids = [sid for sid in sids if sid in given] or sids
        return sids[0] if len(sids) == 1 else own_ids.unknown(code, part, sids)


def _by_id(statements: Iterable[Statement]) -> dict[str, Statement]:
    """Which of the statements with one shared id the shares of that id are of: the one of which it holds, else the first. A copy that
    somebody made is of no grant."""
    found: dict[str, list[Statement]] = {}
    for item in statements:
        if is_shared(item.sid):
            found.setdefault(item.sid, []).append(item)
    for items in found.values():
        if len(items) > 1:
            items.sort(key=lambda item: shared_ids.read(item) is None)
    return {sid: items[0] for sid, items in found.items()}


def taken_apart(statements: Iterable[Statement], shares: Shares) -> list[Statement]:
    """The statements as if each grant had its own, sorted, where it is known why a principal stands in one that grants share."""
    of = {(sid, principal): sids for sid, principal, sids in shares}
    found: list[Statement] = []
    apart: dict[Statement, set[str]] = {}
    statements = list(statements)
    meant = _by_id(statements)
    for item in statements:
        if not is_shared(item.sid) or not item.principals:  # NotPrincipal names nobody whom a grant gives it to
            found.append(item)
            continue
        for principal in item.principals:
            sids = of.get((item.sid, principal), ()) if meant[item.sid] == item else ()
            said = _said(item, principal) if sids else item
            pieces = [replace(said, sid=sid) for sid in sids or (item.sid,)]
            if more := tuple(one for one in item.actions if one not in said.actions):
                pieces.append(replace(item, actions=more))
            for piece in pieces:
                apart.setdefault(replace(piece, principals=()), set()).add(principal)
    found += (replace(piece, principals=tuple(sorted(principals))) for piece, principals in apart.items())
    return sorted(found)


def _said(item: Statement, principal: str) -> Statement:
    """A shared statement without actions beyond those that its id says: somebody added them."""
    said = shared_ids.actions_of(item.sid, principal)
    return replace(item, actions=tuple(sorted(said))) if said and said < set(item.actions) else item


def exact(statements: Iterable[Statement]) -> bool:
    """Whether the id of each shared statement says who has access by which grant, and holds."""
    return all(shared_ids.read(item) is not None for item in statements if is_shared(item.sid))


def width_of(statements: Iterable[Statement]) -> int:
    """Of how many characters the codes in the statements' ids are; 0 if there are none."""
    said = filter(None, (shared_ids.read(item) for item in statements if is_shared(item.sid)))
    return max((len(code) for item in said if item.codes for entry in item.entries for code in entry), default=0)


def form(statements: Iterable[Statement]) -> str:
    """What form the shared ones of the statements have, in words; "" if there are none."""
    counts = Counter(_form(item) for item in statements if is_shared(item.sid))
    return all_of(
        [
            f"{counted(counts[what], 'statement')} {plural(counts[what], what[0], what[1])}"
            for what in _FORMS
            if what in counts
        ]
    )


def _form(item: Statement) -> tuple[str, str]:
    said = shared_ids.read(item)
    if said is not None:
        return _BY_CODES if said.codes else _BY_NAMES
    if not shared_ids.is_checked(item.sid):
        return _OLDER
    # where one was deleted, AWS itself has changed the statement
    return _DEAD if any(map(policy.is_deleted, item.principals)) else _BY_HAND


def _same(item: Statement) -> tuple[object, ...]:
    return item.effect, item.actions, item.conditions, item.other


def size_of(statements: Iterable[Statement], partition: str) -> int:
    """How many characters a policy of these statements has."""
    ours = [policy.document_of(item, partition) for item in statements]
    return len(text_of({"Version": "2012-10-17", "Statement": ours}))


def text_of(document: Mapping[str, object]) -> str:
    """A policy as it is written: without spaces, which count."""
    return json.dumps(document, separators=(",", ":"))


def _sort(principal: str) -> str:
    """What may stand together in one statement: accounts, roles and users; services; anyone."""
    return principal if principal == "*" else principal.partition(":")[0] if principal.startswith("service:") else "AWS"
