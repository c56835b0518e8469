"""A review says what stays, in the words of a plan."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reconciler.review.model import Review, Risk

from .specs import edited, reviewed, said, verdict


def changed(folder: Path, then: dict[str, Any], now: dict[str, Any]) -> Review:
    """The review of a change of the one statement of a registry policy."""

    def with_policy(grant: dict[str, Any]) -> str:
        return edited(lambda spec: spec["registries"][0].update(registry_policy=[{"type": "replication", **grant}]))

    return reviewed(folder, with_policy(now), with_policy(then))


def test_a_prefix_that_is_narrowed(tmp_path: Path) -> None:
    to = {"to": {"account_ids": ["222222222222"]}}
    found = changed(tmp_path, to | {"prefix": "*"}, to)
    start = "account 222222222222 can no longer replicate images into any repository of"
    assert said(found, Risk.NARROWS) == [
        f"{start} {region}, except images-*" for region in ("eu-central-1", "eu-west-1")
    ]
    assert verdict(found) == ["narrows"]


@pytest.mark.parametrize("widens", [False, True])
def test_an_organization_beside_another(tmp_path: Path, widens: bool) -> None:
    one, both = ({"to": {"organization_ids": ids}} for ids in (["o-a1b2c3d4e5"], ["o-a1b2c3d4e5", "o-a1b2c3d4e6"]))
    found = changed(tmp_path, *((one, both) if widens else (both, one)))
    start = f"any principal of organization o-a1b2c3d4e6 can {'now' if widens else 'no longer'} replicate images into images-* of"
    assert said(found, Risk.WIDENS if widens else Risk.NARROWS) == [
        f"{start} {region}" for region in ("eu-central-1", "eu-west-1")
    ]
    assert verdict(found) == ["widens" if widens else "narrows"]
