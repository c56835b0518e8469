"""The commands put together."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import Annotated, Any

import typer

from reconciler.errors import ReconcilerError

from .exits import Exit, code_of

#: each command, in the order of --help, and the module that it is in
COMMANDS = {
    "validate": "validate",
    "plan": "plan",
    "apply": "apply",
    "drift": "drift",
    "destroy": "destroy",
    "show": "show",
    "graph": "graph",
    "output": "output",
    "credentials": "credentials",
    "serve": "serve",
    "gc": "gc",
    "schema": "schema",
}
#: typer brings its own copy of click, whose name is private; BadParameter is what it shows of it
UsageError: type[Any] = typer.BadParameter.__mro__[1]


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"reconciler {version('reconciler')}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Who can pull or push which container image, from which account, in which cloud: one file, made true by apply."""


def application(names: Iterable[str]) -> typer.Typer:
    """The command line with these commands."""
    app = typer.Typer(
        name="reconciler",
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
        epilog="Exit codes: 0 fine, 1 error, 2 changes or drift, 3 a guard stops the plan, 4 the saved plan is stale.",
    )
    app.callback()(_root)
    for name in names:
        command = import_module(f".{COMMANDS[name]}", __package__)
        app.command(name, epilog=command.EXAMPLES, no_args_is_help=False)(command.run)
    return app


def run(arguments: Sequence[str]) -> int:
    """Runs one command line; returns its exit code. Errors go to standard error as text."""
    try:
        # only the command that is named is built: the options of all take their time
        app = application(arguments[:1] if arguments and arguments[0] in COMMANDS else COMMANDS)
        result = app(args=list(arguments), prog_name="reconciler", standalone_mode=False)
        return int(result) if result is not None else Exit.OK
    except typer.Exit as stop:
        return stop.exit_code
    except (typer.Abort, KeyboardInterrupt):
        typer.echo("Stopped; nothing was written.", err=True)
        return Exit.ERROR
    except UsageError as error:
        error.show()
        return Exit.ERROR  # click's own 2 would read as "changes"
    except ReconcilerError as error:
        typer.echo(f"Error: {error}" if "\n" not in str(error) else f"Error:\n{error}", err=True)
        return code_of(error)
    except BrokenPipeError:  # the reader (head, less) has seen enough
        sys.stderr.close()
        return Exit.OK
