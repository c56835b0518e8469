"""The commands put together."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from importlib import import_module
from traceback import extract_tb
from typing import Annotated, Any

import typer

from reconciler.errors import ReconcilerError, os_sentence
from reconciler.redaction import redacted
from reconciler.words import one_line

from .commands import COMMANDS
from .exits import Exit, code_of
from .help_text import Command, Group, epilog
from .streams import standard_streams
from .usage import HOW_TO_COMPLETE, asked_to_complete, named, plainly

FAULTS = logging.getLogger("reconciler.faults")

#: whose report counts as much as what they do
_WRITES = frozenset({"apply", "destroy", "release", "gc", "credentials", "refresh", "repository"})
#: those of them that don't ask first
_AT_ONCE = frozenset({"gc", "credentials", "refresh", "repository", "serve", "schema"})
#: typer brings its own copy of click, whose name is private; BadParameter is what it shows of it
UsageError: type[Any] = typer.BadParameter.__mro__[1]


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        from reconciler.words import DISTRIBUTION

        typer.echo(f"reconciler {version(DISTRIBUTION)}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Declare in one file who can pull or push which container image, from which account, in which cloud."""


def application(names: Iterable[str]) -> typer.Typer:
    """The command line with these commands."""
    app = typer.Typer(
        name="reconciler",
        cls=Group,
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        epilog="Exit codes: 0 success, 1 error, 2 changes or drift, 3 a guard stops the plan, 4 the saved plan is stale,"
        " 5 a risk of --fail-on, 6 a conflict, 130 interrupted.\n\n`reconciler help` shows the documentation.",
    )
    app.callback()(_root)
    for name in names:
        command = import_module(f".{COMMANDS[name]}", __package__)
        exits = getattr(command, "EXITS", "")  # of a command that has more than done and an error
        app.command(name, cls=Command, epilog=epilog(command.EXAMPLES, exits), no_args_is_help=False)(command.run)
    return app


def run(arguments: Sequence[str]) -> int:
    """Runs one command line; returns its exit code. Errors go to standard error as text, and nothing that is printed or can't be
    decides what is carried out."""
    with standard_streams() as (output, errors):
        code = _run(arguments)
        output.flush()
        for stream, name in ((output, "standard output"), (errors, "standard error")):
            gone = isinstance(stream.failure, BrokenPipeError)  # head and less have seen enough
            if stream.failure is None or (gone and not _WRITES.intersection(arguments[:1])):
                continue
            code = Exit.ERROR
            done = " Changes already made are kept." if _WRITES.intersection(arguments[:1]) else ""
            typer.echo(f"Error: {name} can't be written: {stream.reason}.{done}", err=True)
        return code


def _run(arguments: Sequence[str]) -> int:
    asked = named(arguments, tuple(COMMANDS))
    if asked:
        arguments = [asked, "--help"]
    try:
        # only the command that is named is built: the options of all take their time
        app = application(arguments[:1] if arguments and arguments[0] in COMMANDS else COMMANDS)
        result = app(args=list(arguments), prog_name="reconciler", standalone_mode=False)
        code = int(result) if result is not None else Exit.OK
        if asked:
            from .help import see_also  # whose libraries nothing else needs

            typer.echo(see_also(asked), nl=False)
    except typer.Exit as stop:
        code = stop.exit_code
    except typer.Abort as stop:
        code = Exit.INTERRUPTED if isinstance(stop.__context__, KeyboardInterrupt) else _end("Stopped", arguments)
    except KeyboardInterrupt:
        code = Exit.INTERRUPTED
    except UsageError as error:
        if asked_to_complete():
            return _no_completion()
        error.message = plainly(error.message)
        error.show()
        return Exit.ERROR  # click's own 2 would read as "changes"
    except ReconcilerError as error:
        from reconciler.render.escapes import no_command

        text = "\n".join(no_command(one_line(line)) for line in str(error).split("\n"))
        typer.echo(f"Error: {text}" if "\n" not in text else f"Error:\n{text}", err=True)
        return code_of(error)
    except Exception as error:
        return _no_completion() if asked_to_complete() else _fault(error)
    # typer turns Ctrl-C into this exit code, in some of its versions
    return _end("Interrupted", arguments, code) if code == Exit.INTERRUPTED else code


def _end(word: str, arguments: Sequence[str], code: int = Exit.ERROR) -> int:
    """Says that the run came to no end of its own. Commands that ask before they write have not been answered yet."""
    nothing = "" if _AT_ONCE.intersection(arguments[:1]) else "; nothing was written"
    typer.echo(f"{word}{nothing}.", err=True)
    return code


def _no_completion() -> int:
    """For whoever sets the variable by hand, or a shell whose script is not ours."""
    typer.echo(HOW_TO_COMPLETE, err=True)
    return Exit.ERROR


def _fault(error: Exception) -> int:
    """One sentence for what no command foresaw; the traceback with -vv."""
    FAULTS.debug("traceback", exc_info=error)
    if isinstance(error, OSError):
        said = os_sentence(error)
    else:
        here = next((f"{frame.filename}:{frame.lineno}" for frame in reversed(extract_tb(error.__traceback__))), "")
        said = f"internal error ({type(error).__name__}: {error}, at {here}); please report it. -vv shows the traceback"
    typer.echo(f"Error: {one_line(redacted(said))}", err=True)
    return Exit.ERROR
