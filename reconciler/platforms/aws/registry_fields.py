"""An ECR registry in the spec: its fields, and what follows from them alone."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Literal

from pydantic import Field

from reconciler.spec.fields import Flag, Model, Text
from reconciler.spec.registry import RegistryBase

from . import names
from .cache_spec import PullThroughCache
from .registry_policy_spec import RegistryPolicyGrant
from .replication_spec import ALL, Replication
from .scanning_spec import Scanning
from .tags import MAX_TAGS
from .target import AccountId, Region, RoleArn
from .template_spec import CreationTemplate
from .trusted import FederatedPrincipal, NarrowedPrincipal, TrustedPrincipal

#: what a name can begin with
Prefix = Annotated[
    str,
    Text(
        r"([a-z0-9]+([._/-][a-z0-9]+)*[._/-]?)?",
        "empty, or words of lower-case letters and digits, joined by '.', '_', '-' or '/'; one of these may stand at its end",
        254,
    ),
]
Duration = Annotated[str, Text(r"[0-9]{1,3}m|[0-9]{1,2}h", "a time such as 1h or 90m")]

#: https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CreateRepository.html (repositoryName)
_ECR_NAME = re.compile(r"(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*[a-z0-9]+(?:[._-][a-z0-9]+)*")
#: regions that a registry with scanning can be in: two of the pull role's tags are for each
MOST_SCANNED = 20
#: tags for the regions and for what is noted by prefix; ten are for the marks of the role itself and of the replication rule
MOST_NOTED = MAX_TAGS - 10


class AssumeRole(Model):
    """The role that every call of this registry is made as."""

    role_arn: RoleArn = Field(description="The role to assume.")
    external_id: str | None = Field(
        None, min_length=2, max_length=1224, description="The external ID that the role requires."
    )


class RegistryFields(RegistryBase):
    """What the spec says of an ECR registry, and what follows from it."""

    grant_types = ("aws", "kubernetes")
    whole_login = (
        "a grant to a cluster hands on a login of the registry's role to pull, which can pull all of its repositories"
    )
    identity = ("assume_role",)
    placing = ("prefix", "region", "account_id")
    permissions = ("pull", "push-pull", "admin")
    beside = ("read",)

    platform: Literal["aws"] = Field(description="Amazon Elastic Container Registry.")
    account_id: AccountId = Field(description="The account that holds the registry, checked before any other call.")
    region: Region = Field(description="The home region.")
    prefix: Prefix | None = Field(
        None,
        description="What the names of its ECR repositories begin with, before the names in the spec: it may end in / or be empty."
        " Another prefix replaces every repository, which loses the images. Default: the registry's name and a dash.",
    )
    replication_regions: tuple[Region, ...] = Field(
        (), description="Regions that every image and policy is copied to; the short form of `replication`."
    )
    replication: Replication | None = Field(
        None, description="Where images are copied to, and which. Default: `replication_regions`, by prefix."
    )
    registry_policy: tuple[RegistryPolicyGrant, ...] = Field(
        (),
        description="Who else can copy images into the account, or have upstream images cached there, in the registry's regions. What"
        " other registries of the spec need that are copied here is added.",
    )
    assume_role: AssumeRole | None = Field(None, description="Make every call as this role.")
    roles: Flag = Field(
        True,
        description="Make an IAM role that can pull, and one that can push. With false, what they would remember is noted on an empty"
        " ECR repository, reconciler/ and the registry's name.",
    )
    trusted_principals: tuple[TrustedPrincipal, ...] = Field(
        (),
        description="Who may assume the pull and push roles. Default: for the pull role, anyone whom the account's own IAM policies"
        " allow; for the push role, nobody.",
    )
    scanning: Scanning | None = Field(
        None,
        description="How images are scanned for vulnerabilities. Default: as the account has it.",
    )
    pull_through_cache: tuple[PullThroughCache, ...] = Field(
        (), description="What ECR fetches from other registries when somebody pulls it, in the home region."
    )
    creation_templates: tuple[CreationTemplate, ...] = Field(
        (), description="How ECR sets up the repositories that it makes by itself."
    )
    max_session: Duration = Field(
        "1h",
        description="The longest session of the roles: 1h to 12h. Chained roles have at most 1h.",
    )

    def place(self, base: str, start: str | None = None) -> tuple[str, ...]:
        here = (self.account_id, self.region)
        return here if self.assume_role is None else (*here, f"as {self.assume_role.role_arn}")

    @property
    def own_account(self) -> str:
        return self.account_id

    @property
    def name_prefix(self) -> str:
        """What the names of the registry's ECR repositories start with, unless the spec gives a whole name; it may be empty."""
        return self.usual_prefix if self.prefix is None else self.prefix

    @property
    def usual_prefix(self) -> str:
        """What they start with where the spec says nothing of it: from a name that does, the name in the spec follows."""
        return f"{self.name}-"

    @property
    def regions(self) -> tuple[str, ...]:
        """The home region, then the replication regions, sorted."""
        return (self.region, *self.copied_to)

    @property
    def copied_to(self) -> tuple[str, ...]:
        """The registry's other regions, sorted: it has the same repositories there, with the same policies."""
        return tuple(sorted(self.replication_regions if self.replication is None else self.replication.regions))

    @property
    def copied_to_accounts(self) -> tuple[tuple[str, str], ...]:
        """Each region and other account that images are copied to, sorted. The repositories there are that account's."""
        return () if self.replication is None else tuple(sorted(set(self.replication.to_accounts(self.region))))

    @property
    def copied_prefix(self) -> str:
        """What the names of the repositories begin with that are copied, `*` for all of the account; "" if nothing is."""
        if not (self.copied_to or self.copied_to_accounts):
            return ""
        return ALL if self.replication is not None and self.replication.filter == "all" else self.name_prefix

    @property
    def copies_by_prefix(self) -> bool:
        return self.copied_prefix not in ("", ALL)

    @property
    def max_session_seconds(self) -> int:
        """`max_session` in seconds."""
        return int(self.max_session[:-1]) * (60 if self.max_session.endswith("m") else 3600)

    def native_name(self, repository: str) -> str:
        return self.name_prefix + repository

    def role_name(self, role: str) -> str:
        """The name of one of the registry's IAM roles, pull or push."""
        return f"{self.name}-{role}"

    @property
    def trusted_arns(self) -> Iterator[str]:
        """The accounts, roles and users that may assume the roles, with or without a condition."""
        for item in self.trusted_principals:
            if not isinstance(item, FederatedPrincipal):
                yield item.principal if isinstance(item, NarrowedPrincipal) else item

    @property
    def role_arns(self) -> Mapping[str, str]:
        """The ARNs of the registry's own roles, by `pull` and `push`; empty if it has none."""
        if not self.roles:
            return {}
        return {role: names.role_arn(self.account_id, self.region, self.role_name(role)) for role in ("pull", "push")}

    @property
    def ledger_name(self) -> str:
        """The name of the ECR repository that remembers what is noted of a registry without roles."""
        return f"reconciler/{self.name}"

    @property
    def scans_by_prefix(self) -> bool:
        """Whether what is scanned follows from the registry's prefix."""
        return self.scanning is not None and self.scanning.by_prefix

    @property
    def replication_field(self) -> str:
        return "replication_regions" if self.replication is None else "replication"
