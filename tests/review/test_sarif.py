"""SARIF as others read it: its published schema, and Microsoft's validator with the rules for GitHub."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft4Validator

from reconciler.places import Spot
from reconciler.render.review_sarif import review_sarif, unreadable_sarif
from reconciler.review.document import ErrorPart, SpotPart, unreadable
from reconciler.review.model import Finding, Review, Risk
from tests.command_line import ROOT

from .specs import BASE, reviewed
from .test_formats import ALL, HOSTILE

NPM = ROOT / ".venv" / "npm" / "@microsoft"
SCHEMA = NPM / "jest-sarif" / "1.0.0-beta.0" / "package" / "lib" / "schemas" / "sarif-2.1.0-rtm.5.json"
VALIDATOR = NPM / "sarif-multitool-linux" / "5.7.0" / "package" / "Sarif.Multitool"
FAULTS = [
    ErrorPart(message="grants[0].to: is missing", place=SpotPart(file="registry.yaml", line=9, column=3)),
    ErrorPart(message="base registry.yaml:1:1: the spec is empty", place=None),
]
pytestmark = pytest.mark.slow  # the validator is a process


def there(path: Path) -> Path:
    if not path.exists():
        message = f"{path} is not there, so SARIF is not checked by it: run script/npm .venv/npm"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(f"NOT RUN: {message}")
    return path


def logs(folder: Path) -> dict[str, str]:
    found = reviewed(folder, ALL)
    some = [Finding(Risk.WIDENS, (text, text), Spot(f"specs/{text}.yaml", 3, 4)) for text in HOSTILE]
    return {
        "all": review_sarif(found),
        "nothing": review_sarif(reviewed(folder, BASE)),
        "unreadable": unreadable_sarif(unreadable("acme", FAULTS), Spot("registry.yaml", 1, 1)),
        "hostile": review_sarif(Review("acme", found.plan, tuple(some))),
    }


def test_it_is_as_the_published_schema_says(tmp_path: Path) -> None:
    schema = json.loads(there(SCHEMA).read_text())
    for name, log in logs(tmp_path).items():
        assert [error.message for error in Draft4Validator(schema).iter_errors(json.loads(log))] == [], name
    broken = json.loads(logs(tmp_path)["all"])
    del broken["runs"][0]["tool"]
    assert list(Draft4Validator(schema).iter_errors(broken))


@pytest.mark.parametrize("name", ["all", "nothing", "unreadable", "hostile"])
def test_the_validator_finds_nothing_that_github_would_refuse(tmp_path: Path, name: str) -> None:
    there(VALIDATOR).chmod(0o755)
    log = json.loads(logs(tmp_path)[name])
    assert complaints(tmp_path, log) == []


def test_the_validator_finds_what_is_missing(tmp_path: Path) -> None:
    there(VALIDATOR).chmod(0o755)
    log = json.loads(logs(tmp_path)["all"])
    for result in log["runs"][0]["results"]:
        del result["locations"]
    assert complaints(tmp_path, log) != []


def complaints(folder: Path, log: dict[str, Any]) -> list[str]:
    """The errors that the validator reports; its exit code does not say that there are any."""
    path, report = folder / "review.sarif", folder / "report.sarif"
    path.write_text(json.dumps(log))
    options = ("--rule-kind", "Sarif;Ghas", "--output", str(report), "--log", "ForceOverwrite")
    ran = subprocess.run(
        [str(VALIDATOR), "validate", str(path), *options], capture_output=True, text=True, check=False, timeout=120
    )
    assert report.exists(), ran.stdout + ran.stderr
    found = json.loads(report.read_text(encoding="utf-8-sig"))
    return [
        f"{result['ruleId']}: {result['message']}"
        for run in found["runs"]
        for result in run["results"]
        if result.get("level", "warning") == "error"
    ]
