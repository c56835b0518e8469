"""`reconciler release`: lets go of a repository, which stays as it is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

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
            help="The repository's address, as a plan prints it.",
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
    """Stop managing a repository and keep its images. Removes its marks and grants; take it out of the spec afterwards."""
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
    at = Address(address)
    wanted = [item for item in loaded.repositories if (item.registry, item.name) == (at.registry, at.name)]
    if code is Exit.OK and any(not item.release for item in wanted):
        retired = any(item.name == at.registry and item.retired for item in loaded.registries)
        until = "" if retired else "; until then, plan reports it as existing without an owner"
        typer.echo(f"Now take repository {at.name} out of the spec, and out of the grants that name it{until}.")
    return code


def question(changes: int) -> str:
    """What is asked before it is done."""
    return f"Make {counted(changes, 'change')}?"
