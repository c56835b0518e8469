"""What a spec asks of a repository policy, in the form in which it is written, and how that is shown. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import chain, count
from typing import Any

from reconciler.model.canonical import plain
from reconciler.model.resource import Desired, Live
from reconciler.spec.models import Grant
from reconciler.words import Named, counted, some_of

from . import names, own_ids, policy, shared, shared_ids, shorter, statements
from .policy import Document, Statement
from .shared import Shares
from .spec import AwsRegistry

#: what is shown beside the grants, where they share statements; no grant has a name with spaces
SHARED = "shared by grants"


@dataclass(frozen=True, slots=True)
class AccessSettings:
    """Our statements, sorted, and the partition that accounts are written in.

    `shares`: who has access by which grant, where grants share a statement. The statements' ids say it, if by codes, which only a
    spec knows the names of; so it follows from the statements, and does not count where settings are compared.
    """

    statements: tuple[Statement, ...] = ()
    partition: str = "aws"
    shares: Shares = field(default=(), compare=False)

    def as_v1(self) -> dict[str, Any]:
        """What the mark is a hash of: what stands on the platform."""
        whose = {} if self.partition == "aws" else {"partition": self.partition}
        return ({"statements": plain(self.statements, "as_v1")} if self.statements else {}) | whose

    def apart(self) -> tuple[Statement, ...]:
        """The statements as if each grant had its own, sorted."""
        return tuple(shared.taken_apart(self.statements, self.shares))

    def grants(self) -> frozenset[str]:
        """The grants that they are made from, as far as their names are known."""
        return own_ids.grants_of(chain((item.sid for item in self.statements), *(sids for _, _, sids in self.shares)))


def settings_of(grants: Iterable[Grant], registry: AwsRegistry, width: int = 0) -> AccessSettings:
    """The statements of grants, in the form in which they are written where others have none. `width`: how many characters
    the codes need to tell the registry's grants apart."""
    partition = names.partition(registry.region)
    found, shares = shared.in_one_form(statements.of_grants(grants, registry), partition, least=width)
    return AccessSettings(found, partition, shares)


def fitted(desired: Desired, live: Live | None) -> Desired:
    """What is wanted in the form in which it is there, if that says the same; else in the first one that fits beside what others have
    in the policy."""
    wanted = desired.settings
    if live is None or live.settings.statements == wanted.statements:
        return desired
    there, apart = live.settings, wanted.apart()
    if there.statements and shared.exact(there.statements) and there.apart() == apart:
        return replace(desired, settings=there)
    room = len(shared.text_of(statements.merged(policy.parsed(live.rest), (), wanted.partition))) if live.rest else 0
    found, shares = shared.in_one_form(apart, wanted.partition, room, shared.width_of(wanted.statements))
    return (
        desired
        if found == wanted.statements
        else replace(desired, settings=replace(wanted, statements=found, shares=shares))
    )


def shown(settings: AccessSettings) -> dict[str, Any]:
    """The settings by grant, and the form of statements that grants share."""
    found: dict[str, Any] = {}
    for item in settings.apart():
        title = statements.title(item)
        further = (f"{title} ({number})" for number in count(2))
        found[next(key for key in chain((title,), further) if key not in found)] = _statement_shown(item)
    form = shared.form(settings.statements)
    return found | {SHARED: Named(form)} if form else found


def _statement_shown(statement: Statement) -> dict[str, Any]:
    found: dict[str, Any] = {
        **policy.principals_shown(statement.principals),
        "may": policy.may_shown(statement.actions),
    }
    if statement.conditions:
        found["if"] = policy.conditions_shown(statement.conditions)
    if statement.effect != "Allow":
        found["effect"] = Named(statement.effect)
    if statement.other:
        found["other"] = json.loads(statement.other)
    return found


def altered(settings: AccessSettings) -> str | None:
    """What of the settings would be read back otherwise, in words; None if nothing would."""
    return _altered(settings.statements, settings.partition, settings.shares)  # one by one: `shares` counts here


@lru_cache(maxsize=4096)
def _altered(wanted: tuple[Statement, ...], partition: str, shares: Shares) -> str | None:
    there = statements.ours(statements.merged({}, wanted, partition))
    if there == wanted:
        sids = [sid for _, _, sids in shares for sid in sids]
        named = all(own_ids.grant_of(sid) for sid in sids)
        known = shared.exact(there) and shared.shares_of(there, (), own_ids.grants_of(sids)) == shares
        return None if known and named else "by which grant somebody has access"
    lost = next((item for item in wanted if item not in there), None)
    return f"the {policy.named(shared_ids.short(lost.sid))}" if lost is not None else "the order of the statements"


def too_long(settings: AccessSettings, document: Document) -> str | None:
    """What is said where the policy would be longer than ECR takes it, with others' statements, which are those of the document."""
    others = statements.foreign(document)
    size = len(shared.text_of(statements.merged(document, settings.statements, settings.partition)))
    if size <= shared.MAX_POLICY:
        return None
    of_grants: dict[str, set[str]] = {}
    for item in settings.apart():
        of_grants.setdefault(own_ids.grant_of(item.sid) or item.sid, set()).update(item.principals)
    largest = sorted(of_grants, key=lambda grant: (-len(of_grants[grant]), grant))
    said = some_of([f"{grant} with {counted(len(of_grants[grant]), 'principal')}" for grant in largest])
    theirs = len(shared.text_of(statements.merged(document, (), settings.partition)))
    foreign = f" and {counted(len(others), 'foreign statement')} of {theirs:,} characters" if others else ""
    return (
        f"the repository policy would have {size:,} characters; ECR allows at most {shared.MAX_POLICY:,}; it is made from"
        f" {counted(len(of_grants), 'grant')} ({said}){foreign}: {shorter.advice(settings.apart(), settings.partition, document)}"
    )
