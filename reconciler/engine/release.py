"""What a spec or the command line lets go of: registries that are retired, repositories that are released. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import chain

from reconciler.errors import ReconcilerError
from reconciler.model.address import Address, is_address
from reconciler.model.change import Action, Change
from reconciler.model.kind import Kind, Releasable
from reconciler.model.released import ReleasedAlong, ReleasesAll
from reconciler.spec.models import Spec
from reconciler.spec.registry import NO_REGISTRY
from reconciler.words import all_of, plural

from .difference import PLANNED, Difference
from .expand import Kinds, Wanted
from .meant import meant
from .picture import Picture


def released_by(
    spec: Spec, release: Iterable[str], kinds: Kinds, found: Iterable[Mapping[Address, object]]
) -> frozenset[Address]:
    """The addresses of the repositories that are to be let go of, those of their copies too, and of all that a registry holds which
    is."""
    rows = {(item.registry, item.name) for item in spec.repositories if item.release}
    asked = {_key(item) for item in map(Address, release) if is_address(item)}
    if not rows and not asked:
        return frozenset()
    releasable = [at for at in chain.from_iterable(found) if isinstance(kinds[at.registry][at.kind], Releasable)]
    alone = {
        at
        for at in releasable
        if _key(at) in asked or ((at.registry, at.name) in rows and _may_go_alone(kinds[at.registry][at.kind]))
    }
    whole = all_released(alone, kinds)
    return frozenset(alone | {at for at in releasable if at.registry in whole})


def releasing(spec: Spec, release: Iterable[str], kinds: Kinds) -> Spec:
    """The spec as it would be with `release: true` on these repositories, by their addresses: no grant covers what is let go of."""
    rows = {
        (at.registry, at.name)
        for at in map(Address, release)
        if is_address(at) and at.registry in kinds and _may_go_alone(kinds[at.registry].get(at.kind))
    }
    if not any((item.registry, item.name) in rows for item in spec.repositories):
        return spec
    return spec.with_repositories(
        item.model_copy(update={"release": True}) if (item.registry, item.name) in rows else item
        for item in spec.repositories
    )


def all_released(released: Iterable[Address], kinds: Kinds) -> frozenset[str]:
    """The registries of which all is let go of with these: nothing of them is wanted any more."""
    return frozenset(at.registry for at in released if isinstance(kinds[at.registry][at.kind], ReleasesAll))


def _may_go_alone(kind: Kind | None) -> bool:
    return isinstance(kind, Releasable) and not isinstance(kind, ReleasesAll | ReleasedAlong)


def named(
    release: Collection[str], difference: Difference, kinds: Kinds, described: Wanted, desired: Wanted
) -> Collection[str]:
    """The addresses of what will be released by its address, with its copies, and with all that a registry holds; and of what gives
    access to it beside others. `described`, `desired`: what the spec asks for, and what it would if it said so itself. Raises
    ReconcilerError for an address of which nothing would be: a plan of nothing by name would be a plan of everything."""
    found: list[str] = []
    for address in map(Address, sorted(set(release))):
        those = [
            at
            for at, change in difference.changes.items()
            if change.action is Action.RELEASE and _key(at) == _key(address)
        ]
        if not those:
            raise ReconcilerError(
                f"{address}: it can't be released: it was not made from a spec, or its repository is gone"
            )
        whole = all_released(those, kinds)
        found += [*those, *(at for at in difference.changes if at.registry in whole and at not in those)]
    for registry, before in described.items():
        after = desired[registry]
        found += (at for at, item in before.items() if at in difference.changes and after.get(at) != item)
    return found


def check_releases(release: Iterable[str], owner: str, seen: Picture) -> None:
    """Raises ReconcilerError for addresses that are of nothing that this spec can let go of. A repository whose home was released
    already, in a release that was interrupted, is still known by its copies."""
    ours = {
        address
        for address, live in seen.live.items()
        if live.marks.owner == owner
        and live.marks.origin in PLANNED
        and isinstance(seen.kinds[address.registry][address.kind], Releasable)
        and not isinstance(seen.kinds[address.registry][address.kind], ReleasedAlong)
    }
    names = set(map(_key, ours))
    wrong = sorted(address for address in set(release) if not (is_address(address) and _key(Address(address)) in names))
    if wrong:
        lines = (
            f"{address}: {_why(address, seen) or f'this spec owns no repository with this address{meant(address, ours)}'}"
            for address in wrong
        )
        raise ReconcilerError("\n".join(lines))


def widened(release: Iterable[str], changes: Mapping[Address, Change]) -> Iterator[str]:
    """For each copy that is released by its address: what else is released with it, a sentence."""
    releases = [address for address, change in changes.items() if change.action is Action.RELEASE]
    for address in map(Address, sorted(set(release))):
        others = sorted(at for at in releases if at != address and _key(at) == _key(address))
        if address.where and others:
            yield (
                f"release {address}: a repository is released with all its copies, so {all_of(others)}"
                f" {plural(len(others), 'is', 'are')} released too"
            )


def _key(address: Address) -> tuple[str, str, str]:
    """What a resource has in common with its copies elsewhere."""
    return address.registry, address.kind, address.name


def _why(address: str, seen: Picture) -> str:
    """Why something that is there can't be released."""
    live = seen.live.get(Address(address)) if is_address(address) else None
    if live is None or live.marks.origin in PLANNED:
        return ""
    if live.marks.origin == "runtime":
        return "it was created at run time, so no spec can release it"
    return f"its origin is '{live.marks.origin}', not 'spec', so it can't be released"


def idle(spec: Spec, seen: Picture, *, destroy: bool) -> Iterator[str]:
    """What of the spec asks for nothing: what a registry held that has left the spec is not found again."""
    if not spec.registries:
        yield NO_REGISTRY
    elif not (seen.desired or seen.live or seen.elsewhere or destroy or spec.repositories):
        yield "the spec describes no resources: it has no repositories"
    owned = {address for address, live in seen.live.items() if live.marks.owner == spec.name and not live.vacant}
    left = {address.registry for address in (*owned, *seen.elsewhere, *seen.pending)}
    for registry in spec.registries:
        if registry.retired and registry.name not in left:
            yield f"registry {registry.name} is retired and nothing of it is left; take it out of the spec"
    # what waits to be put back after a replacement that was interrupted is no repository that is let go of
    busy = {(at.registry, at.name) for at, live in seen.live.items() if at in owned or live.owed}
    for item in spec.repositories:
        if item.release and (item.registry, item.name) not in busy:
            yield (
                f"this spec manages nothing of repository {item.name} of registry {item.registry}, which has release: true;"
                " take it out of the spec"
            )
