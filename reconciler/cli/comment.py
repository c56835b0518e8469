"""`reconciler comment`: one comment on a pull or merge request, kept up to date."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reconciler.errors import ReconcilerError
from reconciler.words import one_line

from .exits import Exit

if TYPE_CHECKING:
    from reconciler.comments.sticky import Host

EXAMPLES = "Examples: reconciler comment --review review.json; reconciler comment --plan plan.json --number 42"
#: said above what a run has left that whoever opened the request can change
UNTRUSTED = (
    "_Made by the run of this pull request itself. Who opened it can change what that run does and leaves, so this is a help for"
    " reading the change and no proof._\n\n"
)
_TAG = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")
_TOKEN = re.compile(r"[!-~]+")
_COMMIT = re.compile(r"[0-9a-fA-F]{7,64}")
#: characters of a commit that are shown; hosts make a link of them
_SHORT = 10


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
    tag: Annotated[
        str | None,
        typer.Option(
            "--tag", metavar="NAME", help="What the comment is known by. [default: the spec's name]", show_default=False
        ),
    ] = None,
    commit: Annotated[
        str | None,
        typer.Option(
            "--commit",
            metavar="SHA",
            help="The commit that the comment names. [default: the one that this run is for]",
            show_default=False,
        ),
    ] = None,
    untrusted: Annotated[
        bool, typer.Option("--untrusted", help="Say that the request's own run has made it, which can be changed.")
    ] = False,
    job_summary: Annotated[
        bool, typer.Option("--job-summary", help="Add the same to the job's summary on GitHub.")
    ] = False,
) -> int:
    """Create or update one comment with a plan or a review. For a pull request on GitHub (GITHUB_TOKEN) or a merge request on
    GitLab (GITLAB_TOKEN). Without a token, or with one that may not comment, it says where the summary is and exits with 0."""
    from reconciler.platforms.extras import needing

    with needing("comment", "", "commenting"):
        from reconciler.comments.sticky import Refused, marker, stick

    if tag is not None and not _TAG.fullmatch(tag):
        raise ReconcilerError("--tag: takes letters, digits, dots, dashes and underscores, at most 40 of them")
    found = _commit(commit, os.environ)
    owner, what, text = _text(plan, review)
    text = _framed(text, found, untrusted=untrusted)
    there = job_summary and _in_summary(text)
    # no spec's name has an =
    mark = marker(owner if tag is None else f"tag={tag}", what)
    needed = ""
    try:
        with _host(number) as host:
            needed = f"; a comment needs {host.needs}"
            comment = stick(host, mark, text)
    except Refused as error:
        _say(f"no comment: {error}{needed}", err=True)
        _say(f"  {_elsewhere(text, there=there)}", err=True)
        return Exit.OK
    except ReconcilerError as error:
        raise ReconcilerError(f"no comment: {error}\n  {_elsewhere(text, there=there)}") from None
    except Exception:  # whatever nobody foresaw is said below; the text must not go with it
        _say(f"no comment: {_elsewhere(text, there=there)}", err=True)
        raise
    _say(f"commented: {comment.where or f'note {comment.id}'}")
    return Exit.OK


def _say(text: str, *, err: bool = False) -> None:
    """Prints a line with what a host says in it, which neither ends the line nor is a command to the runner."""
    from reconciler.render.escapes import no_command

    typer.echo(no_command(one_line(text)), err=err)


def _text(plan: Path | None, review: Path | None) -> tuple[str, str, str]:
    """The spec's name, what the comment is about, and what it says."""
    if (plan is None) == (review is None):
        raise ReconcilerError("name one of --plan and --review")
    if review is not None:
        from reconciler.api.review import read_review
        from reconciler.render.review_markdown import markdown_of

        with _kind_said(review, "review"):
            found = read_review(review)
        return found.owner, "review", markdown_of(found)
    from reconciler.api.plan_file import read_plan
    from reconciler.render.forms import render
    from reconciler.render.review_markdown import shortened

    assert plan is not None
    with _kind_said(plan, "plan"):
        made = read_plan(plan)
    return made.owner, "plan", shortened(render(made, "markdown"))


@contextmanager
def _kind_said(path: Path, wanted: str) -> Iterator[None]:
    """Raises another ReconcilerError for a file that can't be read since it is empty, or the other one of the two."""
    try:
        yield
    except ReconcilerError:
        _look(path, wanted)
        raise


def _look(path: Path, wanted: str) -> None:
    try:
        data = path.read_bytes() if path.is_file() else b"{}"
        document = json.loads(data) if data.strip() else None
    except (OSError, ValueError, RecursionError):
        return
    if document is None:
        raise ReconcilerError(f"{path} is empty: no {wanted} was made; what should have made it has printed why")
    keys = document.keys() if isinstance(document, dict) else set[str]()
    if wanted == "plan" and {"verdict", "findings"} <= keys:
        raise ReconcilerError(f"{path} is a review and no plan; use --review {path}")
    if wanted == "review" and "changes" in keys:
        raise ReconcilerError(f"{path} is a plan and no review; use --plan {path}")


def _commit(given: str | None, environ: Mapping[str, str]) -> str:
    """The commit that is named, or that the run is for; "" if neither. Raises ReconcilerError for what is no commit."""
    from reconciler.comments import github, gitlab

    if given is not None:
        if not _COMMIT.fullmatch(given):
            raise ReconcilerError("--commit: takes a commit's hash, 7 to 64 hexadecimal digits")
        return given
    found = (gitlab.commit if _on_gitlab(environ) else github.commit)(environ)
    return found if _COMMIT.fullmatch(found) else ""


def _framed(text: str, commit: str, *, untrusted: bool) -> str:
    """The text with what it is of: whose word it is above, and the commit below."""
    end = "" if text.endswith("\n") else "\n"
    below = f"{end}\nThis is about commit {commit[:_SHORT].lower()}.\n" if commit else ""
    return f"{UNTRUSTED if untrusted else ''}{text}{below}"


def _on_gitlab(environ: Mapping[str, str]) -> bool:
    return bool(environ.get("GITLAB_CI"))


def _host(number: int | None) -> Host:
    """Where the run is. Raises Refused without a token, and ReconcilerError where it is not known."""
    from reconciler.comments import github, gitlab
    from reconciler.comments.sticky import Refused

    environ = os.environ
    name = "GITLAB_TOKEN" if _on_gitlab(environ) else "GITHUB_TOKEN"
    token = environ.get(name, "").strip()
    if not token:
        raise Refused(f"{name} is not set")
    if not _TOKEN.fullmatch(token):  # a header can't have it, and what says so would show it
        raise ReconcilerError(f"{name} holds characters that no token has, such as spaces; set it again")
    return (gitlab.of_environment if _on_gitlab(environ) else github.of_environment)(environ, number, token)


def _in_summary(text: str) -> bool:
    """Adds the text to the job's summary, and says on standard error if that can't be; whether it is there. Raises ReconcilerError
    outside of a workflow."""
    from .job_summary import SUMMARY, add

    if not os.environ.get(SUMMARY):
        raise ReconcilerError(f"--job-summary: {SUMMARY} not set; GitHub sets it in every workflow")
    if why := add(text):
        typer.echo(f"not in the job's summary: {why}", err=True)
    return not why


def _elsewhere(text: str, *, there: bool) -> str:
    """Puts the text where it can be read without a comment, and says where. `there`: it is in the job's summary already."""
    from reconciler.render.escapes import no_command

    from .job_summary import SUMMARY, add

    why = ""
    if there or (os.environ.get(SUMMARY) and not (why := add(text))):
        return "it is in the job's summary instead"
    typer.echo("".join(map(no_command, text.splitlines(keepends=True))), nl=False)
    return f"it is printed instead, since {why}" if why else "it is printed instead"
