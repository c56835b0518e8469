"""Page tokens."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import TypeVar

from .wire import Asked, invalid

Item = TypeVar("Item")


def page(asked: Asked, items: Mapping[str, Item], default: int, most: int) -> tuple[Sequence[Item], str]:
    """The items of the page that is asked for, in the order of their keys, and the token of the next, or "".

    https://google.aip.dev/158: a larger size means the largest, a negative one and a foreign token are errors. What goes or comes
    between two pages neither repeats nor hides another item.
    """
    size = _size(asked.parameter("pageSize"), default, most)
    after = _after(asked.parameter("pageToken"), asked.path)
    left = [key for key in sorted(items) if key > after]
    token = _token(asked.path, left[size - 1]) if len(left) > size else ""
    return [items[key] for key in left[:size]], token


def _size(text: str, default: int, most: int) -> int:
    if text and not text.lstrip("-").isdigit():
        raise invalid(f"Invalid value at 'page_size' (TYPE_INT32), \"{text}\"")
    size = int(text or 0)
    if size < 0:
        raise invalid("page_size must not be negative")
    return min(size or default, most)


def _token(path: str, after: str) -> str:
    return base64.urlsafe_b64encode(json.dumps([path, after]).encode()).decode().rstrip("=")


def _after(token: str, path: str) -> str:
    if not token:
        return ""
    try:
        of, after = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    except ValueError:
        of, after = "", ""
    if of != path:
        raise invalid("Invalid page token.")
    return str(after)
