"""The keys of the marks that a live resource carries: who made it, and what was last applied."""

from __future__ import annotations

from typing import Final

OWNER: Final = "reconciler-owner"
ORIGIN: Final = "reconciler-origin"
APPLIED: Final = "reconciler-applied"
#: which of a resource's labels are ours: their keys, with spaces between
LABELS: Final = "reconciler-labels"
