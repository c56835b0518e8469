"""What programs give in a repository policy: statements of their own, one for each permission and one for functions. Pure.

Whatever is given with the same actions stands in one statement, so that giving is a union and taking back a difference, and many
principals fit into a policy.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from reconciler.spec.models import Grant
from reconciler.spec.registry import Permission

from . import names, policy, sources, statements
from .condition import Condition
from .policy import LAMBDA, Document, Statement
from .spec import AwsRegistry
from .target import AwsTarget

#: the ids of the statements, by what they give
_IDS: dict[Permission, str] = {"pull": "ReconcilerRuntimePull", "push-pull": "ReconcilerRuntimePushPull"}
_WORKER = "ReconcilerRuntimeWorker"
#: the fields of a grant that can be given so; what else there is can't be told apart again in one statement
_FIELDS = frozenset({"type", "account_ids", "regions", "role_arns", "principal_arns", "allowed_service_types"})
_FUNCTIONS = re.compile(r"arn:[a-z-]+:lambda:([a-z0-9-]+|\*):([0-9]{12}):function:\*")


@dataclass(frozen=True, slots=True)
class Given:
    """Who was given what: by permission, accounts and ARNs; and the functions that can pull, by region (`*`: any) and account."""

    principals: frozenset[tuple[str, str]] = frozenset()
    functions: frozenset[tuple[str, str]] = frozenset()

    def with_(self, other: Given) -> Given:
        """Both."""
        return Given(self.principals | other.principals, self.functions | other.functions)

    def without(self, other: Given) -> Given:
        """What is left. With an account go its functions, which pull for it, unless it can pull otherwise."""
        principals = self.principals - other.principals
        left = {who for _, who in principals}
        taken = {who for _, who in other.principals}
        functions = (item for item in self.functions - other.functions if item[1] in left or item[1] not in taken)
        return Given(principals, frozenset(functions))


def is_runtime(statement_id: str) -> bool:
    """Whether a statement was made at run time, by its id."""
    return statement_id in (*_IDS.values(), _WORKER)


def unfit(target: AwsTarget) -> list[str]:
    """The fields of a grant's target that can't be given at run time."""
    return sorted(target.model_fields_set - _FIELDS)


def of_grant(grant: Grant, registry: AwsRegistry) -> Given:
    """What a grant gives."""
    principals: set[tuple[str, str]] = set()
    functions: set[tuple[str, str]] = set()
    for item in statements.of_grants([grant], registry):
        if item.principals == (LAMBDA,):
            functions |= set(_functions(item))
        else:
            principals |= {(grant.permission, who) for who in item.principals}
    return Given(frozenset(principals), frozenset(functions))


def of_document(document: Document) -> Given:
    """What the statements of a policy say that was given."""
    principals: set[tuple[str, str]] = set()
    functions: set[tuple[str, str]] = set()
    for item in map(policy.normal, _ours(document)):
        if item.sid == _WORKER:
            functions |= set(_functions(item))
        permission = next((name for name, sid in _IDS.items() if sid == item.sid), "")
        principals |= {(permission, who) for who in item.principals if permission and not policy.is_deleted(who)}
    return Given(frozenset(principals), frozenset(functions))


def merged(document: Document, given: Given, partition: str) -> Document:
    """The document with what was given at run time, and everything else in it as it is."""
    kept = {key: value for key, value in document.items() if key != "Statement"}
    others = [item for item in policy.statements_of(document) if not is_runtime(str(item.get("Sid", "")))]
    own = [policy.document_of(item, partition) for item in _statements(given, partition)]
    return {"Version": "2012-10-17", **kept, "Statement": [*others, *own]}


def grants_of(given: Given, registry: str, repository: str) -> Iterator[Grant]:
    """As few grants as say it. What the functions of an account can do is said with the account."""
    for permission in _IDS:
        who = {name for one, name in given.principals if one == permission}
        accounts = {name for name in who if names.account_of(name) == name}
        arns = sorted(who - accounts)
        by_regions: dict[tuple[str, ...], list[str]] = {}
        for account in sorted(accounts):
            where = {region for region, of in given.functions if of == account}
            by_regions.setdefault(tuple(sorted(where)), []).append(account)
        alone = by_regions.pop((), [])
        if alone or arns:
            yield _grant(registry, repository, permission, account_ids=tuple(alone), principal_arns=tuple(arns))
        for regions, group in sorted(by_regions.items()):
            narrowed = {} if "*" in regions else {"regions": regions}
            yield _grant(
                registry,
                repository,
                permission,
                account_ids=tuple(group),
                allowed_service_types=("worker",),
                **narrowed,
            )


def _grant(registry: str, repository: str, permission: Permission, **fields: tuple[str, ...]) -> Grant:
    arns = fields.pop("principal_arns", ())
    roles = tuple(item for item in arns if ":role/" in item)
    users = tuple(item for item in arns if item not in roles)
    given = {**fields, "role_arns": roles, "principal_arns": users}
    target = AwsTarget(type="aws", **{key: value for key, value in given.items() if value})
    return Grant(name="runtime", registry=registry, repositories=(repository,), permission=permission, to=target)


def _ours(document: Document) -> Iterable[Document]:
    return (item for item in policy.statements_of(document) if is_runtime(str(item.get("Sid", ""))))


def _functions(statement: Statement) -> Iterator[tuple[str, str]]:
    for condition in statement.conditions:
        for value in condition.values if condition.key == sources.SOURCE_ARN else ():
            if match := _FUNCTIONS.fullmatch(value):
                yield match[1], match[2]


def _statements(given: Given, partition: str) -> Iterator[Statement]:
    for permission, sid in _IDS.items():
        who = tuple(sorted(name for one, name in given.principals if one == permission))
        if who:
            actions = policy.of_role("pull" if permission == "pull" else "push")
            yield Statement(sid, who, actions)
    if given.functions:
        arns = tuple(
            sorted(f"arn:{partition}:lambda:{region}:{account}:function:*" for region, account in given.functions)
        )
        condition = Condition("StringLike", sources.SOURCE_ARN, arns)
        yield Statement(_WORKER, (LAMBDA,), tuple(sorted(policy.WORKER_PULL)), (condition,))
