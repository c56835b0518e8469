"""Replication: one rule of ours in the one document that an account has in a region. The other rules are kept.

https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_PutReplicationConfiguration.html
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from threading import Lock
from typing import Any

from reconciler.model.address import Address
from reconciler.model.platform import Kind, Write
from reconciler.model.resource import Desired, Live, Marks, Observation, Scope

from . import marks as tagging
from .role import pull_role, tag_pull_role
from .session import AwsSession
from .spec import AwsRegistry

MAX_RULES, MAX_DESTINATIONS = 10, 25
RULE = "rule"
#: registries of one account and region share the document: one read-merge-write at a time
_locks: dict[tuple[str, str], Lock] = {}
Rules = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class ReplicationSettings:
    """Where the registry's repositories are copied to: regions, or `region/account` for another account.

    `rules`: how many rules of the document are ours; more than one were made by hand.
    """

    destinations: tuple[str, ...] = ()
    rules: int = 1


class ReplicationKind(Kind):
    """The registry's replication rule: the one whose only filter is the registry's prefix."""

    name = "replication"
    settings = ReplicationSettings
    upserts = True
    shared = True

    def limit(self, desired: Desired, live: Live | None) -> str | None:
        others: Rules = json.loads(live.rest) if live is not None and live.rest else []
        if len(others) + 1 > MAX_RULES:
            return f"the account would have {len(others) + 1} replication rules, ECR takes at most {MAX_RULES}"
        destinations = {_named(item, "") for rule in others for item in rule.get("destinations", ())}
        count = len(destinations | set(desired.settings.destinations))
        if count > MAX_DESTINATIONS:
            return f"the account would replicate to {count} destinations, ECR takes at most {MAX_DESTINATIONS}"
        return None

    def observe(self, session: AwsSession, scope: Scope, found: Observation) -> Iterator[Live]:
        if scope.only is not None and not any(at.kind == self.name for at in scope.only):
            return
        role = pull_role(session, found)
        tags = role[1] if role else {}
        for region in _regions(session, scope, tags):
            at = Address.of(session.name, self.name, RULE, session.where(region))
            key = _key(region)
            if key in tags:
                found.recorded[at] = tags[key]
            copies = [
                item
                for item in found.live.values()
                if item.kind in ("repository", "access") and session.region_of(item.address) != region
            ]
            marks = tagging.marks_of(tags, key) if key in tags else Marks()
            witnesses = copies
            if role is None:
                witnesses = [*copies, *(item for item in found.live.values() if item.kind == "role")]
            if marks.owner is None and any(item.marks.owner == session.owner for item in witnesses):
                # the pull role, which holds the mark, was removed by hand: our copies, and the push role that is made and
                # removed with it, are witness that the rule is ours
                marks = Marks(session.owner, "spec", None)
            yield _live(session, at, _rules(session, at), marks, tuple(sorted(copy.address for copy in copies)))

    def create(self, session: AwsSession, write: Write) -> Live:
        at = write.desired.address
        wanted: ReplicationSettings = write.desired.settings
        with _lock(session, at):
            others = [rule for rule in _rules(session, at) if not _is_ours(rule, session.registry)]
            rules = _put(session, at, [*others, _rule(session.registry, wanted)])
        tag_pull_role(session, at, {_key(session.region_of(at)): write.marks.applied or ""})
        return _live(session, at, rules, write.marks, ())

    def update(self, session: AwsSession, write: Write, live: Live) -> Live:
        return self.create(session, write)

    def delete(self, session: AwsSession, live: Live, *, force: bool) -> None:
        at = live.address
        with _lock(session, at):
            rules = _rules(session, at)
            others = [rule for rule in rules if not _is_ours(rule, session.registry)]
            if len(others) < len(rules):
                _put(session, at, others)
        tag_pull_role(session, at, {}, [_key(session.region_of(at))])


def settings_of(registry: AwsRegistry) -> ReplicationSettings:
    """The rule that the spec asks for."""
    return ReplicationSettings(tuple(sorted(registry.replication_regions)))


def _key(region: str) -> str:
    """The pull role's tag for the rule in a region: more than the home region only while a registry moves."""
    return f"{tagging.applied_key('replication')}-{region}"


def _regions(session: AwsSession, scope: Scope, tags: tagging.Tags) -> list[str]:
    """The regions whose rules to read: those that we made one in, and the home region if one is wanted or asked for there."""
    prefix = _key("")
    marked = {key.removeprefix(prefix) for key in tags if key.startswith(prefix)}
    if scope.only is not None:
        return sorted({session.region_of(at) for at in scope.only if at.kind == ReplicationKind.name})
    wanted = {
        session.region_of(at) for at in (Address.of(session.name, ReplicationKind.name, RULE),) if at in scope.desired
    }
    return sorted(marked | wanted)


def _lock(session: AwsSession, at: Address) -> Lock:
    return _locks.setdefault((session.registry.account_id, session.region_of(at)), Lock())


def _rules(session: AwsSession, at: Address) -> Rules:
    answer = session.call("ecr", "describe_registry", session.region_of(at), address=at)
    rules: Rules = answer.get("replicationConfiguration", {}).get("rules", [])
    return rules


def _put(session: AwsSession, at: Address, rules: Rules) -> Rules:
    answer = session.call(
        "ecr",
        "put_replication_configuration",
        session.region_of(at),
        address=at,
        replicationConfiguration={"rules": rules},
    )
    written: Rules = answer["replicationConfiguration"]["rules"]
    return written


def _rule(registry: AwsRegistry, wanted: ReplicationSettings) -> dict[str, Any]:
    return {
        "destinations": [{"region": region, "registryId": registry.account_id} for region in wanted.destinations],
        "repositoryFilters": [{"filter": registry.prefix, "filterType": "PREFIX_MATCH"}],
    }


def _filters(rule: dict[str, Any]) -> list[str]:
    return [str(item.get("filter")) for item in rule.get("repositoryFilters") or ()]


def _is_ours(rule: dict[str, Any], registry: AwsRegistry) -> bool:
    return _filters(rule) == [registry.prefix]


def _named(destination: dict[str, str], own: str) -> str:
    account = destination.get("registryId", own)
    return destination["region"] if account == own or not own else f"{destination['region']}/{account}"


def _live(session: AwsSession, at: Address, rules: Rules, marks: Marks, copies: tuple[Address, ...]) -> Live:
    registry = session.registry
    ours = [rule for rule in rules if _is_ours(rule, registry)]
    siblings = {
        item.prefix
        for item in session.estate.registries
        if isinstance(item, AwsRegistry) and item.account_id == registry.account_id
    }
    # a sibling's rule changes in the same run, so it must not make this one's plan stale
    others = [rule for rule in rules if not (len(_filters(rule)) == 1 and _filters(rule)[0] in siblings)]
    destinations = {_named(item, registry.account_id) for rule in ours for item in rule.get("destinations", ())}
    role = Address.of(session.name, "role", "pull")
    return Live(
        address=at,
        kind=ReplicationKind.name,
        settings=ReplicationSettings(tuple(sorted(destinations)), len(ours)),
        marks=marks,
        native=f"replication rule {registry.prefix}* in {session.region_of(at)}",
        needs=(role, *copies),
        rest=json.dumps(others) if others else "",
        vacant=not ours and marks.applied is None,
        inherits=True,
    )
