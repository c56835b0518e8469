"""Who can copy images into a registry's account, or have them cached there, in the spec."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from reconciler.spec.fields import Fault, Model, Text, each, repeated

from . import names
from .replication_spec import ALL
from .target import AccountId, GranteeArn, OrganizationId

Names = Annotated[
    str,
    Text(
        r"\*|[a-z0-9]+([._/-][a-z0-9]+)*[._/-]?",
        "what names of ECR repositories begin with, or '*' for all of the account",
        254,
    ),
]


class RegistryPolicyPrincipals(Model):
    """Who is let in by a registry policy."""

    account_ids: tuple[AccountId, ...] = Field((), description="AWS accounts.")
    principal_arns: tuple[GranteeArn, ...] = Field((), description="IAM roles and users; only for pull-through.")
    organization_ids: tuple[OrganizationId, ...] = Field((), description="AWS organizations, for all their accounts.")


class RegistryPolicyGrant(Model):
    """A rule that lets others copy images into the registry's account, or have upstream images cached there."""

    type: Literal["replication", "pull-through"] = Field(
        description="What they can do: replicate images into repositories, or import images from an upstream registry into the"
        " repositories of a cache; both create repositories that are not there."
    )
    to: RegistryPolicyPrincipals = Field(description="Who can.")
    prefix: Names | None = Field(
        None,
        description="What the names of these repositories begin with, '*' for all of the account; for pull-through, the prefix of the"
        " cache. Default: for replication, the registry's prefix.",
    )

    def faults(self, own_prefix: str, partition: str, own: str) -> Iterator[Fault]:
        """What is wrong beyond the fields' types. `own_prefix`, `own`: the registry's prefix and account."""
        yield from each(self._prefix_faults(own_prefix), self._target_faults(partition, own))

    def _prefix_faults(self, own_prefix: str) -> Iterator[Fault]:
        if self.prefix is None and self.type == "pull-through":
            yield Fault(("prefix",), "pull-through needs the prefix of the cache, such as docker-hub, or '*' for all")
        elif self.prefix is None and not own_prefix:
            yield Fault(
                ("prefix",), f"the registry's prefix is empty: say which repositories, '{ALL}' for all of the account"
            )

    def _target_faults(self, partition: str, own: str) -> Iterator[Fault]:
        target = self.to
        for name in type(target).model_fields:
            for fault in repeated(target, name):
                yield Fault(("to", *fault.loc), fault.message)
        if not (target.account_ids or target.principal_arns or target.organization_ids):
            yield Fault(("to",), "names nobody: give account_ids, principal_arns or organization_ids")
        if self.type == "replication" and target.principal_arns:
            yield Fault(
                ("to", "principal_arns"), "images are replicated by an account, not by a role or user: give account_ids"
            )
        for index, account in enumerate(target.account_ids):
            if self.type == "replication" and account == own:
                yield Fault(
                    ("to", "account_ids", index), f"{account} is the registry's own account, which needs no permission"
                )
        for index, arn in enumerate(target.principal_arns):
            if names.arn_part(arn, 1) != partition:
                yield Fault(("to", "principal_arns", index), f"'{arn}' is not in the partition {partition}")
            elif names.arn_part(arn, 5).partition("/")[0] not in ("role", "user"):
                yield Fault(("to", "principal_arns", index), f"'{arn}' is no role or user")
