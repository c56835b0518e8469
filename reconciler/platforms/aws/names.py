"""How AWS names things: partitions, ARNs, and what can be read off them. Pure."""

from __future__ import annotations

import re
from functools import cache

ACCOUNT = r"[0-9]{12}"
REGION = r"[a-z]{2,4}(-[a-z]+)+-[0-9]+"
PRINCIPAL_ARN = r"arn:aws[a-z-]*:(iam|sts)::[0-9]{12}:(root|(role|user|assumed-role|federated-user)/[\w+=,.@/-]+)"
ROLE_ARN = r"arn:aws[a-z-]*:iam::[0-9]{12}:role/[\w+=,.@/-]+"
#: of what a service acts for; `*` and `?` are wildcards, and a policy variable is none of it
SOURCE_ARN = r"arn:aws[a-z-]*:[a-z0-9*?.-]+:[a-z0-9*?-]*:([0-9]{12}|\*|):[!-#%-~]+"
#: https://docs.aws.amazon.com/organizations/latest/APIReference/API_Organization.html (Id; Root and OrganizationalUnit likewise)
ORGANIZATION = r"o-[a-z0-9]{10,32}"
#: https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_last-accessed-view-data-orgs.html#access_policies_last-accessed-viewing-orgs-entity-path
ORGANIZATION_PATH = rf"{ORGANIZATION}/(\*|r-[0-9a-z]{{4,32}}/(ou-[0-9a-z]{{4,32}}-[a-z0-9]{{8,32}}/)*\*?)"
SERVICE = r"[a-z0-9]+([.-][a-z0-9]+)*"
FUNCTION_ARN = r"arn:aws[a-z-]*:lambda:[a-z0-9-]+:[0-9]{12}:function:[A-Za-z0-9_*-]+(:[A-Za-z0-9_$*-]+)?"
KEY_ARN = r"arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+"

#: https://docs.aws.amazon.com/whitepapers/latest/aws-fault-isolation-boundaries/partitions.html
_PARTITIONS = (
    ("cn-", "aws-cn", "amazonaws.com.cn"),
    ("us-gov-", "aws-us-gov", "amazonaws.com"),
    ("us-isob-", "aws-iso-b", "sc2s.sgov.gov"),
    ("us-isof-", "aws-iso-f", "csp.hci.ic.gov"),
    ("eu-isoe-", "aws-iso-e", "cloud.adc-e.uk"),
    ("us-iso-", "aws-iso", "c2s.ic.gov"),
    ("eusc-", "aws-eusc", "amazonaws.eu"),
)


#: all partitions
PARTITIONS = ("aws", *(name for _, name, _ in _PARTITIONS))


@cache
def partition(region: str) -> str:
    """The partition of a region: `aws`, `aws-cn`, `aws-us-gov`, ..."""
    return next((name for prefix, name, _ in _PARTITIONS if region.startswith(prefix)), "aws")


def dns_suffix(region: str) -> str:
    """The domain under which a region's endpoints stand."""
    return next((suffix for prefix, _, suffix in _PARTITIONS if region.startswith(prefix)), "amazonaws.com")


def service(name: str) -> str:
    """A service's principal by its short name (`codebuild`); a whole name (`codebuild.amazonaws.com`) as it is."""
    whole = ("amazonaws.com", *(suffix for _, _, suffix in _PARTITIONS))
    return name if name.endswith(tuple(f".{item}" for item in whole)) else f"{name}.amazonaws.com"


def short_service(principal: str) -> str:
    """A service's short name by its principal, which stays whole where it ends otherwise than most do."""
    return principal.removesuffix(".amazonaws.com")


def arn_part(arn: str, index: int) -> str:
    """The part of an ARN at `index` (1 partition, 2 service, 3 region, 4 account), or "" if it is no ARN."""
    parts = arn.split(":", 5)
    return parts[index] if len(parts) == 6 and parts[0] == "arn" else ""


def account_of(principal: str) -> str:
    """The account of a principal given as an account id or an ARN, or "" where it names none."""
    return principal if re.fullmatch(ACCOUNT, principal) else arn_part(principal, 4)


def root_arn(account: str, in_partition: str) -> str:
    """The ARN that stands for a whole account in a policy."""
    return f"arn:{in_partition}:iam::{account}:root"


def repository_arn(account: str, region: str, native: str) -> str:
    """An ECR repository's ARN."""
    return f"arn:{partition(region)}:ecr:{region}:{account}:repository/{native}"


def repository_uri(account: str, region: str, native: str) -> str:
    """What an ECR repository's images are pulled from: https://docs.aws.amazon.com/AmazonECR/latest/userguide/Registries.html"""
    return f"{registry_host(account, region)}/{native}"


def registry_host(account: str, region: str) -> str:
    """What clients log in to for an account's repositories in a region."""
    return f"{account}.dkr.ecr.{region}.{dns_suffix(region)}"


def role_arn(account: str, region: str, name: str) -> str:
    """An IAM role's ARN."""
    return f"arn:{partition(region)}:iam::{account}:role/{name}"
