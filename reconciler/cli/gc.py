"""`reconciler gc`: retention and garbage collection of a local registry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from .exits import Exit
from .options import DEFAULT_SPEC, Grace, RegistryArgument, SpecOption, local_session

if TYPE_CHECKING:
    from reconciler.model.service import Collected

EXAMPLES = "Examples: reconciler gc --dry-run; reconciler gc sandbox --grace 10m"


def run(
    registry: RegistryArgument = None,
    spec: SpecOption = DEFAULT_SPEC,
    grace: Grace = 3600.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be removed.")] = False,
) -> int:
    """Remove what retention drops, and unused blobs. For local registries; safe while they are served."""
    from reconciler.model.service import collecting

    with local_session(spec, registry, "images can only be removed from local registries") as session:
        found = collecting(session).collect(grace=grace, dry_run=dry_run)
    would = "would be removed" if dry_run else "removed"
    for item in found:
        typer.echo(line(item, would), err=bool(item.trouble))
        for name in item.names():
            typer.echo(f"  - {name}")
    if not found:
        typer.echo("Nothing to remove.")
    return Exit.ERROR if any(item.trouble for item in found) else Exit.OK


def line(item: Collected, would: str) -> str:
    """How much of a repository, or of the registry's content, is removed."""
    return item.said(would)
