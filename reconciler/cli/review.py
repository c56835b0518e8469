"""`reconciler review`: what a change of the spec means. Reads files and git only."""

from __future__ import annotations

import os
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from reconciler.errors import ReconcilerError
from reconciler.words import all_of, did_you_mean

from .exits import Exit, told
from .options import DEFAULT_SPEC, SpecArgument

if TYPE_CHECKING:
    from reconciler.review.model import Review

EXAMPLES = "Examples: reconciler review --base origin/main; reconciler review --base old.yaml --fail-on destroys,widens"
EXITS = told(ok="reviewed", error="an error, or a registry that could not be reviewed with --strict", risk="--fail-on")


class ReviewFormat(StrEnum):
    """How a review is printed."""

    TEXT = "text"
    JSON = "json"
    MARKDOWN = "markdown"
    GITHUB = "github"
    GITLAB = "gitlab"
    SARIF = "sarif"


def run(
    spec: SpecArgument = DEFAULT_SPEC,
    base: Annotated[
        str,
        typer.Option(
            "--base",
            metavar="REF|PATH",
            help="What to compare with: a git ref, whose merge base with HEAD is taken, or the path of a spec.",
        ),
    ] = "origin/main",
    form: Annotated[ReviewFormat, typer.Option("--format", help="The output format.")] = ReviewFormat.TEXT,
    fail_on: Annotated[
        str,
        typer.Option(
            "--fail-on",
            metavar="RISKS",
            help="Exit with 5 if a change does one of these, separated by commas: destroys, widens, weakens, unmanaged, narrows,"
            " creates, cosmetic. What may do it counts too.",
        ),
    ] = "",
    env: Annotated[
        list[str] | None,
        typer.Option(
            "--env",
            metavar="NAME",
            help="Take this variable's value from the environment. Without it, what it stands for is unknown. Repeatable.",
        ),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 1 if a registry's platform is not in this build.")
    ] = False,
) -> int:
    """Print what a change of the spec means for access and data. Each finding is at the line that causes it. Needs no credentials and
    makes no calls."""
    from reconciler.api.review import review

    from .git_base import base_spec

    stopped = _risks(fail_on)
    with base_spec(base, spec) as found:
        made = review(
            found.path, spec, folder=found.folder, shown=found.shown, environ=_given(env), warnings=found.warnings
        )
    typer.echo(_printed(made, form, stopped), nl=False)
    if strict and made.unread:
        raise ReconcilerError(f"not reviewed: {all_of(sorted(made.unread))}")
    return Exit.RISK if stopped.intersection(risk.value for risk in made.verdict) else Exit.OK


def _given(names: list[str] | None) -> dict[str, str]:
    """The variables that are named, with their values. Raises ReconcilerError for one that is not set."""
    wanted = names or ()
    if missing := [name for name in wanted if name not in os.environ]:
        raise ReconcilerError(f"--env: {all_of(missing)} not set")
    return {name: os.environ[name] for name in wanted}


def _printed(made: Review, form: ReviewFormat, stopped: set[str]) -> str:
    if form is ReviewFormat.JSON:
        from reconciler.render.review_document import review_json

        return review_json(made)
    if form is ReviewFormat.MARKDOWN:
        from reconciler.render.review_markdown import review_markdown

        return review_markdown(made)
    if form is ReviewFormat.GITHUB:
        from reconciler.render.review_github import review_commands

        return review_commands(made, stopped)
    if form is ReviewFormat.GITLAB:
        from reconciler.render.review_gitlab import review_gitlab

        return review_gitlab(made)
    if form is ReviewFormat.SARIF:
        from reconciler.render.review_sarif import review_sarif

        return review_sarif(made)
    from reconciler.render.review import review_text

    return review_text(made)


def _risks(text: str) -> set[str]:
    """The risks of --fail-on. Raises ReconcilerError for words that are none."""
    from reconciler.review.model import Risk

    known = [risk.value for risk in Risk]
    words = [word.strip() for word in text.split(",") if word.strip()]
    if wrong := [word for word in words if word not in known]:
        lines = (
            f"--fail-on {word}: is no risk{did_you_mean(word, known)} (known: {', '.join(known)})" for word in wrong
        )
        raise ReconcilerError("\n".join(lines))
    return set(words)
