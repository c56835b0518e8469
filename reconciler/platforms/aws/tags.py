"""Our tags on AWS: marks, which labels are ours, and what else a repository remembers in them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from urllib.parse import unquote

from reconciler.model.marks import ADOPTED, APPLIED, LABELS, ORIGIN, OWNER, PREFIX, REGISTRY

DESCRIPTION, PROTECT, DELETE_IMAGES = f"{PREFIX}description", f"{PREFIX}protect", f"{PREFIX}delete-images"
#: the repository's name in the spec, where it does not follow from the ECR repository's
REPOSITORY = f"{PREFIX}repository"

#: what the key of another's tag is kept under while a label of ours with its key stands in its place
WAS = f"{PREFIX}was-"

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


def own_labels(tags: Mapping[str, str]) -> Tags:
    """The labels that a spec asked for: those that are listed, and those that took another's place, should the list be gone."""
    displacing = (key.removeprefix(WAS) for key in tags if key.startswith(WAS))
    return {key: tags[key] for key in dict.fromkeys([*tags.get(LABELS, "").split(), *displacing]) if key in tags}


_OURS = frozenset({OWNER, REGISTRY, ORIGIN, ADOPTED, APPLIED, LABELS, DESCRIPTION, PROTECT, DELETE_IMAGES, REPOSITORY})
_OURS_BEGIN = (f"{APPLIED}-", WAS)


def is_ours(key: str) -> bool:
    """Whether the key is of a tag that this tool writes beside labels."""
    return key in _OURS or key.startswith(_OURS_BEGIN)


def foreign(tags: Mapping[str, str]) -> Tags:
    """The tags that no spec asked for, those among them whose place a label of ours has taken."""
    own = own_labels(tags)
    others = {key: value for key, value in tags.items() if key not in own and not is_ours(key)}
    return {**others, **{key: tags[WAS + key] for key in own if WAS + key in tags}}


def displaced(others: Mapping[str, str], labels: Iterable[str]) -> Tags:
    """The tags that keep what others have under the keys of our labels."""
    return {WAS + key: others[key] for key in labels if key in others}


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
