"""`reconciler credentials`: something to log in to a registry with."""

from __future__ import annotations

import json
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from reconciler.errors import PlatformError, ReconcilerError
from reconciler.words import some_of

from .exits import Exit
from .options import DEFAULT_SPEC, SpecOption, local_session, seconds

EXAMPLES = (
    "Examples: reconciler credentials sandbox/app-a --push; reconciler credentials 'sandbox/team/*' --ttl 15m;"
    " reconciler credentials sandbox/app-a --as alice --format json"
)


class CredentialsFormat(StrEnum):
    """How credentials are printed."""

    TEXT = "text"
    JSON = "json"


def run(
    where: Annotated[
        str, typer.Argument(metavar="REGISTRY/REPO", help="The registry and the repository, or a glob of its names.")
    ],
    spec: SpecOption = DEFAULT_SPEC,
    push: Annotated[bool, typer.Option("--push", help="Good for pushing and deleting too.")] = False,
    ttl: Annotated[
        float,
        typer.Option(
            metavar="TIME",
            parser=seconds,
            show_default=False,
            help="How long they are good: seconds, or 15m, 1h, 7d. [default: 1h]",
        ),
    ] = 3600.0,
    user: Annotated[
        str | None, typer.Option("--as", metavar="USER", help="For this user: they can do what the grants say.")
    ] = None,
    form: Annotated[CredentialsFormat, typer.Option("--format", help="How they are printed.")] = CredentialsFormat.TEXT,
) -> int:
    """Issue credentials for a repository. They are printed and kept nowhere."""
    from reconciler.model.service import issuing

    registry, slash, repositories = where.partition("/")
    if not slash or not repositories:
        raise ReconcilerError(f"{where!r} is not REGISTRY/REPO, such as sandbox/app-a")
    if ttl <= 0:
        raise ReconcilerError("--ttl must be more than 0 seconds")
    with local_session(spec, registry, "credentials are issued for local registries alone") as session:
        try:
            issued = issuing(session).credentials(repositories, push=push, ttl=ttl, user=user)
        except PlatformError as error:
            raise _not_yet_applied(error, spec, registry, repositories) from None
    if not issued.served:
        typer.echo(
            f"note: no server of registry {registry} is running; `reconciler serve {registry}` starts one at {issued.registry},"
            " unless --host or --port says otherwise",
            err=True,
        )
    fields = {
        "registry": issued.registry,
        "username": issued.username,
        "password": issued.password,
        "expires_at": issued.expires_at.isoformat().replace("+00:00", "Z"),
    }
    if form is CredentialsFormat.JSON:
        typer.echo(json.dumps(fields, indent=2))
    else:
        for name, value in fields.items():
            typer.echo(f"{name + ':':<12}{value}")
    return Exit.OK


def _not_yet_applied(error: PlatformError, spec: Path, registry: str, repositories: str) -> PlatformError:
    """The error, with another hint where the spec has what the registry doesn't."""
    from reconciler.api.spec import load_spec
    from reconciler.model.service import NO_REPOSITORY
    from reconciler.spec.selection import matches_any

    wanted = (item.name for item in load_spec(spec).repositories_by_registry[registry])
    found = [name for name in wanted if matches_any(name, (repositories,))]
    if error.code == NO_REPOSITORY and found:
        error.hint = f"the spec has {some_of(found)}: `reconciler apply` makes {'it' if len(found) == 1 else 'them'}"
    return error
