"""Grants as statements of an ECR repository policy. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from reconciler.spec.models import Grant

from . import names, own_ids, policy, shared_ids, sources
from .own_ids import ORGANIZATION, ORGANIZATION_PATHS, WORKER, grant_of, of_service, sid
from .policy import Document, Statement
from .spec import AwsRegistry
from .target import LAMBDA, AwsTarget

_ACTIONS = {"pull": policy.PULL, "push-pull": (*policy.PULL, *policy.PUSH), "admin": policy.EVERYTHING}


def is_ours(statement_id: str) -> bool:
    """Whether a statement is made from grants."""
    return grant_of(statement_id) is not None or shared_ids.is_shared(statement_id)


def title(statement: Statement) -> str:
    """The statement for people: its grant, and which of the grant's it is, if there are several; of one that grants share, that it
    gives what none of them does."""
    if shared_ids.is_shared(statement.sid):
        return shared_ids.title(statement.actions)
    return own_ids.title(statement.sid)


def of_grants(grants: Iterable[Grant], registry: AwsRegistry) -> tuple[Statement, ...]:
    """The statements of the grants, in their one form, sorted."""
    return tuple(sorted(policy.normal(item) for grant in grants for item in _documents(grant, registry)))


def _documents(grant: Grant, registry: AwsRegistry) -> Iterator[Document]:
    target = grant.to
    if not isinstance(target, AwsTarget):
        return
    partition = names.partition(registry.region)
    principals = sorted({*(policy.whole(item, partition) for item in target.account_ids), *target.arns})
    actions = list(_ACTIONS[grant.permission])
    beside = policy.READ if "read" in grant.also else ()
    if grant.permission != "admin":  # which is everything already
        actions += beside
    if principals:
        yield {"Sid": sid(grant.name), "Effect": "Allow", "Principal": {"AWS": principals}, "Action": sorted(actions)}
    organizations: dict[str, tuple[Iterable[str], Document]] = {
        ORGANIZATION: (target.organization_ids, {"StringEquals": (sources.ORGANIZATION, target.organization_ids)}),
        ORGANIZATION_PATHS: (
            target.organization_paths,
            {f"{sources.ANY_VALUE}StringLike": (sources.ORGANIZATION_PATHS, target.organization_paths)},
        ),
    }
    for part, (values, conditions) in organizations.items():
        if values:
            statement = {"Sid": sid(grant.name, part), "Effect": "Allow", "Principal": "*", "Action": sorted(actions)}
            yield statement | _narrowed(conditions)
    for service in target.service_principals:
        yield {
            "Sid": sid(grant.name, WORKER if service == LAMBDA else of_service(service)),
            "Effect": "Allow",
            "Principal": {"Service": service},
            "Action": sorted((*policy.WORKER_PULL, *beside) if service == LAMBDA else actions),
            **_narrowed(_of_lambda(target, partition) if service == LAMBDA else _of_others(target)),
        }


def _narrowed(conditions: Document) -> Document:
    found = {operator: {key: sorted(values)} for operator, (key, values) in conditions.items() if values}
    return {"Condition": found} if found else {}


def _of_others(target: AwsTarget) -> Document:
    """As AWS recommends for services, and documents for CodeBuild:
    https://docs.aws.amazon.com/AmazonECR/latest/userguide/repository-policy-examples.html (Allow an AWS service)
    """
    return {
        "ArnLike": (sources.SOURCE_ARN, target.source_arns),
        "StringEquals": (sources.SOURCE_ACCOUNT, target.source_accounts),
    }


def _of_lambda(target: AwsTarget, partition: str) -> Document:
    """As AWS documents it for Lambda: https://docs.aws.amazon.com/lambda/latest/dg/images-permissions.html"""
    if arns := {*target.function_arns, *target.source_arns}:
        return {
            "StringLike": (sources.SOURCE_ARN, arns),
            "StringEquals": (sources.SOURCE_ACCOUNT, target.source_accounts),
        }
    regions = target.regions or ("*",)
    accounts = target.source_accounts or target.account_ids or (("*",) if target.regions else ())
    found = {f"arn:{partition}:lambda:{region}:{account}:function:*" for account in accounts for region in regions}
    return {"StringLike": (sources.SOURCE_ARN, found)}


def ours(document: Document) -> tuple[Statement, ...]:
    """The statements that are ours, in their one form, sorted."""
    found = (item for item in policy.statements_of(document) if is_ours(str(item.get("Sid", ""))))
    return tuple(sorted(map(policy.normal, found)))


def foreign(document: Document) -> list[Document]:
    """The statements that are not ours, as they are."""
    return [item for item in policy.statements_of(document) if not is_ours(str(item.get("Sid", "")))]


def merged(document: Document, ours: Iterable[Statement], partition: str) -> Document:
    """The document with our statements replaced by `ours`; foreign statements, version and id stay as they are."""
    kept = {key: value for key, value in document.items() if key != "Statement"}
    statements = [*foreign(document), *(policy.document_of(item, partition) for item in ours)]
    return {"Version": "2012-10-17", **kept, "Statement": statements}
