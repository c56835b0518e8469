"""Arguments and options that several commands share."""

from __future__ import annotations

import logging
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reconciler.errors import ReconcilerError
from reconciler.redaction import redacted
from reconciler.words import one_line

from .completing import addresses, local_registries, repository_addresses

if TYPE_CHECKING:
    from reconciler.model.platform import Session

SpecArgument = Annotated[
    Path, typer.Argument(metavar="SPEC", help="The spec: a YAML file, a folder of them, or - for standard input.")
]
DEFAULT_SPEC = Path("registry.yaml")

Parallelism = Annotated[
    int, typer.Option("--parallelism", metavar="N", min=1, max=64, help="Maximum number of concurrent calls.")
]
Targets = Annotated[
    list[str] | None,
    typer.Option(
        "--target",
        metavar="GLOB",
        autocompletion=addresses,
        help="Only matching addresses and what they depend on. Repeatable.",
    ),
]
Adopt = Annotated[
    list[str] | None,
    typer.Option(
        "--adopt",
        metavar="ADDRESS",
        autocompletion=addresses,
        help="Take over an existing resource that nobody owns. Repeatable.",
    ),
]
Allow = Annotated[
    list[str] | None,
    typer.Option(
        "--allow",
        metavar="ADDRESS",
        autocompletion=addresses,
        help="Allow a change of this resource that the plan calls dangerous. Repeatable.",
    ),
]
AllowDelete = Annotated[
    list[str] | None,
    typer.Option(
        "--allow-delete",
        metavar="ADDRESS",
        autocompletion=repository_addresses,
        help="Allow this resource to be deleted or replaced: a repository with its images and access that others gave, or whatever"
        " was there before it was adopted. Repeatable.",
    ),
]
Verbose = Annotated[
    int,
    typer.Option(
        "--verbose",
        "-v",
        count=True,
        show_default=False,
        help="Log each API call: address, duration and request id, never a secret. -vv also shows tracebacks.",
    ),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Don't ask for confirmation.")]
LogFile = Annotated[Path | None, typer.Option("--log", metavar="FILE", help="Append each outcome as a line of JSON.")]
Rescue = Annotated[
    Path,
    typer.Option(
        "--rescue",
        metavar="DIR",
        show_default=False,
        help="Where to keep what others put on a repository while it is replaced. [default: the current folder]",
    ),
]
Verify = Annotated[bool, typer.Option("--verify", help="Read every changed resource again at the end.")]


Full = Annotated[bool, typer.Option("--full", help="Show every name, even where there are many.")]


def folder_of_rescue(path: Path) -> str:
    """The folder of --rescue. Raises ReconcilerError if it is none: in the middle of an apply would be too late."""
    if not os.path.isdir(path):
        raise ReconcilerError(f"--rescue {path}: not a folder")
    return str(path)


SpecOption = Annotated[Path, typer.Option("--spec", metavar="SPEC", help="The spec: a YAML file, or a folder of them.")]
RegistryArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="REGISTRY",
        autocompletion=local_registries,
        help="The registry; not needed if the spec has only one.",
    ),
]


def seconds(text: str) -> float:
    """A time in seconds: `90`, `90s`, `15m`, `1h`, `7d`."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", str(text))
    if match is None:
        raise typer.BadParameter(f"{text!r} is not a duration, such as 90s, 15m, 1h or 7d")
    return float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}[match[2]]


Timeout = Annotated[
    float,
    typer.Option(
        "--timeout",
        metavar="TIME",
        parser=seconds,
        show_default=False,
        help="How long to retry throttled calls; reading and applying each have this long. [default: 30m]",
    ),
]
#: model.platform has the same one; it is not imported for a help text
DEFAULT_TIMEOUT = 1800.0

Grace = Annotated[
    float,
    typer.Option(
        "--grace",
        metavar="TIME",
        parser=seconds,
        show_default=False,
        help="How long to keep blobs that no image uses, since a push may be under way. [default: 1h]",
    ),
]


@contextmanager
def local_session(spec: Path, name: str | None, only: str) -> Iterator[Session]:
    """A session with one local registry of a spec file. `only`: what is possible with these alone, as a sentence.

    Raises ReconcilerError.
    """
    from reconciler.api.plan import session
    from reconciler.api.spec import load_spec

    loaded = load_spec(spec)
    platforms = {registry.name: registry.platform for registry in loaded.registries}
    asked = {name: platforms[name]} if name in platforms else platforms
    if asked and "local" not in asked.values():
        found = ", ".join(f"{registry} is on {platform}" for registry, platform in asked.items())
        raise ReconcilerError(f"{only}; {found}")
    with session(loaded, name) as opened:
        yield opened


class OneLine(logging.Formatter):
    """A record as one line, whatever a cloud or a client has put into it; a traceback goes on below it. Neither repeats a secret."""

    def format(self, record: logging.LogRecord) -> str:
        return redacted(super().format(record))

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        return one_line(super().formatMessage(record))


def log_calls(verbosity: int, calls: str = "reconciler.calls") -> None:
    """Sends the log of calls to standard error, if wanted; from two on, tracebacks of this program's faults too."""
    if not verbosity:
        return
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(OneLine("%(asctime)s %(message)s", datefmt="%H:%M:%S"))
    for name, level in ((calls, logging.INFO), ("reconciler.faults", logging.DEBUG))[:verbosity]:
        logger = logging.getLogger(name)
        logger.addHandler(handler)
        logger.setLevel(level)
        logger.propagate = False
