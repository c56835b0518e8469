"""A review as SARIF 2.1.0, with what GitHub asks for.

https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html,
https://docs.github.com/en/code-security/code-scanning/integrating-with-code-scanning/sarif-support-for-code-scanning
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from hashlib import sha256
from importlib.metadata import version
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from reconciler.places import Spot
from reconciler.review.document import ReviewDocument
from reconciler.review.model import Finding, Review, Risk
from reconciler.words import DISTRIBUTION, in_utf8, one_line

from .review import base_of, objections, sentences

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_HASH = "primaryLocationLineHash"
#: results that GitHub takes of a run
MOST = 25_000
_LEVEL = {
    Risk.DESTROYS: "error",
    Risk.WIDENS: "error",
    Risk.WEAKENS: "warning",
    Risk.UNMANAGED: "warning",
    Risk.NARROWS: "note",
    Risk.CREATES: "note",
    Risk.COSMETIC: "note",
}
_RULES = {
    Risk.DESTROYS: "A repository is deleted or replaced with its images",
    Risk.WIDENS: "Somebody can do more than before",
    Risk.WEAKENS: "Something is protected less than before",
    Risk.UNMANAGED: "Something leaves the spec and stays as it is, unwatched",
    Risk.NARROWS: "Somebody can do less than before",
    Risk.CREATES: "Something new is created",
    Risk.COSMETIC: "Nobody gains or loses anything",
}
_GUARD, _SPEC = "guard", "spec"


def review_sarif(review: Review) -> str:
    """The log, with one run."""
    results = [_result(_GUARD, "error", f"{guard}: {message}", review.spot) for guard, message in objections(review)]
    results += [
        _result(finding.risk.value, _LEVEL[finding.risk], _message(finding), finding.spot or review.spot)
        for finding in review.findings
    ]
    return _log(results)


def unreadable_sarif(made: ReviewDocument, spot: Spot) -> str:
    """The log of a spec that can't be read. `spot`: where the head begins, for what has no place in it."""
    return _log(
        [_result(_SPEC, "error", item.message, item.place.spot if item.place else spot) for item in made.errors]
    )


def _log(results: Iterable[dict[str, Any]]) -> str:
    rules = [_rule(risk.value, text, _LEVEL[risk]) for risk, text in _RULES.items()]
    rules.append(_rule(_GUARD, "A guard stops the plan", "error"))
    rules.append(_rule(_SPEC, "The spec can't be read", "error", "`reconciler validate` prints all that is wrong."))
    driver = {"name": "reconciler", "version": version(DISTRIBUTION), "rules": rules}
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",  # as Python counts them; without it a reader assumes UTF-16 (3.14.27)
        "results": list(_told_apart(results))[:MOST],
    }
    log = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(log, indent=2, ensure_ascii=False) + "\n"


def _told_apart(results: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The results, each with a fingerprint of its own: of the same words, by how many came before. It stays when lines move."""
    seen: Counter[str] = Counter()
    for item in results:
        said = item["partialFingerprints"][_HASH]
        seen[said] += 1
        yield {**item, "partialFingerprints": {_HASH: f"{said}:{seen[said]}"}}


def _rule(name: str, text: str, level: str, more: str = "`reconciler help risks` explains it.") -> dict[str, Any]:
    return {
        "id": name,
        "shortDescription": {"text": f"{text}."},
        "fullDescription": {"text": f"{text}."},
        "help": {"text": f"{text}. {more}"},
        "defaultConfiguration": {"level": level},
    }


def _message(finding: Finding) -> str:
    return f"{finding.title}: {'; '.join(sentences(finding))}{base_of(finding)}."


def _result(rule: str, level: str, message: str, spot: Spot) -> dict[str, Any]:
    text = one_line(message)
    return {
        "ruleId": rule,
        "level": level,
        "message": {"text": _plain(text)},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": _uri(spot.file)},
                    "region": {"startLine": spot.line, "startColumn": spot.column},
                }
            }
        ],
        "partialFingerprints": {
            _HASH: sha256(f"{rule}{text}{in_utf8(spot.file)}".encode()).hexdigest()[:16],
        },
    }


def _plain(text: str) -> str:
    """The text without links and placeholders (3.11.5, 3.11.6): brackets and braces would begin one."""
    escaped = text.replace("\\", "\\\\").replace("[", "\\[").replace("]", "\\]")
    return escaped.replace("{", "{{").replace("}", "}}")


def _uri(file: str) -> str:
    path = PurePath(in_utf8(file))
    return quote(path.as_posix()) if not path.is_absolute() else path.as_uri()
