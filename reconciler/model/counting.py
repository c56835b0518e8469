"""What decides which of the access that other resources give counts."""

from __future__ import annotations

from abc import ABC, abstractmethod

from .resource import Settings


class DecidesWhatCounts(ABC):
    """What a kind offers that has one resource at most in each registry, by which some of what others of it give counts and some does
    not.

    Both its own kind and those whose access it decides on OVERLAP.
    """

    @abstractmethod
    def idle(self, settings: Settings, given: Settings) -> str:
        """Why what is `given`, settings of any kind that OVERLAPS, counts for nothing where these settings hold, as a sentence
        without its end; "" if it counts. Pure."""
