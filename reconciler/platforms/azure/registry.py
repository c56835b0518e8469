"""The Azure Container Registry itself: its tier, its tags, and who reaches it from where."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from reconciler.errors import PlatformError
from reconciler.model.access import Access, ForeignAccess, Given
from reconciler.model.address import Address
from reconciler.model.canonical import text
from reconciler.model.kind import Found, GivesAccess, Home, Kind, Uncounted, Verb, Write
from reconciler.model.released import ReleasesAll
from reconciler.model.resource import Desired, Live, NativeName
from reconciler.model.served import ServedElsewhere
from reconciler.model.weakening import Weakening
from reconciler.model.whole import HoldsAll, PartlyCounted
from reconciler.spec.registry import RegistryBase
from reconciler.words import Named, all_of

from . import mode, network, notes, others, replication, rules, states, tags, usage
from .assignment import granted
from .below import CONNECTION, Below, below_of, connections_of
from .hints import NO_GROUP, hint_for
from .registry_settings import (
    KIND,
    SERVER,
    Document,
    RegistrySettings,
    address_of,
    changed_in,
    left_open_by,
    live_of,
    properties_of,
)
from .repository import data_plane, now_in
from .spec import AzureRegistry
from .switched_on import switched_on, to_admin, to_anyone

if TYPE_CHECKING:
    from .session import AzureSession

_READ = ("Microsoft.ContainerRegistry/registries/read",)
_WRITE = (
    "Microsoft.ContainerRegistry/registries/write",
    *_READ,
    # an operation is looked at until it is over:
    # https://learn.microsoft.com/azure/role-based-access-control/permissions/containers#microsoftcontainerregistry
    "Microsoft.ContainerRegistry/registries/operationStatuses/read",
    "Microsoft.ContainerRegistry/locations/operationResults/read",
)
#: what begins a replication's words
_REPLICATION = "replication "
#: tiers from the smallest
_ORDER = {name: number for number, name in enumerate(rules.TIERS)}


class RegistryKind(Kind, HoldsAll, GivesAccess, ReleasesAll, ServedElsewhere):
    """The registry. Its repositories are notes of ours (`repository.py`); what else it holds, nobody noted."""

    name = KIND
    noun = "registry"
    said = frozenset()
    settings = RegistrySettings
    permissions = {
        Verb.LIST: _READ,
        Verb.READ: _READ,
        Verb.CREATE: (*_WRITE, "Microsoft.ContainerRegistry/checkNameAvailability/read"),
        Verb.UPDATE: _WRITE,
        Verb.COUNT: ("Microsoft.ContainerRegistry/registries/catalog/read", usage.ACTION),
        Verb.RELEASE: _WRITE,
        Verb.DELETE: (
            "Microsoft.ContainerRegistry/registries/delete",
            "Microsoft.ContainerRegistry/registries/scopeMaps/read",
            "Microsoft.ContainerRegistry/locations/operationResults/read",
        ),
    }

    def shown(self, settings: RegistrySettings) -> dict[str, Any]:
        kept = settings.untagged_days
        shown = super().shown(settings)
        return {
            **{key: value for key, value in shown.items() if key not in ("failure", "under_way", "left_open")},
            "provisioning_state": settings.failure or settings.under_way or states.SUCCEEDED,
            "labels": dict(settings.labels),
            "public_network_access": network.shown(settings.public_network_access),
            "untagged_days": Named("", "never deleted") if kept is None else kept,
        }

    def usual(self, address: Address, home: Home) -> dict[str, Any]:
        """But for what it costs, where it is and from where it is reached, which a new registry says in any case."""
        shown = self.shown(RegistrySettings())
        return {key: value for key, value in shown.items() if key not in ("sku", "location", "public_network_access")}

    def fitted(self, desired: Desired, live: Live | None) -> Desired:
        """What the spec leaves open stays as it is in a registry that was there before; one that we made is Basic and open."""
        asked: RegistrySettings = desired.settings
        if asked.sku and asked.public_network_access:
            return desired
        kept = live is not None and (live.marks.adopted or live.marks.owner is None)
        sku = live.settings.sku if live is not None and kept else rules.TIERS[0]
        reached = network.kept(live.settings.public_network_access if live is not None else "", was_there=kept)
        settings = replace(asked, sku=asked.sku or sku, public_network_access=asked.public_network_access or reached)
        return replace(desired, settings=settings)

    def altered(self, settings: RegistrySettings) -> str | None:
        if settings.sku not in rules.TIERS and "sku" not in settings.left_open:
            return "sku"
        if settings.failure or settings.under_way:
            return "provisioning_state"
        return next((name for name in ("admin_user", "anonymous_pull") if getattr(settings, name)), None)

    def unasked(self, wanted: Desired, registry: RegistryBase) -> str | None:
        return None if wanted.settings.left_open == left_open_by(_azure(registry)) else "left_open"

    def remarks(self, live: Live, wanted: Desired, *, changed: bool) -> Iterable[str]:
        if not changed:
            return ()
        there: RegistrySettings = live.settings
        stands = states.remark(there.failure, there.under_way, "an apply sends its settings again")
        tier = (
            ()
            if wanted.settings.sku in rules.TIERS
            else (f"its tier is {there.sku}, which stays until the spec names sku",)
        )
        return *stands, *tier, *network.remark(there.public_network_access, wanted.settings.public_network_access)

    def remarks_gone(self, live: Live) -> Iterable[str]:
        return states.remark("", live.settings.under_way, "")

    def fingerprint(self, live: Live | None) -> str:
        """Without what is under way: it is over when something is written."""
        return super().fingerprint(states.over(live))

    def weakens(self, before: RegistrySettings | None, after: RegistrySettings | None) -> Iterator[Weakening]:
        if before is None or after is None:
            return
        if after.untagged_days is not None and (
            before.untagged_days is None or after.untagged_days < before.untagged_days
        ):
            yield Weakening("retention", f"untagged images are deleted after {after.untagged_days} days")

    def access(self, address: Address, settings: RegistrySettings) -> Iterable[Access]:
        """What no spec asks for, and somebody may have switched on by hand."""
        return (*to_anyone(address, settings), *to_admin(address, settings))

    def gains_and_losses(
        self, address: Address, before: Given, after: Given, home: Home
    ) -> tuple[Iterable[Access], Iterable[Access]]:
        """From where the registry is reached, too, where that changes."""
        gains, losses = super().gains_and_losses(address, before, after, home)
        then, now = before.settings, after.settings
        if then is None or now is None or then.public_network_access == now.public_network_access:
            return gains, losses
        by_rules = network.RULES in json.loads(before.rest or "{}")
        reaching = partial(network.reaching, registry=address.registry, rules=by_rules)
        # who is let in from everywhere loses nothing
        everyone = now.public_network_access == network.OPEN and not by_rules
        out = () if everyone else reaching(then.public_network_access)
        return [*gains, *reaching(now.public_network_access)], [*losses, *out]

    def limit(self, desired: Desired, live: Live | None) -> str | None:
        if live is not None and (doomed := states.limit(live.settings.under_way)):
            return doomed
        there = live.settings.location if live is not None else ""
        if there and there != desired.settings.location:
            return (
                f"its home location is {there}, and Azure can't change that: put {there} back, and give {desired.settings.location} a"
                " second registry in the spec, under another name and registry_name; once its images are copied, retire the first"
            )
        if desired.settings.sku in rules.SMALL and (large := _large(live)):
            verb, they, are = ("need", "they", "are") if large[1:] else ("needs", "it", "is")
            return f"{all_of(large)} {verb} sku: Premium: Azure refuses {desired.settings.sku} while {they} {are} there"
        if desired.settings.public_network_access == network.CLOSED and desired.settings.sku in rules.SMALL:
            return (
                "it is not reached from the internet, which needs sku: Premium: Azure refuses"
                f" {desired.settings.sku} until the spec says public_network_access: true"
            )
        theirs = tags.of_others(live)
        count = len(tags.of_spec(dict(desired.settings.labels))) + len(theirs) + _MARKS
        if count > rules.MAX_TAGS:
            return (
                f"the registry would have {count} tags; Azure allows at most {rules.MAX_TAGS}: {len(theirs)} set by somebody else,"
                f" {len(desired.settings.labels)} of the spec, and the rest for reconciler's marks"
            )
        return None

    def beside(self, live: Live) -> Mapping[str, Any]:
        return tags.Caseless({f"labels.{key}": value for key, value in tags.of_others(live).items()})

    def in_order(self, rest: str) -> str:
        """Without replications: one that is let go of before the registry is somebody else's from then on."""
        found = json.loads(rest or "{}")
        beside = [item for item in found.get("below", ()) if not item.startswith(_REPLICATION)]
        kept = {key: beside if key == "below" else value for key, value in found.items() if key != "below" or beside}
        return text(kept) if kept else ""

    def native_name(self, wanted: Desired, registry: RegistryBase, others: Iterable[RegistryBase]) -> NativeName:
        here = _azure(registry)
        note = "unless Azure adds a hash to the login server"
        return NativeName(here.registry_name, here.usual_server, note)

    def as_served(self, name: NativeName, live: Live) -> NativeName:
        server = json.loads(live.rest or "{}").get(SERVER)
        return replace(name, uri=server, note="") if server else name

    def protected(self, settings: RegistrySettings) -> bool:
        return False

    def labels(self, settings: RegistrySettings) -> Collection[str]:
        return dict(settings.labels).keys()

    def tags_movable(self, settings: RegistrySettings) -> bool:
        return True

    def images_may_go(self, settings: RegistrySettings) -> bool:
        """Not those that no repository of the spec is for: these are counted here, the others with their repositories."""
        return False

    def count_beside(self, session: AzureSession, live: Live, going: Mapping[Address, int]) -> int:
        """Those of every other repository, whosever it is: one that is let go of, or noted for somebody else, goes with the registry
        too."""
        found = session.part(data_plane).count_beside({at.name for at in going})
        if found:
            raise PartlyCounted(usage.UNTOLD, found)
        if any(going.values()):
            raise Uncounted(usage.UNTOLD)
        usage.check(session, live.address)
        return 0

    def as_it_goes(self, item: ForeignAccess) -> ForeignAccess:
        return replace(item, what=item.what.removesuffix(others.VOIDS))

    def given_by_others(self, session: AzureSession, live: Live) -> tuple[ForeignAccess, ...]:
        """The role assignments and the tokens of others, which go with the registry."""
        return live.foreign

    def takes_along(self, live: Live) -> Iterator[str]:
        if found := _below(live):
            yield f"also deletes what somebody else made there: {all_of(found)}"

    # -- verbs --------------------------------------------------------------------------------------------------

    def list(self, session: AzureSession, wanted: Mapping[Address, Desired], found: Found) -> Iterator[Live]:
        session.begin_listing()
        own = address_of(session.registry)
        if (there := session.once("registry", lambda: session.acr(own))) is not None:
            assigned = session.once("assignments", lambda: session.assignments(own))
            given: tuple[ForeignAccess, ...] = ()
            if not mode.switches(session, there):
                given = tuple(mode.given_by_others(session, own, there, assigned, granted(wanted)))
            beneath = below_of(session, own)
            yield _with_others(session, own, there, (*given, *beneath.access(own)), beneath)
        elif session.groupless:
            here = session.registry
            session.refused[own] = (
                f"subscription {here.subscription_id} has no resource group {here.resource_group}: check both, or"
                f" {hint_for(NO_GROUP, here)}"
            )

    def read(self, session: AzureSession, addresses: Sequence[Address]) -> Iterator[Live]:
        own = address_of(session.registry)
        if own in addresses and (there := states.settled(session, own, lambda: session.acr(own))) is not None:
            lists = session.scope_maps(own), session.tokens(own), session.replications(own)
            beneath = Below(session.registry, session.owner, *lists, connections_of(there))
            # what is read is written next: all that would go with it, whatever else a list has it stand with
            assigned = session.assignments(own)
            given = mode.given_by_others(session, own, there, assigned, frozenset(), switched=False)
            yield _with_others(session, own, there, (*given, *beneath.access(own, every=True)), beneath)

    def create(self, session: AzureSession, write: Write) -> Live:
        at, here = write.desired.address, session.registry
        session.name_is_free(at)
        wanted: RegistrySettings = write.desired.settings
        made_with = rules.MODES[here.made_with]
        carried = {mode.APPLIED_MODE: mode.applied(here.made_with)}
        body = {
            "location": wanted.location,
            "sku": {"name": wanted.sku},
            "tags": {**tags.of_spec(dict(wanted.labels)), **write.marks.texts(), **carried},
            "properties": {**properties_of(wanted), "roleAssignmentMode": made_with},
        }
        begin = partial(session.client.registries.begin_create, *session.group, body)
        made = session.done(at, "registries:create", begin)
        return states.written(live_of(at, made or session.fresh(at), here))

    def update(self, session: AzureSession, write: Write, live: Live) -> Live:
        """In one PATCH, or two where the tier changes: up before what needs it, down after what it does not have."""
        at, wanted = live.address, write.desired.settings
        with session.tagging:
            there = session.fresh(at)
            own = {**tags.of_spec(dict(wanted.labels)), **write.marks.texts()}
            again = live.marks.applied == write.marks.applied
            all_tags = tags.after(tags.read(there.get("tags")), own, kept=tags.noted(there.get("tags")), again=again)
            changed = changed_in(properties_of(wanted), there)
            sku = str((there.get("sku") or {}).get("name", ""))
            up = _ORDER.get(wanted.sku, 0) > _ORDER.get(sku, 0)
            if up:
                session.patch_registry(at, {"sku": {"name": wanted.sku}})
            body: Document = {"tags": all_tags, **({"properties": changed} if changed else {})}
            after = session.patch_registry(at, body)
            if sku != wanted.sku and not up:
                replication.await_none(session, at)
                after = session.patch_registry(at, {"sku": {"name": wanted.sku}})
        return states.written(live_of(at, after, session.registry))

    def left(self, settings: RegistrySettings) -> RegistrySettings:
        return settings

    def release(self, session: AzureSession, live: Live) -> Live | None:
        """Without the note of the mode that was applied, too. Whatever else stands in it was let go of before."""
        with session.tagging:
            there = session.acr(live.address)
            if there is None:
                return None
            left = tags.let_go(tags.read(there.get("tags")))
            return live_of(live.address, session.patch_registry(live.address, {"tags": left}), session.registry)

    def delete(self, session: AzureSession, live: Live, *, force: bool) -> None:
        at = live.address
        _refuse_protected(session, at)
        if not force:
            # Azure deletes a registry with all of its images, without asking; its repositories were deleted before
            now_in(partial(session.part(data_plane).count_beside, ()), at, "registries:delete", force=force)
        session.done(at, "registries:delete", partial(session.client.registries.begin_delete, *session.group))


def _refuse_protected(session: AzureSession, at: Address) -> None:
    """Notes are read anew: a listing that left one out has planned without its repository. Raises PlatformError."""
    found = notes.read(session.scope_maps(at))
    if names := sorted(item.name for item in found if item.protect and item.owner == session.owner):
        raise PlatformError(
            f"it has what is protected: {all_of(names)}",
            address=at,
            operation="registries:delete",
            hint="make a new plan: this one was made without it",
        )


def _with_others(
    session: AzureSession,
    at: Address,
    there: Document,
    given: tuple[ForeignAccess, ...],
    below: Below,
) -> Live:
    """The registry, with the role assignments and tokens that others gave on it, and what else they have in it."""
    live, more = live_of(at, there, session.registry), below.more()
    rest = text({**json.loads(live.rest or "{}"), "below": more}) if more else live.rest
    ours = live.marks.owner == session.owner and not live.marks.elsewhere(session.name)
    own = () if ours else switched_on(session, live)
    return replace(live, foreign=(*own, *given), rest=rest)


#: tags that marks take: owner, origin, applied, registry, adopted, and what is noted of the mode
_MARKS = 6


def _azure(registry: RegistryBase) -> AzureRegistry:
    if not isinstance(registry, AzureRegistry):
        raise TypeError(f"registry {registry.name} is not on Azure")
    return registry


def _below(live: Live | None) -> list[str]:
    """What else others have in it, in words."""
    found: list[str] = json.loads(live.rest or "{}").get("below", []) if live is not None else []
    return found


def _large(live: Live | None) -> list[str]:
    """What somebody else made or set that needs the tier that the registry has, in words: only the largest one has any of it."""
    if live is None or live.settings.sku != "Premium":
        return []
    beside = [item for item in _below(live) if item.startswith((_REPLICATION, CONNECTION))]
    theirs = [f"somebody else's {item}" for item in beside]
    found: list[str] = json.loads(live.rest or "{}").get(network.LARGE, [])
    return [*theirs, *found]
