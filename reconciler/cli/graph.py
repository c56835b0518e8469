"""`reconciler graph`: what depends on what. Reads files only."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from .exits import Exit
from .files import spec_or_plan
from .options import DEFAULT_SPEC

EXAMPLES = "Examples: reconciler graph; reconciler graph plan.json --format dot | dot -Tsvg > plan.svg"


class GraphFormat(StrEnum):
    """How a graph is printed."""

    MERMAID = "mermaid"
    DOT = "dot"


def run(
    source: Annotated[
        Path, typer.Argument(metavar="SPEC|PLAN", help="The spec, or a saved plan; - is standard input.")
    ] = DEFAULT_SPEC,
    form: Annotated[GraphFormat, typer.Option("--format", help="The output format.")] = GraphFormat.MERMAID,
) -> int:
    """Print the dependency graph of a spec or a saved plan."""
    from reconciler.engine.plan import Plan
    from reconciler.render import graph

    given = spec_or_plan(source)
    if isinstance(given, Plan):
        nodes = [change.address for change in given.changes]
        edges = list(given.graph)
    else:
        from reconciler.engine.expand import expand
        from reconciler.platforms.catalog import CATALOG

        _, groups = expand(given, CATALOG)
        desired = {address: item for group in groups.values() for address, item in group.items()}
        nodes = list(desired)
        edges = [(need, item.address) for item in desired.values() for need in item.needs if need in desired]
    typer.echo((graph.mermaid if form is GraphFormat.MERMAID else graph.dot)(nodes, edges), nl=False)
    return Exit.OK
