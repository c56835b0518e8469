"""Repository-scoped tokens: one scope map and one token for each grant. They work across tenants, and are made without passwords.

https://learn.microsoft.com/azure/container-registry/container-registry-token-based-authentication
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from reconciler.errors import PlatformError
from reconciler.model.access import Access, Given
from reconciler.model.address import Address
from reconciler.model.canonical import applied_hash, text
from reconciler.model.kind import Found, GivesAccess, Home, Kind, Trait, Verb, Write
from reconciler.model.marks import Marks
from reconciler.model.resource import Desired, Live, all_needs
from reconciler.platforms import described
from reconciler.spec.registry import RegistryBase
from reconciler.words import all_of

from . import rules
from .below import below_of
from .documents import properties
from .limits import Estimate
from .reach import changed
from .token_settings import (
    KIND,
    MAP_KIND,
    ScopeMapSettings,
    TokenSettings,
    asked_for,
    enabled_token,
    given,
    has_map,
    held,
    is_enabled,
    is_ours,
    map_of,
    name_of,
)

if TYPE_CHECKING:
    from .session import AzureSession

_TYPES = "Microsoft.ContainerRegistry/registries"
#: an operation is looked at until it is over
_RESULTS = "Microsoft.ContainerRegistry/locations/operationResults/read"


class ScopeMapKind(Kind, GivesAccess):
    """What a grant's token can do."""

    name = MAP_KIND
    settings = ScopeMapSettings
    # one that tokens of others have stays with them
    traits = frozenset({Trait.UPSERTS, Trait.SHARED})
    nothing_else = True
    by = KIND
    after = ("registry",)
    permissions = {
        Verb.LIST: (f"{_TYPES}/scopeMaps/read",),
        Verb.READ: (f"{_TYPES}/scopeMaps/read",),
        Verb.CREATE: (f"{_TYPES}/scopeMaps/write", f"{_TYPES}/scopeMaps/operationStatuses/read"),
        Verb.UPDATE: (f"{_TYPES}/scopeMaps/write", f"{_TYPES}/scopeMaps/operationStatuses/read"),
        Verb.DELETE: (f"{_TYPES}/scopeMaps/delete", f"{_TYPES}/tokens/delete", _RESULTS),
    }

    def shown(self, settings: ScopeMapSettings) -> dict[str, Any]:
        return {"actions": list(settings.actions)}

    def unasked(self, wanted: Desired, registry: RegistryBase) -> str | None:
        return None if asked_for(wanted.settings) else "actions"

    def limit(self, desired: Desired, live: Live | None) -> str | None:
        count = len(desired.settings.actions)
        if count <= rules.MAX_ACTIONS:
            return None
        return (
            f"the scope map of grant {desired.address.name} would have {count} actions; Azure allows at most {rules.MAX_ACTIONS}:"
            " use several grants"
        )

    def access(self, address: Address, settings: ScopeMapSettings) -> Iterable[Access]:
        return given(address, settings, address.name)

    def gains_and_losses(
        self, address: Address, before: Given, after: Given, home: Home
    ) -> tuple[Iterable[Access], Iterable[Access]]:
        """What all repositories are covers each of them. Tokens of others that have the scope map gain and lose with it."""
        # a scope map of ours that goes stays where others have it
        others = before.foreign if after.settings else ()
        tokens = {*filter(None, map(enabled_token, others))} - {address.name}
        then, now = (
            {item for name in tokens for item in given(address, said.settings, name)} if said.settings else set()
            for said in (before, after)
        )
        then |= held(address, before.settings, before.by)
        now |= held(address, after.settings, after.by)
        return changed(then, now)

    def access_by_grant(self, address: Address, settings: ScopeMapSettings) -> Iterable[tuple[str, Access]]:
        return ((address.name, item) for item in self.access(address, settings))

    def list(self, session: AzureSession, wanted: Mapping[Address, Desired], found: Found) -> Iterator[Live]:
        self._refuse_too_many(session, wanted, found)
        if not found["registry"]:
            return
        beneath = below_of(session, session.own_address())
        for live in self.lives(session, session.once("scope maps", lambda: session.scope_maps(session.own_address()))):
            if is_ours(live.marks, session.owner, session.name):
                tokens = session.once("tokens", lambda: session.tokens(session.own_address()))
                yield replace(_beside(live, tokens), foreign=beneath.with_map(live.address))
            elif live.address in wanted:
                # what is nobody's yet is others', and theirs stands with the registry
                others = (item for item in beneath.with_map(live.address) if name_of(item) != live.address.name)
                yield replace(live, notes=tuple(map(has_map, others)))

    def _refuse_too_many(self, session: AzureSession, wanted: Mapping[Address, Desired], found: Found) -> None:
        home = wanted.get(session.own_address())
        if home is None:
            return
        own, live = home.address, next(iter(found["registry"]), None)
        estimate = Estimate(
            session.once("scope maps", lambda: session.scope_maps(own)) if live else (),
            session.once("tokens", lambda: session.tokens(own)) if live else (),
            wanted,
            session.owner,
            session.name,
            live.settings.sku if live else "",
            session.platform.kinds[home.kind].fitted(home, live).settings.sku,
            frozenset(all_needs(session.targeted, wanted)),
        )
        if refusal := estimate.refusal():
            session.refused[refusal[0]] = refusal[1]

    def read(self, session: AzureSession, addresses: Sequence[Address]) -> Iterator[Live]:
        tokens: list[dict[str, Any]] | None = None
        for at in addresses:
            if at.where or at.name.startswith(rules.NOTES) or not rules.may_be_token(at.name):
                continue
            ask = partial(session.client.scope_maps.get, *session.group, at.name)
            found = session.found_plain(at, "scopeMaps:get", ask)
            if found is not None:
                live = _map_live(session, found)
                if is_ours(live.marks, session.owner, session.name):
                    tokens = list(session.tokens(session.own_address())) if tokens is None else tokens
                    live = _beside(live, tokens)
                yield live

    def lives(self, session: AzureSession, items: Iterable[Mapping[str, Any]]) -> Iterator[Live]:
        """The scope maps of grants among all that the registry has: neither Azure's own nor our notes."""
        for item in items:
            if not str(item.get("name", "")).startswith(("_", rules.NOTES)):
                yield _map_live(session, item)

    def create(self, session: AzureSession, write: Write) -> Live:
        at = write.desired.address
        begin = partial(session.client.scope_maps.begin_create, *session.group, at.name, self._body(write))
        return _map_live(session, session.done(at, "scopeMaps:create", begin) or {})

    def update(self, session: AzureSession, write: Write, live: Live) -> Live:
        at = live.address
        begin = partial(session.client.scope_maps.begin_update, *session.group, at.name, self._body(write, live.rest))
        return _map_live(session, session.done(at, "scopeMaps:update", begin) or {})

    def _body(self, write: Write, rest: str = "") -> dict[str, Any]:
        description = described.written(write.marks.texts(), **_of_people(rest))
        return {"properties": {"actions": list(write.desired.settings.actions), "description": description}}

    def note_adopted(self, session: AzureSession, at: Address) -> None:
        """Notes that what goes with a scope map was there before: a token has no place for that. Raises PlatformError."""
        live = self.read_one(session, at)
        if live is not None and not live.marks.adopted:
            texts = replace(live.marks, adopted=True).texts()
            body = {"properties": {"description": described.written(texts, **_of_people(live.rest))}}
            begin = partial(session.client.scope_maps.begin_update, *session.group, at.name, body)
            session.done(at, "scopeMaps:update", begin)

    def remarks_gone(self, live: Live) -> Iterable[str]:
        if live.foreign:
            yield f"it stays, and is nobody's: {all_of([item.what for item in live.foreign])} of somebody else has it"

    def delete(self, session: AzureSession, live: Live, *, force: bool) -> None:
        """With its token: Azure keeps a scope map that a token has. One that tokens of others have is let go."""
        at = live.address
        session.done(at, "tokens:delete", partial(session.client.tokens.begin_delete, *session.group, at.name))
        users = _having(session, at.name)
        if at.name in users:  # without the scope map's marks it would be nobody's, and go on working
            raise PlatformError(
                "its token is still there, although Azure said that it was deleted",
                address=at,
                operation="tokens:delete",
                hint="run again: both are deleted then",
            )
        if users:
            kept = _of_people(live.rest)
            body = {"properties": {"description": f"{kept.get('before', '')}{kept.get('behind', '')}"}}
            update = partial(session.client.scope_maps.begin_update, *session.group, at.name, body)
            session.done(at, "scopeMaps:update", update)
        else:
            session.done(
                at, "scopeMaps:delete", partial(session.client.scope_maps.begin_delete, *session.group, at.name)
            )


class _Unseen(PlatformError):
    """What was made is not seen."""


class TokenKind(Kind, GivesAccess):
    """The token of a grant. It has no place for a mark: whose its scope map is, it is."""

    name = KIND
    said = frozenset()
    settings = TokenSettings
    traits = frozenset({Trait.INHERITS, Trait.UPSERTS})
    by = MAP_KIND
    after = ("registry", MAP_KIND)
    permissions = {
        Verb.LIST: (f"{_TYPES}/tokens/read",),
        Verb.READ: (f"{_TYPES}/tokens/read",),
        Verb.CREATE: (f"{_TYPES}/tokens/write", f"{_TYPES}/tokens/operationStatuses/read"),
        Verb.UPDATE: (f"{_TYPES}/tokens/write", f"{_TYPES}/tokens/operationStatuses/read"),
        Verb.DELETE: (f"{_TYPES}/tokens/delete", _RESULTS),
    }

    def shown(self, settings: TokenSettings) -> dict[str, Any]:
        return {"scope_map": settings.scope_map, "enabled": settings.enabled}

    def usual(self, address: Address, home: Home) -> dict[str, Any]:
        return self.shown(TokenSettings(address.name))

    def access(self, address: Address, settings: TokenSettings) -> Iterable[Access]:
        """What its holder can do by a scope map of somebody else: its own says the rest."""
        return held(address, None, settings)

    def gains_and_losses(
        self, address: Address, before: Given, after: Given, home: Home
    ) -> tuple[Iterable[Access], Iterable[Access]]:
        """What its holder can do; where its own scope map changes too, that says it."""
        if before.by != after.by:
            return (), ()
        return changed(held(address, before.by, before.settings), held(address, after.by, after.settings))

    def altered(self, settings: TokenSettings) -> str | None:
        return None if settings.enabled else "enabled"

    def unasked(self, wanted: Desired, registry: Any) -> str | None:
        return None if wanted.settings.scope_map == wanted.address.name else "scope_map"

    def list(self, session: AzureSession, wanted: Mapping[Address, Desired], found: Found) -> Iterator[Live]:
        maps = {live.address.name: live for live in found[MAP_KIND]}
        if not found["registry"]:
            return
        listed = session.once("scope maps", lambda: session.scope_maps(session.own_address()))
        allowed = {str(item.get("name", "")).lower(): item for item in listed}
        for item in session.once("tokens", lambda: session.tokens(session.own_address())):
            live = _token_live(session, item, maps, allowed)
            if live.marks.owner is not None or live.address in wanted:
                yield live

    def read(self, session: AzureSession, addresses: Sequence[Address]) -> Iterator[Live]:
        for at in addresses:
            if at.where or not rules.may_be_token(at.name):
                continue
            found = session.found_plain(at, "tokens:get", partial(session.client.tokens.get, *session.group, at.name))
            if found is None:
                continue
            home = Address.of(at.registry, MAP_KIND, at.name)
            above = ScopeMapKind().read_one(session, home)
            name = map_of(found)
            ask = partial(session.client.scope_maps.get, *session.group, name)
            other = session.found_plain(at, "scopeMaps:get", ask) if name not in ("", at.name) else None
            maps = {at.name: above} if above is not None else {}
            yield _token_live(session, found, maps, {name: other} if other is not None else {})

    def create(self, session: AzureSession, write: Write) -> Live:
        """A PUT, without passwords: they come from `reconciler credentials` alone."""
        at = write.desired.address
        body = {"properties": {"scopeMapId": self._map(session, write), "status": "enabled"}}
        begin = partial(session.client.tokens.begin_create, *session.group, at.name, body)
        return self._written(session, at, session.done(at, "tokens:create", begin) or {})

    def update(self, session: AzureSession, write: Write, live: Live) -> Live:
        """A PATCH: a PUT would take its passwords away (https://github.com/Azure/acr/issues/667)."""
        at = live.address
        if write.marks.adopted:
            ScopeMapKind().note_adopted(session, Address.of(at.registry, MAP_KIND, at.name))
        body = {"properties": {"scopeMapId": self._map(session, write), "status": "enabled"}}
        begin = partial(session.client.tokens.begin_update, *session.group, at.name, body)
        return self._written(session, at, session.done(at, "tokens:update", begin) or {})

    def _map(self, session: AzureSession, write: Write) -> str:
        return f"{session.registry.resource}/scopeMaps/{write.desired.settings.scope_map}"

    def _written(self, session: AzureSession, at: Address, found: Mapping[str, Any]) -> Live:
        """A token as the write has answered it, with its scope map, which says whose it is."""

        def above() -> Live:
            live = ScopeMapKind().read_one(session, Address.of(at.registry, MAP_KIND, at.name))
            if live is None:
                raise _Unseen("its scope map is not there", address=at, hint="run again; changes already made are kept")
            return live

        # one that was just made may not be seen yet: https://github.com/hashicorp/terraform-provider-azurerm/issues/32935
        found_above = session.patiently(above, lambda error: isinstance(error, _Unseen), session.behind)
        return _token_live(session, found, {at.name: found_above}, {})

    def delete(self, session: AzureSession, live: Live, *, force: bool) -> None:
        begin = partial(session.client.tokens.begin_delete, *session.group, live.address.name)
        session.done(live.address, "tokens:delete", begin)


def _having(session: AzureSession, name: str) -> set[str]:
    """The names of the tokens that have a scope map, each asked for itself, since a list may still have what is gone
    (https://github.com/Azure/ARO-HCP/pull/2585). Raises PlatformError."""
    found: set[str] = set()
    for item in session.tokens(session.own_address()):
        token = str(item.get("name", "")).lower()
        if map_of(item) == name:
            ask = partial(session.client.tokens.get, *session.group, token)
            there = session.found_plain(session.own_address(), "tokens:get", ask)
            found.update({token} if there is not None and map_of(there) == name else ())
    return found


def _map_live(session: AzureSession, found: Mapping[str, Any]) -> Live:
    said = properties(found)
    description = described.parsed(str(said.get("description") or ""), lambda key, _: described.is_mark(key))
    return Live(
        address=Address.of(session.name, MAP_KIND, str(found.get("name", "")).lower()),
        kind=MAP_KIND,
        settings=ScopeMapSettings(tuple(sorted(said.get("actions") or ()))),
        marks=Marks.of(description.texts),
        native=str(found.get("id", "")),
        needs=(session.own_address(),),
        rest=text(description.of_people) if description.of_people else "",
    )


#: in what others keep: the tokens of others that have the scope map, which gain and lose with it
_TOKENS = "tokens"


def _beside(live: Live, tokens: Iterable[Mapping[str, Any]]) -> Live:
    """The scope map with the names of the tokens that have it beside its own, so that a plan is stale once there are others."""
    names = {str(item.get("name", "")).lower() for item in tokens if map_of(item) == live.address.name}
    if not (theirs := sorted(names - {live.address.name})):
        return live
    return replace(live, rest=text({**_of_people(live.rest), _TOKENS: theirs}))


def _of_people(rest: str) -> dict[str, str]:
    """What people wrote in the description."""
    found: dict[str, str] = json.loads(rest or "{}")
    return {key: value for key, value in found.items() if key != _TOKENS}


def _token_live(
    session: AzureSession,
    found: Mapping[str, Any],
    maps: Mapping[str, Live],
    allowed: Mapping[str, Mapping[str, Any]],
) -> Live:
    """A token as Azure answers it. `maps`: scope maps with the names of tokens; `allowed`: those that tokens have."""
    name, scope_map = str(found.get("name", "")).lower(), map_of(found)
    above = maps.get(name)
    actions = () if scope_map == name else properties(allowed.get(scope_map, {})).get("actions") or ()
    settings = TokenSettings(scope_map, is_enabled(found), tuple(sorted(actions)))
    ours = above is not None and above.marks.owner is not None
    marks = Marks(
        above.marks.owner if above is not None and ours else None,
        above.marks.origin if above is not None and ours else None,
        _applied(settings) if ours else None,
        above.marks.registry if above is not None and ours else None,
    )
    home = Address.of(session.name, MAP_KIND, name)
    return Live(
        address=Address.of(session.name, KIND, name),
        kind=KIND,
        settings=settings,
        marks=marks,
        native=str(found.get("id", "")),
        needs=(home,),
        parent=home,
    )


def _applied(settings: TokenSettings) -> str:
    """What was applied: a token that is switched off was not."""
    return applied_hash(TokenSettings(settings.scope_map))
