"""Tags of what has any: their limits, and the casing of their keys."""

from __future__ import annotations

from collections.abc import Mapping

from .wire import Document, invalid


def tags_in(body: Document, there: Mapping[str, str] | None = None) -> dict[str, str] | None:
    """At most 50: https://learn.microsoft.com/azure/azure-resource-manager/management/tag-resources#limitations. None if the body has
    none. `there`: those of what is written over."""
    found = body.get("tags")
    if found is None:
        return None
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise invalid("Tags must be strings.", "InvalidTagValue")
    if len(found) > 50:
        raise invalid("The number of tags exceeds the limit of 50.", "TooManyTags")
    if any(len(key) > 512 or len(value) > 256 for key, value in found.items()):
        raise invalid("A tag's key has at most 512 characters, its value at most 256.", "InvalidTagNameLength")
    if len({key.lower() for key in found}) < len(found):
        raise invalid("Tag names are case-insensitive.", "DuplicateTag")
    return cased(there or {}, found)


def cased(there: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """The tags that are given, each key in the casing in which it is there: https://github.com/turbot/guardrails-samples/issues/871."""
    keys = {key.lower(): key for key in there}
    return {keys.get(key.lower(), key): value for key, value in given.items()}
