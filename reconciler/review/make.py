"""A review: the plan from what the base spec says to what the head says, and what in the text causes each part of it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from reconciler.engine.diff import diff
from reconciler.engine.expand import expand, platform_of
from reconciler.engine.picture import Picture, picture
from reconciler.engine.plan import Plan, homes_of, settle
from reconciler.engine.release import released_by
from reconciler.engine.wishes import Wishes
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
    part = None if whole else touched(before, after, differing)
    seen, changes, plan = planned(*(part.specs if part is not None else (before, after)), platforms)
    if part is not None and not part.decides(plan):
        seen, changes, plan = planned(before, after, platforms)
    guarded = plan if base.guards == head.guards else planned(before, after.guarded_by(base.guards), platforms)[2]
    plan = _said_of_base(plan, before, platforms)
    findings = findings_of(Compared(base, head, before, after, differing, unknown, seen, changes))
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
    known = {(item.guard, item.message) for item in planned(base, base, platforms)[2].violations}
    verdicts = (
        replace(item, message=f"{item.message}; the base has that too") if (item.guard, item.message) in known else item
        for item in plan.verdicts
    )
    return replace(plan, verdicts=tuple(verdicts))


def planned(base: Spec, head: Spec, platforms: Platforms) -> tuple[Picture, Mapping[Address, Change], Plan]:
    """What a plan is made from where all is as the base says, its changes as each resource alone gives access, and the plan."""
    kinds, desired = expand(head, platforms)
    base_kinds, there = expand(base, platforms)
    kept = {registry.name: registry for registry in head.registries}
    homes = homes_of(head.name, head.registries)
    listed: dict[str, dict[Address, Live]] = {name: {} for name in desired}
    for registry in base.registries:
        now = kept.get(registry.name)
        # what a registry that leaves holds stays as it is, and no plan looks at it
        if now is not None and not registry.retired and registry.found_by(now):
            released = released_by(base, (), base_kinds, [there[registry.name]])
            platform = platform_of(platforms, registry.platform)
            found = (
                platform.now_found(item, registry, now, desired[now.name])
                for at, item in there[registry.name].items()
                if at not in released and item.parent not in released
            )
            renamed = _renamed(base, registry, there[registry.name], head, now, desired[now.name], kinds[now.name])
            listed[registry.name] = {
                live.address: live
                for item in found
                for live in (applied(_called(item, renamed, kinds[now.name]), head.name),)
            }
    retired = {registry.name for registry in head.registries if registry.retired}
    released = released_by(head, (), kinds, [*desired.values(), *listed.values()])
    seen = picture(kinds, desired, listed, retired=retired, released=released, homes=homes)
    difference = diff(seen, head.name, shown=False)
    changes = dict(difference.changes)
    return seen, changes, settle(head, seen, difference, Wishes(), spec_hash="")


def _renamed(
    base: Spec,
    earlier: RegistryBase,
    there: Mapping[Address, Desired],
    head: Spec,
    registry: RegistryBase,
    wanted: Mapping[Address, Desired],
    kinds: Mapping[str, Kind],
) -> Mapping[str, str]:
    """What repositories of a registry are called now that the platform calls as before: it is by that name that a plan finds them."""
    kept = {item.name for item in head.repositories_by_registry[registry.name]}
    gone = {item.name for item in base.repositories_by_registry[earlier.name]} - kept
    if not gone:
        return {}

    def native(spec: Spec, here: RegistryBase, items: Mapping[Address, Desired]) -> Iterator[tuple[str, str]]:
        others = [item for item in spec.registries if item.name != here.name]
        for at, item in items.items():
            kind = kinds.get(item.kind)
            if isinstance(kind, HoldsImages) and not at.where:
                yield kind.native_name(item, here, others).name, at.name

    now = dict(native(head, registry, wanted))
    found = ((name, now.get(called)) for called, name in native(base, earlier, there) if name in gone)
    return {name: other for name, other in found if other is not None}


def _called(item: Desired, renamed: Mapping[str, str], kinds: Mapping[str, Kind]) -> Desired:
    """The resource with the repository's name of now in its addresses."""
    home = item.parent or item.address
    if home.name not in renamed or not isinstance(kinds.get(home.kind), HoldsImages):
        return item

    def called(at: Address) -> Address:
        return Address.of(at.registry, at.kind, renamed[at.name], at.where) if at.name == home.name else at

    parent = called(item.parent) if item.parent is not None else None
    return replace(item, address=called(item.address), parent=parent, needs=tuple(map(called, item.needs)))


def _is_there(platforms: Platforms, name: str) -> bool:
    return name in platforms
