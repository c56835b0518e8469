"""What somebody can do with which repositories, where a part of a name stands for many of them. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace

from reconciler.model.access import COULD_ALREADY, PUSH, STILL_CAN, Access, Principal
from reconciler.words import natural

from .others_roles import IMPORT

WHOLE = "all repositories of the registry"
_UNDER = "all repositories under "
#: who had it already, or still has it, is who the sentence is about
_BY_OTHERS = " by what others gave"
_ALREADY, _STILL = COULD_ALREADY.format("it") + _BY_OTHERS, STILL_CAN.format("it") + _BY_OTHERS
#: what is left out where it is said that somebody can do more than that
_INCLUDED: Mapping[str, tuple[str, ...]] = {PUSH: (IMPORT,)}


def reached(
    who: Principal, verb: str, registry: str, *, names: Collection[str] = (), prefixes: Collection[str] = ()
) -> Iterator[Access]:
    """What a principal can do with these. `prefixes`: beginnings of names, each with its slash; "" is every name."""
    for name in sorted(names):
        yield Access(who, verb, registry, name)
    for prefix in sorted(prefixes):
        yield Access(who, f"{verb} {_UNDER}{prefix}" if prefix else f"{verb} {WHOLE}", registry, "")


def beyond(these: Collection[Access], those: Collection[Access]) -> Iterator[Access]:
    """These without those, and without what one of those covers: all repositories each one, a beginning what begins with it. What
    one that `may` be covers is beyond it perhaps."""
    covering = _covering(those)
    for item in sorted(set(these) - set(those)):
        covered = _covered(item, covering)
        if not covered[False]:
            yield replace(item, may=True) if covered[True] else item


def changed(then: Collection[Access], now: Collection[Access]) -> tuple[list[Access], list[Access]]:
    """Who gains and who loses, with what is kept of what is lost."""
    return list(beyond(now, then)), list(kept(set(beyond(then, now)), now, ()))


def had(gains: Iterable[Access], others: Collection[Access]) -> Iterator[Access]:
    """The gains, with a note of each that the principal had already by what others gave."""
    covering = _covering(others)
    for item in gains:
        yield _noted(item, _ALREADY) if _covered(item, covering)[False] else item


def kept(losses: Iterable[Access], ours: Collection[Access], others: Collection[Access]) -> Iterator[Access]:
    """The losses, with a note of each that the principal still has by what others gave, and of what is left of one of many."""
    covering, left = _covering(others), sorted({*ours, *others})
    for item in losses:
        if _covered(item, covering)[False]:
            yield _noted(item, _STILL)
        elif rest := _left(item, left):
            yield replace(item, note=", ".join(filter(None, (f"except {', '.join(rest)}", item.note))))
        else:
            yield item


def _noted(item: Access, note: str) -> Access:
    return replace(item, note=", ".join(filter(None, (item.note, note))))


#: beginnings of names that somebody reaches with a verb, for sure and perhaps
_Covering = Mapping[tuple[Principal, str, bool], list[str]]


def _covering(those: Iterable[Access]) -> _Covering:
    found: dict[tuple[Principal, str, bool], list[str]] = {}
    for item in those:
        verb, name, exact = _parts(item)
        # a name is itself alone, and no other begins with its end
        whole = f"{name}\0" if exact else name
        for does in (verb, *_INCLUDED.get(verb, ())):
            found.setdefault((item.principal, does, item.may), []).append(whole)
    return found


def _covered(item: Access, covering: _Covering) -> Mapping[bool, bool]:
    """Whether it is covered for sure (False), and perhaps (True)."""
    verb, name, exact = _parts(item)
    whole = f"{name}\0" if exact else name
    return {may: whole.startswith(tuple(covering.get((item.principal, verb, may), ()))) for may in (False, True)}


def _left(item: Access, left: Iterable[Access]) -> list[str]:
    """What is left of many repositories, in words."""
    verb, prefix, exact = _parts(item)
    if exact:
        return []
    parts = [(one, *_parts(one)) for one in left if one.principal == item.principal and not one.may]
    inside = [(one, name, exactly) for one, does, name, exactly in parts if does == verb and name.startswith(prefix)]
    prefixes = tuple(name for _, name, exactly in inside if not exactly)
    names = {one.repository for one, name, exactly in inside if exactly and not name.startswith(prefixes)}
    under = {one.verb.removeprefix(f"{verb} ") for one, _, exactly in inside if not exactly}
    return [*sorted(names, key=natural), *sorted(under, key=natural)]


def _parts(item: Access) -> tuple[str, str, bool]:
    """The verb, a name or the beginning of names in small letters, and whether it is a name."""
    for word in (f" {WHOLE}", f" {_UNDER}"):
        verb, found, name = item.verb.partition(word)
        if found:
            return verb, name.lower(), False
    return item.verb, item.repository.lower(), True
