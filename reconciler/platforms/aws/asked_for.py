"""A principal that somebody asks for as AWS writes it: by an ARN. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable

from reconciler.model.access import Principal

from . import names, policy
from .condition import plain


def includes(arn: str) -> Callable[[Principal], bool] | None:
    """Whether a principal of a policy is the one with this ARN, its role (of a session), or its whole account; it may be so if that
    hangs on conditions. None of what is no ARN of a principal.

    The ARN of a role's session leaves out the role's path: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html
    """
    account = names.account_of(arn)
    if names.arn_part(arn, 2) not in ("iam", "sts") or not re.fullmatch(names.ACCOUNT, account):
        return None
    whole = policy.who(account)[0].label
    found = {whole, policy.who(policy.account_or(arn))[0].label}
    kind, _, name = names.arn_part(arn, 5).partition("/")
    role = name.partition("/")[0] if kind == "assumed-role" else ""
    ends = f"{plain(role)} of account {account}"

    def is_included(one: Principal) -> bool:
        label = one.label.partition(" (if ")[0]
        of_session = role and label.startswith("role ") and label.removeprefix("role ").rpartition("/")[2] == ends
        return one.public or bool(one.organization) or label in found or bool(of_session)

    return is_included
