"""`reconciler repository`: repositories that scripts make, beside those of the spec."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from reconciler.errors import ReconcilerError
from reconciler.words import duration

from .exits import Exit
from .options import DEFAULT_SPEC, SpecOption, Verbose, log_calls

if TYPE_CHECKING:
    from reconciler.sdk.registry import Repository

EXAMPLES = (
    "Examples: reconciler repository create images/my-app; reconciler repository list images;"
    " reconciler repository list images --origin runtime --format json; reconciler repository delete images/my-app"
)


class Act(StrEnum):
    """What is done."""

    CREATE = "create"
    LIST = "list"
    DELETE = "delete"


class Origin(StrEnum):
    """What made a repository."""

    SPEC = "spec"
    RUNTIME = "runtime"


class ListFormat(StrEnum):
    """How repositories are printed."""

    TEXT = "text"
    JSON = "json"


def run(
    act: Annotated[Act, typer.Argument(metavar="create|list|delete", help="What to do.")],
    where: Annotated[str, typer.Argument(metavar="REGISTRY[/REPO]", help="The registry, and the repository.")],
    spec: SpecOption = DEFAULT_SPEC,
    force: Annotated[
        bool, typer.Option("--force", help="delete: also what it holds, and what others gave on it.")
    ] = False,
    origin: Annotated[
        Origin | None, typer.Option("--origin", help="list: only those of the spec, or those made at run time.")
    ] = None,
    form: Annotated[ListFormat, typer.Option("--format", help="list, create: the output format.")] = ListFormat.TEXT,
    verbose: Verbose = 0,
) -> int:
    """Create, list or delete repositories at run time. They take the defaults and guards of the spec; plan and apply list them and
    leave them as they are."""
    from reconciler.sdk.registry import artifact_registry

    log_calls(verbose)
    name, slash, repository = where.partition("/")
    if act is Act.LIST and slash:
        raise ReconcilerError(f"list takes a registry, and not {where!r}")
    if act is not Act.LIST and not repository:
        raise ReconcilerError(f"{where!r} is not REGISTRY/REPOSITORY, such as images/my-app")
    with artifact_registry(name, spec=spec if str(spec) != str(DEFAULT_SPEC) else None) as registry:
        if act is Act.DELETE:
            registry.delete_repository(repository, force=force)
            typer.echo(f"{where} deleted")
            return Exit.OK
        if act is Act.CREATE:
            found = [registry.create_repository(repository)]
        else:
            found = [item for item in registry.list_repositories() if origin in (None, item.origin)]
    if form is ListFormat.JSON:
        typer.echo(json.dumps([_fields(item) for item in found], indent=2))
    else:
        widths = [
            max(map(len, column), default=0) for column in zip(*((item.name, item.uri) for item in found), strict=True)
        ]
        for item in found:
            typer.echo(f"{item.name:<{widths[0]}}  {item.uri:<{widths[1]}}  {_age(item)}")
    return Exit.OK


def _fields(item: Repository) -> dict[str, str | None]:
    made = item.created_at.isoformat().replace("+00:00", "Z") if item.created_at else None
    return {
        "name": item.name,
        "native_name": item.native_name,
        "uri": item.uri,
        "created_at": made,
        "origin": item.origin,
    }


def _age(item: Repository) -> str:
    """What made a repository, and how long ago."""
    from datetime import UTC, datetime

    by = "of the spec" if item.origin == Origin.SPEC else "made at run time"
    if item.created_at is None:
        return by
    seconds = (datetime.now(UTC) - item.created_at).total_seconds()
    for unit in (86_400.0, 3600.0, 60.0):
        if seconds >= 2 * unit:
            whole = int(seconds // unit)
            return f"{by}, {f'{whole} days' if unit == 86_400.0 else duration(whole * unit)} ago"
    return f"{by}, {duration(max(1, int(seconds)))} ago"
