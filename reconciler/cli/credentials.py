"""`reconciler credentials`: something to log in to a registry with."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from reconciler.errors import PlatformError, ReconcilerError
from reconciler.words import some_of

from .completing import local_repositories
from .exits import Exit
from .options import DEFAULT_SPEC, SpecOption, Verbose, log_calls, seconds

EXAMPLES = (
    "Examples: reconciler credentials sandbox/app-a --push; reconciler credentials 'sandbox/team/*' --ttl 15m;"
    " reconciler credentials sandbox/app-a --as alice --format json; reconciler credentials 'images/*' --as partner --ttl 7d"
)


class CredentialsFormat(StrEnum):
    """How credentials are printed."""

    TEXT = "text"
    JSON = "json"


def run(
    where: Annotated[
        str,
        typer.Argument(
            metavar="REGISTRY/REPO",
            autocompletion=local_repositories,
            help="The registry and the repository, or a glob over its repositories.",
        ),
    ],
    spec: SpecOption = DEFAULT_SPEC,
    push: Annotated[
        bool, typer.Option("--push", help="Allow pushing as well, and on the local platform deleting.")
    ] = False,
    ttl: Annotated[
        float,
        typer.Option(
            metavar="TIME",
            parser=seconds,
            show_default=False,
            help="How long they are valid: seconds, or 15m, 1h, 7d. [default: 1h]",
        ),
    ] = 3600.0,
    user: Annotated[
        str | None,
        typer.Option(
            "--as",
            metavar="USER",
            help="Issue them to this user, with the access that grants give. On Azure: to the holder of this grant's token.",
        ),
    ] = None,
    form: Annotated[CredentialsFormat, typer.Option("--format", help="The output format.")] = CredentialsFormat.TEXT,
    verbose: Verbose = 0,
) -> int:
    """Issue credentials for a repository. The password is printed and not stored."""
    from reconciler.api.plan import session
    from reconciler.api.spec import load_spec
    from reconciler.model.service import issuing, not_served

    registry, slash, repositories = where.partition("/")
    if not slash or not repositories:
        raise ReconcilerError(f"{where!r} is not REGISTRY/REPOSITORY, such as sandbox/app-a")
    if ttl <= 0:
        raise ReconcilerError("--ttl must be more than 0 seconds")
    log_calls(verbose)
    with session(load_spec(spec), registry) as opened:
        try:
            issued = issuing(opened).credentials(repositories, push=push, ttl=ttl, user=user)
        except PlatformError as error:
            raise _not_yet_applied(error, spec, registry, repositories, user) from None
    for note in issued.notes:
        typer.echo(f"note: {note}", err=True)
    if not issued.served:
        typer.echo(f"note: {not_served(registry, issued.registry)}", err=True)
    fields = {
        "registry": issued.registry,
        "username": issued.username,
        "password": issued.password,
        "expires_at": issued.expires_at.isoformat().replace("+00:00", "Z") if issued.expires_at else None,
    }
    if form is CredentialsFormat.JSON:
        typer.echo(json.dumps(fields, indent=2))
    else:
        for name, value in fields.items():
            typer.echo(f"{name + ':':<12}{value or 'unknown'}")
    return Exit.OK


def _not_yet_applied(
    error: PlatformError, spec: Path, registry: str, repositories: str, user: str | None
) -> PlatformError:
    """The error, with another hint where the spec has what the registry doesn't. `user`: as whom it was asked, such as a grant."""
    from reconciler.api.spec import load_spec
    from reconciler.model.service import NO_REPOSITORY
    from reconciler.spec.selection import matches_any

    loaded = load_spec(spec)
    wanted = [item.name for item in loaded.repositories_by_registry[registry]]
    if any((item.name, item.registry) == (user, registry) for item in loaded.grants):
        by = {name: loaded.grants_by_repository.get((registry, name), ()) for name in wanted}
        wanted = [name for name, grants in by.items() if any(item.name == user for item in grants)]
    found = [name for name in wanted if matches_any(name, (repositories,))]
    if error.code == NO_REPOSITORY and found:
        error.hint = f"the spec has {some_of(found)}: `reconciler apply` creates {'it' if len(found) == 1 else 'them'}"
    return error
