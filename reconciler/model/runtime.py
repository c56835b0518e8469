"""What a session may offer to programs that give access while they run, beside what a spec gives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from reconciler.errors import UnsupportedAccess
from reconciler.spec.models import Grant

from .address import Address
from .platform import Session


@runtime_checkable
class GivesAtRuntime(Protocol):
    """A session that gives and takes access to one repository, apart from what the spec gives: neither erases the other's.

    Many processes may do so at once. Each method raises PlatformError, and UnsupportedAccess for what the platform can't give.
    """

    def given(self, repository: Address) -> Sequence[Grant]:
        """What was given so, in as few grants as say it. Their names say nothing."""

    def give(self, repository: Address, grant: Grant) -> None:
        """Gives what the grant says. What was given already is no error, and no write."""

    def take(self, repository: Address, grant: Grant) -> None:
        """Takes back what the grant says, of what was given so. What was not given is no error."""


@runtime_checkable
class AppearByPush(Protocol):
    """A session whose registry makes a repository with the first push to it: nobody makes or deletes one here."""

    def is_there(self, repository: str) -> bool | None:
        """Whether there is such a repository; None if the registry does not say that. Raises PlatformError."""

    def all_there(self) -> Sequence[str]:
        """The names of all repositories, sorted. Raises PlatformError, also where the registry does not say them."""


def giving(session: Session) -> GivesAtRuntime:
    """The session, as one that gives access at run time. Raises UnsupportedAccess if it can't."""
    if isinstance(session, GivesAtRuntime):
        return session
    raise UnsupportedAccess(
        f"access on platform {session.platform.name} is given by the spec alone",
        address=session.name,
        operation="access",
        hint="add a grant to the spec, and run `reconciler apply`",
    )
