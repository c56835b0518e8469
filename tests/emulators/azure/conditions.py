"""Whether the condition of a role assignment lets an action on a repository through: an evaluator of its own, written from
https://learn.microsoft.com/azure/role-based-access-control/conditions-format and .../conditions-role-assignments-portal.

`((!(ActionMatches{'a'}) AND !(ActionMatches{'b'})) OR (@Request[Microsoft.ContainerRegistry/registries/repositories:name]
StringEqualsIgnoreCase 'app-a'))`: an action that is named nowhere is not restricted by it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from fnmatch import fnmatchcase

_TOKEN = re.compile(
    r"\s*(?:(?P<word>AND|OR|NOT|&&|\|\||!|\(|\))|(?P<action>ActionMatches|SubOperationMatches)\s*\{\s*'(?P<pattern>[^']*)'\s*\}"
    r"|@(?P<source>\w+)\[(?P<attribute>[^\]]+)\]\s*(?P<operator>[A-Za-z:]+)\s*(?P<values>'(?:[^']|'')*'|\{[^}]*\}))",
)
NAME = "microsoft.containerregistry/registries/repositories:name"
_COMPARE: dict[str, Callable[[str, str], bool]] = {
    "stringequals": lambda found, said: found == said,
    "stringequalsignorecase": lambda found, said: found.lower() == said.lower(),
    "stringnotequals": lambda found, said: found != said,
    "stringnotequalsignorecase": lambda found, said: found.lower() != said.lower(),
    "stringstartswith": lambda found, said: found.startswith(said),
    "stringstartswithignorecase": lambda found, said: found.lower().startswith(said.lower()),
    "stringlike": lambda found, said: fnmatchcase(found, said),
}


class _Reader:
    def __init__(self, text: str, action: str, repository: str) -> None:
        self.tokens: list[re.Match[str]] = []
        at = 0
        text = text.strip()
        while at < len(text):
            found = _TOKEN.match(text, at)
            if found is None:
                raise ValueError(f"not understood: {text[at : at + 40]}")
            self.tokens.append(found)
            at = found.end()
            while at < len(text) and text[at].isspace():
                at += 1
        self.at, self.action, self.repository = 0, action, repository

    def word(self) -> str:
        found = self.tokens[self.at].group("word") if self.at < len(self.tokens) else None
        return {"&&": "AND", "||": "OR", "NOT": "!"}.get(found or "", found or "")

    def either(self) -> bool:
        value = self.both()
        while self.word() == "OR":
            self.at += 1
            value = self.both() or value
        return value

    def both(self) -> bool:
        value = self.one()
        while self.word() == "AND":
            self.at += 1
            value = self.one() and value
        return value

    def one(self) -> bool:
        word = self.word()
        if word == "!":
            self.at += 1
            return not self.one()
        if word == "(":
            self.at += 1
            value = self.either()
            if self.word() != ")":
                raise ValueError("a parenthesis is not closed")
            self.at += 1
            return value
        if self.at >= len(self.tokens) or word:
            raise ValueError("something is missing")
        token = self.tokens[self.at]
        self.at += 1
        if token["action"]:
            return token["action"] == "ActionMatches" and fnmatchcase(self.action.lower(), token["pattern"].lower())
        return self._compared(token)

    def _compared(self, token: re.Match[str]) -> bool:
        if token["source"].lower() not in ("request", "resource") or token["attribute"].lower() != NAME:
            raise ValueError(f"the attribute {token['attribute']} is not known here")
        operator = token["operator"].lower()
        quantifier, _, plain = operator.rpartition(":")
        if plain not in _COMPARE or quantifier not in ("", "foranyofanyvalues"):
            raise ValueError(f"the operator {token['operator']} is not known here")
        values = [item.replace("''", "'") for item in re.findall(r"'((?:[^']|'')*)'", token["values"])]
        return any(_COMPARE[plain](self.repository, value) for value in values)


def lets(condition: str, action: str, repository: str) -> bool:
    """Whether the condition is true. Raises ValueError for what is no condition, or not understood here."""
    reader = _Reader(condition, action, repository)
    value = reader.either()
    if reader.at < len(reader.tokens):
        raise ValueError("something is left over")
    return value
