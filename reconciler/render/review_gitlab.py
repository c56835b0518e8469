"""A review as a Code Quality report, which GitLab shows in a merge request.

https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from reconciler.places import Spot
from reconciler.review.document import ReviewDocument
from reconciler.review.model import Review, Risk
from reconciler.words import in_utf8, one_line

from .review import base_of, objections, sentences

_SEVERITY = {
    Risk.DESTROYS: "critical",
    Risk.WIDENS: "critical",
    Risk.WEAKENS: "major",
    Risk.UNMANAGED: "major",
    Risk.NARROWS: "minor",
    Risk.CREATES: "info",
    Risk.COSMETIC: "info",
}


def review_gitlab(review: Review) -> str:
    """The report; an empty list where there is nothing, which a target branch needs for the comparison."""
    found = [_Issue(f"guard-{guard}", "blocker", message, review.spot) for guard, message in objections(review)]
    for finding in review.findings:
        said = f"{finding.title}: {'; '.join(sentences(finding))}"
        spot = finding.spot or review.spot
        found.append(_Issue(finding.risk.value, _SEVERITY[finding.risk], said, spot, base_of(finding)))
    return _report(found)


def unreadable_gitlab(made: ReviewDocument, spot: Spot) -> str:
    """The report of a spec that can't be read. `spot`: where the head begins, for what has no place in it."""
    return _report(
        _Issue("spec", "blocker", item.message, item.place.spot if item.place else spot) for item in made.errors
    )


@dataclass(frozen=True, slots=True)
class _Issue:
    check: str
    severity: str
    message: str
    spot: Spot
    more: str = ""


def _report(issues: Iterable[_Issue]) -> str:
    seen: Counter[str] = Counter()
    found: list[dict[str, Any]] = []
    for item in issues:
        # the same finding has the same one wherever it moves to; another of the same words is told apart by how many came before
        file = in_utf8(item.spot.file)
        key = in_utf8(f"{item.check}\0{item.message}\0{file}")
        again = f"\0{seen[key]}" if seen[key] else ""
        seen[key] += 1
        found.append(
            {
                "description": one_line(item.message + item.more),
                "check_name": item.check,
                "fingerprint": sha256(f"{key}{again}".encode()).hexdigest(),
                "severity": item.severity,
                "location": {"path": file, "lines": {"begin": item.spot.line}},
            }
        )
    return json.dumps(found, indent=2, ensure_ascii=False) + "\n"
