"""Whom conditions narrow a principal to, in words: the accounts that a service acts for, the organization of whoever asks. Pure.

A service that acts for anybody is a confused deputy: whoever makes it act has what it may do, unless a condition says for whom.
https://docs.aws.amazon.com/IAM/latest/UserGuide/confused-deputy.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product

from reconciler.model.access import Principal

from . import names
from .condition import Condition, plain

SOURCE_ARN, SOURCE_ACCOUNT = "aws:SourceArn", "aws:SourceAccount"
ORGANIZATION, ORGANIZATION_PATHS = "aws:PrincipalOrgID", "aws:PrincipalOrgPaths"
#: before the operator of a key that has several values in a request
ANY_VALUE = "ForAnyValue:"
#: operators that let through what is, or is like, one of the values
POSITIVE = frozenset({"StringEquals", "StringLike", "ArnEquals", "ArnLike"})
#: what AWS calls the services that pull images
_SERVICES = {
    "apprunner": "AWS App Runner",
    "batch": "AWS Batch",
    "build.apprunner": "AWS App Runner builds",
    "codebuild": "AWS CodeBuild",
    "codedeploy": "AWS CodeDeploy",
    "codepipeline": "AWS CodePipeline",
    "ec2": "Amazon EC2",
    "ecs": "Amazon ECS",
    "ecs-tasks": "Amazon ECS tasks",
    "eks": "Amazon EKS",
    "events": "Amazon EventBridge",
    "glue": "AWS Glue",
    "inspector2": "Amazon Inspector",
    "lambda": "AWS Lambda",
    "sagemaker": "Amazon SageMaker AI",
    "tasks.apprunner": "AWS App Runner tasks",
}
_ANY = ("*", "")
_ORGANIZATION = re.compile(r"o-[a-z0-9]+")
#: the conditions that are not said by a principal's label
Rest = tuple[Condition, ...]


def service_name(principal: str) -> str:
    """A service for people: `AWS CodeBuild` for codebuild.amazonaws.com, and its principal where it has no name here."""
    return _SERVICES.get(names.short_service(principal)) or plain(principal)


def of_service(principal: str, conditions: Sequence[Condition]) -> tuple[list[Principal], Rest]:
    """A service, once for each source that it may act for, and the conditions that this leaves out.

    Without a condition it acts for everyone.
    """
    name, every = service_name(principal), tuple(conditions)
    if not conditions:
        return [Principal(f"{name} in any account", public=True)], ()
    arns, accounts = _only(conditions, SOURCE_ARN), _only(conditions, SOURCE_ACCOUNT)
    rest = tuple(item for item in conditions if item not in (arns, accounts))
    if arns is None and accounts is None:
        return [Principal(name)], every
    if arns is None or accounts is None:
        found = list(_by_arn(name, arns)) if arns is not None else []
        found += [_by_account(name, accounts, item) for item in accounts.values] if accounts is not None else []
        return found, rest
    if not all(_legible(item) for item in (*map(_account, arns.values), *accounts.values)):
        return [Principal(name, public=True)], every
    both = [_joined(arn, account) for arn, account in product(arns.values, accounts.values)]
    found = [_of_arn(name, arns, arn) for arn in both if arn is not None]
    # sources of other accounts than those: nobody that there is
    return (found, rest) if found else ([Principal(name)], every)


def of_everyone(conditions: Sequence[Condition]) -> tuple[list[Principal], Rest]:
    """Everyone, or whoever belongs to an organization, once for each, and the conditions that this leaves out.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-principalorgpaths
    """
    for key, prefix, said in ((ORGANIZATION_PATHS, ANY_VALUE, _below), (ORGANIZATION, "", _of_organization)):
        one = _only(conditions, key, prefix)
        if one is not None and all(organization_of(item, key) for item in one.values):
            return [said(item) for item in one.values], tuple(item for item in conditions if item != one)
    return [Principal("anyone", public=True)], tuple(conditions)


def organization_of(value: str, key: str = ORGANIZATION_PATHS) -> str:
    """The one organization that a value of a key is about, "" if it may be several."""
    name, slash, _ = value.partition("/")
    return name if bool(slash) == (key == ORGANIZATION_PATHS) and _ORGANIZATION.fullmatch(name) else ""


def _of_organization(name: str) -> Principal:
    return Principal(f"any principal of organization {name}", organization=name)


def _below(path: str) -> Principal:
    """Accounts stand below a path that ends in a wildcard, and right in one that has none."""
    upper = path.removesuffix("/*")
    if set(upper) & set("*?$"):
        where = f"in a path like {plain(path)}"
    else:
        where = f"directly in {plain(path)}" if upper == path else f"below {plain(upper)}"
    return Principal(f"any principal {where}", organization=organization_of(path))


def one_source(conditions: Sequence[Condition]) -> bool | None:
    """Whether a source's ARN and its account, of one value each, can be the same source's; None if that can't be told."""
    arns, accounts = _only(conditions, SOURCE_ARN), _only(conditions, SOURCE_ACCOUNT)
    if arns is None or accounts is None or len(arns.values) > 1 or len(accounts.values) > 1:
        return None
    arn, account = arns.values[0], accounts.values[0]
    return _joined(arn, account) is not None if _legible(_account(arn)) and _legible(account) else None


def positive(operator: str, prefix: str) -> bool:
    """Whether an operator, with just this before it, lets through what fits one of its values."""
    return operator.startswith(prefix) and operator.removeprefix(prefix) in POSITIVE


def _only(conditions: Sequence[Condition], key: str, prefix: str = "") -> Condition | None:
    """The one condition that lets values of a key through; None if there is none, or more than one."""
    found = [item for item in conditions if item.key.lower() == key.lower() and positive(item.operator, prefix)]
    one = found[0] if len(found) == 1 and found[0].values else None
    # a wildcard is none for StringEquals, so that nobody is meant by it
    exact = one is not None and one.operator == f"{prefix}StringEquals"
    return None if one is not None and exact and any(set(item) & set("*?") for item in one.values) else one


def _account(arn: str) -> str:
    """The account of a source's ARN, "" if it names none, `?` if it is no ARN."""
    return names.arn_part(arn, 4) if names.arn_part(arn, 5) else "?"


def _legible(account: str) -> bool:
    return account in _ANY or re.fullmatch(names.ACCOUNT, account) is not None


def _joined(arn: str, account: str) -> str | None:
    """The ARN, narrowed to an account; None if it is another's."""
    its = _account(arn)
    if account in _ANY or its == account:
        return arn
    parts = arn.split(":", 5)
    return ":".join((*parts[:4], account, parts[5])) if its in _ANY else None


def _by_arn(name: str, condition: Condition) -> Iterator[Principal]:
    yield from (_of_arn(name, condition, arn) for arn in condition.values)


def _of_arn(name: str, condition: Condition, arn: str) -> Principal:
    account, region, what = (names.arn_part(arn, part) for part in (4, 3, 5))
    if arn == "*" or (account == "*" and what in ("*", "function:*") and region in _ANY):
        return Principal(f"{name} in any account", public=True)
    if not what or account == "" or not _legible(account):
        return Principal(f"{name} (if {replace(condition, values=(arn,))})", public=True)
    whose = "any account" if account == "*" else f"account {account}"
    public, account = account == "*", "" if account == "*" else account
    if what not in ("*", "function:*"):
        return Principal(f"{name} {plain(what)} of {whose}", account, public)
    return Principal(f"{name} in {whose}{'' if region in _ANY else f' in {plain(region)}'}", account, public)


def _by_account(name: str, condition: Condition, account: str) -> Principal:
    if account == "*":
        return Principal(f"{name} in any account", public=True)
    if re.fullmatch(names.ACCOUNT, account):
        return Principal(f"{name} in account {account}", account)
    return Principal(f"{name} (if {replace(condition, values=(account,))})", public=True)
