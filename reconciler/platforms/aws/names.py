"""How AWS names things: partitions, ARNs, and what can be read off them. Pure."""

from __future__ import annotations

import re
from functools import cache

ACCOUNT = r"[0-9]{12}"
REGION = r"[a-z]{2,4}(-[a-z]+)+-[0-9]+"
PRINCIPAL_ARN = r"arn:aws[a-z-]*:(iam|sts)::[0-9]{12}:(root|(role|user|assumed-role|federated-user)/[\w+=,.@/-]+)"
ROLE_ARN = r"arn:aws[a-z-]*:iam::[0-9]{12}:role/[\w+=,.@/-]+"
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


@cache
def partition(region: str) -> str:
    """The partition of a region: `aws`, `aws-cn`, `aws-us-gov`, ..."""
    return next((name for prefix, name, _ in _PARTITIONS if region.startswith(prefix)), "aws")


def dns_suffix(region: str) -> str:
    """The domain under which a region's endpoints stand."""
    return next((suffix for prefix, _, suffix in _PARTITIONS if region.startswith(prefix)), "amazonaws.com")


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


def role_arn(account: str, region: str, name: str) -> str:
    """An IAM role's ARN."""
    return f"arn:{partition(region)}:iam::{account}:role/{name}"
