"""How --help is set: no option, and nothing else with a hyphen in it, is broken in two, and each example has a line of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

#: looks like a hyphen, and no line is broken after it (https://www.unicode.org/reports/tr14/#GL)
_KEPT = "\N{NON-BREAKING HYPHEN}"
_Formatter: Any = typer.Context.formatter_class


def _kept(text: str) -> str:
    return text.replace("-", _KEPT)


class _Whole(_Formatter):  # type: ignore[misc]  # typer brings its own copy of click, whose name is private
    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        super().write_usage(_kept(prog), _kept(args), prefix)

    def write_text(self, text: str) -> None:
        super().write_text(_kept(text))

    def write_dl(self, rows: Sequence[tuple[str, str]], *arguments: Any, **options: Any) -> None:
        super().write_dl([(_kept(first), _kept(second)) for first, second in rows], *arguments, **options)

    def getvalue(self) -> str:
        return str(super().getvalue()).replace(_KEPT, "-")


class Command(TyperCommand):
    """A command with such a help text."""

    def get_help(self, ctx: Any) -> str:
        ctx.formatter_class = _Whole
        return super().get_help(ctx)


class Group(TyperGroup):
    """The command line with such a help text."""

    def get_help(self, ctx: Any) -> str:
        ctx.formatter_class = _Whole
        return super().get_help(ctx)


def epilog(examples: str, exits: str = "") -> str:
    """What stands below the options. `examples`: `Examples: COMMAND; COMMAND`, each for a line of its own."""
    head, _, commands = examples.partition(": ")
    # \b: click leaves the lines of such a paragraph as they are
    lines = "\n".join(("\b", f"{head}:", *(f"  {command}" for command in commands.split("; "))))
    return f"{lines}\n\n{exits}".strip("\n ")
