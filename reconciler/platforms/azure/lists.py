"""A list of Azure's, which comes in pages: each item once, and an end."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Any, TypeVar

from reconciler.errors import PlatformError

from .documents import Document, plain

T = TypeVar("T")
#: pages in a row that bring nothing new, after which a list has no end. Azure may answer a few empty ones:
#: https://github.com/microsoft/api-guidelines/blob/vNext/azure/Guidelines.md#collections
FRUITLESS = 100


class Repeats(Exception):
    """The pages of a list come again and again."""


def gathered(pages: Iterable[tuple[Iterable[T], str | None]], key: Callable[[T], Hashable | None]) -> list[T]:
    """The items of all pages, of which each has where the next is (None: it is the last). What comes twice, as where something was
    made between two pages, is listed once, as it came last. `key`: what an item is known by; None: by nothing. Raises Repeats."""
    found: dict[Hashable, T] = {}
    seen: set[str] = set()
    fruitless = 0
    for items, following in pages:
        before = len(found)
        for item in items:
            name = key(item)
            found[object() if name is None else name] = item
        fruitless = 0 if len(found) > before else fruitless + 1
        if following and (following in seen or fruitless >= FRUITLESS):
            raise Repeats
        seen.add(following or "")
    return list(found.values())


def pages_of(listed: Any) -> Iterator[tuple[list[Any], str | None]]:
    """The pages of what the library lists."""
    pages = listed.by_page()
    for page in pages:
        yield list(page), pages.continuation_token


def resources(at: str, operation: str, pages: Iterable[tuple[Iterable[Any], str | None]]) -> list[Document]:
    """Resources as JSON, which are known by their ids. Raises PlatformError where the list has no end."""
    try:
        return gathered(((map(plain, items), following) for items, following in pages), _id)
    except Repeats:
        raise PlatformError(
            "the pages of this list come again and again, so that it has no end",
            address=at,
            operation=operation,
            code="EndlessList",
            hint="run again; if it stays so, check anything between here and Azure, such as a proxy that keeps answers",
        ) from None


def _id(item: Document) -> str | None:
    """Without case, as ids are."""
    return str(item.get("id") or "").lower() or None
