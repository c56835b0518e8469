"""Which of the repositories that Google lists a plan sees as a registry's, and whether any of them is left where no plan will look
any more."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from reconciler.model.address import Address
from reconciler.model.marks import Marks
from reconciler.platforms.noted_place import refuse_left

from .repository_settings import KIND, parts_of
from .rules import REGISTRY, repository_id_fault
from .spec import GcpRegistry

if TYPE_CHECKING:
    from .session import GcpSession


def address_of(
    registry: GcpRegistry, owner: str, found: Mapping[str, Any], wanted: Collection[Address] = ()
) -> Address | None:
    """The address at which a plan sees a repository, as Google answers it; None if it passes it over. `wanted`: the addresses of what
    the spec asks for. Pure."""
    _, location, identifier = parts_of(str(found["name"]))
    name = registry.named(identifier)
    if name is None:
        return None
    at = Address.of(registry.name, KIND, name, _where(registry, location))
    marks = marks_of(found)
    ours = (marks.owner, marks.registry) == (owner, registry.name)
    if not ours and at not in wanted and registry.layout == "shared":
        return None  # what begins with the registry's name and a dash is no more its than another's
    return at


def is_ours(session: GcpSession, marks: Marks) -> bool:
    """Whether something says that it is this spec's, and of no other registry."""
    return marks.owner == session.owner and not marks.elsewhere(session.name)


def sees(session: GcpSession, found: Mapping[str, Any]) -> bool:
    """Whether a plan sees a repository, as Google answers it, as one of this spec's in the registry."""
    at = address_of(session.registry, session.owner, found)
    return at is not None and is_ours(session, marks_of(found))


def check_none_left(
    session: GcpSession,
    places: Iterable[str],
    at: Address,
    *,
    but: Collection[Address] = (),
    left_alone: Collection[str] = (),
) -> None:
    """Looks again whether repositories of the registry are in these locations, for whoever takes away by what a plan would find them.
    `but`: addresses of repositories that need not be gone yet. `left_alone`: in which of the locations also those count that a plan
    names and leaves alone, since nothing says that the spec made them. Raises PlatformError if some are there."""
    there = {
        place: _left(session, place, at, but, partial(_is_left, session, but, place in left_alone))
        for place in {*places}
    }
    refuse_left(there, at, f"{REGISTRY}:ListRepositories")


def _left(
    session: GcpSession,
    place: str,
    at: Address,
    but: Collection[Address],
    is_left: Callable[[Mapping[str, Any]], bool],
) -> Iterator[str]:
    """The ids of those that are there: by the listing, and, since a listing may be late, by the name of each that the plan names and
    of the one that layout `shared` has."""
    listed = list(session.repositories(place, at=at))
    yield from (_id(item) for item in listed if is_left(item))
    registry = session.registry
    names = {one.name for one in session.named} | {registry.named(registry.name) or registry.name}
    # in layout `shared`, the names of images may be none that a repository can have
    possible = (name for name in names if repository_id_fault(registry.repository_id(name)) is None)
    named = {Address.of(registry.name, KIND, name, _where(registry, place)) for name in possible} - {*but}
    asked = sorted(one for one in named if session.name_of(one) not in {str(item["name"]) for item in listed})
    yield from (_id(item) for item in session.map(session.repository, asked) if item is not None and is_left(item))


def _is_left(session: GcpSession, but: Collection[Address], left_alone: bool, found: Mapping[str, Any]) -> bool:
    """Whether a plan would see a repository as one of the registry's that the spec made, and delete it there."""
    at = address_of(session.registry, session.owner, found)
    return at not in but and sees(session, found) and (left_alone or marks_of(found).origin == "spec")


def marks_of(found: Mapping[str, Any]) -> Marks:
    """The marks of a repository, as Google answers it. Pure."""
    return Marks.of(found.get("labels") or {})


def _where(registry: GcpRegistry, location: str) -> str:
    return "" if location == registry.location else location


def _id(found: Mapping[str, Any]) -> str:
    return parts_of(str(found["name"]))[2]
