"""What the subject of a token must say, so that a role trusts whom its owner means. Pure.

Some OpenID Connect providers serve everybody: whoever has an account there gets tokens of the same issuer, and the subject alone
says whose they are. Others belong to one organization, a cluster or a workspace, and any subject of theirs is its own.
"""

from __future__ import annotations

import re

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
        return "is everybody whom the provider knows: say at least how the subject begins" if anybody else None
    if _SAYS_WHOSE.fullmatch(subject) is None:
        return (
            f"must be a subject with no wildcard in its first two parts: {provider} serves everybody, and they say whose it is,"
            " such as repo:my-org/ or project_path:my-group/"
        )
    if provider == GITHUB and _RUN.search(subject) is None:
        if subject.startswith("job_workflow_ref:"):
            return (
                "says whose the reusable workflow is, which anybody on GitHub may call, and not who runs it: add whose repository,"
                " such as repo:my-org/*:job_workflow_ref:..."
            )
        return "must say whose it is (repo:my-org/...), or workflows of anybody on GitHub could log in"
    return None
