"""The registry policy: statements of ours in the one document that an account has in a region. The other statements are kept.

https://docs.aws.amazon.com/AmazonECR/latest/userguide/registry-permissions.html
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from threading import Lock
from typing import TYPE_CHECKING, Any

from reconciler.errors import PlatformError
from reconciler.model.access import Access, ForeignAccess, Given
from reconciler.model.address import Address
from reconciler.model.canonical import text
from reconciler.model.kind import Found, GivesAccess, Home, Kind, Trait, Verb, Write
from reconciler.model.ledger import Texts
from reconciler.model.marks import Marks, applied_key
from reconciler.model.resource import Desired, Live
from reconciler.spec.registry import RegistryBase
from reconciler.words import counted

from . import effective, names, policy, registry_statements, shared
from .account_document import document_of
from .ledgers import LEDGER_PUT, LEDGER_READ, LEDGER_REMOVE, PENDING, RegistryLedger, carrier_of, carriers_of
from .policy import Document, Statement
from .spec import AwsRegistry

if TYPE_CHECKING:
    from .session import AwsSession

POLICY = "statements"
GONE = ("RegistryPolicyNotFoundException",)
#: characters: https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_PutRegistryPolicy.html
MAX_POLICY = 10_240
_APPLIED = f"{applied_key('registry_policy')}-"
#: registries of one account and region share the document: one read-merge-write at a time
_locks: dict[tuple[str, str], Lock] = {}


@dataclass(frozen=True, slots=True)
class RegistryPolicySettings:
    """A registry's statements, sorted, and the partition that accounts are written in."""

    statements: tuple[Statement, ...] = ()
    partition: str = "aws"


class RegistryPolicyLedger(RegistryLedger):
    """Entries of the ledger, one for each region, which say what was last applied."""

    def key(self, at: Address) -> str:
        return f"{_APPLIED}{self.session.region_of(at)}"

    def texts(self, carrier: Address) -> Texts:
        return self.session.ledger(RegistryLedger).texts(carrier)

    def regions_with_a_policy(self, texts: Texts) -> list[str]:
        """The regions in which statements of ours were written, sorted."""
        return [key.removeprefix(_APPLIED) for key in sorted(texts) if key.startswith(_APPLIED)]


class RegistryPolicyKind(Kind, GivesAccess):
    """The registry's statements in the account's registry policy."""

    name = "registry_policy"
    settings = RegistryPolicySettings
    traits = frozenset({Trait.UPSERTS, Trait.SHARED, Trait.INHERITS, Trait.COMMON})
    after = ("role", "ledger", "repository")
    permissions = {
        Verb.LIST: ("ecr:GetRegistryPolicy",),
        Verb.READ: ("ecr:GetRegistryPolicy", *LEDGER_READ),
        Verb.UPDATE: ("ecr:GetRegistryPolicy", "ecr:PutRegistryPolicy", *LEDGER_PUT),
        Verb.DELETE: (
            *("ecr:GetRegistryPolicy", "ecr:PutRegistryPolicy", "ecr:DeleteRegistryPolicy"),
            *LEDGER_REMOVE,
        ),
    }

    def access(self, address: Address, settings: RegistryPolicySettings) -> Iterator[Access]:
        for statement in settings.statements:
            yield from registry_statements.accesses(address, statement)

    def gains_and_losses(
        self, address: Address, before: Given, after: Given, home: Home
    ) -> tuple[list[Access], list[Access]]:
        """By who includes whom, and by the names that the statements are about. What another registry's statements of the same policy
        gave before is no gain, and what they give afterwards is no loss."""
        then, now = _statements(before), _statements(after)
        here = home.registry
        place = _place(here, address.where or here.region) if isinstance(here, AwsRegistry) else ""
        had, will_have = (
            chain.from_iterable(item.statements for item in some) for some in (before.had, after.will_have)
        )
        gains = registry_statements.gains(address, (*then, *had), now, home.account, place=place)
        losses = registry_statements.losses(address, then, (*now, *will_have), home.account, place)
        return list(gains), list(losses)

    def document(self, address: Address, registry: RegistryBase) -> str:
        return document_of(address, registry)

    def shown(self, settings: RegistryPolicySettings) -> dict[str, Any]:
        shown = {}
        for item in settings.statements:
            shown[item.sid] = {
                **policy.principals_shown(item.principals),
                "may": list(item.actions),
                "on": policy.resources_shown(registry_statements.resources_of(item)),
                **({"if": policy.conditions_shown(item.conditions)} if item.conditions else {}),
                **({"effect": item.effect} if item.effect != "Allow" else {}),
                **({"other": other} if (other := registry_statements.other_of(item)) else {}),
            }
        return shown

    def altered(self, settings: RegistryPolicySettings) -> str | None:
        if settings.partition not in names.PARTITIONS:
            return "the partition"
        return registry_statements.altered(settings.statements)

    def in_order(self, rest: str) -> str:
        document = policy.parsed(rest)
        found = sorted((policy.in_order(item) for item in policy.statements_of(document)), key=text)
        return text({**document, "Statement": found}) if document else ""

    def list(self, session: AwsSession, wanted: Mapping[Address, Desired], found: Found) -> Iterator[Live]:
        ledger = session.ledger(RegistryPolicyLedger)
        texts = ledger.texts(carrier_of(session.registry))
        regions = {session.region_of(at) for at in wanted if at.kind == self.name}
        # another spec may have a registry of this name: where nothing of ours is left, the ids of statements prove nothing
        witnessed = any(item.marks.owner == session.owner for kind in ("role", "repository") for item in found[kind])
        for region in sorted({*regions, *ledger.regions_with_a_policy(texts)}):
            at = Address.of(session.name, self.name, POLICY, session.where(region))
            document = _read(session, at)
            if at in wanted and (reason := _too_long(session, document, wanted[at].settings)):
                session.refused[at] = reason
            yield _live(session, at, document, texts, witnessed=witnessed)

    def read(self, session: AwsSession, addresses: Sequence[Address]) -> Iterator[Live]:
        addresses = [at for at in addresses if at.name == POLICY]
        for at, texts in zip(addresses, session.ledger(RegistryPolicyLedger).read(addresses), strict=True):
            yield _live(session, at, _read(session, at), texts)

    def create(self, session: AwsSession, write: Write) -> Live:
        ledger, at = session.ledger(RegistryPolicyLedger), write.desired.address
        _check(session, at, write.desired.settings)
        # noted first: what is written is known as ours whenever this ends
        ledger.change(at, {ledger.key(at): PENDING})
        return self._write(session, write)

    def _write(self, session: AwsSession, write: Write) -> Live:
        at, wanted = write.desired.address, write.desired.settings
        _check(session, at, wanted)
        ledger = session.ledger(RegistryPolicyLedger)
        with ledger.noting(write), _lock(session, at):
            document = registry_statements.merged(_read(session, at), session.name, wanted.statements, wanted.partition)
            document = _put(session, at, document)
        return _live(session, at, document, {**write.marks.texts(), ledger.key(at): write.marks.applied or ""})

    def update(self, session: AwsSession, write: Write, live: Live) -> Live:
        return self.create(session, write) if live.marks.applied is None else self._write(session, write)

    def delete(self, session: AwsSession, live: Live, *, force: bool) -> None:
        at = live.address
        with _lock(session, at):
            document = _read(session, at)
            left = registry_statements.merged(document, session.name, (), "")
            if not left["Statement"] and document:
                session.call("ecr", "delete_registry_policy", session.region_of(at), address=at, absent=GONE)
            elif len(left["Statement"]) < len(policy.statements_of(document)):
                _put(session, at, left)
        session.ledger(RegistryPolicyLedger).forget(at)


def settings_of(registries: Sequence[Any], here: AwsRegistry, region: str) -> RegistryPolicySettings:
    """What the spec asks for in a region of a registry; without statements, nothing."""
    return RegistryPolicySettings(registry_statements.wanted_by(registries, here, region), names.partition(here.region))


def _statements(given: Given) -> tuple[Statement, ...]:
    """All statements of a policy, ours and others'."""
    ours: tuple[Statement, ...] = given.settings.statements if given.settings is not None else ()
    return ours + tuple(policy.normal(item) for item in policy.statements_of(policy.parsed(given.rest)))


def _check(session: AwsSession, at: Address, wanted: RegistryPolicySettings) -> None:
    """Raises PlatformError for statements that are of another registry or another partition: a plan file was edited."""
    strange = [item.sid for item in wanted.statements if registry_statements.registry_of(item.sid) != session.name]
    if strange or wanted.partition != names.partition(session.registry.region):
        what = (
            f"statement {strange[0]} is not of registry {session.name}" if strange else f"partition {wanted.partition}"
        )
        raise PlatformError(
            f"the plan was changed: {what}", address=at, operation="ecr:PutRegistryPolicy", hint="make a new plan"
        )


def _too_long(session: AwsSession, document: Document, wanted: RegistryPolicySettings) -> str:
    left = registry_statements.merged(document, session.name, wanted.statements, wanted.partition)
    size = len(shared.text_of(left))
    if size <= MAX_POLICY:
        return ""
    others = counted(len(left["Statement"]) - len(wanted.statements), "statement")
    return (
        f"the registry policy would have {size:,} characters with {others} of others; ECR allows at most {MAX_POLICY:,}"
    )


def _lock(session: AwsSession, at: Address) -> Lock:
    return _locks.setdefault((session.registry.account_id, session.region_of(at)), Lock())


def _read(session: AwsSession, at: Address) -> Document:
    answer = session.call("ecr", "get_registry_policy", session.region_of(at), address=at, absent=GONE)
    return policy.parsed(answer["policyText"]) if answer else {}


def _put(session: AwsSession, at: Address, document: Document) -> Document:
    region = session.region_of(at)
    try:
        answer = session.call("ecr", "put_registry_policy", region, address=at, policyText=shared.text_of(document))
    except PlatformError as error:
        if error.code == "InvalidParameterException":
            # ECR says neither that it is about a principal nor about which (pulumi/pulumi-aws#2326)
            found = {who for item in policy.statements_of(document) for who in policy.normal(item).principals}
            error.hint = f"perhaps one of these does not exist, or not any more: {', '.join(sorted(found - {'*'}))}"
        raise
    return policy.parsed(answer["policyText"])


def _live(session: AwsSession, at: Address, document: Document, texts: Texts, *, witnessed: bool = True) -> Live:
    """`witnessed`: whether something else of the registry is there."""
    ours = registry_statements.ours(document, session.name)
    marks = session.ledger(RegistryPolicyLedger).marks(at, texts)
    if ours and marks.owner is None and witnessed:  # the carrier was removed by hand; the ids say whose they are
        marks = Marks(session.owner, "spec", None, session.name)
    elif marks.applied is None:  # with a carrier that doesn't say so, they are somebody else's
        marks = Marks()
    siblings = {item.name for item in session.estate.registries}
    by = [(registry_statements.registry_of(str(item.get("Sid", ""))), item) for item in policy.statements_of(document)]
    known = {name for name, _ in by if name in siblings and name != session.name}
    strangers = {name for name in known if not _looked_at(session, name, at)}
    # a sibling's statements change in the same run, so they must not make this one's plan stale
    others = [item for name, item in by if name not in siblings or name in strangers]
    kept = {**document, "Statement": others}
    own = bool(ours) or marks.applied is not None
    return Live(
        address=at,
        kind=RegistryPolicyKind.name,
        settings=RegistryPolicySettings(ours, names.partition(session.registry.region)),
        marks=marks if own else Marks(),
        native=f"statements of registry {session.name} in the registry policy of {session.region_of(at)}",
        needs=carriers_of(session),
        rest=json.dumps(kept) if others or document.keys() - {"Version", "Statement"} else "",
        vacant=not own,
        foreign=tuple(_foreign(session, at, others)),
    )


def _looked_at(session: AwsSession, name: str, at: Address) -> bool:
    """Whether a plan looks at the statements that another registry of the spec has where an address is: the ids of others prove
    nothing, since anybody can write them."""
    region = session.region_of(at)
    sibling = next((item for item in session.siblings if item.name == name), None)
    if sibling is None:
        return False
    if sibling.registry_policy and region in sibling.regions:
        return True
    ledger = session.ledger(RegistryPolicyLedger)
    found = ledger.of(sibling, at, guess=True)
    ours = (Marks.of(found).owner, Marks.of(found).registry) == (session.owner, name)
    return ours and region in ledger.regions_with_a_policy(found)


def _place(here: AwsRegistry, region: str) -> str:
    """How the ARNs of the repositories begin that a registry policy of a region is for."""
    return names.repository_arn(here.account_id, region, "")


def _foreign(session: AwsSession, at: Address, others: Sequence[Document]) -> Iterator[ForeignAccess]:
    """What statements of others give that may be about repositories of the registry, and what they deny."""
    region = session.region_of(at)
    removal = f"remove the statement from the registry policy of {region}"
    found = [policy.normal(item) for item in others]
    denies = [item for item in found if item.effect != "Allow"]
    for statement in found:
        name = effective.name_of(statement)
        if not registry_statements.reaching(statement, session.registry, region):
            continue
        if statement.effect == "Allow":
            given = tuple(sorted(registry_statements.accesses(at, statement, denies, _place(session.registry, region))))
            yield ForeignAccess(at, f"{name} of the registry policy", given, removal)
        else:
            yield ForeignAccess(at, f"{name} of the registry policy denies {', '.join(statement.actions)}", (), removal)
