"""Conditions of role assignments, in parts, for the tests of what they mean."""

from __future__ import annotations

from reconciler.platforms.azure.condition import DATA_ACTIONS, Names, meaning

BASE = "Microsoft.ContainerRegistry/registries/repositories"
NAME = f"@Request[{BASE}:name]"
READER = DATA_ACTIONS["Container Registry Repository Reader"]
WRITER = DATA_ACTIONS["Container Registry Repository Writer"]
CONTRIBUTOR = DATA_ACTIONS["Container Registry Repository Contributor"]
LISTER = DATA_ACTIONS["Container Registry Repository Catalog Lister"]
READ = f"{BASE}/content/read"


def names(*texts: str) -> Names:
    """Those that end with a slash are prefixes."""
    prefixes = {text for text in texts if text.endswith("/")}
    return Names(frozenset(texts) - prefixes, frozenset(prefixes))


def is_(name: str) -> str:
    return f"{NAME} StringEqualsIgnoreCase '{name}'"


def under(prefix: str) -> str:
    return f"{NAME} StringStartsWithIgnoreCase '{prefix}'"


def reading(expression: str) -> str:
    """A condition on reading content alone."""
    return f"((!(ActionMatches{{'{READ}'}})) OR ({expression}))"


def one(expression: str) -> Names | str | None:
    """For which repositories the expression lets content be read; `?` if it isn't understood."""
    found = meaning(reading(expression), [READ])
    return "?" if found is None else found[READ]
