"""What a YAML parser's complaint most likely means, and what to do: its own words are about tokens. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import yaml

#: what a spec is, for whoever gives something else
_EXPECTED = "a spec is YAML that begins with `version: 1` and `name: NAME` (`reconciler help spec` describes the rest)"
#: the first line of a Terraform file, comments aside: https://developer.hashicorp.com/terraform/language/syntax/configuration
_TERRAFORM = re.compile(
    r"""(?>\s|(?:\#|//)[^\n]*\n|/\*.*?\*/)*+
    (?:terraform|provider|resource|data|module|variable|output|locals|import|moved|removed|check)
    (?:[ \t]+"[^"\n]*"){0,2}[ \t]*\{""",
    re.VERBOSE | re.DOTALL,
)
_REFERENCE = re.compile(r"\$\{env:[^}\n]*\}?")
#: what a complaint of libyaml or pyyaml holds, and the advice
_ADVICE = (
    ("tab character", "indent with spaces"),
    ("found unknown escape character", "in double quotes, write a backslash twice; in single quotes, once"),
    ("found undefined alias", "quote text that begins with *"),
    ("expected alphabetic or numeric character", "quote text that begins with * or &"),
    ("mapping values are not allowed", "quote text that contains ': ', or check the indentation"),
    ("block sequence entries are not allowed", "start the list on the line below its key"),
    ("or ']'", "a [ isn't closed, or a comma is missing"),
    ("or '}'", "a { isn't closed, or a comma is missing"),
    ("expected ':'", "end a key with ': '; quote text of several lines"),
    ("expected key", "the keys of a mapping must begin in the same column"),
    ("expected <block end>", "items that belong together must begin in the same column"),
    ("expected '-' indicator", "the items of a list must begin in the same column"),
    ("another document", "a spec is a single document: remove the line ---"),
    ("control characters are not allowed", "save the file as plain text in UTF-8"),
    ("invalid leading UTF-8 octet", "save the file as UTF-8"),
    ("invalid trailing UTF-8 octet", "save the file as UTF-8"),
)


def not_a_spec(data: bytes) -> str:
    """What to say of a file that is no mapping, as the end of a sentence about it."""
    return f"{'is Terraform, not a spec' if is_terraform(data) else 'must be a mapping'}: {_EXPECTED}"


def is_terraform(data: bytes) -> bool:
    """Whether a text begins as a Terraform file does."""
    return _TERRAFORM.match(_decoded(data)) is not None


def complaint(data: bytes, error: yaml.MarkedYAMLError, loader: Any) -> tuple[int, int, str]:
    """Where a text is not YAML (line and column, from 1), and what to do about it. `loader`: what reads it."""
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    reason = error.problem or error.context or ""
    lines = _decoded(data).split("\n")
    if "quoted scalar" in (error.context or "") and error.context_mark and reason.startswith("found unexpected"):
        start = error.context_mark
        return start.line + 1, start.column + 1, "the quote that opens here isn't closed"
    if (opened := _quoted_up_to(data, line, column, loader)) is not None:
        says = f"the quote that opens here goes on to line {line}, column {column - 1}, and what follows it there can't be read"
        return *opened, f"{says}: close it where its text ends"
    if ("or ']'" in reason or "or '}'" in reason) and (used := _reference_at(lines, line, column)):
        return line, column - 1, f"inside {{ }} and [ ], quote text that contains {used}"
    return line, column, with_advice(reason, lines[line - 1][column - 1 : column] if line <= len(lines) else "")


def _decoded(data: bytes) -> str:
    return data.decode("utf-8-sig", "replace")


def _quoted_up_to(data: bytes, line: int, column: int, loader: Any) -> tuple[int, int] | None:
    """Where the quoted text of several lines opens that ends just before a place; None if there is none. It is more often one whose
    quote is missing than one that is meant."""
    try:
        for token in yaml.scan(data, Loader=loader):
            start, end = token.start_mark, token.end_mark
            if isinstance(token, yaml.ScalarToken) and token.style in ("'", '"') and start.line < end.line == line - 1:
                return (start.line + 1, start.column + 1) if end.column == column - 1 else None
    except yaml.YAMLError:
        pass
    return None


def _reference_at(lines: Sequence[str], line: int, column: int) -> str:
    """The `${env:NAME}` whose brace stands at a place; "" if none does."""
    text = lines[line - 1] if line <= len(lines) else ""
    found = _REFERENCE.match(text, column - 2) if column > 1 else None
    return found.group() if found else ""


def with_advice(reason: str, character: str) -> str:
    """The complaint and what to do about it. `character`: the one at its place, "" if there is none."""
    if "cannot start any token" in reason:
        if character == "\t":
            reason = "found a tab character"
        else:
            return f"found '{character}', which can't begin a value: quote the text"
    hint = next((advice for part, advice in _ADVICE if part in reason), "")
    return f"{reason}: {hint}" if hint else reason
