"""What of the spec's guards, or of the command line, is for nothing: most likely it is misspelt. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from reconciler.errors import ReconcilerError
from reconciler.model.address import Address
from reconciler.model.change import Action, Change
from reconciler.model.kind import HoldsImages
from reconciler.spec.models import Spec
from reconciler.spec.selection import matches_any
from reconciler.words import did_you_mean

from .guard import danger_of
from .meant import meant
from .picture import Picture
from .wishes import Wishes


def unmatched(spec: Spec, seen: Picture, wishes: Wishes, changes: Mapping[Address, Change]) -> Iterator[str]:
    """What protects, permits or adopts nothing: most likely it is misspelt."""
    protected = spec.guards.protect
    if protected or wishes.allow_delete:
        holders = _holders(seen)
        names = {item.name for item in holders} | {f"{item.registry}/{item.name}" for item in holders}
        for pattern in protected:
            if not any(matches_any(name, (pattern,)) for name in names):
                yield f"guards.protect: no repository is named '{pattern}'{did_you_mean(pattern, names)}, so it protects nothing"
        for address in sorted(set(wishes.allow_delete)):
            if why := _permits_nothing(address, holders, changes):
                yield f"--allow-delete {address}: {why}, so it has no effect"
    for address in sorted(set(wishes.allow)):
        change = changes.get(Address(address))
        kind = seen.kinds[change.registry][change.kind] if change is not None else None
        if change is None or kind is None or not danger_of(change, kind):
            yield f"--allow {address}: the plan makes no dangerous change of it, so it has no effect"
    for address in sorted(set(wishes.adopt) & seen.desired.keys()):
        if why := _adopts_nothing(Address(address), seen, spec.name, changes):
            yield f"--adopt {address}: {why}, so nothing is adopted"


def check_permissions(option: str, addresses: Iterable[str], seen: Picture) -> None:
    """Raises ReconcilerError for permissions at addresses that no resource has: what they were meant for would stay as it is."""
    known = seen.desired.keys() | seen.live.keys()
    if wrong := sorted({*addresses} - known):
        holders = _holders(seen) if option == "--allow-delete" else known
        errors = (f"{option} {address}: no resource has this address{meant(address, holders)}" for address in wrong)
        raise ReconcilerError("\n".join(errors))


def _holders(seen: Picture) -> list[Address]:
    known = seen.desired.keys() | seen.live.keys()
    return [item for item in known if isinstance(seen.kinds[item.registry].get(item.kind), HoldsImages)]


def _permits_nothing(address: str, holders: Collection[Address], changes: Mapping[Address, Change]) -> str:
    """Why a permission to delete is for nothing, or ""."""
    change = changes.get(Address(address))
    if address not in holders and not (change is not None and change.was_there):
        return f"only repositories need this permission{meant(address, holders)}"
    return "" if change is not None and change.removes else "the plan does not delete or replace it"


def _adopts_nothing(address: Address, seen: Picture, owner: str, changes: Mapping[Address, Change]) -> str:
    """Why there is nothing to adopt at an address that the spec has, or "": who adopts a repository adopts what stands below it."""
    for change in changes.values():
        above = change.desired.parent if change.desired is not None else None
        if change.action is Action.ADOPT and address in (change.address, above):
            return ""
    live = seen.live.get(address)
    if live is None or live.vacant:
        return "it does not exist"
    return "it is already owned by this spec" if live.marks.owner == owner and live.marks.origin == "spec" else ""
