"""A review as markdown for a pull request: access first, in a table; details are folded."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.review.document import AccessPart, FindingPart, GuardPart, ReviewDocument, SpotPart
from reconciler.review.model import RANK, Review, Risk

from .escapes import code, first_in_markdown, in_html, in_markdown
from .graph import entities
from .review import NOTHING_READ, UNKNOWN, counted_risks
from .review_document import document

#: characters that a comment on GitHub may have are 65,536
#: (https://github.com/runatlantis/atlantis/blob/main/server/events/vcs/github/client.go)
MOST = 65_000
#: GitLab draws no larger diagram in a merge request (https://docs.gitlab.com/user/markdown/#diagrams-and-flowcharts), mermaid none of
#: more edges (https://mermaid.js.org/config/schema-docs/config.html#maxedges)
MOST_DRAWN, MOST_EDGES = 2_000, 500
#: characters of a table's cell, and its rows
MOST_TOLD, MOST_ROWS = 300, 100
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
    """The whole review. Longer than a comment may be, it ends at the end of a fold and says so."""
    return markdown_of(document(review))


def markdown_of(review: ReviewDocument) -> str:
    """The same of a saved review."""
    if (
        review.verdict in ((), (Risk.COSMETIC,))
        and not review.unread
        and not (review.by_head or review.by_base or review.problems)
    ):
        notes = "".join(f"\n{line}\n" for line in _notes(review))
        return f"**{in_markdown(review.owner)}**: {_quiet(review)}.\n{notes}"
    return cut(["".join(f"{line}\n" for line in block) for block in _blocks(review)])


def _quiet(review: ReviewDocument) -> str:
    return (
        in_markdown(_headline(review))
        if not review.findings
        else "nobody gains or loses access by the change of the spec"
    )


def _headline(review: ReviewDocument) -> str:
    if not review.verdict and review.unread:
        return NOTHING_READ
    return counted_risks([(finding.risk, finding.title) for finding in review.findings], review.verdict)


def _blocks(review: ReviewDocument) -> Iterator[list[str]]:
    yield [f"### {in_markdown(review.owner)}: {in_markdown(_headline(review))}", ""]
    if stops := [*map(_objection, review.by_head), *(f"- {in_markdown(item)}" for item in review.problems)]:
        yield ["#### :no_entry: Stops the plan", "", *stops, ""]
    if loosened := [_objection(item) for item in review.by_base if item not in review.by_head]:
        yield ["#### :no_entry: The base's guards would stop it, and this change loosens them", "", *loosened, ""]
    findings = sorted(review.findings, key=lambda item: _ORDER.index(item.risk))
    if findings:
        worst = sorted(findings, key=lambda item: RANK[item.risk])[:MOST_ROWS]
        rows = [_row(item) for item in findings if item in worst]
        more = [f"and {len(findings) - MOST_ROWS} more", ""] if findings[MOST_ROWS:] else []
        yield ["| | what | where |", "|---|---|---|", *rows, "", *more]
    if drawn := _drawn(findings):
        yield ["<details><summary>Who gains and loses access, drawn</summary>", "", *drawn, "", "</details>", ""]
    for finding in findings:
        yield list(_fold(finding))
    yield [*_notes(review), "", UNKNOWN]


def _row(finding: FindingPart) -> str:
    said = finding.messages or ("",)
    first = said[0] if len(said[0]) <= MOST_TOLD else f"{said[0][:MOST_TOLD]}…"
    more = f" (and {len(said) - 1} more)" if said[1:] else ""
    where = code(f"{finding.place.file}:{finding.place.line}") if finding.place else ""
    return f"| {_ICONS[finding.risk]} {finding.title} | {in_markdown(first)}{more} | {where.replace('|', '&#124;')} |"


def _at(spot: SpotPart) -> str:
    return in_html(f"{spot.file}:{spot.line}:{spot.column}")


def _fold(finding: FindingPart) -> Iterator[str]:
    place = _at(finding.place) if finding.place else "the spec as a whole"
    base = f", base {_at(finding.base)}" if finding.removed and finding.base is not None else ""
    yield f"<details><summary>{finding.title}: {place}{base}</summary>"
    yield ""
    yield from (f"- {first_in_markdown(sentence)}" for sentence in finding.messages)
    if finding.addresses:
        yield ""
        yield from (f"  {code(address)}" for address in finding.addresses[:20])
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


def shortened(text: str) -> str:
    """A markdown text of paragraphs and folds, as long as a comment may be: it ends between two of them."""
    blocks: list[str] = []
    depth = 0
    for line in text.splitlines(keepends=True):
        if depth == 0 and (not blocks or blocks[-1].endswith("\n\n")):
            blocks.append("")
        depth += line.count("<details>") - line.count("</details>")
        blocks[-1] += line
    return cut(blocks)


def cut(blocks: list[str]) -> str:
    """The blocks as one text that a comment can hold."""
    whole = "".join(blocks)
    if len(whole) <= MOST:
        return whole
    note = "\nThis is longer than a comment may be: {} more parts are left out. `reconciler` prints all of it.\n"
    kept: list[str] = []
    for number, block in enumerate(blocks):
        if sum(map(len, kept)) + len(block) > MOST - len(note) - 20:
            return "".join(kept) + note.format(len(blocks) - number)
        kept.append(block)
    return whole
