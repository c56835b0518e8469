"""What a `WWW-Authenticate` header asks for. https://www.rfc-editor.org/rfc/rfc9110#section-11.6.1"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

_WORD = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_SKIPPED = re.compile(r"[ \t,]*")
_PARAMETER = re.compile(rf'({_WORD})[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|({_WORD}))(?=[ \t,]|\Z)')
#: a scheme ends where nothing else can follow
_SCHEME = re.compile(rf"({_WORD})(?=[ \t]|,|\Z)")
_TOKEN68 = re.compile(r"[ \t]+([A-Za-z0-9._~+/-]+=*)(?=[ \t]*(?:,|\Z))")
_ESCAPED = re.compile(r"\\(.)")


@dataclass(frozen=True, slots=True)
class Challenge:
    """One way to log in. `scheme` and the names of parameters are in small letters: both are compared without case."""

    scheme: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    token: str = ""


def challenges(headers: Iterable[str]) -> tuple[Challenge, ...]:
    """What the values of all such headers of an answer ask for, in their order. Pure.

    Where a header stops to be one by the grammar, what stands before that counts, and what is behind it does not.
    """
    return tuple(found for header in headers for found in _of(header))


def _of(header: str) -> Iterable[Challenge]:
    at, scheme, token = 0, "", ""
    parameters: dict[str, str] = {}
    while True:
        at = _end(_SKIPPED.match(header, at), at)
        if scheme and (found := _PARAMETER.match(header, at)):
            name, quoted, plain = found.groups()
            # the first counts: https://www.rfc-editor.org/rfc/rfc9110#section-11.2 wants each once
            parameters.setdefault(name.lower(), plain if plain is not None else _ESCAPED.sub(r"\1", quoted))
            at = found.end()
            continue
        if scheme:
            yield Challenge(scheme, parameters, token)
        named = _SCHEME.match(header, at)
        if named is None:
            return
        scheme, token, parameters, at = named.group(1).lower(), "", {}, named.end()
        if (alone := _TOKEN68.match(header, at)) is not None:
            token, at = alone.group(1), alone.end()


def _end(found: re.Match[str] | None, at: int) -> int:
    return at if found is None else found.end()
