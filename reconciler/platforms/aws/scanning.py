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
from reconciler.model.marks import Marks, applied_key
from reconciler.model.resource import Desired, Live
from reconciler.model.weakening import Weakening
from reconciler.spec.registry import RegistryBase
from reconciler.words import Named, all_of, plural

from .ledgers import LEDGER_PUT, LEDGER_READ, LEDGER_REMOVE, PENDING, RegistryLedger, carriers_of
from .scanning_settings import BASIC, NAMES, TYPES, ScanningSettings, beside, left, of_rest, rest_of, shared, weaker
from .scanning_spec import CONTINUOUS, LETTERS, MAX_FILTERS, ON_PUSH, Entry, noted
from .spec import AwsRegistry
from .tags import MAX_VALUE

if TYPE_CHECKING:
    from .session import AwsSession

RULES = "rules"
_LETTERS = {letter: frequency for frequency, letter in LETTERS.items()}
_APPLIED = f"{applied_key('scanning')}-"
#: registries of one account and region share the document: one read-merge-write at a time
_locks: dict[tuple[str, str], Lock] = {}


@dataclass(frozen=True, slots=True)
class Note:
    """What the ledger says of a region: which filters are ours, and which of these others had before."""

    ours: frozenset[Entry] = frozenset()
    theirs: frozenset[Entry] = frozenset()

    @classmethod
    def of(cls, value: str) -> Note:
        """The note in a tag, after the mark."""
        found = {
            (_LETTERS[word[0].lower()], word[2:].replace("+", "*")): word[0].isupper()
            for word in value.split()[1:]
            if word[0].lower() in _LETTERS
        }
        return cls(frozenset(found), frozenset(entry for entry, also in found.items() if also))

    def value(self, mark: str) -> str:
        """The tag's value."""
        return " ".join((mark, *noted(self.ours, self.theirs)))


class ScanningLedger(RegistryLedger):
    """Entries of the ledger, one for each region, which say what was last applied, and which filters are ours."""

    def key(self, at: Address) -> str:
        return f"{_APPLIED}{self.session.region_of(at)}"

    def texts(self, carrier: Address) -> Texts:
        return self.session.ledger(RegistryLedger).texts(carrier)

    def note(self, at: Address, texts: Texts) -> Note:
        """What is noted of the region of an address."""
        return Note.of(texts.get(self.key(at), ""))

    def put(self, at: Address, note: Note, mark: str) -> Texts:
        """Notes it, and returns the entry. Raises PlatformError."""
        entry = {self.key(at): note.value(mark)}
        self.change(at, entry)
        return entry

    def of_siblings(self, at: Address) -> frozenset[Entry]:
        """The filters that the spec's other registries of the account have noted as theirs, read now. Raises PlatformError."""
        return self.by_siblings(at).ours

    def by_siblings(self, at: Address) -> Note:
        """What the spec's other registries of the account have noted together, read now. Raises PlatformError."""
        notes = [Note.of(self.of(registry, at).get(self.key(at), "")) for registry in self.session.siblings]
        none: frozenset[Entry] = frozenset()
        return Note(none.union(*(note.ours for note in notes)), none.union(*(note.theirs for note in notes)))

    def regions_with_scanning(self, texts: Texts) -> Iterator[str]:
        """The regions in which filters of ours were written, sorted."""
        return (key.removeprefix(_APPLIED) for key in sorted(texts) if key.startswith(_APPLIED))


_WRITE = (
    *("ecr:GetRegistryScanningConfiguration", "ecr:PutRegistryScanningConfiguration"),
    # https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-scanning-enhanced-iam.html
    *("inspector2:Enable", "inspector2:Disable", "inspector2:ListAccountPermissions", "iam:CreateServiceLinkedRole"),
)


class ScanningKind(Kind):
    """The registry's filters in the account's scanning configuration, and the account's type of scanning."""

    name = "scanning"
    settings = ScanningSettings
    traits = frozenset({Trait.UPSERTS, Trait.SHARED, Trait.INHERITS})
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
        return weaker(live.settings, wanted.settings, beside(live.rest))

    def weakens_gone(self, live: Live) -> Iterator[Weakening]:
        return weaker(live.settings, None, beside(live.rest))

    def in_order(self, rest: str) -> str:
        """Without what other registries of the spec are to have, which comes and goes in the same run."""
        return rest_of(of_rest(rest))

    def remarks(self, live: Live, wanted: Desired, *, changed: bool) -> Iterator[str]:
        if changed:
            yield from live.notes
            yield from shared(wanted.settings, live.rest)
            yield from left(live.settings, wanted.settings, live.rest)

    def remarks_gone(self, live: Live) -> Iterator[str]:
        yield from live.notes
        yield from left(live.settings, None, live.rest)

    def list(self, session: AwsSession, wanted: Mapping[Address, Desired], found: Found) -> Iterator[Live]:
        ledger = session.ledger(ScanningLedger)
        role = ledger.texts(ledger.carrier(Address.of(session.name, self.name, RULES)))
        regions = {session.region_of(at) for at in wanted if at.kind == self.name}
        for region in sorted({*regions, *ledger.regions_with_scanning(role)}):
            at = Address.of(session.name, self.name, RULES, session.where(region))
            document = _read(session, at)
            desired = wanted.get(at)
            if desired is not None and (reason := _refused(session, at, document, desired.settings, role)):
                session.refused[at] = reason
            notes = (*_shares(session, document, desired), *_kept_by(session, ledger.note(at, role), desired, wanted))
            yield replace(_live(session, at, document, role), notes=notes)

    def read(self, session: AwsSession, addresses: Sequence[Address]) -> Iterator[Live]:
        addresses = [at for at in addresses if at.name == RULES]
        for at, texts in zip(addresses, session.ledger(ScanningLedger).read(addresses), strict=True):
            yield _live(session, at, _read(session, at), texts)

    def create(self, session: AwsSession, write: Write) -> Live:
        at, ledger = write.desired.address, session.ledger(ScanningLedger)
        wanted: ScanningSettings = write.desired.settings
        with _lock(session, at):
            texts = ledger.read([at])[0]
            noted = ledger.by_siblings(at)
            siblings = noted.ours
            document = _read(session, at)
            there = _entries(document)
            # what no note says to be ours may be somebody else's, whatever it is called: it stays when ours goes
            before = ledger.note(at, texts)
            # ours stand there at another frequency where another registry of the spec has changed the type
            strange = there - siblings - before.ours - _of_type(document["scanType"], before.ours)
            # others had it before a sibling did, so it stays with the last of us too
            theirs = before.theirs.union(strange, noted.theirs & there)
            gone = before.ours - wanted.entries - theirs - siblings
            both = Note(before.ours | wanted.entries, theirs & (before.ours | wanted.entries))
            if len(both.value(PENDING)) > MAX_VALUE:  # no room to note both at once: what goes, goes first
                there = _entries(_put(session, at, document["scanType"], there - gone))
                both = Note(wanted.entries, theirs & wanted.entries)
            # noted first, so that what is written is known as ours whenever this ends
            ledger.put(at, both, PENDING)
            document = _put(session, at, wanted.type, _of_type(wanted.type, (there - gone) | wanted.entries))
            entry = ledger.put(at, Note(wanted.entries, theirs & wanted.entries), write.marks.applied or "")
        return _live(session, at, document, {**write.marks.texts(), **entry})

    def update(self, session: AwsSession, write: Write, live: Live) -> Live:
        return self.create(session, write)

    def delete(self, session: AwsSession, live: Live, *, force: bool) -> None:
        at, ledger = live.address, session.ledger(ScanningLedger)
        with _lock(session, at):
            note = ledger.note(at, ledger.read([at])[0])
            document = _read(session, at)
            there = _entries(document)
            kept = there - (note.ours - note.theirs - ledger.of_siblings(at))
            # with no filter left nothing is scanned by either type; the one that an account has at first costs nothing
            if kept != there or not (kept or document["scanType"] == BASIC):
                _put(session, at, document["scanType"] if kept else BASIC, kept)
            ledger.forget(at)


def settings_of(registry: AwsRegistry) -> ScanningSettings:
    """What the spec asks for."""
    scanning = registry.scanning
    if scanning is None:
        return ScanningSettings()
    on_push, continuous = scanning.filters(registry.name_prefix)
    return ScanningSettings(scanning.type.upper(), tuple(sorted(on_push)), tuple(sorted(continuous)))


def _refused(session: AwsSession, at: Address, document: dict[str, Any], wanted: ScanningSettings, role: Texts) -> str:
    """What the account would not take, or what would change what others have; "" if nothing."""
    note = session.ledger(ScanningLedger).note(at, role)
    # what other registries of the spec have is of this spec, also where it wants it at another frequency now
    siblings = _chosen(_siblings(session) | session.ledger(ScanningLedger).of_siblings(at))
    others = {
        (frequency, item) for frequency, item in _entries(document) - (note.ours - note.theirs) if item not in siblings
    }
    if others and document["scanType"] != wanted.type:
        names = ", ".join(sorted(item for _, item in others))
        return (
            f"{wanted.type.lower()} scanning would also change how repositories that others chose are scanned ({names}):"
            f" the account has one type, {document['scanType'].lower()}; write type: {document['scanType'].lower()},"
            " or remove these filters first"
        )
    for frequency, name in NAMES.items():
        count = len({item for which, item in others | wanted.entries if which == frequency})
        if count > MAX_FILTERS:
            return f"the account would have {count} filters for scanning {name}; ECR allows at most {MAX_FILTERS}"
    return ""


def _siblings(session: AwsSession) -> frozenset[Entry]:
    """What these ask for: it comes in the same run, as what they have noted goes in it, so neither makes a plan stale."""
    return frozenset().union(*(settings_of(item).entries for item in session.siblings))


def _of_type(kind: str, entries: frozenset[Entry]) -> set[Entry]:
    """The filters as a type has them: basic scanning scans nothing continuously. Only other registries of the spec can have such a
    filter there, until they are applied. `MANUAL`, which others may have, stays as it is."""
    return {(ON_PUSH if kind == BASIC and frequency == CONTINUOUS else frequency, item) for frequency, item in entries}


def _chosen(entries: Iterable[Entry]) -> set[str]:
    """The filters, at whichever frequency."""
    return {item for _, item in entries}


def _shares(session: AwsSession, document: dict[str, Any], desired: Desired | None) -> Iterator[str]:
    """Whose scanning changes with the type, which the account has one of."""
    names = [item.name for item in session.siblings if item.scanning is not None]
    if names and desired is not None and desired.settings.type != document["scanType"]:
        yield f"the account has one type of scanning, so it changes for {all_of(names)} too"


def _kept_by(
    session: AwsSession, note: Note, desired: Desired | None, wanted: Mapping[Address, Desired]
) -> Iterator[str]:
    """Which filters that leave the registry others of the spec have too. `wanted`: nothing where all of the registry goes, and then
    the others' may go with it."""
    gone = note.ours - (desired.settings.entries if desired is not None else frozenset())
    for item in session.siblings if gone and wanted else ():
        if both := sorted(_chosen(gone & settings_of(item).entries)):
            filters = f"the {plural(len(both), 'filter')} {all_of(both)}"
            they = "it stays, and what it chooses" if len(both) == 1 else "they stay, and what they choose"
            yield f"registry {item.name} has {filters} too: {they} is still scanned"


def _lock(session: AwsSession, at: Address) -> Lock:
    return _locks.setdefault((session.registry.account_id, session.region_of(at)), Lock())


def _read(session: AwsSession, at: Address) -> dict[str, Any]:
    answer = session.call("ecr", "get_registry_scanning_configuration", session.region_of(at), address=at)
    found: dict[str, Any] = answer.get("scanningConfiguration") or {}
    return {"scanType": BASIC, "rules": [], **found}


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


def _entries(document: dict[str, Any]) -> frozenset[Entry]:
    return frozenset(
        (rule["scanFrequency"], item["filter"])
        for rule in document["rules"]
        for item in rule.get("repositoryFilters", ())
    )


def _live(session: AwsSession, at: Address, document: dict[str, Any], role: Texts) -> Live:
    ledger = session.ledger(ScanningLedger)
    marks = ledger.marks(at, role)
    note = ledger.note(at, role)
    ours = note.ours & _entries(document)
    # with those that are ours too
    others = _entries(document) - (note.ours - note.theirs) - _siblings(session) - ledger.of_siblings(at)
    found = {
        name: tuple(sorted(item for which, item in ours if which == frequency)) for frequency, name in NAMES.items()
    }
    return Live(
        address=at,
        kind=ScanningKind.name,
        settings=ScanningSettings(document["scanType"], **found),
        marks=marks if marks.applied is not None else Marks(),
        native=f"scanning of registry {session.name} in {session.region_of(at)}",
        needs=carriers_of(session),
        rest=rest_of(others, _siblings(session)),
        vacant=marks.applied is None,
    )
