"""`reconciler schema`: the JSON Schemas of specs, of files of a folder of specs or of guards, of plan files and of reviews."""

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
    PART = "part"
    GUARDS = "guards"
    PLAN = "plan"
    REVIEW = "review"


def run(
    document: Annotated[
        Subject, typer.Argument(metavar="DOCUMENT", help="Which schema: spec, part, guards, plan or review.")
    ] = Subject.SPEC,
    write: Annotated[
        Path | None, typer.Option("--write", metavar="FOLDER", help="Write all schemas to this folder instead.")
    ] = None,
) -> int:
    """Print the JSON Schema of specs, plans or reviews. `part` is for each file of a folder of specs, `guards` for a file that
    guards.include names. For editors and other programs."""
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
