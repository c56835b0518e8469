"""Addresses: the stable name of a resource in every output."""

from __future__ import annotations

from typing import Self


def is_address(text: str) -> bool:
    """Whether a text has the form of an address."""
    return len([part for part in text.split(".", 2) if part]) == 3


class Address(str):
    """A resource's stable name, with its parts: `images.repository.app-a@us-west-2`.

    A text by itself, so that it sorts, compares and is written as one. `where` is "" in the registry's own region.
    """

    __slots__ = ()

    @classmethod
    def of(cls, registry: str, kind: str, name: str, where: str = "") -> Self:
        """The address with these parts."""
        return cls(f"{registry}.{kind}.{name}@{where}" if where else f"{registry}.{kind}.{name}")

    @property
    def registry(self) -> str:
        """The registry that the resource belongs to."""
        return self.partition(".")[0]

    @property
    def kind(self) -> str:
        """The kind of resource."""
        return self.split(".", 2)[1]

    @property
    def name(self) -> str:
        """The resource's name in its registry; it may hold dots and slashes."""
        return self.split(".", 2)[2].partition("@")[0]

    @property
    def where(self) -> str:
        """The region, or "" for the registry's own."""
        return self.partition("@")[2]

    @property
    def anywhere(self) -> str:
        """The address without its region: the same of all copies in other regions."""
        return self.partition("@")[0]

    def sibling(self, kind: str) -> Self:
        """The address of that kind with the same registry, name and region."""
        registry, _, rest = self.split(".", 2)
        return type(self)(f"{registry}.{kind}.{rest}")
