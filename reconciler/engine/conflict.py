"""What is in the way of a resource that is there already, in words, and what to do. Pure."""

from __future__ import annotations

from reconciler.model.address import Address
from reconciler.model.marks import ORIGIN, REGISTRY
from reconciler.model.resource import Live

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


def in_another_registry(live: Live, address: Address, owner: str, *, releasable: bool) -> str:
    """Its mark names another registry. `owner`: this spec. `releasable`: whether the owner can let go of it alone."""
    marks, here = live.marks, address.registry
    remedy = (
        f"its mark {REGISTRY} says '{marks.registry}': if that is wrong, set it back to '{here}'; otherwise remove it here (removed"
        " there, it is deleted)"
        if marks.owner == owner
        else _taking_over(releasable)
    )
    return (
        f"{live.native or 'it'} belongs to the registry '{marks.registry}' of the spec '{marks.owner}', and this is the registry"
        f" '{here}' of the spec '{owner}'; {remedy}"
    )


def owned(live: Live, owner: str, *, releasable: bool) -> str:
    """Another spec owns it. `owner`, `releasable`: as in `in_another_registry`."""
    return f"{live.native or 'it'} is owned by the spec '{live.marks.owner}', and this spec is '{owner}'; {_taking_over(releasable)}"


def otherwise_made(live: Live, how_to_adopt: str) -> str:
    """It is the spec's owner's, and was not made from a spec."""
    made = (
        "was created at run time (origin runtime)"
        if live.marks.origin == "runtime"
        else f"has the {ORIGIN} '{live.marks.origin}', which is neither spec nor runtime"
    )
    return f"{live.native or 'it'} {made}, so it is left alone; {how_to_adopt}"


def _taking_over(releasable: bool) -> str:
    return _OWNED if releasable else _OWNED_TOO
