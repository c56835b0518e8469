"""Grants as statements of an ECR repository policy, and statement ids that name their grant. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from reconciler.spec.models import Grant

from . import names, policy
from .policy import Document, Statement
from .spec import AwsRegistry, AwsTarget

#: https://docs.aws.amazon.com/AmazonECR/latest/userguide/service-quotas.html (10,240 characters)
MAX_POLICY = 10_240
_OURS = re.compile(r"Reconciler((?:X[a-z0-9]+)+)(Worker)?")


def sid(grant: str, worker: bool = False) -> str:
    """The statement id of a grant: `prod-lambdas` is `ReconcilerXprodXlambdas`. Letters and digits, as IAM wants them."""
    words = "".join(f"X{word}" for word in grant.split("-"))
    return f"Reconciler{words}{'Worker' if worker else ''}"


def grant_of(statement_id: str) -> str | None:
    """The grant that a statement id names, or None if the statement is not ours."""
    match = _OURS.fullmatch(statement_id)
    return match.group(1)[1:].replace("X", "-") if match else None


def title(statement_id: str) -> str:
    """The statement for people: its grant, and whether it is the one for the service."""
    return f"{grant_of(statement_id)}{' (worker)' if statement_id.endswith('Worker') else ''}"


def of_grants(grants: Iterable[Grant], registry: AwsRegistry) -> tuple[Statement, ...]:
    """The statements of the grants, in their one form, sorted."""
    return tuple(sorted(policy.normal(item) for grant in grants for item in _documents(grant, registry)))


def _documents(grant: Grant, registry: AwsRegistry) -> Iterator[Document]:
    target = grant.to
    if not isinstance(target, AwsTarget):
        return
    partition = names.partition(registry.region)
    principals = sorted({*(policy.whole(item, partition) for item in target.account_ids), *target.role_arns})
    actions = [*policy.PULL, *policy.PUSH] if grant.permission == "push-pull" else [*policy.PULL]
    if principals:
        yield {"Sid": sid(grant.name), "Effect": "Allow", "Principal": {"AWS": principals}, "Action": sorted(actions)}
    if target.allowed_service_types or target.function_arns:
        yield {
            "Sid": sid(grant.name, worker=True),
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
            "Action": list(policy.WORKER_PULL),
            "Condition": {"StringLike": {"aws:SourceArn": _sources(target, partition)}},
        }


def _sources(target: AwsTarget, partition: str) -> list[str]:
    if target.function_arns:
        return sorted(target.function_arns)
    regions = sorted(target.regions) or ["*"]
    return sorted(
        f"arn:{partition}:lambda:{region}:{account}:function:*" for account in target.account_ids for region in regions
    )


def ours(document: Document) -> tuple[Statement, ...]:
    """The statements that are ours, in their one form, sorted."""
    found = (item for item in policy.statements_of(document) if grant_of(str(item.get("Sid", ""))) is not None)
    return tuple(sorted(map(policy.normal, found)))


def foreign(document: Document) -> list[Document]:
    """The statements that are not ours, as they are."""
    return [item for item in policy.statements_of(document) if grant_of(str(item.get("Sid", ""))) is None]


def merged(document: Document, ours: Iterable[Statement], partition: str) -> Document:
    """The document with our statements replaced by `ours`; foreign statements, version and id stay as they are."""
    kept = {key: value for key, value in document.items() if key != "Statement"}
    statements = [*foreign(document), *(policy.document_of(item, partition) for item in ours)]
    return {"Version": "2012-10-17", **kept, "Statement": statements}
