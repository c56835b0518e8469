"""A review as workflow commands, which GitHub shows as annotations of the lines of a pull request.

https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from reconciler.places import Spot
from reconciler.review.document import ReviewDocument
from reconciler.review.model import Finding, Review, Risk
from reconciler.words import counted, one_line

from .review import GUARDS, UNREADABLE, base_of, headline, sentences

#: of each level a step shows ten (actions/toolkit, docs/problem-matchers.md); the tenth counts the others
MOST = 9
_WARNINGS = frozenset({Risk.DESTROYS, Risk.WIDENS, Risk.WEAKENS, Risk.UNMANAGED})


def review_commands(review: Review, stopped: Collection[str] = ()) -> str:
    """The review as workflow commands, a line each, the worst first; a finding of a risk in `stopped` is an error, and so
    is what the base's guards object to if `guards` is."""
    levels: dict[str, list[str]] = {"error": [], "warning": [], "notice": []}
    for verdict in review.by_head:
        levels["error"].append(command("error", None, f"guard {verdict.guard}", verdict.message))
    for problem in review.plan.problems:
        levels["error"].append(command("error", None, str(problem.address), problem.message))
    for verdict in review.loosened:
        said = f"{verdict.message} (by the base's guards, which this change loosens)"
        level = "error" if GUARDS in stopped else "warning"
        levels[level].append(command(level, None, f"guard {verdict.guard}", said))
    for finding in review.findings:
        level = _level(finding, stopped)
        levels[level].append(command(level, finding.spot, finding.title, _message(finding)))
    for warning in (*review.warnings, *_unread(review)):
        levels["notice"].append(command("notice", None, "review", warning))
    found = [line for level, lines in levels.items() for line in _few(level, lines)]
    return "".join(f"{line}\n" for line in (*found, in_data(f"Review of {review.owner}: {headline(review)}.")))


def unreadable_commands(made: ReviewDocument) -> str:
    """The faults of a spec that can't be read, each an error at its place."""
    found = [command("error", item.place.spot if item.place else None, "spec", item.message) for item in made.errors]
    last = in_data(f"Review of {made.owner}: {UNREADABLE} ({counted(len(found), 'error')}).")
    return "".join(f"{line}\n" for line in (*_few("error", found), last))


def command(level: str, spot: Spot | None, title: str, message: str) -> str:
    """One workflow command."""
    place = {} if spot is None else {"file": spot.file, "line": str(spot.line), "col": str(spot.column)}
    properties = ",".join(f"{name}={in_property(text)}" for name, text in {**place, "title": title}.items())
    return f"::{level} {properties}::{in_data(message)}"


def in_data(text: str) -> str:
    """The text as a command's message, or as a line that is no command: it begins with no `::` that counts."""
    plain = one_line(text).replace("%", "%25")
    return f"%3A{plain.lstrip()[1:]}" if plain.lstrip().startswith("::") else plain


def in_property(text: str) -> str:
    """The text as a property's value, which a colon or a comma would end."""
    return one_line(text).replace("%", "%25").replace(":", "%3A").replace(",", "%2C")


def _level(finding: Finding, stopped: Collection[str]) -> str:
    if finding.risk.value in stopped:
        return "error"
    return "warning" if finding.risk in _WARNINGS else "notice"


def _message(finding: Finding) -> str:
    return "; ".join(sentences(finding)) + base_of(finding)


def _unread(review: Review) -> Iterator[str]:
    for name, platform in review.unread.items():
        yield f"registry {name} was not reviewed, since platform {platform} is not in this build"


def _few(level: str, lines: list[str]) -> Iterable[str]:
    if len(lines) <= MOST + 1:
        return lines
    return [*lines[:MOST], command(level, None, "review", f"and {len(lines) - MOST} more")]
