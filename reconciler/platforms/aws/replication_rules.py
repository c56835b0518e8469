"""Rules of a replication configuration: what each copies, and where to. Pure.

https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_ReplicationRule.html
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .replication_spec import ALL

PREFIX_MATCH = "PREFIX_MATCH"
Rules = list[dict[str, Any]]


def rule_of(prefix: str, destinations: Iterable[str], own: str) -> dict[str, Any]:
    """The rule that copies what begins with a prefix, `*` for all. `destinations`: regions, or `region/account`; `own`: the account
    that has the rule."""
    places = (item.partition("/") for item in destinations)
    rule: dict[str, Any] = {
        "destinations": [{"region": region, "registryId": account or own} for region, _, account in places]
    }
    if prefix != ALL:
        rule["repositoryFilters"] = [{"filter": prefix, "filterType": PREFIX_MATCH}]
    return rule


def prefix_of(rule: dict[str, Any]) -> str | None:
    """The prefix by which alone the rule chooses repositories, `*` if it is for all; None if it chooses in any other way."""
    filters: Rules = rule.get("repositoryFilters") or []
    if not filters:
        return ALL
    if len(filters) != 1 or filters[0].keys() != {"filter", "filterType"} or filters[0]["filterType"] != PREFIX_MATCH:
        return None
    return str(filters[0]["filter"])


def prefixes_of(rule: dict[str, Any]) -> list[str]:
    """Each prefix by which the rule chooses repositories, `*` if it is for all."""
    filters: Rules = rule.get("repositoryFilters") or []
    return [str(item["filter"]) for item in filters if item.get("filterType") == PREFIX_MATCH] if filters else [ALL]


def beyond(rule: dict[str, Any]) -> dict[str, Any]:
    """What a rule holds beyond its filter, and the regions and accounts that it copies to."""
    found = {key: value for key, value in rule.items() if key not in ("destinations", "repositoryFilters")}
    if found.get("deleteReplication") == {"enabled": False}:  # the same as none: deletes are not replicated
        del found["deleteReplication"]
    known = {"region", "registryId"}
    places = [item for item in rule.get("destinations", ()) if item.keys() - known]
    return {**found, "destinations": places} if places else found


def named(destination: dict[str, str], own: str) -> str:
    """A destination as settings have it: a region, or `region/account` if the account is another than `own`."""
    account = destination.get("registryId", own)
    return destination["region"] if account == own else f"{destination['region']}/{account}"


def is_there(prefix: str, rules: Rules) -> bool:
    """Whether any of the rules has the prefix."""
    return any(prefix_of(rule) == prefix for rule in rules)


def noted(prefixes: set[str]) -> str:
    """Prefixes as a tag says them: no tag may hold a *, and no prefix has a +."""
    return " ".join(sorted(prefixes)).replace(ALL, "+")


def of_note(value: str) -> set[str]:
    """The prefixes that a tag says."""
    return set(value.replace("+", ALL).split())
