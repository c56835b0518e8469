"""What a spec describes and a destroy leaves as it is, since it bears no mark, or that of another registry. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from itertools import chain

from reconciler.model.address import Address
from reconciler.model.marks import REGISTRY
from reconciler.model.resource import Desired
from reconciler.words import natural, plural, some_of

from .picture import Picture


def nobodys(seen: Picture, described: Mapping[Address, Desired], retired: Collection[str] = ()) -> Iterator[str]:
    """That some of what the spec describes is there and stays, and what to do so that it is destroyed too; sentences. `described`:
    all that the spec describes and is to be destroyed. `retired`: the registries that are. What stands below another resource is
    named with that."""
    found: dict[str, list[Address]] = {}
    for address in described:
        live = seen.live.get(address)
        if live is None or live.vacant or live.marks.owner is not None or live.parent in seen.live:
            continue
        if live.moot and not live.native:  # it is not there: something else gives the same
            continue
        found.setdefault(address.registry if address.registry in retired else "", []).append(address)
    yield from chain.from_iterable(_unmarked(addresses, name) for name, addresses in found.items())
    yield from _of_others(seen, described)


def _unmarked(addresses: list[Address], retired: str) -> Iterator[str]:
    names = _names(addresses)
    adopt = (
        f"`reconciler apply --adopt {names}`" if len(addresses) == 1 else "`reconciler apply --adopt` with its address"
    )
    how = f"take `retired` out of registry {retired}, run {adopt}, and put it back" if retired else f"run {adopt} first"
    if len(addresses) == 1:
        yield f"{names} has no owner, so that it stays as it is: to have it deleted too, {how}"
    else:
        yield f"{names} have no owner, so that they stay as they are: to have one of them deleted too, {how}"


def _of_others(seen: Picture, described: Mapping[Address, Desired]) -> Iterator[str]:
    found: dict[tuple[str, str], list[Address]] = {}
    for address, live in seen.elsewhere.items():
        if address in described and not live.vacant and live.parent not in seen.elsewhere:
            found.setdefault((address.registry, live.marks.registry or ""), []).append(address)
    for (registry, said), addresses in sorted(found.items()):
        one = len(addresses) == 1
        yield (
            f"{_names(addresses)} {plural(len(addresses), 'belongs', 'belong')} to a registry '{said}' by"
            f" {'its mark' if one else 'their marks'}, so that {'it stays as it is' if one else 'they stay as they are'}: to have"
            f" {'it' if one else 'them'} deleted too, set {REGISTRY} back to {registry}, or, if the registry was called '{said}'"
            " before, change its name back first"
        )


def _names(addresses: list[Address]) -> str:
    return some_of(sorted(addresses, key=natural), len(addresses))
