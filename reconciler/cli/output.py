"""`reconciler output`: values for other programs. Reads files only."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from reconciler.errors import ReconcilerError

from .exits import Exit
from .options import DEFAULT_SPEC, SpecArgument

if TYPE_CHECKING:
    from reconciler.model.platform import Output

EXAMPLES = "Examples: reconciler output; reconciler output --format dotenv > images.env"


class OutputFormat(StrEnum):
    """How values are printed."""

    JSON = "json"
    DOTENV = "dotenv"


def run(
    spec: SpecArgument = DEFAULT_SPEC,
    form: Annotated[OutputFormat, typer.Option("--format", help="How the values are printed.")] = OutputFormat.JSON,
) -> int:
    """Print repository URIs and role ARNs."""
    from reconciler.api.spec import load_spec
    from reconciler.engine.expand import platform_of
    from reconciler.platforms.catalog import CATALOG

    loaded = load_spec(spec)
    values = [
        item
        for registry in sorted(loaded.registries, key=lambda item: item.name)
        for item in platform_of(CATALOG, registry.platform).outputs(loaded, registry)
    ]
    if form is OutputFormat.JSON:
        document: dict[str, dict[str, str]] = {}
        for item in values:
            document.setdefault(item.address, {})[item.name] = item.value
        typer.echo(json.dumps(document, indent=2))
    else:
        for name, item in _variables(values).items():
            typer.echo(f"{name}={item.value}")
    return Exit.OK


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
