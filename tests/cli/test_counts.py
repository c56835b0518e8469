"""Counts in what commands print agree with their nouns."""

from __future__ import annotations

import pytest

from reconciler.cli import apply, destroy, gc, validate
from reconciler.model.service import Collected


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (0, "0 registries, 0 repositories, 0 grants"),
        (1, "1 registry, 1 repository, 1 grant"),
        (2, "2 registries, 2 repositories, 2 grants"),
    ],
)
def test_validate(count: int, expected: str) -> None:
    assert validate.size(count, count, count) == expected


@pytest.mark.parametrize(
    ("count", "repository", "content"),
    [
        (0, "app: 0 images and 0 blobs removed", "content: 0 blobs and 0 unfinished uploads removed, 0 bytes"),
        (1, "app: 1 image and 1 blob removed", "content: 1 blob and 1 unfinished upload removed, 1 byte"),
        (2, "app: 2 images and 2 blobs removed", "content: 2 blobs and 2 unfinished uploads removed, 2 bytes"),
    ],
)
def test_gc(count: int, repository: str, content: str) -> None:
    assert gc.line(Collected("app", ("sha256:0",) * count, blobs=count), "removed") == repository
    assert gc.line(Collected("", blobs=count, uploads=count, size=count), "removed") == content


@pytest.mark.parametrize(
    ("count", "changes", "resources"), [(1, "1 change", "1 resource"), (2, "2 changes", "2 resources")]
)
def test_the_question(count: int, changes: str, resources: str) -> None:
    assert apply.question(count) == f"Apply {changes}?"
    assert destroy.question(count) == f"Destroy {resources}?"
