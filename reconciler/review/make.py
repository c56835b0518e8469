"""A review: the plan from what the base spec says to what the head says, and what in the text causes each part of it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

from reconciler.engine.diff import diff
from reconciler.engine.expand import Kinds, Wanted, expand, platform_of
from reconciler.engine.logins import with_other_logins
from reconciler.engine.picture import Picture, picture
from reconciler.engine.plan import Plan, homes_of, settle
from reconciler.engine.release import released_by
from reconciler.engine.wishes import Wishes
from reconciler.model.access import Access
from reconciler.model.address import Address
from reconciler.model.canonical import applied
from reconciler.model.change import Change
from reconciler.model.kind import HoldsImages, Kind
from reconciler.model.platform import Platforms
from reconciler.model.resource import Desired, Live
from reconciler.spec.models import Spec
from reconciler.spec.registry import RegistryBase
from reconciler.spec.variables import StandIns

from .causes import registry_of
from .compared import Compared
from .edits import Edit
from .findings import findings_of
from .model import Review
from .touched import touched


def make_review(
    base: Spec,
    head: Spec,
    differing: Sequence[Edit],
    unknown: StandIns,
    platforms: Platforms,
    warnings: Sequence[str] = (),
    *,
    whole: bool = False,
) -> Review:
    """What the change from one spec to another means. `differing`: how their texts differ. `unknown`: what stands in them for the
    values of variables. `whole`: look at all that does not differ as well, which finds nothing else. Makes no call.

    What the base spec says is taken for what is there: what others gave, and what was changed by hand, is not known.
    """
    unread = {
        registry.name: registry.platform
        for registry in (*base.registries, *head.registries)
        if not _is_there(platforms, registry.platform)
    }
    # by another name all of the base would be somebody else's; that it has one is a finding of its own
    before, after = base.without(unread).named(head.name), head.without(unread)
    if called := _clusters_called(before, after):
        before = before.with_clusters_called(called)
    part = None if whole else touched(before, after, differing)
    seen, changes, plan, renamed = planned(*(part.specs if part is not None else (before, after)), platforms)
    if part is not None and not part.decides(plan):
        seen, changes, plan, renamed = planned(before, after, platforms)
    guarded = plan if base.guards == head.guards else planned(before, after.guarded_by(base.guards), platforms).plan
    plan = _said_of_base(plan, before, platforms)
    findings = findings_of(Compared(base, head, before, after, differing, unknown, seen, changes, renamed))
    skipped = [
        f"registry {name} changes at {edit.spot.at}, and was not reviewed: platform {unread[name]} is not in this build"
        for edit in differing
        if (name := registry_of(edit)) in unread
    ]
    return Review(head.name, plan, tuple(findings), guarded.violations, unread, (*warnings, *dict.fromkeys(skipped)))


def _said_of_base(plan: Plan, base: Spec, platforms: Platforms) -> Plan:
    """The plan with guards' verdicts that say so where they object to the base too."""
    if not plan.violations:
        return plan
    known = {(item.guard, item.message) for item in planned(base, base, platforms).plan.violations}
    verdicts = (
        replace(item, message=f"{item.message}; the base has that too") if (item.guard, item.message) in known else item
        for item in plan.verdicts
    )
    return replace(plan, verdicts=tuple(verdicts))


class Planned(NamedTuple):
    """What a plan is made from where all is as the base says, its changes as each resource alone gives access, the plan, and the
    names that the base had for repositories which are called otherwise now, by registry and name."""

    seen: Picture
    changes: Mapping[Address, Change]
    plan: Plan
    renamed: Mapping[tuple[str, str], str]


def planned(base: Spec, head: Spec, platforms: Platforms) -> Planned:
    """The plan of the head where all is as the base says."""
    kinds, desired = expand(head, platforms)
    base_kinds, there = expand(base, platforms)
    unwatched = _unwatched(base, head, base_kinds, there, platforms)
    kept = {registry.name: registry for registry in head.registries}
    homes = homes_of(head.name, head.registries)
    listed: dict[str, dict[Address, Live]] = {name: {} for name in desired}
    renamed: dict[tuple[str, str], str] = {}
    stood: dict[Address, Collection[Address]] = {}
    for registry, other in _met(base, head):
        listed[other.name] |= dict(
            _in_the_way(registry, other, there[registry.name], base_kinds[registry.name], head.name)
        )
    for registry in base.registries:
        now = kept.get(registry.name)
        # what a registry that leaves holds stays as it is, and no plan looks at it
        found_by = now is not None and registry.found_by(now)
        if now is not None and not registry.retired and (found_by or registry.still_finds(now)):
            released = released_by(base, (), base_kinds, [there[registry.name]])
            platform = platform_of(platforms, registry.platform)
            names = (
                _names(base, registry, there[registry.name], head, now, desired[now.name], kinds[now.name])
                if found_by
                else {}
            )
            renamed |= {(now.name, name): was for was, name in names.items()}
            for at, item in there[registry.name].items():
                if not found_by and item.kind not in registry.still_finds(now):
                    continue
                if at not in released and item.parent not in released and at not in unwatched:
                    fitted = base_kinds[registry.name][item.kind].fitted(item, None)
                    found = _called(
                        fitted, names, kinds[now.name], partial(platform.renamed, earlier=registry, registry=now)
                    )
                    live = applied(platform.now_found(found, registry, now, desired[now.name]), head.name)
                    listed[registry.name][live.address] = live
                    if base_kinds[registry.name][item.kind].elsewhere:
                        stood[live.address] = item.instead_of
    retired = {registry.name for registry in head.registries if registry.retired}
    released = released_by(head, (), kinds, [*desired.values(), *listed.values()])
    seen = picture(kinds, desired, listed, retired=retired, released=released, homes=homes)
    difference = diff(seen, head.name, shown=False)
    changes = _without_moves(with_other_logins(difference.changes, kinds, stood), stood)
    return Planned(seen, changes, settle(head, seen, difference, Wishes(), spec_hash=""), renamed)


def _met(base: Spec, head: Spec) -> Iterator[tuple[RegistryBase, RegistryBase]]:
    """The registries of the base that the head has under another name, each with that."""
    before, after = ({item.name for item in spec.registries} for spec in (base, head))
    for registry in base.registries:
        for other in head.registries:
            new = registry.name not in after and other.name not in before
            if new and not registry.retired and registry.met_by(other):
                yield registry, other


def _in_the_way(
    registry: RegistryBase,
    other: RegistryBase,
    there: Mapping[Address, Desired],
    kinds: Mapping[str, Kind],
    owner: str,
) -> Iterator[tuple[Address, Live]]:
    """What a registry holds by its old name, as a plan finds it under the new one: with marks of the old one."""

    def called(at: Address) -> Address:
        return Address.of(other.name, at.kind, at.name, at.where)

    for item in there.values():
        if item.kind in registry.met_by(other):
            live = applied(kinds[item.kind].fitted(item, None), owner)
            parent = called(live.parent) if live.parent is not None else None
            at, needs = called(live.address), tuple(map(called, live.needs))
            yield at, replace(live, address=at, parent=parent, needs=needs)


def _clusters_called(base: Spec, head: Spec) -> Mapping[str, str]:
    """What clusters of the base are called in the head, where that is another name: a plan finds what was made there by it."""
    now = {item.name: item.noted_at for item in head.clusters}
    names = {at: name for name, at in now.items()}
    return {
        item.name: names[item.noted_at]
        for item in base.clusters
        if now.get(item.name) != item.noted_at and item.noted_at in names
    }


def _unwatched(base: Spec, head: Spec, kinds: Kinds, there: Wanted, platforms: Platforms) -> set[Address]:
    """What the base has in clusters that the head does not have, or whose notes it does not read: it stays as it is, and no plan
    looks at it that does not want it."""
    now = {item.name: item for item in head.clusters}
    left = {
        item.name
        for item in base.clusters
        if item.name not in now
        or (now[item.name].noted_at[0] == item.noted_at[0] and now[item.name].noted_at != item.noted_at)
    }
    if not left:
        return set()
    others, wanted = expand(base.without_grants_to(left), platforms)[1], expand(head, platforms)[1]
    return {
        at
        for name, found in there.items()
        for at, item in found.items()
        if kinds[name][item.kind].elsewhere and at not in others[name] and at not in wanted.get(name, ())
    }


def _without_moves(
    changes: Mapping[Address, Change], stood: Mapping[Address, Collection[Address]]
) -> dict[Address, Change]:
    """The changes, without what somebody gains by one and loses by another, in whose place the first stands under another name.

    `stood`: where what the base has stood.
    """
    found = dict(changes)
    leaving: dict[Address, list[Address]] = {}
    for at, change in changes.items():
        for place in stood.get(at, ()) if change.lets_go else ():
            leaving.setdefault(place, []).append(at)
    for at, change in changes.items():
        for place in change.desired.instead_of if leaving and change.desired is not None else ():
            for gone in leaving.get(place, ()):
                both = {*found[at].gains} & {*found[gone].losses}
                found[at] = replace(found[at], gains=_but(found[at].gains, both))
                found[gone] = replace(found[gone], losses=_but(found[gone].losses, both))
    return found


def _but(all_of_them: Sequence[Access], those: Collection[Access]) -> tuple[Access, ...]:
    return tuple(item for item in all_of_them if item not in those)


def _names(
    base: Spec,
    earlier: RegistryBase,
    there: Mapping[Address, Desired],
    head: Spec,
    registry: RegistryBase,
    wanted: Mapping[Address, Desired],
    kinds: Mapping[str, Kind],
) -> Mapping[str, str]:
    """What repositories of a registry are called now, where that is another name than before: a plan finds them by what the platform
    calls them."""
    rows = (*base.repositories_by_registry[earlier.name], *head.repositories_by_registry[registry.name])
    if not any(item.native_name for item in rows):
        return {}  # what they are called follows from their names

    def natives(spec: Spec, here: RegistryBase, items: Mapping[Address, Desired]) -> dict[str, str]:
        others = [item for item in spec.registries if item.name != here.name]
        found: dict[str, str] = {}
        for at, item in items.items():
            kind = kinds.get(item.kind)
            if isinstance(kind, HoldsImages) and not at.where:
                found[at.name] = kind.native_name(item, here, others).name
        return found

    then, now = natives(base, earlier, there), natives(head, registry, wanted)
    called = {native: name for name, native in now.items()}
    there_already = set(then.values())
    found: dict[str, str] = {}
    for name, native in then.items():
        if native in called:
            found[name] = called[native]
        elif now.get(name) in there_already:  # another one has its name
            found[name] = native
    return {name: other for name, other in found.items() if name != other}


def _called(
    item: Desired, names: Mapping[str, str], kinds: Mapping[str, Kind], renamed: Callable[[Desired, str], Any]
) -> Desired:
    """The resource with the repository's name of now in its addresses, and its settings as they are read under it."""
    home = item.parent or item.address
    if home.name not in names or not isinstance(kinds.get(home.kind), HoldsImages):
        return item
    name = names[home.name]

    def called(at: Address) -> Address:
        return Address.of(at.registry, at.kind, name, at.where) if at.name == home.name else at

    parent = called(item.parent) if item.parent is not None else None
    settings = renamed(item, name) if isinstance(kinds.get(item.kind), HoldsImages) else item.settings
    return replace(
        item, address=called(item.address), parent=parent, needs=tuple(map(called, item.needs)), settings=settings
    )


def _is_there(platforms: Platforms, name: str) -> bool:
    return name in platforms
