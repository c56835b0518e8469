"""How many images a lifecycle policy would remove: ECR's own preview, which removes none.

https://docs.aws.amazon.com/AmazonECR/latest/userguide/lpp_creation.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING

from reconciler.errors import PlatformError
from reconciler.model.address import Address

from .ledgers import NO_REPOSITORY

if TYPE_CHECKING:
    from .session import AwsSession

#: what the credentials need beside a plan's other rights
PERMISSIONS = ("ecr:StartLifecyclePolicyPreview", "ecr:GetLifecyclePolicyPreview")
#: somebody's preview of the repository is under way; there can be one at a time
_BUSY = "LifecyclePolicyPreviewInProgressException"
#: seconds that a preview may take: as long as boto3's own waiter lifecycle_policy_preview_complete, at a question in 5 seconds
PATIENCE, MOST_PAUSE = 100.0, 5.0


class _NotYet(Exception):
    """The preview is under way."""


def expiring(session: AwsSession, policies: Mapping[Address, str]) -> dict[Address, int]:
    """How many images a policy would remove from each repository now. One whose preview failed, or was ended by another one, is left
    out. Raises PlatformError."""
    counts = session.map(lambda at: _expiring(session, at, policies[at]), policies)
    return {at: count for at, count in zip(policies, counts, strict=True) if count is not None}


def _expiring(session: AwsSession, at: Address, policy: str) -> int | None:
    def start() -> object:
        return session.repository_call(
            "start_lifecycle_policy_preview", at, absent=NO_REPOSITORY, lifecyclePolicyText=policy
        )

    def busy(error: BaseException) -> bool:
        return isinstance(error, PlatformError) and error.code == _BUSY

    if session.patiently(start, busy, PATIENCE, most=MOST_PAUSE) is None:
        return None

    def look() -> int | None:
        # the count is of all images, whatever the size of the page that names them
        answer = session.repository_call("get_lifecycle_policy_preview", at, absent=NO_REPOSITORY, maxResults=1)
        if answer is None or json.loads(answer.get("lifecyclePolicyText") or "{}") != json.loads(policy):
            return None
        if answer.get("status") == "IN_PROGRESS":
            raise _NotYet
        count: int | None = answer.get("summary", {}).get("expiringImageTotalCount")
        return count if answer.get("status") == "COMPLETE" else None

    try:
        return session.patiently(look, lambda error: isinstance(error, _NotYet), PATIENCE, most=MOST_PAUSE)
    except _NotYet:
        return None
