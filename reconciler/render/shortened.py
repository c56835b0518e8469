"""A markdown text of ours, as long as a comment may be. What stops a plan, what is deleted, and who gains access stay longest.

Only texts that this package made are read: in them no text of a spec begins a line, so a line's beginning says what it is.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import takewhile

#: characters that a comment on GitHub may have are 65,536
#: (https://github.com/runatlantis/atlantis/blob/main/server/events/vcs/github/client.go)
MOST = 65_000
#: characters that a line keeps where something must be left out
_MOST_LINE = 2_000
#: lines that a list keeps before all that is less important, and changes that delete
_FIRST = 20
_MOST_MORE = len("\n- and 100,000,000 more\n")
_NOTE = "\nThis is longer than a comment may be: {} are left out. `reconciler` prints all of it.\n"
#: a change in a diff and not its details, which are indented: something is deleted, or replaced
_GOES = re.compile(r"- |! -/\+ ")
_DETAIL = re.compile(r"[-+!] {5}")
#: what is no longer what it was if a part of it is missing: an escape, a code span (as many backticks end it as begin it), an HTML
#: comment, a tag; backticks that nothing closes, which an escape alone could be, and a tag's beginning reach to the end
_WHOLE = re.compile(
    r"\\.|(?P<fence>(?<!`)`+(?!`)).*?(?:(?<!`)(?P=fence)(?!`)|\Z)|<!--.*?(?:-->|\Z)|<.*?(?:>|\Z)", re.DOTALL
)


class _Rank(IntEnum):
    """What is kept first."""

    STOPS = 0
    GOES = 1
    SAYS = 2
    CHANGES = 3
    MORE = 4


@dataclass
class _Block:
    """A part of the text. `opening`, `closing`: what it has if it has anything. `pieces`: what can be left out one by one."""

    opening: str = ""
    pieces: list[str] = field(default_factory=list)
    closing: str = ""
    rank: _Rank = _Rank.SAYS
    more: str = "and {} more\n"
    heading: bool = False
    diff: bool = False

    def ranks(self) -> Iterator[_Rank]:
        """How important each piece is."""
        seen: Counter[_Rank] = Counter()
        for piece in self.pieces:
            rank = _Rank.GOES if self.diff and _GOES.match(piece) else self.rank
            seen[rank] += 1
            enough = seen[rank] > (_FIRST if rank < _Rank.SAYS else _FIRST * 5)
            yield _Rank.MORE if enough else rank

    def text(self, kept: set[int]) -> str:
        """The block with these of its pieces."""
        if not kept and not self.heading:
            return ""
        some = "".join(piece for at, piece in enumerate(self.pieces) if at in kept)
        left = len(self.pieces) - len(kept)
        return f"{self.opening}{some}{self.more.format(f'{left:,}') if left else ''}{self.closing}"


def shortened(text: str, most: int = MOST) -> str:
    """The text, if it has no more than `most` characters. Else every heading and as much of the rest as there is room for, each list,
    table and diff cut between two of its lines: no fold and no fence stays open. It says how much is left out."""
    if len(text) <= most:
        return text
    blocks = list(_blocks(text))
    room = (
        most
        - len(_NOTE)
        - _MOST_MORE
        - sum(len(block.opening) + len(block.closing) for block in blocks if block.heading)
    )
    kept: list[set[int]] = [set() for _ in blocks]
    wanted = sorted((rank, number, at) for number, block in enumerate(blocks) for at, rank in enumerate(block.ranks()))
    for _, number, at in wanted:
        block = blocks[number]
        first = not kept[number]
        around = 0 if block.heading or not first else len(block.opening) + len(block.closing)
        around += _MOST_MORE if first else 0
        if len(block.pieces[at]) + around <= room:
            room -= len(block.pieces[at]) + around
            kept[number].add(at)
    short = "".join(block.text(some) for block, some in zip(blocks, kept, strict=True))
    gone = sum(len(block.pieces) - len(some) for block, some in zip(blocks, kept, strict=True))
    return f"{short.rstrip()}\n{_NOTE.format(f'{gone:,} more parts')}" if gone else short


def _blocks(text: str) -> Iterator[_Block]:
    lines = text.splitlines(keepends=True)
    at = 0
    while at < len(lines):
        line = lines[at]
        end = at + 1
        if line.startswith("<details>"):
            while end < len(lines) and lines[end - 1] != "</details>\n":
                end += 1
            end += lines[end : end + 1] == ["\n"]
            yield _fold(lines[at:end])
        elif line.startswith("|"):
            while end < len(lines) and lines[end].startswith("|"):
                end += 1
            yield _Block(
                "".join(lines[at : at + 2]), list(map(_line, lines[at + 2 : end])), "\n", more="\nand {} more\n"
            )
            end += lines[end : end + 1] == ["\n"]
        elif line.startswith("#"):
            end += lines[end : end + 1] == ["\n"]
            start = end
            while end < len(lines) and lines[end].startswith("- "):
                end += 1
            rank = _Rank.STOPS if ":no_entry:" in line else _Rank.SAYS
            pieces = list(map(_line, lines[start:end]))
            yield _Block(
                "".join(lines[at:start]), pieces, "\n" if pieces else "", rank, "- and {} more\n", heading=True
            )
            end += bool(pieces) and lines[end : end + 1] == ["\n"]
        else:
            while end < len(lines) and lines[end - 1] != "\n":
                end += 1
            yield _Block("", [_line("".join(lines[at:end]))])
        at = end


def _fold(lines: list[str]) -> _Block:
    """A fold with a diff, which is cut between two changes; with a list, between two lines; with anything else, not at all."""
    if "```diff\n" in lines:
        start = lines.index("```diff\n") + 1
        end = len(lines) - 1 - lines[::-1].index("```\n")
        changes: list[str] = []
        for line in (_line(line, markup=False) for line in lines[start:end]):
            if changes and _DETAIL.match(line):
                changes[-1] += line
            else:
                changes.append(line)
        return _Block("".join(lines[:start]), changes, "".join(lines[end:]), _Rank.CHANGES, diff=True)
    end = next((at for at, line in enumerate(lines) if line == "</details>\n"), len(lines))
    inner = lines[2 : end - 1]
    if inner and all(line.startswith(("- ", "  ")) or line == "\n" for line in inner):
        closing = "".join(lines[end - 1 :])
        return _Block("".join(lines[:2]), list(map(_line, inner)), closing, _Rank.CHANGES, "\n- and {} more\n")
    return _Block("", ["".join(lines)], rank=_Rank.CHANGES)


def _line(line: str, *, markup: bool = True) -> str:
    """The line, cut at the end of a name where it is longer than a reader would read: never inside of a code span, an HTML comment, a
    tag or an escape, which would leave open what they close. As it is where it can be cut nowhere. `markup`: whether it can have
    these, which it has not in a fence."""
    if len(line) <= _MOST_LINE:
        return line
    spans = (match.span() for match in _WHOLE.finditer(line)) if markup else ()
    whole = list(takewhile(lambda span: span[0] < _MOST_LINE, spans))
    for separator in (", ", " "):
        end = _last(line, separator, whole)
        if start := line[: max(end, 0)].rstrip():
            left = line.count(", ", end)
            return f"{start} … and {left:,} more\n" if left else f"{start} …\n"
    return line


def _last(line: str, separator: str, whole: list[tuple[int, int]]) -> int:
    """Where the separator stands for the last time within what a line keeps and inside nothing that is `whole`; -1 if nowhere."""
    end = line.rfind(separator, 0, _MOST_LINE)
    while end >= 0 and any(first < end < last for first, last in whole):
        end = line.rfind(separator, 0, end)
    return end
