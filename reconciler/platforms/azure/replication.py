"""A geo-replication of the registry: https://learn.microsoft.com/azure/container-registry/container-registry-geo-replication"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from reconciler.errors import Moved, PlatformError
from reconciler.model.address import Address
from reconciler.model.canonical import text
from reconciler.model.kind import Found, Home, Kind, Trait, Verb, Write
from reconciler.model.marks import Marks
from reconciler.model.released import ReleasedAlong
from reconciler.model.resource import Desired, Live
from reconciler.model.weakening import Weakening
from reconciler.platforms.rescue import GOES_ALONG, naming
from reconciler.words import all_of

from . import states, tags
from .hints import NotCarriedOut
from .token_settings import is_ours
from .waiting import Kept, kept_of, left, native_of, note, strays, waiting

if TYPE_CHECKING:
    from .session import AzureSession

KIND = "replication"
_TYPE = "Microsoft.ContainerRegistry/registries/replications"
#: seconds in which one that was just deleted can't be made again: https://github.com/Azure/azure-rest-api-specs/issues/18934
SETTLING = 600.0
#: codes of what can't be made yet, since one of its name was just deleted
_REFUSED_FOR_A_WHILE = ("ReplicationBeingDeleted", "Conflict", "ResourceIsBeingDeleted")
#: seconds in which what Azure took and did not carry out is asked for again: it may be so where one of its name was just deleted (the
#: same issue), and terraform-provider-azurerm waits until it has found none for half a minute
RECREATING = 120.0
#: seconds in which the plan's other changes of a registry have begun
STARTING = 30.0
#: how one that failed is mended
_ANEW = "deletes it and makes it anew; clients there pull from another location of the registry meanwhile"


@dataclass(frozen=True, slots=True)
class ReplicationSettings:
    """Where it is. `endpoint`: whether images are served there; no spec asks for anything else. `failure`, `under_way`: as in
    states.py."""

    location: str
    endpoint: bool = True
    failure: str = ""
    under_way: str = ""


class ReplicationKind(Kind, ReleasedAlong):
    """A copy of the registry in another location."""

    name = KIND
    settings = ReplicationSettings
    traits = frozenset({Trait.UPSERTS})
    #: one that failed is not mended by an update: https://github.com/Azure/ARO-HCP/pull/2366
    immutable = frozenset({"location", "failure"})
    after = ("registry",)
    permissions = {
        Verb.LIST: (f"{_TYPE}/read",),
        Verb.READ: (f"{_TYPE}/read",),
        Verb.CREATE: (f"{_TYPE}/write", f"{_TYPE}/operationStatuses/read"),
        Verb.UPDATE: (f"{_TYPE}/write", f"{_TYPE}/operationStatuses/read"),
        Verb.RELEASE: (f"{_TYPE}/write", f"{_TYPE}/operationStatuses/read"),
        Verb.DELETE: (f"{_TYPE}/delete", "Microsoft.ContainerRegistry/locations/operationResults/read"),
    }

    def shown(self, settings: ReplicationSettings) -> dict[str, Any]:
        shown = super().shown(settings)
        return {
            "location": shown["location"],
            "served_there": shown["endpoint"],
            "provisioning_state": settings.failure or settings.under_way or states.SUCCEEDED,
        }

    def usual(self, address: Address, home: Home) -> dict[str, Any]:
        return self.shown(ReplicationSettings(address.name))

    def altered(self, settings: ReplicationSettings) -> str | None:
        if settings.failure or settings.under_way:
            return "provisioning_state"
        return None if settings.endpoint else "endpoint"

    def remarks(self, live: Live, wanted: Desired, *, changed: bool) -> Iterable[str]:
        there: ReplicationSettings = live.settings
        return (*live.notes, *states.remark(there.failure, there.under_way, f"an apply {_ANEW}")) if changed else ()

    def remarks_gone(self, live: Live) -> Iterable[str]:
        return *live.notes, *states.remark("", live.settings.under_way, "")

    def takes_along(self, live: Live) -> Iterator[str]:
        if live.owed:
            yield GOES_ALONG

    def fingerprint(self, live: Live | None) -> str:
        """Without what is under way: it is over when something is written."""
        return super().fingerprint(states.over(live))

    def limit(self, desired: Desired, live: Live | None) -> str | None:
        doomed = states.limit(live.settings.under_way) if live is not None else None
        return doomed or tags.too_many("replication", live)

    def weakens(self, before: ReplicationSettings | None, after: ReplicationSettings | None) -> Iterator[Weakening]:
        if before is not None and before.endpoint and (after is None or not after.endpoint):
            what = f"no images are kept in {before.location} any more: clients there pull from another location of the registry"
            yield Weakening("replication_regions", what)

    def list(self, session: AzureSession, wanted: Mapping[Address, Desired], found: Found) -> Iterator[Live]:
        own = session.own_address()
        items = session.once("replications", lambda: session.replications(own)) if found["registry"] else ()
        all_live = [_live(session, item) for item in items]
        # the home location is in the list too (terraform-provider-azurerm, container_registry_resource.go)
        away = self._now(
            session, (live for live in all_live if live.settings.location != session.registry.location), wanted
        )
        there = [_owing(session, live) if live.marks.owner or live.address in wanted else live for live in away]
        yield from there
        listed = {live.address for live in there}
        missing = [at for at in wanted if at.kind == KIND and at not in listed]
        yield from _missing(session, missing)
        staying = {live.settings.location: live.address.name for live in there if not _goes(session, live, wanted)}
        for at in missing:
            if name := staying.get(wanted[at].settings.location):
                session.refused[at] = (
                    f"replication {name}, which somebody else made, is in {at.name} already: delete it first, or take {at.name} out"
                    " of replication_regions"
                )
        # those of a registry that goes go with it, which its own change says
        along = [at for at, _ in left(session)] if session.giving_up else []
        session.notices += strays(session, [*missing, *along, *(live.address for live in there if live.owed)])

    def _now(self, session: AzureSession, listed: Iterable[Live], wanted: Collection[Address]) -> Iterable[Live]:
        """The same, with ours and those of the spec as each is when it is asked for itself: the list may say of one that failed that
        all is well, and the other way round (https://github.com/Azure/ARO-HCP/pull/6250)."""

        def now(live: Live) -> Live | None:
            if live.marks.owner != session.owner and live.address not in wanted:
                return live
            ask = partial(session.client.replications.get, *session.group, live.address.name)
            found = session.found_plain(live.address, "replications:get", ask)
            return _live(session, found) if found is not None else None

        return [live for live in session.map(now, listed) if live is not None]

    def read(self, session: AzureSession, addresses: Sequence[Address]) -> Iterator[Live]:
        for at in addresses:
            if at.where or at.name == session.registry.location:
                continue
            ask = partial(session.client.replications.get, *session.group, at.name)
            found = states.settled(session, at, partial(session.found_plain, at, "replications:get", ask))
            if found is not None:
                yield _owing(session, _live(session, found))
            else:
                yield from _missing(session, (at,))

    def create(self, session: AzureSession, write: Write) -> Live:
        return self._made(session, write, Kept())

    def replace(self, session: AzureSession, write: Write, live: Live, *, force: bool) -> Live:
        at, native = live.address, native_of(session, live.address)
        ask = partial(session.client.replications.get, *session.group, at.name)
        there = session.found_plain(at, "replications:get", ask) or {}
        kept = kept_of(there).over(waiting(session, at) or Kept())
        # until it is there again, they stand nowhere else
        path = session.rescue.keep(at, native, kept.plain) if kept else None
        with session.rescue.deleting(at, native, owed=live.owed):
            self._delete(session, live)
        with naming(path):
            made = self._made(session, write, kept)
        session.rescue.drop(at, native)
        return made

    def _made(self, session: AzureSession, write: Write, kept: Kept) -> Live:
        at = write.desired.address
        all_tags = tags.after(kept.tags, write.marks.texts())
        body = {"location": write.desired.settings.location, "tags": all_tags, **kept.body}
        begin = partial(session.client.replications.begin_create, *session.group, at.name, body)
        ask = partial(session.client.replications.get, *session.group, at.name)

        def make() -> dict[str, Any] | None:
            """Looks before each try: a PUT would take away what somebody else has put on one that they have made meanwhile."""
            there = session.found_plain(at, "replications:get", ask)
            if there is not None and Marks.of(tags.read(there.get("tags"))).owner != session.owner:
                raise Moved("somebody else has made one there meanwhile")
            return session.done(at, "replications:create", begin)

        taken = partial(session.patiently, make, lambda error: isinstance(error, NotCarriedOut), RECREATING)
        found = session.patiently(taken, lambda error: getattr(error, "code", "") in _REFUSED_FOR_A_WHILE, SETTLING)
        return states.written(_live(session, found or {}))

    def update(self, session: AzureSession, write: Write, live: Live) -> Live:
        at = live.address
        kept = (waiting(session, at) if live.owed else None) or Kept()
        with naming(session.rescue.path(at, native_of(session, at)) if live.owed else None):
            if live.vacant:
                written = self._made(session, write, kept)
            else:
                # what stands there now counts
                there = Kept(self._tags(session, at) or {}).beside(kept.tags)
                served = {"regionEndpointEnabled": write.desired.settings.endpoint}
                all_tags = tags.after(there, write.marks.texts())
                written = self._patched(session, at, {"tags": all_tags, "properties": served})
        if live.owed:
            session.rescue.drop(at, native_of(session, at))
        return written

    def _tags(self, session: AzureSession, at: Address) -> dict[str, str] | None:
        """Its tags, read now; None if it is not there."""
        ask = partial(session.client.replications.get, *session.group, at.name)
        there = session.found_plain(at, "replications:get", ask)
        return tags.read(there.get("tags")) if there is not None else None

    def _patched(self, session: AzureSession, at: Address, body: Mapping[str, Any]) -> Live:
        begin = partial(session.client.replications.begin_update, *session.group, at.name, body)
        return states.written(_live(session, session.done(at, "replications:update", begin) or {}))

    def left(self, settings: ReplicationSettings) -> ReplicationSettings:
        return settings

    def release(self, session: AzureSession, live: Live) -> Live | None:
        at = live.address
        there = self._tags(session, at)
        if there is None:
            return None
        kept = (waiting(session, at) if live.owed else None) or Kept()
        released = self._patched(session, at, {"tags": tags.let_go(Kept(there).beside(kept.tags))})
        session.rescue.drop(at, native_of(session, at))
        return released

    def delete(self, session: AzureSession, live: Live, *, force: bool) -> None:
        self._delete(session, live)
        session.rescue.drop(live.address, native_of(session, live.address))

    def _delete(self, session: AzureSession, live: Live) -> None:
        begin = partial(session.client.replications.begin_delete, *session.group, live.address.name)
        session.done(live.address, "replications:delete", begin)


def _goes(session: AzureSession, live: Live, wanted: Mapping[Address, Desired]) -> bool:
    """Whether a plan deletes it: ours, which the spec does not have."""
    return live.address not in wanted and is_ours(live.marks, session.owner, session.name)


def _owing(session: AzureSession, live: Live) -> Live:
    """With what waits to be put back on it, unless it is another's."""
    if live.marks.owner is not None and not is_ours(live.marks, session.owner, session.name):
        return live
    waits = waiting(session, live.address)
    return live if waits is None else replace(live, owed=True, notes=(*live.notes, note(session, live.address, waits)))


def _missing(session: AzureSession, addresses: Iterable[Address]) -> Iterator[Live]:
    """The replications that a replacement has deleted and not made again, where something waits to be put back on them."""
    for at in addresses:
        waits = waiting(session, at)
        if waits is not None:
            notes = (note(session, at, waits),)
            yield Live(at, KIND, ReplicationSettings(at.name), Marks(), vacant=True, owed=True, notes=notes)


def _live(session: AzureSession, found: Mapping[str, Any]) -> Live:
    there = tags.read(found.get("tags"))
    others = tags.foreign(there)
    location = _location(found)
    marks, failure = Marks.of(there), states.failure(found)
    # what can't be changed can't be adopted: nobody's is adopted as it is
    notes = states.remark(failure, "", f"once it is adopted, the next apply {_ANEW}") if marks.owner is None else ()
    return Live(
        address=Address.of(session.name, KIND, str(found.get("name", location)).lower()),
        kind=KIND,
        settings=ReplicationSettings(
            location,
            bool((found.get("properties") or {}).get("regionEndpointEnabled", True)),
            "" if notes else failure,
            states.under_way(found),
        ),
        marks=marks,
        notes=notes,
        native=str(found.get("id", "")),
        needs=(session.own_address(),),
        rest=text({"tags": others}) if others else "",
    )


class _Left(PlatformError):
    """Replications are there that a smaller tier does not take."""


def await_none(session: AzureSession, at: Address) -> None:
    """Waits until the plan's own deletes of replications are done, which go on beside: Azure refuses a smaller tier while one is
    there. Nothing is deleted here, which a plan with targets may not do. Raises PlatformError if one stays."""

    def none_but(going: bool) -> None:
        left = [item for item in session.replications(at) if _location(item) != session.registry.location]
        if names := [str(item["name"]) for item in left if not (going and states.under_way(item) == states.DELETING)]:
            raise _Left(
                f"a smaller sku takes no replications, and the registry has {all_of(sorted(names))}",
                address=at,
                operation="registries:update",
                hint="apply without --target, which deletes those of the spec first; what others have made, they delete",
            )

    for going, seconds in ((True, STARTING), (False, states.PATIENCE)):
        session.patiently(partial(none_but, going), lambda error: isinstance(error, _Left), seconds)


def _location(found: Mapping[str, Any]) -> str:
    return str(found.get("location", "")).lower().replace(" ", "")
