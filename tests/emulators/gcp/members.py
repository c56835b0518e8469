"""What IAM refuses of an allow policy. Pure functions; each rule has its source, and test_gcp_rules.py a line for it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from .wire import Document, invalid

EMAIL = r"[^@\s:?/\[\]]+@[^@\s:?/\[\]]+"
_POOL = r"//iam\.googleapis\.com/(locations/global/workforcePools|projects/\d+/locations/global/workloadIdentityPools)/[^/]+"
#: https://cloud.google.com/iam/docs/principal-identifiers, and `members` in the discovery document
MEMBERS = tuple(
    re.compile(pattern)
    for pattern in (
        "allUsers",
        "allAuthenticatedUsers",
        f"(user|group|serviceAccount):{EMAIL}",
        r"serviceAccount:[^\[\]]+\.svc\.id\.goog\[[^/\[\]]+/[^/\[\]]+\]",
        r"domain:[a-zA-Z0-9.-]+\.[a-zA-Z]+",
        rf"principal:{_POOL}/subject/.+",
        rf"principal:{_POOL}\.svc\.id\.goog/kubernetes\.serviceaccount\.uid/.+",
        rf"principalSet:{_POOL}/(group/.+|attribute\.[^/]+/.+|\*)",
        rf"principalSet:{_POOL}\.svc\.id\.goog/(namespace/[^/]+|kubernetes\.cluster/.+)",
        r"principalSet://cloudresourcemanager\.googleapis\.com/(projects|folders|organizations)/\d+/.+",
        rf"deleted:(user|group|serviceAccount):{EMAIL}\?uid=\d+",
        rf"deleted:principal:{_POOL}/subject/.+",
    )
)
ROLE_FORM = (
    'The role name must be in the form "roles/{role}", "organizations/{organization_id}/roles/{role}", or '
    '"projects/{project_id}/roles/{role}".'
)


def all_members(bindings: Iterable[Document]) -> Iterator[str]:
    """Each member of each binding: one of two bindings comes twice."""
    for binding in bindings:
        yield from binding.get("members", [])


def check_role(role: str, prefixes: tuple[str, ...]) -> None:
    """https://github.com/kubernetes/k8s.io/pull/3968: the form; https://github.com/hashicorp/terraform-provider-google/issues/9130: a
    role of another service. `prefixes`: what predefined roles of this kind of resource start with; none: any."""
    if not re.fullmatch(r"((organizations|projects)/[^/]+/)?roles/[A-Za-z0-9_.]+", role):
        raise invalid(ROLE_FORM)
    if prefixes and role.startswith("roles/") and not role.startswith(prefixes):
        raise invalid(f"Role {role} is not supported for this resource.")


def check_member(member: str) -> None:
    """https://github.com/GoogleCloudPlatform/python-docs-samples/issues/11037: a member without a type. A member that has one but is
    none gives a 400 that names nobody: https://github.com/hashicorp/terraform-provider-google/issues/12989."""
    if any(known.fullmatch(member) for known in MEMBERS):
        return
    if ":" not in member:
        raise invalid(
            "Policy members must be prefixed of the form '<type>:<value>', where <type> is 'domain', 'group', "
            "'serviceAccount', or 'user'."
        )
    raise invalid()


def check_counts(bindings: Iterable[Document]) -> None:
    """https://artifactregistry.googleapis.com/$discovery/rest?version=v1, Policy.bindings: 1,500 principals, 250 of them groups, each
    occurrence counts. The text: https://github.com/kubeflow/pipelines/issues/1146."""
    members = list(all_members(bindings))
    if len(members) > 1500:
        raise invalid(
            f"The number of members in the policy ({len(members):,}) is larger than the maximum allowed size 1,500."
        )
    groups = sum(member.startswith(("group:", "domain:")) for member in members)
    if groups > 250:
        raise invalid(f"The number of groups in the policy ({groups}) is larger than the maximum allowed size 250.")


def check_permitted(members: Iterable[str], permitted: set[str]) -> None:
    """Domain-restricted sharing: https://github.com/terraform-google-modules/terraform-example-foundation/issues/1257.

    `permitted`: the domains and projects of the organization.
    """
    for member in members:
        home = member.rpartition("@")[2].removesuffix(".iam.gserviceaccount.com")
        # Google's own agents and whoever is deleted are nobody's customers
        if home.startswith("gcp-sa-") or member.startswith("deleted:"):
            continue
        if home.removeprefix("domain:") not in permitted:
            raise invalid(
                "One or more users named in the policy do not belong to a permitted customer, perhaps due to an organization policy."
            )


def check_conditions(version: int, sent: Iterable[Document], stored: Iterable[Document], has_etag: bool) -> None:
    """https://artifactregistry.googleapis.com/$discovery/rest?version=v1, Policy.version: 0, 1 or 3; whatever touches a policy with
    conditions must say 3. Without an etag a policy of version 1 overwrites one with conditions."""
    if version not in (0, 1, 3):
        raise invalid(f"Invalid policy version {version}.")
    conditional = any("condition" in binding for binding in sent)
    if version != 3 and (conditional or (has_etag and any("condition" in binding for binding in stored))):
        raise invalid("A policy with conditional role bindings must specify version 3.")


def merged(bindings: Iterable[Document]) -> list[Document]:
    """One binding for each role and condition, each member once, in the order in which they came.

    https://artifactregistry.googleapis.com/$discovery/rest?version=v1, Policy.bindings: each must contain at least one principal.
    """
    found: dict[str, Document] = {}
    for binding in bindings:
        if not binding.get("members"):
            raise invalid()
        same = found.setdefault(f"{binding.get('role')} {binding.get('condition')}", {**binding, "members": []})
        same["members"] += [member for member in dict.fromkeys(binding["members"]) if member not in same["members"]]
    return list(found.values())
