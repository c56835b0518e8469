"""A review of random changes never misses that somebody can do more, or less: concrete requests are evaluated against both policies,
by the model of tests/platforms/test_aws_oracle.py."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.api.spec import parse_spec
from reconciler.platforms.aws.policy import Statement
from reconciler.platforms.aws.spec import AwsRegistry
from reconciler.platforms.aws.statements import of_grants
from reconciler.platforms.aws.target import AwsTarget
from reconciler.review.model import Finding, Review, Risk
from reconciler.spec.registry import Permission
from tests.platforms.test_aws_oracle import OWN, Request, allowed, requests, targets

from .specs import review

pytestmark = pytest.mark.slow  # many random specs
Document = dict[str, Any]
REPOSITORIES = ("app-a", "app-b", "tool")


@st.composite
def grants(draw: st.DrawFn) -> list[Document]:
    """Up to three grants of a spec, in any of its shapes."""
    found = []
    for number in range(draw(st.integers(0, 3))):
        target: AwsTarget = draw(targets())
        chosen = draw(st.sampled_from((None, ["app-*"], ["app-a"], ["tool", "app-b"], ["*"])))
        grant: Document = {
            "name": f"g{draw(st.integers(0, 3))}-{number}",
            "registry": "images",
            "permission": draw(st.sampled_from([item for item in get_args(Permission) if item != "admin"])),
            "to": target.model_dump(mode="json", exclude_defaults=True) | {"type": "aws"},
        }
        found.append(grant if chosen is None else {**grant, "repositories": chosen})
    return found


def document(given_here: list[Document], repositories: tuple[str, ...]) -> Document:
    covered = [item for item in given_here if _covers_one(item, repositories)]
    return {
        "version": 1,
        "name": "tests",
        "registries": [{"name": "images", "platform": "aws", "account_id": OWN, "region": "us-east-1"}],
        "repositories": [{"name": name, "registry": "images"} for name in repositories],
        "grants": covered,
    }


def _covers_one(grant: Document, repositories: tuple[str, ...]) -> bool:
    return all("*" in item or item in repositories for item in grant.get("repositories", ()))


def statements(spec: Document) -> dict[str, tuple[Statement, ...]]:
    """What the policy of each repository says."""
    loaded = parse_spec(json.dumps(spec))
    (registry,) = loaded.registries
    assert isinstance(registry, AwsRegistry)
    return {
        item.name: of_grants(loaded.grants_by_repository.get(("images", item.name), ()), registry)
        for item in loaded.repositories
    }


def reviewed(before: Document, after: Document, *, whole: bool = False) -> Review:
    with TemporaryDirectory() as folder:
        base, head = Path(folder, "base.json"), Path(folder, "head.json")
        base.write_text(json.dumps(before, indent=1))
        head.write_text(json.dumps(after, indent=1))
        found = review(base, head, whole=whole)
    return replace(found, findings=tuple(_in_no_folder(finding) for finding in found.findings))


def _in_no_folder(finding: Finding) -> Finding:
    spot, base = (replace(item, file=Path(item.file).name) if item else None for item in (finding.spot, finding.base))
    return replace(finding, spot=spot, base=base)


def more(before: dict[str, tuple[Statement, ...]], after: dict[str, tuple[Statement, ...]]) -> dict[str, list[Request]]:
    """Who can do something with a repository after and could not before."""
    found = {
        name: [one for one in requests() if allowed(now, one) - allowed(before.get(name, ()), one)]
        for name, now in after.items()
    }
    return {name: some for name, some in found.items() if some}


@given(grants(), grants(), st.sampled_from((REPOSITORIES, REPOSITORIES[:2], REPOSITORIES[1:])))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
def test_whoever_can_do_more_or_less_is_in_the_review(
    before: list[Document], after: list[Document], repositories: tuple[str, ...]
) -> None:
    base, head = document(before, REPOSITORIES), document(after, repositories)
    found = reviewed(base, head)
    then, now = statements(base), statements(head)
    gains = {access.repository for finding in found.findings for access in finding.gains}
    losses = {access.repository for finding in found.findings for access in finding.losses}
    assert more(then, now).keys() <= gains
    assert more(now, then).keys() <= losses
    assert (Risk.WIDENS in found.verdict) == bool(gains)
    assert (Risk.NARROWS in found.verdict) == bool(losses)
    certain = {
        access.repository
        for finding in found.findings
        for access in finding.gains
        if not access.may and not access.note
    }
    assert certain <= more(then, now).keys()
    for finding in found.findings:
        # every cause is a line of the head, also of what was removed
        assert finding.spot is not None
        assert finding.spot.file.endswith("head.json")
    same = reviewed(head, head)
    assert same.findings == ()
    whole = reviewed(base, head, whole=True)
    assert (found.findings, found.by_head, found.by_base) == (whole.findings, whole.by_head, whole.by_base)
