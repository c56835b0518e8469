"""What the statements of a repository policy give, one by one, and those of others in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING

from reconciler.model.access import Access, ForeignAccess
from reconciler.model.address import Address
from reconciler.words import all_of

from . import effective, inclusion, policy, statements
from .policy import Document, Statement
from .runtime_statements import is_runtime
from .verbs import ECR, principal_of, principals_of

if TYPE_CHECKING:
    from .session import AwsSession


def differing(at: Address, found: Iterable[effective.Difference]) -> Iterator[Access]:
    """Differences of policies, as access to what is at an address."""
    for item in found:
        for who in principals_of(item.who):
            yield Access(who, item.what, at.registry, at.name, at.where, item.may, item.note)


def accesses(at: Address, statement: Statement, denies: tuple[Statement, ...] = ()) -> Iterator[Access]:
    """Who can do what because of a statement on the policy at an address. `denies`: others that may forbid it."""
    return differing(at, effective.gains(denies, (*denies, statement)))


@lru_cache(maxsize=4096)
def of_others(rest: str) -> tuple[Statement, ...]:
    """The statements of others, of a policy without ours (`Live.rest`)."""
    return tuple(policy.normal(item) for item in policy.statements_of(policy.parsed(rest)))


def foreign(at: Address, document: Document) -> Iterator[ForeignAccess]:
    """What the statements of a policy that are not ours give, and what they deny."""
    found = [policy.normal(item) for item in statements.foreign(document)]
    denies = tuple(item for item in found if item.effect != "Allow")
    for statement in found:
        name = effective.name_of(statement)
        if statement.effect != "Allow":
            whom = " and ".join(principal_of(who).label for who in effective.whos_of(statement)) or "nobody"
            name = f"{name} denies {_verbs_denied(statement)} to {whom}"
            yield ForeignAccess(at, name)
        else:
            given = tuple(sorted(accesses(at, statement, denies)))
            if runtime := is_runtime(statement.sid):
                name = f"given at run time, {name}"
            what = name if given else f"{name} names only principals that were deleted"
            yield ForeignAccess(at, what, given, at_runtime=runtime)


def removable(session: AwsSession, at: Address, document: Document) -> Iterator[ForeignAccess]:
    """What others put into a policy, each with the commands that remove it.

    https://docs.aws.amazon.com/AmazonECR/latest/userguide/set-repository-policy.html
    """
    there = f"--region {session.region_of(at)} --repository-name {session.native_of(at)}"
    alone = len(policy.listed(document.get("Statement"))) == 1
    for item in foreign(at, document):
        removal = (
            f"run `aws ecr delete-repository-policy {there}`"
            if alone
            else f"run `aws ecr get-repository-policy {there} --query policyText --output text > policy.json`, delete the"
            f" statement from policy.json, then run `aws ecr set-repository-policy {there} --policy-text file://policy.json`"
        )
        yield replace(item, removal=removal)


def dead_principals(document: Document) -> list[str]:
    """The deleted principals of foreign statements, in words: AWS refuses to write a policy that names one."""
    found = []
    for item in statements.foreign(document):
        dead = [principal for principal in policy.normal(item).principals if policy.is_deleted(principal)]
        if dead:
            found.append(f"{', '.join(dead)} (deleted, in the foreign {policy.named(str(item.get('Sid', '')))})")
    return found


def _verbs_denied(statement: Statement) -> str:
    """What a statement denies, in words: `pull and push`, `ecr:DescribeImages`."""
    actions = effective.actions_of(statement)
    verbs = [verb for verb in ECR.verbs if verb.said_of(actions)]
    left = inclusion.unsaid(actions, {item for verb in verbs for item in verb.said_of(actions)})
    return all_of([*(verb.word for verb in verbs), *([inclusion.listed(left)] if left else [])])
