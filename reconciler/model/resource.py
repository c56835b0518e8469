"""Resources, desired and live. Plain frozen values: no I/O, no platform."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from reconciler.places import Place

from .access import Access, ForeignAccess, Given, Neighbour
from .address import Address
from .marks import Marks

#: a kind's settings: a frozen dataclass of plain values, tuples and further frozen dataclasses
Settings = Any


@dataclass(frozen=True, slots=True)
class Desired:
    """A resource as the spec wants it.

    `needs`: addresses that must exist first. `parent`: the resource that takes this one along when it is deleted, and whose
    owner is this one's owner. `source`: the places in the spec that it comes from: its registry, its repository, its grants.
    `instead_of`: whose place it takes, in whichever region: what is there of these is deleted only after this one is made.
    """

    address: Address
    kind: str
    settings: Settings
    needs: tuple[Address, ...] = ()
    parent: Address | None = None
    adopt: bool = False
    source: tuple[Place, ...] = ()
    instead_of: tuple[Address, ...] = field(default=(), compare=False)  # a plan has it in its order


@dataclass(frozen=True, slots=True)
class NativeName:
    """What the platform calls a repository, and the URI that its images are pulled from (`docker pull URI:TAG`).

    `note`: what the URI depends on that the spec does not say, as the end of a sentence; "" if nothing.
    """

    name: str
    uri: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Live:
    """A resource as the platform has it.

    `native`: the platform's own name, such as an ARN. `rest`: everything else in the native document that a write must keep, as
    canonical text: it counts for the fingerprint. `etag`: what the platform wants back with a write, if it has such a thing; it
    changes with any write beside ours, so it counts for nothing. `vacant`: nothing of ours is there, only what others put into the
    native document, or our mark of what was applied (a crash between a delete and the removal of its mark leaves that). `owed`: what
    others had put on it waits to be put back, since a replacement was cut off. `foreign`: access that others gave in it.
    `neighbours`: what other registries of the spec have in the same native document; a plan says it. `moot`: what is wanted of it is
    given by something else already; unless it is `vacant`, by the same thing as others made it, which a spec can adopt. `stands_at`:
    where it stands, of a kind whose resources can take each other's place under other names: it is deleted only after what is made
    there (`Desired.instead_of`). `version`: of what holds a secret, which no plan can have, by what the platform tells its states
    apart where somebody else has written it last; "" where we have. It counts for the fingerprint. `cut_off`: what others can do by
    it again once it is put right, and can't now. `created_at`: when it was made, with a time zone, where the platform says that of a
    kind that holds images; it counts for nothing.
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
    neighbours: tuple[Neighbour, ...] = field(default=(), compare=False)
    moot: bool = False
    stands_at: Address | None = None
    version: str = ""
    cut_off: tuple[Access, ...] = ()
    created_at: datetime | None = field(default=None, compare=False)

    @property
    def given(self) -> Given:
        """All that it gives access by."""
        return Given(self.settings, self.rest, self.foreign)


def all_needs(addresses: Iterable[Address], desired: Mapping[Address, Desired]) -> set[Address]:
    """The addresses, and all that these need in the spec, and that those need."""
    found: set[Address] = set()
    left = list(addresses)
    while left:
        address = left.pop()
        if address in found:
            continue
        found.add(address)
        wanted = desired.get(address)
        if wanted is not None:
            left += wanted.needs if wanted.parent is None else (*wanted.needs, wanted.parent)
    return found
