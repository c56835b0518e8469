"""What goes with a registry that is deleted with all that is in it: one rule for what a plan says, and for the look before the
write."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from reconciler.model.access import ForeignAccess
from reconciler.model.address import Address
from reconciler.model.change import Action, Change, PlanProblem
from reconciler.model.kind import UNCOUNTED, HoldsImages, Kind, Trait, Uncounted
from reconciler.model.platform import Session
from reconciler.model.resource import Live
from reconciler.model.whole import HoldsAll, PartlyCounted

from .expand import Kinds
from .picture import Picture


def ending_by(changes: Iterable[Change], kinds: Kinds) -> Mapping[str, Address]:
    """The registries of which the changes delete all, each with the resource that holds it. Pure."""
    return {
        change.registry: change.address
        for change in changes
        if change.action is Action.DELETE and isinstance(kinds[change.registry][change.kind], HoldsAll)
    }


def ended(seen: Picture) -> Picture:
    """The picture in which what others gave gives nothing after the plan in registries of which all is deleted. Pure."""
    ending = seen.ending
    if not ending:
        return seen

    def without(items: tuple[ForeignAccess, ...]) -> tuple[ForeignAccess, ...]:
        return tuple(replace(item, after=()) if item.address.registry in ending else item for item in items)

    live = {
        at: replace(item, foreign=without(item.foreign)) if item.foreign and at.registry in ending else item
        for at, item in seen.live.items()
    }
    return replace(seen, live=live, foreign=without(seen.foreign))


def foreign_below(
    seen: Picture, going: Iterable[ForeignAccess], tops: Mapping[Address, Live]
) -> Mapping[Address, list[ForeignAccess]]:
    """What others gave, by the resource whose delete takes it along. `going`: what goes with the resource that has it; `tops`: what
    is deleted. Pure."""
    found: dict[Address, list[ForeignAccess]] = {}
    for item in going:
        at: Address | None = seen.ending.get(item.address.registry, item.address)
        while at is not None and at not in tops:
            at = seen.live[at].parent if at in seen.live else None
        if at is None or (at == item.address and Trait.SHARED in seen.kinds[at.registry][tops[at].kind].traits):
            continue
        found.setdefault(at, []).append(item)
    return found


def as_it_goes(seen: Picture, live: Live) -> Live:
    """What is deleted, as it is spoken of: what others have in a document that stays goes with the registry that is deleted with it,
    of which that is said. Pure."""
    shared = Trait.SHARED in seen.kinds[live.address.registry][live.kind].traits
    return replace(live, foreign=()) if shared and live.address.registry in seen.ending else live


def released_inside(changes: Mapping[Address, Change], kinds: Kinds) -> Iterator[PlanProblem]:
    """That what is let go of, and so kept, is in a registry of which all is deleted. Pure."""
    ending = ending_by(changes.values(), kinds)
    for at, change in changes.items():
        if change.action is Action.RELEASE and (home := ending.get(at.registry)):
            yield PlanProblem(
                at,
                f"release: true keeps its images, and the plan deletes {home} with all that is in it: take release: true out of the"
                f" spec, or keep the whole registry with `reconciler release {home}`",
            )


def going_with(changes: Iterable[Change], home: Change, kinds: Kinds) -> Mapping[Address, int]:
    """What else the changes delete that holds images in a registry of which one of them deletes all, each with the images that were
    counted there; nothing where `home` is none such. Pure."""
    own = kinds[home.registry]
    if home.action is not Action.DELETE or not isinstance(own[home.kind], HoldsAll):
        return {}
    return {
        change.address: change.images or 0
        for change in changes
        if change.registry == home.registry
        and change.action is Action.DELETE
        and isinstance(own[change.kind], HoldsImages)
        and not isinstance(own[change.kind], HoldsAll)
    }


def count(kind: HoldsImages, session: Session, live: Live, going: Mapping[Address, int]) -> tuple[int, str]:
    """How many images go with a resource, and why no more of them are counted, in words; UNCOUNTED if none are. `going`: as
    `going_with` has it. Raises PlatformError."""
    try:
        return kind.count_beside(session, live, going) if isinstance(kind, HoldsAll) else kind.count(session, live), ""
    except PartlyCounted as error:
        return error.least, str(error)
    except Uncounted as error:
        return UNCOUNTED, str(error)


def note_of(images: int, why: str) -> str:
    """What a plan notes where not all images are counted, and why: what it begins with if `why` is "". Pure."""
    return f"its images can't {'' if images == UNCOUNTED else 'all '}be counted: {why}"


def given_since(kind: Kind, change: Change, given: Iterable[ForeignAccess]) -> list[str]:
    """What of that which others gave and a delete takes along the plan does not name, in words. `given`: what there is now. Pure."""

    def known(item: ForeignAccess) -> tuple[str, object]:
        item = kind.as_it_goes(item) if isinstance(kind, HoldsAll) else item
        return item.what, item.access

    said = set(map(known, change.foreign))
    # what was given above it stays
    return [item.what for item in given if not item.stays and known(item) not in said]
