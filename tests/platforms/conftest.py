"""A spec of one external registry, and what answers in that one's place."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.emulators.distribution import Elsewhere
from tests.emulators.serving import served

from .test_external import PASSWORD, Folder
from .test_external_lies import BASIC, REFUSED, tags


@pytest.fixture
def elsewhere() -> Iterator[Elsewhere]:
    with served(Elsewhere()) as found:
        found.answers = {"/v2/": REFUSED, f"/v2/ {BASIC}": (200, {}, "{}"), "/v2/team/app/tags/list": tags("team/app")}
        yield found


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, elsewhere: Elsewhere) -> Folder:
    monkeypatch.setenv("REG_USER", "alice")
    monkeypatch.setenv("REG_PASSWORD", PASSWORD)
    found = Folder(tmp_path)
    found.registry |= {
        "url": elsewhere.url,
        "credentials": {"env": {"username": "REG_USER", "password": "REG_PASSWORD"}},
    }
    return found
