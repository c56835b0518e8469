"""Members that others have put into a policy and that the spec names too. Pure."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from reconciler.model.resource import Desired, Live

from . import iam, members
from .iam import Document


def named(role: str, member: str) -> str:
    """What is said that somebody else gave."""
    return f"{role} of {member}"


def over(live: Live, wanted: Desired | None, others: Document, roles: Collection[str]) -> Live:
    """What is there, with what is said of members that others gave and that the spec names too: they are no longer foreign then.

    `others`: the policy without our members.
    """
    found = iam.taken_over(others, roles, wanted.settings.bindings) if wanted is not None else ()
    if not found:
        return live
    whats = {named(item.role, item.member) for item in found}
    notes = (
        f"{members.principal(item.member).label} was given {item.role} by somebody else; from now on it is the spec's, and goes"
        " when the spec no longer names it"
        for item in found
    )
    # what others gave with a condition stays theirs
    kept = (item for item in live.foreign if item.what not in whats or any(one.note for one in item.access))
    return replace(live, notes=(*live.notes, *notes), foreign=tuple(kept))
