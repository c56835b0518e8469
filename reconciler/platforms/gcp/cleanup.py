"""Cleanup policies of Artifact Registry: which images Google removes by itself. Pure.

https://cloud.google.com/artifact-registry/docs/repositories/cleanup-policy
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from reconciler.model.canonical import text
from reconciler.model.weakening import Kept
from reconciler.spec.repository import Retention

Document = dict[str, Any]

#: what the ids of ours begin with
OURS = "reconciler-"
UNTAGGED, REST, NEWEST, TAGS = f"{OURS}untagged", f"{OURS}delete", f"{OURS}keep-last", f"{OURS}keep-tags"
#: https://cloud.google.com/artifact-registry/docs/repositories/cleanup-policy-overview#limits
MAX_POLICIES = 10
DAY = 86_400


@lru_cache(maxsize=1024)
def of_retention(retention: Retention) -> str:
    """The policies for a retention, as canonical JSON; "" if none. At most three.

    A policy that keeps wins over one that deletes, and deletes nothing itself. With `keep_last` all but the newest are deleted, also
    the untagged, whatever their age: a policy for these would change nothing.
    """
    found: Document = {}
    if retention.keep_last is not None:
        found[REST] = {"action": "DELETE", "condition": {"tagState": "ANY"}}
        found[NEWEST] = {"action": "KEEP", "mostRecentVersions": {"keepCount": retention.keep_last}}
    elif retention.untagged_days is not None:
        older = f"{retention.untagged_days * DAY}s"
        found[UNTAGGED] = {"action": "DELETE", "condition": {"tagState": "UNTAGGED", "olderThan": older}}
    if retention.keep_tags and retention.keep_last is not None:
        prefixes = sorted({pattern.rstrip("*") for pattern in retention.keep_tags})
        # the empty beginning is that of every tag
        condition = {"tagState": "TAGGED"} | ({} if "" in prefixes else {"tagPrefixes": prefixes})
        found[TAGS] = {"action": "KEEP", "condition": condition}
    return text(found) if found else ""


def ours(policies: Mapping[str, Any]) -> str:
    """Our policies among those of a repository, in their one form; "" if there are none."""
    found = {key: normal(value) for key, value in policies.items() if key.startswith(OURS)}
    return text(found) if found else ""


def foreign(policies: Mapping[str, Any]) -> Document:
    """The policies of others, as they came."""
    return {key: value for key, value in policies.items() if not key.startswith(OURS)}


def normal(policy: Mapping[str, Any]) -> Document:
    """A policy in its one form: Google answers words in any case, durations in seconds, and its id."""
    found = {key: value for key, value in policy.items() if key != "id" and value not in (None, {}, [], "")}
    if "action" in found:
        found["action"] = str(found["action"]).upper()
    condition = dict(found.get("condition") or {})
    for key, value in list(condition.items()):
        if value in (None, "", []):
            del condition[key]
        elif isinstance(value, list):
            condition[key] = sorted(set(value))
    if "tagState" in condition:
        condition["tagState"] = str(condition["tagState"]).upper()
    for key in ("olderThan", "newerThan"):
        if key in condition:
            condition[key] = _seconds(str(condition[key]))
    return {**found, "condition": condition} if condition else {k: v for k, v in found.items() if k != "condition"}


def _seconds(duration: str) -> str:
    """A duration as it is compared: `1209600.0s` and `14d` are the same."""
    found = re.fullmatch(r"([0-9]+)(?:\.0+)?([smhd])", duration)
    if found is None:
        return duration
    return f"{int(found[1]) * {'s': 1, 'm': 60, 'h': 3_600, 'd': DAY}[found[2]]}s"


def written(policies: str) -> Document:
    """Our policies as they are sent, each with its id."""
    found: Document = json.loads(policies or "{}")
    return {key: {**value, "id": key} for key, value in found.items()}


def kept(policies: str) -> Kept | None:
    """The retention that the policies are made from; None if they are made from none."""
    found: Document = json.loads(policies or "{}")
    if not found:
        return Kept()
    last = found.get(NEWEST, {}).get("mostRecentVersions", {}).get("keepCount")
    older = re.fullmatch(r"([0-9]+)s", found.get(UNTAGGED, {}).get("condition", {}).get("olderThan", ""))
    days = int(older[1]) // DAY if older else None
    condition = found.get(TAGS, {}).get("condition", {})
    tags = tuple(f"{item}*" for item in condition.get("tagPrefixes", [""] if TAGS in found else []))
    if last is None and days is None:
        return None
    # not validated: what is there may be more than a spec can ask for
    same = of_retention(Retention.model_construct(keep_last=last, untagged_days=days, keep_tags=tags)) == policies
    return Kept(last, days, tags) if same else None


def shown(policies: str) -> dict[str, Any]:
    """Each policy by its name, in words."""
    found: Document = json.loads(policies or "{}")
    return {key.removeprefix(OURS): words(value) for key, value in sorted(found.items())}


def words(policy: Mapping[str, Any]) -> str:
    """`delete untagged images older than 7 days`, `keep the 5 newest images of each name`."""
    verb = str(policy.get("action", "")).lower()
    if newest := policy.get("mostRecentVersions"):
        of = f" of {' and '.join(newest['packageNamePrefixes'])}" if newest.get("packageNamePrefixes") else ""
        return f"{verb} the {newest.get('keepCount', 0)} newest of each image{of}"
    condition = dict(policy.get("condition") or {})
    state = {"UNTAGGED": "untagged images", "TAGGED": "tagged images"}.get(condition.pop("tagState", ""), "all images")
    parts = []
    for key, words in (("olderThan", "older than"), ("newerThan", "newer than")):
        if duration := condition.pop(key, ""):
            seconds = re.fullmatch(r"([0-9]+)s", duration)
            parts.append(f"{words} {_days(int(seconds[1])) if seconds else duration}")
    for key, words in (
        ("tagPrefixes", "with tags that begin with"),
        ("versionNamePrefixes", "with versions that begin with"),
        ("packageNamePrefixes", "with names that begin with"),
    ):
        if prefixes := condition.pop(key, ()):
            parts.append(f"{words} {' or '.join(prefixes)}")
    if verb == "delete" and state == "all images" and not parts:
        return "delete all images that no other policy keeps"
    return " ".join((verb, state, *parts))


def _days(seconds: int) -> str:
    days = seconds / DAY
    return f"{days:g} {'day' if days == 1 else 'days'}"


def deleting(policies: Mapping[str, Any]) -> Document:
    """Those that delete images, each in its one form, sorted."""
    found = {key: normal(value) for key, value in sorted(policies.items())}
    return {key: value for key, value in found.items() if value.get("action") == "DELETE"}


def kept_in_words(policies: str) -> list[str]:
    """What our policies keep, whatever any other deletes."""
    found = [words(value) for _, value in sorted(json.loads(policies or "{}").items())]
    return [item.removeprefix("keep ") for item in found if item.startswith("keep ")]


def keeping(ours: str, theirs: Mapping[str, Any]) -> bool:
    """Whether any policy keeps images, ours or another's."""
    return bool(kept_in_words(ours)) or any(normal(item).get("action") == "KEEP" for item in theirs.values())


def shown_foreign(policies: Mapping[str, Any]) -> list[str]:
    """The policies of others in words, each with its name, sorted."""
    return sorted(f"'{key}' ({words(normal(value))})" for key, value in policies.items())
