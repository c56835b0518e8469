"""What Google takes, each rule with its source. Pure."""

from __future__ import annotations

import re

from reconciler.model.marks import PREFIX

#: the services that are called, by their names before .googleapis.com
REGISTRY, IAM = "artifactregistry", "iam"
#: which permission each call needs: https://cloud.google.com/artifact-registry/docs/access-control#permissions,
#: https://cloud.google.com/iam/docs/permissions-reference
PERMISSIONS = {
    f"{service}:{operation}": f"{service}.{permission}"
    for service, operations in (
        (
            REGISTRY,
            {
                "ListRepositories": "repositories.list",
                "ListLocations": "locations.list",
                "GetRepository": "repositories.get",
                "CreateRepository": "repositories.create",
                "UpdateRepository": "repositories.update",
                "DeleteRepository": "repositories.delete",
                "GetIamPolicy": "repositories.getIamPolicy",
                "SetIamPolicy": "repositories.setIamPolicy",
                "ListPackages": "packages.list",
                "ListDockerImages": "dockerimages.list",
            },
        ),
        (
            IAM,
            {
                "GetServiceAccount": "serviceAccounts.get",
                "CreateServiceAccount": "serviceAccounts.create",
                "PatchServiceAccount": "serviceAccounts.update",
                "EnableServiceAccount": "serviceAccounts.enable",
                "DeleteServiceAccount": "serviceAccounts.delete",
                "GetIamPolicy": "serviceAccounts.getIamPolicy",
                "SetIamPolicy": "serviceAccounts.setIamPolicy",
            },
        ),
    )
    for operation, permission in operations.items()
}
#: seconds in which a create or a delete must be carried out: https://cloud.google.com/artifact-registry/docs/reference/rest/v1/projects.locations.operations
OPERATION = 600.0
#: the status of a write whose etag is no longer the policy's (hashicorp/terraform-provider-google#25305)
RACED = "ABORTED"
DENIED = "PERMISSION_DENIED"
#: the statuses with which a location that is not there is refused: hashicorp/terraform-provider-google#10184,
#: https://cloud.google.com/iam/docs/permission-error-messages ("or it may not exist")
NO_PLACE = ("INVALID_ARGUMENT", "NOT_FOUND", DENIED)
#: gcloud 528 (lib/googlecloudsdk/command_lib/artifacts/util.py), and for the 63:
#: https://cloud.google.com/artifact-registry/docs/repositories/create-repos
_REPOSITORY_ID = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
#: https://cloud.google.com/iam/docs/service-accounts-create (6 to 30 characters)
_ACCOUNT_ID = re.compile(r"[a-z][-a-z0-9]{4,28}[a-z0-9]")
#: https://cloud.google.com/artifact-registry/docs/repositories/label-repos (at most 64; keys begin with a letter)
_LABEL_KEY = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_LABEL_VALUE = re.compile(r"[a-z0-9_-]{0,63}")
#: of 64; the rest is kept for marks
MAX_LABELS = 56
#: https://cloud.google.com/kms/docs/getting-resource-ids
_KEY = re.compile(r"projects/[^/\s]+/locations/([a-z0-9-]+)/keyRings/[\w-]{1,63}/cryptoKeys/[\w-]{1,63}")
#: the form of a region or a multi-region: https://cloud.google.com/artifact-registry/docs/repositories/repo-locations
LOCATION = r"[a-z]+(-[a-z]+[0-9]+)?"
_MULTI_REGIONS = {"eu": "europe"}
#: https://cloud.google.com/iam/docs/principal-identifiers; a user belongs to a person and is granted through a group. A value is
#: compared whole: in none of them `*` stands for a part of it
_POOL = r"//iam\.googleapis\.com/(projects/[0-9]+/locations/global/workloadIdentityPools|locations/global/workforcePools)/[^/\s]+"
#: the pool of GKE, which each project with clusters has
_GKE = r"//iam\.googleapis\.com/projects/[0-9]+/locations/global/workloadIdentityPools/[a-z0-9.:-]+\.svc\.id\.goog"
MEMBER = (
    r"serviceAccount:[a-z0-9.-]+@[a-z0-9.-]+\.gserviceaccount\.com"
    r"|serviceAccount:[a-z0-9.:-]+\.svc\.id\.goog\[[a-z0-9-]+/[a-z0-9-]+\]"
    r"|group:[^\s@:]+@[a-z0-9.-]+"
    rf"|principal:{_POOL}/subject/[^\s*]+"
    rf"|principal:{_GKE}/kubernetes\.serviceaccount\.uid/[^\s*/]+"
    rf"|principalSet:{_GKE}/(namespace/[a-z0-9-]+|kubernetes\.cluster/https://container\.googleapis\.com/v1/projects/[^\s*]+)"
    r"|principalSet://cloudresourcemanager\.googleapis\.com/projects/[0-9]+/type/ServiceAccount"
    rf"|principalSet:{_POOL}/(group/[^\s*]+|attribute\.[a-z0-9_]+/[^\s*]+|\*)"
    r"|allUsers|allAuthenticatedUsers"
)
MEMBER_SAYS = (
    "a principal as Google writes it: serviceAccount:EMAIL, group:EMAIL, principal://... or principalSet://..."
)

#: what IAM says where an account is not there, as well as where who asks may not see it; the second of `-` as the project:
#: hashicorp/terraform-provider-google#15042, https://github.com/sethvargo/vault-on-gke/issues/33
_OR_NOT_THERE = re.compile(r"may not exist|is required to perform this operation on service account")


def member_fault(member: str) -> str | None:
    """What is wrong with a member that a spec can't name, where more is known than that; None elsewhere."""
    kind, _, who = member.partition(":")
    if kind == "user":
        return f"'{member}' is a person, whom no spec names: put them into a group, and write group:EMAIL"
    if kind == "domain":
        return f"'{member}' is everyone of a domain: make a group of those who need it, and write group:EMAIL"
    if kind not in ("principal", "principalSet"):
        return None
    if who.startswith(
        ("//cloudresourcemanager.googleapis.com/folders/", "//cloudresourcemanager.googleapis.com/organ")
    ):
        return (
            f"'{member}' is of a folder or an organization, whose projects only Google knows: name each project"
            " (principalSet://cloudresourcemanager.googleapis.com/projects/NUMBER/type/ServiceAccount), or a group"
        )
    if "*" in re.sub(r"Pools/[^/]+/\*$", "", who):
        return "Google compares values whole: '*' can only be all of a pool (principalSet://.../*), no part of a value"
    pool = re.match(r"//(?:iam|cloudresourcemanager)\.googleapis\.com/projects/([^/]+)/", who)
    if pool and not pool[1].isdecimal():
        return (
            f"Google names a project here by its number, and '{pool[1]}' is an id; to see the number, run `gcloud projects describe"
            f" {pool[1]} --format='value(projectNumber)'`"
        )
    if not pool and "/workloadIdentityPools/" in who:
        return f"a workload identity pool is one of a project: {kind}://iam.googleapis.com/projects/NUMBER/locations/global/..."
    return None


#: what the one Artifact Registry repository of layout `shared` has once, for all images in it
SHARED = ("immutable_tags", "scan_on_push", "retention", "encryption", "labels")


def repository_id_fault(identifier: str) -> str | None:
    """Why it can't be the id of an Artifact Registry repository, or None."""
    if _REPOSITORY_ID.fullmatch(identifier):
        return None
    return (
        f"Artifact Registry refuses the repository id '{identifier}': at most 63 lower-case letters, digits and dashes"
    )


def account_id_fault(identifier: str) -> str | None:
    """Why it can't be the id of a service account, or None."""
    if _ACCOUNT_ID.fullmatch(identifier):
        return None
    return (
        f"its service account would be '{identifier}' ({len(identifier)} characters); Google takes 6 to 30 lower-case letters, digits"
        " and dashes"
    )


def no_location(location: str) -> str:
    """What a location that Google does not have is called there; "" for one that it may have."""
    return _MULTI_REGIONS.get(location, "")


def public(member: str) -> str | None:
    """Why a member that is everyone can't be named as one, or None."""
    if member == "allAuthenticatedUsers":
        return "'allAuthenticatedUsers' is anyone with a Google account, which is anyone"
    return "'allUsers' is anyone" if member == "allUsers" else None


def label_fault(key: str, value: str) -> str | None:
    """What is wrong with a label, or None."""
    if key.startswith(PREFIX):
        return f"keys that start with '{PREFIX}' are reserved"
    if not _LABEL_KEY.fullmatch(key):
        return "Google allows keys of at most 63 lower-case letters, digits, '_' and '-', that begin with a letter"
    if not _LABEL_VALUE.fullmatch(value):
        return "Google allows values of at most 63 lower-case letters, digits, '_' and '-'"
    return None


def prefix_fault(pattern: str) -> str | None:
    """Why the tags that a pattern matches are no prefix, which is all that a cleanup policy can match; or None.

    https://cloud.google.com/artifact-registry/docs/repositories/cleanup-policy (tagPrefixes)
    """
    prefix = pattern.rstrip("*")
    start = prefix.partition("*")[0]
    rule = "Google keeps images by the beginning of a tag"
    if "*" in prefix and not start:
        return f"{rule}, not by its end or its middle as in '{pattern}': give the tags to keep one beginning, and write 'BEGINNING*'"
    if "*" in prefix:
        return f"{rule}: '{pattern}' has a wildcard before its end; '{start}*' keeps these, and all others that begin with '{start}'"
    if pattern == prefix:
        return f"{rule}: '{pattern}' alone can't be kept; write '{pattern}*'"
    return None


def key_fault(key: str, location: str) -> str | None:
    """Why a key can't encrypt repositories in a location, or None.

    https://cloud.google.com/artifact-registry/docs/cmek (the key's location is the repository's)
    """
    match = _KEY.fullmatch(key)
    if match is None:
        return "must be a key of Cloud KMS: projects/PROJECT/locations/LOCATION/keyRings/RING/cryptoKeys/KEY"
    if match.group(1) != location:
        return f"the key is in {match.group(1)}, the registry in {location}"
    return None


def differs(field: str, registry: str, other: str) -> str:
    """That two repositories of layout `shared` differ where they can't."""
    return (
        f"registry {registry} has layout: shared: its repositories are one on Google Cloud, and {field} must be the same for all of"
        f" them; that of {other} is another: use layout: repository, or make them the same (in defaults, say)"
    )


def is_unknown(status: str, message: str) -> bool:
    """Whether IAM does not know what was asked about, or may not: of an account that was made a moment ago it says "not there" or
    "forbidden", now and then (GoogleCloudPlatform/magic-modules#8815, hashicorp/terraform-provider-google#19624)."""
    return status == "NOT_FOUND" or (status == "PERMISSION_DENIED" and bool(_OR_NOT_THERE.search(message)))
