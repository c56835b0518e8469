"""Which address was meant by one that there is not. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.model.address import Address
from reconciler.words import did_you_mean

#: how alike texts are of which one is the other with a slip
ALMOST = 0.9


def meant(given: str, addresses: Iterable[str]) -> str:
    """What may have been meant, for a message: an address with a slip in it; else that of a name which is given alone or
    with another kind, a repository's first; else the nearest."""
    known = sorted(map(Address, addresses))
    if misspelt := did_you_mean(given, known, ALMOST):
        return misspelt
    registry, _, rest = given.partition(".")
    name = rest.partition(".")[2].partition("@")[0]
    named = [
        item
        for item in known
        if given in (item.name, f"{item.registry}/{item.name}", f"{item.registry}.{item.name}")
        or (registry, name) == (item.registry, item.name)
    ]
    if named:
        return f" (did you mean '{min(named, key=lambda item: (item.kind != 'repository', item.where))}'?)"
    return did_you_mean(given, known)
