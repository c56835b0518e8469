"""`reconciler gc`: retention and garbage collection of a local registry."""

from __future__ import annotations

from typing import Annotated

import typer

from .exits import Exit
from .options import DEFAULT_SPEC, Grace, RegistryArgument, SpecOption, registry_session

EXAMPLES = "Examples: reconciler gc --dry-run; reconciler gc sandbox --grace 10m"


def run(
    registry: RegistryArgument = None,
    spec: SpecOption = DEFAULT_SPEC,
    grace: Grace = 3600.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would be removed.")] = False,
) -> int:
    """Remove a local registry's images that retention has ended. What no image needs goes too; safe beside a running server."""
    from reconciler.model.service import collecting

    with registry_session(spec, registry) as session:
        found = collecting(session).collect(grace=grace, dry_run=dry_run)
    would = "would be removed" if dry_run else "removed"
    for item in found:
        if item.trouble:
            typer.echo(f"{item.repository}: {item.trouble}", err=True)
        elif item.repository:
            typer.echo(f"{item.repository}: {len(item.images)} images and {item.blobs} blobs {would}")
            for digest in item.images:
                typer.echo(f"  - {digest}")
        else:
            size = f"{item.size:,} bytes"
            typer.echo(f"content: {item.blobs} blobs and {item.uploads} unfinished uploads {would}, {size}")
    if not found:
        typer.echo("Nothing to remove.")
    return Exit.ERROR if any(item.trouble for item in found) else Exit.OK
