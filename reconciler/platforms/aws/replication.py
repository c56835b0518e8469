"""Replication: one rule of ours in the one document that an account has in a region. The other rules are kept.

https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_PutReplicationConfiguration.html
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any

from reconciler.model.address import Address
from reconciler.model.canonical import text
from reconciler.model.kind import Found, Kind, Trait, Verb, Write
from reconciler.model.marks import Marks
from reconciler.model.resource import Desired, Live

from .ledgers import RoleLedger
from .spec import AwsRegistry

if TYPE_CHECKING:
    from .session import AwsSession

MAX_RULES, MAX_DESTINATIONS = 10, 25
PREFIX_MATCH = "PREFIX_MATCH"
_LISTS = ("destinations", "repositoryFilters")
RULE = "rule"
#: registries of one account and region share the document: one read-merge-write at a time
_locks: dict[tuple[str, str], Lock] = {}
Rules = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class ReplicationSettings:
    """Where the registry's repositories are copied to: regions, or `region/account` for another account.

    `rules`: how many rules of the document are ours; more than one were made by hand. `other`: what they hold beyond
    destinations and the filter (ECR's `deleteReplication`, say), as text.
    """

    destinations: tuple[str, ...] = ()
    rules: int = 1
    other: str = ""


class ReplicationKind(Kind):
    """The registry's replication rule: the one whose only filter is the registry's prefix."""

    name = "replication"
    settings = ReplicationSettings
    traits = frozenset({Trait.UPSERTS, Trait.SHARED, Trait.INHERITS})
    after = ("role", "repository", "access")
    permissions = {
        Verb.LIST: ("ecr:DescribeRegistry",),
        Verb.READ: ("ecr:DescribeRegistry", "iam:GetRole"),
        # the document is always there, so ours is put into it by an update
        Verb.UPDATE: (
            *("ecr:DescribeRegistry", "ecr:PutReplicationConfiguration", "iam:TagRole"),
            # for the account's first replication: https://docs.aws.amazon.com/AmazonECR/latest/userguide/using-service-linked-roles.html
            "iam:CreateServiceLinkedRole",
        ),
        Verb.DELETE: ("ecr:DescribeRegistry", "ecr:PutReplicationConfiguration", "iam:UntagRole"),
    }

    def shown(self, settings: ReplicationSettings) -> dict[str, Any]:
        return {**super().shown(settings), "other": json.loads(settings.other or "[]")}

    def in_order(self, rest: str) -> str:
        rules: Rules = json.loads(rest) if rest else []
        found = ({**rule, **{key: sorted(rule[key], key=text) for key in _LISTS if key in rule}} for rule in rules)
        return text(sorted(found, key=text)) if rules else ""

    def list(self, session: AwsSession, wanted: Mapping[Address, Desired], found: Found) -> Iterator[Live]:
        ledger = session.ledger(RoleLedger)
        home = Address.of(session.name, self.name, RULE)
        role = ledger.texts(ledger.carrier(home))
        regions = {*ledger.regions_with_a_rule(role), *([session.registry.region] if home in wanted else [])}
        copied = [item for kind in ("repository", "access") for item in found[kind] if _known(session, item, wanted)]
        for region in sorted(regions):
            at = Address.of(session.name, self.name, RULE, session.where(region))
            copies = [item for item in copied if session.region_of(item.address) != region]
            marks = ledger.marks(at) if ledger.marks(at).applied is not None else Marks()
            pull_role_is_gone = not any(item.address.name == "pull" for item in found["role"])
            rules = _rules(session, at)
            if marks.owner is None and (pull_role_is_gone or _as_wanted(session, rules, wanted.get(at))):
                # the pull role, which holds the mark, was removed by hand, or the mark alone was: our copies, and the push role that
                # is made and removed with it, are witness that the rule is ours. One that says something else may be anybody's.
                witnesses = [*copies, *(found["role"] if pull_role_is_gone else ())]
                if any(item.marks.owner == session.owner for item in witnesses):
                    marks = Marks(session.owner, "spec", None, session.name)
            if at in wanted and (reason := _too_many(session, rules)):
                session.refused[at] = reason
            yield _live(session, at, rules, marks, tuple(sorted(copy.address for copy in copies)))

    def read(self, session: AwsSession, addresses: Sequence[Address]) -> Iterator[Live]:
        ledger = session.ledger(RoleLedger)
        addresses = [at for at in addresses if at.name == RULE]
        for at, texts in zip(addresses, ledger.read(addresses), strict=True):
            marks = ledger.marks(at, texts)
            yield _live(session, at, _rules(session, at), marks if marks.applied is not None else Marks(), ())

    def create(self, session: AwsSession, write: Write) -> Live:
        at = write.desired.address
        wanted: ReplicationSettings = write.desired.settings
        with session.ledger(RoleLedger).noting(write), _lock(session, at):
            others = [rule for rule in _rules(session, at) if not _is_ours(rule, session.registry)]
            rules = _put(session, at, [*others, _rule(session.registry, wanted)])
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
        session.ledger(RoleLedger).forget(at)


def _too_many(session: AwsSession, rules: Rules) -> str:
    """Which limit the account's rules would exceed with those of all registries of the spec; "" if none.

    https://docs.aws.amazon.com/AmazonECR/latest/userguide/replication.html (10 rules, 25 unique destinations across all of them)
    """
    own = session.registry.account_id
    here = [item for item in _siblings(session) if item.region == session.registry.region and item.replication_regions]
    others = [rule for rule in rules if _prefix(rule) not in {item.prefix for item in _siblings(session)}]
    count = len(others) + len(here)
    if count > MAX_RULES:
        return f"the account would have {count} replication rules, ECR takes at most {MAX_RULES}"
    destinations = {_named(item, own) for rule in others for item in rule.get("destinations", ())}
    destinations |= {region for item in here for region in item.replication_regions}
    if len(destinations) > MAX_DESTINATIONS:
        return f"the account would replicate to {len(destinations)} destinations, ECR takes at most {MAX_DESTINATIONS}"
    return ""


def _siblings(session: AwsSession) -> list[AwsRegistry]:
    """The registries of the spec in this account, this one too."""
    found = (item for item in session.estate.registries if isinstance(item, AwsRegistry))
    return [item for item in found if item.account_id == session.registry.account_id]


def _as_wanted(session: AwsSession, rules: Rules, wanted: Desired | None) -> bool:
    here = Address.of(session.name, ReplicationKind.name, RULE)
    return wanted is not None and _live(session, here, rules, Marks(), ()).settings == wanted.settings


def _known(session: AwsSession, item: Live, wanted: Mapping[Address, Desired]) -> bool:
    """Whether somebody owns the repository, or this spec wants it: one that is only there is no copy of ours."""
    repository = item.address.sibling("repository")
    return item.kind != "repository" or item.marks.owner is not None or repository in wanted


def settings_of(registry: AwsRegistry) -> ReplicationSettings:
    """The rule that the spec asks for."""
    return ReplicationSettings(tuple(sorted(registry.replication_regions)))


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
        "repositoryFilters": [{"filter": registry.prefix, "filterType": PREFIX_MATCH}],
    }


def _prefix(rule: dict[str, Any]) -> str | None:
    """The prefix by which alone the rule chooses repositories; None if it chooses in any other way."""
    filters: Rules = rule.get("repositoryFilters") or []
    if len(filters) != 1 or filters[0].keys() != {"filter", "filterType"} or filters[0]["filterType"] != PREFIX_MATCH:
        return None
    return str(filters[0]["filter"])


def _is_ours(rule: dict[str, Any], registry: AwsRegistry) -> bool:
    return _prefix(rule) == registry.prefix


def _beyond(rule: dict[str, Any]) -> dict[str, Any]:
    """What a rule holds beyond its filter, and the regions and accounts that it copies to."""
    found = {key: value for key, value in rule.items() if key not in ("destinations", "repositoryFilters")}
    if found.get("deleteReplication") == {"enabled": False}:  # the same as none: deletes are not replicated
        del found["deleteReplication"]
    known = {"region", "registryId"}
    places = [item for item in rule.get("destinations", ()) if item.keys() - known]
    return {**found, "destinations": places} if places else found


def _named(destination: dict[str, str], own: str) -> str:
    account = destination.get("registryId", own)
    return destination["region"] if account == own else f"{destination['region']}/{account}"


def _live(session: AwsSession, at: Address, rules: Rules, marks: Marks, copies: tuple[Address, ...]) -> Live:
    registry = session.registry
    ours = [rule for rule in rules if _is_ours(rule, registry)]
    siblings = {item.prefix for item in _siblings(session)}
    # a sibling's rule changes in the same run, so it must not make this one's plan stale
    others = [rule for rule in rules if _prefix(rule) not in siblings]
    beyond = [found for rule in ours if (found := _beyond(rule))]
    destinations = {_named(item, registry.account_id) for rule in ours for item in rule.get("destinations", ())}
    role = Address.of(session.name, "role", "pull")
    return Live(
        address=at,
        kind=ReplicationKind.name,
        settings=ReplicationSettings(tuple(sorted(destinations)), len(ours), text(beyond) if beyond else ""),
        marks=marks,
        native=f"replication rule {registry.prefix}* in {session.region_of(at)}",
        needs=(role, *copies),
        rest=json.dumps(others) if others else "",
        vacant=not ours and marks.applied is None,
    )
