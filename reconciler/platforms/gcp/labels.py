"""Our labels on Artifact Registry repositories: marks, which labels a spec asked for, which members of the policy are ours. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from reconciler.model.marks import ADOPTED, APPLIED, LABELS, ORIGIN, OWNER, PREFIX, REGISTRY

from . import record

Labels = dict[str, str]

PROTECT, DELETE_IMAGES = f"{PREFIX}protect", f"{PREFIX}delete-images"
#: which members of the IAM policy are ours
ACCESS = f"{PREFIX}access"
#: what the key of another's label is kept under while a label of ours with its key stands in its place
WAS = f"{PREFIX}was-"
#: https://cloud.google.com/artifact-registry/docs/repositories/label-repos
MAX_LABELS, MAX_KEY = 64, 63

_OURS = frozenset({OWNER, REGISTRY, ORIGIN, ADOPTED, APPLIED, PROTECT, DELETE_IMAGES})
_NUMBERED = re.compile(rf"({LABELS}|{ACCESS})(-[0-9]{{1,2}})?")


def is_ours(key: str) -> bool:
    """Whether the key is of a label that this tool writes beside those of a spec."""
    return key in _OURS or key.startswith((f"{APPLIED}-", WAS)) or _NUMBERED.fullmatch(key) is not None


def own_labels(labels: Mapping[str, str]) -> Labels:
    """The labels that a spec asked for: those that are recorded, and those that took another's place, should the record be gone."""
    recorded = record.unpacked(LABELS, labels)
    displacing = {key.removeprefix(WAS) for key in labels if key.startswith(WAS)}
    return {
        key: value
        for key, value in labels.items()
        if not is_ours(key) and (key in displacing or record.hash_of(key) in recorded)
    }


def of_spec(wanted: Mapping[str, str]) -> Labels:
    """The labels that a spec asks for, with the record that they are its."""
    return {**wanted, **record.packed(LABELS, map(record.hash_of, wanted))}


def foreign(labels: Mapping[str, str]) -> Labels:
    """The labels that no spec asked for, those among them whose place a label of ours has taken."""
    own = own_labels(labels)
    others = {key: value for key, value in labels.items() if key not in own and not is_ours(key)}
    return {**others, **{key: labels[WAS + key] for key in own if WAS + key in labels}}


def recorded(labels: Mapping[str, str]) -> set[str]:
    """Which members of the IAM policy are ours, by their hashes."""
    return record.unpacked(ACCESS, labels)


def displaced(others: Mapping[str, str], keys: Iterable[str]) -> Labels:
    """The labels that keep what others have under the keys of ours."""
    return {WAS + key: others[key] for key in keys if key in others}
