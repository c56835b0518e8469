"""A review as a Code Quality report, which GitLab shows in a merge request.

https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format
"""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

from reconciler.places import Spot
from reconciler.review.model import Review, Risk
from reconciler.words import one_line

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
    found = [_issue(f"guard-{guard}", "blocker", message, review.spot) for guard, message in objections(review)]
    for finding in review.findings:
        said = f"{finding.title}: {'; '.join(sentences(finding))}"
        spot = finding.spot or review.spot
        found.append(_issue(finding.risk.value, _SEVERITY[finding.risk], said, spot, base_of(finding)))
    return json.dumps(found, indent=2, ensure_ascii=False) + "\n"


def _issue(check: str, severity: str, message: str, spot: Spot, more: str = "") -> dict[str, Any]:
    return {
        "description": one_line(message + more),
        "check_name": check,
        # the same finding has the same one wherever it moves to
        "fingerprint": sha256(f"{check}\0{message}\0{spot.file}".encode()).hexdigest(),
        "severity": severity,
        "location": {"path": spot.file, "lines": {"begin": spot.line}},
    }
