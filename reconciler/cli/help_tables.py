"""Tables of the documentation for a terminal: a list, since a table's lines are far wider than one."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence

_RULE = re.compile(r"\|(?: *:?-+:? *\|)+")
_FENCE = re.compile(r"^ *```")
#: between two cells; a pipe inside one is escaped
_BETWEEN = re.compile(r"(?<!\\)\|")


def without_tables(text: str, width: int) -> str:
    """The page with each table as an indented list: `name: meaning`, no wider than that many columns where its words allow it."""
    lines = _lines(text.splitlines(), lambda headings, row: _wrapped(_said(headings, row), width))
    return "".join(f"{line}\n" for line in lines)


def rows_of(text: str, name: str) -> Iterator[tuple[list[str], list[str]]]:
    """The headings and the cells of each row of the tables that is about this name, or about one that ends in it after a dot."""
    end = f".{name.lower()}"
    for headings, rows in _tables(text.splitlines()):
        yield from ((headings, row) for row in rows if f".{plain(row[0]).lower()}".endswith(end))


def names_in(text: str) -> set[str]:
    """What the rows of the text's tables are about."""
    return {plain(row[0]) for _, rows in _tables(text.splitlines()) for row in rows}


def as_table(headings: Sequence[str], row: Sequence[str]) -> str:
    """A table of one row, as a page has it."""
    cells = (cell.replace("|", r"\|") for cell in row)
    return "".join(f"| {' | '.join(line)} |\n" for line in (headings, ["---"] * len(headings), cells))


def as_lists(text: str) -> str:
    """The page with each table as a list in Markdown."""
    return "".join(
        f"{line}\n" for line in _lines(text.splitlines(), lambda headings, row: [f"- {_said(headings, row)}"])
    )


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(
        text, width, initial_indent="  ", subsequent_indent="      ", break_on_hyphens=False, break_long_words=False
    )


def _said(headings: Sequence[str], row: Sequence[str]) -> str:
    """A row in a line: its first cell, what it means, and the other cells with their headings."""
    name, *cells = row
    if len(cells) < 2:
        return ": ".join((name, *cells))
    beside = dict(zip(headings[1:], cells, strict=False))
    meaning = beside.pop("meaning", "")
    more = "; ".join(f"{heading}: {cell}" if heading else cell for heading, cell in beside.items() if cell)
    return f"{name}: {meaning} ({more})" if meaning and more else f"{name}: {meaning or more}"


def plain(cell: str) -> str:
    """A cell without the marks of code and of bold text."""
    return cell.strip("`*")


def _lines(lines: Sequence[str], item: Callable[[Sequence[str], Sequence[str]], Iterable[str]]) -> Iterator[str]:
    """The lines, with what `item` makes of each row of a table in its place."""
    number, code = 0, False
    while number < len(lines):
        code ^= bool(_FENCE.match(lines[number]))
        end = number if code else _end(lines, number)
        if end == number:
            yield lines[number]
            number += 1
            continue
        headings = _cells(lines[number])
        for line in lines[number + 2 : end]:
            yield from item(headings, _cells(line))
        number = end


def _tables(lines: Sequence[str]) -> Iterator[tuple[list[str], list[list[str]]]]:
    for number in range(len(lines)):
        if (end := _end(lines, number)) > number:
            yield _cells(lines[number]), [_cells(line) for line in lines[number + 2 : end]]


def _end(lines: Sequence[str], start: int) -> int:
    """Where the table that starts there ends; the start itself if none does."""
    if start + 1 >= len(lines) or not lines[start].startswith("|") or not _RULE.fullmatch(lines[start + 1]):
        return start
    return next((number for number in range(start, len(lines)) if not lines[number].startswith("|")), len(lines))


def _cells(row: str) -> list[str]:
    return [cell.strip().replace(r"\|", "|") for cell in _BETWEEN.split(row.strip())[1:-1]]
