"""What is left of something that a hand deleted: no change of a spec is why it goes."""

from __future__ import annotations

from abc import ABC, abstractmethod

from .resource import Live


class CanBeOrphaned(ABC):
    """What a kind offers whose resources stay where what they are for is deleted."""

    @abstractmethod
    def is_orphan(self, live: Live) -> bool:
        """Whether what it was for was deleted by hand. Pure."""
