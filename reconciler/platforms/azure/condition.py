"""The condition of a role assignment that limits it to repositories of an Azure Container Registry. Pure.

The language: https://learn.microsoft.com/azure/role-based-access-control/conditions-format
What a registry makes of it: https://learn.microsoft.com/azure/container-registry/container-registry-rbac-abac-repository-permissions
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import NamedTuple

_REPOSITORIES = "Microsoft.ContainerRegistry/registries/repositories"
#: where the name of a repository is looked for; the registry's page shows no other source, so `@Resource[...]` isn't taken for it
_NAME = f"@Request[{_REPOSITORIES}:name]"

_READ = (f"{_REPOSITORIES}/content/read", f"{_REPOSITORIES}/metadata/read")
_WRITE = (f"{_REPOSITORIES}/content/write", f"{_REPOSITORIES}/metadata/write")
_DELETE = (f"{_REPOSITORIES}/content/delete", f"{_REPOSITORIES}/metadata/delete")
#: Sorted. A condition must name each of these, since it restricts only what it names:
#: https://learn.microsoft.com/azure/role-based-access-control/conditions-troubleshoot
DATA_ACTIONS: Mapping[str, tuple[str, ...]] = {
    # https://www.azadvertizer.net/azrolesadvertizer/b93aa761-3e63-49ed-ac28-beffa264f7ac.html
    "Container Registry Repository Reader": _READ,
    # as conditions for it name them; its definition has not been read
    "Container Registry Repository Writer": tuple(sorted(_READ + _WRITE)),
    # https://azure-rbac-catalog.org/roles/2efddaa5-3f1f-4df3-97df-af3f13818f4c/container-registry-repository-contributor
    "Container Registry Repository Contributor": tuple(sorted(_READ + _WRITE + _DELETE)),
    # no condition is for it, as the registry's page says; its definition has not been read
    "Container Registry Repository Catalog Lister": ("Microsoft.ContainerRegistry/registries/catalog/read",),
}

#: How long a condition may be. "4 KB" in the FAQ of 2021-05-03, "8 KB" in those of 2023-05-09 and 2025-02-26, all of
#: https://github.com/MicrosoftDocs/azure-docs/blob/main/articles/role-based-access-control/conditions-faq.md; no answer of the
#: service has been seen, so it is the smaller.
MAX = 4096

#: What names are made of: https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests. No escape of
#: a quote in a condition's text is documented, so a text with anything else is neither written nor understood.
_TEXT = re.compile(r"[A-Za-z0-9._/-]+")
# no group is possessive: Python before 3.11.5 loses its place in one (https://github.com/python/cpython/issues/106052)
_SPACE = r"[ \t\r\n]*+"
_VALUE = r"'[A-Za-z0-9._/*-]++'"
_TOKEN = re.compile(
    rf"""{_SPACE}(?:
    (?P<open>\() | (?P<close>\)) | (?P<not>! | NOT\b) | (?P<and>&& | AND\b) | (?P<or>\|\| | OR\b)
    | ActionMatches{_SPACE}\{{{_SPACE}(?P<action>{_VALUE}){_SPACE}\}}
    | {re.escape(_NAME)}{_SPACE}(?:
        (?P<one>StringEqualsIgnoreCase | StringStartsWithIgnoreCase | StringLikeIgnoreCase)\b{_SPACE}(?P<value>{_VALUE})
        | ForAnyOfAnyValues:(?P<any>StringEqualsIgnoreCase | StringLikeIgnoreCase)\b{_SPACE}
            \{{{_SPACE}(?P<values>{_VALUE}(?:{_SPACE},{_SPACE}{_VALUE})*){_SPACE}\}}
    )){_SPACE}""",
    re.VERBOSE,
)


def _on_repositories(action: str) -> bool:
    """Whether the action is one on a repository, so that it comes with a name."""
    return action.startswith(f"{_REPOSITORIES}/") and _TEXT.fullmatch(action) is not None


def _plain(text: str) -> str:
    """The text as Azure compares it without case; beyond ASCII it isn't known how that is done, and no repository is named so."""
    return text.lower() if text.isascii() else text


def _outermost(prefixes: Iterable[str]) -> tuple[str, ...]:
    """The prefixes that no other one covers, sorted."""
    found: list[str] = []
    for prefix in sorted(prefixes):  # what a prefix covers comes right behind it
        if not (found and prefix.startswith(found[-1])):
            found.append(prefix)
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Names:
    """Repositories: exact names and prefixes that end with a slash; compared without case, as Azure compares them.

    Kept in lower case and without what a prefix covers anyway, so two are equal if they mean the same repositories.

    Raises:
        ValueError: a prefix does not end with a slash, so it covers more than one folder's repositories.
    """

    exact: frozenset[str]
    prefixes: frozenset[str]

    def __post_init__(self) -> None:
        for prefix in self.prefixes:
            if not prefix.endswith("/"):
                raise ValueError(f"the prefix {prefix!r} does not end with a slash")
        prefixes = _outermost(map(_plain, self.prefixes))
        exact = frozenset(name for name in map(_plain, self.exact) if not name.startswith(prefixes))
        object.__setattr__(self, "prefixes", frozenset(prefixes))
        object.__setattr__(self, "exact", exact)

    def covers(self, repository: str) -> bool:
        """Whether the repository is one of them."""
        name = _plain(repository)
        return name in self.exact or name.startswith(tuple(self.prefixes))

    def within(self, other: Names) -> bool:
        """Whether all of them, also those that don't exist yet, are among the other ones."""
        prefixes = tuple(other.prefixes)
        return all(map(other.covers, self.exact)) and all(prefix.startswith(prefixes) for prefix in self.prefixes)


def size(condition: str) -> int:
    """The size to compare with MAX: bytes of UTF-8. The sources say KB and not of what; what is written here is ASCII."""
    return len(condition.encode(errors="surrogatepass"))


def written(names: Names, actions: Sequence[str]) -> str:
    """The condition, version 2.0, that lets these actions through for these repositories alone.

    It names every action, sorted; the same names and actions give the same text. Repositories are compared one by one, as on
    the registry's page: `ForAnyOfAnyValues:StringEqualsIgnoreCase` would be shorter, but nothing shows that a registry takes it.

    Raises:
        ValueError: there is no repository or no action, a name has a character that no repository's has, or an action is
            not one on repositories, so no condition on their names is for it.
    """
    if not actions or names == Names(frozenset(), frozenset()):
        raise ValueError("a condition needs an action and a repository")
    if others := [action for action in actions if not _on_repositories(action)]:
        raise ValueError(f"{others[0]!r} is not an action on repositories")
    if others := sorted(name for name in names.exact | names.prefixes if not _TEXT.fullmatch(name)):
        raise ValueError(f"{others[0]!r} can't be the name of a repository")
    named = " AND ".join(f"!(ActionMatches{{'{action}'}})" for action in sorted(set(actions)))
    compared = [f"{_NAME} StringEqualsIgnoreCase '{name}'" for name in sorted(names.exact)]
    compared += [f"{_NAME} StringStartsWithIgnoreCase '{prefix}'" for prefix in sorted(names.prefixes)]
    return f"(({named}) OR ({' OR '.join(compared)}))"


def meaning(condition: str, actions: Sequence[str]) -> Mapping[str, Names | None] | None:
    """For each of the actions, for which repositories the condition, version 2.0, lets it through.

    None as a value: for all, as for an action that the condition does not name. No names and no prefixes: for none.
    None as a whole: it says what is not understood here, so nothing may be concluded. That is another operator, attribute or
    function than those of `written`, ActionMatches with wildcards, `ForAnyOfAnyValues` and a StringLikeIgnoreCase that ends
    with `/*` or has no wildcard; a prefix without its slash; all repositories but some; AND beside OR without the
    parentheses that Azure asks for; an ActionMatches that fits an action only without case; a text that is no condition, or none.
    The operators that mind the case (StringEquals, StringStartsWith, StringLike) are not understood either: they let less
    through than those without case, so they must never be called equal to them.
    """
    steps = _steps(condition)
    if steps is None:
        return None
    parts = _Parts(steps)
    found: dict[str, Names | None] = {}
    for action in actions:
        true = _true(steps, action, parts)
        names = parts.names(true) if true is not None and _on_repositories(action) else None
        if names is None and true != parts.all:
            return None
        found[action] = names
    return found


class _Compared(NamedTuple):
    """A comparison of the repository's name: it is one of these, or begins with one of these; in lower case."""

    exact: frozenset[str]
    prefixes: frozenset[str]


class _Action(NamedTuple):
    """A comparison of the action with a pattern, in which * is any text."""

    pattern: str


def _fits(pattern: str, text: str) -> bool:
    """Whether the text is what the pattern says; it is read once, whatever the pattern is."""
    first, *others = pattern.split("*")
    if not others:
        return pattern == text
    at = len(first)
    for part in others[:-1]:
        found = text.find(part, at)
        if found < 0:
            return False
        at = found + len(part)
    return text.startswith(first) and text.endswith(others[-1]) and len(text) - at >= len(others[-1])


def _compared(operator: str, values: str) -> _Compared:
    """What the operator says of the quoted values."""
    texts = frozenset(re.findall(r"'([^']*)'", values.lower()))
    if operator == "StringStartsWithIgnoreCase":
        return _Compared(frozenset(), texts)
    folders = frozenset(text for text in texts if text.endswith("/*") and operator == "StringLikeIgnoreCase")
    return _Compared(texts - folders, frozenset(text[:-1] for text in folders))


#: a comparison, or `not`, `and` or `or` of what the steps before it gave
_Step = _Action | _Compared | str


def _steps(condition: str) -> list[_Step] | None:
    """The condition with each operation behind what it is done to; None if it isn't understood.

    A loop with a list of its own, since a condition may have more parentheses than Python has room for calls.
    """
    steps: list[_Step] = []
    outer: list[tuple[str, bool]] = []
    # how the parts of this group are joined, whether what comes next is negated, whether there is something to join
    joined, negated, complete, at = "", False, False, 0
    while at < len(condition):
        token = _TOKEN.match(condition, at)
        if token is None:
            return None
        at, kind = token.end(), token.lastgroup
        if complete != (kind in ("and", "or", "close")):
            return None
        match kind:
            case "and" | "or" if joined in ("", kind):
                joined, complete = kind, False
                continue
            case "not":
                negated = not negated
                continue
            case "open":
                outer.append((joined, negated))
                joined, negated = "", False
                continue
            case "close" if outer:
                joined, negated = outer.pop()
            case "action":
                steps.append(_Action(token["action"][1:-1]))
            case "value" | "values":
                steps.append(_compared(token["one"] or token["any"], token["value"] or token["values"]))
            case _:
                return None
        if negated:
            steps.append("not")
        if joined:
            steps.append(joined)
        negated, complete = False, True
    # no name has a *: with StringLikeIgnoreCase it is for any text, and what it then means can't be said with Names
    starred = any("*" in text for step in steps if isinstance(step, _Compared) for text in step.exact | step.prefixes)
    return steps if complete and not outer and not starred else None


class _Parts:
    """All names that there can be, in parts within which a condition can't tell one from another: a bit for each part.

    A part is a name that the condition has, or whatever else begins with one of its prefixes and with no longer one of them.
    """

    def __init__(self, steps: Iterable[_Step]) -> None:
        compared = [step for step in steps if isinstance(step, _Compared)]
        exact = {(name, False) for step in compared for name in step.exact}
        # the empty prefix is for whatever begins with no other
        self._parts = sorted(
            {("", True)}.union(exact, *([(text, True) for text in step.prefixes] for step in compared))
        )
        self.all = self._below("")

    def _below(self, prefix: str) -> int:
        """The parts whose names begin with the prefix."""
        first, end = (bisect_left(self._parts, (text, False)) for text in (prefix, f"{prefix}\uffff"))
        return (1 << end) - (1 << first)

    def true(self, compared: _Compared) -> int:
        """The parts for which the comparison is true."""
        bits = [1 << bisect_left(self._parts, (name, False)) for name in compared.exact]
        return reduce(or_, bits + [self._below(prefix) for prefix in compared.prefixes], 0)

    def names(self, parts: int) -> Names | None:
        """The parts as names and prefixes; None if they can't be said so."""
        true = [part for index, part in enumerate(self._parts) if parts >> index & 1]
        prefixes = frozenset(_outermost(text for text, is_prefix in true if is_prefix))
        if any(not prefix.endswith("/") or self._below(prefix) & ~parts for prefix in prefixes):
            return None
        return Names(frozenset(text for text, is_prefix in true if not is_prefix), prefixes)


def _true(steps: Iterable[_Step], action: str, parts: _Parts) -> int | None:
    """The parts for which the condition is true of the action; None if that isn't known."""
    done: list[int] = []
    for step in steps:
        if isinstance(step, _Compared):
            done.append(parts.true(step))
        elif isinstance(step, _Action):
            fits = _fits(step.pattern, action)
            if fits != _fits(step.pattern.lower(), action.lower()):
                return None  # whether case matters here is documented nowhere
            done.append(parts.all if fits else 0)
        elif step == "not":
            done.append(parts.all & ~done.pop())
        else:
            right = done.pop()
            done.append(done.pop() & right if step == "and" else done.pop() | right)
    return done.pop()
