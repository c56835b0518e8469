"""What the shell completes from the spec: registries, repositories, addresses.

Each function returns what fits what was typed so far. Whatever goes wrong (no spec, one that is not valid, a variable that is not
set) is kept silent, since no command was given yet: nothing fits then. No platform is called and no cloud library loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from reconciler.model.address import Address
    from reconciler.platforms.catalog import Spec

Completion = Callable[[typer.Context, str], list[str]]


def _from_spec(find: Callable[[Spec], Iterable[str]]) -> Completion:
    def complete(ctx: typer.Context, incomplete: str) -> list[str]:
        with suppress(Exception):
            return sorted(item for item in find(_spec(ctx)) if item.startswith(incomplete))
        return []

    return complete


def _spec(ctx: typer.Context) -> Spec:
    """The spec that the command line names so far. Raises OSError or ReconcilerError if there is none; standard input is not read."""
    from reconciler.api.spec import load_spec

    path = _path(ctx)
    if not (path.is_file() or path.is_dir()):
        raise FileNotFoundError(path)
    return load_spec(path)


def _path(ctx: typer.Context) -> Path:
    """Where the spec is, as far as the command line says so. Raises StopIteration for a command that takes none."""
    param = next(item for item in ctx.command.params if item.name in ("spec", "source"))
    # an option whose value is being typed ends the parsing, and arguments before it are left over
    if param.param_type_name == "argument" and ctx.args:
        return Path(ctx.args[0])
    return Path(ctx.params[str(param.name)])


def _addresses(spec: Spec) -> Iterable[Address]:
    from reconciler.engine.expand import platform_of
    from reconciler.platforms.catalog import CATALOG

    for registry in spec.registries:
        with suppress(Exception):  # a platform that is not in this build
            yield from (item.address for item in platform_of(CATALOG, registry.platform).expand(spec, registry))


def _local(spec: Spec) -> list[str]:
    return [registry.name for registry in spec.registries if registry.platform == "local"]


#: any registry; one that is served from here; REGISTRY/REPO of those
registries = _from_spec(lambda spec: [registry.name for registry in spec.registries])
local_registries = _from_spec(_local)
local_repositories = _from_spec(
    lambda spec: [f"{item.registry}/{item.name}" for item in spec.repositories if item.registry in _local(spec)]
)
#: any resource's address; a repository's
addresses = _from_spec(_addresses)
repository_addresses = _from_spec(
    lambda spec: (address for address in _addresses(spec) if address.kind == "repository")
)
