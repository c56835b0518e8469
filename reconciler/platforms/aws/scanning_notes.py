"""What is noted of scanning: which filters of an account are a registry's, and which of these others had before."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from reconciler.model.address import Address
from reconciler.model.ledger import Texts
from reconciler.model.marks import applied_key

from .ledgers import RegistryLedger
from .scanning_settings import BASIC, of_type
from .scanning_spec import BESIDE, LETTERS, Entry, noted
from .tags import MAX_VALUE

_LETTERS, _BESIDE = ({letter: frequency for frequency, letter in found.items()} for found in (LETTERS, BESIDE))
_APPLIED = f"{applied_key('scanning')}-"


@dataclass(frozen=True, slots=True)
class Note:
    """What the ledger says of a region: which filters are ours, and which of these others had before.

    `theirs` also holds what others scan continuously where ours scan on push, and the other way round: it is the same once the
    account's type is basic.
    """

    ours: frozenset[Entry] = frozenset()
    theirs: frozenset[Entry] = frozenset()

    @classmethod
    def of(cls, value: str) -> Note:
        """The note in a tag, after the mark."""
        words = value.split()[1:]
        beside = [(_BESIDE[word[0]], word[2:].replace("+", "*")) for word in words if word[0] in _BESIDE]
        found = {
            (_LETTERS[word[0].lower()], word[2:].replace("+", "*")): word[0].isupper()
            for word in words
            if word[0].lower() in _LETTERS
        }
        return cls(frozenset(found), frozenset(beside).union(entry for entry, also in found.items() if also))

    @classmethod
    def between(cls, ours: Iterable[Entry], theirs: Iterable[Entry]) -> Note:
        """The note of our filters, of which others had some before. `theirs`: all that others have."""
        mine, others = frozenset(ours), frozenset(theirs)
        basic = of_type(BASIC, mine)
        return cls(mine, frozenset(item for item in others if item in mine or of_type(BASIC, [item]) <= basic))

    @property
    def alone(self) -> frozenset[Entry]:
        """The filters that are nobody's but ours."""
        return self.ours - self.theirs

    def on(self, kind: str) -> Note:
        """The note of the same filters as they stand where the account has this type, which somebody else may have changed."""
        return Note(frozenset(of_type(kind, self.ours)), frozenset(of_type(kind, self.theirs)))

    def value(self, mark: str) -> str:
        """The tag's value, with what others have beside ours as far as there is room for it."""
        found = " ".join((mark, *noted(self.ours, self.theirs)))
        for frequency, item in sorted(self.theirs - self.ours):
            more = f"{found} {BESIDE[frequency]}:{item.replace('*', '+')}"
            found = more if len(more) <= MAX_VALUE else found
        return found


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

    def by_siblings(self, at: Address) -> Note:
        """What the spec's other registries of the account have noted of the region together, read now. Raises PlatformError."""
        notes = [Note.of(self.of(registry, at).get(self.key(at), "")) for registry in self.session.siblings]
        none: frozenset[Entry] = frozenset()
        return Note(none.union(*(note.ours for note in notes)), none.union(*(note.theirs for note in notes)))

    def regions_with_scanning(self, texts: Texts) -> Iterator[str]:
        """The regions in which filters of ours were written, sorted."""
        return (key.removeprefix(_APPLIED) for key in sorted(texts) if key.startswith(_APPLIED))
