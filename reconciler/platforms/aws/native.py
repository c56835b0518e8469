"""A repository's values as ECR has them, read without folding what no spec can ask for onto what one can. Pure.

The values that there are today: https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_Repository.html
(imageTagMutability, imageTagMutabilityExclusionFilters) and API_EncryptionConfiguration.html (encryptionType). AWS adds to them
(IMMUTABLE_WITH_EXCLUSION, MUTABLE_WITH_EXCLUSION and KMS_DSSE came late), so each other value is kept as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reconciler.model.canonical import text

MUTABLE, IMMUTABLE, EXCEPT = "MUTABLE", "IMMUTABLE", "IMMUTABLE_WITH_EXCLUSION"
WILDCARD = "WILDCARD"


@dataclass(frozen=True, slots=True)
class Mutability:
    """Whether tags can't be moved, the patterns of those that can, and `other`: ECR's words where that can't say it."""

    immutable: bool = False
    movable: tuple[str, ...] = ()
    other: str = ""


def mutability_of(repository: Mapping[str, Any]) -> Mutability:
    """What an answer of ECR says of a repository's tags."""
    value = repository.get("imageTagMutability", MUTABLE)
    filters = repository.get("imageTagMutabilityExclusionFilters") or ()
    if value in (MUTABLE, IMMUTABLE):
        # filters mean nothing beside these two; ECR keeps none
        return Mutability(value == IMMUTABLE)
    if value == EXCEPT and all(map(_is_wildcard, filters)):
        return Mutability(True, tuple(sorted(item["filter"] for item in filters)))
    patterns = sorted(item["filter"] if _is_wildcard(item) else text(item) for item in filters)
    return Mutability(other=f"{value} except {', '.join(patterns)}" if patterns else value)


def _is_wildcard(item: Mapping[str, Any]) -> bool:
    return item.keys() == {"filterType", "filter"} and item["filterType"] == WILDCARD


def encryption_of(repository: Mapping[str, Any]) -> str:
    """The ARN of the KMS key that encrypts a repository, "" for ECR's own AES-256, and ECR's words for anything else."""
    encryption: Mapping[str, str] = repository.get("encryptionConfiguration") or {}
    kind, key = encryption.get("encryptionType", "AES256"), encryption.get("kmsKey", "")
    others = encryption.keys() - {"encryptionType", "kmsKey"}
    if kind == "KMS" and not others:
        return key or "the AWS managed key"
    if kind == "AES256" and not others and not key:
        return ""
    rest = [text({name: encryption[name] for name in sorted(others)})] if others else []
    return " ".join(part for part in (kind, key, *rest) if part)


def mutability_for(immutable: bool, movable: tuple[str, ...]) -> dict[str, Any]:
    """The parameters of a call that sets whether tags can't be moved, and the patterns of those that can."""
    if not movable:
        return {"imageTagMutability": IMMUTABLE if immutable else MUTABLE}
    filters = [{"filterType": WILDCARD, "filter": pattern} for pattern in movable]
    return {"imageTagMutability": EXCEPT, "imageTagMutabilityExclusionFilters": filters}


def encryption_for(key: str) -> dict[str, str]:
    """The parameter of a call that makes a repository, for a KMS key's ARN, or "" for ECR's own AES-256."""
    return {"encryptionType": "KMS", "kmsKey": key} if key else {"encryptionType": "AES256"}
