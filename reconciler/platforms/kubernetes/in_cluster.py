"""What the kinds have in common whose resources are in clusters."""

from __future__ import annotations

from typing import ClassVar

from reconciler.errors import PlatformError
from reconciler.model.address import Address
from reconciler.model.placed import Known, Placed
from reconciler.platforms.http import HttpSession

from .notes import Notes
from .settings import CLUSTER, Place


class InCluster(Placed):
    """A kind in a cluster that the spec names by a context, which may lead to another one later."""

    elsewhere: ClassVar[str] = CLUSTER

    def place_of(self, address: Address) -> str:
        place = Place.of(address)
        return f"cluster {place.cluster}" if place is not None else ""

    def known_by(self, session: HttpSession, address: Address) -> Known:
        place = Place.of(address)
        connection = session.ledger(Notes).clusters.get(place.cluster) if place is not None else None
        if connection is None:
            raise PlatformError("it is in no cluster of the spec", address=address, hint="make a new plan")
        return connection.known_by()
