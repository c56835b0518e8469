"""Which accounts receive copies of images by replication rules, ours and others', and what of it stays where a rule goes. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from reconciler.model.access import Access, ForeignAccess, Principal
from reconciler.model.address import Address
from reconciler.words import all_of

from .replication_rules import Rules, named, prefixes_of
from .replication_spec import ALL

#: what each other account receives, to the prefix of that, `*` for everything
Received = dict[Access, str]


def received(address: Address, destinations: Iterable[str], prefixes: Iterable[str]) -> Received:
    """What other accounts receive by a rule to destinations (`region/account` is one in another account), for each prefix."""
    prefixes = tuple(prefixes)
    found: Received = {}
    for destination in destinations:
        region, _, account = destination.partition("/")
        for prefix in prefixes if account else ():
            what = "every repository" if prefix == ALL else f"{prefix}*"
            who = Principal(f"account {account} in {region}", account)
            found[Access(who, f"receive copies of {what}", address.registry, "")] = prefix
    return found


def by_others(address: Address, rules: Rules, own: str) -> Received:
    """What other accounts receive by rules of others. `own`: the account that has the rules."""
    found: Received = {}
    for rule in rules:
        found |= received(address, (named(item, own) for item in rule.get("destinations", ())), prefixes_of(rule))
    return found


def foreign(at: Address, rules: Rules, own: str, region: str, prefixes: Iterable[str]) -> Iterator[ForeignAccess]:
    """Which accounts receive what may be the registry's by rules of others. `prefixes`: those of what is the registry's, or is copied
    by its rules."""
    ours = tuple(prefixes)
    removal = f"remove the rule from the replication configuration of {region}"
    for rule in rules:
        given = by_others(at, [rule], own)
        if about := [item for item, prefix in given.items() if any(_meet(prefix, one) for one in ours)]:
            name = (
                "for all repositories"
                if ALL in given.values()
                else f"for {all_of([f'{p}*' for p in prefixes_of(rule)])}"
            )
            yield ForeignAccess(at, f"the rule {name} of the replication configuration", tuple(sorted(about)), removal)


def _meet(one: str, other: str) -> bool:
    return ALL in (one, other) or one.startswith(other) or other.startswith(one)


def includes(given: Mapping[Access, str], item: Access, prefix: str) -> bool:
    """Whether the same account receives all that begins with a prefix."""
    return any(
        other.principal == item.principal and (there == ALL or (prefix != ALL and prefix.startswith(there)))
        for other, there in given.items()
    )


def but_still(given: Mapping[Access, str], item: Access, prefix: str) -> str:
    """What of that which begins with a prefix the same account receives, as a note; "" if none of it."""
    left = [
        f"{there}*"
        for other, there in given.items()
        if other.principal == item.principal and (prefix == ALL or there.startswith(prefix))
    ]
    return f"except {all_of(left)}" if left else ""
