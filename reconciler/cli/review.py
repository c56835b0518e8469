"""`reconciler review`: what a change of the spec means. Reads files and git only."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reconciler.errors import Problem, ReconcilerError, SpecError
from reconciler.words import all_of, did_you_mean

from .exits import Exit, told
from .options import DEFAULT_SPEC, SpecArgument

if TYPE_CHECKING:
    from reconciler.review.document import ReviewDocument
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


#: what a host's pages show at the lines of the repository's files
_PLACED = (ReviewFormat.GITHUB, ReviewFormat.GITLAB, ReviewFormat.SARIF)


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
        str | None,
        typer.Option(
            "--fail-on",
            metavar="RISKS",
            help="Exit with 5 if a change does one of these, separated by commas: destroys, widens, weakens, unmanaged, narrows,"
            " creates, cosmetic. What may do it counts too. With guards: if guards or problems stop the plan.",
        ),
    ] = None,
    env: Annotated[
        list[str] | None,
        typer.Option(
            "--env",
            metavar="NAME",
            help="Take this variable's value from the environment. Without it, what it stands for is unknown. Repeatable.",
        ),
    ] = None,
    save: Annotated[
        list[str] | None,
        typer.Option(
            "--save", metavar="FORMAT=FILE", help="Write it to a file too, in this or another format. Repeatable."
        ),
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 1 if a registry's platform is not in this build.")
    ] = False,
) -> int:
    """Print what a change of the spec means for access and data. Each finding is at the line that causes it. Needs no credentials and
    makes no calls."""
    # two large specs are kept until the end, and would be looked through each time that garbage is collected
    collecting = gc.isenabled()
    gc.disable()
    try:
        return _run(spec, base, form, fail_on, env, save, strict=strict)
    finally:
        if collecting:
            gc.enable()


def _run(
    spec: Path,
    base: str,
    form: ReviewFormat,
    fail_on: str | None,
    env: list[str] | None,
    save: list[str] | None,
    *,
    strict: bool,
) -> int:
    from reconciler.api.review import faults, review
    from reconciler.render.review import GUARDS

    from .git_base import base_spec

    stopped = _risks(fail_on)
    environ = _given(env)
    files = _files(save)
    with base_spec(base, spec) as found:
        try:
            made = review(
                found.path, spec, folder=found.folder, shown=found.shown, environ=environ, warnings=found.warnings
            )
        except SpecError as error:
            where, wrong = found.path, error

            def unreadable(form: ReviewFormat) -> str:
                top = _top(spec, form)
                placed = SpecError([_placed(problem, top) for problem in wrong.problems]) if top else wrong
                return _unreadable(faults(placed, where, spec), form, spec, top)

            _save(files, unreadable)
            typer.echo(unreadable(form), nl=False)
            raise
    _save(files, lambda form: _printed(made, form, stopped, _top(spec, form)))
    typer.echo(_printed(made, form, stopped, _top(spec, form)), nl=False)
    if strict and made.unread:
        raise ReconcilerError(f"not reviewed: {all_of(sorted(made.unread))}")
    done = {risk.value for risk in made.verdict}
    if made.by_head or made.by_base or made.plan.problems:
        done.add(GUARDS)
    return Exit.RISK if stopped & done else Exit.OK


def _files(texts: list[str] | None) -> list[tuple[ReviewFormat, Path]]:
    """The files of --save, each with its format. Raises ReconcilerError for what names none."""
    found = []
    for text in texts or ():
        name, _, file = text.partition("=")
        if name not in list(ReviewFormat) or not file:
            known = ", ".join(ReviewFormat)
            raise ReconcilerError(
                f"--save {text}: write a format, = and a file, such as json=review.json (formats: {known})"
            )
        found.append((ReviewFormat(name), Path(file)))
    return found


def _save(files: list[tuple[ReviewFormat, Path]], written: Callable[[ReviewFormat], str]) -> None:
    """Writes each file. Raises ReconcilerError for one that can't be written."""
    for form, path in files:
        try:
            path.write_text(written(form), encoding="utf-8")
        except OSError as error:
            raise ReconcilerError(f"--save: {path} can't be written: {error.strerror}") from None


def _given(names: list[str] | None) -> dict[str, str]:
    """The variables that are named, with their values. Raises ReconcilerError for one that is not set, and for what is no name."""
    wanted = names or ()
    for name in wanted:
        if "=" in name:
            raise ReconcilerError(
                f"--env {name.partition('=')[0]}=…: write the name alone; its value is taken from the environment"
            )
        if "," in name or not name.strip():
            options = " ".join(f"--env {part.strip()}" for part in name.split(",") if part.strip())
            raise ReconcilerError(
                f"--env {name}: takes one name; repeat it for more{f': {options}' if options else ''}"
            )
    if missing := [name for name in wanted if name not in os.environ]:
        raise ReconcilerError(f"--env: {all_of(missing)} not set")
    return {name: os.environ[name] for name in wanted}


def _top(spec: Path, form: ReviewFormat) -> str:
    """The folder that the places of a form are relative to; "" for a form whose places are as the spec was given."""
    if form not in _PLACED or str(spec) == "-":
        return ""
    from reconciler.render.review_places import top_of

    from .git_base import root_of

    return top_of(root_of(spec), str(spec), os.environ)


def _placed(problem: Problem, top: str) -> Problem:
    from reconciler.render.review_places import in_folder

    return problem if problem.file.startswith("base ") else replace(problem, file=in_folder(problem.file, top))


def _printed(made: Review, form: ReviewFormat, stopped: set[str], top: str) -> str:
    if top:
        from reconciler.render.review_places import placed

        made = placed(made, top)
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


def _unreadable(made: ReviewDocument, form: ReviewFormat, spec: Path, top: str) -> str:
    """What a form says of a spec that can't be read; nothing for people at a terminal, who read the error."""
    from reconciler.places import Spot
    from reconciler.render.review_places import in_folder

    spot = Spot(in_folder(str(spec), top) if top else str(spec), 1, 1)
    if form is ReviewFormat.JSON:
        from reconciler.render.review_document import document_json

        return document_json(made)
    if form is ReviewFormat.MARKDOWN:
        from reconciler.render.review_markdown import markdown_of

        return markdown_of(made)
    if form is ReviewFormat.GITHUB:
        from reconciler.render.review_github import unreadable_commands

        return unreadable_commands(made)
    if form is ReviewFormat.GITLAB:
        from reconciler.render.review_gitlab import unreadable_gitlab

        return unreadable_gitlab(made, spot)
    if form is ReviewFormat.SARIF:
        from reconciler.render.review_sarif import unreadable_sarif

        return unreadable_sarif(made, spot)
    return ""


def _risks(text: str | None) -> set[str]:
    """The risks of --fail-on, and `guards`. Raises ReconcilerError for words that are none, and for no word at all."""
    from reconciler.render.review import GUARDS
    from reconciler.review.model import Risk

    if text is None:
        return set()
    known = [*(risk.value for risk in Risk), GUARDS]
    words = [word.strip() for word in text.split(",") if word.strip()]
    if not words:
        raise ReconcilerError("--fail-on is empty; name risks, such as destroys,widens, or leave it out")
    if wrong := [word for word in words if word not in known]:
        lines = (
            f"--fail-on {word}: is no risk{did_you_mean(word, known)} (known: {', '.join(known)})" for word in wrong
        )
        raise ReconcilerError("\n".join(lines))
    return set(words)
