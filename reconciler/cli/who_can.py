"""`reconciler who-can`: who can pull or push what, by which grant. Reads files only."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from enum import StrEnum
from itertools import groupby
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reconciler.errors import ReconcilerError
from reconciler.words import did_you_mean, natural, one_line

from .exits import Exit
from .options import DEFAULT_SPEC, SpecArgument

if TYPE_CHECKING:
    from reconciler.engine.who_can import GivenBy
    from reconciler.model.access import Access
    from reconciler.spec.models import Spec

EXAMPLES = "Examples: reconciler who-can; reconciler who-can --verb push --repository 'payments*'"
#: what can be asked whether anybody may do it or not, and words in what people can do that are no verbs
_VERBS = ("change", "delete", "pull", "push")
_SMALL = frozenset({"and", "by", "copies", "from", "in", "into", "of", "or", "the", "to", "with"})
NOTE = "note: this is what the spec gives; `plan` and `drift` name what others gave on the platform"


class WhoFormat(StrEnum):
    """How access is printed."""

    TEXT = "text"
    JSON = "json"


def run(
    spec: SpecArgument = DEFAULT_SPEC,
    verb: Annotated[
        str | None, typer.Option("--verb", metavar="VERB", help="Only who can do this, such as pull or push.")
    ] = None,
    repository: Annotated[
        str | None,
        typer.Option(
            "--repository", metavar="GLOB", help="Only access to matching repositories, by NAME or REGISTRY/NAME."
        ),
    ] = None,
    principal: Annotated[
        str | None,
        typer.Option(
            "--principal",
            metavar="TEXT",
            help="Only principals with this in their name, account or ARN, and whoever they may be among: everyone, organizations.",
        ),
    ] = None,
    form: Annotated[WhoFormat, typer.Option("--format", help="The output format.")] = WhoFormat.TEXT,
) -> int:
    """Print who can pull or push what, and which grant gives it."""
    from reconciler.api.spec import load_spec
    from reconciler.engine.who_can import asked_as, chosen, who_can
    from reconciler.platforms.catalog import CATALOG

    loaded = load_spec(spec)
    _known(loaded, repository)
    given = who_can(loaded, CATALOG)
    _known_verb(verb, given)
    asked = asked_as(CATALOG, loaded, principal) if principal is not None else None
    if asked is None:
        _known_principal(principal, given)
    within = None if repository is None else _registries(loaded, repository)
    allowed = chosen(given, verb, repository, asked or principal)
    found = [item for item in allowed if within is None or item.access.registry in within]
    if form is WhoFormat.JSON:
        typer.echo(json.dumps([_plain(item) for item in found], indent=2))
    else:
        for line in lines(found):
            typer.echo(line)
    typer.echo(NOTE, err=True)
    return Exit.OK


def lines(found: Iterable[GivenBy]) -> Iterator[str]:
    """A paragraph for each registry, with a sentence for each principal and grant."""
    from reconciler.render.sentences import held

    registries: dict[str, list[GivenBy]] = {}
    for item in found:
        registries.setdefault(item.access.registry, []).append(item)
    if not registries:
        yield "Nobody."
    for number, (registry, items) in enumerate(sorted(registries.items())):
        if number:
            yield ""
        yield f"{registry}:"
        by_grant = groupby(sorted(items, key=lambda item: item.grant), key=lambda item: item.grant)
        said = (
            f"{one_line(sentence.text)} ({f'grant {grant}' if grant else 'the registry'})"
            for grant, some in by_grant
            for sentence in held(map(_in_words, some))
        )
        yield from (f"  {line}" for line in sorted(said, key=natural))


def _in_words(item: GivenBy) -> Access:
    return replace(item.access, repository="every repository") if item.access.repository == "*" else item.access


def _plain(item: GivenBy) -> dict[str, Any]:
    access = item.access
    return {
        "principal": access.principal.label,
        "native": item.native,
        "account": access.principal.account,
        "organization": access.principal.organization,
        "public": access.principal.public,
        "verb": access.verb,
        "registry": access.registry,
        "repository": access.repository,
        "where": access.where,
        "certain": not access.may,
        "note": access.note,
        "grant": item.grant,
    }


def _known_verb(verb: str | None, given: Iterable[GivenBy]) -> None:
    """Raises ReconcilerError for a verb that there is not: "Nobody." would look like an answer."""
    seen = {word for item in given for word in item.access.verb.split()} - _SMALL
    if verb is not None and verb not in {*_VERBS, *seen}:
        near = did_you_mean(verb, _VERBS)
        raise ReconcilerError(f"--verb {verb}: there is no such verb{near} (known: {', '.join(_VERBS)})")


def _known_principal(principal: str | None, given: list[GivenBy]) -> None:
    """Raises ReconcilerError for what is written as a platform writes it, and not as it is printed here: "Nobody." would look like an
    answer. Of a name that nobody has, it is one."""
    if principal is None or not set(principal) & set(":/"):
        return
    if not any(principal.casefold() in item.access.principal.label.casefold() for item in given):
        raise ReconcilerError(
            f"--principal {principal}: nobody is called like that here; give a part of a name as it is printed, such as 'role ci of"
            " account 123456789012', or an account"
        )


def _known(spec: Spec, repository: str | None) -> None:
    """Raises ReconcilerError for a repository that the spec does not have: "Nobody." would look like an answer."""
    if repository is not None and not _registries(spec, repository):
        near = did_you_mean(
            repository, {name for item in spec.repositories for name in (item.name, f"{item.registry}/{item.name}")}
        )
        raise ReconcilerError(f"--repository {repository}: the spec has no such repository{near}")


def _registries(spec: Spec, repository: str) -> set[str]:
    """The registries that have a repository of that name (a glob, or `REGISTRY/NAME`): what is given for all of another registry is
    no access to it."""
    from reconciler.engine.who_can import is_named

    return {item.registry for item in spec.repositories if is_named(repository, item.registry, item.name)}
