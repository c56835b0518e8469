"""Who has written a field of an object last. https://kubernetes.io/docs/reference/using-api/server-side-apply/#field-management"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .connection import MANAGER


def last_writer(found: Mapping[str, Any], field: str) -> tuple[str, str] | None:
    """Who has written a field of an object last, and when ("" if that is not noted); None where nobody is noted.

    `field`: as the object's `metadata.managedFields` name it, such as `f:imagePullSecrets`; one in a map behind that and a slash. Of
    several that have it, this tool, else the latest: whoever changes a value takes the field from all others, so that what somebody
    else has beside this tool was the same, or is none of a write (1.20.2 gives a key to who has made the map, at the next write of
    whatever; and a manager's time is that of its last write of whatever, https://github.com/kubernetes/kubernetes/issues/81524).
    """
    entries = found.get("metadata", {}).get("managedFields") or ()
    having = [item for item in entries if _has(item.get("fieldsV1") or {}, field)]
    last = max(
        [item for item in having if item.get("manager") == MANAGER] or having,
        key=lambda item: str(item.get("time") or ""),
        default=None,
    )
    return (str(last.get("manager") or ""), str(last.get("time") or "")) if last is not None else None


def ours(found: Mapping[str, Any], field: str) -> bool:
    """Whether this tool has written a field of an object last; False where nobody is noted."""
    last = last_writer(found, field)
    return last is not None and last[0] == MANAGER


def _has(fields: Mapping[str, Any], field: str) -> bool:
    """Whether somebody has a field, or anything in it: whoever changes a value takes it from others, and leaves them `.`, the map
    that it is in."""
    found: Any = fields
    for part in field.split("/"):
        if part not in found:
            return False
        found = found[part]
    return bool(found.keys() != {"."})


def by_others(found: Mapping[str, Any], field: str, what: str) -> tuple[str, ...]:
    """A sentence on who else has written a field last; none if that was this tool, or nobody knows. `what`: the field, in words."""
    last = last_writer(found, field)
    if last is None or last[0] in ("", MANAGER):
        return ()
    when = f" at {last[1].replace('+00:00', 'Z')}" if last[1] else ""
    return (f"{what} was last written by {last[0]}{when}",)
