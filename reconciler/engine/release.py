"""What a spec or the command line lets go of: registries that are retired, repositories that are released. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import chain

from reconciler.errors import ReconcilerError
from reconciler.model.address import Address, is_address
from reconciler.model.change import Action
from reconciler.model.kind import Releasable
from reconciler.spec.models import Spec
from reconciler.spec.registry import NO_REGISTRY
from reconciler.words import did_you_mean

from .diff import Difference
from .expand import Kinds
from .picture import Picture


def released_by(
    spec: Spec, release: Iterable[str], kinds: Kinds, found: Iterable[Mapping[Address, object]]
) -> frozenset[Address]:
    """The addresses of the repositories that are to be let go of, those of their copies too."""
    names = {(item.registry, item.name) for item in spec.repositories if item.release}
    names |= {(item.registry, item.name) for item in map(Address, release) if is_address(item)}
    if not names:
        return frozenset()
    return frozenset(
        address
        for address in chain.from_iterable(found)
        if (address.registry, address.name) in names and isinstance(kinds[address.registry][address.kind], Releasable)
    )


def named(release: Collection[str], difference: Difference) -> Collection[str]:
    """The addresses of what is to be released by its address, with its copies."""
    names = {(item.registry, item.name) for item in map(Address, release)}
    return [
        address
        for address, change in difference.changes.items()
        if change.action is Action.RELEASE and (address.registry, address.name) in names
    ]


def check_releases(release: Iterable[str], owner: str, seen: Picture) -> None:
    """Raises ReconcilerError for addresses that are of nothing that this spec can let go of."""
    ours = {
        address
        for address, live in seen.live.items()
        if live.marks.owner == owner and isinstance(seen.kinds[address.registry][address.kind], Releasable)
    }
    wrong = sorted(set(release) - ours)
    if wrong:
        lines = (
            f"{address}: no repository of this spec has such an address{did_you_mean(address, ours)}"
            for address in wrong
        )
        raise ReconcilerError("\n".join(lines))


def idle(spec: Spec, seen: Picture, *, destroy: bool) -> Iterator[str]:
    """What of the spec asks for nothing: what a registry held that has left the spec is not found again."""
    if not spec.registries:
        yield NO_REGISTRY
    elif not (seen.desired or seen.live or destroy):
        yield "the spec asks for no resource: it has no repository"
    owned = {address for address, live in seen.live.items() if live.marks.owner == spec.name and not live.vacant}
    for registry in spec.registries:
        if registry.retired and not any(address.registry == registry.name for address in owned):
            yield f"registry {registry.name} is retired and nothing of it is left: take it out of the spec"
    for item in spec.repositories:
        if item.release and not any((at.registry, at.name) == (item.registry, item.name) for at in owned):
            yield f"repository {item.name} of registry {item.registry} is released: take it out of the spec"
