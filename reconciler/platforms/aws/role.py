"""The registry's IAM roles: one to pull and one to push, with least privilege, for those whom the spec trusts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from reconciler.errors import PlatformError
from reconciler.model.access import Access, ForeignAccess, Given
from reconciler.model.address import Address
from reconciler.model.canonical import text
from reconciler.model.kind import Found, GivesAccess, Home, Kind, ReachesMarked, Verb, Write
from reconciler.model.ledger import Texts
from reconciler.model.marks import PREFIX, Marks
from reconciler.model.resource import Desired, Live
from reconciler.model.weakening import Weakening
from reconciler.words import Named, duration

from . import policy, role_access
from .ledgers import AT, DENIED, GONE, RegistryLedger, carrier_of, hand_over, notes_of
from .left import LOOK, check_none_noted
from .policy import Document
from .role_documents import (
    ROLES,
    USUAL_SESSION,
    RoleSettings,
    altered,
    permissions,
    permissions_of,
    settings_of,
    trust_of,
    trust_policy,
)
from .spec import AwsRegistry
from .tags import Tags, as_dict, as_list

if TYPE_CHECKING:
    from .session import AwsSession

EXISTS = ("EntityAlreadyExists", "EntityAlreadyExistsException")
#: the name of our inline policy
INLINE = "reconciler"
#: what a field is called that shows what is there beside what a spec can ask for
TRUST_BESIDE, PERMISSIONS_BESIDE = "trust that no spec gave", "permissions that no spec gave"
#: what is shown in the place of an empty list
NOBODY_MAY = Named("nobody may assume it")
#: seconds in which a role that was made becomes known to IAM as a principal
PATIENCE = 60.0
#: seconds in which IAM's answers catch up with a write: hashicorp/terraform-provider-aws#18435
SETTLING = 20.0
#: characters of a trust policy that IAM takes unless the account's quota "Role trust policy length" was raised; white space is
#: not counted: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
TRUST_LENGTH = 2_048


_OTHERS = ("iam:ListRolePolicies", "iam:ListAttachedRolePolicies")
_READ = ("iam:GetRole", "iam:GetRolePolicy", *_OTHERS)
#: what is noted there is taken over, and handed over
_LEDGER = ("ecr:ListTagsForResource",)


class RoleKind(Kind, GivesAccess, ReachesMarked):
    """One of the two roles."""

    name = "role"
    settings = RoleSettings
    said = frozenset({"trusted", "trusted_if"})
    permissions = {
        Verb.LIST: (*_READ, "iam:GetAccountSummary"),
        Verb.READ: _READ,
        Verb.CREATE: ("iam:CreateRole", "iam:TagRole", "iam:PutRolePolicy", *_READ, *_LEDGER),
        Verb.UPDATE: ("iam:UpdateAssumeRolePolicy", "iam:PutRolePolicy", "iam:UpdateRole", "iam:TagRole", *_READ),
        Verb.DELETE: (
            *_OTHERS,
            *_LEDGER,
            *LOOK,
            "iam:GetRole",
            "iam:ListInstanceProfilesForRole",
            "iam:DeleteRolePolicy",
            "iam:DeleteRole",
        ),
    }

    def shown(self, settings: RoleSettings) -> dict[str, Any]:
        shown = {
            "trusted": policy.principals_shown(settings.trusted),
            "trusted_if": role_access.narrowed_shown(settings.trusted_if),
            TRUST_BESIDE: role_access.others_shown(settings.other_trust),
            "may": policy.may_shown(settings.actions),
            "repositories": policy.resources_shown(settings.repositories),
            "tags": dict(settings.tags),
            PERMISSIONS_BESIDE: role_access.others_shown(settings.other_permissions),
            "log in to ECR": role_access.login_shown(settings.other_permissions),
            "max_session_seconds": settings.max_session_seconds,
        }
        if not (settings.trusted or settings.trusted_if or settings.other_trust):
            shown["trusted"] = NOBODY_MAY
        unusual = ("trusted_if", "tags", TRUST_BESIDE, PERMISSIONS_BESIDE)
        return {name: value for name, value in shown.items() if value or name not in unusual}

    def usual(self, address: Address, home: Home) -> dict[str, Any]:
        """What the registry's role of that name can do, for the usual time."""
        if not isinstance(home.registry, AwsRegistry) or address.name not in ROLES:
            return self.blank
        wanted = settings_of(home.registry, address.name, home.owner)
        shown = self.shown(replace(wanted, max_session_seconds=USUAL_SESSION))
        return {name: value for name, value in shown.items() if name not in self.said}

    def weakens(self, before: RoleSettings | None, after: RoleSettings | None) -> Iterator[Weakening]:
        if before is not None and after is not None and after.max_session_seconds > before.max_session_seconds:
            longer, shorter = duration(after.max_session_seconds), duration(before.max_session_seconds)
            yield Weakening("max_session", f"a session lasts up to {longer} instead of {shorter}")

    def altered(self, settings: RoleSettings) -> str | None:
        return altered(settings)

    def access(self, address: Address, settings: RoleSettings) -> Iterator[Access]:
        return role_access.given(address, settings)

    def gains_and_losses(
        self, address: Address, before: Given, after: Given, home: Home
    ) -> tuple[list[Access], list[Access]]:
        """By every statement of the trust policy and of the permissions, known and unknown."""
        return role_access.gains(address, before, after, home), role_access.losses(address, before, after, home)

    def all_of(self, registry: str) -> Iterator[Address]:
        return (Address.of(registry, self.name, role) for role in ROLES)

    def reaches(self, address: Address, given: Given, home: Home) -> Iterator[Access]:
        """Who can assume the role, and what it can do with what is tagged as the registry's."""
        return role_access.reaches(address, given, home)

    def list(self, session: AwsSession, wanted: Mapping[Address, Desired], found: Found) -> Iterator[Live]:
        roles = list(self.all_of(session.name))
        lives = {}
        for at, described in zip(roles, session.map(lambda at: _get(session, at), roles), strict=True):
            if at.name == "pull":
                session.ledger(RegistryLedger).learn(at, _tags(described or {}))
            if described is not None:
                lives[at] = _live(session, at, described)
        _check_lengths(session, [wanted[at] for at in roles if at in wanted], lives)
        yield from lives.values()

    def read(self, session: AwsSession, addresses: Sequence[Address]) -> Iterator[Live]:
        roles = [at for at in addresses if at.name in ROLES and not at.where]
        for at, described in zip(roles, session.map(lambda at: _get(session, at), roles), strict=True):
            if described is not None:
                yield _live(session, at, described)

    def create(self, session: AwsSession, write: Write) -> Live:
        role = write.desired.address.name
        wanted: RoleSettings = write.desired.settings
        with session.ledger_lock:  # nothing is noted or forgotten elsewhere meanwhile
            notes = _from_ledgers(session) if write.desired.address == carrier_of(session.registry) else {}
            created = _trusting(
                session,
                write,
                "create_role",
                absent=EXISTS,
                RoleName=session.registry.role_name(role),
                Description=f"Made by reconciler for {session.owner}: {role} images of registry {session.name}.",
                AssumeRolePolicyDocument=json.dumps(trust_policy(session.registry, wanted)),
                MaxSessionDuration=wanted.max_session_seconds,
                Tags=as_list({**notes, **write.marks.texts()}),
            )
        if created is None:
            live = self.read_one(session, write.desired.address)
            if live is None or live.marks != write.marks:
                raise PlatformError(
                    "somebody else created it since the plan was made",
                    address=write.desired.address,
                    operation="iam:CreateRole",
                    hint="make a new plan",
                )
        session.made("iam", "", session.registry.role_name(role))
        _put_permissions(session, write)
        return self._again(session, write)

    def update(self, session: AwsSession, write: Write, live: Live) -> Live:
        at, wanted = live.address, write.desired.settings
        named: dict[str, Any] = {"RoleName": session.registry.role_name(at.name)}
        if {"trusted", "trusted_if", "other_trust"} & write.changed:
            document = json.dumps(trust_policy(session.registry, wanted))
            _trusting(session, write, "update_assume_role_policy", PolicyDocument=document, **named)
        if {"actions", "repositories", "tags", "other_permissions"} & write.changed:
            _put_permissions(session, write)
        if "max_session_seconds" in write.changed:
            session.call("iam", "update_role", address=at, MaxSessionDuration=wanted.max_session_seconds, **named)
        session.ledger(RegistryLedger).change(at, write.marks.texts())
        return self._again(session, write)

    def _again(self, session: AwsSession, write: Write) -> Live:
        """IAM's setters answer nothing, so the role is read after them: once, or until IAM no longer answers what was before."""
        live = self.read_one(session, write.desired.address)
        if live is None or not _as_wanted(live, write):
            live = self._later(session, write) or live
        if live is None:
            raise PlatformError(
                "the role was deleted right after it was written", address=write.desired.address, hint="run again"
            )
        return live

    def _later(self, session: AwsSession, write: Write) -> Live | None:
        """The role as soon as it is as wanted, or as it is after some seconds."""

        live: Live | None = None

        def look() -> None:
            nonlocal live
            live = self.read_one(session, write.desired.address)
            if live is None or not _as_wanted(live, write):
                raise _Late

        with suppress(_Late):
            session.patiently(look, lambda error: isinstance(error, _Late), SETTLING, most=3.0)
        return live

    def delete(self, session: AwsSession, live: Live, *, force: bool) -> None:
        named: dict[str, Any] = {"RoleName": session.registry.role_name(live.address.name)}
        others = _others(session, named["RoleName"], live.address)
        profiles = session.pages(
            "iam", "list_instance_profiles_for_role", "InstanceProfiles", address=live.address, **named
        )
        others += [f"instance profile {item['InstanceProfileName']}" for item in profiles]
        if others:  # asked first: IAM refuses the delete only after the role's own policy is gone
            raise PlatformError(
                f"the role has additions that were not made from a spec: {', '.join(others)}",
                address=live.address,
                operation="iam:DeleteRole",
                hint="detach the policies, and remove the role from the instance profiles; reconciler never does that",
            )
        check_none_noted(session, live.address)
        if live.address.name == "pull":
            hand_over(session, live.address)
        session.forget("iam", "", named["RoleName"], f"{named['RoleName']}/{INLINE}")
        session.call("iam", "delete_role_policy", address=live.address, absent=GONE, PolicyName=INLINE, **named)
        session.call("iam", "delete_role", address=live.address, absent=GONE, **named)


def _from_ledgers(session: AwsSession) -> Texts:
    """What is noted of a registry that had no roles, and where its ledgers are until they are deleted; else nothing."""
    others = session.ledger(RegistryLedger).others()
    notes = {key: value for texts in others.values() for key, value in notes_of(texts).items()}
    return {**notes, AT: " ".join(session.region_of(at) for at in others)} if others else {}


def _trusting(session: AwsSession, write: Write, operation: str, **params: Any) -> Any:
    """A call that says whom the role trusts. A principal that IAM does not find is waited for if it is a role that was made in this
    run: https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html#troubleshoot_general_eventual-consistency"""

    def call() -> Any:
        return session.call("iam", operation, address=write.desired.address, **params)

    try:
        return session.patiently(call, lambda error: bool(write.fresh) and _unknown_principal(error), PATIENCE)
    except PlatformError as error:
        if _unknown_principal(error):
            error.hint = "create the role or user first, or remove it from trusted_principals"
            error.places = tuple(place for place in write.desired.source if place.kind == "registry")
        raise


def _unknown_principal(error: BaseException) -> bool:
    # `Invalid principal in policy: "AWS":"arn:..."` (hashicorp/terraform-provider-aws#184)
    return isinstance(error, PlatformError) and error.code.startswith("MalformedPolicy") and "rincipal" in error.message


class _Late(Exception):
    """IAM still answers what was before the write."""


def _as_wanted(live: Live, write: Write) -> bool:
    return live.settings == write.desired.settings and live.marks == write.marks


def _get(session: AwsSession, at: Address) -> Document | None:
    """The role with `Permissions` (our inline policy, or None) and `Others` (what else is attached); None if there is none."""
    name = session.registry.role_name(at.name)
    # a registry without roles may have had some: who may not ask has made none
    absent = GONE if session.registry.roles else (*GONE, *DENIED)
    answer = session.call("iam", "get_role", address=at, absent=absent, RoleName=name)
    if answer is None:
        return None
    inline = session.call("iam", "get_role_policy", address=at, absent=GONE, RoleName=name, PolicyName=INLINE)
    return {
        **answer["Role"],
        "Permissions": inline["PolicyDocument"] if inline else None,
        "Others": _others(session, name, at),
    }


def _others(session: AwsSession, name: str, at: Address) -> list[str]:
    inline = session.pages("iam", "list_role_policies", "PolicyNames", address=at, RoleName=name)
    attached = session.pages("iam", "list_attached_role_policies", "AttachedPolicies", address=at, RoleName=name)
    return sorted(
        [f"inline policy {item}" for item in inline if item != INLINE] + [item["PolicyArn"] for item in attached]
    )


def _check_lengths(session: AwsSession, wanted: Sequence[Desired], lives: Mapping[Address, Live]) -> None:
    """Refuses a trust policy that is to be written and is longer than IAM takes. Only the account knows how long that may be, so it
    is asked where the default does not do.

    https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetAccountSummary.html (AssumeRolePolicySizeQuota)
    """
    for item in wanted:
        live = lives.get(item.address)
        size = len("".join(json.dumps(trust_policy(session.registry, item.settings)).split()))
        if size <= TRUST_LENGTH or (live is not None and _trusts_the_same(live.settings, item.settings)):
            continue
        summary = session.call("iam", "get_account_summary", address=item.address)["SummaryMap"]
        most = summary.get("AssumeRolePolicySizeQuota", TRUST_LENGTH)
        if size > most:
            session.refused[item.address] = (
                f"the trust policy would have {size:,} characters; IAM allows at most {most:,} in this account; trust whole accounts"
                " instead of single roles, or have the account's quota 'Role trust policy length' raised"
            )


def _trusts_the_same(one: RoleSettings, other: RoleSettings) -> bool:
    return (one.trusted, one.trusted_if) == (other.trusted, other.trusted_if)


def _tags(described: Document) -> Tags:
    return as_dict(described.get("Tags", []))


def _live(session: AwsSession, at: Address, described: Document) -> Live:
    tags = _tags(described)
    trusted, trusted_if, other_trust = trust_of(described.get("AssumeRolePolicyDocument", {}))
    others = {key: value for key, value in tags.items() if not key.startswith(PREFIX)}
    attached = described["Others"]
    widened = f"widened by {', '.join(attached)}, not made from a spec"
    return Live(
        address=at,
        kind=RoleKind.name,
        settings=RoleSettings(
            trusted=trusted,
            trusted_if=trusted_if,
            other_trust=other_trust,
            max_session_seconds=described.get("MaxSessionDuration", 3600),
            **permissions_of(described["Permissions"]),
        ),
        marks=Marks.of(tags),
        native=described["Arn"],
        rest=text(others) if others else "",
        notes=tuple(f"a deleted principal is still trusted ({item})" for item in trusted if policy.is_deleted(item)),
        foreign=(ForeignAccess(at, widened),) if attached else (),
    )


def _put_permissions(session: AwsSession, write: Write) -> None:
    role = session.registry.role_name(write.desired.address.name)
    session.call(
        "iam",
        "put_role_policy",
        address=write.desired.address,
        RoleName=role,
        PolicyName=INLINE,
        PolicyDocument=json.dumps(permissions(write.desired.settings)),
    )
    session.made("iam", "", f"{role}/{INLINE}")
