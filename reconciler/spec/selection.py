"""Which names a list of names and globs selects. Pure."""

from __future__ import annotations

import re
from bisect import bisect_left
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
    """The names that the patterns select, each once; `names` are sorted, `exact` is the set of them; no patterns select all."""
    if patterns is None:
        yield from names
        return
    chosen = {pattern for pattern in patterns if pattern in exact}
    yield from sorted(chosen)
    globs = [pattern for pattern in patterns if is_glob(pattern)]
    if globs:
        found = {name for pattern in globs for name in _matching(pattern, names)} - chosen
        yield from sorted(found)


def _matching(pattern: str, names: Sequence[str]) -> Iterator[str]:
    """Those of the sorted names that match: only what begins as the pattern does need be looked at."""
    start = _GLOB.split(pattern, maxsplit=1)[0]
    match = re.compile(translate(pattern)).match
    for index in range(bisect_left(names, start), len(names)):
        name = names[index]
        if not name.startswith(start):
            return
        if match(name):
            yield name
