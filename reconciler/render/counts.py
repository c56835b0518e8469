"""The sentences of a report that have a count in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from reconciler.model.address import Address
from reconciler.model.change import Action, Cause
from reconciler.words import and_along, counted, images_counted, plural, some_of

NOTHING: Mapping[Address, str] = MappingProxyType({})
NO_NAMES: Mapping[str, Sequence[str]] = MappingProxyType({})
NOTHING_ALONG: Mapping[Action, int] = MappingProxyType({})
_TO_DO = {
    Action.CREATE: "to create",
    Action.UPDATE: "to update",
    Action.REPLACE: "to replace",
    Action.DELETE: "to delete",
    Action.ADOPT: "to adopt",
    Action.RELEASE: "to release",
}
_DIFFERS = {
    Cause.DRIFT: "drifted",
    Cause.BOTH: "drifted and pending",
    Cause.OUTDATED: "outdated",
    Cause.CHANGED: "changed",
    Cause.PENDING: "pending",
}


def totals(counts: Mapping[Action, int], along: Mapping[Action, int] = NOTHING_ALONG) -> str:
    """`3 to create, 1 to update` and so on; only what there is. `along`: how many resources go with those that are deleted, and with
    those that are replaced."""
    found = (
        and_along(f"{counts[action]} {text}", counts[action], along.get(action, 0))
        for action, text in _TO_DO.items()
        if counts[action]
    )
    return ", ".join(found) or "nothing to do"


def with_pending(headline: str, pending: int) -> str:
    """The headline with how much can't be done yet: `3 to create, 2 pending`."""
    return f"{headline}, {pending} pending" if pending else headline


def drift_totals(causes: Mapping[Cause, int], unchanged: int, *, foreign: int, conflicts: int, problems: int) -> str:
    """`3 drifted, 1 pending, 12 unchanged`; only what there is, and what is unchanged. `foreign`: at how many addresses others gave
    what the guards would not let the spec give. `conflicts`, `problems`: of what is in the plan's way, conflicts and all else; they
    come first, as they decide the exit code: `1 conflict, and 3 resources drifted, 12 unchanged`."""
    ahead = [counted(count, word) for count, word in ((conflicts, "conflict"), (problems, "problem")) if count]
    found = [(causes[cause], text) for cause, text in _DIFFERS.items() if causes.get(cause)]
    parts = [f"{count} {text}" for count, text in found]
    if foreign:
        parts.append(f"foreign access at {counted(foreign, 'address', 'addresses')}")
    if ahead and parts:
        if found:
            parts[0] = f"{counted(found[0][0], 'resource')} {found[0][1]}"
        parts[0] = f"and {parts[0]}"
    return ", ".join((*ahead, *parts, f"{unchanged} unchanged"))


def as_wanted(unchanged: int) -> str:
    """`1 resource matches the spec.`"""
    return f"{counted(unchanged, 'resource')} {plural(unchanged, 'matches', 'match')} the spec."


def changes(count: int) -> str:
    """`1 change`, `2 changes`."""
    return counted(count, "change")


def unseen(by_registry: Mapping[str, str]) -> str:
    """What access no plan reads, a sentence; "" if there is none."""
    whose: dict[str, list[str]] = {}
    for name, what in by_registry.items():
        whose.setdefault(what, []).append(name)
    return " ".join(f"Not seen ({', '.join(names)}): {what}." for what, names in whose.items())


def left_out(count: int) -> str:
    """What the targets leave undone; "" if nothing is left out."""
    if not count:
        return ""
    return f"{changes(count)} {'is' if count == 1 else 'are'} left out by --target."


def left_alone(
    unowned: Mapping[str, int],
    runtime: int,
    unclear: Mapping[Address, str] = NOTHING,
    names: Mapping[str, Sequence[str]] = NO_NAMES,
) -> str:
    """What is there and stays as it is; "" if there is no such thing.

    `unowned`: repositories per registry; `names`: what they are called, where that is known. `unclear`: addresses and the origins
    that they have.
    """
    parts = [
        f"{counted(count, 'repository', 'repositories')} of registry {name} that nobody owns{_named(names.get(name, ()), count)}"
        for name, count in unowned.items()
        if count
    ]
    if runtime:
        parts.append(f"{counted(runtime, 'resource')} created at run time")
    for address, origin in unclear.items():
        says = f"whose origin is '{origin}', neither spec nor runtime" if origin else "whose origin is missing"
        parts.append(f"{address}, {says}")
    return f"Left alone: {', '.join(parts)}." if parts else ""


def _named(names: Sequence[str], count: int) -> str:
    return f" ({some_of(names, count)})" if names else ""


def images_going(images: int | None, allowed: bool) -> str:
    """What a delete or a replacement means for the images; "" where they were not counted."""
    if images is None:
        return ""
    if images == 0:
        return "holds no images"
    fate = "will be deleted" if allowed else "can't be deleted without permission"
    return f"holds {images_counted(images)}, which {fate}" if images > 0 else f"may hold images, which {fate}"
