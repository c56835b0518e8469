"""Marks in the description of what has no tags or labels. Pure.

`reconciler: owner=shop registry=images origin=spec applied=v1-0123456789abcdef`
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from reconciler.model.marks import PREFIX

_BEGIN = "reconciler: "
_BETWEEN = " | "


@dataclass(frozen=True)
class Said:
    """What a description says: our texts, with the keys that marks have, and what stood there before them."""

    texts: Mapping[str, str]
    before: str = ""


def parsed(text: str) -> Said:
    """What a description says; no texts if it is not ours."""
    start = 0 if text.startswith(_BEGIN) else text.rfind(_BETWEEN + _BEGIN)
    if start < 0:
        return Said({}, text)
    before = text[:start]
    pairs = (word.partition("=") for word in text[start:].removeprefix(_BETWEEN).removeprefix(_BEGIN).split())
    return Said({PREFIX + key: value for key, equals, value in pairs if equals}, before)


def written(texts: Mapping[str, str], before: str = "") -> str:
    """The description with these texts."""
    words = " ".join(f"{key.removeprefix(PREFIX)}={value}" for key, value in texts.items() if value)
    return f"{before}{_BETWEEN if before else ''}{_BEGIN}{words}"
