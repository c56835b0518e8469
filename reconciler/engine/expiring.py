"""How many images expire by the changes of a plan."""

from __future__ import annotations

from reconciler.model.change import Change
from reconciler.model.kind import ExpiresImages

from .difference import Difference
from .picture import Picture
from .sessions import Sessions
from .weaker import weakenings, with_expiring


def expires(seen: Picture, change: Change) -> bool:
    """Whether images expire by a change that did not before. Pure."""
    return any(item.expires for item in weakenings(seen, change))


def count_expiring(difference: Difference, seen: Picture, sessions: Sessions) -> None:
    """Counts the images that expire by the changes, and of nothing else. Raises PlatformError."""
    asked: dict[tuple[str, str], list[Change]] = {}
    for change in difference.changes.values():
        if change.desired is not None and expires(seen, change):
            asked.setdefault((change.registry, change.kind), []).append(change)
    for (registry, name), changes in asked.items():
        kind = seen.kinds[registry][name]
        if not isinstance(kind, ExpiresImages):
            continue
        wanted = [change.desired for change in changes if change.desired is not None]
        found = kind.expiring(sessions[registry], wanted)
        for change in changes:
            if change.address in found:
                difference.changes[change.address] = with_expiring(change, found[change.address])
