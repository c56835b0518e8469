"""What makes a repository policy shorter, where it has more characters than ECR takes. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import chain

from reconciler.words import counted, some_of

from . import names, own_ids, shared, statements
from .condition import Condition
from .policy import LAMBDA, Document, Statement

#: the end of an ARN pattern that stands for all functions of an account
_EVERY_FUNCTION = ":function:*"


def advice(apart: Sequence[Statement], partition: str, document: Document) -> str:
    """What to do, as an imperative: merge grants first, which widens nobody's access. `apart`: the statements that the grants would
    have, one for each; `document`: what others have in the policy."""
    found: list[str] = []
    merged: list[str] = []
    now, size = tuple(apart), _size(apart, partition, document)
    for grants in _alike(apart):
        then = _merged(now, grants)
        shorter = _size(then, partition, document)
        if shorter < size:
            now, size = then, shorter
            merged.append(some_of(grants))
        if size <= shared.MAX_POLICY:
            break
    fits = size <= shared.MAX_POLICY
    if merged:
        into = "; those of ".join(
            f"{item} into {'another' if index else 'one grant'}" for index, item in enumerate(merged)
        )
        found.append(
            f"for this repository, put the principals of {into}, which gives nobody more access: the policy would"
            f" {'then' if fits else 'still'} have {size:,} characters"
        )
    if not fits:
        found += _narrower(now, bool(statements.foreign(document)))
    return "; or ".join(found)


def _narrower(apart: Iterable[Statement], others: bool) -> Iterator[str]:
    by_account: dict[str, set[str]] = {}
    for item in chain.from_iterable(item.principals for item in apart):
        if (account := names.account_of(item)) not in ("", item):
            by_account.setdefault(account, set()).add(item)
    account = max(sorted(by_account), key=lambda item: len(by_account[item]), default="")
    if len(by_account.get(account, ())) < 2:
        yield f"give fewer principals access{', or remove foreign statements' if others else ''}"
        return
    if others:  # before what gives others access
        yield "remove foreign statements"
    count_of = counted(len(by_account[account]), "role and user", "roles and users")
    yield (
        f"grant account {account} as a whole (account_ids) instead of its {count_of}, which gives access to all that the"
        " account lets in"
    )


def _size(apart: Sequence[Statement], partition: str, document: Document) -> int:
    """How many characters the policy has with these statements, in the form in which they are written."""
    room = len(shared.text_of(statements.merged(document, (), partition))) if document else 0
    found, _ = shared.in_one_form(tuple(sorted(apart)), partition, room)
    return len(shared.text_of(statements.merged(document, found, partition)))


def _alike(apart: Iterable[Statement]) -> list[list[str]]:
    """The grants that can be one, which then gives what they give and no more; the most first."""
    of_grants: dict[str, list[Statement]] = {}
    for item in apart:
        of_grants.setdefault(own_ids.grant_of(item.sid) or item.sid, []).append(item)
    found: dict[object, list[str]] = {}
    for grant, items in of_grants.items():
        found.setdefault(frozenset(_shape(grant, item) for item in items), []).append(grant)
    groups: list[list[str]] = []
    for grants in found.values():
        if _mergeable([item for grant in grants for item in of_grants[grant]]):
            groups.append(grants)
            continue
        exactly: dict[object, list[str]] = {}
        for grant in grants:
            key = frozenset((_shape(grant, item), item.conditions) for item in of_grants[grant])
            exactly.setdefault(key, []).append(grant)
        groups += exactly.values()
    return sorted((group for group in groups if len(group) > 1), key=len, reverse=True)


def _shape(grant: str, item: Statement) -> tuple[object, ...]:
    """What two statements have in common that can be one, if their conditions allow it."""
    conditions = tuple((one.operator, one.key, all(map(_every_function, one.values))) for one in item.conditions)
    return item.sid.removeprefix(own_ids.sid(grant)), item.effect, item.actions, item.other, conditions


def _every_function(value: str) -> bool:
    return value.endswith(_EVERY_FUNCTION)


def _mergeable(items: Iterable[Statement]) -> bool:
    """Whether one statement for all of one shape gives no more: they have the same conditions, or are for the same principals and
    differ in the values of one condition."""
    groups: dict[object, list[Statement]] = {}
    for item in items:
        groups.setdefault(_shape(own_ids.grant_of(item.sid) or item.sid, item), []).append(item)
    return all(_one_will_do(group) for group in groups.values())


def _one_will_do(group: Sequence[Statement]) -> bool:
    differing = {one for item in group for one in item.conditions}.difference(*[group[0].conditions])
    keys = {(one.operator, one.key) for one in differing}
    if not keys:
        return True
    same = len({item.principals for item in group}) == 1
    return same and len(keys) == 1 and (group[0].principals != (LAMBDA,) or _whole_product(_values(group, *keys)))


def _values(group: Iterable[Statement], key: tuple[str, str]) -> set[str]:
    return {
        value for item in group for one in item.conditions if (one.operator, one.key) == key for value in one.values
    }


def _whole_product(arns: Collection[str]) -> bool:
    """Whether a grant that names accounts and regions gives all functions of just these: it gives each account in each region."""
    if not all(map(_every_function, arns)):
        return True
    places = {(names.arn_part(arn, 3), names.arn_part(arn, 4)) for arn in arns}
    return len(places) == len({region for region, _ in places}) * len({account for _, account in places})


def _merged(apart: Iterable[Statement], grants: Collection[str]) -> tuple[Statement, ...]:
    """The statements with one for each of these grants' shapes, as a grant with the first one's name would have them."""
    found: list[Statement] = []
    groups: dict[object, list[Statement]] = {}
    for item in apart:
        grant = own_ids.grant_of(item.sid) or item.sid
        if grant in grants:
            groups.setdefault(_shape(grant, item), []).append(item)
        else:
            found.append(item)
    found += (_as_one(group) for group in groups.values())
    return tuple(sorted(found))


def _as_one(group: Sequence[Statement]) -> Statement:
    conditions: Mapping[tuple[str, str], set[str]] = {
        key: _values(group, key) for one in group[0].conditions if (key := (one.operator, one.key))
    }
    return replace(
        group[0],
        principals=tuple(sorted({who for item in group for who in item.principals})),
        conditions=tuple(sorted(Condition(*key, tuple(sorted(values))) for key, values in conditions.items())),
    )
