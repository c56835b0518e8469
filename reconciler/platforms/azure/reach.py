"""What somebody can do with which repositories, where a part of a name stands for many of them. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from reconciler.model.access import Access, Principal

WHOLE = "all repositories of the registry"
_UNDER = "all repositories under "


def reached(
    who: Principal, verb: str, registry: str, *, names: Collection[str] = (), prefixes: Collection[str] = ()
) -> Iterator[Access]:
    """What a principal can do with these. `prefixes`: beginnings of names, each with its slash; "" is every name."""
    for name in sorted(names):
        yield Access(who, verb, registry, name)
    for prefix in sorted(prefixes):
        yield Access(who, f"{verb} {_UNDER}{prefix}" if prefix else f"{verb} {WHOLE}", registry, "")


def beyond(these: Collection[Access], those: Collection[Access]) -> Iterator[Access]:
    """These without those, and without what one of those covers: all repositories each one, a beginning what begins with it."""
    covering: dict[tuple[Principal, str], list[str]] = {}
    for item in those:
        verb, name, exact = _parts(item)
        if not exact and not item.may:
            covering.setdefault((item.principal, verb), []).append(name)
    for item in sorted(set(these) - set(those)):
        verb, name, _ = _parts(item)
        if item.may or not name.startswith(tuple(covering.get((item.principal, verb), ()))):
            yield item


def _parts(item: Access) -> tuple[str, str, bool]:
    """The verb, a name or the beginning of names in small letters, and whether it is a name."""
    for word in (f" {WHOLE}", f" {_UNDER}"):
        verb, found, name = item.verb.partition(word)
        if found:
            return verb, name.lower(), False
    return item.verb, item.repository.lower(), True
