"""Resources, desired and live, and what is known about them. Plain frozen values: no I/O, no platform."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from reconciler.model.access import ForeignAccess
from reconciler.model.address import Address
from reconciler.spec.registry import RegistryBase

Origin = Literal["spec", "runtime"]
#: a kind's settings: a frozen dataclass of plain values, tuples and further frozen dataclasses
Settings = Any


@dataclass(frozen=True, slots=True)
class Marks:
    """What a live resource carries about who made it. `applied` is the hash of the settings last applied."""

    owner: str | None = None
    origin: Origin | None = None
    applied: str | None = None


@dataclass(frozen=True, slots=True)
class Desired:
    """A resource as the spec wants it.

    `needs`: addresses that must exist first. `parent`: the resource that takes this one along when it is deleted, and whose
    owner is this one's owner.
    """

    address: Address
    kind: str
    settings: Settings
    needs: tuple[Address, ...] = ()
    parent: Address | None = None
    adopt: bool = False


@dataclass(frozen=True, slots=True)
class Live:
    """A resource as the platform has it.

    `native`: the platform's own name, such as an ARN. `rest`: everything else in the native document that a write must keep,
    as canonical text: it counts for the fingerprint. `vacant`: nothing of ours is there, only what others put into the native
    document, or our mark of what was applied (a crash between a delete and the removal of its mark leaves that).
    `inherits`: the owner is told by another resource, so it doesn't count for this one's fingerprint.
    """

    address: Address
    kind: str
    settings: Settings
    marks: Marks
    native: str = ""
    needs: tuple[Address, ...] = ()
    parent: Address | None = None
    rest: str = ""
    vacant: bool = False
    inherits: bool = False
    notes: tuple[str, ...] = ()


@dataclass
class Observation:
    """What was found on one registry.

    `recorded`: applied hashes found for addresses, whether they still exist or not. `extra`: what one kind read and a later
    kind of the same platform needs; nothing else looks at it.
    """

    live: dict[Address, Live] = field(default_factory=dict)
    foreign: list[ForeignAccess] = field(default_factory=list)
    recorded: dict[Address, str] = field(default_factory=dict)
    unowned: list[str] = field(default_factory=list)
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Estate:
    """What a session must know beyond its own registry: the owner, the folder of relative paths, all registries.

    `parallelism`: how many calls a session may have under way at once while it reads.
    """

    owner: str
    base: str
    registries: tuple[RegistryBase, ...]
    parallelism: int = 8

    def registry(self, name: str) -> RegistryBase:
        """The registry of that name."""
        return next(item for item in self.registries if item.name == name)


@dataclass(frozen=True)
class Scope:
    """What an observation is asked for: one registry's desired resources, or `only` some addresses of it (live or not)."""

    desired: Mapping[Address, Desired]
    only: frozenset[Address] | None = None

    def wants(self, text: Address) -> bool:
        """Whether the address is asked for."""
        return self.only is None or text in self.only

    def names(self, kind: str, where: str = "") -> list[str]:
        """The names of that kind (in that place) that are asked for by `only`."""
        return sorted(item.name for item in self.only or () if item.kind == kind and item.where == where)
