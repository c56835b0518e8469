"""A field's value as people read it."""

from __future__ import annotations


def value(item: object) -> str:
    """The value on one line; `(none)` for None, which stands for nothing."""
    if item is None:
        return "(none)"
    if isinstance(item, bool):
        return "true" if item else "false"
    if isinstance(item, str):
        return f'"{item}"'
    if isinstance(item, dict):
        return "{" + ", ".join(f"{key}: {value(below)}" for key, below in item.items()) + "}"
    if isinstance(item, list | tuple):
        return "[" + ", ".join(value(below) for below in item) + "]"
    return str(item)
