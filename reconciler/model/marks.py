"""The marks by which a resource says whose it is and what was last applied to it. There is no state file beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Origin = Literal["spec", "runtime"]

#: what the keys of all our marks start with
PREFIX = "reconciler-"
OWNER, ORIGIN, APPLIED = "reconciler-owner", "reconciler-origin", "reconciler-applied"
#: the registry's name in the spec: a name that starts with a registry's prefix doesn't make it that registry's
REGISTRY = "reconciler-registry"
#: that the resource was there before a spec adopted it: only somebody who names it may delete it
ADOPTED = "reconciler-adopted"
#: the keys of the labels that a spec asked for, among those that others put beside them
LABELS = "reconciler-labels"


@dataclass(frozen=True, slots=True)
class Marks:
    """What a live resource carries about who made it.

    `origin`: an Origin, whatever else stands there (a hand wrote it, or a later release), or None if nothing does.
    `applied`: the hash of the settings last applied. `registry`: None on what was made before there was that mark. `adopted`: whether
    it was there before a spec adopted it; False on what was adopted before there was that mark.
    """

    owner: str | None = None
    origin: str | None = None
    applied: str | None = None
    registry: str | None = None
    adopted: bool = False

    @classmethod
    def of(cls, texts: Mapping[str, str | None], applied: str = APPLIED) -> Marks:
        """The marks among a resource's tags, labels or annotations. `applied`: the key that holds the hash."""
        origin, registry = texts.get(ORIGIN), texts.get(REGISTRY)
        return cls(
            texts.get(OWNER),
            str(origin) if origin else None,
            texts.get(applied),
            str(registry) if registry else None,
            bool(texts.get(ADOPTED)),
        )

    def texts(self) -> dict[str, str]:
        """The marks as tags, labels or annotations."""
        marks = {OWNER: self.owner or "", ORIGIN: self.origin or "", APPLIED: self.applied or ""}
        if self.registry:
            marks[REGISTRY] = self.registry
        if self.adopted:
            marks[ADOPTED] = "true"
        return marks

    def elsewhere(self, registry: str) -> bool:
        """Whether they name another registry than this one."""
        return self.registry not in (None, registry)


def applied_key(kind: str) -> str:
    """The key under which a resource carries the hash of what was applied to one of that kind below it."""
    return f"{APPLIED}-{kind}"
