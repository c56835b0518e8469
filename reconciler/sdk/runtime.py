"""What becomes of repositories at run time: plans of one repository, made from what is wanted alone and carried out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from reconciler.engine.apply import at_once
from reconciler.engine.observe import list_registry, read
from reconciler.engine.plan import Plan
from reconciler.engine.preflight import refuse
from reconciler.engine.whole import count
from reconciler.engine.write import Status, Task, carry_out
from reconciler.errors import (
    GuardViolation,
    PlatformError,
    RepositoryExists,
    RepositoryNotEmpty,
    RepositoryNotFound,
    RepositoryOfSpec,
    UnsupportedAccess,
)
from reconciler.model.address import Address
from reconciler.model.change import Action, Cause, Change
from reconciler.model.kind import UNCOUNTED, HoldsImages
from reconciler.model.marks import Origin
from reconciler.model.platform import Session
from reconciler.model.resource import Live
from reconciler.model.whole import HoldsAll
from reconciler.platforms.catalog import CATALOG, Spec
from reconciler.review.make import planned
from reconciler.spec.binding import Binding
from reconciler.words import counted

RUNTIME: Origin = "runtime"


def plan_of(binding: Binding, repository: Mapping[str, Any], grants: Sequence[Mapping[str, Any]] = ()) -> Plan:
    """The plan of a repository that is not there yet; with grants, of these on a repository that is. Makes no call. Raises SpecError,
    PlanRefused, GuardViolation."""
    base = binding.spec(Spec, [repository] if grants else ())
    plan = planned(base, binding.spec(Spec, [repository], grants), CATALOG).plan
    refuse(plan)
    return plan


def create(session: Session, binding: Binding, repository: Mapping[str, Any]) -> Live:
    """Makes a repository, with origin runtime, and returns it. Raises RepositoryExists, and what `plan_of` raises."""
    plan = plan_of(binding, repository)
    name = str(repository["name"])
    beyond = [change.address for change in plan.changes if not _of(session, change, name)]
    if beyond:
        raise UnsupportedAccess(
            f"a repository called {name}, set up so, changes {', '.join(beyond)} too",
            address=session.name,
            operation="create",
            hint="put it into the spec, and run `reconciler apply`",
        )
    home = next(change.address for change in plan.changes if _is_home(session, change, name))
    kind = session.platform.kinds[home.kind]
    if isinstance(kind, HoldsImages) and not kind.exclusive:
        _refuse_one_more(session, home)
    outcomes = at_once(plan, {session.name: session}, origin=RUNTIME)
    failed = [item for item in outcomes if item.status in (Status.FAILED, Status.STALE)]
    if not failed:
        return next(item.live for item in outcomes if item.live is not None and item.address == home)
    first = failed[0]
    if any(change.address == first.address and _holds(session, change.kind) for change in plan.changes):
        _refuse_one_more(session, first.address)
    raise PlatformError(first.message, address=first.address, request_id=first.request_id)


def _refuse_one_more(session: Session, at: Address) -> None:
    """Raises RepositoryExists if there is a repository."""
    there = next(iter(read(session, [at])), None)
    if there is not None and not there.vacant:
        raise RepositoryExists(
            f"there is a repository {at.name} already: {_whose(session, there)}", address=at, operation="create"
        )


def found(session: Session, binding: Binding, names: Sequence[str]) -> Live | None:
    """The repository that one of these names is of, the first one that is there; None if none is the registry's."""
    spec = binding.spec(Spec, [{"name": name} for name in names])
    wanted = {
        item.address: item
        for item in session.platform.expand(spec, spec.registries[0])
        if _holds(session, item.kind) and not item.address.where and item.address.name in names
    }
    session.learn(wanted.values())
    there = {live.address.name: live for live in read(session, wanted)}
    return next((there[name] for name in names if name in there and is_ours(session, there[name])), None)


def listed(session: Session) -> list[Live]:
    """The registry's repositories, the spec's and those that were made at run time, by name."""
    kinds = [name for name in session.platform.own_kinds if _holds(session, name)]
    there = list_registry(session, {}, kinds)
    return [
        live
        for at, live in sorted(there.items())
        if live.kind in kinds and not at.where and not live.vacant and is_ours(session, live)
    ]


def delete(session: Session, binding: Binding, live: Live, *, force: bool) -> None:
    """Deletes a repository that was made at run time, in all regions. Without `force`, one that holds anything stays.

    Raises RepositoryOfSpec, RepositoryNotEmpty, GuardViolation if it is protected.
    """
    name = live.address.name
    if live.marks.origin != RUNTIME:
        raise RepositoryOfSpec(
            f"repository {name} is the spec's",
            address=live.address,
            operation="delete",
            hint="take it out of the spec, and run `reconciler apply`",
        )
    plan = plan_of(binding, {"name": name})
    places = [change.address for change in plan.changes if _holds(session, change.kind)]
    there = [item for item in read(session, places) if is_ours(session, item) and item.marks.origin == RUNTIME]
    for item in there:
        _refuse_to_lose(session, item, force=force)
    # what is elsewhere first: what is at home says that it is there
    for item in sorted(there, key=lambda item: item.address.where, reverse=True):
        kind = session.platform.kinds[item.kind]
        change = Change(
            Action.DELETE,
            item.address,
            item.kind,
            Cause.PENDING,
            live=item,
            fingerprint=kind.fingerprint(item),
            force=force,
        )
        outcome = carry_out(session, Task(change, session.owner, RUNTIME))
        if outcome.status is not Status.DONE:
            raise PlatformError(outcome.message, address=item.address, request_id=outcome.request_id)


def _refuse_to_lose(session: Session, live: Live, *, force: bool) -> None:
    kind = session.platform.kinds[live.kind]
    assert isinstance(kind, HoldsImages)
    if kind.protected(live.settings):
        raise GuardViolation(f"protect: {live.address} was made with protect: true, and is not deleted")
    if force:
        return
    images, why = count(kind, session, live, {})
    held = f"its images can't be counted: {why}" if images == UNCOUNTED else f"it holds {counted(images, 'image')}"
    if images:
        raise RepositoryNotEmpty(
            held, address=live.address, operation="delete", hint="force=True deletes it all the same"
        )
    if given := [item for item in kind.given_by_others(session, live) if not item.at_runtime]:
        raise RepositoryNotEmpty(
            f"others have given access to it: {', '.join(sorted({item.what for item in given}))}",
            address=live.address,
            operation="delete",
            hint="force=True deletes it all the same",
        )


def not_found(session: Session, name: str, hint: str = "") -> RepositoryNotFound:
    """That the registry has no such repository. `hint`: what to do, if that is not to make it here."""
    return RepositoryNotFound(
        f"registry {session.name} has no repository {name}",
        address=session.name,
        operation="get",
        hint=hint or "make it with create_repository, or put it into the spec and run `reconciler apply`",
    )


def is_ours(session: Session, live: Live) -> bool:
    """Whether a resource is this registry's, by its marks."""
    return live.marks.owner == session.owner and not live.marks.elsewhere(session.name) and not live.vacant


def _holds(session: Session, kind: str) -> bool:
    """Whether resources of a kind are repositories."""
    found = session.platform.kinds[kind]
    return isinstance(found, HoldsImages) and not isinstance(found, HoldsAll)


def _of(session: Session, change: Change, name: str) -> bool:
    """Whether a change makes the repository of that name, or what stands below it."""
    home = change.desired.parent if change.desired is not None and change.desired.parent is not None else change.address
    return change.action is Action.CREATE and home.name == name and _holds(session, home.kind)


def _is_home(session: Session, change: Change, name: str) -> bool:
    return change.address.name == name and not change.address.where and _holds(session, change.kind)


def _whose(session: Session, live: Live) -> str:
    marks = live.marks
    if not is_ours(session, live):
        return f"it is spec {marks.owner}'s" if marks.owner else "nobody's by its marks"
    return "it was made at run time" if marks.origin == RUNTIME else "it is the spec's"


def home_of(session: Session, spec: Spec) -> Address:
    """The address of the one repository of a spec."""
    return next(
        item.address
        for item in session.platform.expand(spec, spec.registries[0])
        if _holds(session, item.kind) and not item.address.where and item.address.name == spec.repositories[0].name
    )


def values_of(binding: Binding, names: Sequence[str]) -> Iterator[Mapping[str, str]]:
    """What other programs need of each repository: its name on the platform, its URI."""
    spec = binding.spec(Spec, [{"name": name} for name in names])
    values: dict[str, dict[str, str]] = {}
    for item in CATALOG[spec.registries[0].platform].outputs(spec, spec.registries[0]) if names else ():
        if not item.address.where:
            values.setdefault(item.address.name, {})[item.name] = item.value
    yield from (values.get(name, {}) for name in names)
