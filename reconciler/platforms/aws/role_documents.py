"""A role's two documents, its trust policy and its permissions: from the spec, to AWS's form, and back from it. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import Any

from reconciler.model.canonical import text
from reconciler.model.marks import OWNER, REGISTRY

from . import names, policy
from .condition import Condition
from .policy import Document, Statement
from .spec import AwsRegistry
from .trusted import FederatedPrincipal, NarrowedPrincipal

#: seconds; a role that was made before `max_session` could be set has IAM's most
MOST_SESSION = 43_200
#: seconds; what `max_session` is unless the spec says otherwise
USUAL_SESSION = 3_600
PULL_ROLE, PUSH_ROLE = ROLES = ("pull", "push")
#: who trusts nobody says so, since a trust policy without a statement is none
NOBODY: Document = {"Effect": "Deny", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
_PLAIN, _FEDERATED = ("sts:AssumeRole",), ("sts:AssumeRoleWithWebIdentity",)
TAG = "aws:ResourceTag/"
#: the settings that say nothing of what the role can do with images
_OF_TRUST = ("trusted", "trusted_if", "other_trust", "max_session_seconds")


@dataclass(frozen=True, slots=True)
class RoleSettings:
    """Who may assume the role, and what it may do.

    `trusted`: who may without a condition. `trusted_if`: who may with one. `tags`: what a repository must be tagged with for the role
    to act on it. `other_*`: what the live documents hold beyond all that, as text.
    """

    trusted: tuple[str, ...]
    actions: tuple[str, ...]
    repositories: tuple[str, ...]
    max_session_seconds: int = MOST_SESSION
    other_trust: str = ""
    other_permissions: str = ""
    trusted_if: tuple[Statement, ...] = ()
    tags: tuple[tuple[str, str], ...] = ()


def settings_of(registry: AwsRegistry, role: str, owner: str, *, anywhere: bool = False) -> RoleSettings:
    """The settings that the spec asks for. `anywhere`: whether a repository of the registry has a name without its prefix.

    With no trusted principals the account's own IAM policies decide who pulls, and nobody may push as the role. The role acts on
    what carries the marks of this registry alone: a name that starts with its prefix may be somebody else's, and what is made at run
    time carries them too. All of its actions are on a repository, and ECR takes the tags of that into account:
    https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonelasticcontainerregistry.html (aws:ResourceTag),
    https://docs.aws.amazon.com/AmazonECR/latest/userguide/ecr-supported-iam-actions-tagging.html
    """
    plain = {policy.account_or(item) for item in registry.trusted_principals if isinstance(item, str)}
    if not registry.trusted_principals and role == PULL_ROLE:
        plain = {registry.account_id}
    named = "*" if anywhere else f"{registry.name_prefix}*"
    arns = [names.repository_arn(registry.account_id, region, named) for region in registry.regions]
    return RoleSettings(
        trusted=tuple(sorted(plain)),
        actions=policy.of_role(role),
        repositories=tuple(sorted(arns)),
        max_session_seconds=registry.max_session_seconds,
        trusted_if=tuple(
            sorted({_narrowed(item, registry) for item in registry.trusted_principals if not isinstance(item, str)})
        ),
        tags=((OWNER, owner), (REGISTRY, registry.name)),
    )


def _narrowed(item: NarrowedPrincipal | FederatedPrincipal, registry: AwsRegistry) -> Statement:
    if isinstance(item, NarrowedPrincipal):
        wanted = {"sts:ExternalId": item.external_id, "aws:PrincipalOrgID": item.org_id}
        conditions = [Condition("StringEquals", key, (value,)) for key, value in wanted.items() if value is not None]
        return Statement("", (policy.account_or(item.principal),), _PLAIN, tuple(sorted(conditions)))
    exact = [subject for subject in item.subject if not set(subject) & set("*?")]
    operator = "StringEquals" if len(exact) == len(item.subject) else "StringLike"
    conditions = [
        Condition("StringEquals", f"{item.oidc}:aud", (item.audience,)),
        Condition(operator, f"{item.oidc}:sub", tuple(sorted(item.subject))),
    ]
    provider = f"arn:{names.partition(registry.region)}:iam::{registry.account_id}:oidc-provider/{item.oidc}"
    return Statement("", (f"federated:{provider}",), _FEDERATED, tuple(sorted(conditions)))


def trust_policy(registry: AwsRegistry, wanted: RoleSettings) -> Document:
    """The trust policy as AWS wants it."""
    return _trust_policy(names.partition(registry.region), wanted)


def _trust_policy(partition: str, wanted: RoleSettings) -> Document:
    statements: list[Document] = []
    if wanted.trusted:
        principals = [policy.whole(item, partition) for item in wanted.trusted]
        statements.append({"Effect": "Allow", "Principal": {"AWS": principals}, "Action": _PLAIN[0]})
    statements += (policy.document_of(item, partition) for item in wanted.trusted_if)
    return {"Version": "2012-10-17", "Statement": statements or [NOBODY]}


def trust_of(document: Document) -> tuple[tuple[str, ...], tuple[Statement, ...], str]:
    """Who is trusted without a condition, who with one, and what else the trust policy holds."""
    trusted: set[str] = set()
    narrowed: set[Statement] = set()
    other: list[Document] = []
    for item in policy.statements_of(document):
        statement = policy.normal(item)
        known = statement.effect == "Allow" and statement.actions in (_PLAIN, _FEDERATED) and not statement.other
        if known and statement.actions == _PLAIN and not statement.conditions:
            trusted.update(statement.principals)
        elif known and statement.conditions and not statement.sid:
            narrowed.add(statement)
        else:
            other.append(item)
    if not trusted and not narrowed and [policy.normal(item) for item in other] == [policy.normal(NOBODY)]:
        other = []
    return tuple(sorted(trusted)), tuple(sorted(narrowed)), _kept(other)


def _kept(statements: Iterable[Document]) -> str:
    """Statements as text, in whatever order they were answered."""
    found = sorted((policy.in_order(item) for item in statements), key=text)
    return text(found) if found else ""


def permissions(wanted: RoleSettings) -> Document:
    """The inline policy as AWS wants it."""
    images: Document = {
        "Sid": "Images",
        "Effect": "Allow",
        "Action": list(wanted.actions),
        "Resource": list(wanted.repositories),
    }
    if wanted.tags:
        images["Condition"] = {"StringEquals": {f"{TAG}{key}": value for key, value in wanted.tags}}
    login = {"Sid": "Login", "Effect": "Allow", "Action": policy.LOGIN, "Resource": "*"}
    return {"Version": "2012-10-17", "Statement": [login, images]}


def permissions_of(document: Document | None) -> dict[str, Any]:
    """The settings that the inline policy stands for: actions, repositories, their tags, and what it holds beyond those and the
    login."""
    login = False
    found: dict[str, Any] = {"actions": (), "repositories": (), "tags": ()}
    other: list[Document] = []
    for item in policy.statements_of(document or {}):
        resources = tuple(sorted(str(arn) for arn in policy.listed(item.get("Resource"))))
        statement = policy.normal({key: value for key, value in item.items() if key != "Resource"})
        tags = _tags(statement)
        plain = statement.effect == "Allow" and tags is not None and not statement.other
        if plain and not tags and statement.actions == (policy.LOGIN,) and resources == ("*",):
            login = True
        elif plain and not found["actions"] and resources and policy.LOGIN not in statement.actions:
            found = {"actions": statement.actions, "repositories": resources, "tags": tags}
        else:
            other.append(item)
    if not login:
        other.append({"missing": policy.LOGIN})
    return {**found, "other_permissions": _kept(other)}


def altered(wanted: RoleSettings) -> str | None:
    """Which settings would be read back otherwise from the two documents that are made of them, or None."""
    trusted, narrowed, other = trust_of(_trust_policy("aws", wanted))
    there = replace(
        wanted, trusted=trusted, trusted_if=narrowed, other_trust=other, **permissions_of(permissions(wanted))
    )
    names = [item.name for item in fields(wanted) if getattr(there, item.name) != getattr(wanted, item.name)]
    return ", ".join([name for name in names if getattr(wanted, name)] or names) or None


def usual_permissions(settings: RoleSettings, registry: AwsRegistry, role: str, owner: str) -> bool:
    """Whether the role can do just what that role of the registry is for."""
    of_trust = {name: getattr(settings, name) for name in _OF_TRUST}
    return any(
        replace(settings_of(registry, role, owner, anywhere=anywhere), **of_trust) == settings
        for anywhere in (False, True)
    )


def _tags(statement: Statement) -> tuple[tuple[str, str], ...] | None:
    """The tags that a statement's conditions ask for; None if they ask for anything else."""
    asked = [
        (item.key[len(TAG) :], item.values[0])
        for item in statement.conditions
        if item.operator == "StringEquals" and item.key.startswith(TAG) and len(item.values) == 1
    ]
    return tuple(sorted(asked)) if len(asked) == len(statement.conditions) else None


def tag_conditions(settings: Any) -> tuple[Condition, ...]:
    """What a repository must be tagged with, as conditions of the statement on images."""
    return tuple(sorted(Condition("StringEquals", f"{TAG}{key}", (value,)) for key, value in settings.tags))
