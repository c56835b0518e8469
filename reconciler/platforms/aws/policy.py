"""IAM policy documents by meaning: two that say the same in other words compare equal. Pure.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any

from reconciler.model.access import ADMIN as CHANGE_OR_DELETE
from reconciler.model.access import Principal
from reconciler.model.canonical import text
from reconciler.words import Named, quoted

from . import federation, names, sources
from .condition import Condition, plain

PULL = ("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")
#: what Lambda needs, and no more: https://docs.aws.amazon.com/lambda/latest/dg/images-permissions.html
WORKER_PULL = ("ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")
PUSH = ("ecr:CompleteLayerUpload", "ecr:InitiateLayerUpload", "ecr:PutImage", "ecr:UploadLayerPart")
#: what lists and describes images, repositories and scan findings, and changes nothing
READ = ("ecr:DescribeImageScanFindings", "ecr:DescribeImages", "ecr:DescribeRepositories", "ecr:ListImages")
#: what a registry policy allows: https://docs.aws.amazon.com/AmazonECR/latest/userguide/registry-permissions.html
REGISTRY = ("ecr:BatchImportUpstreamImage", "ecr:CreateRepository", "ecr:ReplicateImage")
#: everything that a repository policy can allow
EVERYTHING = ("ecr:*",)
#: with any of these a principal can widen its own access or destroy images
ADMIN = ("ecr:SetRepositoryPolicy", "ecr:DeleteRepositoryPolicy", "ecr:DeleteRepository", "ecr:BatchDeleteImage")
LOGIN = "ecr:GetAuthorizationToken"
LAMBDA = "service:lambda.amazonaws.com"
#: https://docs.aws.amazon.com/STS/latest/APIReference/API_Operations.html
ASSUME = ("sts:AssumeRole", "sts:AssumeRoleWithSAML", "sts:AssumeRoleWithWebIdentity")

_SPELLED = {
    action.lower(): action for action in (*PULL, *PUSH, *READ, *ADMIN, *REGISTRY, LOGIN, *ASSUME, "sts:TagSession")
}
#: what AWS puts in the place of a principal that was deleted: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html
_DELETED = re.compile(r"A(ROA|IDA|GPA|IPA)[A-Z0-9]{12,}")
_DELETED_KINDS = {"AROA": "role", "AIDA": "user", "AGPA": "group", "AIPA": "instance profile"}
#: AWS's spelling of the global condition keys, which it compares without case:
#: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
_KEYS = (
    "aws:CalledVia",
    "aws:CalledViaFirst",
    "aws:CalledViaLast",
    "aws:CurrentTime",
    "aws:EpochTime",
    "aws:FederatedProvider",
    "aws:MultiFactorAuthAge",
    "aws:MultiFactorAuthPresent",
    "aws:PrincipalAccount",
    "aws:PrincipalArn",
    "aws:PrincipalIsAWSService",
    "aws:PrincipalOrgID",
    "aws:PrincipalOrgPaths",
    "aws:PrincipalServiceName",
    "aws:PrincipalServiceNamesList",
    "aws:PrincipalType",
    "aws:RequestedRegion",
    "aws:ResourceAccount",
    "aws:ResourceOrgID",
    "aws:ResourceOrgPaths",
    "aws:SecureTransport",
    "aws:SourceAccount",
    "aws:SourceArn",
    "aws:SourceIdentity",
    "aws:SourceIp",
    "aws:SourceOrgID",
    "aws:SourceOrgPaths",
    "aws:SourceVpc",
    "aws:SourceVpcArn",
    "aws:SourceVpce",
    "aws:TokenIssueTime",
    "aws:UserAgent",
    "aws:ViaAWSService",
    "aws:VpcSourceIp",
    "aws:VpceAccount",
    "aws:VpceOrgID",
    "aws:VpceOrgPaths",
    "aws:referer",
    "aws:userid",
    "aws:username",
)
_SPELLED_KEYS = {key.lower(): key for key in _KEYS}
#: kinds of principals that stand as a prefix in `Statement.principals`
_KINDS = {kind.lower(): kind for kind in ("Service", "Federated", "CanonicalUser")}
#: what people call the kinds of identity providers
_PROVIDERS = {"saml-provider": "SAML provider"}
_ROOT = re.compile(r"arn:aws[a-z-]*:iam::([0-9]{12}):root")
Document = dict[str, Any]


def named(sid: str) -> str:
    """A statement for people."""
    if not sid:
        return "a statement without a Sid"
    return f"statement {quoted(sid)}" if "'" in sid else f"statement '{sid}'"


@dataclass(frozen=True, slots=True, order=True)
class Statement:
    """One statement in one form: sorted, lists everywhere, an account as its id, actions as AWS spells them.

    `principals`: `123456789012`, an ARN, `*`, or `service:lambda.amazonaws.com`.
    `other`: whatever else it holds (NotPrincipal, Resource, ...) as canonical text, so that nothing counts as equal by neglect.
    """

    sid: str
    principals: tuple[str, ...]
    actions: tuple[str, ...]
    conditions: tuple[Condition, ...] = ()
    effect: str = "Allow"
    other: str = ""


def listed(value: Any) -> list[Any]:
    """A policy's value as a list: one string means a list of one."""
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def statements_of(document: Document) -> list[Document]:
    """A document's statements as they are."""
    return [item for item in listed(document.get("Statement")) if isinstance(item, dict)]


def parsed(document_text: str | None) -> Document:
    """A document's text as a mapping; an empty one if there is none or it is no JSON object."""
    try:
        document = json.loads(document_text or "{}")
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def in_order(value: Any) -> Any:
    """A statement, or a part of one, with every list in one order and a list of one as that: AWS answers them in any order
    (crossplane-contrib/provider-aws#780), and either way."""
    if isinstance(value, dict):
        return {key: in_order(item) for key, item in value.items()}
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        return value
    found = sorted(set(value))
    return found[0] if len(found) == 1 else found


def missing(these: Iterable[Document], those: Collection[Document]) -> list[Document]:
    """The statements of these that are not among those, in whatever order their parts are. One whose id stands there with something
    else is there too: whoever made it has made it anew."""
    there = [in_order(item) for item in those]
    names = {item.get("Sid") for item in those} - {None, ""}
    return [item for item in these if in_order(item) not in there and item.get("Sid") not in names]


def normal(statement: Document) -> Statement:
    """The statement in its one form."""
    known = {"Sid", "Effect", "Principal", "Action", "Condition"}
    other = {key: in_order(value) for key, value in statement.items() if key not in known}
    principals = _shared(tuple(sorted(set(_principals(statement.get("Principal"))))))
    return Statement(
        sid=str(statement.get("Sid", "")),
        principals=principals,
        actions=_shared(tuple(sorted({spelled(str(action)) for action in listed(statement.get("Action"))}))),
        conditions=tuple(sorted(set(_conditions(statement.get("Condition"), principals)))),
        effect=str(statement.get("Effect", "Allow")),
        other=text(other) if other else "",
    )


def document_of(statement: Statement, partition: str) -> Document:
    """The statement as AWS wants it: the other way round from `normal`. What no document can say (two conditions of one operator and
    key, say) is not in it, so that `normal` gives another statement then."""
    found: Document = {"Sid": statement.sid} if statement.sid else {}
    found["Effect"] = statement.effect
    if statement.principals:
        found["Principal"] = _kinds(statement.principals, partition)
    if statement.actions:
        found["Action"] = list(statement.actions)
    if statement.conditions:
        found["Condition"] = {}
    spelling: dict[tuple[str, str], str] = {}
    for condition in statement.conditions:
        key = spelling.setdefault((condition.operator, condition.key.lower()), condition.key)
        found["Condition"].setdefault(condition.operator, {})[key] = list(condition.values)
    return parsed(statement.other) | found


def whole(principal: str, partition: str) -> str:
    """An account id as its root ARN; anything else as it is."""
    return names.root_arn(principal, partition) if principal == names.account_of(principal) else principal


def _kinds(principals: Iterable[str], partition: str) -> dict[str, list[str]]:
    """Principals by what AWS calls their kind."""
    found: dict[str, list[str]] = {}
    for principal in principals:
        prefix, _, name = principal.partition(":")
        kind = _KINDS.get(prefix)
        found.setdefault(kind or "AWS", []).append(name if kind else whole(principal, partition))
    return found


@lru_cache(maxsize=4096)
def _shared(texts: tuple[str, ...]) -> tuple[str, ...]:
    """The same texts, as the one tuple that all statements with them share: a large estate has few different ones."""
    return texts


def spelled(action: str) -> str:
    """An action as AWS spells it; actions are compared without case."""
    return _SPELLED.get(action.lower(), action.lower())


def account_or(principal: str) -> str:
    """An account's root ARN as the account id: they mean the same. Anything else as it is."""
    match = _ROOT.fullmatch(principal)
    return match.group(1) if match else principal


def _principals(value: Any) -> Iterator[str]:
    if not isinstance(value, dict):
        yield from (account_or(str(item)) for item in listed(value))
        return
    for kind, items in value.items():
        prefix = "" if kind == "AWS" else f"{kind.lower()}:"
        yield from (prefix + (account_or(str(item)) if kind == "AWS" else str(item)) for item in listed(items))


def _conditions(value: Any, principals: tuple[str, ...]) -> Iterator[Condition]:
    for operator, keys in (value or {}).items() if isinstance(value, dict) else ():
        for key, values in keys.items() if isinstance(keys, dict) else ():
            texts = tuple(sorted(_text(item) for item in listed(values)))
            name = _SPELLED_KEYS.get(str(key).lower(), str(key))
            prefix = sources.ANY_VALUE if str(operator).startswith(sources.ANY_VALUE) else ""
            usual = _usual(str(operator).removeprefix(prefix), name, texts, principals)
            yield Condition(prefix + usual, name, texts)


def _usual(operator: str, key: str, values: tuple[str, ...], principals: tuple[str, ...]) -> str:
    """The operator that is written for all that mean the same: which are equal without a wildcard or a variable in a value, and
    ArnEquals and ArnLike, which are so always.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html#Conditions_ARN
    """
    if operator == "ArnEquals":
        operator = "ArnLike"
    if operator not in sources.POSITIVE or not values or any(set(item) & set("*?$") for item in values):
        return operator
    arns = all(item.startswith("arn:") and names.arn_part(item, 5) for item in values)
    if not arns and operator == "ArnLike":
        return operator
    if key == sources.ORGANIZATION_PATHS:
        return "StringLike"
    if key != sources.SOURCE_ARN or not arns:
        return "StringEquals"
    return "StringLike" if principals == (LAMBDA,) else "ArnLike"


def _text(value: Any) -> str:
    """A condition's value, which JSON may have as a truth value or a number."""
    return json.dumps(value) if isinstance(value, bool) else str(value)


def is_deleted(principal: str) -> bool:
    """Whether it is the bare id that AWS shows for a principal that was deleted."""
    return _DELETED.fullmatch(principal) is not None


def deleted_kind(principal: str) -> str:
    """What a deleted principal was: role, user, group or instance profile."""
    return _DELETED_KINDS.get(principal[:4], "principal")


def who(principal: str, conditions: Iterable[Condition] = ()) -> list[Principal]:
    """The principal in words, with its conditions, which narrow it. A service that acts for several accounts is one
    principal for each of them, so that adding an account is no loss for another."""
    conditions = tuple(conditions)
    if principal.startswith("federated:"):
        principal = principal.removeprefix("federated:")
    account = names.account_of(principal)
    if principal.startswith("service:"):
        found, rest = sources.of_service(principal.removeprefix("service:"), conditions)
        return [replace(item, label=item.label + suffix(rest)) for item in found]
    narrowed = suffix(conditions)
    if principal == "*":
        found, rest = sources.of_everyone(conditions)
        return [replace(item, label=item.label + suffix(rest)) for item in found]
    if is_deleted(principal):
        return [Principal(f"a deleted {deleted_kind(principal)} ({principal}){narrowed}")]
    if principal == account:
        return [Principal(f"account {account}{narrowed}", account)]
    kind, _, name = principal.rpartition(":")[2].partition("/")
    if kind == "oidc-provider" and account and name:
        label, rest = federation.workloads(name, conditions)
        return [Principal(label + suffix(rest), account)]
    kind = _PROVIDERS.get(kind) or plain(kind)
    label = f"{kind} {plain(name)} of account {plain(account)}" if account and name else plain(principal)
    return [Principal(label + narrowed, account)]


def suffix(conditions: Collection[Condition]) -> str:
    """What narrows a principal, in words: ` (if StringEquals aws:SourceVpc vpc-1)`; "" if nothing does."""
    return f" (if {' and '.join(map(str, conditions))})" if conditions else ""


def principals_shown(principals: Iterable[str]) -> dict[str, list[Named]]:
    """Principals as the field `principals` shows them; no field for a statement that names none (NotPrincipal)."""
    found = [Named(item, _shown(item)) for item in principals]
    return {"principals": found} if found else {}


def _shown(principal: str) -> str:
    kind, _, name = principal.partition(":")
    # whom it acts for is said beside it, by the conditions
    return sources.service_name(name) if kind == "service" else " and ".join(one.label for one in who(principal))


def conditions_shown(conditions: Iterable[Condition]) -> list[Named]:
    """Conditions as a field shows them."""
    return [Named(f"{item.operator} {item.key} {', '.join(item.values)}", str(item)) for item in conditions]


def may_shown(actions: tuple[str, ...]) -> list[Named]:
    """What actions allow as a field shows it: pull, push and read where they are just these, else every action."""
    if actions == EVERYTHING:
        return [Named("admin")]
    usual = [(*one, *more) for one in (PULL, WORKER_PULL, (*PULL, *PUSH)) for more in ((), READ)]
    known = any(actions == tuple(sorted(one)) for one in usual)
    return [Named(item) for item in (verbs(actions) if known else actions)]


def resources_shown(resources: Iterable[str]) -> list[Named]:
    """Resources as a field shows them: `images-* in us-east-1` of this registry's, else the ARN."""
    return [Named(item, _resource(item)) for item in resources]


def _resource(arn: str) -> str:
    region, (kind, _, name) = names.arn_part(arn, 3), names.arn_part(arn, 5).partition("/")
    if names.arn_part(arn, 2) == "ecr" and kind == "repository" and name and region:
        account = names.arn_part(arn, 4)
        whose = "any account" if account == "*" else f"account {plain(account)}"
        return f"{plain(name)} in {'any region' if region == '*' else plain(region)} of {whose}"
    return plain(arn)


def of_role(role: str) -> tuple[str, ...]:
    """What a registry's role (pull or push) may do with images, sorted."""
    return tuple(sorted(PULL if role == "pull" else (*PULL, *PUSH)))


def verbs(actions: Iterable[str]) -> list[str]:
    """What the actions allow, in words: pull, push, or something that a registry's users should not have."""
    patterns = [action.lower() for action in actions]

    def allows(action: str) -> bool:
        return any(fnmatchcase(action.lower(), pattern) for pattern in patterns)

    found = []
    if all(allows(action) for action in WORKER_PULL):
        found.append("pull")
    if all(allows(action) for action in PUSH):
        found.append("push")
    if all(allows(action) for action in READ):
        found.append("read")
    if any(allows(action) for action in ADMIN):
        found.append(CHANGE_OR_DELETE)
    return found or [f"perform {', '.join(sorted(actions))} on"]
