"""How an allow policy of Google's is written: read, merged, and sent with its etag, until no other writer was faster."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import TYPE_CHECKING

from reconciler.errors import PlatformError
from reconciler.model.address import Address
from reconciler.model.kind import Write

from . import iam
from .iam import Binding, Document
from .rules import RACED

if TYPE_CHECKING:
    from .session import GcpSession

#: seconds in which other writers let one through (Google asks for the whole again with exponential backoff), and in which an account
#: that this run made becomes known as a member
PATIENCE = 60.0


def write(
    session: GcpSession,
    at: Address,
    read: Callable[[], Document | None],
    send: Callable[[Document], Document],
    roles: Collection[str],
    recorded: Collection[str],
    wanted: Iterable[Binding],
    fresh: bool = False,
) -> Document:
    """The policy as it is then: with the wanted members in the place of those that the record says are ours; all else as it came.
    Nothing is sent where that is so already. `fresh`: whether a member that Google does not find may be of this run's making: it is
    waited for then. Raises PlatformError."""
    members = tuple(wanted)

    def once() -> Document:
        there = read()
        if there is None:
            raise PlatformError("it is gone", address=at, code="NOT_FOUND", hint="make a new plan")
        after = iam.merged(there, roles, recorded, members)
        return there if iam.same(there, after) else send(after)

    def passes(error: BaseException) -> bool:
        raced = isinstance(error, PlatformError) and error.code == RACED
        return raced or (fresh and unknown_member(error))

    return session.patiently(once, passes, PATIENCE, most=3.0)


def names_fresh(write: Write) -> bool:
    """Whether a policy may name an account that was made in this run."""
    return any(need.kind == "account" for need in write.fresh)


def unknown_member(error: BaseException) -> bool:
    """Whether Google may not have found a member: GoogleCloudPlatform/data-migration-tool#58; a bare "invalid argument" is said of
    other faults too (hashicorp/terraform-provider-google#12989)."""
    if not isinstance(error, PlatformError) or error.code != "INVALID_ARGUMENT":
        return False
    return "does not exist" in error.message or "invalid argument" in error.message.lower()
