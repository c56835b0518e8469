"""Members that others have put into a policy and that the spec names too. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

from reconciler.model.resource import Desired, Live

from . import iam, members
from .iam import Binding, Document


def named(role: str, member: str) -> str:
    """What is said that somebody else gave."""
    return f"{role} of {member}"


def said(others: Document, roles: Collection[str], new: Collection[Binding], asked_by: str) -> Iterator[str]:
    """What becomes of members of others that the spec names from now on, in sentences. `others`: the policy without what is ours.
    `asked_by`: what in the spec names them."""
    for item in iam.taken_over(others, roles, new):
        who = members.principal(item.member).label
        yield f"somebody else gave {item.role} to {who}: it is the spec's from the apply on, and goes with {asked_by}"


def over(live: Live, wanted: Desired | None, others: Document, roles: Collection[str]) -> Live:
    """What is there; members that others gave and that the spec names are no longer foreign, which would be said to be kept."""
    found = iam.taken_over(others, roles, wanted.settings.bindings) if wanted is not None else ()
    if not found:
        return live
    whats = {named(item.role, item.member) for item in found}
    # what others gave with a condition stays theirs
    kept = (item for item in live.foreign if item.what not in whats or any(one.note for one in item.access))
    return replace(live, foreign=tuple(kept))
