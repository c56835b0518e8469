"""What others have in a registry, beside role assignments: it goes with the registry. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reconciler.model.access import ForeignAccess
from reconciler.model.address import Address
from reconciler.model.marks import OWNER, Marks
from reconciler.platforms import described

from . import tags
from .documents import properties
from .spec import AzureRegistry
from .token import MAP_KIND, ScopeMapKind, ScopeMapSettings

Documents = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Below:
    """A registry's scope maps, tokens and replications, as Azure lists them, and its private endpoint connections, which are never
    ours; `owner`: whose the others may be."""

    registry: AzureRegistry
    owner: str
    scope_maps: Documents
    tokens: Documents
    replications: Documents
    connections: Documents = ()

    def access(self, at: Address) -> Iterator[ForeignAccess]:
        """The tokens of others, with what each lets its holder do."""
        for token in sorted(self._their_tokens(), key=lambda item: str(item["name"])):
            actions = properties(self._maps.get(_map_of(token), {})).get("actions") or ()
            holder = Address.of(self.registry.name, MAP_KIND, str(token["name"]).lower())
            access = tuple(ScopeMapKind().access(holder, ScopeMapSettings(tuple(sorted(actions)))))
            removal = f"run `az acr token delete --registry {self.registry.registry_name} --name {token['name']}`"
            yield ForeignAccess(at, f"token {token['name']}", access, removal)

    def more(self) -> list[str]:
        """Their scope maps that no token has, their replications, and the private endpoint connections, in words."""
        used = {_map_of(token) for token in self.tokens}
        maps = (key for key in self._maps.keys() - self._ours - used if not key.startswith("_"))
        away = (item for item in self.replications if _location(item) != self.registry.location)
        theirs = (item for item in away if Marks.of(tags.read(item.get("tags"))).owner != self.owner)
        return [
            *sorted(f"private endpoint connection {item.get('name', '')}" for item in self.connections),
            *(f"scope map {key}" for key in sorted(maps)),
            *sorted(f"replication {str(item.get('name', '')).lower()}" for item in theirs),
        ]

    def _their_tokens(self) -> Iterable[Mapping[str, Any]]:
        # a token is whose the scope map of its name is
        return (item for item in self.tokens if str(item["name"]).lower() not in self._ours)

    @property
    def _maps(self) -> dict[str, Mapping[str, Any]]:
        return {str(item["name"]).lower(): item for item in self.scope_maps}

    @property
    def _ours(self) -> set[str]:
        return {key for key, item in self._maps.items() if _owner(item) == self.owner}


def connections(registry: Mapping[str, Any]) -> Documents:
    """The private endpoint connections of a registry, which stand in its own document."""
    found: Documents = properties(registry).get("privateEndpointConnections") or ()
    return found


def _owner(item: Mapping[str, Any]) -> str | None:
    return described.parsed(str(properties(item).get("description") or "")).texts.get(OWNER)


def _map_of(token: Mapping[str, Any]) -> str:
    return str(properties(token).get("scopeMapId", "")).rpartition("/")[2].lower()


def _location(item: Mapping[str, Any]) -> str:
    return str(item.get("location", "")).lower().replace(" ", "")
