"""Guards: rules over a plan that stop it. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields

from reconciler.model.access import ADMIN, DELETE_IMAGES, Access, does
from reconciler.model.address import Address
from reconciler.model.change import Action, Change
from reconciler.model.kind import GivesAccess, HoldsImages, Kind, Releasable
from reconciler.model.released import ReleasedAlong, ReleasesAll
from reconciler.spec.models import Guards
from reconciler.spec.selection import matches_any
from reconciler.words import all_of, and_along, counted, images_counted, plural

#: octoDNS's safety: a share by default, and only where there is enough for a share to mean something
DEFAULT_SHARE = 30
DEFAULT_ABOVE = 10


#: what those can do who can administer, by the verb of it
_ADMINISTERS = {ADMIN: "delete images and change who has access", DELETE_IMAGES: "delete images"}
#: what each guard is about, for people
ABOUT = {
    "adopted": "what existed before it was adopted",
    "allow_admin": "grants to administer",
    "allow_public": "access for anyone",
    "allowed_accounts": "access for other accounts",
    "allowed_organizations": "access for other organizations",
    "dangerous": "changes that need permission",
    "foreign": "what somebody else put there",
    "images": "repositories that hold images",
    "max_deletes": "the number of deletes",
    "max_grants_per_repository": "the number of grants",
    "protect": "protected repositories",
    "require_immutable_tags": "tags that can be moved",
    "require_labels": "labels that are missing",
}


@dataclass(frozen=True, slots=True, order=True)
class Verdict:
    """What one guard says. `message` has the numbers; `addresses` are those that it stops the plan for."""

    guard: str
    passed: bool
    message: str
    addresses: tuple[Address, ...] = ()


def for_good(changes: Collection[Change], kinds: Mapping[str, Mapping[str, Kind]]) -> Iterator[Change]:
    """Without the deletes of what is nothing but access, where a change of the plan puts another resource of the kind in its place:
    that says who loses what, and leaves no fewer resources."""
    new = [change for change in changes if change.action in (Action.CREATE, Action.ADOPT)]
    placed = {(change.kind, at) for change in new if change.desired is not None for at in change.desired.instead_of}
    for change in changes:
        kind = kinds[change.registry][change.kind]
        access = isinstance(kind, GivesAccess) and kind.nothing_else
        if not (access and change.action is Action.DELETE and (change.kind, change.address.anywhere) in placed):
            yield change


def max_deletes(guards: Guards, changes: Iterable[Change], owned: int) -> Verdict:
    """Too many deletes in one plan."""
    removals = [change for change in changes if change.removes]
    deletes = sum(1 + len(change.along) for change in removals)
    going = f"{counted(deletes, 'resource')}{_apart(removals) or _of_one_kind(removals)}"
    limit = guards.max_deletes
    if isinstance(limit, int):
        most, words = limit, f"max_deletes: {limit}"
    elif isinstance(limit, str):
        most, words = owned * int(limit.rstrip("%")) // 100, f"max_deletes: {limit} of {owned} owned"
    elif owned > DEFAULT_ABOVE:
        most, words = owned * DEFAULT_SHARE // 100, f"{DEFAULT_SHARE}% of {owned} owned, the default"
    else:
        return Verdict("max_deletes", True, f"the plan deletes {going}; no limit up to {DEFAULT_ABOVE} owned resources")
    if deletes <= most:
        return Verdict("max_deletes", True, f"the plan deletes {going}; at most {most} allowed ({words})")
    return Verdict(
        "max_deletes",
        False,
        f"the plan deletes {going}; at most {most} {plural(most, 'is', 'are')} allowed ({words}); if this is intended,"
        " raise guards.max_deletes in the spec",
        tuple(sorted(change.address for change in removals)),
    )


def _of_one_kind(removals: Sequence[Change]) -> str:
    """What is deleted, where it is all of one kind: ` of kind lifecycle`."""
    kinds = {change.kind for change in removals}
    return f" of kind {kinds.pop()}" if len(kinds) == 1 and len(removals) > 1 else ""


def _apart(removals: Sequence[Change]) -> str:
    """What the number of deletes is made of, where the plan's last line has it in several: `: 1 to replace and 2 to delete (and
    3 resources with them)`."""
    parts = []
    for action in (Action.REPLACE, Action.DELETE):
        these = [change for change in removals if change.action is action]
        if these:
            along = sum(len(change.along) for change in these)
            parts.append(and_along(f"{len(these)} to {action.value}", len(these), along))
    alone = len(parts) == 1 and "(" not in parts[0] and removals[0].action is Action.DELETE
    return f": {all_of(parts)}" if parts and not alone else ""


def protect(
    guards: Guards,
    changes: Iterable[Change],
    kinds: Mapping[str, Mapping[str, Kind]],
    *,
    destroy: bool = False,
    retired: Collection[str] = (),
) -> Iterator[Verdict]:
    """Protected repositories that would be deleted or replaced. `destroy`: the plan removes what the spec still has. `retired`: the
    names of registries that are."""
    changes = list(changes)
    going = {change.address for change in changes if change.removes}
    for change in changes:
        kind = kinds[change.registry][change.kind]
        if not (change.removes and isinstance(kind, HoldsImages) and change.live is not None):
            continue
        name = change.address.name
        if matches_any(name, guards.protect) or matches_any(f"{change.registry}/{name}", guards.protect):
            why = "guards.protect names it"
        elif kind.protected(change.live.settings):
            home = Address.of(change.registry, change.kind, name)
            unprotecting = _unprotecting(change, destroy, retired, whole=home in going)
            why = f"it was applied with protect: true; {unprotecting}"
        else:
            continue
        verb = "replace" if change.action is Action.REPLACE else "delete"
        yield Verdict(
            "protect",
            False,
            f"{change.address} is protected, but the plan would {verb} it: {why}",
            (change.address,),
        )


def _unprotecting(change: Change, destroy: bool, retired: Collection[str], *, whole: bool) -> str:
    """What takes the protection away that was applied. An apply reaches only what the spec has. `whole`: the repository goes in all
    regions."""
    if change.action is Action.REPLACE:
        return "apply protect: false on its own first, then the other changes"
    if change.registry in retired:
        again = "" if destroy else ", then retired: true again"
        return f"apply retired: false for registry {change.registry} and protect: false for the repository first{again}"
    if destroy:
        return "apply protect: false first"
    left = f"the region {change.address.where}" if change.address.where and not whole else "it"
    return f"put {left} back into the spec with protect: false for the repository, apply, then take {left} out again"


def adopted(
    changes: Iterable[Change], kinds: Mapping[str, Mapping[str, Kind]], allow_delete: Collection[str]
) -> Iterator[Verdict]:
    """What was there before a spec adopted it, and would be deleted or replaced without permission."""
    for change in changes:
        if not change.was_there or change.address in allow_delete:
            continue
        kind = kinds[change.registry][change.kind]
        verb = "replaced" if change.action is Action.REPLACE else "deleted"
        keep = ""
        if isinstance(kind, ReleasesAll):
            keep = f"; to keep it, run `reconciler release {change.address}`"
        # of a copy in another region it would let go of the repository at home, too
        elif isinstance(kind, Releasable) and not isinstance(kind, ReleasedAlong) and not change.address.where:
            keep = "; to keep it, set release: true"
        yield Verdict(
            "adopted",
            False,
            f"{change.address} was there before reconciler adopted it and would be {verb} without permission:"
            f" add --allow-delete {change.address}{keep}",
            (change.address,),
        )


def _permission(change: Change, kind: Kind) -> str:
    """How to allow that something is deleted with what it holds."""
    # what holds images without a setting of its own for them is no repository of the spec
    named = {item.name for item in fields(kind.settings)}
    key = ", or apply delete_images: true first" if "delete_images" in named else ""
    return f"without permission: add --allow-delete {change.address}{key}"


def images(changes: Iterable[Change], kinds: Mapping[str, Mapping[str, Kind]]) -> Iterator[Verdict]:
    """Repositories that hold images and would be deleted or replaced without permission."""
    for change in changes:
        if not change.removes or not change.images or change.force:
            continue
        verb = "replaced, which loses its images," if change.action is Action.REPLACE else "deleted"
        yield Verdict(
            "images",
            False,
            f"{change.address} holds {images_counted(change.images)} and would be {verb}"
            f" {_permission(change, kinds[change.registry][change.kind])}",
            (change.address,),
        )


def danger_of(change: Change, kind: Kind) -> str:
    """What a change of something that is there endangers, in words; "" if nothing."""
    if change.live is None or change.desired is None or change.live.vacant:
        return ""
    return kind.danger(change.live.settings, change.desired.settings)


def dangerous(
    changes: Iterable[Change], kinds: Mapping[str, Mapping[str, Kind]], allow: Collection[str]
) -> Iterator[Verdict]:
    """Changes that endanger more than what they say, without permission."""
    for change in changes:
        if change.address not in allow and (why := danger_of(change, kinds[change.registry][change.kind])):
            said = f"{change.address} would be changed: {why}; to allow that, add --allow {change.address}"
            yield Verdict("dangerous", False, said, (change.address,))


def foreign(changes: Iterable[Change], kinds: Mapping[str, Mapping[str, Kind]]) -> Iterator[Verdict]:
    """Resources that would be deleted with what others gave on them, without permission."""
    for change in changes:
        if not change.foreign or change.force:
            continue
        names = "; ".join(item.what for item in change.foreign)
        why = "which reconciler never removes: remove it by hand first"
        if isinstance(kind := kinds[change.registry][change.kind], HoldsImages):
            why = _permission(change, kind)
        yield Verdict(
            "foreign",
            False,
            f"{change.address} would be deleted along with what somebody else put there ({names}), {why}",
            (change.address,),
        )


def accounts(
    guards: Guards, given: Iterable[tuple[Address, Access]], own: Mapping[str, str], *, foreign: bool = False
) -> Iterator[Verdict]:
    """Access for accounts and organizations that are not allowed, for everyone or anybody that a service acts for, and access to
    administer. `own`: each registry's own account. `foreign`: others gave it already, and no guard was asked."""
    strangers: dict[str, set[Address]] = {}
    organizations: dict[str, set[Address]] = {}
    public: set[Address] = set()
    anybody: set[str] = set()
    admins: dict[tuple[str, str], set[Address]] = {}
    allowed = guards.allowed_accounts
    for address, access in given:
        principal = access.principal
        for verb in _ADMINISTERS:
            if does(access.verb, verb) and not guards.allow_admin:
                admins.setdefault((principal.label, verb), set()).add(address)
        if principal.public and not guards.allow_public:
            public.add(address)
            anybody.add(principal.label)
        elif principal.organization:
            if not _knows(guards, principal.organization):
                organizations.setdefault(principal.organization, set()).add(address)
        elif allowed is not None and principal.account not in ("", own.get(access.registry), *allowed):
            strangers.setdefault(principal.account, set()).add(address)
    have = "has access" if foreign else "would have access"
    found = [
        ("allowed_accounts", f"{account} {have}, and guards.allowed_accounts does not list it ({_few(places)})", places)
        for account, places in sorted(strangers.items())
    ]
    found += [_of_organization(guards, name, have, places) for name, places in sorted(organizations.items())]
    if public:
        who = "anyone" if "anyone" in anybody else _few(anybody)
        have = have if who in ("anyone", *anybody) else have.replace("has", "have")
        why = "and guards.allow_public is not true" if foreign else "guards.allow_public: true would allow it"
        found.append(("allow_public", f"{who} {have} ({_few(public)}){', ' if foreign else '; '}{why}", public))
    for (admin, verb), places in sorted(admins.items()):
        can = "can" if foreign else "could"
        why = "and guards.allow_admin is not true" if foreign else "guards.allow_admin: true would allow it"
        message = f"{admin} {can} {_ADMINISTERS[verb]} ({_few(places)}){', ' if foreign else '; '}{why}"
        found.append(("allow_admin", message, places))
    for name, message, places in found:
        yield Verdict(name, False, message, tuple(sorted(places)))


def _knows(guards: Guards, organization: str) -> bool:
    """Whether the guards allow an organization."""
    if guards.allowed_organizations is None:
        return guards.allowed_accounts is None
    return organization in guards.allowed_organizations


def _of_organization(guards: Guards, name: str, have: str, places: set[Address]) -> tuple[str, str, set[Address]]:
    if guards.allowed_organizations is not None:
        why = f"and guards.allowed_organizations does not list it ({_few(places)})"
        return "allowed_organizations", f"organization {name} {have}, {why}", places
    why = f"and whether guards.allowed_accounts lists all its accounts can't be told here ({_few(places)})"
    return (
        "allowed_accounts",
        f"organization {name} {have}, {why}; guards.allowed_organizations with {name} would allow it",
        places,
    )


def _few(addresses: Iterable[str], most: int = 3) -> str:
    names = sorted(addresses)
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
