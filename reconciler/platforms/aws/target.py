"""Who on AWS a grant can be for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from reconciler.spec.fields import Fault, Text, each, repeated
from reconciler.spec.registry import GrantTarget
from reconciler.words import any_of

from . import names

AccountId = Annotated[str, Text(names.ACCOUNT, "an AWS account id: 12 digits, quoted")]
AnyAccountId = Annotated[str, Text(rf"{names.ACCOUNT}|\*", "an AWS account id (12 digits, quoted), or '*' for anyone")]
Region = Annotated[str, Text(names.REGION, "an AWS region, such as us-east-1")]
RoleArn = Annotated[str, Text(names.ROLE_ARN, "an IAM role's ARN, such as arn:aws:iam::123456789012:role/ci")]
#: more than IAM takes in a policy for long, so that the message can say what to write instead
GranteeArn = Annotated[
    str, Text(names.PRINCIPAL_ARN, "the ARN of an IAM role or user, such as arn:aws:iam::123456789012:user/ci")
]
ServiceName = Annotated[
    str,
    Text(
        names.SERVICE,
        "a service's short name, such as codebuild or ecs-tasks, or its whole one with .amazonaws.com",
        128,
    ),
]
OrganizationId = Annotated[str, Text(names.ORGANIZATION, "an organization's id, such as o-a1b2c3d4e5")]
OrganizationPath = Annotated[
    str,
    Text(
        names.ORGANIZATION_PATH,
        "a path of an organization, such as o-a1b2c3d4e5/r-ab12/ou-ab12-11111111/* (with the units below it), or without the *",
    ),
]
SourceArn = Annotated[
    str,
    Text(
        names.SOURCE_ARN,
        "the ARN of what the service acts for, such as arn:aws:codebuild:us-east-1:123456789012:project/ci (* and ? are wildcards)",
    ),
]
FunctionArn = Annotated[str, Text(names.FUNCTION_ARN, "a Lambda function's ARN")]

LAMBDA = "lambda.amazonaws.com"
_NAMING = (
    "account_ids",
    "role_arns",
    "principal_arns",
    "organization_ids",
    "organization_paths",
    "services",
    "function_arns",
)


def _worker(value: Any) -> Any:
    return "worker" if value == "lambda" else value


#: what it is once it is read is worker alone
Service = Annotated[Literal["worker", "lambda"], AfterValidator(_worker)]


class AwsTarget(GrantTarget):
    """AWS accounts, roles and users, organizations, and services that act for accounts."""

    type: Literal["aws"] = Field(description="Accounts, roles, users, organizations and services on AWS.")
    account_ids: tuple[AnyAccountId, ...] = Field(
        (), description="Account ids, or '*' for anyone, which a guard refuses."
    )
    regions: tuple[Region, ...] = Field(
        (),
        description="Restrict the worker statement to Lambda functions in these regions. Default: all regions.",
    )
    role_arns: tuple[RoleArn, ...] = Field((), description="IAM roles.")
    principal_arns: tuple[GranteeArn, ...] = Field((), description="IAM roles and users.")
    allowed_service_types: tuple[Service, ...] = Field(
        (),
        description="Services that can pull on behalf of the accounts: worker is AWS Lambda, and lambda an alias of it.",
    )
    organization_ids: tuple[OrganizationId, ...] = Field((), description="AWS organizations, for all their accounts.")
    organization_paths: tuple[OrganizationPath, ...] = Field(
        (),
        description="Paths of organizational units, for their accounts. One that ends in /* includes the units below it.",
    )
    services: tuple[ServiceName, ...] = Field(
        (),
        description="Short names of AWS services: codebuild, ecs-tasks, lambda. Without a source they act for any account, which a"
        " guard refuses.",
    )
    source_accounts: tuple[AccountId, ...] = Field((), description="The only accounts that the services can act for.")
    source_arns: tuple[SourceArn, ...] = Field(
        (),
        description="The only resources that the services can act for, such as a CodeBuild project. * and ? are wildcards.",
    )
    function_arns: tuple[FunctionArn, ...] = Field(
        (),
        description="Lambda functions that can pull, with or without allowed_service_types. If it has worker, only these can, not"
        " every function of the accounts.",
    )

    def faults(self) -> Iterator[Fault]:
        lists = [name for name in type(self).model_fields if name != "type"]
        yield from each(
            *(repeated(self, field) for field in lists),
            self._arn_faults(),
            self._principal_faults(),
            self._service_faults(),
            self._source_faults(),
            self._region_faults(),
        )

    @property
    def arns(self) -> tuple[str, ...]:
        """The roles and users that the grant names, sorted."""
        return tuple(sorted({*self.role_arns, *self.principal_arns}))

    @property
    def organizations(self) -> tuple[str, ...]:
        """The organizations and paths of them that the grant names."""
        return (*self.organization_ids, *self.organization_paths)

    @property
    def service_principals(self) -> tuple[str, ...]:
        """The services that the grant names, by their whole names, sorted. Functions are Lambda's."""
        functions = {LAMBDA} if self.allowed_service_types or self.function_arns else set()
        return tuple(sorted(functions.union(map(names.service, self.services))))

    def _arn_faults(self) -> Iterator[Fault]:
        for index, arn in enumerate(self.principal_arns):
            at = ("principal_arns", index)
            if instead := _instead_of(arn):
                yield Fault(at, f"'{arn}' is {instead}")
            elif arn in self.role_arns:
                yield Fault(at, f"'{arn}' is in role_arns already")

    def _region_faults(self) -> Iterator[Fault]:
        if self.regions and LAMBDA not in self.service_principals:
            yield Fault(
                ("regions",),
                "regions restrict only the worker statement; add allowed_service_types: [worker], or remove regions",
            )
            return
        for field in ("function_arns", "source_arns") if self.regions else ():
            for index, arn in enumerate(getattr(self, field)):
                region = names.arn_part(arn, 3)
                if region not in self.regions:
                    yield Fault((field, index), f"'{arn}' is in {region}, which is not listed in regions")

    def _principal_faults(self) -> Iterator[Fault]:
        whose = self.account_ids or self.function_arns or self.source_accounts or self.source_arns
        if self.allowed_service_types and not whose:
            yield Fault(("allowed_service_types",), "worker needs account_ids or function_arns: whose functions?")
        elif not (self.account_ids or self.arns or self.service_principals or self.organizations):
            yield Fault((), f"names nobody: give {any_of(_NAMING)}")

    def _service_faults(self) -> Iterator[Fault]:
        seen: dict[str, str] = {}
        for index, name in enumerate(self.services):
            other = seen.setdefault(names.service(name), name)
            if other != name:
                yield Fault(("services", index), f"'{name}' is the same service as '{other}'")

    def _source_faults(self) -> Iterator[Fault]:
        services = self.service_principals
        for field in ("source_accounts", "source_arns"):
            if getattr(self, field) and not services:
                yield Fault((field,), f"{field} restrict only services; add services, or remove {field}")
        for index, arn in enumerate(self.source_arns):
            account = names.account_of(arn)
            if self.source_accounts and account not in ("", "*", *self.source_accounts):
                yield Fault(
                    ("source_arns", index), f"'{arn}' is of account {account}, which is not listed in source_accounts"
                )
            elif LAMBDA in services and names.arn_part(arn, 2) != "lambda":
                yield Fault(
                    ("source_arns", index),
                    f"'{arn}' is no Lambda function: give lambda and the other services a grant each",
                )


def _instead_of(arn: str) -> str | None:
    """What a principal is that no grant can be for, and what to write instead; None for a role or a user.

    A session ends, and the ARN of a role's session leaves out the role's path:
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html#identifiers-arns
    """
    partition, account = names.arn_part(arn, 1), names.account_of(arn)
    kind, _, name = names.arn_part(arn, 5).partition("/")
    if kind == "root":
        return f'the whole account: write "{account}" in account_ids'
    if kind == "assumed-role":
        role = f"arn:{partition}:iam::{account}:role/{name.partition('/')[0]}"
        return f"a session of a role: write the role, {role}, with its path if it has one, which no session's ARN shows"
    if kind == "federated-user":
        return "a session of a federated user: write the IAM user or role that it is made with"
    return None
