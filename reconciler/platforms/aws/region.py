"""A region that the registry extends to, as a mark on the pull role: without it, a region that is no longer in the spec
would be forgotten together with the repositories that were made there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reconciler.model.address import Address
from reconciler.model.kind import Found, Kind, Trait, Verb, Write
from reconciler.model.marks import Marks
from reconciler.model.resource import Desired, Live

from .ledgers import RoleLedger

if TYPE_CHECKING:
    from .session import AwsSession


@dataclass(frozen=True, slots=True)
class RegionSettings:
    """Nothing but the region itself."""

    region: str


class RegionKind(Kind):
    """A region in which the registry has repositories. Made before the first of them, deleted after the last."""

    name = "region"
    settings = RegionSettings
    traits = frozenset({Trait.INHERITS})
    after = ("role",)
    permissions = {
        Verb.READ: ("iam:GetRole",),
        Verb.CREATE: ("iam:TagRole",),
        Verb.UPDATE: ("iam:TagRole",),
        Verb.DELETE: ("iam:UntagRole",),
    }

    def list(self, session: AwsSession, wanted: Mapping[Address, Desired], found: Found) -> Iterator[Live]:
        ledger = session.ledger(RoleLedger)
        role = Address.of(session.name, "role", "pull")
        for region in ledger.regions(ledger.texts(role)):
            at = Address.of(session.name, self.name, region)
            yield _live(at, ledger.marks(at))

    def read(self, session: AwsSession, addresses: Sequence[Address]) -> Iterator[Live]:
        ledger = session.ledger(RoleLedger)
        addresses = [at for at in addresses if not at.where]
        for at, texts in zip(addresses, ledger.read(addresses), strict=True):
            marks = ledger.marks(at, texts)
            if marks.applied is not None:
                yield _live(at, marks)

    def create(self, session: AwsSession, write: Write) -> Live:
        ledger, at = session.ledger(RoleLedger), write.desired.address
        ledger.change(at, {ledger.key(at): write.marks.applied or ""})
        return _live(at, write.marks)

    def update(self, session: AwsSession, write: Write, live: Live) -> Live:
        return self.create(session, write)

    def delete(self, session: AwsSession, live: Live, *, force: bool) -> None:
        session.ledger(RoleLedger).forget(live.address)


def _live(at: Address, marks: Marks) -> Live:
    role = Address.of(at.registry, "role", "pull")
    return Live(
        address=at,
        kind=RegionKind.name,
        settings=RegionSettings(at.name),
        marks=marks,
        native=f"region {at.name} of registry {at.registry}",
        needs=(role,),
        parent=role,
    )
