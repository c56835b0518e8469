"""A review as markdown for a pull request: access first, in a table; details are folded."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.review.document import AccessPart, FindingPart, GuardPart, ReviewDocument, SpotPart
from reconciler.review.model import RANK, Review, Risk

from .escapes import code, first_in_markdown, in_html, in_markdown
from .graph import entities
from .review import UNKNOWN, UNREADABLE, counted_risks, perhaps, stopping
from .review_document import document
from .shortened import MOST, shortened

__all__ = ["MOST", "markdown_of", "review_markdown", "shortened"]

#: GitLab draws no larger diagram in a merge request (https://docs.gitlab.com/user/markdown/#diagrams-and-flowcharts), mermaid none of
#: more edges (https://mermaid.js.org/config/schema-docs/config.html#maxedges)
MOST_DRAWN, MOST_EDGES = 2_000, 500
#: characters of a table's cell, of a file and of an address, and a table's rows
MOST_TOLD, MOST_ROWS = 300, 100
#: findings with a fold of their own: more do not fit into a comment
MOST_FOLDS = 1_000
_ICONS = {
    Risk.DESTROYS: ":fire:",
    Risk.WIDENS: ":unlock:",
    Risk.WEAKENS: ":warning:",
    Risk.UNMANAGED: ":ghost:",
    Risk.NARROWS: ":lock:",
    Risk.CREATES: ":new:",
    Risk.COSMETIC: ":art:",
}
#: access before all else
_ORDER = (Risk.WIDENS, Risk.NARROWS, *(risk for risk in Risk if risk not in (Risk.WIDENS, Risk.NARROWS)))


def review_markdown(review: Review) -> str:
    """The whole review, as long as a comment may be: what stops the plan and who gains access come first, and it says what is left
    out."""
    return markdown_of(document(review))


def markdown_of(review: ReviewDocument) -> str:
    """The same of a saved review, which anybody may have written: what it does is taken from its findings alone."""
    if review.errors:
        return shortened("".join(f"{line}\n" for line in _unreadable(review)))
    stopped = review.by_head or review.by_base or review.problems
    if review.risks in ((), (Risk.COSMETIC,)) and not review.unread and not stopped:
        notes = "".join(f"\n{line}\n" for line in _notes(review))
        return shortened(f"**{in_markdown(review.owner)}**: {_quiet(review)}.\n{notes}")
    return shortened("".join(f"{line}\n" for line in _lines(review)))


def _unreadable(review: ReviewDocument) -> Iterator[str]:
    yield f"### :no_entry: {in_markdown(review.owner)}: {UNREADABLE}"
    yield ""
    for error in review.errors:
        yield (
            f"- {_where(error.place)}: {in_markdown(error.message)}"
            if error.place
            else f"- {first_in_markdown(error.message)}"
        )
    yield ""
    yield "Nothing was reviewed: who gains or loses access is not known until this is mended."


def _quiet(review: ReviewDocument) -> str:
    return (
        in_markdown(_headline(review))
        if not review.findings
        else "nobody gains or loses access by the change of the spec"
    )


def _headline(review: ReviewDocument) -> str:
    found = [(finding.risk, finding.title) for finding in review.findings]
    head, base = ([item.message for item in given] for given in (review.by_head, review.loosened))
    stops = stopping(head, base, problems=bool(review.problems))
    return f"{counted_risks(found, unread=bool(review.unread))}{stops}"


def _lines(review: ReviewDocument) -> Iterator[str]:
    yield from (f"### {in_markdown(review.owner)}: {in_markdown(_headline(review))}", "")
    if stops := [*map(_objection, review.by_head), *(f"- {first_in_markdown(item)}" for item in review.problems)]:
        may = perhaps([item.message for item in review.by_head]) and not review.problems
        yield from (f"#### :no_entry: {'May stop' if may else 'Stops'} the plan", "", *stops, "")
    if loosened := list(map(_objection, review.loosened)):
        would = "may" if perhaps([item.message for item in review.loosened]) else "would"
        heading = f"#### :no_entry: The base's guards {would} stop it, and this change loosens them"
        yield from (heading, "", *loosened, "")
    findings = sorted(review.findings, key=lambda item: _ORDER.index(item.risk))
    if findings:
        worst = set(sorted(range(len(findings)), key=lambda at: RANK[findings[at].risk])[:MOST_ROWS])
        rows = [_row(item) for at, item in enumerate(findings) if at in worst]
        yield from ("| | what | where |", "|---|---|---|", *rows, "")
        if findings[MOST_ROWS:]:
            yield from (f"and {len(findings) - MOST_ROWS} more", "")
    if drawn := _drawn(findings):
        yield from ("<details><summary>Who gains and loses access, drawn</summary>", "", *drawn, "", "</details>", "")
    for finding in findings[:MOST_FOLDS]:
        yield from _fold(finding)
    if findings[MOST_FOLDS:]:
        yield from (f"and {len(findings) - MOST_FOLDS} more findings, which `reconciler review` prints", "")
    yield from (*_notes(review), "", UNKNOWN)


def _row(finding: FindingPart) -> str:
    where = _where(finding.place) if finding.place else ""
    return f"| {_ICONS[finding.risk]} {finding.title} | {_told(finding.messages)} | {where} |"


def _where(spot: SpotPart) -> str:
    return code(f"{_file(spot)}:{spot.line}").replace("|", "\\|")


def _file(spot: SpotPart) -> str:
    """The file, of a long path its end."""
    return spot.file if len(spot.file) <= MOST_TOLD else f"…{spot.file[-MOST_TOLD:]}"


def _first(text: str) -> str:
    """The text, of a long one its beginning. What is shortened is escaped after that, so that no escape and no code span is cut."""
    return text if len(text) <= MOST_TOLD else f"{text[:MOST_TOLD]}…"


def _told(messages: tuple[str, ...]) -> str:
    """As many of the sentences as a cell has room for, the first at least in part, and how many more there are."""
    told: list[str] = []
    left = MOST_TOLD
    for message in messages:
        if told and len(message) > left:
            break
        told.append(_first(message))
        left -= len(message)
    more = f" (and {len(messages) - len(told)} more)" if messages[len(told) :] else ""
    return f"{'<br>'.join(map(in_markdown, told))}{more}"


def _at(spot: SpotPart) -> str:
    return in_html(f"{_file(spot)}:{spot.line}:{spot.column}")


def _fold(finding: FindingPart) -> Iterator[str]:
    place = _at(finding.place) if finding.place else "the spec as a whole"
    base = f", base {_at(finding.base)}" if finding.removed and finding.base is not None else ""
    yield f"<details><summary>{finding.title}: {place}{base}</summary>"
    yield ""
    yield from (f"- {first_in_markdown(sentence)}" for sentence in finding.messages)
    if finding.addresses:
        yield ""
        yield from (f"  {code(_first(address))}" for address in finding.addresses[:20])
        if finding.addresses[20:]:
            yield f"  and {len(finding.addresses) - 20} more"
    yield ""
    yield "</details>"
    yield ""


def _objection(item: GuardPart) -> str:
    return f"- **{in_markdown(item.guard)}**: {in_markdown(item.message)}"


def _notes(review: ReviewDocument) -> list[str]:
    unread = [
        f"Not reviewed: registry {in_markdown(name)}, since platform {in_markdown(platform)} is not in this build."
        for name, platform in review.unread.items()
    ]
    return [*unread, *(f"Note: {in_markdown(warning)}." for warning in review.warnings)]


def _drawn(findings: list[FindingPart]) -> list[str]:
    """Who gains (a whole line) and who loses (a dotted one) what, as a mermaid graph; nothing if that would be too large."""
    edges: dict[tuple[str, str, str], set[str]] = {}
    for finding in findings:
        for arrow, given in (("-->", finding.gains), ("-.->", finding.losses)):
            for item in given:
                for what in _targets(item):
                    edges.setdefault((item.principal, arrow, what), set()).update(item.verbs)
    names = sorted({end for who, _, what in edges for end in (who, what)})
    node = {name: f"n{number}" for number, name in enumerate(names)}
    lines = ["```mermaid", "flowchart LR"]
    lines += [f'  {node[name]}["{entities(name)}"]' for name in names]
    lines += [
        f'  {node[who]} {arrow}|"{entities(" and ".join(sorted(verbs)))}"| {node[what]}'
        for (who, arrow, what), verbs in sorted(edges.items())
    ]
    lines.append("```")
    too_large = len(edges) > MOST_EDGES or sum(map(len, lines)) + len(lines) > MOST_DRAWN
    return [] if too_large or not edges else lines


def _targets(item: AccessPart) -> Iterator[str]:
    for repository in item.repositories:
        for where in item.where:
            yield f"{item.registry}/{repository or '*'}" + (f" in {where}" if where else "")
