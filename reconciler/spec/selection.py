"""Which names a list of names and globs selects. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from fnmatch import fnmatchcase, translate

_GLOB = re.compile(r"[*?\[]")


def is_glob(pattern: str) -> bool:
    """Whether the pattern can match more than its own text."""
    return _GLOB.search(pattern) is not None


def matches_any(name: str, patterns: Collection[str]) -> bool:
    """Whether the name is one of the patterns, or matches a glob among them."""
    return any(name == pattern or fnmatchcase(name, pattern) for pattern in patterns)


def covered(patterns: Sequence[str] | None, names: Sequence[str], exact: Collection[str]) -> Iterator[str]:
    """The names that the patterns select, each once; `exact` is the set of names; no patterns select all."""
    if patterns is None:
        yield from names
        return
    chosen = {pattern for pattern in patterns if pattern in exact}
    globs = [re.compile(translate(pattern)) for pattern in patterns if is_glob(pattern)]
    yield from sorted(chosen)
    if globs:
        yield from (name for name in names if name not in chosen and any(glob.match(name) for glob in globs))
