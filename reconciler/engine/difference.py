"""What a comparison of desired and live found."""

from __future__ import annotations

from dataclasses import dataclass, field

from reconciler.model.address import Address
from reconciler.model.change import Change, PlanProblem

#: origins of what a plan may change: one that was removed by hand is put right
PLANNED = ("spec", None)


@dataclass
class Difference:
    """The changes by address, the problems, and what was left alone. `unclear`: to the origin that it says it has. `pushers`: who can
    push to what changes so that tags can be overwritten."""

    changes: dict[Address, Change] = field(default_factory=dict)
    problems: list[PlanProblem] = field(default_factory=list)
    runtime: list[Address] = field(default_factory=list)
    unclear: dict[Address, str] = field(default_factory=dict)
    unchanged: int = 0
    owned: int = 0
    left_out: int = 0
    pushers: dict[Address, tuple[str, ...]] = field(default_factory=dict)
