"""The registry's IAM roles: one to pull and one to push, with least privilege, for those whom the spec trusts."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from reconciler.errors import PlatformError
from reconciler.model.access import Access, ForeignAccess
from reconciler.model.address import Address
from reconciler.model.canonical import text
from reconciler.model.platform import Kind, Write
from reconciler.model.resource import Live, Observation, Scope

from . import marks as tagging
from . import names, policy
from .marks import Tags
from .policy import Document
from .session import AwsSession
from .spec import AwsRegistry

GONE = ("NoSuchEntity", "NoSuchEntityException")
EXISTS = ("EntityAlreadyExists", "EntityAlreadyExistsException")
#: the name of our inline policy
INLINE = "reconciler"
#: seconds; IAM's most, since credentials are handed out for up to 12 hours
MAX_SESSION = 43_200
ROLES = ("pull", "push")


@dataclass(frozen=True, slots=True)
class RoleSettings:
    """Who may assume the role, and what it may do. `other_*`: what the live documents hold beyond that, as text."""

    trusted: tuple[str, ...]
    actions: tuple[str, ...]
    repositories: tuple[str, ...]
    max_session_seconds: int = MAX_SESSION
    other_trust: str = ""
    other_permissions: str = ""


def settings_of(registry: AwsRegistry, role: str) -> RoleSettings:
    """The settings that the spec asks for; with no trusted principals the account's own IAM policies decide."""
    trusted = {policy.account_or(item) for item in registry.trusted_principals} or {registry.account_id}
    actions = policy.PULL if role == "pull" else (*policy.PULL, *policy.PUSH)
    arns = [names.repository_arn(registry.account_id, region, f"{registry.prefix}*") for region in registry.regions]
    return RoleSettings(tuple(sorted(trusted)), tuple(sorted(actions)), tuple(sorted(arns)))


def role_name(registry: AwsRegistry, role: str) -> str:
    """The IAM role's name."""
    return f"{registry.name}-{role}"


class RoleKind(Kind):
    """One of the two roles."""

    name = "role"
    settings = RoleSettings
    gives_access = True

    def access(self, address: Address, settings: RoleSettings) -> Iterator[Access]:
        where = address
        for principal in settings.trusted:
            what = "pull from" if where.name == "pull" else "push to"
            verb = f"{what} every repository as {where.registry}-{where.name}"
            yield from (Access(who, verb, where.registry, "") for who in policy.who(principal))

    def observe(self, session: AwsSession, scope: Scope, found: Observation) -> Iterator[Live]:
        wanted = [role for role in ROLES if scope.wants(Address.of(session.name, self.name, role))]
        for role, described in zip(wanted, session.map(lambda role: _get(session, role), wanted), strict=True):
            if described is None:
                continue
            live, others = _live(session, role, described)
            if role == "pull":
                found.extra["pull role"] = live, _tags(described)
            if others:
                found.foreign.append(ForeignAccess(live.address, f"widened by {', '.join(others)}, which no spec made"))
            yield live

    def create(self, session: AwsSession, write: Write) -> Live:
        role = write.desired.address.name
        wanted: RoleSettings = write.desired.settings
        created = session.call(
            "iam",
            "create_role",
            address=write.desired.address,
            absent=EXISTS,
            RoleName=role_name(session.registry, role),
            Description=f"Made by reconciler for {session.owner}: {role} images of registry {session.name}.",
            AssumeRolePolicyDocument=json.dumps(_trust(session.registry, wanted)),
            MaxSessionDuration=wanted.max_session_seconds,
            Tags=tagging.as_list(tagging.tags_of_marks(write.marks)),
        )
        if created is None:
            live = session.read(write.desired.address)
            if live is None or live.marks != write.marks:
                raise PlatformError(
                    "somebody else created it since the plan was made",
                    address=write.desired.address,
                    operation="iam:CreateRole",
                    hint="make a new plan",
                )
        _put_permissions(session, write)
        return self._again(session, write)

    def update(self, session: AwsSession, write: Write, live: Live) -> Live:
        at, wanted = live.address, write.desired.settings
        named: dict[str, Any] = {"RoleName": role_name(session.registry, at.name)}
        if {"trusted", "other_trust"} & write.changed:
            document = json.dumps(_trust(session.registry, wanted))
            session.call("iam", "update_assume_role_policy", address=at, PolicyDocument=document, **named)
        if {"actions", "repositories", "other_permissions"} & write.changed:
            _put_permissions(session, write)
        if "max_session_seconds" in write.changed:
            session.call("iam", "update_role", address=at, MaxSessionDuration=wanted.max_session_seconds, **named)
        session.call("iam", "tag_role", address=at, Tags=tagging.as_list(tagging.tags_of_marks(write.marks)), **named)
        return self._again(session, write)

    def _again(self, session: AwsSession, write: Write) -> Live:
        """IAM's setters answer nothing, so the role is read once after them."""
        live = session.read(write.desired.address)
        if live is None:
            raise PlatformError(
                "the role is gone right after it was written", address=write.desired.address, hint="run again"
            )
        return live

    def delete(self, session: AwsSession, live: Live, *, force: bool) -> None:
        named: dict[str, Any] = {"RoleName": role_name(session.registry, live.address.name)}
        others = _others(session, named["RoleName"], live.address)
        if others:
            raise PlatformError(
                f"policies that no spec made are attached to the role: {', '.join(others)}",
                address=live.address,
                operation="iam:DeleteRole",
                hint="detach them first; they are never removed for you",
            )
        session.call("iam", "delete_role_policy", address=live.address, absent=GONE, PolicyName=INLINE, **named)
        session.call("iam", "delete_role", address=live.address, absent=GONE, **named)


def pull_role(session: AwsSession, found: Observation) -> tuple[Live, Tags] | None:
    """The pull role and its tags, which hold the marks of what can't be tagged: regions and the replication rule."""
    if "pull role" not in found.extra:
        described = _get(session, "pull")
        found.extra["pull role"] = (
            None if described is None else (_live(session, "pull", described)[0], _tags(described))
        )
    answer: tuple[Live, Tags] | None = found.extra["pull role"]
    return answer


def tag_pull_role(session: AwsSession, at: Address, put: Tags, remove: list[str] | None = None) -> None:
    """Puts and removes tags of the pull role; all others stay."""
    name = role_name(session.registry, "pull")
    if put:
        session.call("iam", "tag_role", address=at, RoleName=name, Tags=tagging.as_list(put))
    if remove:
        session.call("iam", "untag_role", address=at, absent=GONE, RoleName=name, TagKeys=remove)


def _get(session: AwsSession, role: str) -> Document | None:
    """The role with `Permissions` (our inline policy, or None) and `Others` (what else is attached); None if there is none."""
    name, at = role_name(session.registry, role), Address.of(session.name, RoleKind.name, role)
    answer = session.call("iam", "get_role", address=at, absent=GONE, RoleName=name)
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


def _tags(described: Document) -> Tags:
    return tagging.as_dict(described.get("Tags", []))


def _live(session: AwsSession, role: str, described: Document) -> tuple[Live, list[str]]:
    tags = _tags(described)
    trusted, other_trust = _trusted(described.get("AssumeRolePolicyDocument", {}))
    actions, repositories, other_permissions = _permitted(described["Permissions"])
    foreign = {key: value for key, value in tags.items() if not key.startswith(tagging.PREFIX)}
    dead = [f"a deleted principal is still trusted ({item})" for item in trusted if policy.is_deleted(item)]
    live = Live(
        address=Address.of(session.name, RoleKind.name, role),
        kind=RoleKind.name,
        settings=RoleSettings(
            trusted, actions, repositories, described.get("MaxSessionDuration", 3600), other_trust, other_permissions
        ),
        marks=tagging.marks_of(tags),
        native=described["Arn"],
        rest=text(foreign) if foreign else "",
        notes=tuple(dead),
    )
    return live, described["Others"]


def _trust(registry: AwsRegistry, wanted: RoleSettings) -> Document:
    partition = names.partition(registry.region)
    principals = [
        names.root_arn(item, partition) if item == names.account_of(item) else item for item in wanted.trusted
    ]
    statement = {"Effect": "Allow", "Principal": {"AWS": principals}, "Action": "sts:AssumeRole"}
    return {"Version": "2012-10-17", "Statement": [statement]}


def _trusted(document: Document) -> tuple[tuple[str, ...], str]:
    """Who is trusted, and what the trust policy holds beyond that."""
    trusted: set[str] = set()
    other = []
    for item in policy.statements_of(document):
        statement = policy.normal(item)
        plain = statement.effect == "Allow" and statement.actions == ("sts:AssumeRole",)
        if plain and not statement.conditions and not statement.other:
            trusted.update(statement.principals)
        else:
            other.append(item)
    return tuple(sorted(trusted)), text(other) if other else ""


def _put_permissions(session: AwsSession, write: Write) -> None:
    wanted: RoleSettings = write.desired.settings
    statements = [
        {"Sid": "Login", "Effect": "Allow", "Action": policy.LOGIN, "Resource": "*"},
        {"Sid": "Images", "Effect": "Allow", "Action": list(wanted.actions), "Resource": list(wanted.repositories)},
    ]
    session.call(
        "iam",
        "put_role_policy",
        address=write.desired.address,
        RoleName=role_name(session.registry, write.desired.address.name),
        PolicyName=INLINE,
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": statements}),
    )


def _permitted(document: Document | None) -> tuple[tuple[str, ...], tuple[str, ...], str]:
    """Actions, repositories, and what the inline policy holds beyond those and the login."""
    login = False
    actions: tuple[str, ...] = ()
    repositories: tuple[str, ...] = ()
    other = []
    for item in policy.statements_of(document or {}):
        resources = tuple(sorted(str(arn) for arn in policy.listed(item.get("Resource"))))
        statement = policy.normal({key: value for key, value in item.items() if key != "Resource"})
        plain = statement.effect == "Allow" and not statement.conditions and not statement.other
        if plain and statement.actions == (policy.LOGIN,) and resources == ("*",):
            login = True
        elif plain and not actions and resources and policy.LOGIN not in statement.actions:
            actions, repositories = statement.actions, resources
        else:
            other.append(item)
    if not login:
        other.append({"missing": policy.LOGIN})
    return actions, repositories, text(other) if other else ""
