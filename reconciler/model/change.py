"""What a plan consists of: changes. This file is the list of all that the engine can do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal

from reconciler.model.access import Access, ForeignAccess
from reconciler.model.address import Address
from reconciler.model.resource import Desired, Live, NativeName


class Action(StrEnum):
    """What happens to a resource. A resource with nothing to do has no Change; the plan counts it as unchanged."""

    CREATE = "create"
    UPDATE = "update"
    REPLACE = "replace"  # deleted and created again: a repository loses its images
    DELETE = "delete"
    RELEASE = "release"  # ours no longer: our marks and statements go, the resource stays as it is
    ADOPT = "adopt"  # an existing resource that nobody owned becomes ours, and gets the spec's settings


class Cause(StrEnum):
    """Why live and spec differ, as far as the marks say."""

    PENDING = "pending"  # live is as last applied; the spec moved on
    DRIFT = "drift"  # the spec is as last applied; the platform was changed, by hand or by an interrupted apply
    BOTH = "drift and pending"  # live is not as last applied, and the spec moved on
    OUTDATED = "outdated"  # spec and resource are as last applied; the login that it holds ended, or is to be another one by now
    CHANGED = "changed"  # what was last applied is not recorded, so the cause is unknown


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field's change: a path such as `retention.keep_last`, and JSON values; None stands for nothing.

    `theirs`: which of the two is somebody else's: the one that ours takes the place of, or that is given back. `said`: whether the
    sentences on who gains access say it, where there are any.
    """

    path: str
    old: Any
    new: Any
    theirs: Literal["", "old", "new"] = ""
    said: bool = False


@dataclass(frozen=True, slots=True)
class Change:
    """One action on one address.

    `fingerprint`: of what was observed. `needs`: addresses that the desired (for deletes: the live) resource depends on.
    `along`: live resources that are deleted with this one. `images`: how many images are lost, if they were counted.
    `foreign`: what others gave that is deleted with it. `force`: whether the spec or the command line allows images, and what
    others gave, to be deleted. `gains`, `losses`: who gains and who loses access. `again`: it exists, is deleted with its parent,
    and is created again. `native_name`: of what holds images and is created, replaced or adopted. `expiring`: how many images there
    are that expire by it, if they were counted. `waits`: what other registries get in the same document, which comes first: what
    they get is taken away here. `leans`: what other registries have there, by which something stays or is no news.
    `may_be_there`: what it needs is adopted as it is, so that it may exist and hold images, although nothing of ours says so.
    """

    action: Action
    address: Address
    kind: str
    cause: Cause
    desired: Desired | None = None
    live: Live | None = None
    fields: tuple[FieldChange, ...] = ()
    fingerprint: str = ""
    needs: tuple[Address, ...] = ()
    along: tuple[Address, ...] = ()
    images: int | None = None
    force: bool = False
    gains: tuple[Access, ...] = ()
    losses: tuple[Access, ...] = ()
    foreign: tuple[ForeignAccess, ...] = ()
    notes: tuple[str, ...] = ()
    again: bool = False
    native_name: NativeName | None = None
    expiring: int | None = None
    waits: tuple[Address, ...] = ()
    leans: tuple[Address, ...] = ()
    may_be_there: bool = False

    @property
    def registry(self) -> str:
        """The registry that the resource belongs to."""
        return self.address.registry

    @property
    def removes(self) -> bool:
        """Whether the live resource is deleted, for good or to be created again."""
        return self.action in (Action.DELETE, Action.REPLACE)

    @property
    def was_there(self) -> bool:
        """Whether a resource that is deleted or replaced existed before reconciler adopted it, so that its owner may want to keep it.
        Always false for a resource whose marks another one carries."""
        return self.removes and self.live is not None and self.live.parent is None and self.live.marks.adopted

    @property
    def lets_go(self) -> bool:
        """Whether the spec stops owning the resource: it is deleted, or released and kept."""
        return self.action in (Action.DELETE, Action.RELEASE)

    @property
    def makes(self) -> bool:
        """Whether a new resource is created, in the place of an old one or not."""
        return self.action in (Action.CREATE, Action.REPLACE)


@dataclass(frozen=True, slots=True, order=True)
class PlanProblem:
    """Why a plan can't be applied. `conflict`: what the spec wants exists already and is not the spec's; else it is an error, such as
    a platform's limit."""

    address: Address
    message: str
    conflict: bool = False
