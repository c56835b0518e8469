"""Our labels on Artifact Registry repositories: marks, which labels a spec asked for, which members of the policy are ours. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping

from reconciler.model.marks import ADOPTED, APPLIED, LABELS, ORIGIN, OWNER, PREFIX, REGISTRY
from reconciler.platforms.spec_labels import WAS, Labels, SpecLabels, displaced
from reconciler.words import value

from . import record

__all__ = ["WAS", "Labels", "displaced"]

PROTECT, DELETE_IMAGES = f"{PREFIX}protect", f"{PREFIX}delete-images"
#: which members of the IAM policy are ours
ACCESS = f"{PREFIX}access"
#: https://cloud.google.com/artifact-registry/docs/repositories/label-repos
MAX_LABELS, MAX_KEY = 64, 63

_OURS = frozenset({OWNER, REGISTRY, ORIGIN, ADOPTED, APPLIED, PROTECT, DELETE_IMAGES})
_NUMBERED = re.compile(rf"({LABELS}|{ACCESS})(-[0-9]{{1,2}})?")


def is_ours(key: str) -> bool:
    """Whether the key is of a label that this tool writes beside those of a spec."""
    return key in _OURS or key.startswith((f"{APPLIED}-", WAS)) or _NUMBERED.fullmatch(key) is not None


def _asked_for(labels: Mapping[str, str]) -> set[str]:
    recorded = record.unpacked(LABELS, labels)
    return {key for key in labels if record.hash_of(key) in recorded}


_LABELS = SpecLabels(is_ours, _asked_for)
own_labels, foreign = _LABELS.own, _LABELS.foreign


def shown(labels: Mapping[str, str]) -> list[str]:
    """The labels as people read them, sorted by their keys."""
    return [f"{key}={value(there)}" for key, there in sorted(labels.items())]


def of_spec(wanted: Mapping[str, str]) -> Labels:
    """The labels that a spec asks for, with the record that they are its."""
    return {**wanted, **record.packed(LABELS, map(record.hash_of, wanted))}


def recorded(labels: Mapping[str, str]) -> set[str]:
    """Which members of the IAM policy are ours, by their hashes."""
    return record.unpacked(ACCESS, labels)
