"""What a registry does not say. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Refusal:
    """That a registry does not say which repositories it has: what can't be known is not missing. `why`: in words."""

    why: str
