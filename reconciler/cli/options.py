"""Arguments and options that several commands share."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Annotated

import typer

SpecArgument = Annotated[Path, typer.Argument(metavar="[SPEC]", help="The spec: a YAML file, or a folder of them.")]
DEFAULT_SPEC = Path("registry.yaml")

Parallelism = Annotated[
    int, typer.Option("--parallelism", metavar="N", min=1, max=64, help="Most calls under way at once.")
]
Targets = Annotated[
    list[str] | None,
    typer.Option("--target", metavar="GLOB", help="Only addresses that match, and what they need. Repeatable."),
]
Adopt = Annotated[
    list[str] | None,
    typer.Option("--adopt", metavar="ADDRESS", help="Take over an existing resource that nobody owns. Repeatable."),
]
AllowDelete = Annotated[
    list[str] | None,
    typer.Option("--allow-delete", metavar="ADDRESS", help="Let this repository's images be deleted. Repeatable."),
]
Verbose = Annotated[
    bool,
    typer.Option("--verbose", "-v", help="Log each API call: address, duration and request id, never a secret."),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")]
LogFile = Annotated[Path | None, typer.Option("--log", metavar="FILE", help="Append each outcome as a line of JSON.")]
Verify = Annotated[bool, typer.Option("--verify", help="Read everything that was touched once more at the end.")]


def log_calls(verbose: bool) -> None:
    """Sends the log of calls to standard error, if wanted."""
    if verbose:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", datefmt="%H:%M:%S"))
        logger = logging.getLogger("reconciler.calls")
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        logger.propagate = False


def is_plan_file(path: Path) -> bool:
    """Whether the path is a saved plan rather than a spec: JSON that starts with a brace."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(64).lstrip().startswith(b"{")
