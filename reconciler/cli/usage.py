"""What is wrong with a command line, in the words of this program instead of those of the library that parses it."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence

from reconciler.words import any_of, did_you_mean

#: set by the shell's script, which asks for completions by it
COMPLETE = "_RECONCILER_COMPLETE"
HOW_TO_COMPLETE = "Completion is for your shell to ask for: `reconciler --install-completion` sets it up."

#: what typer says of a value, in its versions, and what is said instead
_SAID: Sequence[tuple[str, str]] = (
    (r"Input should be a valid integer\b.*", "must be a whole number"),
    (r"'.*' is not a valid int(?:eger)?(?: range)?\.?", "must be a whole number"),
    (r"Input should be (?:less than or equal to|at most) (\S+)", r"must be \1 or less"),
    (r"Input should be greater than or equal to (\S+)", r"must be \1 or more"),
    (r"Input should be a valid number\b.*", "must be a number"),
)
_RANGE = re.compile(r"(?P<value>-?\d+) is not in the range (?P<least>\d+)?(?:<=)?x(?:[<>]=(?P<bound>\d+))?\.?")
_CHOICE = re.compile(r"(?:Value error, )?'(?P<value>.*)' is not one of (?P<choices>.+?)\.?")


def plainly(message: str) -> str:
    """The library's message on a value, as the end of a sentence of ours; one that needs no other words as it is."""
    if choice := _CHOICE.fullmatch(message):
        words = re.findall(r"'([^']*)'", choice["choices"])
        return f"must be {any_of(words)}, not '{choice['value']}'{did_you_mean(choice['value'], words)}"
    if ranged := _RANGE.fullmatch(message):
        least, bound = ranged["least"], ranged["bound"]
        if least is not None and int(ranged["value"]) < int(least):
            return f"must be {least} or more"
        return f"must be {bound} or {'more' if '>=' in message else 'less'}"
    for pattern, said in _SAID:
        if match := re.fullmatch(pattern, message):
            return match.expand(said)
    return message.removeprefix("Value error, ")


def asked_to_complete() -> bool:
    """Whether this run is to tell a shell what could come next."""
    return COMPLETE in os.environ


def named(arguments: Sequence[str], commands: Sequence[str]) -> str:
    """The command whose help `help COMMAND` asks for, however it is written; "" if it asks for none."""
    words = [item for item in arguments if item != "--"]
    if len(words) == 2 and words[0] == "help" and words[1].lower() in commands:
        return words[1].lower()
    return ""
