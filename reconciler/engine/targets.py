"""What the command line names of a plan: --target, and what these need or go with. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from itertools import chain

from reconciler.errors import ReconcilerError
from reconciler.model.address import Address
from reconciler.model.change import Action, Change
from reconciler.model.resource import Desired, all_needs
from reconciler.spec.selection import matches_any

from .difference import Difference
from .expand import Wanted
from .meant import meant
from .order import edges_of, going_with, needed_first
from .wishes import Wishes


def named_alone(wishes: Wishes, desired: Wanted) -> frozenset[Address]:
    """What the targets name, if that is all that is asked for, and each of it is wanted; else nothing: a glob, or an address that the
    spec does not have, may name what only a listing finds."""
    wanted = set(chain.from_iterable(desired.values()))
    whole = wishes.release or not wanted.issuperset(wishes.targets)
    return frozenset() if whole else frozenset(map(Address, wishes.targets))


def check_targets(targets: Iterable[str], addresses: Collection[str]) -> None:
    """Raises ReconcilerError for targets that name no address: a plan of nothing would look like success."""
    wrong = [target for target in targets if not any(matches_any(address, (target,)) for address in addresses)]
    if wrong:
        errors = (f"--target {target}: no resource has this address{meant(target, addresses)}" for target in wrong)
        raise ReconcilerError("\n".join(errors))


def check_along(targets: Iterable[str], changes: Mapping[Address, Change]) -> None:
    """Raises ReconcilerError for targets that name only what is deleted with something else: it would stay."""
    carriers = {below: change.address for change in changes.values() for below in change.along if below not in changes}
    for target in targets:
        along = [address for address in carriers if matches_any(address, (target,))]
        if along and not any(matches_any(address, (target,)) for address in changes):
            raise ReconcilerError(f"--target {target}: {along[0]} goes with {carriers[along[0]]}: target that")


def select(difference: Difference, targets: Collection[str], desired: Mapping[Address, Desired]) -> None:
    """Keeps the changes that the targets name, those that they need, and what a replacement also deletes and must be made again.

    Of the problems and of what is pending, those of all that the targets name or need, whether a change is planned for it or not:
    what is in the way of a need is in the way of the target; so is what is in the way of that which takes the place of what is
    deleted.
    """
    if not targets:
        return
    changes = difference.changes
    edges = edges_of(changes, waiting=False)
    kept = needed_first({address for address in changes if matches_any(address, targets)}, edges)
    replaced = {address for address in kept if changes[address].action is Action.REPLACE}
    again = {address for address, item in changes.items() if item.desired and item.desired.parent in replaced}
    kept |= needed_first(again, edges)
    everything = len(changes) + len(difference.problems) + len(difference.pending)
    difference.changes = {address: change for address, change in changes.items() if address in kept}
    named = {address for address in (*desired, *changes) if matches_any(address, targets)}
    going = going_with(difference.changes.values())
    instead = {address for address, item in desired.items() if not going.isdisjoint(item.instead_of)}
    needed = all_needs({*named, *kept, *instead}, desired)
    difference.problems = [
        item for item in difference.problems if item.address in needed or matches_any(item.address, targets)
    ]
    difference.pending = {at: why for at, why in difference.pending.items() if at in needed or matches_any(at, targets)}
    difference.remarks = {at: found for at, found in difference.remarks.items() if matches_any(at, targets)}
    difference.left_out = everything - len(difference.changes) - len(difference.problems) - len(difference.pending)
