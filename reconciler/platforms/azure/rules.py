"""What Azure takes, each rule with its source. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from reconciler.model.marks import PREFIX
from reconciler.words import counted

#: tiers, and the tokens and scope maps (each) that one takes: https://docs.azure.cn/en-us/container-registry/container-registry-skus
TIERS = ("Basic", "Standard", "Premium")
#: those without what the largest alone has; of one that no spec has, nobody here knows that
SMALL = TIERS[:-1]
TOKENS: Mapping[str, int] = {"Basic": 100, "Standard": 500, "Premium": 50_000}
#: actions, and repositories, of one scope map (same page)
MAX_ACTIONS = 500
#: whose permissions count: https://learn.microsoft.com/azure/container-registry/container-registry-rbac-abac-repository-permissions
ABAC, LEGACY = "AbacRepositoryPermissions", "LegacyRegistryPermissions"
MODES: Mapping[str, str] = {"abac": ABAC, "legacy": LEGACY}
#: days: https://learn.microsoft.com/azure/container-registry/container-registry-retention-policy
MAX_UNTAGGED_DAYS = 365
#: a token's name has 5 to 50 characters (azure-rest-api-specs, 2025-11-01), a scope map's 5 to 49 (terraform-provider-azurerm,
#: internal/services/containers/validate); the two have one name
_TOKEN = re.compile(r"[a-z][a-z0-9-]{4,48}")
#: what they consist of, as reconciler writes them: a repository's name with a slash is no token's, and no path to one
_OF_TOKENS = re.compile(r"[a-z0-9-]+")
#: what the names of the scope maps begin with that are notes of ours
NOTES = "reconciler-"
#: https://learn.microsoft.com/azure/azure-resource-manager/management/tag-resources#limitations
MAX_TAGS, MAX_TAG_KEY, MAX_TAG_VALUE = 50, 512, 256
#: of those; the rest is kept for marks
MAX_LABELS = 40
_TAG_KEY_FAULTS = re.compile(r"[<>%&\\?/]")
_RESERVED = ("microsoft", "azure", "windows")
#: https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules#microsoftmanagedidentity
_IDENTITY = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_-]{2,127}")
#: https://learn.microsoft.com/azure/container-registry/container-registry-faq, and the OCI distribution specification
MAX_REPOSITORY = 256

NO_IMMUTABLE_TAGS = (
    "Azure Container Registry has no immutable tags, only locks, which block every push"
    " (https://learn.microsoft.com/azure/container-registry/container-registry-image-lock)"
)
NO_SCANS = (
    "Azure Container Registry scans nothing by itself: Defender for Containers does, for a whole subscription"
    " (https://learn.microsoft.com/azure/defender-for-cloud/defender-for-containers-introduction)"
)
NO_KEYS = (
    "Azure encrypts whole registries, not single repositories"
    " (https://learn.microsoft.com/azure/container-registry/tutorial-enable-customer-managed-keys)"
)
ONLY_UNTAGGED = (
    "Azure Container Registry removes untagged images alone, by their age: {field} can't be had"
    " (https://learn.microsoft.com/azure/container-registry/container-registry-retention-policy)"
)
NO_LABELS = (
    "Azure Container Registry has no labels of a repository: write `labels` on the registry, where they are its tags"
    " (https://learn.microsoft.com/azure/container-registry/container-registry-concepts)"
)


def token_fault(name: str) -> str | None:
    """Why a grant can't give its name to a token and a scope map, or None."""
    if name.startswith(NOTES):
        return f"names that start with '{NOTES}' are reserved: the grant's token would be called '{name}'"
    if _TOKEN.fullmatch(name):
        return None
    return f"its token would be called '{name}' ({counted(len(name), 'character')}); Azure takes 5 to 49 letters, digits and hyphens"


def may_be_token(name: str) -> bool:
    """Whether a token or a scope map can be called so."""
    return _OF_TOKENS.fullmatch(name) is not None


def identity_fault(name: str) -> str | None:
    """Why it can't be the name of a managed identity, or None."""
    if _IDENTITY.fullmatch(name):
        return None
    return f"its managed identity would be '{name}'; Azure takes 3 to 128 letters, digits, '_' and '-'"


def label_faults(labels: Mapping[str, str]) -> Iterator[tuple[tuple[str, ...], str]]:
    """What is wrong with labels as the tags of a registry, each with its path below them."""
    if len(labels) > MAX_LABELS:
        yield (), f"at most {MAX_LABELS} labels"
    seen: dict[str, str] = {}
    for key in labels:
        if key.lower().startswith(PREFIX):
            yield (key,), f"keys that start with '{PREFIX}' are reserved"
        elif key.lower().startswith(_RESERVED):
            yield (key,), f"Azure keeps keys that start with {', '.join(_RESERVED)} for itself"
        elif fault := _TAG_KEY_FAULTS.search(key):
            yield (key,), f"a tag's key on Azure has no '{fault[0]}'"
        if key.lower() in seen:
            yield (key,), f"'{seen[key.lower()]}' is the same key on Azure, which compares them without case"
        seen.setdefault(key.lower(), key)
