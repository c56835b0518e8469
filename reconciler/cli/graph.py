"""`reconciler graph`: what depends on what. Reads files only."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from .exits import Exit
from .options import DEFAULT_SPEC, is_plan_file

EXAMPLES = "Examples: reconciler graph; reconciler graph plan.json --format dot | dot -Tsvg > plan.svg"


class GraphFormat(StrEnum):
    """How a graph is printed."""

    MERMAID = "mermaid"
    DOT = "dot"


def run(
    source: Annotated[Path, typer.Argument(metavar="SPEC|PLAN", help="The spec, or a saved plan.")] = DEFAULT_SPEC,
    form: Annotated[GraphFormat, typer.Option("--format", help="How the graph is printed.")] = GraphFormat.MERMAID,
) -> int:
    """Print what depends on what, in a spec or a saved plan."""
    from reconciler.render import graph

    if is_plan_file(source):
        from reconciler.api.plan_file import read_plan

        plan = read_plan(source)
        nodes = [change.address for change in plan.changes]
        edges = list(plan.graph)
    else:
        from reconciler.api.spec import load_spec
        from reconciler.engine.expand import expand
        from reconciler.platforms.catalog import CATALOG

        _, groups = expand(load_spec(source), CATALOG)
        desired = {address: item for group in groups.values() for address, item in group.items()}
        nodes = list(desired)
        edges = [(need, item.address) for item in desired.values() for need in item.needs if need in desired]
    typer.echo((graph.mermaid if form is GraphFormat.MERMAID else graph.dot)(nodes, edges), nl=False)
    return Exit.OK
