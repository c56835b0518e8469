"""`reconciler release`: lets go of a repository, which stays as it is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reconciler.words import counted

from .completing import repository_addresses
from .exits import Exit, told
from .options import (
    DEFAULT_SPEC,
    DEFAULT_TIMEOUT,
    LogFile,
    Parallelism,
    Rescue,
    SpecArgument,
    Timeout,
    Verbose,
    Verify,
    Yes,
    folder_of_rescue,
    log_calls,
)

if TYPE_CHECKING:
    from reconciler.model.address import Address
    from reconciler.platforms.catalog import Spec

EXAMPLES = (
    "Examples: reconciler release images.repository.app-a; reconciler release images.repository.app-a specs/ --yes"
)
EXITS = told(
    ok="done",
    error="an error, or a change that was not made",
    guard="a guard stops it",
    stale="a resource changed meanwhile",
)


def run(
    address: Annotated[
        str,
        typer.Argument(
            metavar="ADDRESS",
            autocompletion=repository_addresses,
            help="The repository's address, as a plan prints it. On Azure: also the registry's.",
        ),
    ],
    spec: SpecArgument = DEFAULT_SPEC,
    yes: Yes = False,
    verify: Verify = False,
    log: LogFile = None,
    rescue: Rescue = Path(),
    parallelism: Parallelism = 32,
    timeout: Timeout = DEFAULT_TIMEOUT,
    verbose: Verbose = 0,
) -> int:
    """Stop managing a repository and keep its images. Removes its marks and grants; take it out of the spec afterwards. On Azure, a
    whole registry too."""
    from reconciler.api.spec import load_spec
    from reconciler.engine.wishes import Wishes
    from reconciler.model.address import Address

    from .carry_out import ApplyOptions, plan_and_carry_out

    log_calls(verbose)
    folder = folder_of_rescue(rescue)
    wishes = Wishes(release=(address,), parallelism=parallelism, timeout=timeout, rescue=folder)
    options = ApplyOptions(parallelism=parallelism, timeout=timeout, verify=verify, log=log, rescue=folder)
    loaded = load_spec(spec)
    code = plan_and_carry_out(loaded, wishes, options, yes, question)
    if code is Exit.OK:
        for line in _next(loaded, Address(address)):
            typer.echo(line)
    return code


def _next(spec: Spec, at: Address) -> Iterator[str]:
    """What is left to do in the spec, a sentence; nothing where it says so itself."""
    from reconciler.model.kind import Releasable
    from reconciler.model.released import ReleasesAll
    from reconciler.platforms.catalog import CATALOG

    registry = next(item for item in spec.registries if item.name == at.registry)
    kind = CATALOG[registry.platform].kinds[at.kind]
    if isinstance(kind, ReleasesAll):
        until = "" if registry.retired else "; until then, plan reports it as existing without an owner"
        yield f"Now take registry {at.registry} out of the spec, with its repositories and grants{until}."
        return
    if not any((item.registry, item.name) == (at.registry, at.name) and not item.release for item in spec.repositories):
        return
    until = "; until then, plan reports it as existing without an owner"
    if isinstance(kind, Releasable) and kind.comes_back:
        until = "; until then, the next apply takes it back, with what the grants give"
    until = "" if registry.retired else until
    yield f"Now take repository {at.name} out of the spec, and out of the grants that name it{until}."


def question(changes: int) -> str:
    """What is asked before it is done."""
    return f"Make {counted(changes, 'change')}?"
