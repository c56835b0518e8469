"""Our tags on Azure, which compares keys without case: marks, which labels a spec asked for, what is noted of a registry. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from reconciler.model.marks import ADOPTED, APPLIED, LABELS, ORIGIN, OWNER, REGISTRY
from reconciler.platforms.spec_labels import WAS, Labels, SpecLabels, displaced

from .rules import MAX_TAG_VALUE

__all__ = ["WAS", "Labels", "displaced", "foreign", "is_ours", "of_spec", "own_labels", "read"]

#: on an identity, of which registry it is: two of a spec that has had another registry_name are called the same
REGISTRY_NAME = "reconciler-registry-name"
_OURS = frozenset({OWNER, REGISTRY, REGISTRY_NAME, ORIGIN, ADOPTED, APPLIED})


def is_ours(key: str) -> bool:
    """Whether the key is of a tag that this tool writes beside labels."""
    return key in _OURS or key.startswith((f"{APPLIED}-", WAS, LABELS))


def _recorded(tags: Mapping[str, str]) -> set[str]:
    keys = " ".join(value for key, value in tags.items() if key.startswith(LABELS))
    return set(keys.split())


_LABELS = SpecLabels(is_ours, _recorded)
own_labels, foreign = _LABELS.own, _LABELS.foreign


def read(tags: Mapping[str, str] | None) -> Labels:
    """The tags of a resource as they are used here: ours in their own casing, whatever casing they come back in."""
    found = {}
    for key, value in (tags or {}).items():
        small = key.lower()
        found[small if is_ours(small) and not small.startswith(WAS) else key] = value
    return found


def of_spec(labels: Mapping[str, str]) -> Labels:
    """The labels that a spec asks for, with the record that they are its: their keys, in as many tags as that takes."""
    lines = list(_lines(sorted(labels), MAX_TAG_VALUE))
    record = {LABELS if number == 0 else f"{LABELS}-{number}": line for number, line in enumerate(lines)}
    return {**labels, **record}


def _lines(words: Iterable[str], most: int) -> Iterator[str]:
    """The words in lines of at most so many characters."""
    line = ""
    for word in words:
        if line and len(line) + 1 + len(word) > most:
            yield line
            line = ""
        line = f"{line} {word}" if line else word
    if line:
        yield line


def after(
    there: Mapping[str, str], own: Mapping[str, str], kept: Collection[str] = (), *, again: bool = False
) -> Labels:
    """All tags after a write: `own`, and what others have there, kept under another key where a label of ours takes their place.

    `kept`: the keys of ours that stay although they are not in `own`. `again`: whether the same was applied before: what says just
    that is ours, whatever lists it.
    """
    labels = own_labels(own)
    # a tag of others whose key is a label's in another casing is the same tag
    casing = {key.lower(): key for key in labels}
    theirs = {casing.get(key.lower(), key): value for key, value in foreign(there).items()}
    others = {key: value for key, value in theirs.items() if not (again and labels.get(key) == value)}
    return {**others, **{key: there[key] for key in kept if key in there}, **own, **displaced(others, labels)}
