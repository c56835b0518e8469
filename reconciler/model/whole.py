"""What is deleted with all that is in it: a registry that is one on its platform."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

from .access import ForeignAccess
from .address import Address
from .kind import HoldsImages, Uncounted
from .resource import Live


class PartlyCounted(Uncounted):
    """Not all images can be counted by whoever asks; why, in words. `least`: how many are."""

    def __init__(self, words: str, least: int) -> None:
        super().__init__(words)
        self.least = least


class HoldsAll(HoldsImages):
    """What a kind offers whose resource holds all that its registry has: a delete takes all of that along, ours or not, whether the
    plan names it or not."""

    @abstractmethod
    def count_beside(self, session: Any, live: Live, going: Mapping[Address, int]) -> int:
        """How many images go with it that do not go with a resource that the same plan deletes. `going`: what these are, each with
        the images that were counted there. Raises Uncounted if the platform does not say it to these credentials."""

    def count(self, session: Any, live: Live) -> int:
        return self.count_beside(session, live, {})

    def as_it_goes(self, item: ForeignAccess) -> ForeignAccess:
        """What others gave, without what is said of it only as long as what is ours is there. Pure."""
        return item
