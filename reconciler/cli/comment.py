"""`reconciler comment`: one comment on a pull or merge request, kept up to date."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reconciler.errors import ReconcilerError

from .exits import Exit

if TYPE_CHECKING:
    from reconciler.comments.sticky import Host

EXAMPLES = "Examples: reconciler comment --review review.json; reconciler comment --plan plan.json --number 42"


def run(
    plan: Annotated[Path | None, typer.Option("--plan", metavar="PLAN", help="A plan saved by plan --out.")] = None,
    review: Annotated[
        Path | None, typer.Option("--review", metavar="REVIEW", help="A review saved by review --format json.")
    ] = None,
    number: Annotated[
        int | None,
        typer.Option(
            "--number",
            metavar="N",
            min=1,
            show_default=False,
            help="The request. [default: the one that this run is for]",
        ),
    ] = None,
) -> int:
    """Create or update one comment with a plan or a review. For a pull request on GitHub (GITHUB_TOKEN) or a merge request on
    GitLab (GITLAB_TOKEN). Without a token, or with one that may not comment, it says where the summary is and exits with 0."""
    from reconciler.platforms.extras import needing

    with needing("comment", "", "commenting"):
        from reconciler.comments.sticky import Refused, marker, stick

    owner, what, text = _text(plan, review)
    try:
        with _host(number) as host:
            comment = stick(host, marker(owner, what), text)
    except Refused as error:
        typer.echo(f"no comment: {error}\n  {_elsewhere(text)}", err=True)
        return Exit.OK
    typer.echo(f"commented: {comment.where}" if comment.where else f"commented: note {comment.id}")
    return Exit.OK


def _text(plan: Path | None, review: Path | None) -> tuple[str, str, str]:
    """The spec's name, what the comment is about, and what it says."""
    if (plan is None) == (review is None):
        raise ReconcilerError("name one of --plan and --review")
    if review is not None:
        from reconciler.api.review import read_review
        from reconciler.render.review_markdown import markdown_of

        found = read_review(review)
        return found.owner, "review", markdown_of(found)
    from reconciler.api.plan_file import read_plan
    from reconciler.render.forms import render
    from reconciler.render.review_markdown import shortened

    assert plan is not None
    made = read_plan(plan)
    return made.owner, "plan", shortened(render(made, "markdown"))


def _host(number: int | None) -> Host:
    """Where the run is. Raises Refused without a token, and ReconcilerError where it is not known."""
    from reconciler.comments import github, gitlab
    from reconciler.comments.sticky import Refused

    environ = os.environ
    on_gitlab = bool(environ.get("GITLAB_CI"))
    name = "GITLAB_TOKEN" if on_gitlab else "GITHUB_TOKEN"
    token = environ.get(name)
    if not token:
        raise Refused(f"{name} is not set")
    return (gitlab.of_environment if on_gitlab else github.of_environment)(environ, number, token)


def _elsewhere(text: str) -> str:
    """Puts the text where it can be read without a comment, and says where."""
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    if summary:
        try:
            with open(summary, "a", encoding="utf-8") as file:
                file.write(text)
            return "it is in the job's summary instead"
        except OSError as error:
            return f"nor can the job's summary be written: {error.strerror}"
    typer.echo(text, nl=False)
    return "it is printed instead"
