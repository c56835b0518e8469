"""Where the marks stand of what can't carry marks: on another resource, its carrier.

An ECR policy has no tags, so its repository's tags say what was last applied to it. Every platform has such things; what differs
is the carrier, the key, and how the carrier's texts (tags, labels, a description) are read and changed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from threading import Lock
from typing import Any

from reconciler.errors import PlatformError

from .address import Address
from .canonical import applied_hash
from .kind import Write
from .marks import Marks, applied_key
from .resource import Desired

Texts = Mapping[str, str]


class Ledger(ABC):
    """The marks of resources that other resources carry for them.

    Their owner and origin are the carrier's; their applied hash is an entry of its own. What a listing found is remembered
    (`learn`, `texts`, `marks`), for the kinds that are listed after; before a write, `read` asks anew. Whoever writes to a
    carrier, its own kind included, does so through `change`.
    """

    def __init__(self, session: Any) -> None:
        self.session = session
        self._known: dict[Address, Texts] = {}
        self._locks: dict[Address, Lock] = {}

    # -- what a platform says -----------------------------------------------------------------------------------

    @abstractmethod
    def carrier(self, at: Address) -> Address:
        """The resource that carries the marks of the resource at an address."""

    def key(self, at: Address) -> str:
        """The key of the entry that holds its applied hash."""
        return applied_key(at.kind)

    def entries(self, desired: Desired, applied: str) -> Texts:
        """What is noted of a resource: its applied hash, unless a platform has more to remember."""
        return {self.key(desired.address): applied}

    def note_of(self, marks: Marks) -> str:
        """What is noted of what was applied: its hash, unless a platform has more to remember."""
        return marks.applied or ""

    def noted(self, at: Address) -> Collection[str]:
        """The keys of what is noted of the resource now. A platform that notes more than the hash asks the carrier here."""
        return (self.key(at),)

    def claims(self, write: Write) -> Texts:
        """Entries that must stand before the write, where the write itself leaves no trace of whose it is; none as a rule."""
        return {}

    @abstractmethod
    def fetch(self, carriers: Sequence[Address]) -> Sequence[Texts]:
        """The texts of each carrier, read now; empty for one that isn't there. Raises PlatformError."""

    @abstractmethod
    def write(self, at: Address, put: Texts, remove: Sequence[str]) -> None:
        """Puts entries on the carrier of an address and removes others; whatever else it carries stays.

        No other thread of this session writes to that carrier meanwhile; other processes may. Nothing to remove from a carrier
        that is gone is no error. Raises PlatformError.
        """

    # -- what kinds ask -----------------------------------------------------------------------------------------

    def change(self, at: Address, put: Texts, remove: Sequence[str] = ()) -> None:
        """Puts entries on the carrier of an address and removes others, one writer of a carrier at a time. Raises PlatformError."""
        with self.alone(at):
            self.write(at, put, remove)

    def alone(self, at: Address) -> Lock:
        """Held by whoever writes to the carrier of an address."""
        return self._locks.setdefault(self.carrier(at), Lock())

    def learn(self, carrier: Address, texts: Texts) -> None:
        """Remembers what a listing has found on a carrier."""
        self._known[carrier] = texts

    def texts(self, carrier: Address) -> Texts:
        """What a listing has found on a carrier; empty if there is none."""
        return self._known.get(carrier, {})

    def marks(self, at: Address, texts: Texts | None = None) -> Marks:
        """The carrier's owner and origin, and what was last applied at the address (None: nothing is recorded).

        `texts`: the carrier's, from `read`; what the listing found if left out.
        """
        found = Marks.of(self.texts(self.carrier(at)) if texts is None else texts, self.key(at))
        return replace(found, adopted=False)  # that is said of the carrier alone

    def read(self, addresses: Sequence[Address]) -> Sequence[Texts]:
        """The texts of each address's carrier, read now, and each carrier once. Raises PlatformError."""
        carriers = list(dict.fromkeys(self.carrier(at) for at in addresses))
        found = dict(zip(carriers, self.fetch(carriers), strict=True))
        return [found[self.carrier(at)] for at in addresses]

    def carried(self, children: Iterable[Desired]) -> dict[str, str]:
        """The entries with which a carrier is made, so that what is made below it needs no call for its note."""
        return {
            key: text for child in children for key, text in self.entries(child, applied_hash(child.settings)).items()
        }

    @contextmanager
    def noting(self, write: Write) -> Iterator[None]:
        """Notes what is applied, once the block has written it, unless the carrier was made with that note.

        Where a platform has `claims`, these stand before the block. If the block fails, what was noted too early is taken back,
        so that what somebody else makes later is never taken for ours. Raises PlatformError.
        """
        at = write.desired.address
        claims = {} if write.carried else self.claims(write)
        before = set(self.noted(at)) if claims else set()
        if claims:
            self.change(at, claims)
        try:
            yield
        except Exception:
            with suppress(PlatformError):  # the first error is the one to report
                if write.carried:
                    self.forget(at)
                elif claims:
                    self.withdraw(at, {key: text for key, text in claims.items() if key not in before})
            raise
        if not write.carried:
            entries = self.entries(write.desired, self.note_of(write.marks))
            self.change(at, entries, [key for key in before if key not in entries])

    def withdraw(self, at: Address, claims: Texts) -> None:
        """Takes back what was noted for a write that failed. Raises PlatformError."""
        self.change(at, {}, list(claims))

    def close(self) -> None:  # noqa: B027 - most have no connections of their own
        """Lets go of connections."""

    def forget(self, at: Address) -> None:
        """Takes the note away. Raises PlatformError."""
        self.change(at, {}, list(self.noted(at)))
