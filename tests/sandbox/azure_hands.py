"""What hands can do on Azure to what is ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from tests.emulators.azure.state import Registry, Resource

from .base import Document, Hand

if TYPE_CHECKING:
    from .azure import AzureSandbox

#: without these a thing is nobody's and asks to be adopted; with another of the latter it is another's
_OWNER = "reconciler-owner"
_WHOSE = (_OWNER, "reconciler-origin", "reconciler-registry")
_STALE = "v1-0000000000000000"
_OTHER_CONDITION = (
    "((!(ActionMatches{'Microsoft.ContainerRegistry/registries/repositories/content/read'})) OR"
    " (@Request[Microsoft.ContainerRegistry/registries/repositories:name] StringEqualsIgnoreCase 'by-hand'))"
)


class Hands:
    """What hands can do now. Each name is of one hand, and the same in the same estate."""

    def __init__(self, sandbox: AzureSandbox) -> None:
        self._sandbox = sandbox
        self._cloud = sandbox.cloud

    def all(self) -> list[Hand]:
        """Changes of what is ours, which are healed."""
        hands: list[Hand] = []
        for name, item in sorted(self._cloud.registries.items()):
            hands += self._registry(name, item)
            hands += self._replications(name, item)
            hands += self._scope_maps(name, item)
            hands += self._tokens(name, item)
        for identity in sorted(self._cloud.identities.values(), key=lambda item: item.name):
            hands.append((f"delete identity {identity.name}", partial(self._without_identity, identity.name)))
            hands += self._tags(f"identity {identity.name}", partial(self._identity, identity.name))
        hands += self._assignments()
        return hands

    def _identity(self, name: str) -> Resource:
        return next(item for item in self._sandbox.cloud.identities.values() if item.name == name)

    def _without_identity(self, name: str) -> None:
        (key,) = [key for key, item in self._sandbox.cloud.identities.items() if item.name == name]
        del self._sandbox.cloud.identities[key]

    def _call(self, method: str, path: str, body: Document | None = None) -> Callable[[], object]:
        return partial(self._sandbox.call, method, path, body)

    def _registry(self, name: str, item: Registry) -> Iterator[Hand]:
        yield from self._tags(f"registry {name}", partial(self._cloud.registries.__getitem__, name))
        said = item.properties

        def set_to(**properties: object) -> Callable[[], object]:
            return self._call("PATCH", item.id, {"properties": properties})

        yield f"admin user of {name}", set_to(adminUserEnabled=True)
        if item.sku != "Basic":
            yield f"anonymous pull of {name}", set_to(anonymousPullEnabled=True)
        if item.sku == "Premium":
            other = "Disabled" if said.get("publicNetworkAccess") != "Disabled" else "Enabled"
            yield f"network of {name}", set_to(publicNetworkAccess=other)
            policy = {"status": "enabled", "days": 99}
            yield f"retention of {name}", set_to(policies={"retentionPolicy": policy})
        mode = "LegacyRegistryPermissions" if item.abac else "AbacRepositoryPermissions"
        yield f"mode of {name}", set_to(roleAssignmentMode=mode)

    def _tags(self, what: str, item: Callable[[], Resource]) -> Iterator[Hand]:
        for key in sorted(item().tags):
            if key not in _WHOSE:
                yield f"untag {key} of {what}", partial(_untag, item, key)
                value = _STALE if "applied" in key else "by hand"
                yield f"retag {key} of {what}", partial(_retag, item, key, value)

    def _replications(self, name: str, item: Registry) -> Iterator[Hand]:
        for location, found in sorted(item.replications.items()):
            if location == item.location:
                continue
            what = f"replication {location} of {name}"
            yield f"delete {what}", partial(self._delete, name, "replications", location)
            yield f"stop {what}", self._call("PATCH", found.id, {"properties": {"regionEndpointEnabled": False}})
            yield from self._tags(what, partial(self._child, name, "replications", location))

    def _child(self, name: str, kind: str, key: str) -> Resource:
        """What a registry has now."""
        found: Resource = getattr(self._cloud.registries[name], kind)[key]
        return found

    def _properties(self, name: str, kind: str, key: str) -> Document:
        return self._child(name, kind, key).properties

    def _delete(self, name: str, kind: str, key: str) -> None:
        del getattr(self._cloud.registries[name], kind)[key]

    def _scope_maps(self, name: str, item: Registry) -> Iterator[Hand]:
        for key, found in sorted(item.scope_maps.items()):
            if key.startswith("_"):
                continue
            properties = partial(self._properties, name, "scope_maps", key)
            what, actions = f"scope map {key} of {name}", found.properties["actions"]
            if key.startswith("reconciler-"):
                yield f"delete {what}", partial(self._delete, name, "scope_maps", key)
                if len(actions) > 1:
                    yield f"forget one of {what}", partial(_set, properties, "actions", actions[1:])
            else:
                more = ["repositories/by-hand/content/read", *actions]
                yield f"widen {what}", partial(_set, properties, "actions", more)
                yield f"narrow {what}", partial(_set, properties, "actions", actions[:1])
                yield f"forget what was applied of {what}", partial(_without_mark, properties)

    def _tokens(self, name: str, item: Registry) -> Iterator[Hand]:
        for key in sorted(item.tokens):
            properties = partial(self._properties, name, "tokens", key)
            what = f"token {key} of {name}"
            yield f"delete {what}", partial(self._delete, name, "tokens", key)
            yield f"disable {what}", partial(_set, properties, "status", "disabled")
            admin = f"{item.id}/scopeMaps/_repositories_admin"
            yield f"give {what} everything", partial(_set, properties, "scopeMapId", admin)

    def _assignments(self) -> Iterator[Hand]:
        jobs = {item.properties["principalId"]: item.name for item in self._cloud.identities.values()}
        for found in sorted(self._cloud.assignments.values(), key=lambda item: item.name):
            if _OWNER not in str(found.properties["description"]):
                continue
            whose = jobs.get(found.principal, found.principal)
            properties = partial(self._assignment, found.role, whose, found.scope)
            what = f"assignment of {found.role} to {whose} on {found.scope.rpartition('/')[2]}"
            yield f"delete {what}", partial(self._without_assignment, found.role, whose, found.scope)
            yield f"forget what was applied of {what}", partial(_without_mark, properties)
            if found.properties["condition"]:
                yield f"other condition of {what}", partial(_set, properties, "condition", _OTHER_CONDITION)
                yield f"no condition of {what}", partial(_set, properties, "condition", None)

    def _key(self, role: str, whose: str, scope: str) -> str:
        """The key of an assignment as it is now: that of an identity has another one once the identity was made anew."""
        jobs = {item.properties["principalId"]: item.name for item in self._cloud.identities.values()}
        return next(
            key
            for key, item in self._cloud.assignments.items()
            if (item.role, jobs.get(item.principal, item.principal), item.scope) == (role, whose, scope)
        )

    def _assignment(self, role: str, whose: str, scope: str) -> Document:
        return self._cloud.assignments[self._key(role, whose, scope)].properties

    def _without_assignment(self, role: str, whose: str, scope: str) -> None:
        del self._cloud.assignments[self._key(role, whose, scope)]


def _untag(item: Callable[[], Resource], key: str) -> None:
    del item().tags[key]


def _retag(item: Callable[[], Resource], key: str, value: str) -> None:
    item().tags[key] = value


def _set(properties: Callable[[], Document], key: str, value: object) -> None:
    properties()[key] = value


def _without_mark(properties: Callable[[], Document]) -> None:
    words = str(properties()["description"]).split()
    kept = [word for word in words if not word.startswith("applied=")]
    assert kept != words, words
    properties()["description"] = " ".join(kept)
