"""How many images expire by the changes of a plan."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.model.change import Change
from reconciler.model.kind import ExpiresImages, ExpiresUncounted
from reconciler.words import all_of

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


def uncounted(difference: Difference, seen: Picture) -> Iterator[str]:
    """Where nothing is counted though images may expire by a change, since the platform has no such call. Pure."""
    registries: dict[str, set[str]] = {}
    for change in difference.changes.values():
        kind = seen.kinds[change.registry][change.kind]
        if isinstance(kind, ExpiresUncounted) and any(
            item.setting.partition(".")[0] == "retention" for item in weakenings(seen, change)
        ):
            registries.setdefault(kind.uncounted, set()).add(change.registry)
    for why, names in registries.items():
        yield f"--count-expiring counts nothing in {all_of(sorted(names))}: {why}"
