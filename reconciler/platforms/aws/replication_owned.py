"""By which prefixes replication rules in an account are those of a registry of the spec, by what is noted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reconciler.model.address import Address
from reconciler.model.ledger import Texts
from reconciler.model.marks import Marks

from .ledgers import RegistryLedger, prefixes_key
from .replication_rules import Rules, is_there, of_note, prefix_of
from .replication_spec import ALL
from .spec import AwsRegistry

if TYPE_CHECKING:
    from .session import AwsSession

#: the kind and the name of a registry's replication rule
KIND, RULE = "replication", "rule"


def still_ours(session: AwsSession, at: Address, rules: Rules, ours: set[str]) -> set[str]:
    """The prefixes by which rules are the registry's, and not by now those of another one of the spec, which got the prefix in the
    same run."""
    region = session.region_of(at)
    mine = {session.registry.copied_prefix or session.registry.name_prefix}
    if not any(prefix_of(rule) in ours - mine for rule in rules):
        return ours
    return ours.difference(*(noted_by(session, item, region) for item in session.siblings)) | (ours & mine)


def of_siblings(session: AwsSession, region: str, rules: Rules, own: set[str]) -> set[str]:
    """The prefixes by which rules in a region are those of the spec's other registries in this account. The ledgers are asked where
    a rule has none that follows from the spec: it may be of a registry that had another prefix, or is copied no longer. A registry
    without a rule has none by its name: one that stands there is somebody else's. `own`: the registry's own."""
    siblings = list(session.siblings)
    known = {
        item.copied_prefix for item in siblings if item.copied_prefix and item.region == region and not item.retired
    }
    if not siblings or {prefix_of(rule) for rule in rules} <= {*known, *own, None}:
        return known
    return known.union(*(noted_by(session, item, region) for item in siblings))


def noted_by(session: AwsSession, sibling: AwsRegistry, region: str) -> set[str]:
    """The prefixes that a registry of the spec has noted for its rules in a region, where AWS allows to read that."""
    at = Address.of(session.name, KIND, RULE)
    found = session.ledger(RegistryLedger).of(sibling, at, guess=True)
    if (Marks.of(found).owner, Marks.of(found).registry) != (session.owner, sibling.name):
        return set()
    there = region in session.ledger(RegistryLedger).regions_with_a_rule(found)
    return of_note(found.get(prefixes_key(region), "")) or ({sibling.usual_prefix} if there else set())


def is_strange(session: AwsSession, at: Address, texts: Texts, rules: Rules) -> bool:
    """Whether the rule that the registry is to have is there, and neither noted as its own nor, for now, as another registry's."""
    here = session.registry
    wanted = here.copied_prefix if session.region_of(at) == here.region and not here.retired else ""
    known = noted_here(session, at, texts)
    if not wanted or not known or wanted in known or not is_there(wanted, rules):
        return False
    return wanted == ALL or not any(wanted in noted_by(session, item, here.region) for item in session.siblings)


def prefixes_of(session: AwsSession, at: Address, texts: Texts, rules: Rules) -> set[str]:
    """The prefixes by which a rule in a region is the registry's: as it is noted; else the spec's. One that stands where the
    registry's is to stand, and is somebody else's, is shown with it: an adoption would take its place."""
    known = noted_here(session, at, texts)
    wanted = {session.registry.copied_prefix or session.registry.name_prefix}
    return known | wanted if not known or is_strange(session, at, texts, rules) else known


def noted_here(session: AwsSession, at: Address, texts: Texts) -> set[str]:
    """The prefixes of the registry's rules in a region, as is noted; the usual one if it is noted only that there is a rule."""
    known = of_note(texts.get(prefixes_key(session.region_of(at)), ""))
    if not known and session.ledger(RegistryLedger).marks(at, texts).applied is not None:
        known = {session.registry.usual_prefix}
    return known
