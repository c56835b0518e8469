"""The keys under which a local document holds our marks."""

from __future__ import annotations

OWNER, ORIGIN, APPLIED = "reconciler-owner", "reconciler-origin", "reconciler-applied"
#: which labels are ours
LABELS = "reconciler-labels"
