"""A plan: what would change, in which order, and what the guards say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from concurrent.futures import Executor
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from itertools import chain

from reconciler.model.access import Access, ForeignAccess
from reconciler.model.address import Address
from reconciler.model.canonical import digest, text
from reconciler.model.change import Action, Cause, Change, PlanProblem
from reconciler.model.kind import GivesAccess, HoldsImages, Home
from reconciler.model.placed import Places
from reconciler.model.platform import Estate, Platforms
from reconciler.model.resource import Desired
from reconciler.model.whole import HoldsAll
from reconciler.spec.cluster import Cluster
from reconciler.spec.models import Guards, Spec
from reconciler.spec.registry import RegistryBase
from reconciler.spec.variables import hidden
from reconciler.words import SHOWN_NAMES

from . import guard
from .basis import Basis, beside, images_may_go
from .counting import given_after, left_alone
from .diff import diff
from .difference import Difference
from .expand import Kinds, estate_of, expand
from .expiring import count_expiring, uncounted
from .guard import Verdict
from .logins import with_other_logins
from .neighbours import left_out, sharing
from .nobodys import nobodys
from .observe import OnRead, observe, together
from .order import edges_of, ordered
from .picture import Picture, picture
from .reach import reaching, with_reach
from .release import all_released, check_releases, idle, named, released_by, releasing, widened
from .renamed import renamed
from .required import required
from .sessions import Sessions, sessions_of
from .targets import check_along, check_targets, named_alone, select
from .unmatched import check_permissions, unmatched
from .whole import count as images_of
from .whole import ending_by, going_with, note_of, released_inside
from .wishes import Wishes


@dataclass(frozen=True)
class Plan:
    """Changes in the order in which they are applied, their graph, and everything else that a reviewer needs to know.

    `graph`: (before, after). `unowned`: per registry, how many repositories under its prefix nobody owns; `nobodys`: the names of the
    first few. `runtime`: addresses that were created at run time and are left alone. `unclear`: addresses of
    the owner's that are left alone because their origin is neither spec nor runtime, each with its origin. `left_out`: how
    many changes and problems no target matches. `basis`: what it was made from, besides its changes. `variables`: values that
    the spec took from the environment. `warnings`: such as names in guards or on the command line that match nothing, and what there
    is to know of resources that do not change. `clusters`: those of the spec. `places`: those that the spec only names, such as
    clusters, and by what they were known. `examples`: as the estate has them. `pending`: what can't be done yet, and is in no change,
    each with why and what to do.
    """

    owner: str
    base: str
    spec_hash: str
    registries: tuple[RegistryBase, ...]
    changes: tuple[Change, ...] = ()
    graph: tuple[tuple[Address, Address], ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    problems: tuple[PlanProblem, ...] = ()
    foreign: tuple[ForeignAccess, ...] = ()
    unowned: Mapping[str, int] = field(default_factory=dict)
    nobodys: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    runtime: tuple[Address, ...] = ()
    unchanged: int = 0
    left_out: int = 0
    unclear: Mapping[Address, str] = field(default_factory=dict)
    basis: Basis = field(default_factory=Basis)
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    warnings: tuple[str, ...] = ()
    clusters: tuple[Cluster, ...] = ()
    places: Places = field(default_factory=dict)
    pending: Mapping[Address, str] = field(default_factory=dict)
    examples: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def destroy(self) -> bool:
        """Whether the plan is to delete all that the owner owns."""
        return self.basis.destroy

    @property
    def estate(self) -> Estate:
        """What sessions need to know."""
        return Estate(self.owner, self.base, self.registries, clusters=self.clusters, examples=self.examples)

    @property
    def kept(self) -> tuple[ForeignAccess, ...]:
        """What others gave and the plan keeps."""
        going = {item for change in self.changes for item in change.foreign}
        gone = {
            at for change in self.changes if change.action is Action.DELETE for at in (change.address, *change.along)
        }
        return tuple(item for item in self.foreign if item not in going and not (item.stays and item.address in gone))

    @property
    def violations(self) -> tuple[Verdict, ...]:
        """The verdicts that stop the plan."""
        return tuple(verdict for verdict in self.verdicts if not verdict.passed)

    @property
    def conflicting(self) -> bool:
        """Whether conflicts of ownership are all that is in its way."""
        return bool(self.problems) and all(problem.conflict for problem in self.problems)

    @property
    def strangers(self) -> tuple[Verdict, ...]:
        """What the guards say about access that others gave and the plan keeps. It does not stop the plan; drift reports it."""
        return tuple(self._objections(self.kept))

    @property
    def objectionable(self) -> tuple[ForeignAccess, ...]:
        """Of what others gave and the plan keeps, that which the guards object to."""
        return tuple(item for item in self.kept if any(self._objections((item,))))

    def _objections(self, items: Iterable[ForeignAccess]) -> Iterator[Verdict]:
        given = ((item.address, access) for item in items for access in item.access)
        return guard.accounts(self.basis.rules, given, own_accounts(self.registries), foreign=True)

    @property
    def counts(self) -> Mapping[Action, int]:
        """How many changes of each action."""
        return Counter(change.action for change in self.changes)

    @property
    def causes(self) -> Mapping[Cause, int]:
        """How many changes of each cause."""
        return Counter(change.cause for change in self.changes)


def make_plan(
    spec: Spec,
    wishes: Wishes | None = None,
    *,
    platforms: Platforms,
    executor: Executor | None = None,
    sessions: Sessions | None = None,
    on_read: OnRead | None = None,
) -> Plan:
    """Reads the platforms and plans. `platforms`: the catalog. `executor`: where registries are read (threads if None).
    `sessions`: of all the spec's registries, if the caller goes on to use them; opened and closed here if None. `on_read`: who
    counts the reads, as for `observe`.

    Raises ReadFailed if any registry can't be read, and ReconcilerError if a target or a permission names nothing. Problems and guard
    violations are in the plan.
    """
    wishes = wishes or Wishes()
    kinds, desired = expand(spec, platforms)
    described = desired
    if wishes.release:
        desired = expand(releasing(spec, wishes.release, kinds), platforms)[1]
    estate = estate_of(spec, wishes.parallelism, wishes.timeout, wishes.rescue)
    with nullcontext(sessions) if sessions is not None else sessions_of(estate, platforms=platforms) as opened:
        for registry in spec.registries:
            opened[registry.name].giving_up = wishes.destroy or registry.retired
            opened[registry.name].targeted = named_alone(wishes, desired)
        listed = observe(opened, desired, executor, on_read)
        places = together(listed)
        refused = dict(chain.from_iterable(found.refused.items() for found in listed.values()))
        homes = homes_of(spec.name, spec.registries)
        retired = {registry.name for registry in spec.registries if registry.retired}
        released = released_by(spec, wishes.release, kinds, [*desired.values(), *listed.values()])
        retired |= all_released(released, kinds)
        seen = picture(
            kinds,
            desired,
            listed,
            destroy=wishes.destroy,
            retired=retired,
            released=released,
            homes=homes,
            refused=refused,
            unseen=dict(chain.from_iterable(found.unseen.items() for found in listed.values())),
            pending=dict(chain.from_iterable(found.pending.items() for found in listed.values())),
        )
        difference = diff(seen, spec.name, wishes.adopt)
        if ending := ending_by(difference.changes.values(), kinds):
            seen = replace(seen, ending=ending)
            difference = diff(seen, spec.name, wishes.adopt)
        known = (address for address, live in seen.live.items() if live.marks.owner is not None)
        check_releases(wishes.release, spec.name, seen)
        check_permissions("--allow-delete", wishes.allow_delete, seen)
        check_permissions("--allow", wishes.allow, seen)
        targets = [
            *wishes.targets,
            *(named(wishes.release, difference, kinds, described, desired) if wishes.release else ()),
        ]
        check_targets(targets, [*chain.from_iterable(desired.values()), *known, *seen.pending])
        check_along(targets, difference.changes)
        select(difference, targets, seen.desired)
        if targets:
            seen = _as_left(seen, difference, spec.name, wishes.adopt)
        difference.problems += released_inside(difference.changes, kinds)
        count_images(difference, seen, opened, wishes)
        if wishes.count_expiring:
            count_expiring(difference, seen, opened)
    plan = settle(spec, seen, difference, wishes)
    # two registries may have found the same
    notices = dict.fromkeys(chain.from_iterable(found.notices for found in listed.values()))
    plan = replace(plan, warnings=(*plan.warnings, *notices), places=places)
    if wishes.count_expiring:
        plan = replace(plan, warnings=(*plan.warnings, *uncounted(difference, seen)))
    # whoever tears down wants nothing, and must hear that what the spec describes is somebody else's, or nobody's
    going = desired if wishes.destroy else {name: found for name, found in desired.items() if name in retired}
    there = {address: item for found in going.values() for address, item in found.items()}
    plan = replace(
        plan, warnings=(*plan.warnings, *nobodys(seen, there, {item.name for item in spec.registries if item.retired}))
    )
    return replace(plan, warnings=(*plan.warnings, *renamed(spec, seen, there))) if wishes.destroy else plan


def _as_left(seen: Picture, difference: Difference, owner: str, adopt: Collection[str]) -> Picture:
    """The picture, where what is left out of the plan stays as it is; the changes then say what they do beside that."""
    staying = {**left_out(seen, difference.changes), **left_alone(seen, difference.changes)}
    ending = ending_by(difference.changes.values(), seen.kinds)
    if not staying and ending == seen.ending:
        return seen
    seen = replace(seen, staying=staying, foreign=given_after(seen.foreign, difference.changes), ending=ending)
    changes = diff(seen, owner, adopt).changes
    difference.changes = {address: changes[address] for address in difference.changes}
    return seen


def count_images(difference: Difference, seen: Picture, sessions: Sessions, wishes: Wishes) -> None:
    """Counts the images of what would be deleted or replaced, and of nothing else."""
    kinds, changes = seen.kinds, difference.changes
    # what is in a registry first, since that says what it holds beside it
    for address, change in sorted(
        changes.items(), key=lambda item: isinstance(kinds[item[1].registry][item[1].kind], HoldsAll)
    ):
        kind = kinds[change.registry][change.kind]
        if not (change.removes and isinstance(kind, HoldsImages) and change.live is not None):
            continue
        going = going_with(changes.values(), change, kinds)
        count, why = images_of(kind, sessions[change.registry], change.live, going)
        notes = (*change.notes, note_of(count, why)) if why else change.notes
        allowed = images_may_go(change, kind, wishes.allow_delete)
        changes[address] = replace(change, images=count, force=allowed, notes=notes)


def _said_once(pending: Mapping[Address, str], kinds: Kinds) -> dict[Address, str]:
    """What is pending, in order. What is no resource, such as a place where a spec has notes, may be shared by registries: it counts
    once where all say the same of it."""
    found: dict[tuple[object, ...], tuple[Address, str]] = {}
    for at, why in sorted(pending.items()):
        one = at.kind in kinds.get(at.registry, ())
        found.setdefault((at.registry if one else "", at.kind, at.name, at.where, why), (at, why))
    return dict(found.values())


def settle(spec: Spec, seen: Picture, difference: Difference, wishes: Wishes, *, spec_hash: str | None = None) -> Plan:
    """Orders the changes and asks the guards. `spec_hash`: what the plan says it is made from, if not the spec's own hash. Pure."""
    estate = estate_of(spec)
    registries = estate.registries
    by = reaching(seen.live.values(), difference.changes, seen.kinds, spec.name)
    reached = with_reach(difference.changes, by, seen.kinds, seen.homes, spec.name)
    changes = with_other_logins(reached, seen.kinds)
    # whoever only lets go of something asks nothing of what is there
    letting_go = wishes.destroy or (wishes.release and not any(change.desired for change in changes.values()))
    plan = Plan(
        owner=spec.name,
        base=spec.base,
        spec_hash=spec_digest(spec) if spec_hash is None else spec_hash,
        registries=registries,
        clusters=spec.clusters,
        examples=estate.examples,
        problems=tuple(sorted(difference.problems)),
        foreign=_left_to_others(seen, changes),
        unowned={name: len(found) for name, found in sorted(seen.unowned.items())},
        nobodys={name: found[:SHOWN_NAMES] for name, found in sorted(seen.unowned.items())},
        runtime=tuple(sorted(difference.runtime)),
        unchanged=difference.unchanged,
        left_out=0 if wishes.release else difference.left_out,  # whoever names one thing asked for that alone
        unclear=dict(sorted(difference.unclear.items())),
        pending=_said_once(difference.pending, seen.kinds),
        basis=Basis(
            rules=spec.guards,
            owned=difference.owned,
            destroy=wishes.destroy,
            allow_delete=tuple(sorted(map(Address, set(wishes.allow_delete)))),
            allow=tuple(sorted(map(Address, set(wishes.allow)))),
            granted=objected(spec.guards, registries, seen, changes),
            required=() if letting_go else tuple(required(spec, seen)),
            beside=beside(seen, changes),
            sharing=sharing(seen, changes),
            reaching=tuple(item for item in by if item.address not in changes),
            pushers=tuple((at, who) for at, who in sorted(difference.pushers.items()) if at in changes),
        ),
        variables=spec.variables,
        warnings=(
            *spec.left_out,
            *idle(spec, seen, destroy=wishes.destroy),
            *renamed(spec, seen, seen.desired),
            *widened(wishes.release, changes),
            *unmatched(spec, seen, wishes, changes),
            *difference.remarked(),
        ),
    )
    return judged(plan, changes, seen.kinds)


def _left_to_others(seen: Picture, changes: Mapping[Address, Change]) -> tuple[ForeignAccess, ...]:
    """What others gave, without what the plan takes over."""
    taken = {address for address, change in changes.items() if change.action is Action.ADOPT}
    return tuple(item for item in seen.foreign if item.place not in taken)


def judged(plan: Plan, changes: Mapping[Address, Change], kinds: Kinds) -> Plan:
    """The plan with these changes: ordered, and with what the guards say of them. Pure."""
    edges = edges_of(changes)
    return replace(
        plan,
        changes=tuple(changes[address] for address in ordered(changes, edges)),
        graph=edges,
        verdicts=verdicts(plan.basis, plan.registries, list(changes.values()), kinds),
    )


def verdicts(
    basis: Basis, registries: Iterable[RegistryBase], changes: Collection[Change], kinds: Kinds
) -> tuple[Verdict, ...]:
    """What every guard says of these changes."""
    granted = granted_by((change.desired for change in changes if change.desired is not None), kinds)
    retired = {registry.name for registry in registries if registry.retired}
    found = [
        *guard.protect(basis.rules, changes, kinds, destroy=basis.destroy, retired=retired),
        *guard.adopted(changes, kinds, basis.allow_delete),
        *guard.images(changes, kinds),
        *guard.dangerous(changes, kinds, basis.allow),
        *guard.foreign(changes, kinds),
        *guard.accounts(basis.rules, chain(granted, basis.granted), own_accounts(registries)),
    ]
    if not basis.destroy:
        found += (guard.max_deletes(basis.rules, guard.for_good(changes, kinds), basis.owned), *basis.required)
    return tuple(sorted(found))


def objected(
    guards: Guards, registries: Iterable[RegistryBase], seen: Picture, changes: Collection[Address]
) -> tuple[tuple[Address, Access], ...]:
    """The access that a guard objects to, of what the spec wants and no change is about."""
    others = [wanted for address, wanted in seen.desired.items() if address not in changes]
    refused = guard.accounts(guards, granted_by(others, seen.kinds), own_accounts(registries))
    addresses = {address for verdict in refused for address in verdict.addresses}
    return tuple(sorted(granted_by((wanted for wanted in others if wanted.address in addresses), seen.kinds)))


def granted_by(wanted: Iterable[Desired], kinds: Kinds) -> Iterator[tuple[Address, Access]]:
    """Who can do what because of what is wanted."""
    for item in wanted:
        kind = kinds[item.address.registry][item.kind]
        if isinstance(kind, GivesAccess):
            yield from ((item.address, access) for access in kind.access(item.address, item.settings))


def homes_of(owner: str, registries: Iterable[RegistryBase]) -> Mapping[str, Home]:
    """Whose each registry's resources are."""
    return {registry.name: Home(owner, registry) for registry in registries}


def own_accounts(registries: Iterable[RegistryBase]) -> Mapping[str, str]:
    """Each registry's own account."""
    return {registry.name: registry.own_account for registry in registries}


def spec_digest(spec: Spec) -> str:
    """A hash of what the spec says, whatever the order in which it says it."""
    # a value of the environment is none of what the spec says: the hash must not be one that it can be guessed by
    return digest(_unordered(hidden(spec.model_dump(mode="json", by_alias=True), spec.variables)))


def _unordered(value: object) -> object:
    if isinstance(value, dict):
        return {key: _unordered(item) for key, item in value.items()}
    if isinstance(value, list):
        return sorted((_unordered(item) for item in value), key=text)
    return value
