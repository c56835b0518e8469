"""Scanning for vulnerabilities: filters of ours in the one document that an account has in a region. The other filters are kept.

https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_PutRegistryScanningConfiguration.html
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from threading import Lock
from typing import TYPE_CHECKING, Any

from reconciler.model.address import Address
from reconciler.model.kind import Found, Home, Kind, Trait, Verb, Write
from reconciler.model.ledger import Texts
from reconciler.model.marks import Marks
from reconciler.model.resource import Desired, Live
from reconciler.model.weakening import Weakening
from reconciler.spec.registry import RegistryBase
from reconciler.words import Named

from .account_document import document_of
from .ledgers import LEDGER_PUT, LEDGER_READ, LEDGER_REMOVE, PENDING, carriers_of
from .scanning_notes import Note, ScanningLedger
from .scanning_settings import (
    BASIC,
    NAMES,
    TYPES,
    ScanningSettings,
    beside,
    kept,
    left,
    of_type,
    rest_of,
    shared,
    turned,
    turns,
    weaker,
)
from .scanning_spec import MAX_FILTERS, Entry
from .spec import AwsRegistry
from .tags import MAX_VALUE

if TYPE_CHECKING:
    from .session import AwsSession

RULES = "rules"
#: registries of one account and region share the document: one read-merge-write at a time
_locks: dict[tuple[str, str], Lock] = {}


_WRITE = (
    *("ecr:GetRegistryScanningConfiguration", "ecr:PutRegistryScanningConfiguration"),
    # https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-scanning-enhanced-iam.html
    *("inspector2:Enable", "inspector2:Disable", "inspector2:ListAccountPermissions", "iam:CreateServiceLinkedRole"),
)


class ScanningKind(Kind):
    """The registry's filters in the account's scanning configuration, and the account's type of scanning."""

    name = "scanning"
    settings = ScanningSettings
    traits = frozenset({Trait.UPSERTS, Trait.SHARED, Trait.INHERITS, Trait.COMMON})
    after = ("role", "ledger")
    permissions = {
        Verb.LIST: ("ecr:GetRegistryScanningConfiguration", *LEDGER_READ),
        Verb.READ: ("ecr:GetRegistryScanningConfiguration", *LEDGER_READ),
        Verb.UPDATE: (*_WRITE, *LEDGER_READ, *LEDGER_PUT),
        Verb.DELETE: (*_WRITE, *LEDGER_READ, *LEDGER_REMOVE),
    }

    def shown(self, settings: ScanningSettings) -> dict[str, Any]:
        return {
            **super().shown(settings),
            "type": Named(settings.type, TYPES.get(settings.type, settings.type.lower())),
        }

    def usual(self, address: Address, home: Home) -> dict[str, Any]:
        """The type is always said: it is the account's, and one of the two costs money."""
        return {name: value for name, value in self.blank.items() if name != "type"}

    def unasked(self, wanted: Desired, registry: RegistryBase) -> str | None:
        asked = settings_of(registry) if isinstance(registry, AwsRegistry) else None
        return None if wanted.settings == asked else "what is scanned, and how,"

    def weakens(self, before: ScanningSettings | None, after: ScanningSettings | None) -> Iterator[Weakening]:
        return weaker(before, after)

    def weakens_there(self, live: Live, wanted: Desired) -> Iterator[Weakening]:
        return weaker(live.settings, wanted.settings, beside(live, wanted.settings))

    def weakens_gone(self, live: Live) -> Iterator[Weakening]:
        return weaker(live.settings, None, beside(live, None))

    def document(self, address: Address, registry: RegistryBase) -> str:
        return document_of(address, registry)

    def meanwhile(self, live: Live) -> Iterator[Live]:
        """With the type that other registries change it to."""
        return (replace(live, settings=settings) for settings in turned(live))

    def remarks(self, live: Live, wanted: Desired, *, changed: bool) -> Iterator[str]:
        if changed:
            yield from turns(live, wanted.settings)
            yield from kept(live, wanted.settings)
            yield from shared(wanted.settings, live.rest)
            yield from left(live.settings, wanted.settings, live.rest)

    def remarks_gone(self, live: Live) -> Iterator[str]:
        yield from kept(live, None)
        yield from left(live.settings, None, live.rest)

    def list(self, session: AwsSession, wanted: Mapping[Address, Desired], found: Found) -> Iterator[Live]:
        ledger = session.ledger(ScanningLedger)
        role = ledger.texts(ledger.carrier(Address.of(session.name, self.name, RULES)))
        regions = {session.region_of(at) for at in wanted if at.kind == self.name}
        for region in sorted({*regions, *ledger.regions_with_scanning(role)}):
            at = Address.of(session.name, self.name, RULES, session.where(region))
            found_there = _found(session, at, role)
            desired = wanted.get(at)
            if desired is not None and (reason := found_there.refused(desired.settings)):
                session.refused[at] = reason
            yield _live(session, at, found_there, role)

    def read(self, session: AwsSession, addresses: Sequence[Address]) -> Iterator[Live]:
        addresses = [at for at in addresses if at.name == RULES]
        for at, texts in zip(addresses, session.ledger(ScanningLedger).read(addresses), strict=True):
            yield _live(session, at, _found(session, at, texts), texts)

    def create(self, session: AwsSession, write: Write) -> Live:
        at, ledger = write.desired.address, session.ledger(ScanningLedger)
        wanted: ScanningSettings = write.desired.settings
        with _lock(session, at):
            before = _read(session, at, ledger.read([at])[0])
            # what no note says to be ours may be somebody else's, whatever it is called: it stays when ours goes
            strange = before.entries - before.siblings.ours - before.note.ours
            # others had it before a sibling did, so it stays with the last of us too
            theirs = before.note.theirs & (before.note.ours | before.entries)
            theirs = theirs.union(strange, before.siblings.theirs & before.entries)
            gone = before.note.ours - wanted.entries - theirs - before.siblings.ours
            stays = before.entries - gone
            both = before.note.ours | wanted.entries
            note = Note.between(both, theirs)
            if len(note.value(PENDING)) > MAX_VALUE:  # no room to note both at once: what goes, goes first
                _put(session, at, before.type, stays)
                note = Note.between(wanted.entries, theirs)
            # noted first, so that what is written is known as ours whenever this ends
            ledger.put(at, note, PENDING)
            document = _put(session, at, wanted.type, before.as_type(wanted.type, stays) | wanted.entries)
            entry = ledger.put(at, Note.between(wanted.entries, theirs), write.marks.applied or "")
            texts = {**write.marks.texts(), **entry}
            return _live(session, at, _Found.of(document, ledger.note(at, texts), before.noted), texts)

    def update(self, session: AwsSession, write: Write, live: Live) -> Live:
        return self.create(session, write)

    def delete(self, session: AwsSession, live: Live, *, force: bool) -> None:
        at, ledger = live.address, session.ledger(ScanningLedger)
        with _lock(session, at):
            there = _read(session, at, ledger.read([at])[0])
            stays = there.entries - (there.note.alone - there.siblings.ours)
            # with no filter left nothing is scanned by either type; the one that an account has at first costs nothing
            if stays != there.entries or not (stays or there.type == BASIC):
                _put(session, at, there.type if stays else BASIC, stays)
            ledger.forget(at)


def settings_of(registry: AwsRegistry) -> ScanningSettings:
    """What the spec asks for."""
    scanning = registry.scanning
    if scanning is None:
        return ScanningSettings()
    on_push, continuous = scanning.filters(registry.name_prefix)
    return ScanningSettings(scanning.type.upper(), tuple(sorted(on_push)), tuple(sorted(continuous)))


@dataclass(frozen=True, slots=True)
class _Found:
    """The account's configuration in a region: its type and filters, what is noted as ours, and what siblings, the other registries
    of the spec, have noted (`noted`); `note` and `siblings` say it as the type has it."""

    type: str
    entries: frozenset[Entry]
    note: Note
    siblings: Note
    noted: Note

    @classmethod
    def of(cls, document: Mapping[str, Any], note: Note, noted: Note) -> _Found:
        """What a document says. `note`, `noted`: as they were written, perhaps under the other type."""
        kind = str(document["scanType"])
        return cls(kind, _entries(document), note.on(kind), noted.on(kind), noted)

    @property
    def others(self) -> frozenset[Entry]:
        """The filters that may be others', those that are ours too among them."""
        return self.entries - self.note.alone - self.siblings.alone

    def as_type(self, kind: str, entries: frozenset[Entry]) -> set[Entry]:
        """Some of the filters as they stand once the type is changed: those of siblings as they have them where the type has that."""
        theirs = {entry for entry in self.noted.ours if of_type(self.type, [entry]) <= entries}
        return of_type(kind, (entries - self.siblings.ours) | theirs)

    def refused(self, wanted: ScanningSettings) -> str:
        """What the account would not take, or what would change what others have; "" if nothing."""
        if self.others and self.type != wanted.type:
            names = ", ".join(sorted({item for _, item in self.others}))
            return (
                f"{wanted.type.lower()} scanning would also change how repositories that others chose are scanned ({names}):"
                f" the account has one type, {self.type.lower()}; write type: {self.type.lower()},"
                " or remove these filters first"
            )
        for frequency, name in NAMES.items():
            count = len({item for which, item in self.others | wanted.entries if which == frequency})
            if count > MAX_FILTERS:
                return f"the account would have {count} filters for scanning {name}; ECR allows at most {MAX_FILTERS}"
        return ""


def _lock(session: AwsSession, at: Address) -> Lock:
    return _locks.setdefault((session.registry.account_id, session.region_of(at)), Lock())


def _found(session: AwsSession, at: Address, texts: Texts) -> _Found:
    """What is there now, as no sibling is changing it. `texts`: what is noted."""
    with _lock(session, at):
        return _read(session, at, texts)


def _read(session: AwsSession, at: Address, texts: Texts) -> _Found:
    answer = session.call("ecr", "get_registry_scanning_configuration", session.region_of(at), address=at)
    ledger = session.ledger(ScanningLedger)
    found = {"scanType": BASIC, "rules": [], **(answer.get("scanningConfiguration") or {})}
    return _Found.of(found, ledger.note(at, texts), ledger.by_siblings(at))


def _put(session: AwsSession, at: Address, kind: str, entries: Iterable[Entry]) -> dict[str, Any]:
    rules: dict[str, list[str]] = {}
    for frequency, item in sorted(entries):
        rules.setdefault(frequency, []).append(item)
    # an empty list is sent too: without it ECR keeps the rules (hashicorp/terraform-provider-aws#31423)
    answer = session.call(
        "ecr",
        "put_registry_scanning_configuration",
        session.region_of(at),
        address=at,
        scanType=kind,
        rules=[
            {
                "scanFrequency": frequency,
                "repositoryFilters": [{"filter": item, "filterType": "WILDCARD"} for item in found],
            }
            for frequency, found in rules.items()
        ],
    )
    written: dict[str, Any] = answer["registryScanningConfiguration"]
    return {"scanType": BASIC, "rules": [], **written}


def _entries(document: Mapping[str, Any]) -> frozenset[Entry]:
    return frozenset(
        (rule["scanFrequency"], item["filter"])
        for rule in document["rules"]
        for item in rule.get("repositoryFilters", ())
    )


def _live(session: AwsSession, at: Address, there: _Found, role: Texts) -> Live:
    marks = session.ledger(ScanningLedger).marks(at, role)
    ours = there.note.ours & there.entries
    found = {
        name: tuple(sorted(item for which, item in ours if which == frequency)) for frequency, name in NAMES.items()
    }
    return Live(
        address=at,
        kind=ScanningKind.name,
        settings=ScanningSettings(there.type, **found),
        marks=marks if marks.applied is not None else Marks(),
        native=f"scanning of registry {session.name} in {session.region_of(at)}",
        needs=carriers_of(session),
        rest=rest_of(there.others),
        vacant=marks.applied is None,
    )
