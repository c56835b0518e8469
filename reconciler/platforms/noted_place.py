"""A place that a registry extends to, such as a region, as a note that something else carries: without it, a place that is no longer
in the spec would be forgotten together with the repositories that were made there."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from reconciler.errors import PlatformError
from reconciler.model.address import Address
from reconciler.model.kind import Found, Home, Kind, Trait, Write
from reconciler.model.ledger import Ledger
from reconciler.model.marks import Marks
from reconciler.model.resource import Desired, Live
from reconciler.words import all_of, plural, some_of


class NotedPlaceKind(Kind):
    """A place in which the registry has repositories. Made before the first of them, deleted after the last. Its settings are the
    place itself, and nothing else."""

    traits = frozenset({Trait.INHERITS})
    #: where the notes stand
    notes: ClassVar[type[Ledger]]

    @abstractmethod
    def noted(self, session: Any) -> Iterable[str]:
        """The places that the listing has found notes of."""

    @abstractmethod
    def carriers(self, session: Any) -> tuple[Address, ...]:
        """What may carry the notes of the registry."""

    @abstractmethod
    def place_of(self, session: Any, repository: Address) -> str:
        """The place that a repository is in."""

    def usual(self, address: Address, home: Home) -> dict[str, Any]:
        """Which place it is, the address says already."""
        return self.shown(self.settings(address.name))

    def list(self, session: Any, wanted: Mapping[Address, Desired], found: Found) -> Iterator[Live]:
        left_alone = self.left_alone(session, found)
        for place in self.noted(session):
            at = Address.of(session.name, self.name, place)
            marks = session.ledger(self.notes).marks(at)
            if place in left_alone and at not in wanted:
                # without its note, no later plan would name what is left alone there: it is left alone with it
                marks = replace(marks, origin=None)
            yield self._live(session, at, marks)

    def left_alone(self, session: Any, found: Found) -> Collection[str]:
        """The places that hold repositories of the registry that no plan deletes, since nothing says that the spec made them."""
        return {
            self.place_of(session, item.address)
            for item in found["repository"]
            if item.marks.owner == session.owner
            and item.marks.origin != "spec"
            and not item.marks.elsewhere(session.name)
        }

    def read(self, session: Any, addresses: Sequence[Address]) -> Iterator[Live]:
        ledger = session.ledger(self.notes)
        addresses = [at for at in addresses if not at.where]
        for at, texts in zip(addresses, ledger.read(addresses), strict=True):
            marks = ledger.marks(at, texts)
            if marks.applied is not None:
                yield self._live(session, at, marks)

    def create(self, session: Any, write: Write) -> Live:
        ledger, at = session.ledger(self.notes), write.desired.address
        ledger.change(at, {ledger.key(at): write.marks.applied or ""})
        return self._live(session, at, write.marks)

    def update(self, session: Any, write: Write, live: Live) -> Live:
        return self.create(session, write)

    def delete(self, session: Any, live: Live, *, force: bool) -> None:
        session.ledger(self.notes).forget(live.address)

    def _live(self, session: Any, at: Address, marks: Marks) -> Live:
        carriers = self.carriers(session)
        return Live(
            address=at,
            kind=self.name,
            settings=self.settings(at.name),
            marks=marks,
            native=f"{self.name} {at.name} of registry {at.registry}",
            needs=carriers,
            parent=session.ledger(self.notes).carrier(at),
        )


def refuse_left(there: Mapping[str, Iterable[str]], at: Address, operation: str) -> None:
    """For whoever takes away by what a plan would find the registry's repositories in a place. `there`: the platform's names of those
    that are left, by their places. Raises PlatformError if any are."""
    found = {place: sorted({*names}) for place, names in sorted(there.items())}
    said = [
        f"{some_of(names)} of this registry {plural(len(names), 'is', 'are')} still in {place}"
        for place, names in found.items()
        if names
    ]
    if said:
        raise PlatformError(
            all_of(said),
            address=at,
            operation=operation,
            hint="another run has made it, or the plan did not see it: make a new plan",
        )
