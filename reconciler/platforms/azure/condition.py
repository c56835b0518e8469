"""The condition of a role assignment: which repositories its role is for. Pure.

https://learn.microsoft.com/azure/role-based-access-control/conditions-format, and for repositories
https://learn.microsoft.com/azure/container-registry/container-registry-rbac-abac-repository-permissions
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

#: characters: 4 KB in the only edition of the conditions FAQ that says a number (2021)
MAX = 4096
_NAME = "Microsoft.ContainerRegistry/registries/repositories:name"
#: deeper than any condition that somebody writes; a text of parentheses alone must not end the program
_DEEPEST = 50
_SPACE = re.compile(r"\s*")
_TOKEN = re.compile(
    r"(?P<word>&&|\|\||!|\(|\)|AND\b|OR\b|NOT\b)"
    r"|ActionMatches\s*\{\s*'(?P<action>[^']*)'\s*\}"
    r"|@Request\s*\[(?P<attribute>[^\]]+)\]\s*(?P<operator>[A-Za-z:]+)\s*(?P<values>'(?:[^']|'')*'|\{[^}]*\})",
    re.IGNORECASE,
)
_VALUE = re.compile(r"'((?:[^']|'')*)'")
_WORDS = {"&&": "AND", "||": "OR", "!": "NOT"}


@dataclass(frozen=True, slots=True)
class Names:
    """Repositories: exact names, and beginnings of names that end with a slash. In lower case, since Azure compares them without
    case."""

    exact: frozenset[str] = frozenset()
    prefixes: frozenset[str] = frozenset()

    def covers(self, repository: str) -> bool:
        """Whether a repository is one of them."""
        name = repository.lower()
        return name in self.exact or any(name.startswith(prefix) for prefix in self.prefixes)

    def within(self, other: Names) -> bool:
        """Whether all of them are among others."""
        return all(map(other.covers, (*self.exact, *self.prefixes)))

    def __or__(self, other: Names) -> Names:
        return Names(self.exact | other.exact, self.prefixes | other.prefixes)


#: what a part of a condition is for one action: true, false, true for some repositories, or not understood
_Value = bool | Names | None


def written(names: Names, actions: Sequence[str]) -> str:
    """The condition, of version 2.0, that lets these actions through for these repositories alone.

    It names every action: one that a condition does not name is not restricted by it
    (https://learn.microsoft.com/azure/role-based-access-control/conditions-troubleshoot). In the form that the registry's page shows.
    """
    others = " AND ".join(f"!(ActionMatches{{'{action}'}})" for action in sorted(actions))
    where = [f"@Request[{_NAME}] StringEqualsIgnoreCase '{name}'" for name in sorted(names.exact)]
    where += [f"@Request[{_NAME}] StringStartsWithIgnoreCase '{prefix}'" for prefix in sorted(names.prefixes)]
    return f"(({others}) OR ({' OR '.join(where)}))"


def size(condition: str) -> int:
    """Its size as Azure counts it, in characters."""
    return len(condition)


def meaning(condition: str, actions: Sequence[str]) -> Mapping[str, Names | None] | None:
    """For each of the actions, for which repositories a condition lets it through; None: for all.

    None as a whole: it says what is not understood here (another attribute or operator, or names compared with their case, which
    gives less than ours), so that nothing may be concluded.
    """
    reader = _Reader.of(condition)
    if reader is None:
        return None
    found: dict[str, Names | None] = {}
    for action in actions:
        value = reader.value(action)
        if value is None:
            return None
        found[action] = None if value is True else Names() if value is False else value
    return found


class _Reader:
    """Reads a condition from its left to its right, once for each action."""

    def __init__(self, tokens: list[re.Match[str]]) -> None:
        self._tokens = tokens
        self._at = 0
        self._deep = 0
        self._action = ""

    @classmethod
    def of(cls, text: str) -> _Reader | None:
        """A reader of the text; None if it has what no condition here has."""
        tokens, at, end = [], 0, len(text)
        while at < end:
            space = _SPACE.match(text, at)
            at = space.end() if space is not None else at
            if at == end:
                break
            token = _TOKEN.match(text, at)
            if token is None:
                return None
            tokens.append(token)
            at = token.end()
        return cls(tokens)

    def value(self, action: str) -> _Value:
        """What the condition is for an action."""
        self._at, self._deep, self._action = 0, 0, action
        try:
            found = self._either()
        except ValueError:
            return None
        return found if self._at == len(self._tokens) else None

    def _word(self) -> str:
        if self._at >= len(self._tokens):
            return ""
        said = (self._tokens[self._at]["word"] or "").upper()
        return _WORDS.get(said, said)

    def _either(self) -> _Value:
        found = self._both()
        while self._word() == "OR":
            self._at += 1
            found = _or(found, self._both())
        return found

    def _both(self) -> _Value:
        found = self._one()
        while self._word() == "AND":
            self._at += 1
            found = _and(found, self._one())
        return found

    def _one(self) -> _Value:
        word = self._word()
        self._deep += 1
        if self._deep > _DEEPEST:
            raise ValueError("it is nested too deeply")
        try:
            if word == "NOT":
                self._at += 1
                inner = self._one()
                return not inner if isinstance(inner, bool) else None
            if word == "(":
                self._at += 1
                found = self._either()
                if self._word() != ")":
                    raise ValueError("a parenthesis is not closed")
                self._at += 1
                return found
            if word or self._at >= len(self._tokens):
                raise ValueError("something is missing")
        finally:
            self._deep -= 1
        token = self._tokens[self._at]
        self._at += 1
        if token["action"] is not None:
            return fnmatchcase(self._action.lower(), token["action"].lower())
        return _compared(token)


def _or(one: _Value, other: _Value) -> _Value:
    if one is True or other is True:
        return True
    if one is None or other is None:
        return None
    if isinstance(one, Names) and isinstance(other, Names):
        return one | other
    return one or other


def _and(one: _Value, other: _Value) -> _Value:
    if one is False or other is False:
        return False
    if one is None or other is None:
        return None
    if isinstance(one, Names) and isinstance(other, Names):
        return one if one == other else None
    return other if one is True else one


def _compared(token: re.Match[str]) -> _Value:
    """For which names a comparison is true; None for any but ours."""
    if token["attribute"].strip().lower() != _NAME.lower():
        return None
    operator = token["operator"].lower().removeprefix("foranyofanyvalues:")
    values = frozenset(found.replace("''", "'").lower() for found in _VALUE.findall(token["values"]))
    if operator == "stringequalsignorecase":
        return Names(exact=values)
    if operator == "stringstartswithignorecase" and all(value.endswith("/") for value in values):
        return Names(prefixes=values)
    return None
