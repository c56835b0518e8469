"""Where a program's registry is: in a spec, or in a binding."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from reconciler.api.spec import load_spec
from reconciler.engine.sessions import registry_name
from reconciler.errors import RegistryNotFound
from reconciler.platforms.catalog import Spec
from reconciler.spec.binding import Binding, binding_of, parse_binding, variable

#: what says where the spec is, where nothing else does
SPEC, _USUAL = "RECONCILER_SPEC", "registry.yaml"


def registry_found(
    name: str | None, spec: str | Path | Spec | None = None, environ: Mapping[str, str] | None = None
) -> Binding:
    """The binding of a registry: of `spec`, if it is given; else by the environment's binding of that name, its RECONCILER_SPEC, or
    the registry.yaml of the folder. The name is not needed where there is only one.

    Raises RegistryNotFound, and SpecError for a spec or a binding that is not valid.
    """
    environ = os.environ if environ is None else environ
    if spec is None and name is not None and (text := environ.get(variable(name))):
        found = parse_binding(text, f"${variable(name)}", Spec)
        if found.name != name:
            raise RegistryNotFound(f"${variable(name)} is the binding of registry {found.name!r}, and not of {name!r}")
        return found
    if spec is None:
        spec = environ.get(SPEC) or _USUAL
        if not Path(spec).exists():
            wanted = f"registry {name!r}" if name is not None else "a registry"
            binding = f"set ${variable(name)} to what `reconciler output --format binding` prints, " if name else ""
            raise RegistryNotFound(
                f"nothing says where {wanted} is: there is no {spec}; {binding}set ${SPEC} to the path of a spec, or pass spec=..."
            )
    if not isinstance(spec, Spec):
        spec = load_spec(spec, environ)
    return binding_of(spec, registry_name(spec, name))
