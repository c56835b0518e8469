"""`reconciler validate`: is the spec right? Reads files only, calls nothing."""

from __future__ import annotations

import typer

from .exits import Exit
from .options import DEFAULT_SPEC, SpecArgument

EXAMPLES = "Examples: reconciler validate; reconciler validate specs/"


def run(spec: SpecArgument = DEFAULT_SPEC) -> int:
    """Check the spec and tell every error at once. Each comes with its file, line and column."""
    from reconciler.api import load_spec

    loaded = load_spec(spec)
    typer.echo(
        f"{spec} is valid: {len(loaded.registries)} registries, {len(loaded.repositories)} repositories,"
        f" {len(loaded.grants)} grants."
    )
    return Exit.OK
