"""`reconciler schema`: the JSON Schemas of the spec and of the plan file."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from reconciler.errors import ReconcilerError

from .exits import Exit

EXAMPLES = "Examples: reconciler schema > spec.schema.json; reconciler schema plan; reconciler schema --write schemas"


class Subject(StrEnum):
    """Which document's schema."""

    SPEC = "spec"
    PLAN = "plan"


def run(
    document: Annotated[Subject, typer.Argument(help="Which document.")] = Subject.SPEC,
    write: Annotated[
        Path | None, typer.Option("--write", metavar="FOLDER", help="Write both as files instead.")
    ] = None,
) -> int:
    """Print the JSON Schema of specs or of plans. For editors (`# yaml-language-server: $schema=...`) and for programs."""
    from reconciler.schemas import schema_text

    if write is None:
        typer.echo(schema_text(document.value), nl=False)
        return Exit.OK
    for item in Subject:
        path = write / f"{item.value}.schema.json"
        try:
            write.mkdir(parents=True, exist_ok=True)
            path.write_text(schema_text(item.value), encoding="utf-8")
        except OSError as error:
            raise ReconcilerError(f"{path} can't be written: {error.strerror}") from None
        typer.echo(f"wrote {path}")
    return Exit.OK
