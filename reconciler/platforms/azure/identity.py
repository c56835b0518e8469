"""The registry's managed identities: one to pull and one to push."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from reconciler.model.address import Address
from reconciler.model.canonical import text
from reconciler.model.kind import Found, Home, Kind, Trait, Verb, Write
from reconciler.model.marks import Marks
from reconciler.model.platform import Output
from reconciler.model.released import ReleasedAlong
from reconciler.model.resource import Desired, Live
from reconciler.spec.registry import RegistryBase

from . import others, tags
from .spec import AzureRegistry

if TYPE_CHECKING:
    from .session import AzureSession

KIND = "identity"
IDENTITIES = ("pull", "push")
_REGISTRY = re.compile("[a-z0-9]{5,50}")
_TYPE = "Microsoft.ManagedIdentity/userAssignedIdentities"


@dataclass(frozen=True, slots=True)
class IdentitySettings:
    """Where it is: Azure has identities in a location, although they are good everywhere. `registry_name`: of which registry it is,
    in small letters; "" if nothing says that, or if that one is gone."""

    location: str = ""
    registry_name: str = ""


#: what is printed of an identity, and what Azure calls it
_IDS = {"client_id": "clientId", "principal_id": "principalId"}


class IdentityKind(Kind, ReleasedAlong):
    """A user-assigned managed identity."""

    name = KIND
    settings = IdentitySettings
    traits = frozenset({Trait.UPSERTS})
    after = ("registry",)
    called_after = True
    immutable = frozenset({"location"})
    permissions = {
        Verb.LIST: (f"{_TYPE}/read",),
        Verb.READ: (f"{_TYPE}/read",),
        Verb.CREATE: (f"{_TYPE}/write", f"{_TYPE}/read"),
        Verb.UPDATE: (f"{_TYPE}/write", f"{_TYPE}/read"),
        Verb.RELEASE: (f"{_TYPE}/write", f"{_TYPE}/read"),
        Verb.DELETE: (f"{_TYPE}/delete",),
    }

    def shown(self, settings: IdentitySettings) -> dict[str, Any]:
        """By the tag in which it stands of which registry it is."""
        return {"location": settings.location, tags.REGISTRY_NAME: settings.registry_name or None}

    def usual(self, address: Address, home: Home) -> dict[str, Any]:
        here = home.registry
        return self.shown(settings_of(here)) if isinstance(here, AzureRegistry) else {}

    def unasked(self, wanted: Desired, registry: RegistryBase) -> str | None:
        asked = settings_of(registry).registry_name if isinstance(registry, AzureRegistry) else ""
        return None if wanted.settings.registry_name == asked else "registry_name"

    def fitted(self, desired: Desired, live: Live | None) -> Desired:
        """Where it is: an identity is good everywhere, and whoever uses it keeps it if the registry is moved."""
        there = live.settings.location if live is not None else ""
        return replace(desired, settings=replace(desired.settings, location=there)) if there else desired

    def limit(self, desired: Desired, live: Live | None) -> str | None:
        was = live.settings.registry_name if live is not None else ""
        now = desired.settings.registry_name
        if was in ("", now):
            return tags.too_many("identity", live, beside=1)  # of which registry it is
        return (
            f"it is the identity of registry {was}, which another registry_name leaves behind with its images: put {was} back, and"
            f" give {now} a second registry in the spec, under another name; once its images are copied, retire the first"
        )

    def remarks(self, live: Live, wanted: Desired, *, changed: bool) -> Iterable[str]:
        """What it has elsewhere is of interest once it goes."""
        return ()

    def refusal(self, live: Live) -> str | None:
        was, now = live.settings.registry_name, live.needs[0].name
        if was in ("", now):
            return None
        return f"it is the identity of registry {was}, and the spec says {now}: to delete it, put {was} back as registry_name first"

    def list(self, session: AzureSession, wanted: Mapping[Address, Desired], found: Found) -> Iterator[Live]:
        names = {session.registry.identity_name(job).lower(): job for job in IDENTITIES}
        for item in session.identities(session.name):
            job = names.get(str(item.get("name", "")).lower())
            if job is not None:
                live = _live(session, job, item)
                session.learn_principal(job, principal_of(item))
                yield replace(live, notes=_elsewhere(session, principal_of(item)) if found["registry"] else ())

    def read(self, session: AzureSession, addresses: Sequence[Address]) -> Iterator[Live]:
        for at in addresses:
            if at.name not in IDENTITIES or at.where:
                continue
            found = session.identity(at)
            session.learn_principal(at.name, principal_of(found or {}))
            if found is not None:
                yield _live(session, at.name, found)

    def create(self, session: AzureSession, write: Write) -> Live:
        at = write.desired.address
        body = {"location": write.desired.settings.location, "tags": _tags(write)}
        found = session.write_identity("PUT", at, body)
        session.learn_principal(at.name, principal_of(found))
        return _live(session, at.name, found)

    def update(self, session: AzureSession, write: Write, live: Live) -> Live:
        at = live.address
        there = session.identity(at) or {}
        all_tags = tags.after(tags.read(there.get("tags")), _tags(write))
        found = session.write_identity("PATCH", at, {"tags": all_tags})
        return _live(session, at.name, found)

    def left(self, settings: IdentitySettings) -> IdentitySettings:
        return replace(settings, registry_name="")

    def release(self, session: AzureSession, live: Live) -> Live | None:
        there = session.identity(live.address)
        if there is None:
            return None
        left = tags.let_go(tags.read(there.get("tags")))
        return _live(session, live.address.name, session.write_identity("PATCH", live.address, {"tags": left}))

    def delete(self, session: AzureSession, live: Live, *, force: bool) -> None:
        session.delete_identity(live.address)


def settings_of(registry: AzureRegistry) -> IdentitySettings:
    """What a registry asks for."""
    return IdentitySettings(registry.location, registry.registry_name.lower())


def outputs(at: Address, found: Mapping[str, Any]) -> Iterator[Output]:
    """By what an identity is attached, signed in as and granted something; nothing of one that is not there."""
    said = found.get("properties") or {}
    for name, known in (("id", found.get("id")), *((key, said.get(azure)) for key, azure in _IDS.items())):
        if known:
            yield Output(at, name, str(known))


def _tags(write: Write) -> dict[str, str]:
    return {**write.marks.texts(), tags.REGISTRY_NAME: write.desired.settings.registry_name}


def principal_of(found: Mapping[str, Any]) -> str:
    """The object id of an identity, by which role assignments name it; "" if it is not there."""
    return str((found.get("properties") or {}).get("principalId", "")).lower()


def _elsewhere(session: AzureSession, principal: str) -> tuple[str, ...]:
    """What the identity was given above the registry, in sentences. Raises PlatformError."""
    assigned = session.once("assignments", lambda: session.assignments(session.own_address()))
    above = others.above_of(assigned, principal, session.registry.resource)
    known = session.other_roles(others.roles_of(above)) if above else {}
    return tuple(others.also_has(item, known) for item in above)


def _of(session: AzureSession, name: str) -> str:
    """Of which registry a tag says that an identity is; "" if the resource group has none of that name. Raises PlatformError."""
    if name == session.own_address().name or not _REGISTRY.fullmatch(name):
        return name if _REGISTRY.fullmatch(name) else ""
    ask = partial(session.client.registries.get, session.registry.resource_group, name)
    return name if session.found(session.own_address(), "registries:get", ask) is not None else ""


def _live(session: AzureSession, job: str, found: Mapping[str, Any]) -> Live:
    there = tags.read(found.get("tags"))
    others = tags.foreign(there)
    return Live(
        address=Address.of(session.name, KIND, job),
        kind=KIND,
        settings=IdentitySettings(
            str(found.get("location", "")).lower().replace(" ", ""),
            _of(session, there.get(tags.REGISTRY_NAME, "").lower()),
        ),
        marks=Marks.of(there),
        native=str(found.get("id", "")),
        needs=(session.own_address(),),
        rest=text({"tags": others}) if others else "",
    )
