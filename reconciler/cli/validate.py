"""`reconciler validate`: is the spec right? Reads files only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import typer

from reconciler.words import all_of, counted

from .exits import Exit, told
from .options import DEFAULT_SPEC, SpecArgument

if TYPE_CHECKING:
    from reconciler.spec.models import Spec

EXAMPLES = "Examples: reconciler validate; reconciler validate specs/"
_VALIDATED_ALONE = "this build validates registries on {}, but can't plan or apply them"
EXITS = told(ok="the spec is valid", error="it is not")


def run(spec: SpecArgument = DEFAULT_SPEC) -> int:
    """Check the spec and report every error at once. Each comes with its file, line and column."""
    from reconciler.api.spec import load_spec
    from reconciler.platforms.catalog import CATALOG
    from reconciler.spec.source import name_of

    plannable = set(CATALOG)

    loaded = load_spec(spec)
    for registry in loaded.registries:
        notes = registry.notes(loaded.repositories_by_registry[registry.name])
        unknown = () if registry.platform in plannable else (_VALIDATED_ALONE.format(registry.platform),)
        for note in (*notes, *unknown):
            places = loaded.source(registry.name, getattr(note, "of", "") or None)
            at = "".join(f"{place.at}: " for place in places[-1:])
            typer.echo(f"{at}note: registry {registry.name}: {note}", err=True)
    for note in about_all(loaded):
        typer.echo(f"note: {note}", err=True)
    typer.echo(
        f"{name_of(spec)} is valid: {size(len(loaded.registries), len(loaded.repositories), len(loaded.grants))}."
    )
    return Exit.OK


def about_all(spec: Spec) -> Iterator[str]:
    """What a writer of the spec may not expect of it as a whole, though nothing is wrong with it; each a sentence."""
    from reconciler.spec.registry import NO_REGISTRY

    if not spec.registries:
        yield NO_REGISTRY
    yield from spec.left_out
    for registry in spec.registries:
        grants = sum(1 for grant in spec.grants if grant.registry == registry.name)
        repositories = len(spec.repositories_by_registry[registry.name])
        if registry.retired and (grants or repositories):
            idle = [
                counted(count, word, several)
                for count, word, several in ((repositories, "repository", "repositories"), (grants, "grant", "grants"))
                if count
            ]
            verb = "is" if repositories + grants == 1 else "are"
            yield f"registry {registry.name} is retired, so its {all_of(idle)} {verb} ignored"


def size(registries: int, repositories: int, grants: int) -> str:
    """`1 registry, 2 repositories, 0 grants`."""
    return ", ".join(
        (
            counted(registries, "registry", "registries"),
            counted(repositories, "repository", "repositories"),
            counted(grants, "grant"),
        )
    )
