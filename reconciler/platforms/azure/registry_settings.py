"""What a registry can be set to, as the spec asks for it and as Azure answers and takes it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from reconciler.model.address import Address
from reconciler.model.canonical import plain, text
from reconciler.model.marks import Marks
from reconciler.model.resource import Live
from reconciler.spec.repository import Repository

from . import network, states, tags
from .spec import AzureRegistry, untagged_days

Document = dict[str, Any]
KIND = "registry"
#: of what is kept beside the settings, what images are pulled from
SERVER = "login_server"


@dataclass(frozen=True, slots=True)
class RegistrySettings:
    """What a registry can be set to. `untagged_days`: None: untagged images stay. `admin_user`, `anonymous_pull`: no spec asks for
    them. `public_network_access`: in Azure's word; "" where the spec leaves it open. `failure`, `under_way`: as in states.py.
    `left_open`: the fields that the spec leaves to what is there."""

    location: str = ""
    sku: str = "Basic"
    labels: tuple[tuple[str, str], ...] = ()
    admin_user: bool = False
    anonymous_pull: bool = False
    public_network_access: str = network.OPEN
    untagged_days: int | None = None
    failure: str = ""
    under_way: str = ""
    left_open: tuple[str, ...] = ()

    def as_v1(self) -> dict[str, Any]:
        """What the mark is a hash of: what stands on the platform. What the spec leaves open is as it was when it was applied: what a
        hand changes of it is seen."""
        found: dict[str, Any] = plain(replace(self, left_open=()))
        return found


def address_of(registry: AzureRegistry) -> Address:
    """The address of the registry's own resource."""
    return Address.of(registry.name, KIND, registry.registry_name.lower())


def settings_of(registry: AzureRegistry, repositories: Sequence[Repository]) -> RegistrySettings:
    """What the spec asks for; a rule of the spec sees to it that all repositories have one retention."""
    left_open = left_open_by(registry)
    return RegistrySettings(
        location=registry.location,
        # what the spec leaves open is decided by what is there (`fitted`)
        sku=registry.sku or "",
        labels=tuple(sorted(registry.labels.items())),
        public_network_access=network.word_of(registry.public_network_access),
        untagged_days=untagged_days(repositories[0]) if repositories else None,
        left_open=left_open,
    )


def left_open_by(registry: AzureRegistry) -> tuple[str, ...]:
    """The settings that a spec leaves to what is there."""
    access = () if registry.public_network_access is not None else ("public_network_access",)
    return (*access, *(() if registry.sku is not None else ("sku",)))


def properties_of(wanted: RegistrySettings) -> Document:
    """As they are sent. The retention is said only where it is one: a tier without it refuses the word."""
    days = wanted.untagged_days
    retention = {"policies": {"retentionPolicy": {"days": days, "status": "enabled"}}} if days is not None else {}
    return {
        "adminUserEnabled": wanted.admin_user,
        "anonymousPullEnabled": wanted.anonymous_pull,
        "publicNetworkAccess": wanted.public_network_access,
        **retention,
    }


def changed_in(wanted: Document, there: Document) -> Document:
    """What differs from what is there, and the end of a retention that is no longer wanted."""
    found = there.get("properties") or {}
    changed = {key: value for key, value in wanted.items() if key != "policies" and found.get(key) != value}
    before = (found.get("policies") or {}).get("retentionPolicy") or {}
    after = (wanted.get("policies") or {}).get("retentionPolicy")
    if after is None and before.get("status") == "enabled":
        changed["policies"] = {"retentionPolicy": {"status": "disabled"}}
    elif after is not None and (before.get("status"), before.get("days")) != (after["status"], after["days"]):
        changed["policies"] = {"retentionPolicy": after}
    return changed


def live_of(at: Address, found: Document, registry: AzureRegistry) -> Live:
    """The registry as Azure answers it: casing, times and what no spec sets count for nothing."""
    said: Document = found.get("properties") or {}
    there = tags.read(found.get("tags"))
    retention = (said.get("policies") or {}).get("retentionPolicy") or {}
    theirs = tags.foreign(there)
    large = network.needing_premium(said)
    server = str(said.get("loginServer") or "")
    rest = {
        **({SERVER: server} if server else {}),
        **({"tags": theirs} if theirs else {}),
        **({network.RULES: True} if network.has_rules(said) else {}),
        **({network.LARGE: large} if large else {}),
    }
    return Live(
        address=at,
        kind=KIND,
        settings=RegistrySettings(
            location=str(found.get("location", "")).lower().replace(" ", ""),
            sku=str((found.get("sku") or {}).get("name", "")),
            labels=tuple(sorted(tags.own_labels(there).items())),
            admin_user=bool(said.get("adminUserEnabled", False)),
            anonymous_pull=bool(said.get("anonymousPullEnabled", False)),
            public_network_access=str(said.get("publicNetworkAccess") or network.OPEN),
            untagged_days=int(retention["days"]) if retention.get("status") == "enabled" else None,
            failure=states.failure(found),
            under_way=states.under_way(found),
            left_open=left_open_by(registry),
        ),
        marks=Marks.of(there),
        native=str(found.get("id", "")),
        rest=text(rest) if rest else "",
    )
