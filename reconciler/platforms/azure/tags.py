"""Our tags on Azure, which compares keys without case: marks, which labels a spec asked for, what is noted of a registry. Pure."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping

from reconciler.model.marks import ADOPTED, APPLIED, LABELS, ORIGIN, OWNER, REGISTRY, Marks
from reconciler.model.resource import Live
from reconciler.platforms.spec_labels import WAS, Labels, SpecLabels

from .rules import MAX_TAG_VALUE, MAX_TAGS

__all__ = ["WAS", "Labels", "foreign", "is_ours", "noted", "of_spec", "own_labels", "read"]

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


class Caseless(dict[str, str]):
    """Values by keys that are looked up whatever their casing."""

    def __init__(self, values: Mapping[str, str]) -> None:
        super().__init__({key.lower(): value for key, value in values.items()})

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and super().__contains__(key.lower())

    def __getitem__(self, key: str) -> str:
        return super().__getitem__(key.lower())


def own_labels(tags: Mapping[str, str]) -> Labels:
    """The labels that a spec asked for."""
    return _LABELS.own(_in_casing_of_labels(tags))


def foreign(tags: Mapping[str, str]) -> Labels:
    """What no spec asked for, in the casing of whoever set it, and also where a label of ours stands in its place."""
    was = {name.lower(): name for key in tags if (name := _displaced(key))}
    return {was.get(key.lower(), key): value for key, value in _LABELS.foreign(_in_casing_of_labels(tags)).items()}


def _displaced(key: str) -> str:
    """The key of somebody else's tag in whose place a label of ours stands; "" if this key is not of what is kept of one."""
    return key.removeprefix(WAS) if key.startswith(WAS) else ""


def _in_casing_of_labels(tags: Mapping[str, str]) -> Labels:
    """The tags, with labels in the casing that is recorded of them, whatever casing Azure has, and with what is kept of others' under
    the key of the label that stands in its place. Azure keeps the casing of a key that is there
    (https://github.com/turbot/guardrails-samples/issues/871), and policies and providers change it
    (https://github.com/hashicorp/terraform-provider-azurerm/issues/25018)."""
    recorded = {key.lower(): key for key in _recorded(tags)}
    labels = {key if is_ours(key) else recorded.get(key.lower(), key): value for key, value in tags.items()}
    keys = {key.lower(): key for key in labels if not is_ours(key)}
    return {WAS + keys.get(name.lower(), name) if (name := _displaced(key)) else key: labels[key] for key in labels}


def read(tags: Mapping[str, str] | None) -> Labels:
    """The tags of a resource as they are used here: ours in their own casing, whatever casing they come back in."""
    found = {}
    for key, value in (tags or {}).items():
        small = key.lower()
        if small.startswith(WAS):
            found[f"{WAS}{key[len(WAS) :]}"] = value
        else:
            found[small if is_ours(small) else key] = value
    return found


def noted(there: Mapping[str, str] | None) -> list[str]:
    """The keys of a registry's tags that say what was applied of what has no tags of its own."""
    return [key for key in read(there) if key.startswith(f"{APPLIED}-")]


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
    ours = Caseless(labels)
    others = {key: value for key, value in foreign(there).items() if not (again and ours.get(key.lower()) == value)}
    beside = {WAS + key if key in ours else key: value for key, value in others.items()}
    return {**beside, **{key: there[key] for key in kept if key in there}, **own}


def let_go(there: Mapping[str, str]) -> Labels:
    """What stays where nothing is ours any more: a spec's labels, and what others had in the place of one."""
    given_back = {name: value for key, value in there.items() if (name := _displaced(key))}
    was = Caseless(given_back)
    return {**{key: value for key, value in there.items() if not is_ours(key) and key not in was}, **given_back}


def too_many(what: str, live: Live | None, beside: int = 0) -> str | None:
    """Why Azure does not take our marks beside the tags of others on what is there; None if it does. `what`: what it is, in words;
    `beside`: how many tags of ours it has that are no marks."""
    theirs = len(of_others(live))
    adopted = live is not None and not live.vacant and (live.marks.adopted or live.marks.owner is None)
    ours = len(Marks("owner", "spec", "applied", "registry", adopted).texts()) + beside
    if theirs + ours <= MAX_TAGS:
        return None
    return (
        f"the {what} would have {theirs + ours} tags; Azure allows at most {MAX_TAGS}: {theirs} set by somebody else, and {ours} for"
        " reconciler's marks; remove some of the others' first"
    )


def of_others(live: Live | None) -> Labels:
    """The tags of others in what a live resource has beside its settings."""
    found: Labels = json.loads(live.rest or "{}").get("tags", {}) if live is not None else {}
    return found
