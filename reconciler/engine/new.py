"""What there is to know of what a plan makes: what the platform calls it, and what may be there already. Pure."""

from __future__ import annotations

from collections.abc import Collection

from reconciler.model.address import Address
from reconciler.model.kind import HoldsImages, Kind
from reconciler.model.resource import Desired, NativeName
from reconciler.model.served import ServedElsewhere

from .picture import Picture


def native_name(seen: Picture, kind: Kind, wanted: Desired) -> NativeName | None:
    """What the platform calls it; None of what holds no images."""
    home = seen.homes.get(wanted.address.registry)
    registry = home.registry if home is not None else None
    if registry is None or not isinstance(kind, HoldsImages):
        return None
    others = (item.registry for item in seen.homes.values() if item.registry not in (None, registry))
    found = kind.native_name(wanted, registry, filter(None, others))
    live = seen.live.get(wanted.address)
    return kind.as_served(found, live) if live is not None and isinstance(kind, ServedElsewhere) else found


def images_before(seen: Picture, kind: Kind, wanted: Desired, adopt: Collection[str]) -> str:
    """What becomes of images that a new resource may hold, since what it needs is adopted as it is; "" if it can't hold any. `adopt`:
    addresses that may be taken over."""
    said = kind.images_before if isinstance(kind, HoldsImages) else ""
    return said if said and any(_is_adopted(seen, need, adopt) for need in wanted.needs) else ""


def _is_adopted(seen: Picture, at: Address, adopt: Collection[str]) -> bool:
    wanted, live = seen.desired.get(at), seen.live.get(at)
    there = live is not None and not live.vacant and live.marks.owner is None
    return there and wanted is not None and (wanted.adopt or at in adopt)
