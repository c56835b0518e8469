"""What others have in a registry, beside role assignments: it goes with the registry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from reconciler.model.access import ForeignAccess
from reconciler.model.address import Address
from reconciler.model.marks import Marks

from . import rules, tags, token_settings
from .documents import properties
from .spec import AzureRegistry

if TYPE_CHECKING:
    from .session import AzureSession

Documents = Sequence[Mapping[str, Any]]
#: what begins a private endpoint connection's words
CONNECTION = "private endpoint connection "


@dataclass(frozen=True)
class Below:
    """A registry's scope maps, tokens and replications, as Azure lists them, and its private endpoint connections, which are never
    ours; `owner`: whose the others may be."""

    registry: AzureRegistry
    owner: str
    scope_maps: Documents
    tokens: Documents
    replications: Documents
    connections: Documents = ()

    def access(self, at: Address, *, every: bool = False) -> Iterator[ForeignAccess]:
        """The tokens of others, with what each lets its holder do; those with a scope map of ours stand with that, and are here with
        `every`."""
        for item in sorted(self.tokens, key=lambda item: str(item["name"])):
            name = str(item["name"]).lower()
            # a token is whose the scope map of its name is
            if name not in self._ours and (every or token_settings.map_of(item) not in self._ours):
                actions = properties(self._maps.get(token_settings.map_of(item), {})).get("actions") or ()
                found = token_settings.of_others(at, item, actions, self.registry.registry_name)
                nobodys = self._marks.get(name, Marks()).owner in (None, self.owner)
                scope_map = token_settings.map_of(item)
                nobodys_map = rules.may_be_token(scope_map) and self._marks.get(scope_map, Marks()).owner is None
                yield replace(
                    found,
                    place=Address.of(self.registry.name, token_settings.KIND, name) if nobodys else None,
                    through=Address.of(self.registry.name, token_settings.MAP_KIND, scope_map) if nobodys_map else None,
                )

    def with_map(self, at: Address) -> tuple[ForeignAccess, ...]:
        """The tokens of others that have the scope map at an address."""
        actions = properties(self._maps.get(at.name, {})).get("actions") or ()
        here = self.registry.registry_name
        return tuple(
            token_settings.of_others(at, item, actions, here)
            for item in sorted(self.tokens, key=lambda item: str(item["name"]))
            if token_settings.map_of(item) == at.name and str(item["name"]).lower() not in self._ours
        )

    def more(self) -> list[str]:
        """Their scope maps that no token has, their replications, and the private endpoint connections, in words."""
        used = {token_settings.map_of(item) for item in self.tokens}
        named = (key for key in self._maps if not key.startswith("_") and not self._is_note(key))
        maps = set(named) - self._ours - used
        away = (item for item in self.replications if _location(item) != self.registry.location)
        theirs = (item for item in away if not self._is_ours(Marks.of(tags.read(item.get("tags")))))
        return [
            *sorted(f"{CONNECTION}{item.get('name', '')}" for item in self.connections),
            *(f"scope map {key}" for key in sorted(maps)),
            *sorted(f"replication {str(item.get('name', '')).lower()}" for item in theirs),
        ]

    @cached_property
    def _maps(self) -> dict[str, Mapping[str, Any]]:
        return {str(item["name"]).lower(): item for item in self.scope_maps}

    @cached_property
    def _marks(self) -> dict[str, Marks]:
        return {key: token_settings.marks_of(item) for key, item in self._maps.items()}

    @cached_property
    def _ours(self) -> set[str]:
        """The scope maps of our grants: what has the name of one of our notes is no token's."""
        return {key for key, found in self._marks.items() if not key.startswith(rules.NOTES) and self._is_ours(found)}

    def _is_ours(self, marks: Marks) -> bool:
        return token_settings.is_ours(marks, self.owner, self.registry.name)

    def _is_note(self, key: str) -> bool:
        return key.startswith(rules.NOTES) and self._marks[key].owner == self.owner


def _location(item: Mapping[str, Any]) -> str:
    return str(item.get("location", "")).lower().replace(" ", "")


def below_of(session: AzureSession, at: Address) -> Below:
    """What there is in the registry, read once in a listing. `at`: its address. Raises PlatformError."""
    there = session.once("registry", lambda: session.acr(at))
    return Below(
        session.registry,
        session.owner,
        session.once("scope maps", lambda: session.scope_maps(at)),
        session.once("tokens", lambda: session.tokens(at)),
        session.once("replications", lambda: session.replications(at)),
        connections_of(there or {}),
    )


def connections_of(there: Mapping[str, Any]) -> Documents:
    """The private endpoint connections of a registry, as Azure answers that."""
    found: Documents = properties(there).get("privateEndpointConnections") or ()
    return found
