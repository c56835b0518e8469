"""What a spec describes and a destroy leaves as it is, since it bears no mark. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from reconciler.model.address import Address
from reconciler.model.resource import Desired
from reconciler.words import natural, some_of

from .picture import Picture


def nobodys(seen: Picture, described: Mapping[Address, Desired]) -> Iterator[str]:
    """That some of what the spec describes is there and has no owner, and what to do so that it is destroyed too; a sentence.
    `described`: all that the spec describes and is to be destroyed. What stands below another resource is named with that."""
    found = []
    for address in described:
        live = seen.live.get(address)
        if live is None or live.vacant or live.marks.owner is not None or live.parent in seen.live:
            continue
        found.append(str(address))
    names = some_of(sorted(found, key=natural), len(found))
    if len(found) == 1:
        yield (
            f"{names} has no owner, so that it stays as it is: to have it deleted too, run `reconciler apply --adopt {names}`"
            " first"
        )
    elif found:
        yield (
            f"{names} have no owner, so that they stay as they are: to have one of them deleted too, run `reconciler apply"
            " --adopt` with its address first"
        )
