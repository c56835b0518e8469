"""Places that a spec only names, such as clusters, and by what they are known: the name may lead to another one later."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

from .address import Address

#: what tells a place apart from others, in words, each with its value; what comes first is the surest
Known = Mapping[str, str]
#: places by what they are called, such as "cluster prod"
Places = Mapping[str, Known]


class Placed:
    """What a kind offers whose resources are in places that a spec only names. A saved plan has by what they were known when it was
    made, and is applied to no other ones."""

    @abstractmethod
    def place_of(self, address: Address) -> str:
        """What the place of a resource is called, such as "cluster prod"; "" of an address that is no resource's. Pure."""

    @abstractmethod
    def known_by(self, session: Any, address: Address) -> Known:
        """By what the place of a resource is known now, as the session reaches it. Raises PlatformError."""


def apart(before: Known, now: Known) -> str:
    """By what a place is another one than it was, in words; "" if it is the same. What comes first and was known both times decides:
    somebody else may not be allowed to know all of it. Pure."""
    known = next((name for name in now if name in before), None)
    if known is None:
        return "the plan has nothing by which it is known now"
    return "" if now[known] == before[known] else f"its {known} was {before[known]}, and is {now[known]}"
