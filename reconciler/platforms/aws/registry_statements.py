"""Statements of a registry policy: who can copy images into an account, or have them cached there. Pure.

https://docs.aws.amazon.com/AmazonECR/latest/userguide/registry-permissions-examples.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from reconciler.model.access import Access
from reconciler.model.address import Address
from reconciler.model.canonical import text
from reconciler.spec.registry import RegistryBase
from reconciler.words import all_of

from . import effective, inclusion, names, policy, sources
from .policy import Document, Statement
from .replication_spec import ALL
from .spec import AwsRegistry

#: https://docs.aws.amazon.com/AmazonECR/latest/userguide/registry-permissions-create-replication.html
REPLICATION = ("ecr:CreateRepository", "ecr:ReplicateImage")
#: https://docs.aws.amazon.com/AmazonECR/latest/userguide/pull-through-cache-iam.html
PULL_THROUGH = ("ecr:BatchImportUpstreamImage", "ecr:CreateRepository")
ACTIONS = {"replication": REPLICATION, "pull-through": PULL_THROUGH}
_PARTS = {"replication": "Replication", "pull-through": "PullThrough"}
_WORDS = {"ecr:ReplicateImage": "replicate images into", "ecr:BatchImportUpstreamImage": "cache upstream images in"}
#: the end of the id of an organization's statement
ORGANIZATION = "Organization"
#: what stands in an id for what only names and prefixes may hold
_LETTERS = str.maketrans({"-": "X", "/": "Y", ".": "Z", "_": "W"})
_OURS = re.compile(r"Reconciler((?:X[a-z0-9]+)+)(Replication|PullThrough)(Organization)?(X[a-zX-Z0-9W]+)?")
#: the type, the prefix, and whether it is for organizations: of each there is one statement
_Key = tuple[str, str, bool]


def sid(registry: str, kind: str, prefix: str, *, organization: bool = False) -> str:
    """The id of a registry's statement: of `images` for replication to `images-*`, `ReconcilerXimagesReplicationXimagesX`."""
    words = "".join(f"X{word}" for word in registry.split("-"))
    end = "" if prefix == ALL else "X" + prefix.translate(_LETTERS)
    return f"Reconciler{words}{_PARTS[kind]}{ORGANIZATION if organization else ''}{end}"


def registry_of(statement_id: str) -> str | None:
    """The registry whose statement it is, by its id; None if it is none of ours."""
    match = _OURS.fullmatch(statement_id)
    return match.group(1)[1:].replace("X", "-") if match else None


def resource(region: str, account: str, kind: str, prefix: str) -> str:
    """The ARN of an account's repositories whose names begin with a prefix, `*` for all."""
    if prefix == ALL:
        return names.repository_arn(account, region, ALL)
    end = "/*" if kind == "pull-through" and not prefix.endswith("/") else "*"
    return names.repository_arn(account, region, f"{prefix}{end}")


def mirror_of(registries: Iterable[RegistryBase], region: str, account: str) -> AwsRegistry | None:
    """The registry of the spec that lets images into an account's region: the first that is there; None if none is."""
    found = (item for item in sorted(registries, key=lambda item: item.name) if isinstance(item, AwsRegistry))
    return next(
        (item for item in found if item.account_id == account and region in item.regions and not item.retired), None
    )


def wanted_by(registries: Iterable[RegistryBase], here: AwsRegistry, region: str) -> tuple[Statement, ...]:
    """The statements that the spec asks for in a region of a registry, in their one form, sorted: its own grants, and what other
    registries that are copied there need."""
    registries = tuple(registries)
    groups: dict[_Key, set[str]] = {}
    for grant in here.registry_policy:
        prefix = grant.prefix or here.name_prefix
        found = {*grant.to.account_ids, *grant.to.principal_arns}
        if found:
            groups.setdefault((grant.type, prefix, False), set()).update(found)
        if grant.to.organization_ids:
            groups.setdefault((grant.type, prefix, True), set()).update(grant.to.organization_ids)
    if mirror_of(registries, region, here.account_id) is here:
        for item in registries:
            copied = isinstance(item, AwsRegistry) and not item.retired and item.copied_to_accounts
            if isinstance(item, AwsRegistry) and copied and (region, here.account_id) in copied:
                groups.setdefault(("replication", item.copied_prefix, False), set()).add(item.account_id)
    return tuple(sorted(policy.normal(_statement(here, region, *key, whom)) for key, whom in groups.items()))


def _statement(
    here: AwsRegistry, region: str, kind: str, prefix: str, organization: bool, whom: Iterable[str], account: str = ""
) -> Document:
    partition = names.partition(region)
    found: Document = {
        "Sid": sid(here.name, kind, prefix, organization=organization),
        "Effect": "Allow",
        "Principal": "*" if organization else {"AWS": sorted(policy.whole(item, partition) for item in whom)},
        "Action": list(ACTIONS[kind]),
        "Resource": [resource(region, account or here.account_id, kind, prefix)],
    }
    if organization:
        found["Condition"] = {"StringEquals": {sources.ORGANIZATION: sorted(whom)}}
    return found


def needed_for(registry: AwsRegistry, region: str, account: str) -> Document:
    """The registry policy that another account needs in a region, so that the registry's images can be copied there."""
    prefix, whom = registry.copied_prefix, [registry.account_id]
    statement = _statement(registry, region, "replication", prefix, False, whom, account)
    return {"Version": "2012-10-17", "Statement": [statement]}


def ours(document: Document, registry: str) -> tuple[Statement, ...]:
    """A registry's statements, in their one form, sorted."""
    return tuple(sorted(policy.normal(item) for item in policy.statements_of(document) if is_of(item, registry)))


def is_of(statement: Document, registry: str) -> bool:
    """Whether a statement is a registry's."""
    return registry_of(str(statement.get("Sid", ""))) == registry


def merged(document: Document, registry: str, wanted: Iterable[Statement], partition: str) -> Document:
    """The document with a registry's statements replaced; all else stays as it is."""
    kept = [item for item in policy.statements_of(document) if not is_of(item, registry)]
    added = [policy.document_of(item, partition) for item in wanted]
    return {"Version": "2012-10-17", **document, "Statement": [*kept, *added]}


def altered(statements: tuple[Statement, ...]) -> str | None:
    """Which part of a registry's statements no spec could ask for, in words; or None."""
    if list(statements) != sorted(set(statements)):
        return "the order of the statements"
    for item in statements:
        usual = item.effect == "Allow" and item.actions in ACTIONS.values() and bool(item.principals)
        arns = resources_of(item)
        whole = len(arns) == 1 and item.other == text({"Resource": arns[0]})
        if not (usual and whole and registry_of(item.sid)) or policy.normal(policy.document_of(item, "aws")) != item:
            return f"the {policy.named(item.sid)}"
    return None


def resources_of(statement: Statement) -> list[str]:
    """The ARNs that a statement is about."""
    other = json.loads(statement.other) if statement.other else {}
    return [str(arn) for arn in policy.listed(other.get("Resource"))]


def reaching(statement: Statement, here: AwsRegistry, region: str) -> bool:
    """Whether a statement may be about repositories whose names begin with the registry's prefix."""
    sample = names.repository_arn(here.account_id, region, f"{here.name_prefix}*")
    arns = resources_of(statement) or [ALL]
    pairs = [(inclusion.pattern_covers(arn, sample), inclusion.pattern_covers(sample, arn)) for arn in arns]
    return any(pair != (False, False) for pair in pairs)


def beyond(at: Address, these: Iterable[Statement], those: Sequence[Statement], own: str) -> Iterator[Access]:
    """What these statements give and those are not proved to give already, by inclusion of principals, actions and resources.
    `own`: the registry's account."""
    for item in these:
        left = [who for who in item.principals if not any(_covers(other, item, who, own) for other in those)]
        if item.effect == "Allow" and left:
            yield from accesses(at, replace(item, principals=tuple(left)))


def _covers(wide: Statement, narrow: Statement, principal: str, own: str) -> bool:
    """Whether a statement surely lets a principal do all that another one does."""
    return (
        wide.effect == "Allow"
        and wide.conditions in ((), narrow.conditions)
        and any(inclusion.principal_covers(who, principal, own) for who in wide.principals)
        and all(inclusion.action_covered(wide.actions, action) for action in narrow.actions)
        and all(
            any(inclusion.pattern_covers(one, arn) for one in resources_of(wide))
            for arn in resources_of(narrow) or [ALL]
        )
    )


def accesses(at: Address, statement: Statement) -> Iterator[Access]:
    """Who can do what because of a statement that allows it."""
    left = {key: value for key, value in (json.loads(statement.other or "{}")).items() if key != "Resource"}
    about = replace(statement, other=text(left) if left else "")
    actions = effective.actions_of(about)
    verbs = [word for action, word in _WORDS.items() if any(inclusion.action_covered({one}, action) for one in actions)]
    what = verbs or [f"perform {all_of(sorted(actions)) or 'nothing'} on"]
    into = all_of([_into(arn) for arn in resources_of(statement)]) or "every repository"
    for who in effective.whos_of(about):
        for principal in effective.principals_of(who):
            yield from (Access(principal, f"{verb} {into}", at.registry, "") for verb in what)


def _into(arn: str) -> str:
    region, name = names.arn_part(arn, 3), names.arn_part(arn, 5).partition("/")[2]
    where = f" of {region}" if region not in ("", "*") else ""
    return f"{'every repository' if name in ('', ALL) else name}{where}"
