"""Where a registry's images are copied to, in the spec."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from reconciler.spec.fields import Fault, Model, each, repeated

from . import names
from .target import AccountId, Region

#: unique destinations of an account's rules in a region: https://docs.aws.amazon.com/AmazonECR/latest/userguide/replication.html
MAX_DESTINATIONS = 25
#: stands for a prefix where a rule has no filter, so that it is for all repositories of the account; no prefix has a *
ALL = "*"
#: of the prefix that a rule's filter names: https://docs.aws.amazon.com/AmazonECR/latest/APIReference/API_RepositoryFilter.html
SHORTEST_FILTER = 2


class AccountDestination(Model):
    """Another account, and the regions in which it gets the images."""

    account_id: AccountId = Field(description="The other account.")
    regions: tuple[Region, ...] = Field((), description="Where it gets them. Default: the registry's own region.")


def _form(value: Any) -> str:
    return "destination" if isinstance(value, dict | AccountDestination) else "account"


Destination = Annotated[
    Annotated[AccountId, Tag("account")] | Annotated[AccountDestination, Tag("destination")], Discriminator(_form)
]


class Replication(Model):
    """Where images are copied to, and which."""

    regions: tuple[Region, ...] = Field(
        (), description="Regions that every image and policy is copied to: the same as `replication_regions`."
    )
    accounts: tuple[Destination, ...] = Field(
        (), description="Other accounts that images are copied to: an account id, or `account_id` with `regions`."
    )
    filter: Literal["prefix", "all"] = Field(
        "prefix",
        description="What is copied: the repositories that begin with the registry's prefix, or all of the account, whoever owns"
        " them. Only one registry of an account and region can have all.",
    )

    def to_accounts(self, home: str) -> Iterator[tuple[str, str]]:
        """Each region and other account that images are copied to. `home`: the registry's region."""
        for item in self.accounts:
            if isinstance(item, AccountDestination):
                yield from ((region, item.account_id) for region in item.regions or (home,))
            else:
                yield home, item

    def faults(self, home: str, own: str) -> Iterator[Fault]:
        """What is wrong beyond the fields' types. `home`, `own`: the registry's region and account."""
        yield from each(
            repeated(self, "regions"),
            region_faults(self.regions, home, ("regions",)),
            self._account_faults(home, own),
            self._size_faults(home),
        )

    def _account_faults(self, home: str, own: str) -> Iterator[Fault]:
        seen: set[str] = set()
        for index, item in enumerate(self.accounts):
            yield from each(self._one_account(index, item, home, own, seen))

    def _one_account(self, index: int, item: Any, home: str, own: str, seen: set[str]) -> Iterator[Fault]:
        at: tuple[str | int, ...] = ("accounts", index)
        if isinstance(item, AccountDestination):
            for fault in each(repeated(item, "regions"), partition_faults(item.regions, home, ("regions",))):
                yield Fault((*at, *fault.loc), fault.message)
            account = item.account_id
        else:
            account = item
        if account == own:
            yield Fault(at, f"{account} is the registry's own account: name its regions in regions")
        elif account in seen:
            yield Fault(at, f"account {account} is listed twice: give it one entry with all its regions")
        seen.add(account)

    def _size_faults(self, home: str) -> Iterator[Fault]:
        count = len({*self.regions, *self.to_accounts(home)})
        if not count:
            yield Fault((), "copies nothing: give regions, accounts, or both")
        elif count > MAX_DESTINATIONS:
            yield Fault((), f"has {count} destinations; ECR replicates to at most {MAX_DESTINATIONS}")


def region_faults(regions: tuple[str, ...], home: str, at: tuple[str, ...]) -> Iterator[Fault]:
    """What is wrong with regions that a registry's own account is to have copies in."""
    for index, region in enumerate(regions):
        if region == home:
            yield Fault((*at, index), f"{region} is the registry's own region")
    yield from partition_faults(regions, home, at)


def partition_faults(regions: tuple[str, ...], home: str, at: tuple[str, ...]) -> Iterator[Fault]:
    """Regions that nothing can be copied to, since they are in another partition."""
    partition = names.partition(home)
    for index, region in enumerate(regions):
        if names.partition(region) != partition:
            yield Fault((*at, index), f"{region} is not in the partition {partition} of {home}")


def prefix_faults(prefix: str, field: str) -> Iterator[Fault]:
    """Why a rule can't choose a registry's repositories by this prefix. `field`: where the spec asks for the rule."""
    if not prefix:
        yield Fault(
            ("prefix",),
            "a replication rule chooses repositories by their prefix, and with an empty one it would copy every repository of the"
            f" account: give a prefix, remove {field}, or say in replication that this is meant (filter: all)",
        )
    elif len(prefix) < SHORTEST_FILTER:
        yield Fault(
            ("prefix",),
            f"has one character, and the filter of a replication rule has at least {SHORTEST_FILTER}: give a longer prefix, or remove"
            f" {field}",
        )
