"""Logins that somebody holds and that end: renewing them where they are, without a plan."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar

from .access import Access, Principal
from .address import Address
from .resource import Desired


class Renewed(StrEnum):
    """What became of a login."""

    GOOD = "good"  # nothing need be done
    RENEWED = "renewed"
    MISSING = "missing"  # what holds it is to be made by apply
    FOREIGN = "foreign"  # what is there is not ours, and is left alone
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Renewal:
    """What became of the login that a resource holds. `until`: when it ends; None if it has no end, or nobody knows it. `message`:
    what there is to say of it, in words without its address; with what to do, of a failure, in a second line."""

    address: Address
    outcome: Renewed
    until: datetime | None = None
    message: str = ""


class Renewable:
    """What a kind offers whose resources hold logins. `whose`, `stands`: the settings that say who logs in, and how the login stands
    that is held: that ends, or is replaced, where logins are made, and nobody need have touched the resource."""

    whose: ClassVar[str] = "identity"
    stands: ClassVar[str] = "login"

    def another_login(self, at: Address, before: Any, after: Any) -> Iterator[Access]:
        """What whoever uses the resource at an address gains where its settings make the login another one's. Pure."""
        was, now = (getattr(settings, self.whose) for settings in (before, after))
        if was not in ("", now):
            yield Access(Principal(f"whoever uses {at.kind} {at.name}"), f"do what {now} may", at.registry, "")

    @abstractmethod
    def renew(self, session: Any, desired: Desired, now: datetime) -> Renewal:
        """Renews the login that the resource holds, if it is due at that time; it makes nothing. Raises ReconcilerError if it
        can't be renewed."""
