"""The two specs of a review, and what a plan between them consists of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reconciler.engine.picture import Picture
from reconciler.model.address import Address
from reconciler.model.change import Change
from reconciler.spec.models import Spec
from reconciler.spec.variables import StandIns

from .edits import Edit


@dataclass(frozen=True)
class Compared:
    """What findings are made of.

    `before`, `after`: the specs without what can't be reviewed. `differing`: how their texts differ. `unknown`: what stands in them
    for the values of variables. `seen`: what the plan is made from. `changes`: as each resource alone gives access. `renamed`: the
    names that the base had for repositories which are called otherwise now, by registry and name.
    """

    base: Spec
    head: Spec
    before: Spec
    after: Spec
    differing: Sequence[Edit]
    unknown: StandIns
    seen: Picture
    changes: Mapping[Address, Change]
    renamed: Mapping[tuple[str, str], str]
