"""What whoever can push may do beside that. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.model.access import ADMIN, DELETE_IMAGES, PUSH, Access
from reconciler.spec.registry import RegistryBase
from reconciler.words import all_of


def of_push(gains: Iterable[Access], registries: Iterable[RegistryBase]) -> str:
    """Whether those who gain push can delete images by it, as a sentence without its end; "" where nobody gains it, or only those who
    gain more."""
    found = list(gains)
    deleting = (item for item in found if item.verb in (ADMIN, DELETE_IMAGES))
    more = {(item.registry, item.principal, item.repository, item.where) for item in deleting}
    pushed = {
        item.registry
        for item in found
        if item.verb == PUSH and (item.registry, item.principal, item.repository, item.where) not in more
    }
    by: dict[bool, list[str]] = {}
    for registry in registries:
        if registry.name in pushed:
            by.setdefault(registry.pushers_delete, []).append(registry.name)
    where = {deletes: f" in {all_of(names)}" if len(by) > 1 else "" for deletes, names in by.items()}
    said = {False: "push does not include deleting images", True: "push includes deleting images"}
    return "; ".join(f"{said[deletes]}{where[deletes]}" for deletes in sorted(by))
