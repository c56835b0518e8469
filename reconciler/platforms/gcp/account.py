"""The registry's service accounts: one to pull and one to push, and who may impersonate them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from reconciler.errors import PlatformError
from reconciler.model.access import PUSH, Access, ForeignAccess, Given
from reconciler.model.address import Address
from reconciler.model.canonical import text
from reconciler.model.kind import Found, GivesAccess, Home, Kind, Verb, Write
from reconciler.model.marks import Marks
from reconciler.model.resource import Desired, Live
from reconciler.words import Named

from . import description, iam, members, policy_write, record, room, rules, taken
from .iam import Binding, Document
from .ledgers import AccountLedger
from .rules import IAM
from .seen import check_none_left
from .spec import GcpRegistry

if TYPE_CHECKING:
    from .session import GcpSession

KIND = "account"
ACCOUNTS = ("pull", PUSH)
#: makes tokens of the account: https://cloud.google.com/iam/docs/service-account-permissions#token-creator-role
IMPERSONATES = "roles/iam.serviceAccountTokenCreator"
ROLES = (IMPERSONATES,)
#: with which somebody becomes the account as well: by its tokens, by keys that are made of it, by a role that is given to oneself, or
#: by a machine that runs as the account (actAs)
#: https://cloud.google.com/iam/docs/service-account-permissions, https://cloud.google.com/iam/docs/roles-permissions/iam
_ACTING = frozenset(
    {
        IMPERSONATES,
        "roles/iam.serviceAccountUser",
        "roles/iam.workloadIdentityUser",
        "roles/iam.serviceAccountKeyAdmin",
        "roles/iam.serviceAccountAdmin",
        "roles/iam.securityAdmin",
        "roles/owner",
        "roles/editor",
    }
)
#: with which it can only be looked at; what any other role allows, custom ones too, is not known here
_LOOKING = frozenset({"roles/iam.serviceAccountViewer", "roles/iam.securityReviewer", "roles/viewer"})
#: a fresh account is believed after so many good reads in a row: reads flap for a minute
#: (evidence/gcp/service-account-eventual-409.http.log, hashicorp/terraform-provider-google#22546)
GOOD_READS = 3
#: seconds in which that is so
PATIENCE = 120.0
#: bytes: https://cloud.google.com/iam/docs/reference/rest/v1/projects.serviceAccounts#ServiceAccount.FIELDS.display_name
MAX_NAME = 100
#: no spec asks for that
DISABLED = "it was disabled by hand, perhaps since its tokens leaked"
NOBODY_MAY = Named("nobody may impersonate it")
_READ = ("iam.serviceAccounts.get", "iam.serviceAccounts.getIamPolicy")


@dataclass(frozen=True, slots=True)
class AccountSettings:
    """Who may impersonate the account, sorted, each in its one form. `disabled`: no spec asks for that."""

    trusted: tuple[str, ...] = ()
    display_name: str = ""
    disabled: bool = False

    @property
    def bindings(self) -> tuple[Binding, ...]:
        """The members of its policy that are ours."""
        return tuple(Binding(IMPERSONATES, member) for member in self.trusted)


def settings_of(registry: GcpRegistry, name: str) -> AccountSettings:
    """What the spec asks of one of the two accounts."""
    trusted = tuple(sorted({members.normal(item) for item in registry.trusted_principals}))
    return AccountSettings(trusted, f"reconciler: {name} images of registry {registry.name}"[:MAX_NAME])


class AccountKind(Kind, GivesAccess):
    """One of the two service accounts."""

    name = KIND
    settings = AccountSettings
    said = frozenset({"trusted"})
    permissions = {
        Verb.LIST: _READ,
        Verb.READ: _READ,
        Verb.CREATE: ("iam.serviceAccounts.create", "iam.serviceAccounts.setIamPolicy", *_READ),
        Verb.UPDATE: (
            *("iam.serviceAccounts.update", "iam.serviceAccounts.setIamPolicy", "iam.serviceAccounts.enable"),
            *_READ,
        ),
        Verb.DELETE: (
            *("iam.serviceAccounts.delete", "iam.serviceAccounts.get"),
            *("artifactregistry.repositories.list", "artifactregistry.repositories.get"),
        ),
    }

    def shown(self, settings: AccountSettings) -> dict[str, Any]:
        trusted = [Named(item, members.principal(item).label) for item in settings.trusted]
        return {
            "trusted": trusted or NOBODY_MAY,
            "display_name": settings.display_name,
            "disabled": settings.disabled,
        }

    def usual(self, address: Address, home: Home) -> dict[str, Any]:
        """The name that the registry's accounts have."""
        if not isinstance(home.registry, GcpRegistry):
            return self.blank
        return {"display_name": settings_of(home.registry, address.name).display_name, "disabled": False}

    def altered(self, settings: AccountSettings) -> str | None:
        right = tuple(sorted({members.normal(item) for item in settings.trusted}))
        if settings.disabled:
            return "disabled"
        return None if right == settings.trusted and not any(map(members.is_deleted, right)) else "trusted"

    def access(self, address: Address, settings: AccountSettings) -> Iterator[Access]:
        for member in settings.trusted:
            yield _access(address, member)

    def gains_and_losses(
        self, address: Address, before: Given, after: Given, home: Home
    ) -> tuple[Iterable[Access], Iterable[Access]]:
        """One that is disabled can do nothing, and nobody can act as it: enabled, it has all of that again."""
        gains, losses = super().gains_and_losses(address, before, after, home)
        if before.settings is not None and after.settings is not None and _is_disabled(before) != _is_disabled(after):
            itself = _itself(address, home)
            return ([*gains, itself], losses) if _is_disabled(before) else (gains, [*losses, itself])
        return gains, losses

    def _whole(self, address: Address, given: Given) -> set[Access]:
        """By the policy: of what others gave there, what becomes the spec's is no longer foreign."""
        if _is_disabled(given):
            return set()
        others = json.loads(given.rest or "{}").get("policy", {})
        theirs = {access for item in _foreign(address, others) for access in item.access}
        return theirs if given.settings is None else theirs.union(self.access(address, given.settings))

    def remarks(self, live: Live, wanted: Desired, *, changed: bool) -> Iterator[str]:
        if changed:
            yield from live.notes
            new = {*wanted.settings.bindings} - {*live.settings.bindings}
            policy = json.loads(live.rest or "{}").get("policy", {})
            yield from taken.said(policy, ROLES, new, "trusted_principals")

    def limit(self, desired: Desired, live: Live | None) -> str | None:
        others = json.loads(live.rest) if live is not None and live.rest else {}
        return iam.too_many(desired.settings.bindings, others.get("policy", {}))

    def list(self, session: GcpSession, wanted: Mapping[Address, Desired], found: Found) -> Iterator[Live]:
        lives: dict[Address, Live] = {}
        for at, live in self._found(session, [Address.of(session.name, KIND, name) for name in ACCOUNTS]):
            if live is not None:
                session.ledger(AccountLedger).learn(at, description.parsed(live[0].get("description", "")).texts)
                there = _live(session, at, *live)
                others = json.loads(there.rest or "{}").get("policy", {})
                lives[at] = taken.over(there, wanted.get(at), others, ROLES)
        carrier = description.carrier_of(session.registry)
        for at, item in wanted.items():
            if item.kind == KIND and at != carrier:  # that has the notes of locations beside, which are yet to be found
                session.refused |= room.in_description(session, item, lives.get(at), wanted)
        yield from lives.values()

    def read(self, session: GcpSession, addresses: Sequence[Address]) -> Iterator[Live]:
        ours = [at for at in addresses if at.name in ACCOUNTS and not at.where]
        for at, live in self._found(session, ours):
            if live is not None:
                yield _live(session, at, *live)

    def _found(
        self, session: GcpSession, addresses: Sequence[Address]
    ) -> Iterator[tuple[Address, tuple[Document, Document] | None]]:
        def both(at: Address) -> tuple[Document, Document] | None:
            account = session.account(at)
            if account is None:
                return None
            policy = session.account_policy(at)
            return None if policy is None else (account, policy)

        yield from zip(addresses, session.map(both, addresses), strict=True)

    def create(self, session: GcpSession, write: Write) -> Live:
        at = write.desired.address
        hashes = {item.hash for item in write.desired.settings.bindings}
        account = {
            "displayName": write.desired.settings.display_name,
            "description": description.written(_texts(write.marks, hashes)),
        }
        identifier = session.registry.email(at.name).partition("@")[0]
        body = {"accountId": identifier, "serviceAccount": account}
        path = f"{session.project}/serviceAccounts"
        created = session.json("POST", IAM, "CreateServiceAccount", path, at=at, body=body, absent=("ALREADY_EXISTS",))
        found = _believed(session, at, made=created is not None)
        if created is None and description.parsed(found.get("description", "")).texts != _texts(write.marks, hashes):
            raise PlatformError(
                "somebody else created it since the plan was made",
                address=at,
                operation=f"{IAM}:CreateServiceAccount",
                hint="make a new plan",
            )
        session.made.add(at)
        policy = _trust(session, write, set()) if hashes else session.account_policy(at)
        return _live(session, at, found, policy or {})

    def update(self, session: GcpSession, write: Write, live: Live) -> Live:
        at = live.address
        name = session.account_name(at)
        if live.settings.disabled:
            session.json("POST", IAM, "EnableServiceAccount", f"{name}:enable", at=at, body={})
        with session.ledger(AccountLedger).alone(at):
            # a fresh account flaps: written from an answer that it is not there, what is noted in its description would be lost
            account = session.account(at) or _believed(session, at)
            if "display_name" in write.changed:
                account["displayName"] = write.desired.settings.display_name
                session.change_account(at, {"displayName": account["displayName"]})
            said = description.parsed(account.get("description", ""))
            before = record.opened(said.texts.get(description.MEMBERS, ""))
            hashes = {item.hash for item in write.desired.settings.bindings}
            others = {key: value for key, value in said.texts.items() if key.startswith(description.AT)}
            # recorded before it is written, so that what is left of a write that was cut off is never taken for somebody else's
            # as if nothing were applied yet: what is left of the record of a run that was cut off would never be looked at again
            marks = said.texts or replace(write.marks, applied=None).texts()
            policy = json.loads(live.rest or "{}").get("policy", {})
            theirs = iam.theirs(policy, ROLES, write.desired.settings.bindings)
            both = _noted(marks, before | hashes | theirs, said)
            if description.too_long(both) is not None:
                both = _noted(marks, before | hashes, said)
            session.change_account(at, {"description": both})
            after = _trust(session, write, before)
            after_all = {**_texts(write.marks, hashes), **others}
            account["description"] = description.written(after_all, said.before, said.behind)
            if account["description"] != both:
                session.change_account(at, {"description": account["description"]})
        account.pop("disabled", None)
        return _live(session, at, account, after)

    def delete(self, session: GcpSession, live: Live, *, force: bool) -> None:
        # once the accounts are gone, nothing says where the registry had repositories. Those that the plan names may be about to go
        ledger, carrier, home = (
            session.ledger(AccountLedger),
            description.carrier_of(session.registry),
            session.registry.location,
        )
        (texts,) = ledger.read([carrier])
        places = {home, *ledger.locations(texts)}
        # by its note alone a plan names what it leaves alone in another location than the spec's
        left_alone = places - {home} if live.address == carrier else ()
        check_none_left(session, places, live.address, but=session.named, left_alone=left_alone)
        name = session.account_name(live.address)
        session.json("DELETE", IAM, "DeleteServiceAccount", name, at=live.address, absent=("NOT_FOUND",))


def _noted(marks: Mapping[str, str], hashes: set[str], said: description.Said) -> str:
    return description.written({**marks, description.MEMBERS: record.sealed(hashes)}, said.before, said.behind)


def _texts(marks: Marks, hashes: set[str]) -> dict[str, str]:
    return {**marks.texts(), **({description.MEMBERS: record.sealed(hashes)} if hashes else {})}


def _believed(session: GcpSession, at: Address, *, made: bool = False) -> Document:
    """A fresh account, as soon as it was read a few times in a row. `made`: whether this run made it, so that "forbidden, or it may
    not exist" means that IAM does not know it yet. Raises PlatformError if it is not known after some time."""
    good = 0
    said = ""

    def look() -> Document:
        nonlocal good, said
        try:
            found = session.account(at)
        except PlatformError as error:
            if not (made and rules.is_unknown(error.code, str(error))):
                raise
            found, said = None, f"; it says {error.message}"
        if found is None:
            good = 0
            raise _Late
        good += 1
        if good < GOOD_READS:
            raise _Late
        return found

    try:
        return session.patiently(look, lambda error: isinstance(error, _Late), PATIENCE, most=3.0)
    except _Late:
        raise PlatformError(
            f"it was made, and IAM does not know it after {PATIENCE:.0f} seconds{said}",
            address=at,
            operation=f"{IAM}:GetServiceAccount",
            hint="run again in some minutes; changes already made are kept",
        ) from None


class _Late(Exception):
    """IAM does not know yet what was made."""


def _trust(session: GcpSession, write: Write, recorded: set[str]) -> Document:
    """The policy with the wanted members in the place of those that are recorded as ours."""
    at = write.desired.address
    path = f"{session.account_name(at)}:setIamPolicy"

    def send(document: Document) -> Document:
        return dict(session.json("POST", IAM, "SetIamPolicy", path, at=at, body={"policy": document}))

    wanted = write.desired.settings.bindings
    try:
        fresh = policy_write.names_fresh(write)
        return policy_write.write(session, at, lambda: session.account_policy(at), send, ROLES, recorded, wanted, fresh)
    except PlatformError as error:
        if policy_write.unknown_member(error):
            whom = ", ".join(item.member for item in wanted)
            error.hint = f"trusted_principals are {whom}: create the one that is meant first, or remove it"
            error.places = tuple(place for place in write.desired.source if place.kind == "registry")
        raise


def _access(at: Address, member: str, note: str = "", does: str = "impersonate") -> Access:
    verb = f"{does} {at.registry}-{at.name}, which can {_uses(at)}"
    return Access(members.principal(members.normal(member)), verb, at.registry, "", may=bool(note), note=note)


def _itself(at: Address, home: Home) -> Access:
    """What the account can do unless it is disabled."""
    email = home.registry.email(at.name) if isinstance(home.registry, GcpRegistry) else f"{at.registry}-{at.name}"
    return Access(members.principal(f"serviceAccount:{email}"), _uses(at), at.registry, "")


def _uses(at: Address) -> str:
    return f"{'pull and push' if at.name == PUSH else 'pull'} all images of the registry"


def _is_disabled(given: Given) -> bool:
    return given.settings is not None and given.settings.disabled


def _live(session: GcpSession, at: Address, account: Document, policy: Document) -> Live:
    said = description.parsed(account.get("description", ""))
    recorded = record.opened(said.texts.get(description.MEMBERS, ""))
    others = iam.in_order(iam.without(policy, ROLES, recorded))
    parts = (("description", said.before), ("behind", said.behind), ("policy", others))
    rest = {key: value for key, value in parts if value}
    found, dead = iam.ours(policy, ROLES, recorded), iam.dead(policy, ROLES, recorded)
    settings = AccountSettings(
        tuple(item.member for item in found), str(account.get("displayName", "")), bool(account.get("disabled", False))
    )
    notes = [f"{members.principal(item.member).label} is still trusted" for item in dead]
    if settings.disabled:
        notes.append(DISABLED)
    return Live(
        address=at,
        kind=KIND,
        settings=settings,
        marks=iam.noted_again(Marks.of(said.texts), settings, recorded, (*found, *dead)),
        native=session.registry.email(at.name),
        rest=text(rest) if rest and not (set(rest) == {"policy"} and iam.is_empty(others)) else "",
        etag=str(policy.get("etag", "")),
        notes=tuple(notes),
        foreign=tuple(_foreign(at, others, f"{session.registry.email(at.name)} --project {session.registry.project}")),
    )


def _foreign(at: Address, others: Document, account: str = "") -> Iterator[ForeignAccess]:
    """Whom others gave a role on the account; with gcloud's options that name the account, each with the command that removes it.

    https://cloud.google.com/sdk/gcloud/reference/iam/service-accounts/remove-iam-policy-binding
    """
    for item in iam.bindings_of(others):
        role, note = str(item.get("role")), iam.condition_of(item)
        does = "impersonate" if role in _ACTING else f"do what {role} allows with"
        for member in item.get("members") or ():
            removal = (
                f"run `gcloud iam service-accounts remove-iam-policy-binding {account} --role {role} --member '{member}'"
                f"{' --all' if note else ''}`"
            )
            given = () if role in _LOOKING or members.is_deleted(member) else (_access(at, member, note, does),)
            yield ForeignAccess(at, taken.named(role, member), given, removal if account else "")
