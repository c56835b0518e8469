"""What the subject of a token must say, so that a role trusts whom its owner means, and how whom it trusts is said. Pure.

Some OpenID Connect providers serve everybody: whoever has an account there gets tokens of the same issuer, and the subject alone
says whose they are. Others belong to one organization, a cluster or a workspace, and any subject of theirs is its own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from reconciler.words import any_of

from .condition import Condition, plain

#: what tokens for AWS are issued for where nobody asks for anything else: https://github.com/aws-actions/configure-aws-credentials#oidc
USUAL_AUDIENCE = "sts.amazonaws.com"
GITHUB = "token.actions.githubusercontent.com"
#: https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_oidc_secure-by-default.html (shared OIDC providers), and those
#: that AWS has built in (https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_create_for-idp_oidc.html)
SHARED = frozenset(
    {
        GITHUB,
        "vstoken.actions.githubusercontent.com",
        "oidc-configuration.audit-log.githubusercontent.com",
        "gitlab.com",
        "app.terraform.io",
        "agent.buildkite.com",
        "oidc.codefresh.io",
        "studio.datachain.ai/api",
        "scalr.io",
        "tokens.cloud.shisho.dev",
        "proidc.upbound.io",
        "api.pulumi.com/oidc",
        "sandboxes.cloud",
        "oidc.vercel.com",
        "accounts.google.com",
        "www.amazon.com",
        "graph.facebook.com",
        "cognito-identity.amazonaws.com",
    }
)
_EXACT = r"[^*?:/]+"
#: a text without wildcards, or one with none before the end of its second part (a scheme is no part)
_SAYS_WHOSE = re.compile(rf"[^*?]+|([a-z]+://|(?![a-z]+://)){_EXACT}[:/]+{_EXACT}[:/].*", re.DOTALL)
#: claims that say whose run it is. `job_workflow_ref` says whose reusable workflow, which anybody may call; others are set by whoever
#: runs it (https://docs.github.com/en/actions/reference/security/oidc). A colon inside a value is written as %3A there
_RUN = re.compile(
    rf"(?:^|:)(?:repo|repository|repository_id|repository_owner|repository_owner_id|organization|enterprise):{_EXACT}(?:[:/]|$)"
)


def subject_fault(provider: str, subject: str) -> str | None:
    """Why a subject of the provider says too little, as the end of a sentence about it, or None."""
    if provider not in SHARED:
        anybody = set(subject) <= set("*?")
        return "matches every user of the provider: give at least the beginning of a subject" if anybody else None
    if _SAYS_WHOSE.fullmatch(subject) is None:
        return (
            f"must be a subject with no wildcard in its first two parts: {provider} serves everyone, and those parts say"
            " whose it is, such as repo:my-org/ or project_path:my-group/"
        )
    if provider == GITHUB and _RUN.search(subject) is None:
        if subject.startswith("job_workflow_ref:"):
            return (
                "says whose reusable workflow it is, which anyone on GitHub can call, but not who runs it: add the caller's"
                " repository, such as repo:my-org/*:job_workflow_ref:..."
            )
        return "must name its owner (repo:my-org/...), or anyone's workflows on GitHub could log in"
    return None


def workloads(provider: str, conditions: Sequence[Condition]) -> tuple[str, tuple[Condition, ...]]:
    """Whom an OpenID Connect provider vouches for, in words, and the conditions that these leave out. The usual audience is not said.

    Whose account the provider is in is not said either: it is the role's own, since IAM looks for it in no other.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_create_for-idp_oidc.html
    """
    subject, audience = (_only(conditions, f"{provider}:{claim}") for claim in ("sub", "aud"))
    rest = tuple(item for item in conditions if item not in (subject, audience))
    given = _given("subject", subject)
    if audience is None and not any(item.key.lower() == f"{provider}:aud".lower() for item in rest):
        given.append("any audience")
    elif audience is not None and (audience.operator, audience.values) != ("StringEquals", (USUAL_AUDIENCE,)):
        given += _given("audience", audience)
    who = "workloads" if subject is not None else "any workload"
    return f"{who} of {plain(provider)}{' with ' if given else ''}{' and '.join(given)}", rest


def _given(what: str, condition: Condition | None) -> list[str]:
    if condition is None:
        return []
    exact = condition.operator == "StringEquals"
    return [f"{f'the {what}' if exact else f'a {what} like'} {any_of([plain(item) for item in condition.values])}"]


def _only(conditions: Sequence[Condition], key: str) -> Condition | None:
    """The one condition on a claim, if it lets through what is, or is like, one of its values."""
    found = [item for item in conditions if item.key.lower() == key.lower()]
    one = found[0] if len(found) == 1 and found[0].values else None
    return one if one is not None and one.operator in ("StringEquals", "StringLike") else None
