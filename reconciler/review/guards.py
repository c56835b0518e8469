"""Which guards of one spec let pass more than those of another. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase

from reconciler.engine.guard import DEFAULT_ABOVE, DEFAULT_SHARE
from reconciler.spec.models import Guards
from reconciler.words import all_of, value

Setting = tuple[str, ...]


def loosened(before: Guards, after: Guards) -> Iterator[tuple[Setting, str]]:
    """Each guard that lets pass more, with what it does in words. What can't be compared counts as looser."""
    if _allows_more(before.max_deletes, after.max_deletes):
        yield (
            ("max_deletes",),
            f"max_deletes goes from {_limit(before.max_deletes)} to {_limit(after.max_deletes)}: one plan may delete more",
        )
    if gone := [item for item in before.protect if not any(_covers(other, item) for other in after.protect)]:
        yield ("protect",), f"guards.protect no longer names {all_of(gone)}"
    yield from _listed(before, after)
    if gone := sorted(set(before.require_labels) - set(after.require_labels)):
        yield ("require_labels",), f"the labels {all_of(gone)} are no longer required"
    if before.require_immutable_tags and not after.require_immutable_tags:
        yield ("require_immutable_tags",), "immutable tags are no longer required"
    most, now = before.max_grants_per_repository, after.max_grants_per_repository
    if most is not None and (now is None or now > most):
        yield ("max_grants_per_repository",), f"max_grants_per_repository goes from {most} to {value(now)}"
    if after.allow_public and not before.allow_public:
        yield ("allow_public",), "grants to anyone are allowed"
    if after.allow_admin and not before.allow_admin:
        yield ("allow_admin",), "grants may let others delete images and change who has access"


def _covers(pattern: str, other: str) -> bool:
    """Whether a pattern surely matches all that another one does: where only `*` is special in the first, as text; what stands for a
    set of characters in the other is no text."""
    if pattern == other or not pattern.strip("*"):
        return pattern == other or pattern != ""
    return not set(pattern) & set("?[") and "[" not in other and fnmatchcase(other, pattern)


def _listed(before: Guards, after: Guards) -> Iterator[tuple[Setting, str]]:
    for name, what in (("allowed_accounts", "account"), ("allowed_organizations", "organization")):
        old, new = _allowed(before, name), _allowed(after, name)
        if old is None or old == new:
            continue
        if new is None:
            # of organizations, that accounts are listed was their guard
            by = name if getattr(before, name) is not None else "allowed_accounts"
            yield (by,), f"guards.{by} is gone: grants may name any {what}"
        elif more := sorted(set(new) - set(old)):
            yield (name,), f"guards.{name} allows {all_of(more)} too"


def _allowed(guards: Guards, name: str) -> tuple[str, ...] | None:
    found: tuple[str, ...] | None = getattr(guards, name)
    # without a list of their own, organizations are refused where accounts have one
    closed = found is None and name == "allowed_organizations" and guards.allowed_accounts is not None
    return () if closed else found


def _limit(limit: int | str | None) -> str:
    default = f"the default ({DEFAULT_SHARE}%, and no limit for up to {DEFAULT_ABOVE} resources)"
    return default if limit is None else str(limit)


def _allows_more(before: int | str | None, after: int | str | None) -> bool:
    if before == after:
        return False
    if after is None:  # which has no limit where there is little
        return before != "100%"
    then, now = (f"{DEFAULT_SHARE}%" if limit is None else limit for limit in (before, after))
    if isinstance(then, int) and isinstance(now, int):
        return now > then
    if str(now).rstrip("%") == "0":
        return False
    if isinstance(then, str) and isinstance(now, str):
        return int(now.rstrip("%")) > int(then.rstrip("%"))
    return True
