"""Where images are pulled from, where the platform alone knows that."""

from __future__ import annotations

from abc import ABC, abstractmethod

from .resource import Live, NativeName


class ServedElsewhere(ABC):
    """What a kind offers that holds images, and of which the platform says more than a spec does."""

    @abstractmethod
    def as_served(self, name: NativeName, live: Live) -> NativeName:
        """What the platform calls it, by what was found there, be that nothing yet. Pure."""
