"""Replication: one rule of ours in the one document that an account has in a region. The other rules are kept.

https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_PutReplicationConfiguration.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from threading import Lock
from typing import TYPE_CHECKING, Any

from reconciler.errors import PlatformError
from reconciler.model.access import Access, Given
from reconciler.model.address import Address
from reconciler.model.canonical import text
from reconciler.model.kind import Found, GivesAccess, Home, Kind, Trait, Verb, Write
from reconciler.model.ledger import Texts
from reconciler.model.marks import Marks
from reconciler.model.resource import Desired, Live
from reconciler.spec.registry import RegistryBase
from reconciler.words import Named, all_of

from . import names
from . import replication_owned as owned
from .account_document import document_of
from .ledgers import LEDGER, LEDGER_PUT, LEDGER_READ, LEDGER_REMOVE, MARKS, RegistryLedger, carriers_of, prefixes_key
from .registry_statements import mirror_of
from .replication_given import Received, but_still, by_others, foreign, includes, received
from .replication_owned import KIND, RULE
from .replication_rules import Rules, beyond, is_there, named, noted, prefix_of, rule_of
from .replication_spec import ALL, MAX_DESTINATIONS
from .spec import AwsRegistry

if TYPE_CHECKING:
    from .session import AwsSession

MAX_RULES = 10
_LISTS = ("destinations", "repositoryFilters")
_DESTINATION = re.compile(rf"{names.REGION}(/{names.ACCOUNT})?")
_PREFIX = re.compile(r"\*|[a-z0-9._/-]*")
#: registries of one account and region share the document: one read-merge-write at a time
_locks: dict[tuple[str, str], Lock] = {}


@dataclass(frozen=True, slots=True)
class ReplicationSettings:
    """Where the registry's repositories are copied to: regions, or `region/account` for another account.

    `rules`: how many rules of the document are ours; more than one were made by hand. `other`: what they hold beyond
    destinations and the filter (ECR's `deleteReplication`, say), as text. `prefix`: what the copied repositories' names begin with,
    "" for the registry's name and a dash, `*` for all repositories of the account; several, with spaces between them, while the
    registry gets another.
    """

    destinations: tuple[str, ...] = ()
    rules: int = 1
    other: str = ""
    prefix: str = ""


class ReplicationKind(Kind, GivesAccess):
    """The registry's replication rule: the one whose only filter is the registry's prefix, or the account's one without a filter."""

    name = KIND
    settings = ReplicationSettings
    traits = frozenset({Trait.UPSERTS, Trait.SHARED, Trait.INHERITS, Trait.COMMON})
    after = ("role", "ledger", "repository", "access")
    said = frozenset()
    permissions = {
        Verb.LIST: ("ecr:DescribeRegistry", *LEDGER_READ),
        Verb.READ: ("ecr:DescribeRegistry", *LEDGER_READ),
        # the document is always there, so ours is put into it by an update
        Verb.UPDATE: (
            *("ecr:DescribeRegistry", "ecr:PutReplicationConfiguration"),
            *(*LEDGER_READ, *LEDGER_PUT, *LEDGER_REMOVE),
            # for the account's first replication: https://docs.aws.amazon.com/AmazonECR/latest/userguide/using-service-linked-roles.html
            "iam:CreateServiceLinkedRole",
        ),
        Verb.DELETE: (
            "ecr:DescribeRegistry",
            "ecr:PutReplicationConfiguration",
            "iam:CreateServiceLinkedRole",
            *LEDGER_REMOVE,
        ),
    }

    def shown(self, settings: ReplicationSettings) -> dict[str, Any]:
        shown = {**super().shown(settings), "other": json.loads(settings.other or "[]")}
        words = {"": "the registry's name", ALL: "all repositories of the account"}
        return {**shown, "prefix": Named(settings.prefix, words.get(settings.prefix, ""))}

    def access(self, address: Address, settings: ReplicationSettings) -> Iterator[Access]:
        """Other accounts that get the images: who can pull them there is theirs to say."""
        yield from self._copied(address, settings)

    def gains_and_losses(
        self, address: Address, before: Given, after: Given, home: Home
    ) -> tuple[list[Access], list[Access]]:
        """A rule for all copies what a prefix does, and a shorter prefix what a longer one does; so does a rule of another registry,
        or of others, in the same account and region."""
        then, now = (self._copied(address, given.settings) for given in (before, after))
        had, will_have = dict(then), dict(now)
        for item in before.neighbours:
            had |= self._copied(item.address, item.before)
            will_have |= self._copied(item.address, item.after)
        had |= by_others(address, json.loads(before.rest or "[]"), home.account)
        will_have |= by_others(address, json.loads(after.rest or "[]"), home.account)
        return [item for item, prefix in now.items() if not includes(had, item, prefix)], [
            replace(item, note=but_still(will_have, item, prefix))
            for item, prefix in then.items()
            if not includes(will_have, item, prefix)
        ]

    def document(self, address: Address, registry: RegistryBase) -> str:
        return document_of(address, registry)

    def _copied(self, address: Address, settings: ReplicationSettings | None) -> Received:
        if settings is None:
            return {}
        return received(address, settings.destinations, settings.prefix.split() or [f"{address.registry}-"])

    def altered(self, settings: ReplicationSettings) -> str | None:
        if settings != replace(settings, rules=1, other=""):
            return "what the rule holds beyond its destinations and its filter"
        places = list(settings.destinations)
        if not places or places != sorted(set(places)) or not all(map(_DESTINATION.fullmatch, places)):
            return "the destinations"
        return None if _PREFIX.fullmatch(settings.prefix) else "the prefix"

    def unasked(self, wanted: Desired, registry: RegistryBase) -> str | None:
        asked = settings_of(registry) if isinstance(registry, AwsRegistry) else None
        return None if wanted.settings == asked else "where which repositories are copied to"

    def in_order(self, rest: str) -> str:
        rules: Rules = json.loads(rest) if rest else []
        found = ({**rule, **{key: sorted(rule[key], key=text) for key in _LISTS if key in rule}} for rule in rules)
        return text(sorted(found, key=text)) if rules else ""

    def list(self, session: AwsSession, wanted: Mapping[Address, Desired], found: Found) -> Iterator[Live]:
        ledger = session.ledger(RegistryLedger)
        home = Address.of(session.name, self.name, RULE)
        role = ledger.texts(ledger.carrier(home))
        regions = {*ledger.regions_with_a_rule(role), *([session.registry.region] if home in wanted else [])}
        copied = [item for kind in ("repository", "access") for item in found[kind] if _known(session, item, wanted)]
        for region in sorted(regions):
            at = Address.of(session.name, self.name, RULE, session.where(region))
            copies = [item for item in copied if session.region_of(item.address) != region]
            rules = _rules(session, at)
            reason = _of_another(session, at, rules)
            prefixes = _prefixes_of(session, at, role, rules, reason)
            marks = _marks_of(session, at, role, rules, reason)
            # one that it had before it moved, or before it had roles or had none, says it as well
            carriers = [
                item for kind in ("role", LEDGER) for item in found[kind] if item.address.name in ("pull", MARKS)
            ]
            ledger_is_gone = not any(item.marks.owner == session.owner and not item.vacant for item in carriers)
            no_mark = ledger_is_gone and not is_there(ALL, rules)
            if marks.owner is None and (no_mark or _as_wanted(session, rules, prefixes, wanted.get(at))):
                # what holds the mark was removed by hand, or the mark alone was: our copies are witness that the rule is ours, and
                # without a ledger the push role, which is made and removed with the pull role, and any repository of ours.
                # A rule that says something else may be anybody's.
                witnesses = [*copies, *((*found["role"], *found["repository"]) if ledger_is_gone else ())]
                if any(item.marks.owner == session.owner for item in witnesses):
                    marks = Marks(session.owner, "spec", None, session.name)
            notes: tuple[str, ...] = ()
            if at in wanted and not session.registry.retired:
                if reason := reason or _too_many(session, rules, prefixes):
                    session.refused[at] = reason
                notes = tuple(_to_be_let_in(session, rules, prefixes, wanted[at].settings))
            live = _live(session, at, rules, marks, prefixes, tuple(sorted(copy.address for copy in copies)))
            yield replace(live, notes=notes)

    def read(self, session: AwsSession, addresses: Sequence[Address]) -> Iterator[Live]:
        ledger = session.ledger(RegistryLedger)
        addresses = [at for at in addresses if at.name == RULE]
        for at, texts in zip(addresses, ledger.read(addresses), strict=True):
            rules = _rules(session, at)
            reason = _of_another(session, at, rules)
            marks = _marks_of(session, at, texts, rules, reason)
            yield _live(session, at, rules, marks, _prefixes_of(session, at, texts, rules, reason))

    def create(self, session: AwsSession, write: Write) -> Live:
        _check(session, write)
        return self._put(session, write, _prefixes(session.registry, write.desired.settings))

    def update(self, session: AwsSession, write: Write, live: Live) -> Live:
        _check(session, write)
        before = set() if live.vacant else _prefixes(session.registry, live.settings)
        now = _prefixes(session.registry, write.desired.settings)
        ledger, at = session.ledger(RegistryLedger), write.desired.address
        key = prefixes_key(session.region_of(at))
        usual = {session.registry.usual_prefix}
        had = key in ledger.texts(ledger.carrier(at))
        if before | now != usual:  # the rule of each is known as ours, whenever this ends
            ledger.change(at, {key: noted(before | now)})
        written = self._put(session, write, before | now)
        if now == usual and (had or before | now != usual):
            ledger.change(at, {}, [key])
        elif before | now != now:
            ledger.change(at, {key: noted(now)})
        return written

    def _put(self, session: AwsSession, write: Write, ours: set[str]) -> Live:
        at = write.desired.address
        wanted: ReplicationSettings = write.desired.settings
        (prefix,) = _prefixes(session.registry, wanted)
        rule = rule_of(prefix, wanted.destinations, session.registry.account_id)
        with session.ledger(RegistryLedger).noting(write), _lock(session, at):
            there = _rules(session, at)
            gone = owned.still_ours(session, at, there, ours) | {prefix}
            rules = _put(session, at, [*(rule for rule in there if prefix_of(rule) not in gone), rule])
        return _live(session, at, rules, write.marks, _prefixes(session.registry, wanted))

    def delete(self, session: AwsSession, live: Live, *, force: bool) -> None:
        at = live.address
        with _lock(session, at):
            rules = _rules(session, at)
            ours = owned.still_ours(session, at, rules, _prefixes(session.registry, live.settings))
            others = [rule for rule in rules if prefix_of(rule) not in ours]
            if len(others) < len(rules):
                _put(session, at, others)
        session.ledger(RegistryLedger).forget(at)


def _too_many(session: AwsSession, rules: Rules, prefixes: set[str]) -> str:
    """Which limit the account's rules would exceed with those of all registries of the spec; "" if none. `prefixes`: those of the
    registry's own.

    https://docs.aws.amazon.com/AmazonECR/latest/userguide/replication.html (10 rules, 25 unique destinations across all of them)
    """
    own = session.registry.account_id
    here = [
        item
        for item in [session.registry, *session.siblings]
        if item.region == session.registry.region and item.copied_prefix
    ]
    ours = owned.of_siblings(session, session.registry.region, rules, prefixes) | prefixes
    others = [rule for rule in rules if prefix_of(rule) not in ours]
    count = len(others) + len(here)
    if count > MAX_RULES:
        return f"the account would have {count} replication rules; ECR allows at most {MAX_RULES}"
    destinations = {named(item, own) for rule in others for item in rule.get("destinations", ())}
    destinations |= {destination for item in here for destination in settings_of(item).destinations}
    if len(destinations) > MAX_DESTINATIONS:
        return f"the account would replicate to {len(destinations)} destinations; ECR allows at most {MAX_DESTINATIONS}"
    return ""


def _of_another(session: AwsSession, at: Address, rules: Rules) -> str:
    """Why the rule for all repositories, which the registry is to have, is another registry's of the spec for now; "" if it isn't."""
    here, region = session.registry, session.region_of(at)
    if here.copied_prefix == ALL and region == here.region and not here.retired and is_there(ALL, rules):
        for item in session.siblings:
            if ALL in owned.noted_by(session, item, region):
                return (
                    f"registry {item.name} has the account's rule for all repositories until the spec is applied there: do that"
                    f" first, with --target '{item.name}.*'"
                )
    return ""


def _check(session: AwsSession, write: Write) -> None:
    """Raises PlatformError where the rule to be written has become another registry's of the spec since the plan was made."""
    at = write.desired.address
    if _prefixes(session.registry, write.desired.settings) == {ALL} and (
        reason := _of_another(session, at, _rules(session, at))
    ):
        raise PlatformError(reason, address=at, operation="ecr:PutReplicationConfiguration", hint="make a new plan")


def _to_be_let_in(session: AwsSession, rules: Rules, prefixes: set[str], wanted: ReplicationSettings) -> Iterator[str]:
    """What is to be done in other accounts that get the images for the first time."""
    own = session.registry.account_id
    there = {named(item, own) for rule in rules if prefix_of(rule) in prefixes for item in rule.get("destinations", ())}
    new = [item.partition("/") for item in wanted.destinations if "/" in item and item not in there]
    new = [item for item in new if mirror_of(session.estate.registries, item[0], item[2]) is None]
    if new:
        places = all_of([f"account {account} in {region}" for region, _, account in new])
        yield f"{places} must let the images in: `reconciler output --registry {session.name}` prints the registry policy for that"


def _marks_of(session: AwsSession, at: Address, texts: Texts, rules: Rules, reason: str) -> Marks:
    """The marks of what is there: none where the wanted rule stands there and is not noted as ours, whatever else is. With a filter
    for ours alone it would be ours by its name; without one it may be anybody's. `reason`: why it is another registry's."""
    found = session.ledger(RegistryLedger).marks(at, texts)
    strange = not reason and owned.is_strange(session, at, texts, rules)
    return Marks() if strange or found.applied is None else found


def _prefixes_of(session: AwsSession, at: Address, texts: Texts, rules: Rules, reason: str) -> set[str]:
    """The prefixes by which a rule is the registry's. `reason`: why the rule for all is another registry's."""
    return owned.prefixes_of(session, at, texts, rules) - ({ALL} if reason else set())


def _as_wanted(session: AwsSession, rules: Rules, prefixes: set[str], wanted: Desired | None) -> bool:
    here = Address.of(session.name, ReplicationKind.name, RULE)
    return wanted is not None and _live(session, here, rules, Marks(), prefixes).settings == wanted.settings


def _known(session: AwsSession, item: Live, wanted: Mapping[Address, Desired]) -> bool:
    """Whether somebody owns the repository, or this spec wants it: one that is only there is no copy of ours."""
    repository = item.address.sibling("repository")
    return item.kind != "repository" or item.marks.owner is not None or repository in wanted


def settings_of(registry: AwsRegistry) -> ReplicationSettings:
    """The rule that the spec asks for."""
    prefix = registry.copied_prefix
    accounts = (f"{region}/{account}" for region, account in registry.copied_to_accounts)
    destinations = tuple(sorted((*registry.copied_to, *accounts)))
    return ReplicationSettings(destinations, prefix="" if prefix == registry.usual_prefix else prefix)


def _named_rule(registry: AwsRegistry) -> str:
    return "for all repositories" if registry.copied_prefix == ALL else f"{registry.name_prefix}*"


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


def _live(
    session: AwsSession, at: Address, rules: Rules, marks: Marks, prefixes: set[str], copies: tuple[Address, ...] = ()
) -> Live:
    registry = session.registry
    ours = [rule for rule in rules if prefix_of(rule) in prefixes]
    found = {str(prefix_of(rule)) for rule in ours}
    others = _others(session, at, rules, prefixes)
    extra = [more for rule in ours if (more := beyond(rule))]
    destinations = {named(item, registry.account_id) for rule in ours for item in rule.get("destinations", ())}
    return Live(
        address=at,
        kind=ReplicationKind.name,
        settings=ReplicationSettings(
            tuple(sorted(destinations)),
            len(ours),
            text(extra) if extra else "",
            "" if found <= {registry.usual_prefix} else " ".join(sorted(found)),
        ),
        marks=marks,
        native=f"replication rule {_named_rule(registry)} in {session.region_of(at)}",
        needs=(*carriers_of(session), *copies),
        rest=json.dumps(others) if others else "",
        vacant=not ours and marks.applied is None,
        foreign=tuple(
            foreign(at, others, registry.account_id, session.region_of(at), {registry.name_prefix, *prefixes})
        ),
    )


def _others(session: AwsSession, at: Address, rules: Rules, prefixes: set[str]) -> Rules:
    """The rules that are nobody's in the spec. A sibling's changes in the same run, so it must not make this one's plan stale."""
    siblings = owned.of_siblings(session, session.region_of(at), rules, prefixes)
    others = [rule for rule in rules if prefix_of(rule) not in siblings | prefixes]
    # one that no note says to be a sibling's any more may have gone with the note since the rules were read
    there = _rules(session, at) if others and session.siblings else rules
    return [rule for rule in others if rule in there]


def _prefixes(registry: AwsRegistry, settings: ReplicationSettings) -> set[str]:
    """The prefixes of the registry's rules that settings are of."""
    if not settings.rules:  # none is there
        return set()
    return set(settings.prefix.split()) or {registry.usual_prefix}
