"""`reconciler validate`: is the spec right? Reads files only."""

from __future__ import annotations

import typer

from reconciler.words import counted

from .exits import Exit, told
from .options import DEFAULT_SPEC, SpecArgument

EXAMPLES = "Examples: reconciler validate; reconciler validate specs/"
EXITS = told(ok="the spec is valid", error="it is not")


def run(spec: SpecArgument = DEFAULT_SPEC) -> int:
    """Check the spec and report every error at once. Each comes with its file, line and column."""
    from reconciler.api.spec import load_spec
    from reconciler.spec.source import name_of

    loaded = load_spec(spec)
    for registry in loaded.registries:
        at = "".join(f"{place.at}: " for place in loaded.source(registry.name))
        for note in registry.notes(loaded.repositories_by_registry[registry.name]):
            typer.echo(f"{at}note: registry {registry.name}: {note}", err=True)
    typer.echo(
        f"{name_of(spec)} is valid: {size(len(loaded.registries), len(loaded.repositories), len(loaded.grants))}."
    )
    return Exit.OK


def size(registries: int, repositories: int, grants: int) -> str:
    """`1 registry, 2 repositories, 0 grants`."""
    return ", ".join(
        (
            counted(registries, "registry", "registries"),
            counted(repositories, "repository", "repositories"),
            counted(grants, "grant"),
        )
    )
