"""Resources, desired and live. Plain frozen values: no I/O, no platform."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from reconciler.places import Place

from .access import ForeignAccess
from .address import Address
from .marks import Marks

#: a kind's settings: a frozen dataclass of plain values, tuples and further frozen dataclasses
Settings = Any


@dataclass(frozen=True, slots=True)
class Desired:
    """A resource as the spec wants it.

    `needs`: addresses that must exist first. `parent`: the resource that takes this one along when it is deleted, and whose
    owner is this one's owner. `source`: the places in the spec that it comes from: its registry, its repository, its grants.
    """

    address: Address
    kind: str
    settings: Settings
    needs: tuple[Address, ...] = ()
    parent: Address | None = None
    adopt: bool = False
    source: tuple[Place, ...] = ()


@dataclass(frozen=True, slots=True)
class Live:
    """A resource as the platform has it.

    `native`: the platform's own name, such as an ARN. `rest`: everything else in the native document that a write must keep,
    as canonical text: it counts for the fingerprint. `etag`: what the platform wants back with a write, if it has such a
    thing; it changes with any write beside ours, so it counts for nothing. `vacant`: nothing of ours is there, only what
    others put into the native document, or our mark of what was applied (a crash between a delete and the removal of its mark
    leaves that). `owed`: what others had put on it waits to be put back, since a replacement was cut off. `foreign`: access that
    others gave in it.
    """

    address: Address
    kind: str
    settings: Settings
    marks: Marks
    native: str = ""
    needs: tuple[Address, ...] = ()
    parent: Address | None = None
    rest: str = ""
    etag: str = ""
    vacant: bool = False
    owed: bool = False
    notes: tuple[str, ...] = ()
    foreign: tuple[ForeignAccess, ...] = ()
