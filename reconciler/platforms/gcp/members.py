"""Members of Google's allow policies: who they are, in words, and whether two texts name the same one. Pure.

https://cloud.google.com/iam/docs/principal-identifiers
"""

from __future__ import annotations

import re
from urllib.parse import unquote

from reconciler.model.access import Principal

DELETED = "deleted:"
_UID = re.compile(r"\?uid=[0-9]+$")
#: a service account of a project; a domain-scoped project's id stands in it backwards: `p.example.com` of `example.com:p`
_OF_PROJECT = re.compile(r"(?P<id>[^@]+)@(?P<project>[a-z0-9.-]+)\.iam\.gserviceaccount\.com")
#: https://cloud.google.com/iam/docs/service-agents, https://cloud.google.com/compute/docs/access/service-accounts
_WORKER = re.compile(r"service-(?P<number>[0-9]+)@serverless-robot-prod\.iam\.gserviceaccount\.com")
_COMPUTE = re.compile(r"(?P<number>[0-9]+)-compute@developer\.gserviceaccount\.com")
_KUBERNETES = re.compile(r"(?P<project>[a-z0-9.:-]+)\.svc\.id\.goog\[(?P<name>[^\]]+)\]")
_POOL = re.compile(
    r"//iam\.googleapis\.com/(?:projects/(?P<number>[^/]+)/)?locations/[^/]+/(?:workloadIdentityPools|workforcePools)/(?P<pool>[^/]+)/"
    r"(?P<rest>.+)"
)
_ALL_ACCOUNTS = re.compile(r"//cloudresourcemanager\.googleapis\.com/projects/(?P<number>[0-9]+)/type/ServiceAccount")
#: kinds whose names are addresses of mail, which Google compares without their case
_MAIL = ("user", "serviceAccount", "group", "domain")


def worker(number: str) -> str:
    """Cloud Run's service agent of a project."""
    return f"serviceAccount:service-{number}@serverless-robot-prod.iam.gserviceaccount.com"


def compute(number: str) -> str:
    """The default service account of a project's nodes."""
    return f"serviceAccount:{number}-compute@developer.gserviceaccount.com"


def domain_of(project: str) -> str:
    """What follows the @ in the emails of a project's service accounts."""
    domain, _, name = project.rpartition(":")
    return f"{name}.{domain}.iam.gserviceaccount.com" if domain else f"{project}.iam.gserviceaccount.com"


def is_deleted(member: str) -> bool:
    """Whether the principal was deleted; a new one of its name is another one.

    https://cloud.google.com/iam/docs/service-accounts-delete-undelete
    """
    return member.startswith(DELETED)


def normal(member: str) -> str:
    """The one form of a member's name; of a deleted one, the name that it had."""
    name = _UID.sub("", member.removeprefix(DELETED)) if is_deleted(member) else member
    kind, colon, who = name.partition(":")
    return f"{kind}:{who.lower()}" if colon and kind in _MAIL else name


def principal(member: str) -> Principal:
    """Who it is, and whose: a project by its id or number, or a domain."""
    if is_deleted(member):
        return Principal(f"the deleted {principal(normal(member)).label}")
    if member in ("allUsers", "allAuthenticatedUsers"):
        signed_in = " with a Google account" if member != "allUsers" else ""
        return Principal(f"anyone{signed_in}", public=True)
    kind, _, who = member.partition(":")
    if kind == "serviceAccount":
        return _service_account(who)
    if kind in ("principal", "principalSet"):
        return _federated(kind, who)
    domain = who.rpartition("@")[2]
    words = {"user": "user {}", "group": "group {}", "domain": "everyone of the domain {}"}
    if kind in words:
        return Principal(words[kind].format(who), domain)
    # https://cloud.google.com/iam/docs/overview#convenience-values
    whose = {"projectOwner": "owners", "projectEditor": "editors", "projectViewer": "viewers"}
    return Principal(f"the {whose[kind]} of project {who}", who) if kind in whose else Principal(member)


def _service_account(email: str) -> Principal:
    for pattern, words in ((_WORKER, "Cloud Run"), (_COMPUTE, "the nodes' default service account")):
        if found := pattern.fullmatch(email):
            return Principal(f"{words} of project {found['number']}", found["number"])
    if found := _KUBERNETES.fullmatch(email):
        return Principal(f"Kubernetes service account {found['name']} of project {found['project']}", found["project"])
    if found := _OF_PROJECT.fullmatch(email):
        name, dot, domain = found["project"].partition(".")
        return Principal(f"service account {email}", f"{domain}:{name}" if dot else name)
    return Principal(f"service account {email}")


def _federated(kind: str, who: str) -> Principal:
    if found := _ALL_ACCOUNTS.fullmatch(who):
        return Principal(f"every service account of project {found['number']}", found["number"])
    found = _POOL.fullmatch(who)
    if found is None:
        return Principal(f"{kind}:{who}")
    number, pool, rest = found["number"] or "", found["pool"], unquote(found["rest"])
    of = f"pool {pool}{f' of project {number}' if number else ''}"
    what, _, value = rest.partition("/")
    if rest == "*":
        return Principal(f"every identity of {of}", number)
    if what == "subject":
        return Principal(f"identity {value} of {of}", number)
    if what == "group":
        return Principal(f"group {value} of {of}", number)
    return Principal(f"identities with {what.removeprefix('attribute.')} {value} of {of}", number)
