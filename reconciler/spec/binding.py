"""Bindings: one registry of a spec, for a program that runs where there is no spec. Pure.

A binding is JSON without secrets: the registry as the spec writes it, whose it is, and the defaults and guards that hold there.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from reconciler.errors import Problem, SpecError

from .loader import parse_spec
from .models import Spec

#: the format's version, and the key that says it
VERSION, _KEY = 1, "binding"
#: where a program finds the binding of a registry: the registry's name follows, with _ in the place of -
PREFIX = "RECONCILER_REGISTRY_"
S = TypeVar("S", bound=Spec)


@dataclass(frozen=True)
class Binding:
    """One registry, and what holds for its repositories. `base`: the folder that relative paths start from. `known`: values for other
    programs, by address."""

    owner: str
    registry: Mapping[str, Any]
    defaults: Mapping[str, Any] = field(default_factory=dict)
    guards: Mapping[str, Any] = field(default_factory=dict)
    known: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    base: str = "."

    @property
    def name(self) -> str:
        """The registry's name."""
        return str(self.registry.get("name", ""))

    def written(self) -> str:
        """The binding as JSON, in one line."""
        parts = {"owner": self.owner, "registry": self.registry, "defaults": self.defaults, "guards": self.guards}
        return json.dumps(
            {_KEY: VERSION, **{key: value for key, value in {**parts, "known": self.known}.items() if value}}
        )

    def spec(
        self,
        model: type[S],
        repositories: Iterable[Mapping[str, Any]] = (),
        grants: Iterable[Mapping[str, Any]] = (),
    ) -> S:
        """The spec that has the registry alone, with these repositories and grants, of which `registry` need not be said.

        Raises SpecError.
        """
        here = {"registry": self.name}
        document = {
            "version": 1,
            "name": self.owner,
            "defaults": self.defaults,
            "guards": self.guards,
            "registries": [self.registry],
            "repositories": [{**here, **item} for item in repositories],
            "grants": [{**here, **item} for item in grants],
        }
        return parse_spec(json.dumps(document), f"registry {self.name}", {}, self.base, model=model)


def variable(registry: str) -> str:
    """The environment variable that holds the binding of a registry."""
    return PREFIX + registry.upper().replace("-", "_")


def binding_of(spec: Spec, registry: str, known: Mapping[str, Mapping[str, str]] | None = None) -> Binding:
    """The binding of one of a spec's registries."""
    here = next(item for item in spec.registries if item.name == registry)
    row = here.portable(spec.base)
    row.pop("retired", None)
    defaults = spec.defaults.model_dump(mode="json", by_alias=True, exclude_unset=True)
    # what the registry's platform does not have was left out for it when the spec was read, and is left out again
    guards = spec.guards.model_dump(mode="json", by_alias=True, exclude_unset=True)
    guards.pop("include", None)  # what it names is among the others
    return Binding(spec.name, row, defaults, guards, known or {}, spec.base)


def parse_binding(text: str, name: str, model: type[Spec]) -> Binding:
    """A binding's JSON. `name`: where it stands, for errors. Raises SpecError."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise _fault(name, "is no JSON") from None
    if not isinstance(document, dict) or document.get(_KEY) != VERSION:
        raise _fault(name, f"is no binding of version {VERSION}: `reconciler output --format binding` prints one")
    parts = {key: document.get(key, {}) for key in ("registry", "defaults", "guards", "known")}
    unknown = sorted(document.keys() - {_KEY, "owner", *parts})
    if unknown or not all(isinstance(part, dict) for part in parts.values()):
        raise _fault(name, f"has what no binding has: {', '.join(unknown) or 'a part that is no object'}")
    found = Binding(str(document.get("owner", "")), **parts)
    found.spec(model)
    return found


def _fault(name: str, message: str) -> SpecError:
    return SpecError([Problem(name, 1, 1, "", message)])
