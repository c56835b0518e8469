"""A plan: what would change, in which order, and what the guards say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from concurrent.futures import Executor
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from itertools import chain

from reconciler.errors import ReconcilerError
from reconciler.model.access import Access, ForeignAccess
from reconciler.model.address import Address
from reconciler.model.canonical import digest, text
from reconciler.model.change import Action, Cause, Change, PlanProblem
from reconciler.model.kind import GivesAccess, HoldsImages, Home
from reconciler.model.platform import PARALLELISM, TIMEOUT, Estate, Platforms
from reconciler.model.resource import Desired
from reconciler.spec.models import Guards, Spec
from reconciler.spec.registry import RegistryBase
from reconciler.spec.selection import matches_any
from reconciler.spec.variables import hidden
from reconciler.words import SHOWN_NAMES, did_you_mean

from . import guard
from .basis import Basis, beside, images_may_go
from .diff import Difference, diff
from .expand import Kinds, estate_of, expand
from .guard import Verdict
from .meant import meant
from .observe import OnRead, observe
from .order import edges_of, needed_first, ordered
from .picture import Picture, picture
from .release import check_releases, idle, named, released_by
from .sessions import Sessions, sessions_of


@dataclass(frozen=True)
class Plan:
    """Changes in the order in which they are applied, their graph, and everything a reader must know.

    `graph`: (before, after). `unowned`: per registry, how many repositories under its prefix nobody owns; `nobodys`: the names of the
    first few. `runtime`: addresses that were created at run time and are left alone. `unclear`: addresses of
    the owner's that are left alone since their origin is neither spec nor runtime, each with what it is. `left_out`: how many
    changes and problems no target names. `basis`: what it was made from beside its changes. `variables`: values that the spec took
    from the environment. `warnings`: what the guards or the command line name and nothing has.
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

    @property
    def destroy(self) -> bool:
        """Whether the plan is to remove all that the owner owns."""
        return self.basis.destroy

    @property
    def estate(self) -> Estate:
        """What sessions must know."""
        return Estate(self.owner, self.base, self.registries)

    @property
    def kept(self) -> tuple[ForeignAccess, ...]:
        """What others gave, and keep."""
        going = {item for change in self.changes for item in change.foreign}
        return tuple(item for item in self.foreign if item not in going)

    @property
    def violations(self) -> tuple[Verdict, ...]:
        """The verdicts that stop the plan."""
        return tuple(verdict for verdict in self.verdicts if not verdict.passed)

    @property
    def strangers(self) -> tuple[Verdict, ...]:
        """What the guards say of access that others gave, and keep. It stops no plan; drift reports it."""
        given = ((item.address, access) for item in self.kept for access in item.access)
        return tuple(guard.accounts(self.basis.rules, given, own_accounts(self.registries), foreign=True))

    @property
    def counts(self) -> Mapping[Action, int]:
        """How many changes of each action."""
        return Counter(change.action for change in self.changes)

    @property
    def causes(self) -> Mapping[Cause, int]:
        """How many changes of each cause."""
        return Counter(change.cause for change in self.changes)


@dataclass(frozen=True)
class Wishes:
    """What the command line adds to a spec.

    `adopt`, `allow_delete`: addresses. `targets`: globs over addresses (empty: everything).
    `release`: addresses of repositories to let go of.
    `destroy`: plan the removal of all that the owner owns; the share guard then says nothing.
    `parallelism`: calls under way at once, per registry, while reading. `timeout`: for how many seconds what is throttled is tried.
    `rescue`: the folder of rescue files.
    """

    adopt: Collection[str] = ()
    allow_delete: Collection[str] = ()
    targets: Collection[str] = ()
    destroy: bool = False
    release: Collection[str] = ()
    parallelism: int = PARALLELISM
    timeout: float = TIMEOUT
    rescue: str = "."


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
    `sessions`: of all the spec's registries, where the caller goes on to use them; opened and closed here if None. `on_read`: who
    counts the reads, as for `observe`.

    Raises ReadFailed if any registry can't be read, and ReconcilerError if a target names nothing. Problems and guard violations
    are in the plan.
    """
    wishes = wishes or Wishes()
    kinds, desired = expand(spec, platforms)
    estate = estate_of(spec, wishes.parallelism, wishes.timeout, wishes.rescue)
    with nullcontext(sessions) if sessions is not None else sessions_of(estate, platforms=platforms) as opened:
        listed = observe(opened, desired, executor, on_read)
        refused = dict(chain.from_iterable(found.refused.items() for found in listed.values()))
        homes = homes_of(spec.name, spec.registries)
        retired = {registry.name for registry in spec.registries if registry.retired}
        released = released_by(spec, wishes.release, kinds, [*desired.values(), *listed.values()])
        seen = picture(
            kinds,
            desired,
            listed,
            destroy=wishes.destroy,
            retired=retired,
            released=released,
            homes=homes,
            refused=refused,
        )
        difference = diff(seen, spec.name, wishes.adopt)
        known = (address for address, live in seen.live.items() if live.marks.owner is not None)
        check_releases(wishes.release, spec.name, seen)
        targets = wishes.targets or named(wishes.release, difference)
        check_targets(targets, [*chain.from_iterable(desired.values()), *known])
        check_along(targets, difference.changes)
        select(difference, targets, seen.desired)
        count_images(difference, seen, opened, wishes)
    return settle(spec, seen, difference, wishes)


def check_targets(targets: Iterable[str], addresses: Collection[str]) -> None:
    """Raises ReconcilerError for targets that name no address: a plan of nothing would look like success."""
    wrong = [target for target in targets if not any(matches_any(address, (target,)) for address in addresses)]
    if wrong:
        errors = (f"--target {target}: no resource has such an address{meant(target, addresses)}" for target in wrong)
        raise ReconcilerError("\n".join(errors))


def check_along(targets: Iterable[str], changes: Mapping[Address, Change]) -> None:
    """Raises ReconcilerError for targets that name only what is deleted with something else: it would stay."""
    carriers = {below: change.address for change in changes.values() for below in change.along if below not in changes}
    for target in targets:
        along = [address for address in carriers if matches_any(address, (target,))]
        if along and not any(matches_any(address, (target,)) for address in changes):
            raise ReconcilerError(
                f"--target {target}: {along[0]} goes with {carriers[along[0]]}, and not by itself: target that"
            )


def select(difference: Difference, targets: Collection[str], desired: Mapping[Address, Desired]) -> None:
    """Keeps the changes that the targets name, those that they need, and what a replacement takes along and must be made again.

    Of the problems, those of all that the targets name or need, whether a change is planned for it or not: what is in the way of
    a need is in the way of the target.
    """
    if not targets:
        return
    changes = difference.changes
    edges = edges_of(changes)
    kept = needed_first({address for address in changes if matches_any(address, targets)}, edges)
    replaced = {address for address in kept if changes[address].action is Action.REPLACE}
    again = {address for address, item in changes.items() if item.desired and item.desired.parent in replaced}
    kept |= needed_first(again, edges)
    everything = len(changes) + len(difference.problems)
    difference.changes = {address: change for address, change in changes.items() if address in kept}
    named = {address for address in (*desired, *changes) if matches_any(address, targets)}
    needed = all_needs({*named, *kept}, desired)
    difference.problems = [
        item for item in difference.problems if item.address in needed or matches_any(item.address, targets)
    ]
    difference.left_out = everything - len(difference.changes) - len(difference.problems)


def all_needs(addresses: Iterable[Address], desired: Mapping[Address, Desired]) -> set[Address]:
    """The addresses, and all that these need in the spec, and that those need."""
    found: set[Address] = set()
    left = list(addresses)
    while left:
        address = left.pop()
        if address in found:
            continue
        found.add(address)
        wanted = desired.get(address)
        if wanted is not None:
            left += wanted.needs if wanted.parent is None else (*wanted.needs, wanted.parent)
    return found


def count_images(difference: Difference, seen: Picture, sessions: Sessions, wishes: Wishes) -> None:
    """Counts the images of what would be deleted or replaced, and of nothing else."""
    for address, change in difference.changes.items():
        kind = seen.kinds[change.registry][change.kind]
        if not (change.removes and isinstance(kind, HoldsImages) and change.live is not None):
            continue
        count = kind.count(sessions[change.registry], change.live)
        allowed = images_may_go(change, kind, wishes.allow_delete)
        difference.changes[address] = replace(change, images=count, force=allowed)


def settle(spec: Spec, seen: Picture, difference: Difference, wishes: Wishes) -> Plan:
    """Orders the changes and asks the guards. Pure."""
    registries = estate_of(spec).registries
    plan = Plan(
        owner=spec.name,
        base=spec.base,
        spec_hash=spec_digest(spec),
        registries=registries,
        problems=tuple(sorted(difference.problems)),
        foreign=seen.foreign,
        unowned={name: len(found) for name, found in sorted(seen.unowned.items())},
        nobodys={name: found[:SHOWN_NAMES] for name, found in sorted(seen.unowned.items())},
        runtime=tuple(sorted(difference.runtime)),
        unchanged=difference.unchanged,
        left_out=0 if wishes.release else difference.left_out,  # whoever names one thing asked for that alone
        unclear=dict(sorted(difference.unclear.items())),
        basis=Basis(
            rules=spec.guards,
            owned=difference.owned,
            destroy=wishes.destroy,
            allow_delete=tuple(sorted(map(Address, set(wishes.allow_delete)))),
            granted=objected(spec.guards, registries, seen, difference.changes),
            beside=beside(seen, difference.changes),
        ),
        variables=spec.variables,
        warnings=(
            *idle(spec, seen, destroy=wishes.destroy),
            *unmatched(spec, seen, wishes, difference.changes),
        ),
    )
    return judged(plan, difference.changes, seen.kinds)


def unmatched(spec: Spec, seen: Picture, wishes: Wishes, changes: Mapping[Address, Change]) -> Iterator[str]:
    """What protects, permits or adopts nothing: most likely it is misspelt."""
    protected = spec.guards.protect
    if protected or wishes.allow_delete:
        known = seen.desired.keys() | seen.live.keys()
        holders = [item for item in known if isinstance(seen.kinds[item.registry].get(item.kind), HoldsImages)]
        names = {item.name for item in holders} | {f"{item.registry}/{item.name}" for item in holders}
        for pattern in protected:
            if not any(matches_any(name, (pattern,)) for name in names):
                yield f"guards.protect: no repository is named '{pattern}'{did_you_mean(pattern, names)}; it protects nothing"
        for address in sorted(set(wishes.allow_delete)):
            if why := _permits_nothing(address, known, holders, changes):
                yield f"--allow-delete {address}: {why}; it permits nothing"
    for address in sorted(set(wishes.adopt) & seen.desired.keys()):
        if why := _adopts_nothing(Address(address), seen, spec.name, changes):
            yield f"--adopt {address}: {why}; nothing is adopted"


def _permits_nothing(
    address: str, known: Collection[Address], holders: Collection[Address], changes: Mapping[Address, Change]
) -> str:
    """Why a permission to delete is for nothing, or ""."""
    if address not in known:
        return f"no resource has such an address{meant(address, holders)}"
    change = changes.get(Address(address))
    if address not in holders and not (change is not None and change.was_there):
        return f"only repositories need permission{meant(address, holders)}"
    return "" if change is not None and change.removes else "the plan does not delete it"


def _adopts_nothing(address: Address, seen: Picture, owner: str, changes: Mapping[Address, Change]) -> str:
    """Why there is nothing to adopt at an address that the spec has, or "": who adopts a repository adopts what stands below it."""
    for change in changes.values():
        above = change.desired.parent if change.desired is not None else None
        if change.action is Action.ADOPT and address in (change.address, above):
            return ""
    live = seen.live.get(address)
    if live is None or live.vacant:
        return "it is not there"
    return "it is this spec's already" if live.marks.owner == owner and live.marks.origin == "spec" else ""


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
    found = [
        *guard.protect(basis.rules, changes, kinds, destroy=basis.destroy),
        *guard.adopted(changes, kinds, basis.allow_delete),
        *guard.images(changes),
        *guard.foreign(changes, kinds),
        *guard.accounts(basis.rules, chain(granted, basis.granted), own_accounts(registries)),
    ]
    if not basis.destroy:
        found.append(guard.max_deletes(basis.rules, changes, basis.owned))
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
