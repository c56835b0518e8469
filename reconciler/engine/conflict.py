"""What is in the way of a resource that is there already, in words, and what to do. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.model.address import Address
from reconciler.model.kind import Releasable
from reconciler.model.marks import ORIGIN, REGISTRY
from reconciler.model.released import ReleasedAlong, ReleasesAll
from reconciler.model.resource import Desired, Live
from reconciler.words import all_of, plural

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
#: the same of what is called after a registry that is another one
_CALLED_ALIKE = (
    "an owned resource is never taken over, and this one is called after the registry '{there}' of that spec and goes with it: give"
    " the registry '{here}' another name in this spec"
)


def in_another_registry(live: Live, wanted: Desired, owner: str, seen: Picture) -> str:
    """Its mark names another registry. `owner`: this spec."""
    marks, here = live.marks, wanted.address.registry
    if marks.owner != owner:
        remedy = _taking_over(live, wanted, seen)
    elif (
        (whole := _whole(live, wanted, seen)) is not None
        and whole.address != wanted.address
        and whole.marks.registry == marks.registry
    ):
        remedy = f"so does {whole.address}, of which it is said what to do"
    else:
        remedy = (
            f"its mark {REGISTRY} says '{marks.registry}': if that is wrong, set it back to '{here}'; otherwise take it out of the"
            f" registry '{here}' in the spec (taken out of '{marks.registry}', it is deleted)"
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


def not_to_be_adopted(live: Live, fixed: Sequence[str]) -> str:
    """Nobody owns it, and no spec can take it over. `fixed`: the settings that differ and can't be changed."""
    differ = f"{all_of(fixed)} {plural(len(fixed), 'differs', 'differ')}"
    return (
        f"{live.native or 'it'} already exists and has no owner; it can't be adopted: its {differ} from the spec and can't be"
        " changed; put its own values into the spec where it has fields for them, else use another name, or remove what is there if"
        " nobody needs it"
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
    if (above := _whole(live, wanted, seen)) is not None:
        at = above.address
        return _OWNED_WHOLE.format(whole=Address.of(live.marks.registry or at.registry, at.kind, at.name))
    kind = kinds[wanted.kind]
    if isinstance(kind, ReleasedAlong) and kind.called_after:
        here = wanted.address.registry
        return _CALLED_ALIKE.format(there=live.marks.registry or here, here=here)
    parent = seen.desired.get(wanted.parent) if wanted.parent is not None else None
    may = any(isinstance(kinds[item.kind], Releasable) for item in (wanted, parent) if item is not None)
    return _OWNED if may else _OWNED_TOO


def _whole(live: Live, wanted: Desired, seen: Picture) -> Live | None:
    """The registry as one that is let go of with all that it holds, where that has the same owner."""
    kinds = seen.kinds[wanted.address.registry]
    if not any(isinstance(kind, ReleasesAll) for kind in kinds.values()):
        return None
    for at in seen.desired:
        above = seen.live.get(at)
        if above is not None and at.registry == wanted.address.registry and isinstance(kinds[at.kind], ReleasesAll):
            return above if above.marks.owner == live.marks.owner else None
    return None
