"""What a review says: findings, each of one cause in the text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from reconciler.engine.guard import Verdict
from reconciler.engine.plan import Plan
from reconciler.model.access import Access
from reconciler.model.address import Address
from reconciler.places import Spot


class Risk(StrEnum):
    """What a change means, the worst first."""

    DESTROYS = "destroys"  # a repository is deleted, or replaced, with its images
    WIDENS = "widens"  # somebody can do more than before
    WEAKENS = "weakens"  # a protection is gone: images expire sooner, tags can be moved, a guard allows more
    UNMANAGED = "unmanaged"  # something leaves the spec and stays as it is, unwatched
    NARROWS = "narrows"  # somebody can do less than before
    CREATES = "creates"
    COSMETIC = "cosmetic"  # nobody gains or loses anything


RANK: Mapping[Risk, int] = {risk: number for number, risk in enumerate(Risk)}


def titled(risk: Risk, *, may: bool) -> str:
    """The risk in words: `may widen` where it can't be decided."""
    return f"may {risk.value.removesuffix('s')}" if may else risk.value


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a change of the text does.

    `spot`: the value that causes it; of what was removed, what it was removed from. None where no line does (the whole spec). `base`:
    where the base has what was removed or changed. `message`: a sentence for each thing to say, the first by itself enough. `may`:
    whether it can't be decided here that it is so. `addresses`: the resources that it is about. `several`: names of repositories that
    more than one registry has.
    """

    risk: Risk
    messages: tuple[str, ...]
    spot: Spot | None
    base: Spot | None = None
    removed: bool = False
    may: bool = False
    addresses: tuple[Address, ...] = ()
    gains: tuple[Access, ...] = ()
    losses: tuple[Access, ...] = ()
    several: frozenset[str] = frozenset()

    @property
    def title(self) -> str:
        """The risk in words: `may widen` where that can't be decided."""
        return titled(self.risk, may=self.may)


@dataclass(frozen=True)
class Review:
    """What a change of the spec means.

    `plan`: of the head, where all is as the base has it. `by_base`: what the base's guards object to. `unread`: registries whose
    platform this build does not have, with that. `warnings`: about the review itself. `spot`: where the head begins, for what no line
    causes.
    """

    owner: str
    plan: Plan
    findings: tuple[Finding, ...] = ()
    by_base: tuple[Verdict, ...] = ()
    unread: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    spot: Spot = field(default=Spot("registry.yaml", 1, 1))

    @property
    def verdict(self) -> tuple[Risk, ...]:
        """The risks of all findings, the worst first; cosmetic only where there is no other."""
        found = sorted({finding.risk for finding in self.findings}, key=RANK.__getitem__)
        return tuple(risk for risk in found if risk is not Risk.COSMETIC or len(found) == 1)

    @property
    def by_head(self) -> tuple[Verdict, ...]:
        """What the head's own guards object to."""
        return self.plan.violations

    @property
    def loosened(self) -> tuple[Verdict, ...]:
        """What the base's guards object to and the head's do not."""
        ours = {(item.guard, item.addresses) for item in self.by_head}
        return tuple(item for item in self.by_base if (item.guard, item.addresses) not in ours)
