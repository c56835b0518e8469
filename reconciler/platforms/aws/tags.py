"""Our tags on AWS: marks, which labels are ours, and what else a repository remembers in them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from urllib.parse import unquote

from reconciler.model.marks import ADOPTED, APPLIED, LABELS, ORIGIN, OWNER, PREFIX, REGISTRY
from reconciler.platforms.spec_labels import WAS, SpecLabels, displaced

__all__ = ["WAS", "displaced"]

DESCRIPTION, PROTECT, DELETE_IMAGES = f"{PREFIX}description", f"{PREFIX}protect", f"{PREFIX}delete-images"
#: the repository's name in the spec, where it does not follow from the ECR repository's
REPOSITORY = f"{PREFIX}repository"

Tags = dict[str, str]

#: a repository's tags, without AWS's own (`aws:...`), and the characters of a tag's key and of its value:
#: https://docs.aws.amazon.com/AmazonECR/latest/userguide/ecr-using-tags.html#tag-restrictions
MAX_TAGS, MAX_KEY, MAX_VALUE = 50, 128, 256
#: all but the letters, digits and signs that a value may hold (same source)
_REFUSED = re.compile(r"[^\w .:/+=@-]")
#: what a description begins with that stands in its tag encoded
_ENCODED = "=:"


def as_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Tags as the APIs want them."""
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]


def as_dict(tags: Iterable[Mapping[str, str]]) -> Tags:
    """Tags as the APIs give them."""
    return {tag["Key"]: tag["Value"] for tag in tags}


_OURS = frozenset({OWNER, REGISTRY, ORIGIN, ADOPTED, APPLIED, LABELS, DESCRIPTION, PROTECT, DELETE_IMAGES, REPOSITORY})
_OURS_BEGIN = (f"{APPLIED}-", WAS)


def is_ours(key: str) -> bool:
    """Whether the key is of a tag that this tool writes beside labels."""
    return key in _OURS or key.startswith(_OURS_BEGIN)


_LABELS = SpecLabels(is_ours, lambda tags: tags.get(LABELS, "").split())
own_labels, foreign = _LABELS.own, _LABELS.foreign


def encoded(description: str) -> str:
    """A description as the value of a tag. A character that AWS refuses there is `=` and two hex digits for each byte of it in
    UTF-8, after `=:` at the beginning; a description without such characters stands as it is."""
    if not _REFUSED.search(description) and not description.startswith(_ENCODED):
        return description
    return _ENCODED + re.sub(r"[^\w .:/+@-]", _escaped, description)


def _escaped(found: re.Match[str]) -> str:
    return "".join(f"={byte:02X}" for byte in found[0].encode())


def decoded(value: str) -> str:
    """The description in a tag: the other way round from `encoded`."""
    return unquote(value[len(_ENCODED) :].replace("=", "%")) if value.startswith(_ENCODED) else value
