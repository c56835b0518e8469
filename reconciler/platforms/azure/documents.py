"""The JSON of Azure's resources. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import rules

Document = dict[str, Any]


def plain(found: Any) -> Document:
    """A model of the library as the JSON that came, with what the library does not know."""
    document: Document = found.as_dict() if hasattr(found, "as_dict") else dict(found)
    return document


def properties(document: Mapping[str, Any]) -> Document:
    """The `properties` of a resource; empty if it has none."""
    return dict(document.get("properties") or {})


def mode_of(found: Mapping[str, Any]) -> str:
    """The role assignment mode of a registry as Azure answers it, `abac` or `legacy`; one that says nothing is legacy."""
    return "abac" if properties(found).get("roleAssignmentMode", rules.LEGACY) == rules.ABAC else "legacy"
