"""What a spec or a registry that was renamed runs into: its resources bear the old name. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from reconciler.model.address import Address
from reconciler.model.resource import Desired
from reconciler.spec.models import Spec
from reconciler.words import counted, plural

from .picture import Picture

_HOW = (
    "release each repository under the old name, destroy what is left there, and adopt the repositories under the new one"
    " (`reconciler help renaming-a-registry-or-a-spec`)"
)


def renamed(spec: Spec, seen: Picture, described: Mapping[Address, Desired]) -> Iterator[str]:
    """For each other name that resources of this spec bear: that a renaming may be why, and what to do then; each a sentence.
    `described`: what the spec describes, also where it is to be destroyed."""
    specs: Counter[str] = Counter()
    registries: Counter[tuple[str, str]] = Counter()
    for address, wanted in described.items():
        live = seen.live.get(address)
        if live is None or live.vacant or live.marks.owner is None:
            continue
        above = seen.live.get(wanted.parent) if wanted.parent is not None else None
        if above is not None and (above.marks.owner, above.marks.registry) == (live.marks.owner, live.marks.registry):
            continue  # it goes with what it belongs to, and is no conflict of its own
        if live.marks.owner != spec.name:
            specs[live.marks.owner] += 1
        elif live.marks.registry is not None and live.marks.elsewhere(address.registry):
            registries[live.marks.registry, address.registry] += 1
    for owner, count in sorted(specs.items()):
        verb = plural(count, "is", "are")
        yield (
            f"{counted(count, 'resource')} {verb} owned by the spec '{owner}': if this spec, '{spec.name}', was called '{owner}'"
            f" before, change its name back, or {_HOW}"
        )
    for (was, now), count in sorted(registries.items()):
        verb = plural(count, "belongs", "belong")
        yield (
            f"{counted(count, 'resource')} {verb} to the registry '{was}': if the registry '{now}' was called '{was}' before,"
            f" change its name back, or {_HOW}"
        )
