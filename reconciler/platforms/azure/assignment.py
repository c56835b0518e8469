"""Role assignments: one for each principal and permission, since Azure takes one for each principal, role and scope.

https://learn.microsoft.com/azure/role-based-access-control/conditions-faq
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from reconciler.errors import PlatformError
from reconciler.model.access import Access, ForeignAccess, Given
from reconciler.model.address import Address
from reconciler.model.canonical import text
from reconciler.model.kind import Found, GivesAccess, Home, Kind, Trait, Verb, Write
from reconciler.model.marks import Marks
from reconciler.model.orphaned import CanBeOrphaned
from reconciler.model.resource import Desired, Live
from reconciler.platforms import described
from reconciler.spec.registry import RegistryBase
from reconciler.words import some_of

from . import assignment_settings, condition, others, roles
from .assignment_settings import GRANTS, MAX_DESCRIPTION, AssignmentSettings
from .identity import IDENTITIES
from .others import Here, is_at, marks_of
from .reach import beyond, had, kept
from .roles import Role
from .spec import legacy_fault

if TYPE_CHECKING:
    from .session import AzureSession

Document = dict[str, Any]
KIND = assignment_settings.KIND
_TYPE = "Microsoft.Authorization/roleAssignments"
#: what an assignment to an identity needs in a subscription that is managed from another tenant, and a PUT without it takes away:
#: https://github.com/hashicorp/terraform-provider-azurerm/issues/9348
_DELEGATED = "delegatedManagedIdentityResourceId"
#: the code of a name that Azure can't take ("Please use a new Guid")
NAME_REFUSED = "HashConflictOnDifferentRoleAssignmentIds"
#: seconds in which an identity that was just made may not be found: https://github.com/MicrosoftDocs/azure-docs/issues/103085
SPREADING = 120.0


class AssignmentKind(Kind, GivesAccess, CanBeOrphaned):
    """A role on the registry, for somebody."""

    name = KIND
    settings = AssignmentSettings
    traits = frozenset({Trait.OVERLAPS, Trait.UPSERTS})
    nothing_else = True
    immutable = frozenset({"principal", "mode"})
    after = ("registry", "identity")
    permissions = {
        Verb.LIST: (f"{_TYPE}/read",),
        Verb.READ: (f"{_TYPE}/read",),
        Verb.CREATE: (f"{_TYPE}/write",),
        Verb.UPDATE: (f"{_TYPE}/write",),
        Verb.DELETE: (f"{_TYPE}/delete",),
    }

    def shown(self, settings: AssignmentSettings) -> dict[str, Any]:
        return dict(assignment_settings.shown(settings))

    def usual(self, address: Address, home: Home) -> dict[str, Any]:
        return {"principal_type": "ServicePrincipal", "grants": []}

    def altered(self, settings: AssignmentSettings) -> str | None:
        if settings.other or settings.orphan:
            return "other" if settings.other else "orphan"
        return None if settings.whole != bool(settings.names or settings.prefixes) else "names"

    def unasked(self, wanted: Desired, registry: RegistryBase) -> str | None:
        settings: AssignmentSettings = wanted.settings
        named = assignment_settings.address_of(wanted.address.registry, settings.principal, settings.job)
        return "principal" if named != wanted.address else assignment_settings.unasked(settings)

    def fitted(self, desired: Desired, live: Live | None) -> Desired:
        """In the mode that the registry has, where the spec leaves that open."""
        settings: AssignmentSettings = desired.settings
        asked = live is not None and not live.settings.found
        return replace(
            desired, settings=settings.in_mode(live.settings.mode) if live and asked else settings.in_either()
        )

    def limit(self, desired: Desired, live: Live | None) -> str | None:
        settings: AssignmentSettings = desired.settings
        if settings.mode == "legacy" and not settings.whole:
            return legacy_fault(desired.address.registry)
        if settings.mode and not settings.whole:
            size = condition.size(assignment_settings.condition_of(settings))
            if size > condition.MAX:
                return (
                    f"its condition would have {size} characters for {len(settings.names)} repositories; Azure allows at most"
                    f" {condition.MAX} (grants {some_of(settings.grants)}): grant fewer repositories to one principal, grant to"
                    " several groups, or use azure-token"
                )
        size = len(_description(Marks("o" * 40, "spec", "v1-0123456789abcdef", "r" * 40), settings, live))
        if size > MAX_DESCRIPTION:
            return (
                f"its description would have {size} characters, with the names of {len(settings.grants)} grants; Azure allows at most"
                f" {MAX_DESCRIPTION}: use fewer grants for one principal"
            )
        return None

    def access(self, address: Address, settings: AssignmentSettings) -> Iterable[Access]:
        return assignment_settings.access(address, settings)

    def access_by_grant(self, address: Address, settings: AssignmentSettings) -> Iterable[tuple[str, Access]]:
        return assignment_settings.access_by_grant(address, settings)

    def native_principals(self, settings: AssignmentSettings) -> Mapping[str, str]:
        if settings.own:
            return {}
        return {assignment_settings.principal_of(settings, "").label: settings.principal}

    def gains_and_losses(
        self, address: Address, before: Given, after: Given, home: Home
    ) -> tuple[Iterable[Access], Iterable[Access]]:
        """What all repositories are covers each of them. In a registry that is yet to be made, what others gave above it counts from
        then on, too."""
        then = set(assignment_settings.access(address, before.settings)) if before.settings is not None else set()
        now = set(assignment_settings.access(address, after.settings)) if after.settings is not None else set()
        then.update(item for found in before.foreign for item in found.access)
        now.update(item for found in before.foreign for item in found.left)
        return beyond(now, then), beyond(then, now)

    def beyond(self, these: set[Access], those: set[Access]) -> Iterator[Access]:
        return beyond(these, those)

    def had(self, gains: set[Access], others: set[Access]) -> Iterator[Access]:
        return had(gains, others)

    def kept(self, losses: set[Access], ours: set[Access], others: set[Access]) -> Iterator[Access]:
        return kept(losses, ours, others)

    def remarks_gone(self, live: Live) -> Iterable[str]:
        yield from live.notes
        if self.is_orphan(live):
            yield "it names no grant: it was for one of the registry's own identities, which is gone since"

    def is_orphan(self, live: Live) -> bool:
        settings: AssignmentSettings = live.settings
        return settings.orphan

    # -- verbs --------------------------------------------------------------------------------------------------

    def list(self, session: AzureSession, wanted: Mapping[Address, Desired], found: Found) -> Iterator[Live]:
        listed: set[Address] = set()
        if found["registry"]:
            items = session.once("assignments", lambda: session.assignments(session.own_address()))
            # whatever others give stands with the registry, unless it takes a place of ours
            for live in self._lives(session, items):
                if live.address in wanted or (session.owner, "spec") == (live.marks.owner, live.marks.origin):
                    listed.add(live.address)
                    yield live
            _refuse_own(session, wanted)
        missing = [at for at, item in wanted.items() if item.kind == KIND and at not in listed]
        waiting = {} if found["registry"] else _waiting(session, wanted)
        yield from _vacant(session, missing, waiting)

    def read(self, session: AzureSession, addresses: Sequence[Address]) -> Iterator[Live]:
        missing = set(addresses)
        for live in self._lives(session, session.assignments(session.own_address())):
            if live.address in missing:
                missing.remove(live.address)
                yield live
        for at in sorted(missing):
            # a list may lag behind: https://learn.microsoft.com/azure/role-based-access-control/troubleshooting
            for live in self._lives(session, _by_our_name(session, at)):
                if live.address == at:
                    missing.remove(at)
                    yield live
        yield from _vacant(session, (at for at in addresses if at in missing), {})

    def _lives(self, session: AzureSession, items: Iterable[Document]) -> Iterator[Live]:
        mode = session.wanted_mode()
        for item in items:
            said = item.get("properties") or {}
            role = roles.of_guid(str(said.get("roleDefinitionId", "")).rpartition("/")[2])
            if role is not None and is_at(item, session.registry.resource):
                yield _live(session, item, role, mode)

    def create(self, session: AzureSession, write: Write) -> Live:
        settings: AssignmentSettings = write.desired.settings.in_mode(session.wanted_mode())
        role = assignment_settings.role_of(settings)
        principal = session.principal(settings.principal) if settings.own else settings.principal
        if not principal:
            raise PlatformError("its managed identity is gone", address=write.desired.address, hint="make a new plan")
        make = partial(self._named, session, write, settings, role, principal)
        if not settings.own:
            return make()
        # an identity that was just made is not known everywhere for a while (`_put`)
        return session.patiently(make, lambda error: getattr(error, "code", "") == "PrincipalNotFound", SPREADING)

    def _named(
        self, session: AzureSession, write: Write, settings: AssignmentSettings, role: Role, principal: str
    ) -> Live:
        """What is made, under the first of our names that Azure takes. Raises PlatformError."""
        *paths, last = _paths(session, principal, role)
        for path in paths:
            try:
                return self._put(session, write, settings, role, principal, path)
            except PlatformError as error:
                if error.code != NAME_REFUSED:
                    raise
        return self._put(session, write, settings, role, principal, last)

    def update(self, session: AzureSession, write: Write, live: Live) -> Live:
        """Condition and description change in place; an assignment of somebody else's that is adopted keeps its name."""
        if live.vacant:
            return self.create(session, write)
        settings: AssignmentSettings = write.desired.settings.in_mode(live.settings.mode)
        role = assignment_settings.role_of(settings)
        principal = session.principal(settings.principal) if settings.own else settings.principal
        return self._put(session, write, settings, role, principal, live.native, live)

    def _put(
        self,
        session: AzureSession,
        write: Write,
        settings: AssignmentSettings,
        role: Role,
        principal: str,
        path: str,
        live: Live | None = None,
    ) -> Live:
        limits = assignment_settings.condition_of(settings)
        body = {
            "properties": {
                "roleDefinitionId": session.role_definition(role),
                "principalId": principal,
                # without it, a principal that was just made is not found:
                # https://learn.microsoft.com/azure/role-based-access-control/troubleshooting#symptom---assigning-a-role-to-a-new-principal-sometimes-fails
                "principalType": settings.principal_type,
                "description": _description(write.marks, settings, live),
                **({"condition": limits, "conditionVersion": "2.0"} if limits else {}),
                **{
                    key: text for key, text in _kept(live.rest if live is not None else "").items() if key == _DELEGATED
                },
            }
        }
        found = session.assignment("PUT", write.desired.address, path, body)
        return _live(session, found, role, settings.mode)

    def delete(self, session: AzureSession, live: Live, *, force: bool) -> None:
        if live.native:
            session.assignment("DELETE", live.address, live.native)


def _description(marks: Marks, settings: AssignmentSettings, live: Live | None) -> str:
    """The description, with what people wrote in the one that is there."""
    texts = {**marks.texts(), **({GRANTS: ",".join(settings.grants)} if settings.grants else {})}
    kept = _kept(live.rest if live is not None else "")
    return described.written(texts, kept.get("before", ""), kept.get("behind", ""))


def _kept(rest: str) -> dict[str, str]:
    """What people wrote in the description, and what else others gave it."""
    found: dict[str, str] = json.loads(rest or "{}")
    return found


def _is_ours(key: str, value: str) -> bool:
    return described.is_mark(key) or key == GRANTS


def _live(session: AzureSession, item: Document, role: Role, mode: str) -> Live:
    said: Document = item.get("properties") or {}
    description = described.parsed(str(said.get("description") or ""), _is_ours)
    texts = description.texts
    principal = str(said.get("principalId", "")).lower()
    who = next((job for job in IDENTITIES if session.principal(job) == principal), principal)
    grants = texts.get(GRANTS, "")
    settings = AssignmentSettings(
        who,
        str(said.get("principalType") or "ServicePrincipal"),
        role.job,
        role.mode,
        grants=tuple(grants.split(",")) if grants else (),
        orphan=marks_of(item).owner is not None and not grants and who not in IDENTITIES,
        **assignment_settings.read_condition(str(said.get("condition") or ""), role),
    )
    at = assignment_settings.address_in(session.name, who, role, mode)
    needs = [session.own_address(), *([Address.of(session.name, "identity", who)] if settings.own else [])]
    rest = {**description.of_people, **({_DELEGATED: str(said[_DELEGATED])} if said.get(_DELEGATED) else {})}
    return Live(
        address=at,
        kind=KIND,
        settings=settings,
        marks=marks_of(item),
        native=str(item.get("id", "")),
        needs=tuple(needs),
        rest=text(rest) if rest else "",
    )


def _by_our_name(session: AzureSession, at: Address) -> list[Document]:
    """The assignment at an address that has a name that we give it."""
    who, role = assignment_settings.named_in(at, session.wanted_mode())
    principal = session.principal(who) if who in IDENTITIES else who
    if role is None or not principal:
        return []
    found = (session.assignment("GET", at, path) for path in _paths(session, principal, role))
    return next(([item] for item in found if item), [])


def _paths(session: AzureSession, principal: str, role: Role) -> Iterator[str]:
    """The ids that the assignment of a role to a principal can have by us, in the order in which they are tried."""
    resource = session.registry.resource
    names = assignment_settings.native_names(resource, principal, role)
    return (f"{resource}/providers/{_TYPE}/{name}" for name in names)


def _refuse_own(session: AzureSession, wanted: Mapping[Address, Desired]) -> None:
    """Azure takes one assignment for each principal and role: a grant to an identity of the registry would be that identity's own."""
    own = {session.principal(job): job for job in IDENTITIES}
    for at, item in wanted.items():
        job = own.get(item.settings.principal) if item.kind == KIND else None
        if job:
            name = session.registry.identity_name(job)
            session.refused[at] = (
                f"{item.settings.principal} is the registry's own identity {name}, which can {job} everything: take it out of grant"
                f"{'s' if len(item.settings.grants) > 1 else ''} {some_of(item.settings.grants)}"
            )


def granted(wanted: Mapping[Address, Desired]) -> frozenset[str]:
    """The principals to whom the grants of a spec give something."""
    found = (item.settings for item in wanted.values() if item.kind == KIND)
    return frozenset(settings.principal for settings in found if not settings.own)


def _waiting(session: AzureSession, wanted: Mapping[Address, Desired]) -> Mapping[Address, tuple[ForeignAccess, ...]]:
    """What others gave above a registry that is yet to be made, by the first assignment to each of those to whom they gave it."""
    principals = granted(wanted)
    if not principals:
        return {}
    first: dict[str, Address] = {}
    for at, item in wanted.items():
        if item.kind == KIND:
            first.setdefault(item.settings.principal, at)
    items, mode = session.assignments(session.own_address(), session.registry.group), session.wanted_mode()
    here = Here(session.name, session.registry.resource, session.owner, mode, mode, principals)
    known = session.other_roles(others.unknown(items, here))
    return {
        first[principal]: tuple(
            others.waiting(first[principal], items, replace(here, granted=frozenset({principal})), known)
        )
        for principal in principals
    }


def _vacant(
    session: AzureSession, addresses: Iterable[Address], waiting: Mapping[Address, tuple[ForeignAccess, ...]]
) -> Iterator[Live]:
    """That nothing is there, and in a registry of which mode. `waiting`: what others gave that counts once it is."""
    mode = session.wanted_mode()
    for at in addresses:
        legacy = session.registry.role_assignment_mode is None and mode == "legacy"
        if legacy and at == assignment_settings.address_of(session.name, "pull", roles.LIST):
            yield _included(session, at)
        else:
            there = AssignmentSettings("", mode=mode)
            yield Live(at, KIND, there, Marks(), vacant=True, foreign=waiting.get(at, ()))


def _included(session: AzureSession, at: Address) -> Live:
    """That nothing is missing: in mode legacy, the role to pull reads the catalog too."""
    return Live(at, KIND, AssignmentSettings("pull", job=roles.LIST, mode="legacy", whole=True), Marks(), moot=True)
