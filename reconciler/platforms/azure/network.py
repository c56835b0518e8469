"""From where a registry is reached. Pure.

https://learn.microsoft.com/azure/container-registry/container-registry-access-selected-networks
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from reconciler.model.access import Access, Principal

OPEN, CLOSED = "Enabled", "Disabled"
#: in what others keep beside our settings: whether only those are let in whom rules name
RULES = "network_rules"
#: and what they set that only the largest tier has
LARGE = "premium"


def word_of(asked: bool | None) -> str:
    """Azure's word for what a spec asks for; "" if it leaves that open."""
    return "" if asked is None else OPEN if asked else CLOSED


def shown(word: str) -> bool | str:
    """As a spec has it; Azure's own word where a spec has none for it."""
    return {OPEN: True, CLOSED: False}.get(word, word)


def kept(word: str, *, was_there: bool) -> str:
    """What a registry has where the spec leaves it open. `word`: what it has now, "" if it is made; `was_there`: before we had it.
    What no spec can ask for is somebody's decision in any case."""
    return word if word and (was_there or word not in (OPEN, CLOSED)) else OPEN


def remark(there: str, wanted: str) -> Iterator[str]:
    """What there is to say of what stays as it is although no spec can ask for it."""
    if there == wanted and there not in (OPEN, CLOSED):
        yield f"its public network access is {there}, which stays until the spec names public_network_access"


def has_rules(properties: Mapping[str, Any]) -> bool:
    """Whether a registry, as Azure answers it, lets in only whom its rules name."""
    return str((properties.get("networkRuleSet") or {}).get("defaultAction", "")).lower() == "deny"


def needing_premium(properties: Mapping[str, Any]) -> list[str]:
    """What somebody else set on a registry, as Azure answers it, that no smaller tier has, in words; the same of private endpoints
    and replications stands elsewhere.

    https://learn.microsoft.com/azure/container-registry/container-registry-skus
    https://learn.microsoft.com/azure/container-registry/data-loss-prevention
    """
    rules = properties.get("networkRuleSet") or {}
    policies = properties.get("policies") or {}
    found = {
        "its network rule set": has_rules(properties) or rules.get("ipRules") or rules.get("virtualNetworkRules"),
        "its dedicated data endpoint": properties.get("dataEndpointEnabled"),
        "its customer-managed key": _status(properties.get("encryption")) == "enabled",
        "its content trust": _status(policies.get("trustPolicy")) == "enabled",
        "its ban on exports": _status(policies.get("exportPolicy")) == "disabled",
    }
    return [what for what, there in found.items() if there]


def _status(found: Any) -> str:
    return str((found or {}).get("status", "")).lower()


def reaching(word: str, registry: str, *, rules: bool) -> Iterator[Access]:
    """Who reaches a registry of that word without a private endpoint."""
    if word == CLOSED:
        return
    outside = "whoever comes through no private endpoint"
    by_rules = "whoever its network rules let in without a private endpoint"
    who = (by_rules if rules else outside) if word == OPEN else f"whoever public network access {word} lets in"
    yield Access(Principal(who), "reach the registry", registry, "")
