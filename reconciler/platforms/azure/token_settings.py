"""What scope maps and tokens say, and whose they are. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from reconciler.model.access import DELETE_IMAGES, PUSH, Access, ForeignAccess, Principal
from reconciler.model.address import Address
from reconciler.model.canonical import plain
from reconciler.model.marks import Marks
from reconciler.platforms import described
from reconciler.spec.fields import REPOSITORY
from reconciler.spec.models import Grant

from .documents import properties
from .reach import reached

MAP_KIND, KIND = "scope-map", "token"
#: what the permissions are as actions of a scope map (same page)
PULL = ("content/read", "metadata/read")
ACTIONS: Mapping[str, tuple[str, ...]] = {
    "pull": PULL,
    "push-pull": ("content/read", "content/write", "metadata/read", "metadata/write"),
}
_ACTION = re.compile(r"repositories/(?P<name>.+)/(?P<verb>(?:content|metadata)/[a-z]+)")
#: what holders of a token can do by the actions that end so
_RIGHTS: Mapping[str, str] = {"/content/read": "pull", "/content/write": PUSH, "/content/delete": DELETE_IMAGES}
_DISABLED = ", which is disabled"


@dataclass(frozen=True, slots=True)
class ScopeMapSettings:
    """What whoever has the grant's token can do, as the actions of a scope map, sorted."""

    actions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TokenSettings:
    """The scope map that the token has, by its name, and whether it is good. `actions`: what that allows, if it is not its own."""

    scope_map: str
    enabled: bool = True
    actions: tuple[str, ...] = field(default=(), compare=False)

    def as_v1(self) -> dict[str, Any]:
        """What the mark is a hash of."""
        found: dict[str, Any] = plain(replace(self, actions=()))
        return found


def asked_for(settings: ScopeMapSettings) -> bool:
    """Whether a spec asks for such actions: of each repository, all that a permission has."""
    found: dict[str, set[str]] = {}
    for action in settings.actions:
        match = _ACTION.fullmatch(action)
        if match is None or not REPOSITORY.fits(match["name"]):
            return False
        found.setdefault(match["name"], set()).add(match["verb"])
    return all(verbs in map(set, ACTIONS.values()) for verbs in found.values())


def of_others(at: Address, found: Mapping[str, Any], actions: Iterable[str], registry: str) -> ForeignAccess:
    """A token of others, as Azure answers it, with what it lets its holder do by these actions: nothing while it is disabled. `at`:
    what goes with it; `registry`: the registry's own name."""
    name = str(found.get("name", ""))
    removal = f"run `az acr token delete --registry {registry} --name {name}`"
    if not is_enabled(found):
        return ForeignAccess(at, f"token {name}{_DISABLED}", (), removal)
    access = tuple(given(at, ScopeMapSettings(tuple(sorted(actions))), name.lower()))
    return ForeignAccess(at, f"token {name}", access, removal)


def given(address: Address, settings: ScopeMapSettings, token: str) -> Iterator[Access]:
    """What whoever holds a token can do that has this scope map."""
    who = Principal(f"whoever holds token {token}")
    for right, verb in _RIGHTS.items():
        found = [item.removesuffix(right) for item in settings.actions if item.endswith(right)]
        names = [item.removeprefix("repositories/") for item in found]
        # `*` stands for every name, and at the end, after a slash, for all that begins so
        prefixes = [item.removesuffix("*") for item in names if item == "*" or item.endswith("/*")]
        exact = [item for item in names if item.removesuffix("*") not in prefixes]
        yield from reached(who, verb, address.registry, names=exact, prefixes=prefixes)


def held(at: Address, scope_map: ScopeMapSettings | None, token: TokenSettings | None) -> set[Access]:
    """What whoever holds the token of a grant can do: nothing where there is none, or it is disabled. `scope_map`: the grant's own,
    None if it is not there; `at`: the address of either."""
    if token is None or not token.enabled:
        return set()
    if token.scope_map == at.name:
        return set(given(at, scope_map, at.name)) if scope_map is not None else set()
    if token.actions:
        return set(given(at, ScopeMapSettings(token.actions), at.name))
    who = Principal(f"whoever holds token {at.name}")
    return {Access(who, f"do what scope map {token.scope_map} allows", at.registry, "")}


def enabled_token(item: ForeignAccess) -> str:
    """The name of a token of others in small letters; "" of one that is disabled."""
    return "" if item.what.endswith(_DISABLED) else name_of(item)


def name_of(item: ForeignAccess) -> str:
    """The name of a token of others in small letters."""
    return item.what.removeprefix("token ").removesuffix(_DISABLED).lower()


def has_map(item: ForeignAccess) -> str:
    """That a token of others has a scope map that is to be adopted, as a sentence without its end."""
    if item.what.endswith(_DISABLED):
        name = item.what.removesuffix(_DISABLED)
        return f"{name} of somebody else, which is disabled, has this scope map, and what it allows once it is enabled"
    return f"{item.what} of somebody else has this scope map, and gains and loses with it"


def is_enabled(found: Mapping[str, Any]) -> bool:
    """Whether a token is good."""
    return str(properties(found).get("status", "enabled")) != "disabled"


def marks_of(found: Mapping[str, Any]) -> Marks:
    """The marks of a scope map, as Azure answers it."""
    return Marks.of(described.parsed(str(properties(found).get("description") or "")).texts)


def is_ours(marks: Marks, owner: str, registry: str) -> bool:
    """Whether what has these marks is something that a plan of this registry manages, or deletes if the spec does not have it."""
    return (marks.owner, marks.origin) == (owner, "spec") and not marks.elsewhere(registry)


def actions_of(grant: Grant, names: Sequence[str]) -> tuple[str, ...]:
    """What a grant gives, as actions."""
    return tuple(sorted(f"repositories/{name}/{verb}" for name in names for verb in ACTIONS[grant.permission]))


def map_of(found: Mapping[str, Any]) -> str:
    """The name of a token's scope map, in small letters."""
    return str(properties(found).get("scopeMapId", "")).rpartition("/")[2].lower()
