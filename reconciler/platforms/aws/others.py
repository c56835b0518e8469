"""What others put on an ECR repository: tags, statements of its policy, a lifecycle policy. It outlives a replacement."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from reconciler.errors import PlatformError
from reconciler.model.address import Address

from . import access, lifecycle, policy, policy_access, statements
from .ledgers import RepositoryLedger
from .tags import foreign
from .waiting import Others

if TYPE_CHECKING:
    from .session import AwsSession


def others_of(session: AwsSession, at: Address) -> Others:
    """What others have on a repository, read now. Raises PlatformError if AWS would not take it back."""
    ledger = session.ledger(RepositoryLedger)
    (tags,) = ledger.read([at])
    document = access.read(session, at.sibling(access.AccessKind.name)) or {}
    dead = policy_access.dead_principals(document)
    if dead:
        raise PlatformError(
            f"it can't be replaced without losing a statement that somebody else made, since AWS would refuse to"
            f" restore {'; '.join(dead)}",
            address=at,
            operation="ecr:SetRepositoryPolicy",
            hint="remove the deleted principal from that statement, then run again",
        )
    ours = ledger.marks(at.sibling(lifecycle.LifecycleKind.name), tags).applied is not None
    left = statements.merged(document, (), "")
    return Others(
        # AWS sets tags of its own (aws:cloudformation:...), and nobody else may
        {key: value for key, value in foreign(tags).items() if not key.startswith("aws:")},
        left if policy.statements_of(left) else {},
        "" if ours else lifecycle.read(session, at) or "",
    )


def put_on_new(session: AwsSession, at: Address, others: Others) -> None:
    """Puts all but the tags, with which the repository is made, on the new repository. Raises PlatformError."""
    if others.policy:
        session.repository_call("set_repository_policy", at, policyText=json.dumps(others.policy))
    if others.lifecycle:
        session.repository_call("put_lifecycle_policy", at, lifecyclePolicyText=others.lifecycle)


def put_back(session: AwsSession, at: Address, others: Others) -> None:
    """Puts on a repository that is there what is missing of it, beside whatever is there by now. Raises PlatformError."""
    ledger = session.ledger(RepositoryLedger)
    (tags,) = ledger.read([at])
    if missing := {key: value for key, value in others.tags.items() if key not in tags}:
        ledger.change(at, missing)
    there = access.read(session, at) or {}
    present = policy.statements_of(there)
    if gone := policy.missing(policy.statements_of(others.policy), present):
        document = {**others.policy, **there, "Statement": [*present, *gone]}
        session.repository_call("set_repository_policy", at, policyText=json.dumps(document))
    if others.lifecycle and lifecycle.read(session, at) is None:
        session.repository_call("put_lifecycle_policy", at, lifecyclePolicyText=others.lifecycle)
