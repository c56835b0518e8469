"""AWS in the spec: an ECR registry (one account and region), and who on AWS a grant can be for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag

from reconciler.model.marks import PREFIX
from reconciler.spec.fields import Absent, Fault, Model, Text, each, repeated
from reconciler.spec.registry import GrantTarget, RegistryBase
from reconciler.spec.repository import ImmutableTags, Repository
from reconciler.words import counted

from . import names
from .federation import subject_fault
from .lifecycle_rules import policy_faults, retention_faults, wildcard_faults
from .tags import MAX_VALUE, encoded

AccountId = Annotated[str, Text(names.ACCOUNT, "an AWS account id: 12 digits, quoted")]
AnyAccountId = Annotated[
    str, Text(rf"{names.ACCOUNT}|\*", "an AWS account id (12 digits, quoted), or '*' for everyone")
]
Region = Annotated[str, Text(names.REGION, "an AWS region, such as us-east-1")]
RoleArn = Annotated[str, Text(names.ROLE_ARN, "an IAM role's ARN, such as arn:aws:iam::123456789012:role/ci")]
Trusted = Annotated[str, Text(rf"{names.ACCOUNT}|{names.PRINCIPAL_ARN}", "an account id, or the ARN of a role or user")]
Subject = Annotated[str, Text(r"[^\x00-\x1f]+", "a subject without control characters", 1000)]
Duration = Annotated[str, Text(r"[0-9]{1,3}m|[0-9]{1,2}h", "a time such as 1h or 90m")]
FunctionArn = Annotated[str, Text(names.FUNCTION_ARN, "a Lambda function's ARN")]

#: https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_CreateRepository.html (repositoryName)
_ECR_NAME = re.compile(r"(?:[a-z0-9]+(?:[._-][a-z0-9]+)*/)*[a-z0-9]+(?:[._-][a-z0-9]+)*")
#: https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_PutImageTagMutability.html (imageTagMutabilityExclusionFilters)
MAX_EXCLUSIONS = 5
#: `*` in one of them: https://github.com/hashicorp/terraform-provider-aws/blob/main/internal/service/ecr/repository.go
MAX_EXCLUSION_WILDCARDS = 2
#: ECR allows 50 tags; the rest is kept for the tool's marks
MAX_LABELS = 36
_RESERVED = (PREFIX, "aws:")


class AssumeRole(Model):
    """The role that every call of this registry is made as."""

    role_arn: RoleArn = Field(description="The role to assume.")
    external_id: str | None = Field(
        None, min_length=2, max_length=1224, description="The external id that the role asks for."
    )


class NarrowedPrincipal(Model):
    """A principal that may assume the roles only with an external id, or as a member of an organization."""

    principal: Trusted = Field(description="An account id, or the ARN of a role or user.")
    external_id: (
        Annotated[str, Text(r"[\w+=,.@:/-]{2,1224}", "an external id: 2 to 1,224 letters, digits and + = , . @ : / -")]
        | None
    ) = Field(None, description="The external id that it must give.")
    org_id: Annotated[str, Text(r"o-[a-z0-9]{10,32}", "an organization's id, such as o-a1b2c3d4e5")] | None = Field(
        None, description="The AWS organization that it must belong to."
    )

    def fault(self) -> str | None:
        if self.external_id is None and self.org_id is None:
            return "give external_id, org_id, or both; a principal without either is a text"
        return None


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class FederatedPrincipal(Model):
    """Workloads that log in with a token of an OpenID Connect provider, such as a CI system's."""

    oidc: Annotated[
        str, Text(r"[a-z0-9-]+(\.[a-z0-9-]+)+(/[\w.~-]+)*", "an OpenID Connect provider without https://")
    ] = Field(description="The provider, as IAM knows it: token.actions.githubusercontent.com.")
    subject: Annotated[tuple[Subject, ...], BeforeValidator(_as_list)] = Field(
        min_length=1,
        description="Who of it: repo:my-org/my-repo:ref:refs/heads/main. * stands for any text, ? for one character.",
    )
    audience: str = Field("sts.amazonaws.com", min_length=1, max_length=255, description="Whom the token must be for.")


def _trusted_form(value: Any) -> str:
    if isinstance(value, NarrowedPrincipal):
        return "narrowed"
    if isinstance(value, dict):
        return "federated" if value.keys() & {"oidc", "subject", "audience"} else "narrowed"
    return "federated" if isinstance(value, FederatedPrincipal) else "principal"


TrustedPrincipal = Annotated[
    Annotated[Trusted, Tag("principal")]
    | Annotated[NarrowedPrincipal, Tag("narrowed")]
    | Annotated[FederatedPrincipal, Tag("federated")],
    Discriminator(_trusted_form),
]


class AwsRegistry(RegistryBase):
    """Amazon ECR in one account and region, with IAM roles for pull and push, and replication."""

    grant_types = ("aws",)

    platform: Literal["aws"] = Field(description="Amazon Elastic Container Registry.")
    account_id: AccountId = Field(description="The account that holds the registry; checked before any other call.")
    region: Region = Field(description="The home region.")
    replication_regions: tuple[Region, ...] = Field(
        (), description="Regions that get a copy of every image and policy."
    )
    assume_role: AssumeRole | None = Field(None, description="Make every call as this role.")
    trusted_principals: tuple[TrustedPrincipal, ...] = Field(
        (),
        description="Who may assume the pull and the push role; left out: the pull role, whom the account's own IAM policies allow,"
        " and the push role, nobody.",
    )
    max_session: Duration = Field(
        "1h",
        description="How long credentials of the roles are good at most: 1h to 12h. Chained roles have 1h at most.",
    )

    def place(self, base: str, start: str | None = None) -> tuple[str, ...]:
        here = (self.account_id, self.region)
        return here if self.assume_role is None else (*here, f"as {self.assume_role.role_arn}")

    @property
    def own_account(self) -> str:
        return self.account_id

    @property
    def prefix(self) -> str:
        """What the names of all the registry's ECR repositories start with."""
        return f"{self.name}-"

    @property
    def regions(self) -> tuple[str, ...]:
        """The home region, then the replication regions, sorted."""
        return (self.region, *sorted(self.replication_regions))

    @property
    def max_session_seconds(self) -> int:
        """`max_session` in seconds."""
        return int(self.max_session[:-1]) * (60 if self.max_session.endswith("m") else 3600)

    def notes(self, repositories: Sequence[Repository] = ()) -> Iterator[str]:
        if not self.trusted_principals:
            yield "nobody may assume the push role: trusted_principals is left out"

    def native_name(self, repository: str) -> str:
        return self.prefix + repository

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
        """The ARNs of the registry's own roles, by `pull` and `push`."""
        return {role: names.role_arn(self.account_id, self.region, self.role_name(role)) for role in ("pull", "push")}

    def waits_for(self, other: RegistryBase) -> bool:
        return isinstance(other, AwsRegistry) and not set(self.trusted_arns).isdisjoint(other.role_arns.values())

    def name_fault(self, native: str) -> str | None:
        if not 2 <= len(native) <= 256:
            return f"the ECR repository name '{native}' has {counted(len(native), 'character')}; ECR allows 2 to 256"
        if _ECR_NAME.fullmatch(native) is None:
            return f"ECR refuses the repository name '{native}': words are joined by a single '.', '_' or '-'"
        return None

    def faults(self) -> Iterator[Fault]:
        yield from each(
            repeated(self, "replication_regions"),
            repeated(self, "trusted_principals"),
            self._region_faults(),
            self._session_faults(),
            self._self_trust_faults(),
            self._trust_faults(),
        )

    def _region_faults(self) -> Iterator[Fault]:
        if len(self.replication_regions) > 25:
            yield Fault(("replication_regions",), "ECR replicates to at most 25 destinations")
        home = names.partition(self.region)
        for index, region in enumerate(self.replication_regions):
            if region == self.region:
                yield Fault(("replication_regions", index), f"{region} is the registry's own region")
            elif names.partition(region) != home:
                yield Fault(
                    ("replication_regions", index),
                    f"{region} is not in the partition {home} of {self.region}",
                )

    def _session_faults(self) -> Iterator[Fault]:
        if not 3600 <= self.max_session_seconds <= 43_200:
            # https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateRole.html (MaxSessionDuration)
            yield Fault(("max_session",), f"is {self.max_session}; IAM takes 1h to 12h")

    def _self_trust_faults(self) -> Iterator[Fault]:
        for index, principal in self._trusted():
            if principal in self.role_arns.values():
                yield Fault(
                    ("trusted_principals", index),
                    f"'{principal}' is a role of this registry itself; IAM takes no principal that is not there yet",
                )

    def _trust_faults(self) -> Iterator[Fault]:
        for index, principal in self._trusted():
            if isinstance(principal, FederatedPrincipal):
                yield from each(_subject_faults(principal, ("trusted_principals", index, "subject")))
        home = names.partition(self.region)
        for index, principal in self._trusted():
            if isinstance(principal, str) and names.arn_part(principal, 1) not in ("", home):
                yield Fault(("trusted_principals", index), f"'{principal}' is not in the partition {home}")

    def _trusted(self) -> Iterator[tuple[int, str | FederatedPrincipal]]:
        for index, item in enumerate(self.trusted_principals):
            with suppress(Absent):
                yield index, item.principal if isinstance(item, NarrowedPrincipal) else item

    def repository_faults(self, repository: Repository) -> Iterator[Fault]:
        yield from each(
            self._exception_faults(repository),
            self._description_faults(repository),
            self._label_faults(repository),
            self._removal_faults(repository),
            self._key_faults(repository),
        )

    def _exception_faults(self, repository: Repository) -> Iterator[Fault]:
        if len(repository.movable_tags) > MAX_EXCLUSIONS:
            yield Fault(("immutable_tags", "except"), f"ECR takes at most {MAX_EXCLUSIONS} exceptions")
        if isinstance(repository.immutable_tags, ImmutableTags):
            at = ("immutable_tags", "except")
            yield from wildcard_faults(repository.immutable_tags.except_, at, MAX_EXCLUSION_WILDCARDS)

    def _description_faults(self, repository: Repository) -> Iterator[Fault]:
        size = len(encoded(repository.description))
        if size > MAX_VALUE:
            yield Fault(
                ("description",),
                f"on AWS it is kept in a tag, where it has {size} characters; a tag holds at most {MAX_VALUE}"
                " (all but letters, digits, spaces and _ . : / = + - @ take three or more)",
            )

    def _removal_faults(self, repository: Repository) -> Iterator[Fault]:
        if repository.lifecycle_policy is not None:
            yield from policy_faults(repository.lifecycle_policy, ("lifecycle_policy",))
        elif repository.retention is not None:
            yield from retention_faults(repository.retention, ("retention",))

    def _label_faults(self, repository: Repository) -> Iterator[Fault]:
        for key in repository.labels:
            if key.lower().startswith(_RESERVED):
                yield Fault(("labels", key), "keys that start with 'reconciler-' or 'aws:' are reserved")
        if len(repository.labels) > MAX_LABELS:
            yield Fault(
                ("labels",),
                f"at most {MAX_LABELS} labels: ECR allows 50 tags, and the tool's marks are tags too",
            )
        elif len(" ".join(repository.labels)) > 256:
            yield Fault(("labels",), "the keys are too long: together they must fit in 256 characters")

    def _key_faults(self, repository: Repository) -> Iterator[Fault]:
        if repository.encryption is None:
            return
        key, at = repository.encryption.kms_key, ("encryption", "kms_key")
        if re.fullmatch(names.KEY_ARN, key) is None:
            yield Fault(
                at,
                "must be a key's ARN (arn:aws:kms:REGION:ACCOUNT:key/ID), not an alias",
            )
        elif names.arn_part(key, 3) != self.region:
            yield Fault(at, f"the key is in {names.arn_part(key, 3)}, the registry in {self.region}")
        elif self.replication_regions and not key.rpartition("/")[2].startswith("mrk-"):
            yield Fault(at, "the registry is replicated, so the key must be a multi-Region key (mrk-...)")

    def grant_faults(self, target: GrantTarget, repositories: Sequence[str], narrowed: bool) -> Iterator[Fault]:
        if isinstance(target, AwsTarget):
            yield from each(*(self._partition_faults(target, field) for field in ("role_arns", "function_arns")))

    def _partition_faults(self, target: AwsTarget, field: str) -> Iterator[Fault]:
        home = names.partition(self.region)
        for index, arn in enumerate(getattr(target, field)):
            if names.arn_part(arn, 1) != home:
                yield Fault(("to", field, index), f"'{arn}' is not in the partition {home} of {self.region}")

    def clashes(self, other: RegistryBase, base: str) -> str | None:
        if not isinstance(other, AwsRegistry) or other.account_id != self.account_id:
            return None
        shared = sorted(set(self.regions) & set(other.regions))
        if shared and other.prefix.startswith(self.prefix):
            return (
                f"its repositories are named '{self.prefix}*', which includes '{other.prefix}*' of registry {other.name}"
                f" in the same account and region ({', '.join(shared)}): rename one"
            )
        return None


def _subject_faults(item: FederatedPrincipal, at: tuple[str | int, ...]) -> Iterator[Fault]:
    for subject in item.subject:
        fault = subject_fault(item.oidc, subject)
        if fault is not None:
            yield Fault(at, f"'{subject}' {fault}")


class AwsTarget(GrantTarget):
    """AWS accounts, roles, and the Lambda service of accounts."""

    type: Literal["aws"] = Field(description="Accounts, roles and Lambda functions on AWS.")
    account_ids: tuple[AnyAccountId, ...] = Field((), description="Accounts; '*' is everyone, which a guard refuses.")
    regions: tuple[Region, ...] = Field(
        (),
        description="Narrows the worker statement to the Lambda functions of these regions; left out: of all regions.",
    )
    role_arns: tuple[RoleArn, ...] = Field((), description="IAM roles.")
    allowed_service_types: tuple[Literal["worker"], ...] = Field(
        (), description="Services that may pull on behalf of the accounts: worker is AWS Lambda."
    )
    function_arns: tuple[FunctionArn, ...] = Field(
        (),
        description="These Lambda functions may pull, whether allowed_service_types says worker or not; with it, they alone may,"
        " and not every function of the accounts.",
    )

    def faults(self) -> Iterator[Fault]:
        lists = ("account_ids", "regions", "role_arns", "allowed_service_types", "function_arns")
        yield from each(*(repeated(self, field) for field in lists), self._principal_faults(), self._region_faults())

    def _region_faults(self) -> Iterator[Fault]:
        if self.regions and not (self.allowed_service_types or self.function_arns):
            yield Fault(
                ("regions",),
                "regions narrow the worker statement alone; add allowed_service_types: [worker], or leave regions out",
            )
        for index, arn in enumerate(self.function_arns):
            region = names.arn_part(arn, 3)
            if self.regions and region not in self.regions:
                yield Fault(("function_arns", index), f"'{arn}' is in {region}, which regions does not list")

    def _principal_faults(self) -> Iterator[Fault]:
        if not (self.account_ids or self.role_arns or self.function_arns):
            yield Fault((), "names nobody: give account_ids, role_arns or function_arns")
        elif self.allowed_service_types and not (self.account_ids or self.function_arns):
            yield Fault(("allowed_service_types",), "worker needs account_ids or function_arns: whose functions?")
