"""`reconciler output`: values for other programs. Reads files only."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from reconciler.errors import PlatformError, ReconcilerError
from reconciler.words import did_you_mean

from .completing import registries
from .exits import Exit
from .options import DEFAULT_SPEC, SpecArgument

if TYPE_CHECKING:
    from reconciler.model.platform import Output
    from reconciler.spec.models import Spec
    from reconciler.spec.registry import RegistryBase

EXAMPLES = (
    "Examples: reconciler output; reconciler output --format dotenv > images.env;"
    " reconciler output --format binding --registry images"
)


class OutputFormat(StrEnum):
    """How values are printed."""

    JSON = "json"
    DOTENV = "dotenv"
    BINDING = "binding"


def run(
    spec: SpecArgument = DEFAULT_SPEC,
    form: Annotated[OutputFormat, typer.Option("--format", help="The output format.")] = OutputFormat.JSON,
    registry: Annotated[
        list[str] | None,
        typer.Option(
            "--registry",
            metavar="NAME",
            autocompletion=registries,
            help="Only this registry's values. Repeatable.",
        ),
    ] = None,
) -> int:
    """Print names and URIs of repositories, and role ARNs. With --format binding, print each registry as a variable, for programs
    that run where there is no spec. No secret is among it."""
    from reconciler.api.spec import load_spec
    from reconciler.engine.expand import platform_of
    from reconciler.platforms.catalog import CATALOG
    from reconciler.spec.binding import binding_of, variable

    loaded = load_spec(spec)
    values: list[Output] = []
    missing: list[str] = []
    for here in _chosen(loaded, registry or ()):
        try:
            values += platform_of(CATALOG, here.platform).outputs(loaded, here)
        except PlatformError as error:
            missing.append(f"registry {here.name}: {error}; its values are left out")
    if form is OutputFormat.BINDING:
        for here in _chosen(loaded, registry or ()):
            typer.echo(f"{variable(here.name)}={binding_of(loaded, here.name, _known(values, here)).written()}")
    elif form is OutputFormat.JSON:
        document: dict[str, dict[str, str]] = {}
        for item in values:
            document.setdefault(item.address, {})[item.name] = item.value
        typer.echo(json.dumps(document, indent=2))
    else:
        for name, item in _variables(values).items():
            typer.echo(f"{name}={item.value}")
    for note in dict.fromkeys(item.note for item in values if item.note) if form is not OutputFormat.BINDING else ():
        typer.echo(f"note: {note}", err=True)
    if missing:
        raise ReconcilerError("\n".join(missing))
    return Exit.OK


def _known(values: Iterable[Output], registry: RegistryBase) -> dict[str, dict[str, str]]:
    """What a binding has of a registry beside what the spec says: role ARNs, but nothing of repositories, which come and go."""
    found: dict[str, dict[str, str]] = {}
    for item in values:
        if item.address.registry == registry.name and item.address.kind != "repository":
            found.setdefault(item.address, {})[item.name] = item.value
    return found


def _chosen(spec: Spec, names: Collection[str]) -> list[RegistryBase]:
    """The registries of these names, or all, without those that are retired. Raises ReconcilerError for other names."""
    known = {item.name: item for item in sorted(spec.registries, key=lambda item: item.name)}
    if unknown := sorted(set(names) - known.keys()):
        lines = (f"--registry {name}: the spec has no such registry{did_you_mean(name, known)}" for name in unknown)
        raise ReconcilerError("\n".join(lines))
    return [item for name, item in known.items() if not item.retired and (not names or name in names)]


def _variables(values: Iterable[Output]) -> dict[str, Output]:
    """The values by the variable that each becomes. Raises ReconcilerError if two become the same: whoever reads the file
    would silently get the last one."""
    found: dict[str, Output] = {}
    clashes: list[str] = []
    for item in values:
        name = re.sub(r"[^A-Z0-9]+", "_", f"{item.address}_{item.name}".upper())
        other = found.setdefault(name, item)
        if other is not item:
            clashes.append(f"{other.address} and {item.address} would both be {name}")
    if clashes:
        lines = "\n  ".join(clashes)
        raise ReconcilerError(f"dotenv can't hold these values:\n  {lines}\n  use --format json, which names addresses")
    return found
