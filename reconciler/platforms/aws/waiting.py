"""What others put on an ECR repository, and what of it waits in a rescue file since a replacement was cut off."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from reconciler.model.access import ForeignAccess
from reconciler.model.address import Address
from reconciler.spec.messages import first_sentence

from . import policy
from .ledgers import lasting_arn
from .policy import Document
from .tags import Tags, is_ours

if TYPE_CHECKING:
    from .session import AwsSession


@dataclass(frozen=True)
class Others:
    """`policy`: the policy without our statements; empty if nothing is left. `lifecycle`: the text as it is; "" if it is ours."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    tags: Tags = field(default_factory=dict)
    policy: Document = field(default_factory=dict)
    lifecycle: str = ""

    def __bool__(self) -> bool:
        return bool(self.tags or self.policy or self.lifecycle)

    def over(self, before: Others) -> Others:
        """These, and what only `before` has."""
        present = policy.statements_of(self.policy)
        gone = policy.missing(policy.statements_of(before.policy), present)
        document = {**before.policy, **self.policy, "Statement": [*present, *gone]}
        return Others(
            {**before.tags, **self.tags},
            document if document["Statement"] else {},
            self.lifecycle or before.lifecycle,
        )


@cache
def _adapter() -> TypeAdapter[Others]:
    return TypeAdapter(Others)


def waiting(session: AwsSession, at: Address) -> Others | None:
    """What waits to be put back on a repository; None if nothing does.

    Raises PlatformError if its file can't be read, or is none that this tool has written.
    """
    found = session.rescue.kept(at, lasting_arn(session, at))
    if found is None:
        return None
    try:
        others = _adapter().validate_python(found)
        statements = policy.statements_of(others.policy)
        if others.policy and len(statements) != len(policy.listed(others.policy.get("Statement"))):
            raise ValueError("its policy is not valid")
        if ours := sorted(key for key in others.tags if is_ours(key) or key.startswith("aws:")):
            raise ValueError(f"it holds reserved tags: {', '.join(ours)}")
    except ValidationError as error:
        raise session.rescue.unfit(at, lasting_arn(session, at), first_sentence(error)) from None
    except ValueError as error:
        raise session.rescue.unfit(at, lasting_arn(session, at), str(error)) from None
    return others


def note(session: AwsSession, at: Address, others: Others) -> str:
    """What else to know about it."""
    parts = (("tags", others.tags), ("policy", others.policy), ("lifecycle policy", others.lifecycle))
    names = ", ".join(name for name, there in parts if there) or "nothing"
    return session.rescue.note(at, lasting_arn(session, at), names, plain_of(others))


def plain_of(others: Others) -> dict[str, Any]:
    """The parts as JSON values."""
    return {"tags": others.tags, "policy": others.policy, "lifecycle": others.lifecycle}


def access_of(at: Address, foreign: Iterator[ForeignAccess]) -> tuple[ForeignAccess, ...]:
    """What a policy that waits will give, as access at the repository itself."""
    return tuple(ForeignAccess(at, f"{item.what}, which is yet to be restored", item.access) for item in foreign)
