"""How an allow policy of Google's is written: read, merged, and sent with its etag, until no other writer was faster."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING

from reconciler.errors import PlatformError
from reconciler.model.address import Address

from . import iam
from .iam import Binding, Document
from .rules import RACED

if TYPE_CHECKING:
    from .session import GcpSession

#: seconds in which other writers let one through: Google asks for the whole again with exponential backoff
PATIENCE = 60.0


def write(
    session: GcpSession,
    at: Address,
    read: Callable[[], Document | None],
    send: Callable[[Document], Document],
    roles: Collection[str],
    recorded: Collection[str],
    wanted: Iterable[Binding],
) -> Document:
    """The policy as it is then: with the wanted members in the place of those that the record says are ours; all else as it came.
    Nothing is sent where that is so already. Raises PlatformError."""
    members = tuple(wanted)

    def once() -> Document:
        there = read()
        if there is None:
            raise PlatformError("it is gone", address=at, hint="make a new plan")
        after = iam.merged(there, roles, recorded, members)
        return there if iam.same(there, after) else send(after)

    return session.patiently(
        once, lambda error: isinstance(error, PlatformError) and error.code == RACED, PATIENCE, most=3.0
    )
