"""What is let go of together: a registry that is one on its platform, and what belongs to it."""

from __future__ import annotations

from typing import ClassVar

from .kind import Releasable


class ReleasesAll(Releasable):
    """What a kind offers whose resource is the whole of its registry: who lets go of it lets go of all that the registry holds."""


class ReleasedAlong(Releasable):
    """What a kind offers of which nothing is let go of by itself, and all with such a registry."""

    #: whether the platform's name of it is made of the registry's name in the spec, so that two specs can meet there
    called_after: ClassVar[bool] = False
