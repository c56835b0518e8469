"""What a listing has to look at: what is wanted in clusters or noted there, and what its registry has by the marks of secrets."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from reconciler.errors import PlatformError
from reconciler.model.address import Address
from reconciler.model.resource import Desired
from reconciler.platforms.http import HttpSession

from .notes import Notes
from .secret_login import marks_of, place_of, read
from .settings import Place


def claim(session: HttpSession) -> None:
    """Learns which registry of the spec has what is noted of one that the spec has no longer, by the marks of its secrets: the
    registry may have another name now."""
    notes = session.ledger(Notes)
    strays = sorted(notes.strays())
    found = session.map(lambda at: notes.tried(place_of(at).cluster, partial(read, session, at)), strays)
    for at, document in zip(strays, found, strict=True):
        if document is None or isinstance(document, PlatformError):
            continue
        marks = marks_of(document, place_of(at), session.owner)
        if marks.owner == session.owner and marks.registry in notes.registries:
            notes.claimed[at] = marks.registry


def addresses(notes: Notes, wanted: Mapping[Address, Desired], kind: str) -> dict[Address, Place]:
    """What is wanted or noted of a kind in the clusters that a listing has looked at or tried to, with its place."""
    named = (at for cluster in notes.clusters for at in notes.addresses(cluster, kind))
    found = {*(at for at, item in wanted.items() if item.kind == kind), *named}
    return {at: place for at in sorted(found) if (place := Place.of(at)) and place.cluster not in notes.unasked}
