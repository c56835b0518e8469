"""What a YAML parser's complaint most likely means, and what to do: its own words are about tokens. Pure."""

from __future__ import annotations

#: what a complaint of libyaml or pyyaml holds, and the advice
_ADVICE = (
    ("tab character", "indent with spaces"),
    ("found unexpected end of stream", "a quote isn't closed"),
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


def with_advice(reason: str, character: str) -> str:
    """The complaint and what to do about it. `character`: the one at its place, "" if there is none."""
    if "cannot start any token" in reason:
        if character == "\t":
            reason = "found a tab character"
        else:
            return f"found '{character}', which can't begin a value: quote the text"
    hint = next((advice for part, advice in _ADVICE if part in reason), "")
    return f"{reason}: {hint}" if hint else reason
