"""What is in the way of a resource that is there already, in words, and what to do. Pure."""

from __future__ import annotations

from reconciler.model.address import Address
from reconciler.model.kind import Releasable
from reconciler.model.marks import ORIGIN, REGISTRY
from reconciler.model.released import ReleasesAll
from reconciler.model.resource import Desired, Live

from .picture import Picture

#: leaving one spec is a delete, and never how a resource comes to another
_OWNED = (
    "an owned resource is never taken over: to leave it there, remove it here; to have it here, release it there first"
    " (`reconciler release`; a repository that is only removed there is deleted), then adopt it here"
)
#: the same of what can't be released
_OWNED_TOO = (
    "an owned resource is never taken over: to leave it there, remove it here; to have it here, release the repositories there,"
    " destroy what is left there, then apply here"
)
#: the same where a whole registry can be released
_OWNED_WHOLE = (
    "an owned resource is never taken over: to leave it there, remove it here; to have it here, run `reconciler release {whole}`"
    " there, which lets go of all that it holds, then adopt it here"
)


def in_another_registry(live: Live, wanted: Desired, owner: str, seen: Picture) -> str:
    """Its mark names another registry. `owner`: this spec."""
    marks, here = live.marks, wanted.address.registry
    remedy = (
        f"its mark {REGISTRY} says '{marks.registry}': if that is wrong, set it back to '{here}'; otherwise remove it here (removed"
        " there, it is deleted)"
        if marks.owner == owner
        else _taking_over(live, wanted, seen)
    )
    return (
        f"{live.native or 'it'} belongs to the registry '{marks.registry}' of the spec '{marks.owner}', and this is the registry"
        f" '{here}' of the spec '{owner}'; {remedy}"
    )


def owned(live: Live, wanted: Desired, owner: str, seen: Picture) -> str:
    """Another spec owns it. `owner`: this spec."""
    remedy = _taking_over(live, wanted, seen)
    return f"{live.native or 'it'} is owned by the spec '{live.marks.owner}', and this spec is '{owner}'; {remedy}"


def at_two_addresses(address: Address, seen: Picture) -> str:
    """One native object under two addresses: whatever one of them did to it, it would do to the other's."""
    other, live = seen.twice[address], seen.live[address]
    elsewhere = seen.kinds[address.registry][live.kind].elsewhere
    if elsewhere and len({address, other} & seen.desired.keys()) == 1:
        was, now = sorted((address, other), key=lambda at: at in seen.desired)
        return (
            f"{live.native} was made as {was}, and what is in {elsewhere} does not move in one apply from registry {was.registry} to"
            f" {now.registry}: give the grant another name with it, or apply once without the grant"
        )
    return (
        f"{live.native} is also {other}: the spec describes the same resource twice, so nothing is done to it; remove or rename one"
        " of the two"
    )


def otherwise_made(live: Live, how_to_adopt: str) -> str:
    """It is the spec's owner's, and was not made from a spec."""
    made = (
        "was created at run time (origin runtime)"
        if live.marks.origin == "runtime"
        else f"has the {ORIGIN} '{live.marks.origin}', which is neither spec nor runtime"
    )
    return f"{live.native or 'it'} {made}, so it is left alone; {how_to_adopt}"


def _taking_over(live: Live, wanted: Desired, seen: Picture) -> str:
    """What to do so that it is this spec's: its owner lets go of the whole registry, of it, or of what it stands below."""
    kinds = seen.kinds[wanted.address.registry]
    if any(isinstance(kind, ReleasesAll) for kind in kinds.values()):
        for at in seen.desired:
            above = seen.live.get(at)
            if above is not None and at.registry == wanted.address.registry and isinstance(kinds[at.kind], ReleasesAll):
                if above.marks.owner != live.marks.owner:
                    break
                whole = Address.of(live.marks.registry or at.registry, at.kind, at.name)
                return _OWNED_WHOLE.format(whole=whole)
    parent = seen.desired.get(wanted.parent) if wanted.parent is not None else None
    may = any(isinstance(kinds[item.kind], Releasable) for item in (wanted, parent) if item is not None)
    return _OWNED if may else _OWNED_TOO
