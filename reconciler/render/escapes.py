"""Text of a spec or of a cloud inside markdown and HTML: shown as it is, never read as markup."""

from __future__ import annotations

import re
from html import escape

from reconciler.words import one_line

#: an underscore inside a word is one; anywhere else it may begin or end an emphasis
_MARKUP = re.compile(r"[\\`*\[\]|~]|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
#: what makes a line a list, a heading's underline or a rule when it stands first
_FIRST = re.compile(r"[-+=]|[0-9]+[.)]")
#: no escape keeps GitHub from reading `@name`, `#1`, `GH-1`, `www.x.org`, `https://x.org` and `:tada:`, since it looks for them in
#: what comes out: only something that stands between does, and a comment is not shown (https://github.com/github/markup/issues/1168,
#: https://github.github.com/gfm/#autolinks-extension-)
_REFERENCE = re.compile(
    r"[@#]|www(?=\.)|(?:https?|ftp|mailto|xmpp)(?=:)|gh(?=-[0-9])|:(?=[a-z0-9_+-]+:)", re.IGNORECASE
)

#: the runner's older commands count anywhere in a line, the newer ones at its start
#: (https://github.com/actions/runner/blob/main/src/Runner.Common/ActionCommand.cs)
_OLD, _NEW = "##[", re.compile(r"^(\s*):(?=:)")


def no_command(line: str) -> str:
    """The line so that GitHub's runner reads no command in it, whatever a spec's text has put there."""
    return _NEW.sub(r"\1\\x3a", line.replace(_OLD, r"#\x23["))


def in_html(text: str) -> str:
    """The text between HTML tags."""
    return _REFERENCE.sub(r"\g<0><!-- -->", escape(one_line(text), quote=False))


def in_markdown(text: str) -> str:
    """The text in a paragraph, a heading or a list's item, with no meaning but its own."""
    return in_html(_MARKUP.sub(r"\\\g<0>", one_line(text)))


def first_in_markdown(text: str) -> str:
    """The same where the text stands first in its block."""
    plain = in_markdown(text)
    if plain.startswith(" "):  # indented text is code
        return f"&#32;{plain[1:]}"
    found = _FIRST.match(plain)
    return f"{plain[: found.end() - 1]}\\{plain[found.end() - 1 :]}" if found else plain


def code(text: str) -> str:
    """The text as a code span, which nothing in it can end (https://spec.commonmark.org/0.31.2/#code-spans)."""
    plain = one_line(text)
    runs = re.findall("`+", plain)
    if not runs:
        return f"`{plain}`" if plain.strip() else in_html(plain)
    fence = "`" * (max(map(len, runs)) + 1)
    return f"{fence} {plain} {fence}"
