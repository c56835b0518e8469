"""What an account has one of in a region for each prefix of names: pull-through cache rules, and creation templates.

They carry no tags, so the registry's ledger says which of them are ours. All others are somebody else's.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from reconciler.errors import Halted, PlatformError
from reconciler.model.access import ForeignAccess
from reconciler.model.address import Address
from reconciler.model.canonical import records
from reconciler.model.kind import Found, Kind, Trait, Verb, Write
from reconciler.model.ledger import Texts
from reconciler.model.marks import Marks
from reconciler.model.resource import Desired, Live, Settings

from .ledgers import LEDGER_PUT, LEDGER_READ, LEDGER_REMOVE, PENDING, RegistryLedger, carrier_of, carriers_of
from .tags import MAX_TAGS
from .template_spec import note_start

if TYPE_CHECKING:
    from .session import AwsSession

Raw = dict[str, Any]


class PrefixLedger(RegistryLedger):
    """Entries of the ledger, one for each prefix in each region."""

    def key(self, at: Address) -> str:
        return f"{note_start(at.kind)}{self.session.region_of(at)}/{at.name}"

    def texts(self, carrier: Address) -> Texts:
        return self.session.ledger(RegistryLedger).texts(carrier)

    def noted(self, at: Address) -> tuple[str, ...]:
        return (self.key(at),)

    def to_be_made(self, at: Address, texts: Texts) -> str:
        """The mark of what was to be made when a run was cut off; "" if none was."""
        applied, _, more = texts.get(self.key(at), "").partition(" ")
        return more if applied == PENDING else ""

    def put(self, at: Address, marks: Marks) -> Texts:
        """Notes what was applied, and whether it was there before, and returns the entry. Raises PlatformError."""
        entry = {self.key(at): self.note_of(marks)}
        self.change(at, entry)
        return entry

    def places(self, kind: str, texts: Texts) -> Iterator[tuple[str, str]]:
        """The regions and prefixes of what was made of a kind, sorted."""
        for key in sorted(texts):
            if key.startswith(note_start(kind)):
                region, _, prefix = key.removeprefix(note_start(kind)).partition("/")
                yield region, prefix


class PrefixKind(Kind):
    """A kind whose resources are known by a prefix, the name in their address. It never changes."""

    traits = frozenset({Trait.INHERITS})
    after = ("role", "ledger", "repository")

    #: what people call one of them, and how many ECR allows in a region, if its quotas say so
    noun: ClassVar[str]
    most: ClassVar[int | None] = None

    # -- what a kind says -----------------------------------------------------------------------------------------

    @abstractmethod
    def pages(self, session: AwsSession, at: Address) -> Mapping[str, Raw]:
        """All that the account has in the region of an address, by prefix, as ECR answers."""

    @abstractmethod
    def settings_of(self, raw: Raw) -> Settings:
        """The settings of one of them."""

    def rest_of(self, raw: Raw) -> str:
        """What others set on it that no spec can say, as text."""
        return ""

    def foreign_of(self, at: Address, raw: Raw) -> Iterator[ForeignAccess]:
        """Access that others give by it."""
        yield from ()

    @abstractmethod
    def is_prefix(self, text: str) -> bool:
        """Whether one of them can have this prefix."""

    @abstractmethod
    def make(self, session: AwsSession, at: Address, wanted: Settings) -> Raw:
        """Makes it, and returns it. Raises PlatformError, also if it is there."""

    @abstractmethod
    def change(self, session: AwsSession, at: Address, wanted: Settings, live: Live) -> Raw:
        """Makes the live one as wanted, and returns it. Raises PlatformError."""

    @abstractmethod
    def remove(self, session: AwsSession, at: Address) -> None:
        """Deletes it; it is no error if it is gone. Raises PlatformError."""

    # -- verbs ----------------------------------------------------------------------------------------------------

    def list(self, session: AwsSession, wanted: Mapping[Address, Desired], found: Found) -> Iterator[Live]:
        ledger = session.ledger(PrefixLedger)
        texts = ledger.texts(carrier_of(session.registry))
        mine = [at for at in wanted if at.kind == self.name]
        asked = {(session.region_of(at), at.name) for at in mine} | set(ledger.places(self.name, texts))
        new = [at for at in mine if ledger.key(at) not in texts]
        if len(texts) + len(new) > MAX_TAGS:
            for at in new:
                session.refused[at] = (
                    f"it is noted in a tag of {carrier_of(session.registry)}, which would have {len(texts) + len(new)}; AWS allows at"
                    f" most {MAX_TAGS}: remove tags that others have set, or some rules and templates before this (in a region"
                    " that the registry leaves they count until they are deleted)"
                )
        for region in sorted({region for region, _ in asked}):
            where = session.where(region)
            here = {Address.of(session.name, self.name, prefix, where) for place, prefix in asked if place == region}
            there = self.pages(session, next(iter(here)))
            self._count(session, here & wanted.keys(), there)
            self._alike(session, here & wanted.keys(), there)
            for at in sorted(here):
                live = self._live(session, at, there.get(at.name), texts)
                if live is not None:
                    yield self._of_whom(session, live, wanted.get(at), found)

    def read(self, session: AwsSession, addresses: Sequence[Address]) -> Iterator[Live]:
        addresses = [at for at in addresses if self.is_prefix(at.name)]
        there: dict[str, Mapping[str, Raw]] = {}
        for at, texts in zip(addresses, session.ledger(PrefixLedger).read(addresses), strict=True):
            if at.where not in there:
                there[at.where] = self.pages(session, at)
            live = self._live(session, at, there[at.where].get(at.name), texts)
            if live is not None:
                yield live

    def create(self, session: AwsSession, write: Write) -> Live:
        at, ledger = write.desired.address, session.ledger(PrefixLedger)
        # noted first, so that what is made is known as ours whenever this ends
        ledger.change(at, {ledger.key(at): f"{PENDING} {write.marks.applied}"})
        with self._forgetting(session, write):
            try:
                raw = self.make(session, at, write.desired.settings)
            except PlatformError as error:
                # an answer was lost on its way, and the call made again: it met its own work
                found = self.pages(session, at).get(at.name) if "AlreadyExists" in error.code else None
                if found is None or self.settings_of(found) != write.desired.settings:
                    raise
                raw = found
        return self._noted(session, write, raw)

    def update(self, session: AwsSession, write: Write, live: Live) -> Live:
        if live.vacant:
            return self.create(session, write)
        at = live.address
        if live.settings == write.desired.settings:
            session.ledger(PrefixLedger).put(at, write.marks)
            return replace(live, marks=write.marks)
        return self._noted(session, write, self.change(session, at, write.desired.settings, live))

    def delete(self, session: AwsSession, live: Live, *, force: bool) -> None:
        self.remove(session, live.address)
        session.ledger(PrefixLedger).forget(live.address)

    # -- how ------------------------------------------------------------------------------------------------------

    def _count(self, session: AwsSession, wanted: set[Address], there: Mapping[str, Raw]) -> None:
        count = len({*there, *(at.name for at in wanted)})
        for at in wanted if self.most is not None and count > self.most else ():
            if at.name not in there:
                session.refused[at] = f"the account would have {count} {self.noun}s; ECR allows at most {self.most}"

    def _alike(self, session: AwsSession, wanted: set[Address], there: Mapping[str, Raw]) -> None:
        """A / at the end is always assumed, so ECR would answer that it is there."""
        known = {prefix.rstrip("/"): prefix for prefix in there}
        for at in wanted:
            other = known.get(at.name.rstrip("/"), at.name)
            if at.name not in there and other != at.name:
                session.refused[at] = (
                    f"the account has the {self.noun} '{other}' in {session.region_of(at)}, and a / at the end makes no difference:"
                    f" write prefix: {other}"
                )

    def _of_whom(self, session: AwsSession, live: Live, desired: Desired | None, found: Found) -> Live:
        """The live one with the marks that tell whose it is, where the registry's own ledger does not."""
        if live.marks.owner is not None or desired is None:
            return live
        known = Marks.of(session.ledger(PrefixLedger).texts(carrier_of(session.registry))).owner is not None
        listed = (item.marks for kind in self.after for item in found[kind])
        if not known and live.settings == desired.settings and any(item.owner == session.owner for item in listed):
            # the ledger was removed by hand; what is left of the registry is witness that this is ours
            return replace(live, marks=Marks(session.owner, "spec", None, session.name))
        for other in session.siblings:
            ledger = session.ledger(PrefixLedger)
            marks = Marks.of(ledger.of(other, live.address, guess=True), ledger.key(live.address))
            if marks.applied is not None:  # it is there under one address only, the other registry's
                return replace(live, marks=marks, native=f"{live.native} (of registry {other.name})")
        return live

    @contextmanager
    def _forgetting(self, session: AwsSession, write: Write) -> Iterator[None]:
        """Takes back the note of what was not made after all: what somebody else has made, or makes later, is not ours."""
        at = write.desired.address
        try:
            yield
        except Exception:
            with suppress(PlatformError, Halted):  # the first error is the one to report
                raw = self.pages(session, at).get(at.name)
                if raw is None or self.settings_of(raw) != write.desired.settings:
                    session.ledger(PrefixLedger).forget(at)
            raise

    def _noted(self, session: AwsSession, write: Write, raw: Raw) -> Live:
        at = write.desired.address
        entry = session.ledger(PrefixLedger).put(at, write.marks)
        live = self._live(session, at, raw, {**write.marks.texts(), **entry})
        if live is None:
            raise TypeError(f"{at} was written, and is nothing")
        return live

    def _live(self, session: AwsSession, at: Address, raw: Raw | None, texts: Texts) -> Live | None:
        marks = session.ledger(PrefixLedger).marks(at, texts)
        if raw is None and marks.applied is None:
            return None
        pending = session.ledger(PrefixLedger).to_be_made(at, texts)
        if raw is not None and pending and records(pending, self.settings_of(raw)) is False:
            marks = Marks()  # it was not made, and somebody else has made another one since
        return Live(
            address=at,
            kind=self.name,
            settings=self.settings() if raw is None else self.settings_of(raw),
            marks=marks if marks.applied is not None else Marks(),
            native=f"{self.noun} {at.name} in {session.region_of(at)} of account {session.registry.account_id}",
            needs=carriers_of(session),
            rest="" if raw is None else self.rest_of(raw),
            vacant=raw is None,
            foreign=() if raw is None else tuple(self.foreign_of(at, raw)),
        )


def permissions(list_call: str, create: str, update: str, delete: str, *more: str) -> Mapping[Verb, tuple[str, ...]]:
    """What a kind needs for each verb, by its calls in IAM's words. `more`: for writes."""
    reads = (list_call, *LEDGER_READ)
    # ECR's own roles, which it makes with the first rule and the first template:
    # https://docs.aws.amazon.com/AmazonECR/latest/userguide/using-service-linked-roles.html
    writes = (create, *LEDGER_PUT, "iam:PassRole", "iam:CreateServiceLinkedRole", *more)
    return {
        Verb.LIST: reads,
        Verb.READ: reads,
        Verb.CREATE: (*writes, list_call, *LEDGER_READ, *LEDGER_REMOVE),
        # one of which only the note is left is made anew
        Verb.UPDATE: (*writes, update),
        Verb.DELETE: (delete, *LEDGER_REMOVE),
    }
