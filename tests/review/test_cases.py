"""Eight pull requests with their true answers: ../shared/cases/review."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from reconciler.api.review import review
from reconciler.render.review import review_text
from reconciler.review.document import AccessPart, document_of
from reconciler.review.model import Finding, Review
from tests.command_line import ROOT

CASES = ROOT.parent / "shared" / "cases" / "review"
NAMES = [path.name for path in sorted(CASES.glob("*")) if path.is_dir()] or ["missing"]
Row = tuple[str, str, tuple[str, ...], tuple[str, ...], tuple[str, ...]]


@pytest.fixture(params=NAMES)
def case(request: pytest.FixtureRequest) -> Path:
    path = CASES / str(request.param)
    if not path.is_dir():
        pytest.skip(f"NOT RUN: {CASES} is not here; the reviews of its pull requests are not checked")
    return path


def truth_of(case: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((case / "truth.json").read_text())
    return found


def made(case: Path) -> Review:
    return review(case / "base.yaml", case / "head.yaml")


def rows(parts: Iterable[AccessPart]) -> set[Row]:
    return {(item.registry, item.principal, item.verbs, item.repositories, item.where) for item in parts}


def true_rows(parts: Iterable[dict[str, Any]]) -> set[Row]:
    return {
        (
            item["registry"],
            item["principal"],
            tuple(sorted(item["verbs"])),
            tuple(sorted(item["repositories"])),
            tuple(item["where"]),
        )
        for item in parts
    }


def test_the_verdict(case: Path) -> None:
    assert sorted(risk.value for risk in made(case).verdict) == sorted(truth_of(case)["verdict"])


def test_gains_and_losses(case: Path) -> None:
    found = document_of(made(case), [()] * len(made(case).findings))
    gains = [item for finding in found.findings for item in finding.gains]
    losses = [item for finding in found.findings for item in finding.losses]
    assert rows(gains) == true_rows(truth_of(case)["gains"])
    assert rows(losses) == true_rows(truth_of(case)["losses"])
    assert not any(item.may for item in (*gains, *losses))


def test_each_change_has_its_risk_its_line_and_its_resources(case: Path) -> None:
    found = made(case).findings
    for change in truth_of(case)["changes"]:
        finding = next(item for item in found if _is(item, change, case))
        assert set(finding.addresses) == set(change["addresses"]), change["what"]
    assert len(found) == len(truth_of(case)["changes"])


def _is(finding: Finding, change: dict[str, Any], case: Path) -> bool:
    spot = finding.base if change["side"] == "base" else finding.spot
    if spot is None or (finding.risk.value, spot.line) != (change["risk"], change["line"]):
        return False
    assert change["quote"] in (case / change["file"]).read_text().splitlines()[spot.line - 1]
    return bool(Path(spot.file) == case / change["file"])


def test_what_it_says_and_does_not_say(case: Path) -> None:
    text = review_text(made(case)).replace(str(case), "")
    truth = truth_of(case)
    assert [word for word in truth["must_say"] if word not in text] == []
    assert [word for word in truth["must_not_say"] if word in text] == []


def test_what_is_touched_and_what_the_guards_say(case: Path) -> None:
    found, truth = made(case), truth_of(case)
    if "touched" in truth:
        of = {"create": "created", "delete": "deleted", "replace": "replaced", "update": "updated"}
        touched: dict[str, set[str]] = {name: set() for name in of.values()}
        for change in found.plan.changes:
            touched[of[change.action.value]].update((change.address, *change.along))
        assert {name: sorted(items) for name, items in touched.items()} == truth["touched"]
    assert [item.guard for item in found.by_head] == [item["guard"] for item in truth["guards"]["by_head"]]
    assert [item.guard for item in found.by_base] == [item["guard"] for item in truth["guards"]["by_base"]]
