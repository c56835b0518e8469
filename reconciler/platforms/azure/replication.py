"""A geo-replication of the registry: https://learn.microsoft.com/azure/container-registry/container-registry-geo-replication"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
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
from reconciler.platforms.rescue import naming
from reconciler.words import all_of

from . import states, tags
from .documents import properties

if TYPE_CHECKING:
    from .session import AzureSession

KIND = "replication"
_TYPE = "Microsoft.ContainerRegistry/registries/replications"
#: seconds in which one that was just deleted can't be made again: https://github.com/Azure/azure-rest-api-specs/issues/18934
SETTLING = 600.0
#: codes of what can't be made yet, since one of its name was just deleted
_REFUSED_FOR_A_WHILE = ("ReplicationBeingDeleted", "Conflict", "ResourceIsBeingDeleted")

#: that a replication is in all zones of its location: https://learn.microsoft.com/azure/container-registry/zone-redundancy
_IN_ZONES = "Enabled"
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
        return states.remark("", live.settings.under_way, "")

    def fingerprint(self, live: Live | None) -> str:
        """Without what is under way: it is over when something is written."""
        return super().fingerprint(states.over(live))

    def limit(self, desired: Desired, live: Live | None) -> str | None:
        return states.limit(live.settings.under_way) if live is not None else None

    def weakens(self, before: ReplicationSettings | None, after: ReplicationSettings | None) -> Iterator[Weakening]:
        if before is not None and before.endpoint and (after is None or not after.endpoint):
            what = f"no images are kept in {before.location} any more: clients there pull from another location of the registry"
            yield Weakening("replication_regions", what)

    def list(self, session: AzureSession, wanted: Mapping[Address, Desired], found: Found) -> Iterator[Live]:
        if not found["registry"]:
            return
        for item in session.once("replications", lambda: session.replications(session.own_address())):
            live = _live(session, item)
            # the home location is in the list too (terraform-provider-azurerm, container_registry_resource.go)
            if live.settings.location != session.registry.location:
                yield live

    def read(self, session: AzureSession, addresses: Sequence[Address]) -> Iterator[Live]:
        for at in addresses:
            if at.where or at.name == session.registry.location:
                continue
            ask = partial(session.client.replications.get, *session.group, at.name)
            found = states.settled(session, at, partial(session.found_plain, at, "replications:get", ask))
            if found is not None:
                yield _live(session, found)

    def create(self, session: AzureSession, write: Write) -> Live:
        at = write.desired.address
        with naming(session.rescue.path(at, _native(session, at)) if (theirs := _kept(session, at)) else None):
            made = self._made(session, write, theirs)
        session.rescue.drop(at, _native(session, at))
        return made

    def replace(self, session: AzureSession, write: Write, live: Live, *, force: bool) -> Live:
        at, theirs = live.address, json.loads(live.rest or "{}").get("tags", {})
        kept = {**_kept(session, at), **theirs}
        ask = partial(session.client.replications.get, *session.group, at.name)
        there = session.found_plain(at, "replications:get", ask) or {}
        zones = str(properties(there).get("zoneRedundancy") or "")
        if kept or zones == _IN_ZONES:  # until it is there again, they stand nowhere else
            session.rescue.keep(at, _native(session, at), {"tags": kept, "zoneRedundancy": zones})
        self.delete(session, live, force=force)
        return self.create(session, write)

    def _made(self, session: AzureSession, write: Write, theirs: Mapping[str, str]) -> Live:
        at = write.desired.address
        body: dict[str, Any] = {
            "location": write.desired.settings.location,
            "tags": tags.after(theirs, write.marks.texts()),
        }
        kept = session.rescue.kept(at, _native(session, at)) or {}
        if kept.get("zoneRedundancy") == _IN_ZONES:  # Azure takes it when a replication is made, and never again
            body["properties"] = {"zoneRedundancy": _IN_ZONES}
        begin = partial(session.client.replications.begin_create, *session.group, at.name, body)
        ask = partial(session.client.replications.get, *session.group, at.name)

        def make() -> dict[str, Any] | None:
            """Looks before each try: a PUT would take away what somebody else has put on one that they have made meanwhile."""
            there = session.found_plain(at, "replications:get", ask)
            if there is not None and Marks.of(tags.read(there.get("tags"))).owner != session.owner:
                raise Moved("somebody else has made one there meanwhile")
            return session.done(at, "replications:create", begin)

        found = session.patiently(make, lambda error: getattr(error, "code", "") in _REFUSED_FOR_A_WHILE, SETTLING)
        return states.written(_live(session, found or {}))

    def update(self, session: AzureSession, write: Write, live: Live) -> Live:
        at = live.address
        there = {**_kept(session, at), **(self._tags(session, at) or {})}
        all_tags = tags.after(there, write.marks.texts())
        served = {"regionEndpointEnabled": write.desired.settings.endpoint}
        patched = self._patched(session, at, {"tags": all_tags, "properties": served})
        session.rescue.drop(at, _native(session, at))
        return patched

    def _tags(self, session: AzureSession, at: Address) -> Mapping[str, str] | None:
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
        there = self._tags(session, live.address)
        return None if there is None else self._patched(session, live.address, {"tags": tags.let_go(there)})

    def delete(self, session: AzureSession, live: Live, *, force: bool) -> None:
        begin = partial(session.client.replications.begin_delete, *session.group, live.address.name)
        session.done(live.address, "replications:delete", begin)


def _native(session: AzureSession, at: Address) -> str:
    return f"{session.registry.resource}/replications/{at.name}"


def _kept(session: AzureSession, at: Address) -> Mapping[str, str]:
    """The tags of others that a replacement which was cut off has kept. Raises PlatformError if they can't be read."""
    kept = session.rescue.kept(at, _native(session, at)) or {}
    return tags.foreign(tags.read(kept.get("tags")))


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
