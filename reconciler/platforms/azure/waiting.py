"""What a replication has beside what a spec asks for, and what of it waits in a rescue file since a replacement was cut off."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from reconciler.model.address import Address
from reconciler.platforms.rescue import GOES_ALONG
from reconciler.spec.messages import first_sentence
from reconciler.words import plural

from . import tags
from .documents import properties

if TYPE_CHECKING:
    from .session import AzureSession

#: that a replication is in all zones of its location: https://learn.microsoft.com/azure/container-registry/zone-redundancy
_IN_ZONES = "Enabled"


@dataclass(frozen=True)
class Kept:
    """`tags`: those of others. `zones`: whether it is in all zones of its location, which Azure takes when one is made, and never
    again."""

    __pydantic_config__ = ConfigDict(extra="forbid")

    tags: dict[str, str] = field(default_factory=dict)
    zones: bool = False

    def __bool__(self) -> bool:
        return bool(self.tags or self.zones)

    def over(self, before: Kept) -> Kept:
        """This, and what only `before` has."""
        return Kept(self.beside(before.tags), self.zones or before.zones)

    def beside(self, others: Mapping[str, str]) -> dict[str, str]:
        """Its tags, and those of others that it has not, in whichever casing."""
        has = tags.Caseless(self.tags)
        return {**{key: value for key, value in others.items() if key not in has}, **self.tags}

    @property
    def plain(self) -> dict[str, Any]:
        """Its parts as JSON values."""
        return {"tags": self.tags, "zones": self.zones}

    @property
    def body(self) -> dict[str, Any]:
        """What a create sends of it, beside the tags."""
        return {"properties": {"zoneRedundancy": _IN_ZONES}} if self.zones else {}


def kept_of(there: Mapping[str, Any]) -> Kept:
    """What a replication has, as Azure answers it."""
    in_zones = str(properties(there).get("zoneRedundancy") or "") == _IN_ZONES
    return Kept(tags.foreign(tags.read(there.get("tags"))), in_zones)


@cache
def _adapter() -> TypeAdapter[Kept]:
    return TypeAdapter(Kept)


def native_of(session: AzureSession, at: Address) -> str:
    """Azure's own name of a replication."""
    return f"{_home(session)}{at.name}"


def _home(session: AzureSession) -> str:
    return f"{session.registry.resource}/replications/"


def waiting(session: AzureSession, at: Address) -> Kept | None:
    """What waits to be put back on a replication; None if nothing does.

    Raises PlatformError if its file can't be read, or is none that this tool has written.
    """
    found = session.rescue.kept(at, native_of(session, at))
    if found is None:
        return None
    try:
        kept = _adapter().validate_python(found)
        if ours := sorted(key for key in kept.tags if tags.is_ours(key.lower())):
            raise ValueError(f"it holds reserved tags: {', '.join(ours)}")
    except (ValidationError, ValueError) as error:
        why = first_sentence(error) if isinstance(error, ValidationError) else str(error)
        raise session.rescue.unfit(at, native_of(session, at), why) from None
    return kept


def note(session: AzureSession, at: Address, kept: Kept) -> str:
    """What else to know about it."""
    return session.rescue.note(at, native_of(session, at), _named(kept), kept.plain)


def left(session: AzureSession, there: Collection[str] = ()) -> Iterator[tuple[Address, str]]:
    """What waits for replications that are not there, with what to say of it. `there`: the names of those that are."""
    home = _home(session)
    for _, native, found, why in session.rescue.strays(session.name, ()):
        name = native.removeprefix(home)
        if not why and native.startswith(home) and name not in there:
            at = Address.of(session.name, "replication", name)
            yield at, f"{name}: {session.rescue.note(at, native, _said(found) or 'nothing', found)}; {GOES_ALONG}"


def drop_left(session: AzureSession) -> None:
    """Deletes the files of replications, with the registry or once it is let go of: no apply puts back what is in them."""
    for at, _ in left(session):
        session.rescue.drop(at, native_of(session, at))


def strays(session: AzureSession, owing: Iterable[Address]) -> Iterator[str]:
    """What is to be said of what waits in files and no apply puts back. `owing`: the addresses of what it is put back on."""
    known = {session.rescue.path(at, native_of(session, at)) for at in owing}
    return session.rescue.notices(session.name, known, "replication", _home(session), _said)


def _said(found: dict[str, Any]) -> str:
    """What there is of what a file holds; "" if it can't be said."""
    try:
        return _named(_adapter().validate_python(found))
    except ValidationError:
        return ""


def _named(kept: Kept) -> str:
    """What there is of it."""
    parts = [f"{plural(len(kept.tags), 'tag')} {', '.join(sorted(kept.tags))}"] if kept.tags else []
    return "; ".join([*parts, *(["its place in all zones"] if kept.zones else [])]) or "nothing"
